#include "sparse.hpp"

#include <algorithm>
#include <cmath>

#include "counted.hpp"
#include "row_node.hpp"
#include "synapse_lists.hpp"

namespace spikeflow {
namespace {

template <class V, class W>
class SparseNode final : public RowNode<V, W>, public Countable<V> {
public:
    using RowNode<V, W>::RowNode;

    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override;
    std::unique_ptr<Node<float>> counted(const CodeSums& sums, std::span<const float> bias_of_sums) override {
        if constexpr (std::is_same_v<V, float>) return nullptr;
        else {
            CountedText<W> text{this->name, this->layout, this->in_shape, std::move(this->rows), physical_bias<float>(this->name, this->layout, bias_of_sums)};
            return make_counted<W>(std::move(text), sums);
        }
    }

    int32_t exponent = 0;
};

template <class V, class W>
class SparseRunner final : public RowRunner<V, V, W> {
public:
    SparseRunner(const SparseNode<V, W>& node, const Context<V>& context)
        : RowRunner<V, V, W>(node, context, node.exponent < 0), exponent_(node.exponent), kernels_(kernels<V>(context.isa)) {}

protected:
    void deliver(int64_t time, Slot<V>& out) override {
        V* const sums = out.clear_blocks(this->first_, this->last_);
        if (this->delivery_.synapses(time) == 0) return;
        if (exponent_ >= 0) {
            this->delivery_.deliver(time, sums, this->marks(time, out.active_blocks()));
            if (exponent_ > 0) shift_blocks(sums, out);
            return;
        }
        // a shift to the right is floored once for each delay
        std::fill(out.active_blocks() + this->first_, out.active_blocks() + this->last_, uint8_t{1});
        slot_.resize(static_cast<std::size_t>(this->node_.layout.size));
        this->delivery_.deliver_by_delay(time, [&](int32_t first, int32_t count, auto add) {
            V* const slot = slot_.data() + first;
            std::fill_n(slot, count, V{0});
            add(slot);
            kernels_.shift(slot, count, exponent_);
            kernels_.add(sums + first, sums + first, slot, count);
        });
    }

private:
    void shift_blocks(V* sums, const Slot<V>& out) const {
        const Layout& layout = this->node_.layout;
        for (int32_t b = this->first_; b < this->last_; ++b)
            if (out.active(b)) kernels_.shift(sums + layout.first(b), layout.length(b), exponent_);
    }

