#include "coded.hpp"

#include <algorithm>
#include <vector>

#include "sparse.hpp"

namespace spikeflow {
namespace {

// A bias for each target, in physical order; of one for each channel, repeated.
Buffer<float> full_bias(const std::string& name, const Layout& layout, std::span<const float> bias) {
    const auto size = static_cast<std::size_t>(layout.size), channels = static_cast<std::size_t>(layout.channels);
    require(bias.empty() || bias.size() == size || bias.size() == channels, name, "a bias of another size");
    Buffer<float> out(bias.empty() ? 0 : size);
    for (std::size_t i = 0; i < out.size(); ++i)
        out[static_cast<std::size_t>(layout.physical(static_cast<int32_t>(i)))] =
            bias[bias.size() == size ? i : i / static_cast<std::size_t>(layout.pixels)] + 0.0f;
    return out;
}

template <class S>
class CodedNode final : public Node<float> {
public:
    CodedNode(std::unique_ptr<Node<S>> sums, float scale, int64_t largest, std::span<const float> bias)
        : Node<float>(sums->name, sums->layout, 1), sums(std::move(sums)), scale(scale), largest(largest),
          bias(full_bias(name, layout, bias)) {}

    void check_source(std::size_t port, const Layout& source) const override { sums->check_source(port, source); }
    std::unique_ptr<Runner<float>> runner(const Context<float>& context) const override;
    bool repeats() const override { return sums->repeats(); }
    bool reads_whole(Isa isa) const override { return sums->reads_whole(isa); }

    std::unique_ptr<Node<S>> sums;
    float scale;
    int64_t largest;
    Buffer<float> bias;
};

template <class S>
class CodedRunner final : public Runner<float> {
public:
    CodedRunner(const CodedNode<S>& node, const Context<float>& context)
        : node_(node), isa_(context.isa), casts_(cast_kernels(isa_)), scratch_(node.layout.size, kernels<S>(isa_)), out_(node.sums->layout, scratch_, kernels<S>(isa_)),
          sums_(node.sums->runner({scratch_, isa_})) {}

    void reset() override { sums_->reset(); }

    // The integers that the sums remember are values that arrived here, which float32 holds exactly.
    std::size_t memories() const override { return sums_->memories(); }
    void save(std::size_t which, int64_t time, std::span<float> to) const override {
        std::vector<int64_t> whole(to.size());
        sums_->save(which, time, whole);
        std::transform(whole.begin(), whole.end(), to.begin(), [](int64_t x) { return static_cast<float>(x); });
    }
    void load(std::size_t which, int64_t time, std::span<const float> from) override {
        std::vector<int64_t> whole(from.size());
        std::transform(from.begin(), from.end(), whole.begin(), [this](float x) { return integer(x); });
        sums_->load(which, time, whole);
    }

    void step(Step<float>& step) override {
        Slot<float>& in = step.ports[0].value();
        if (!port_.kernels) begin(*in.layout);
        if (in.holds_events() || !node_.reads_whole(isa_) || !whole(in)) whole(in.events(), in_->write_events());
        Step<S> inner{step.time, {&port_, 1}, out_, step.counters, step.analog, step.sample};
        sums_->step(inner);
        scaled(step.out);
        if (node_.bias.empty()) return;
        if (step.out.silent()) step.out.write_dense();
        step.out.set_bias(node_.bias.span(), node_.layout.block);
    }

private:
    // What arrives has a layout of its own, known with the first step.
    void begin(const Layout& source) {
        in_scratch_ = std::make_unique<Scratch<S>>(source.size, kernels<S>(isa_));      // it may be larger than the sums
        in_ = std::make_unique<Slot<S>>(source, *in_scratch_, kernels<S>(isa_));
        port_.terms = {in_.get()};
        port_.kernels = &kernels<S>(isa_);
    }

    int64_t integer(float x) const { return integer_of(node_.name, x, node_.largest); }

    // A dense value as it is; false where it holds what is no integer to be summed.
    bool whole(Slot<float>& from) {
        if constexpr (std::is_same_v<S, int32_t>) {
            const float* const values = from.dense();
            in_->open_dense();
            in_->touch_all();
            return casts_.whole(in_->sums(), values, static_cast<float>(node_.largest), from.layout->size);
        }
        return false;
    }

    void whole(const Events<float>& from, Events<S>& to) const {
        to.index.assign(from.index.span());
        to.unit = from.unit;
        if (from.unit) return;
        for (const float x : from.value) to.value.push(static_cast<S>(integer(x)));
    }

    void scaled(Slot<float>& out) {
        if (out_.silent()) return out.clear();
        out_.prepare_dense();
        float* const to = out.write_dense();
        const Layout& layout = node_.layout;
        for (int32_t b = 0; b < layout.blocks; ++b) {
            if (!out_.active(b)) continue;
            casts_.template scaled<S>()(to + layout.first(b), const_cast<S*>(out_.block(b)), node_.scale, layout.length(b));
            out.touch(b);
        }
    }

    const CodedNode<S>& node_;
    Isa isa_;
    const CastKernels& casts_;
    Scratch<S> scratch_;
    Slot<S> out_;
    std::unique_ptr<Scratch<S>> in_scratch_;
    std::unique_ptr<Slot<S>> in_;
    Port<S> port_;
    std::unique_ptr<Runner<S>> sums_;
};

template <class S>
std::unique_ptr<Runner<float>> CodedNode<S>::runner(const Context<float>& context) const {
    return std::make_unique<CodedRunner<S>>(*this, context);
}

}  // namespace

template <class S>
std::unique_ptr<Node<float>> make_coded(std::unique_ptr<Node<S>> sums, const CodeSums& of, std::span<const float> bias) {
    require(sums->has_synapses(), sums->name, "codes of a node that adds no weights");
    require(of.scale > 0, sums->name, "a scale that is not above 0");
    require(of.largest >= 0 && of.largest <= (1 << 24), sums->name, "values that float32 does not hold as integers");
    if (auto* const rows = dynamic_cast<Countable<S>*>(sums.get())) return rows->counted(of, bias);
    return std::make_unique<CodedNode<S>>(std::move(sums), of.scale, of.largest, bias);
}

template std::unique_ptr<Node<float>> make_coded<int32_t>(std::unique_ptr<Node<int32_t>>, const CodeSums&, std::span<const float>);
template std::unique_ptr<Node<float>> make_coded<int64_t>(std::unique_ptr<Node<int64_t>>, const CodeSums&, std::span<const float>);

}  // namespace spikeflow
