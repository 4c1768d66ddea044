#include "synapses.hpp"

#include <algorithm>
#include <cmath>

#include "sparse.hpp"

namespace spikeflow {
namespace {

// Rows of weight type W: the weights of one source to all targets.
template <class V, class W>
class LinearNode final : public Node<V> {
public:
    LinearNode(const std::string& name, Layout layout) : Node<V>(name, std::move(layout), 1) {}

    void check_source(std::size_t, const Layout& source) const override {
        require(source.size == sources, this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override;
    bool repeats() const override { return longest == 0; }
    bool has_synapses() const override { return true; }

    int32_t sources = 0, exponent = 0, longest = 0;
    std::vector<int32_t> delay;          // of each source; empty where nothing is delayed
    Buffer<W> weights;                   // (source, target)
    Buffer<V> bias;
};

// Sources due in one step, in the order in which they are added.
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
class LinearRunner final : public Runner<V> {
public:
    LinearRunner(const LinearNode<V, W>& node, const Context<V>& context)
        : node_(node), rows_(row_kernels<V, W>(context.isa)), kernels_(kernels<V>(context.isa)),
          ring_(node.repeats() ? 0 : static_cast<std::size_t>(node.longest) + 1) {}

    void reset() override {
        for (Due<V>& due : ring_) due.clear();
    }

    // What arrived in the last steps, newest first, and is still to be delivered: `steps` rows of all sources.
    std::size_t memories() const override { return ring_.empty() ? 0 : 1; }
    void save(std::size_t, int64_t time, std::span<Stored<V>> to) const override {
        const std::size_t steps = check_past(to.size());
        std::fill(to.begin(), to.end(), Stored<V>{0});
        for (int64_t due = time; due < time + static_cast<int64_t>(ring_.size()); ++due) {
            const Due<V>& rows = ring_[static_cast<std::size_t>(due) % ring_.size()];
            for (std::size_t k = 0; k < rows.row.size(); ++k) {
                const auto age = static_cast<std::size_t>(time - 1 - (due - rows.delay[k]));
                if (age >= steps) throw Error(Fault::simulation, node_.name, "a past that is too short");
                to[age * sources() + static_cast<std::size_t>(rows.row[k])] = static_cast<Stored<V>>(rows.value[k]);
            }
        }
    }
    void load(std::size_t, int64_t time, std::span<const Stored<V>> from) override {
        for (std::size_t age = check_past(from.size()); age-- > 0;)
            for (std::size_t i = 0; i < sources(); ++i) {
                const auto value = static_cast<V>(from[age * sources() + i]);
                if (value != V{0}) file(static_cast<int32_t>(i), value, time - 1 - static_cast<int64_t>(age), time);
            }
    }

    void step(Step<V>& step) override {
        Slot<V>& in = step.ports[0].value();
        const Events<V>& events = in.events();
        count_operations(events, step.analog, step.counters, [this](int32_t) { return node_.layout.size; });
        if (ring_.empty()) deliver_now(events, step.out);
        else {
            const int64_t now = step.time;
            for (std::size_t e = 0; e < events.size(); ++e) file(events.index[e], events.at(e), now, now);
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
        rows_.dense(to, node_.layout.size, node_.weights.data(), events.index.data(),
                    events.unit ? nullptr : events.value.data(), static_cast<int64_t>(events.size()));
        if (node_.exponent != 0) kernels_.shift(to, node_.layout.size, node_.exponent);
    }

    // A value emitted at some step is filed under the step, `now` or later, in which it is due.
    void file(int32_t source, V value, int64_t emitted, int64_t now) {
        const int32_t delay = node_.delay[static_cast<std::size_t>(source)];
        if (emitted + delay >= now) ring_[static_cast<std::size_t>(emitted + delay) % ring_.size()].file(source, delay, value);
    }

    std::size_t sources() const { return static_cast<std::size_t>(node_.sources); }
    std::size_t check_past(std::size_t count) const {
        const bool fits = count % sources() == 0 && count / sources() <= static_cast<std::size_t>(node_.longest);
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
        rows_.dense(to, node_.layout.size, node_.weights.data(), due.row.data() + first,
                    due.unit ? nullptr : due.value.data() + first, static_cast<int64_t>(last - first));
    }

    const LinearNode<V, W>& node_;
    const RowKernels<V, W>& rows_;
    const Kernels<V>& kernels_;
    std::vector<Due<V>> ring_;
    Buffer<V> slot_;
};

template <class V, class W>
std::unique_ptr<Runner<V>> LinearNode<V, W>::runner(const Context<V>& context) const {
    return std::make_unique<LinearRunner<V, W>>(*this, context);
}

template <class V, class W>
void transpose(LinearNode<V, W>& node, std::span<const WeightOf<V>> weights, int32_t out) {
    const auto rows = static_cast<std::size_t>(out), columns = static_cast<std::size_t>(node.sources);
    node.weights.resize(rows * columns);
    constexpr std::size_t tile = 32;
    for (std::size_t j0 = 0; j0 < rows; j0 += tile)
        for (std::size_t i0 = 0; i0 < columns; i0 += tile)
            for (std::size_t i = i0; i < std::min(i0 + tile, columns); ++i)
                for (std::size_t j = j0; j < std::min(j0 + tile, rows); ++j)
                    node.weights[i * rows + j] = static_cast<W>(weights[j * columns + i]);
}

}  // namespace

DelayRange delays_of(const std::string& name, const Integers& delays) {
    if (delays.empty()) return {0, 0};
    int64_t shortest = kMaxDelay, longest = 0;
    for (std::size_t i = 0; i < delays.size(); ++i) {
        require(delays[i] >= 0 && delays[i] < kMaxDelay, name, "a delay outside 0 to 2**20 - 1");
        shortest = std::min(shortest, delays[i]);
        longest = std::max(longest, delays[i]);
    }
    return {static_cast<int32_t>(shortest), static_cast<int32_t>(longest)};
}

template <class V>
std::unique_ptr<Node<V>> make_linear(const std::string& name, int32_t sources, const Shape& out, const SynapseText<V>& text) {
    const Layout layout(out, name);
    require(sources >= 1, name, "no sources");
    const auto count = static_cast<std::size_t>(sources) * static_cast<std::size_t>(layout.size);
    require(text.weights.size() == count, name, "a weight of another size");
    require(std::abs(text.exponent) <= 62, name, "an exponent beyond 62");
    const std::size_t d = text.delays.size();
    require(d == 0 || d == static_cast<std::size_t>(sources) || d == count, name, "delays of another size");
    const int32_t longest = delays_of(name, text.delays).longest;
    if (d == count && d != static_cast<std::size_t>(sources) && longest > 0) return make_delayed_linear<V>(name, sources, layout, text);
    return with_weight_type<V>(text.weights, [&](auto kind) -> std::unique_ptr<Node<V>> {
        auto node = std::make_unique<LinearNode<V, decltype(kind)>>(name, layout);
        node->sources = sources;
        node->exponent = text.exponent;
        node->bias = physical_bias<V>(name, layout, text.bias);
        transpose(*node, text.weights, layout.size);
        node->longest = longest;
        for (std::size_t i = 0; longest > 0 && i < d; ++i) node->delay.push_back(static_cast<int32_t>(text.delays[i]));
        return node;
    });
}

template std::unique_ptr<Node<float>> make_linear(const std::string&, int32_t, const Shape&, const SynapseText<float>&);
template std::unique_ptr<Node<int32_t>> make_linear(const std::string&, int32_t, const Shape&, const SynapseText<int32_t>&);
template std::unique_ptr<Node<int64_t>> make_linear(const std::string&, int32_t, const Shape&, const SynapseText<int64_t>&);

}  // namespace spikeflow
