#include "synapses.hpp"

#include <algorithm>
#include <cmath>

#include "rows.hpp"
#include "synapse_lists.hpp"

namespace spikeflow {
namespace {

// Rows of weight type W: whole columns of the matrix where targets are absent, else a list of targets each.
template <class V, class W>
class SynapseNode final : public Node<V> {
public:
    SynapseNode(const std::string& name, Layout layout) : Node<V>(name, std::move(layout), 1) {}

    void check_source(std::size_t, const Layout& source) const override {
        require(in_shape.empty() ? source.size == sources : source.shape == in_shape, this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override;
    bool repeats() const override { return rows.longest == 0; }

    int64_t fan_out(int32_t source) const {
        return dense ? this->layout.size : rows.fan[static_cast<std::size_t>(source) + 1] - rows.fan[static_cast<std::size_t>(source)];
    }
    void add_row(V* to, int64_t row, V value) const;

    Shape in_shape;                      // Sparse: exactly this; Linear: any of the right size
    int32_t sources = 0, exponent = 0;
    bool dense = true;
    Rows<W> rows;                        // where nothing is delayed and all is dense, row = source and this is empty
    Buffer<W> weights;                   // dense: (row, target)
    Buffer<V> bias;
};

template <class V, class W>
void SynapseNode<V, W>::add_row(V* to, int64_t row, V value) const {
    const auto first = static_cast<std::size_t>(rows.start[static_cast<std::size_t>(row)]);
    const auto last = static_cast<std::size_t>(rows.start[static_cast<std::size_t>(row) + 1]);
    const int32_t* const targets = rows.targets.data();
    const W* const weight = rows.weights.data();
    if (rows.by_row) {
        const V product = static_cast<V>(static_cast<V>(weight[row]) * value);
        for (std::size_t s = first; s < last; ++s) to[targets[s]] += product;
    } else {
        for (std::size_t s = first; s < last; ++s) to[targets[s]] += static_cast<V>(static_cast<V>(weight[s]) * value);
    }
}

// Rows due in one step, in the order in which they are added.
template <class V>
struct Due {
    Buffer<int32_t> row, delay;
    Buffer<V> value;
    bool unit = true;

    void clear() {
        row.clear();
        delay.clear();
        value.clear();
        unit = true;
    }
    void file(int32_t which, int32_t after, V v) {
        row.push(which);
        delay.push(after);
        value.push(v);
        unit = unit && v == V{1};
    }
};

template <class V, class W>
class SynapseRunner final : public Runner<V> {
public:
    SynapseRunner(const SynapseNode<V, W>& node, const Context<V>& context)
        : node_(node), rows_(row_kernels<V, W>(context.isa)), kernels_(kernels<V>(context.isa)),
          ring_(node.repeats() ? 0 : static_cast<std::size_t>(node.rows.longest) + 1) {}

    void reset() override {
        for (Due<V>& due : ring_) due.clear();
    }

    // What arrived in the last steps, newest first, and is still to be delivered: `steps` rows of all sources.
    std::size_t memories() const override { return ring_.empty() ? 0 : 1; }
    void save(std::size_t, int64_t time, std::span<Stored<V>> to) const override {
        const std::size_t steps = check_past(to.size());
        const std::vector<int32_t> owner = owners();
        std::fill(to.begin(), to.end(), Stored<V>{0});
        for (int64_t due = time; due < time + static_cast<int64_t>(ring_.size()); ++due) {
            const Due<V>& rows = ring_[static_cast<std::size_t>(due) % ring_.size()];
            for (std::size_t k = 0; k < rows.row.size(); ++k) {
                const auto age = static_cast<std::size_t>(time - 1 - (due - rows.delay[k]));
                if (age >= steps) throw Error(Fault::simulation, node_.name, "a past that is too short");
                const int64_t source = owner.empty() ? source_of(rows.row[k]) : owner[static_cast<std::size_t>(rows.row[k])];
                to[age * sources() + static_cast<std::size_t>(source)] = static_cast<Stored<V>>(rows.value[k]);
            }
        }
    }
    void load(std::size_t, int64_t time, std::span<const Stored<V>> from) override {
        for (std::size_t age = check_past(from.size()); age-- > 0;)
            for (std::size_t i = 0; i < sources(); ++i) {
                const auto value = static_cast<V>(from[age * sources() + i]);
                if (value != V{0}) file<true>(static_cast<int32_t>(i), value, time - 1 - static_cast<int64_t>(age), time);
            }
    }

    void step(Step<V>& step) override {
        Slot<V>& in = step.ports[0].value();
        const Events<V>& events = in.events();
        count_operations(events, step.analog, step.counters, [this](int32_t i) { return node_.fan_out(i); });
        if (ring_.empty()) deliver_now(events, step.out);
        else {
            const int64_t now = step.time;
            for (std::size_t e = 0; e < events.size(); ++e) file<false>(events.index[e], events.at(e), now, now);
            Due<V>& due = ring_[static_cast<std::size_t>(step.time) % ring_.size()];
            deliver_due(due, step.out);
            due.clear();
        }
        if (!node_.bias.empty()) {
            if (step.out.silent()) step.out.write_dense();
            step.out.set_bias(node_.bias.span(), node_.layout.block);
        }
    }

private:
    void deliver_now(const Events<V>& events, Slot<V>& out) {
        if (events.size() == 0) return out.clear();
        V* to = out.write_dense();
        out.touch_all();
        if (node_.dense) {
            rows_.dense(to, node_.layout.size, node_.weights.data(), events.index.data(),
                        events.unit ? nullptr : events.value.data(), static_cast<int64_t>(events.size()));
        } else {
            for (std::size_t e = 0; e < events.size(); ++e) node_.add_row(to, events.index[e], events.at(e));
        }
        if (node_.exponent != 0) kernels_.shift(to, node_.layout.size, node_.exponent);
    }

    // A value emitted at some step is filed under the steps, from `now` on, in which its rows are due.
    template <bool late>
    void file(int32_t index, V value, int64_t emitted, int64_t now) {
        const Rows<W>& rows = node_.rows;
        const auto source = static_cast<std::size_t>(index);
        for (int64_t r = rows.of_source[source]; r < rows.of_source[source + 1]; ++r) {
            const int32_t delay = rows.delay[static_cast<std::size_t>(r)];
            if (late && emitted + delay < now) continue;
            const std::size_t at = static_cast<std::size_t>(emitted + delay) % ring_.size();
            ring_[at].file(static_cast<int32_t>(r), delay, value);
        }
    }

    std::size_t sources() const { return static_cast<std::size_t>(node_.sources); }
    int64_t source_of(int32_t row) const {
        const auto& first = node_.rows.of_source;
        return std::upper_bound(first.begin(), first.end(), int64_t{row}) - first.begin() - 1;
    }
    // The source of every row, where so many are filed that one look each would take longer; else empty.
    std::vector<int32_t> owners() const {
        std::size_t filed = 0;
        for (const Due<V>& due : ring_) filed += due.row.size();
        std::vector<int32_t> owner;
        if (8 * filed < node_.rows.delay.size()) return owner;
        owner.reserve(node_.rows.delay.size());
        for (std::size_t i = 0; i < sources(); ++i)
            owner.resize(static_cast<std::size_t>(node_.rows.of_source[i + 1]), static_cast<int32_t>(i));
        return owner;
    }
    std::size_t check_past(std::size_t count) const {
        const bool fits = count % sources() == 0 && count / sources() <= static_cast<std::size_t>(node_.rows.longest);
        if (!fits) throw Error(Fault::simulation, node_.name, "a past of another size");
        return count / sources();
    }

    void deliver_due(const Due<V>& due, Slot<V>& out) {
        const std::size_t count = due.row.size();
        if (count == 0) return out.clear();
        V* to = out.write_dense();
        out.touch_all();
        if (node_.exponent >= 0) {
            add(due, 0, count, to);
            if (node_.exponent > 0) kernels_.shift(to, node_.layout.size, node_.exponent);
            return;
        }
        // a shift to the right is floored once for each delay
        slot_.resize(static_cast<std::size_t>(node_.layout.size));
        for (std::size_t first = 0, last = 0; first < count; first = last) {
            while (last < count && due.delay[last] == due.delay[first]) ++last;
            std::fill(slot_.begin(), slot_.end(), V{0});
            add(due, first, last, slot_.data());
            kernels_.shift(slot_.data(), node_.layout.size, node_.exponent);
            kernels_.add(to, to, slot_.data(), node_.layout.size);
        }
    }

    void add(const Due<V>& due, std::size_t first, std::size_t last, V* to) {
        if (node_.dense)
            return rows_.dense(to, node_.layout.size, node_.weights.data(), due.row.data() + first,
                               due.unit ? nullptr : due.value.data() + first, static_cast<int64_t>(last - first));
        for (std::size_t k = first; k < last; ++k) node_.add_row(to, due.row[k], due.value[k]);
    }

    const SynapseNode<V, W>& node_;
    const RowKernels<V, W>& rows_;
    const Kernels<V>& kernels_;
    std::vector<Due<V>> ring_;
    Buffer<V> slot_;
};

template <class V, class W>
std::unique_ptr<Runner<V>> SynapseNode<V, W>::runner(const Context<V>& context) const {
    return std::make_unique<SynapseRunner<V, W>>(*this, context);
}

int32_t longest_delay(const std::string& name, const Integers& delays) {
    int64_t longest = 0;
    for (std::size_t i = 0; i < delays.size(); ++i) {
        require(delays[i] >= 0 && delays[i] < kMaxDelay, name, "a delay outside 0 to 2**20 - 1");
        longest = std::max(longest, delays[i]);
    }
    return static_cast<int32_t>(longest);
}

template <class V, class W>
void transpose(SynapseNode<V, W>& node, std::span<const WeightOf<V>> weights, int32_t out) {
    const auto rows = static_cast<std::size_t>(out), columns = static_cast<std::size_t>(node.sources);
    node.weights.resize(rows * columns);
    constexpr std::size_t tile = 32;
    for (std::size_t j0 = 0; j0 < rows; j0 += tile)
        for (std::size_t i0 = 0; i0 < columns; i0 += tile)
            for (std::size_t i = i0; i < std::min(i0 + tile, columns); ++i)
                for (std::size_t j = j0; j < std::min(j0 + tile, rows); ++j)
                    node.weights[i * rows + j] = static_cast<W>(weights[j * columns + i]);
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
std::unique_ptr<SynapseNode<V, W>> listless(const std::string& name, const Layout& layout, const Layout& source, std::span<const V> bias) {
    auto node = std::make_unique<SynapseNode<V, W>>(name, layout);
    node->dense = false;
    node->sources = source.size;
    node->in_shape = source.shape;
    node->bias = physical_bias<V>(name, layout, bias);
    return node;
}

}  // namespace

template <class V>
std::unique_ptr<Node<V>> make_linear(const std::string& name, int32_t sources, const Shape& out, const SynapseText<V>& text) {
    const Layout layout(out, name);
    require(sources >= 1, name, "no sources");
    const auto count = static_cast<std::size_t>(sources) * static_cast<std::size_t>(layout.size);
    require(text.weights.size() == count, name, "a weight of another size");
    require(std::abs(text.exponent) <= 62, name, "an exponent beyond 62");
    const std::size_t d = text.delays.size();
    require(d == 0 || d == static_cast<std::size_t>(sources) || d == count, name, "delays of another size");
    const int32_t longest = longest_delay(name, text.delays);
    return with_weight_type<V>(text.weights, [&](auto kind) -> std::unique_ptr<Node<V>> {
        auto node = std::make_unique<SynapseNode<V, decltype(kind)>>(name, layout);
        node->sources = sources;
        node->exponent = text.exponent;
        node->bias = physical_bias<V>(name, layout, text.bias);
        transpose(*node, text.weights, layout.size);
        if (d == static_cast<std::size_t>(sources) && longest > 0) {
            node->rows.longest = longest;
            for (std::size_t i = 0; i < d; ++i) node->rows.delay.push_back(static_cast<int32_t>(text.delays[i]));
            for (int64_t i = 0; i <= sources; ++i) node->rows.of_source.push_back(i);
        } else if (d == count && longest > 0) {
            node->dense = false;
            node->weights = {};
            node->rows = RowMaker<decltype(kind), FromMatrix<V, decltype(kind)>>(layout, name, {text, sources, layout.size, longest}).make(sources);
        }
        return node;
    });
}

template <class V>
std::unique_ptr<Node<V>> make_sparse(const std::string& name, const Shape& in, const Shape& out, const Integers& indptr,
                                     const Integers& targets, const SynapseText<V>& text) {
    const Layout source(in, name), layout(out, name);
    const auto sources = static_cast<std::size_t>(source.size);
    check_rows(name, source.size, layout.size, indptr, targets);
    check_scope(name, text.weight_scope, sources, targets.size(), text.weights.size());
    if (!text.delays.empty()) check_scope(name, text.delay_scope, sources, targets.size(), text.delays.size());
    require(std::abs(text.exponent) <= 62, name, "an exponent beyond 62");
    const int32_t longest = longest_delay(name, text.delays);
    return with_weight_type<V>(text.weights, [&](auto kind) -> std::unique_ptr<Node<V>> {
        using W = decltype(kind);
        auto node = listless<V, W>(name, layout, source, text.bias);
        node->exponent = text.exponent;
        FromList<V, W> from{text, indptr, targets, longest};
        if (text.weight_scope != Scope::synapse)
            for (std::size_t i = 0; i < sources; ++i) from.of_source.push_back(static_cast<W>(text.weights[place(text.weight_scope, i, 0)]));
        node->rows = RowMaker<W, FromList<V, W>>(layout, name, from).make(source.size);
        return node;
    });
}

template <class V>
std::unique_ptr<Node<V>> make_by_rule(const std::string& name, const Shape& in, const Shape& out, const RuleText<V>& text) {
    const Layout source(in, name), layout(out, name);
    for (const Projection& p : text.projections) p.check(name, source.size, layout.size);
    require((text.bits == 0 || text.bits == 8 || text.bits == 16) && text.scale > 0, name, "codes of an unknown width or scale");
    const auto make = [&](auto kind) -> std::unique_ptr<Node<V>> {
        using W = decltype(kind);
        auto node = listless<V, W>(name, layout, source, text.bias);
        node->rows = RowMaker<W, FromRules<V, W>>(layout, name, {text, source.size, layout.size}).make(source.size);
        return node;
    };
    if constexpr (std::is_same_v<V, float>) return make(float{});
    else if constexpr (std::is_same_v<V, int64_t>) return make(int32_t{});
    else return text.bits == 8 ? make(int8_t{}) : text.bits == 16 ? make(int16_t{}) : make(int32_t{});
}

std::vector<int32_t> reach_of_sources(const std::string& name, int32_t sources, int32_t targets, const std::vector<Projection>& projections) {
    for (const Projection& p : projections) p.check(name, sources, targets);
    const RuleText<float> text{projections, {}, 0, 1};
    std::vector<int32_t> longest(static_cast<std::size_t>(sources), 0);
    FromRules<float, float>(text, sources, targets).each([&](int32_t source, int32_t, float, int32_t delay) {
        int32_t& now = longest[static_cast<std::size_t>(source)];
        now = std::max(now, delay);
    });
    return longest;
}

#define SF_MAKE(V)                                                                                                      \
    template std::unique_ptr<Node<V>> make_linear<V>(const std::string&, int32_t, const Shape&, const SynapseText<V>&); \
    template std::unique_ptr<Node<V>> make_sparse<V>(const std::string&, const Shape&, const Shape&,                    \
                                                     const Integers&, const Integers&, const SynapseText<V>&);          \
    template std::unique_ptr<Node<V>> make_by_rule<V>(const std::string&, const Shape&, const Shape&, const RuleText<V>&);
SF_MAKE(float)
SF_MAKE(int32_t)
SF_MAKE(int64_t)

}  // namespace spikeflow
