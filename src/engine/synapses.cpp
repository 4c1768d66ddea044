#include "synapses.hpp"

#include <algorithm>

namespace spikeflow {
namespace {

constexpr int32_t kMaxDelay = 1 << 20;

// The rows of one node: row r serves source `source[r]` after `delay[r]` steps.
struct Rows {
    std::vector<int64_t> of_source;      // rows of source i: of_source[i] to of_source[i + 1], largest delay not first
    std::vector<int32_t> delay;
    int32_t longest = 0;
};

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
        return dense ? this->layout.size : fan[static_cast<std::size_t>(source) + 1] - fan[static_cast<std::size_t>(source)];
    }
    void add_row(V* to, int64_t row, V value) const;

    Shape in_shape;                      // Sparse: exactly this; Linear: any of the right size
    int32_t sources = 0, exponent = 0;
    bool dense = true, constant = false;
    Rows rows;                           // where nothing is delayed and all is dense, row = source and this is empty
    std::vector<int64_t> fan;            // Sparse: synapses before each source
    std::vector<int64_t> start;          // Sparse: synapses of row r: start[r] to start[r + 1]
    Buffer<int32_t> targets;             // Sparse: physical
    Buffer<W> weights;
    Buffer<V> bias;
};

template <class V, class W>
void SynapseNode<V, W>::add_row(V* to, int64_t row, V value) const {
    const auto first = static_cast<std::size_t>(start[static_cast<std::size_t>(row)]);
    const auto last = static_cast<std::size_t>(start[static_cast<std::size_t>(row) + 1]);
    if (constant) {
        const V product = static_cast<V>(static_cast<V>(weights[0]) * value);
        for (std::size_t s = first; s < last; ++s) to[targets[s]] += product;
    } else {
        for (std::size_t s = first; s < last; ++s) to[targets[s]] += static_cast<V>(static_cast<V>(weights[s]) * value);
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

    void step(Step<V>& step) override {
        Slot<V>& in = step.ports[0].value();
        const Events<V>& events = in.events();
        count_operations(events, step.analog, step.counters, [this](int32_t i) { return node_.fan_out(i); });
        if (ring_.empty()) deliver_now(events, step.out);
        else {
            file(events, step.time);
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

    void file(const Events<V>& events, int32_t time) {
        const Rows& rows = node_.rows;
        for (std::size_t e = 0; e < events.size(); ++e) {
            const auto source = static_cast<std::size_t>(events.index[e]);
            for (int64_t r = rows.of_source[source]; r < rows.of_source[source + 1]; ++r) {
                const int32_t delay = rows.delay[static_cast<std::size_t>(r)];
                const std::size_t at = (static_cast<std::size_t>(time) + static_cast<std::size_t>(delay)) % ring_.size();
                ring_[at].file(static_cast<int32_t>(r), delay, events.at(e));
            }
        }
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

int32_t longest_delay(const std::string& name, std::span<const int32_t> delays) {
    int32_t longest = 0;
    for (const int32_t d : delays) {
        require(d >= 0 && d < kMaxDelay, name, "a delay outside 0 to 2**20 - 1");
        longest = std::max(longest, d);
    }
    return longest;
}

// Synapses of one source, before they are grouped into rows.
struct Group {
    std::vector<int64_t> order;          // synapses, by row
    Rows rows;
    std::vector<int64_t> start;
};

// Cut each source's synapses (indptr) into rows of one delay, in stored order within a row.
template <class DelayOf>
Group group_by_delay(std::span<const int64_t> indptr, DelayOf delay_of) {
    Group group;
    group.rows.of_source.push_back(0);
    group.start.push_back(0);
    std::vector<int64_t> row;
    for (std::size_t i = 0; i + 1 < indptr.size(); ++i) {
        row.clear();
        for (int64_t s = indptr[i]; s < indptr[i + 1]; ++s) row.push_back(s);
        std::stable_sort(row.begin(), row.end(), [&](int64_t a, int64_t b) { return delay_of(a, i) < delay_of(b, i); });
        for (std::size_t k = 0; k < row.size(); ++k) {
            const int32_t delay = delay_of(row[k], i);
            if (k == 0 || delay != group.rows.delay.back()) {
                group.rows.delay.push_back(delay);
                group.start.push_back(group.start.back());
            }
            ++group.start.back();
            group.order.push_back(row[k]);
        }
        group.rows.of_source.push_back(static_cast<int64_t>(group.rows.delay.size()));
    }
    return group;
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

template <class V, class W>
void take_rows(SynapseNode<V, W>& node, std::span<const int64_t> indptr, std::span<const int32_t> targets,
               const SynapseText<V>& text) {
    const auto sources = static_cast<std::size_t>(node.sources);
    const bool by_source = text.delays.size() == sources;
    node.dense = false;
    node.constant = text.weights.size() == 1;
    node.fan.assign(indptr.begin(), indptr.end());
    const auto delay_of = [&](int64_t synapse, std::size_t source) {
        return text.delays.empty() ? 0 : text.delays[by_source ? source : static_cast<std::size_t>(synapse)];
    };
    Group group;
    const int32_t longest = longest_delay(node.name, text.delays);
    if (longest == 0) {
        node.start = node.fan;          // row = source, empty ones too, in stored order
    } else {
        group = group_by_delay(indptr, delay_of);
        node.start = std::move(group.start);
        node.rows = std::move(group.rows);
        node.rows.longest = longest;
    }
    node.targets.resize(targets.size());
    node.weights.resize(node.constant ? 1 : targets.size());
    if (node.constant) node.weights[0] = static_cast<W>(text.weights[0]);
    for (std::size_t k = 0; k < targets.size(); ++k) {
        const std::size_t s = longest == 0 ? k : static_cast<std::size_t>(group.order[k]);
        node.targets[k] = node.layout.physical(targets[s]);
        if (!node.constant) node.weights[k] = static_cast<W>(text.weights[s]);
    }
}

void check_rows(const std::string& name, int32_t sources, int32_t out, std::span<const int64_t> indptr,
                std::span<const int32_t> targets) {
    require(indptr.size() == static_cast<std::size_t>(sources) + 1 && indptr[0] == 0, name, "row pointers that do not fit its sources");
    require(std::is_sorted(indptr.begin(), indptr.end()), name, "row pointers that fall");
    require(static_cast<std::size_t>(indptr.back()) == targets.size() && targets.size() < INT32_MAX, name, "row pointers that do not end at its synapses");
    for (const int32_t t : targets) require(t >= 0 && t < out, name, "a synapse to a target that does not exist");
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
            node->rows.delay.assign(text.delays.begin(), text.delays.end());
            for (int64_t i = 0; i <= sources; ++i) node->rows.of_source.push_back(i);
        } else if (d == count && longest > 0) {
            std::vector<int64_t> indptr;
            for (int64_t i = 0; i <= sources; ++i) indptr.push_back(i * layout.size);
            std::vector<int32_t> targets(count), delays(count);
            std::vector<WeightOf<V>> weights(count);
            const auto n = static_cast<std::size_t>(layout.size);
            for (std::size_t s = 0; s < count; ++s) {
                targets[s] = static_cast<int32_t>(s % n);
                delays[s] = text.delays[s % n * static_cast<std::size_t>(sources) + s / n];
                weights[s] = text.weights[s % n * static_cast<std::size_t>(sources) + s / n];
            }
            SynapseText<V> rows = text;
            rows.delays = delays;
            rows.weights = weights;
            require(count < INT32_MAX, name, "too many synapses with delays");
            take_rows(*node, indptr, targets, rows);
        }
        return node;
    });
}

template <class V>
std::unique_ptr<Node<V>> make_sparse(const std::string& name, const Shape& in, const Shape& out, std::span<const int64_t> indptr,
                                     std::span<const int32_t> targets, const SynapseText<V>& text) {
    const Layout source(in, name), layout(out, name);
    check_rows(name, source.size, layout.size, indptr, targets);
    require(text.weights.size() == targets.size() || text.weights.size() == 1, name, "weights that do not fit its synapses");
    require(std::abs(text.exponent) <= 62, name, "an exponent beyond 62");
    const std::size_t d = text.delays.size();
    require(d == 0 || d == static_cast<std::size_t>(source.size) || d == targets.size(), name, "delays of another size");
    longest_delay(name, text.delays);
    return with_weight_type<V>(text.weights, [&](auto kind) -> std::unique_ptr<Node<V>> {
        auto node = std::make_unique<SynapseNode<V, decltype(kind)>>(name, layout);
        node->sources = source.size;
        node->in_shape = in;
        node->exponent = text.exponent;
        node->bias = physical_bias<V>(name, layout, text.bias);
        take_rows(*node, indptr, targets, text);
        return node;
    });
}

#define SF_MAKE(V)                                                                                                      \
    template std::unique_ptr<Node<V>> make_linear<V>(const std::string&, int32_t, const Shape&, const SynapseText<V>&); \
    template std::unique_ptr<Node<V>> make_sparse<V>(const std::string&, const Shape&, const Shape&,                    \
                                                     std::span<const int64_t>, std::span<const int32_t>, const SynapseText<V>&);
SF_MAKE(float)
SF_MAKE(int32_t)
SF_MAKE(int64_t)

}  // namespace spikeflow