    int32_t exponent_;
    const Kernels<V>& kernels_;
    Buffer<V> slot_;
};

template <class V, class W>
std::unique_ptr<Runner<V>> SparseNode<V, W>::runner(const Context<V>& context) const {
    return std::make_unique<SparseRunner<V, W>>(*this, context);
}

void check_rows(const std::string& name, int32_t sources, int32_t out, const Integers& indptr, const Integers& targets) {
    require(indptr.size() == static_cast<std::size_t>(sources) + 1 && indptr[0] == 0, name, "row pointers that do not fit its sources");
    for (std::size_t i = 0; i + 1 < indptr.size(); ++i) require(indptr[i] <= indptr[i + 1], name, "row pointers that fall");
    require(static_cast<std::size_t>(indptr[indptr.size() - 1]) == targets.size() && targets.size() < INT32_MAX, name, "row pointers that do not end at its synapses");
    for (std::size_t s = 0; s < targets.size(); ++s) require(targets[s] >= 0 && targets[s] < out, name, "a synapse to a target that does not exist");
}

void check_scope(const std::string& name, Scope scope, std::size_t sources, std::size_t synapses, std::size_t given) {
    const bool known = scope == Scope::one || scope == Scope::source || scope == Scope::synapse;
    require(known && given == (scope == Scope::one ? 1 : scope == Scope::source ? sources : synapses), name, "weights or delays that do not fit what they are for");
}

template <class V, class W>
std::unique_ptr<SparseNode<V, W>> sparse_node(const std::string& name, const Layout& layout, const Shape& in, std::span<const V> bias) {
    auto node = std::make_unique<SparseNode<V, W>>(name, layout);
    node->in_shape = in;
    node->take_bias(physical_bias<V>(name, layout, bias));
    return node;
}

// Before any is drawn: a number that no memory holds is found at once.
void expect_room(const std::string& name, const std::vector<Projection>& projections, int32_t targets) {
    double synapses = 0;
    for (const Projection& p : projections) {
        const bool each = p.kind == Projection::Kind::in_degree || p.kind == Projection::Kind::distinct;
        synapses += static_cast<double>(p.count) * (each ? targets : 1);
    }
    require(synapses < INT32_MAX, name, "2**31 - 1 synapses or more");
}

// Targets that lie anywhere in memory stay one share.
Cut cut_of(const Layout& layout, const Cut& cut) { return layout.permuted ? Cut{} : cut; }

}  // namespace

template <class V>
std::unique_ptr<Node<V>> make_sparse(const std::string& name, const Shape& in, const Shape& out, const Integers& indptr,
                                     const Integers& targets, const SynapseText<V>& text) {
    const Layout source(in, name), layout(out, name);
    const auto sources = static_cast<std::size_t>(source.size);
    check_rows(name, source.size, layout.size, indptr, targets);
    check_scope(name, text.weight_scope, sources, targets.size(), text.weights.size());
    if (!text.delays.empty()) check_scope(name, text.delay_scope, sources, targets.size(), text.delays.size());
    require(std::abs(text.exponent) <= 62, name, "an exponent beyond 62");
    const DelayRange range = delays_of(name, text.delays);
    return with_weight_type<V>(text.weights, [&](auto kind) -> std::unique_ptr<Node<V>> {
        using W = decltype(kind);
        auto node = sparse_node<V, W>(name, layout, source.shape, text.bias);
        node->exponent = text.exponent;
        FromList<V, W> from{text, indptr, targets, range.shortest, range.longest};
        if (text.weight_scope != Scope::synapse)
            for (std::size_t i = 0; i < sources; ++i) from.of_source.push_back(static_cast<W>(text.weights[place(text.weight_scope, i, 0)]));
        node->rows = make_rows<W>(layout, name, from, source.size, empty_slices<W>(layout, cut_of(layout, text.cut)), text.go_on);
        return node;
    });
}

template <class V>
std::unique_ptr<Node<V>> make_by_rule(const std::string& name, const Shape& in, const Shape& out, const RuleText<V>& text) {
    const Layout source(in, name), layout(out, name);
    for (const Projection& p : text.projections) p.check(name, source.size, layout.size);
    // weights that are no codes are rounded to no integers
    require((text.bits == 0 && std::is_floating_point_v<V>) || text.bits == 8 || text.bits == 16, name, "codes of an unknown width");
    require(text.scale > 0 && std::isfinite(text.scale), name, "codes without a scale");
    if (text.cut.whole()) expect_room(name, text.projections, layout.size);
    const auto make = [&](auto kind) -> std::unique_ptr<Node<V>> {
        using W = decltype(kind);
        auto node = sparse_node<V, W>(name, layout, source.shape, text.bias);
        node->rows = make_rows<W>(layout, name, FromRules<V, W>(text, source.size, layout.size), source.size, empty_slices<W>(layout, cut_of(layout, text.cut)), text.go_on);
        return node;
    };
    if constexpr (std::is_same_v<V, float>) return make(float{});
    else return text.bits == 8 ? make(int8_t{}) : text.bits == 16 ? make(int16_t{}) : make(int32_t{});
}

namespace {

// f of the weight's type, where such weights can belong to a network of V.
template <class V, class F>
auto with_kept_type(const std::string& name, const KeptRows& kept, F f) {
    if constexpr (std::is_same_v<V, float>) {
        require(kept.weight == weight_word<float>(), name, "kept rows with weights of another type");
        return f(float{});
    } else {
        if (kept.weight == weight_word<int8_t>()) return f(int8_t{});
        if (kept.weight == weight_word<int16_t>()) return f(int16_t{});
        require(kept.weight == weight_word<int32_t>(), name, "kept rows with weights of another type");
        return f(int32_t{});
    }
}

}  // namespace

template <class V>
std::unique_ptr<Node<V>> make_of_kept(const std::string& name, const Shape& in, const Shape& out, const KeptRows& kept,
                                      const SynapseText<V>& text) {
    const Layout source(in, name), layout(out, name);
    require(std::abs(text.exponent) <= 62, name, "an exponent beyond 62");
    return with_kept_type<V>(name, kept, [&](auto kind) -> std::unique_ptr<Node<V>> {
        using W = decltype(kind);
        auto node = sparse_node<V, W>(name, layout, source.shape, text.bias);
        node->exponent = text.exponent;
        node->rows = rows_of_kept<W>(name, layout, source.size, cut_of(layout, text.cut), kept);
        return node;
    });
}

std::vector<int32_t> reach_of_sources(const std::string& name, int32_t sources, int32_t targets, const std::vector<Projection>& projections, Targets among) {
    require(among.first >= 0 && among.first <= among.last && among.last <= targets, name, "targets that do not exist");
    for (const Projection& p : projections) p.check(name, sources, targets);
    const RuleText<float> text{projections, {}, 0, 1, {}};
    std::vector<int32_t> longest(static_cast<std::size_t>(sources), 0);
    FromRules<float, float>(text, sources, targets).each(among, [&](int32_t source, int32_t, float, int32_t delay) {
        int32_t& now = longest[static_cast<std::size_t>(source)];
        now = std::max(now, delay);
    });
    return longest;
}

template <class V>
std::unique_ptr<Node<V>> make_delayed_linear(const std::string& name, int32_t sources, const Layout& layout, const SynapseText<V>& text) {
    const DelayRange range = delays_of(name, text.delays);
    return with_weight_type<V>(text.weights, [&](auto kind) -> std::unique_ptr<Node<V>> {
        using W = decltype(kind);
        auto node = sparse_node<V, W>(name, layout, {}, text.bias);
        node->exponent = text.exponent;
        const FromMatrix<V, W> from{text, sources, layout.size, range.shortest, range.longest};
        node->rows = make_rows<W>(layout, name, from, sources, empty_slices<W>(layout, cut_of(layout, text.cut)), text.go_on);
        return node;
    });
}

#define SF_MAKE(V)                                                                                                  \
    template std::unique_ptr<Node<V>> make_sparse<V>(const std::string&, const Shape&, const Shape&,                \
                                                     const Integers&, const Integers&, const SynapseText<V>&);      \
    template std::unique_ptr<Node<V>> make_of_kept<V>(const std::string&, const Shape&, const Shape&, const KeptRows&, const SynapseText<V>&); \
    template std::unique_ptr<Node<V>> make_by_rule<V>(const std::string&, const Shape&, const Shape&, const RuleText<V>&); \
    template std::unique_ptr<Node<V>> make_delayed_linear<V>(const std::string&, int32_t, const Layout&, const SynapseText<V>&);
SF_MAKE(float)
SF_MAKE(int32_t)
SF_MAKE(int64_t)

}  // namespace spikeflow
