// What nodes have in common whose synapses are rows of targets: what arrives is filed, remembered and delivered when due.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "coded.hpp"
#include "delivery.hpp"
#include "node.hpp"

namespace spikeflow {

template <class V, class W>
class RowNode : public Node<V> {
public:
    RowNode(const std::string& name, Layout layout) : Node<V>(name, std::move(layout), 1) {}

    void check_source(std::size_t, const Layout& source) const override {
        const bool fits = in_shape.empty() ? source.size == rows.sources() : source.shape == in_shape;
        require(fits, this->name, "a source of another shape");
    }
    bool repeats() const override { return rows.longest == 0; }
    bool shares() const override { return !this->layout.permuted; }
    bool hands_on_sums() const override { return true; }
    int32_t shortest_delay() const override { return rows.shortest; }

    Shape in_shape;                      // exactly this; empty: any of the right size
    Rows<W> rows;
    Buffer<V> bias;
    int64_t largest = 0;                 // magnitude that may arrive, where integers are asked for
};

// The values that arrived in the last steps.
template <class V>
class Past {
public:
    explicit Past(int32_t steps) : events_(static_cast<std::size_t>(steps)) {}

    const Events<V>& at(int64_t time) const { return events_[static_cast<std::size_t>(time) % events_.size()]; }
    Events<V>& at(int64_t time) { return events_[static_cast<std::size_t>(time) % events_.size()]; }
    void clear() {
        for (Events<V>& events : events_) events.clear();
    }

private:
    std::vector<Events<V>> events_;      // of step t in events_[t % size]
};

// V: type of the values between nodes; A: of the sums, which take integers where it is another.
template <class V, class A, class W>
class RowRunner : public Runner<V> {
public:
    RowRunner(const RowNode<V, W>& node, const Context<V>& context)
        : node_(node), share_(context.share), first_(share_.first_block(node.layout)), last_(share_.last_block(node.layout)),
          past_(node.rows.longest + 1), delivery_(node.rows, context.share) {}

    void reset() override {
        past_.clear();
        delivery_.reset();
        filed_ = noted_ = 0;
    }

    // What arrived in the last steps, newest first, and is still to be delivered: `steps` rows of all sources.
    std::size_t memories() const override { return node_.rows.longest == 0 ? 0 : 1; }
    void save(std::size_t, int64_t time, std::span<Stored<V>> to) const override {
        const std::size_t steps = check_past(to.size());
        if (!share_.leads) return;
        std::fill(to.begin(), to.end(), Stored<V>{0});
        for (std::size_t age = 0; age < steps && static_cast<int64_t>(age) < time; ++age) {
            const Events<V>& events = past_.at(time - 1 - static_cast<int64_t>(age));
            for (std::size_t e = 0; e < events.size(); ++e) {
                const auto source = static_cast<std::size_t>(events.index[e]);
                if (node_.rows.reach(source) > static_cast<int32_t>(age)) to[age * sources() + source] = static_cast<Stored<V>>(events.at(e));
            }
        }
    }
    void load(std::size_t, int64_t time, std::span<const Stored<V>> from) override {
        for (std::size_t age = check_past(from.size()); age-- > 0;) {
            const int64_t emitted = time - 1 - static_cast<int64_t>(age);
            if (emitted < 0) continue;
            Events<V>& events = past_.at(emitted);
            for (std::size_t i = 0; i < sources(); ++i) {
                const auto value = static_cast<V>(from[age * sources() + i]);
                if (value == V{0}) continue;
                events.index.push(static_cast<int32_t>(i));
                events.value.push(value);
                delivery_.file(static_cast<int32_t>(i), entering(value), emitted, time);
            }
            events.settle();
        }
        filed_ = noted_ = time;
    }

    // What arrives is noted. Where the shortest delay lets it wait, several steps may be opened before the next is run.
    void open(Step<V>& step) override {
        const Events<V>& events = step.ports[0].value().events();
        if (share_.leads)
            count_operations(events, step.analog, step.counters, [this](int32_t i) { return int64_t{node_.rows.fan[static_cast<std::size_t>(i)]}; });
        past_.at(step.time).assign(events);
        if (filed_ == noted_) filed_ = step.time;
        noted_ = step.time + 1;
        if (share_.leads && share_.count > 1) open_value(step.out);
    }

    void step(Step<V>& step) override {
        if (share_.count == 1) open(step);
        for (; filed_ < noted_; ++filed_) {
            const Events<V>& events = past_.at(filed_);
            for (std::size_t e = 0; e < events.size(); ++e)
                delivery_.file(events.index[e], events.unit ? A{1} : entering(events.value[e]), filed_, step.time);
        }
        if (share_.count == 1) {
            if (delivery_.synapses(step.time) == 0 && node_.bias.empty()) return step.out.clear();
            open_value(step.out);
        }
        deliver(step.time, step.out);
    }

protected:
    // Add what is due to the sums of this share's targets and hand them on in its blocks of a dense value.
    virtual void deliver(int64_t time, Slot<V>& out) = 0;

    // Where to mark the blocks that are met in a step; null where it is quicker to take all for met.
    uint8_t* marks(int64_t time, uint8_t* blocks) {
        const bool few = delivery_.synapses(time) < 8 * static_cast<std::size_t>(last_ - first_);
        if (few && node_.layout.block == kBlock) return blocks;
        std::fill(blocks + first_, blocks + last_, uint8_t{1});
        return nullptr;
    }

    const RowNode<V, W>& node_;
    Share share_;
    int32_t first_, last_;               // blocks of the share
    Past<V> past_;
    Delivery<A, W> delivery_;
    int64_t filed_ = 0, noted_ = 0;      // what arrived before these steps

private:
    std::size_t sources() const { return static_cast<std::size_t>(node_.rows.sources()); }
    std::size_t check_past(std::size_t count) const {
        if (count % sources() != 0 || count / sources() > static_cast<std::size_t>(node_.rows.longest)) throw Error(Fault::simulation, node_.name, "a past of another size");
        return count / sources();
    }
    A entering(V value) const {
        if constexpr (std::is_same_v<A, V>) return value;
        else return static_cast<A>(integer_of(node_.name, value, node_.largest));
    }

    void open_value(Slot<V>& out) const {
        out.open_dense();
        if (!node_.bias.empty()) out.set_bias(node_.bias.span(), node_.layout.block);
    }
};

}  // namespace spikeflow
