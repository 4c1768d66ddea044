#include "counted.hpp"

#include "row_node.hpp"

namespace spikeflow {
namespace {

template <class A, class W>
class CountedNode final : public RowNode<float, W> {
public:
    CountedNode(CountedText<W> text, const CodeSums& sums) : RowNode<float, W>(text.name, text.layout), scale(sums.scale) {
        this->in_shape = std::move(text.in_shape);
        this->rows = std::move(text.rows);
        this->take_bias(std::move(text.bias));
        this->largest = sums.largest;
    }
    std::unique_ptr<Runner<float>> runner(const Context<float>& context) const override;

    float scale;
};

template <class A, class W>
class CountedRunner final : public RowRunner<float, A, W> {
public:
    CountedRunner(const CountedNode<A, W>& node, const Context<float>& context)
        : RowRunner<float, A, W>(node, context), scale_(node.scale), scaled_(cast_kernels(context.isa).template scaled<A>()),
          sums_(static_cast<std::size_t>(node.layout.size), A{0}), met_(static_cast<std::size_t>(node.layout.blocks), 0) {}

protected:
    void deliver(int64_t time, Slot<float>& out) override {
        this->delivery_.deliver(time, sums_.data(), this->marks(time, met_.data()));
        const Layout& layout = this->node_.layout;
        hand_on<A>(out, layout, {this->first_, this->last_}, {sums_.data() + layout.first(this->first_), met_.data() + this->first_, scale_, scaled_});
    }

private:
    float scale_;
    ScaledSums<A> scaled_;
    Buffer<A> sums_;
    Buffer<uint8_t> met_;
};

template <class A, class W>
std::unique_ptr<Runner<float>> CountedNode<A, W>::runner(const Context<float>& context) const {
    return std::make_unique<CountedRunner<A, W>>(*this, context);
}

}  // namespace

template <class W>
std::unique_ptr<Node<float>> make_counted(CountedText<W> text, const CodeSums& sums) {
    if (sums.most <= INT16_MAX) return std::make_unique<CountedNode<int16_t, W>>(std::move(text), sums);
    if (sums.most <= INT32_MAX) return std::make_unique<CountedNode<int32_t, W>>(std::move(text), sums);
    return std::make_unique<CountedNode<int64_t, W>>(std::move(text), sums);
}

template std::unique_ptr<Node<float>> make_counted<int8_t>(CountedText<int8_t>, const CodeSums&);
template std::unique_ptr<Node<float>> make_counted<int16_t>(CountedText<int16_t>, const CodeSums&);
template std::unique_ptr<Node<float>> make_counted<int32_t>(CountedText<int32_t>, const CodeSums&);

}  // namespace spikeflow
