// What nodes have in common whose synapses are rows of targets: what arrives is filed, remembered and delivered when due.
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "coded.hpp"
#include "delivery.hpp"
#include "kept_rows.hpp"
#include "node.hpp"

namespace spikeflow {

// What is delivered later than it arrives is remembered until then.
template <class V>
class ArrivalNode : public Node<V> {
public:
    ArrivalNode(const std::string& name, Layout layout) : Node<V>(name, std::move(layout), 1) {}

    void check_source(std::size_t, const Layout& source) const override {
        const bool fits = in_shape.empty() ? static_cast<std::size_t>(source.size) == fan().size() : source.shape == in_shape;
        require(fits, this->name, "a source of another shape");
    }
    bool has_synapses() const override { return true; }
    bool shares() const override { return !this->layout.permuted; }
    bool hands_on_sums() const override { return true; }

    // In physical order. Where all are equal a block of them is kept, which stays in the cache.
    void take_bias(Buffer<V> all) {
        const auto block = static_cast<std::size_t>(this->layout.block);
        const bool equal = std::all_of(all.begin(), all.end(), [&all](V one) { return one == all[0]; });
        if (equal && all.size() > block) all.resize(block);
        bias_step = all.size() <= block ? 0 : this->layout.block;
        bias = std::move(all);
    }

    virtual std::span<const uint32_t> fan() const = 0;                  // synapses of each source
    virtual int32_t longest() const = 0;                                // delay
    virtual int32_t reach(std::size_t source) const = 0;                // the longest of a source

    Shape in_shape;                      // exactly this; empty: any of the right size
    Buffer<V> bias;
    int32_t bias_step = 0;               // from block to block; 0 where one serves all
    int64_t largest = 0;                 // magnitude that may arrive, where integers are asked for
};

template <class V, class W>
class RowNode : public ArrivalNode<V>, public Keeps {
public:
    using ArrivalNode<V>::ArrivalNode;

    bool repeats() const override { return rows.longest == 0; }
    int32_t shortest_delay() const override { return rows.shortest; }
    std::span<const uint32_t> fan() const override { return rows.fan; }
    int32_t longest() const override { return rows.longest; }
    int32_t reach(std::size_t source) const override { return rows.reach(source); }
    KeptRows kept() const override { return kept_of(rows); }
    std::vector<int32_t> reaches() const override {
        std::vector<int32_t> longest_of;
        for (std::size_t i = 0; i < rows.fan.size(); ++i) longest_of.push_back(rows.reach(i));
        return longest_of;
    }

    Rows<W> rows;
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

// What arrives is counted, noted and remembered. V: type of the values between nodes; A: of the sums, which take integers
// where it is another.
template <class V, class A>
class Arrivals : public Runner<V> {
public:
    Arrivals(const ArrivalNode<V>& node, Share share)
        : share_(share), first_(share.first_block(node.layout)), last_(share.last_block(node.layout)), arrives_at_(node), past_(node.longest() + 1) {}

    void reset() override {
        past_.clear();
        filed_ = noted_ = 0;
    }

    // What arrived in the last steps, newest first, and is still to be delivered: `steps` rows of all sources.
    std::size_t memories() const override { return arrives_at_.longest() == 0 ? 0 : 1; }
    void save(std::size_t, int64_t time, std::span<Stored<V>> to) const override {
        const std::size_t steps = check_past(to.size());
        if (!share_.leads) return;
        std::fill(to.begin(), to.end(), Stored<V>{0});
        for (std::size_t age = 0; age < steps && static_cast<int64_t>(age) < time; ++age) {
            const Events<V>& events = past_.at(time - 1 - static_cast<int64_t>(age));
            for (std::size_t e = 0; e < events.size(); ++e) {
                const auto source = static_cast<std::size_t>(events.index[e]);
                if (arrives_at_.reach(source) > static_cast<int32_t>(age)) to[age * sources() + source] = static_cast<Stored<V>>(events.at(e));
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
                refile(static_cast<int32_t>(i), entering(value), emitted, time);
            }
            events.settle();
        }
        filed_ = noted_ = time;
    }

    // What arrives is noted. Where the shortest delay lets it wait, several steps may be opened before the next is run.
    void open(Step<V>& step) override {
        const Events<V>& events = step.ports[0].value().events();
        if (share_.leads) {
            const std::span<const uint32_t> fan = arrives_at_.fan();
            count_operations(events, step.analog, step.counters, [fan](int32_t i) { return int64_t{fan[static_cast<std::size_t>(i)]}; });
        }
        past_.at(step.time).assign(events);
        if (filed_ == noted_) filed_ = step.time;
        noted_ = step.time + 1;
        if (share_.leads && share_.count > 1) open_value(step.out);
    }

    // f(source, value, step in which it arrived) for what has been noted since the last time.
    template <class F>
    void take_noted(F f) {
        for (; filed_ < noted_; ++filed_) {
            const Events<V>& events = past_.at(filed_);
            for (std::size_t e = 0; e < events.size(); ++e) f(events.index[e], events.unit ? A{1} : entering(events.value[e]), filed_);
        }
    }

    // The same where others file it: only what has to be an integer is looked at.
    void pass_noted() {
        for (; filed_ < noted_; ++filed_) {
            const Events<V>& events = past_.at(filed_);
            for (std::size_t e = 0; e < events.value.size(); ++e) static_cast<void>(entering(events.value[e]));
        }
    }

protected:
    // File what arrived before the run and is due at `now` or later.
    virtual void refile(int32_t source, A value, int64_t emitted, int64_t now) = 0;

    void open_value(Slot<V>& out) const {
        out.open_dense();
        if (!arrives_at_.bias.empty()) out.set_bias(arrives_at_.bias.span(), arrives_at_.bias_step);
    }

    Share share_;
    int32_t first_, last_;               // blocks of the share

private:
    std::size_t sources() const { return arrives_at_.fan().size(); }
    std::size_t check_past(std::size_t count) const {
        if (count % sources() != 0 || count / sources() > static_cast<std::size_t>(arrives_at_.longest())) throw Error(Fault::simulation, arrives_at_.name, "a past of another size");
        return count / sources();
    }
    A entering(V value) const {
        if constexpr (std::is_same_v<A, V>) return value;
        else return static_cast<A>(integer_of(arrives_at_.name, value, arrives_at_.largest));
    }

    const ArrivalNode<V>& arrives_at_;
    Past<V> past_;
    int64_t filed_ = 0, noted_ = 0;      // what arrived before these steps
};

template <class V, class A, class W>
class RowRunner : public Arrivals<V, A> {
public:
    RowRunner(const RowNode<V, W>& node, const Context<V>& context, bool by_delay = false)
        : Arrivals<V, A>(node, context.share), node_(node), delivery_(node.rows, context.share, by_delay) {}

    void reset() override {
        Arrivals<V, A>::reset();
        delivery_.reset();
    }

    void step(Step<V>& step) override {
        const bool alone = this->share_.count == 1;
        if (alone) this->open(step);
        this->take_noted([&](int32_t source, A value, int64_t emitted) { delivery_.note(source, value, emitted); });
        delivery_.file_noted(step.time);
        if (alone) {
            if (delivery_.synapses(step.time) == 0 && node_.bias.empty()) return step.out.clear();
            this->open_value(step.out);
        }
        deliver(step.time, step.out);
    }

protected:
    // Add what is due to the sums of this share's targets and hand them on in its blocks of a dense value.
    virtual void deliver(int64_t time, Slot<V>& out) = 0;

    void refile(int32_t source, A value, int64_t emitted, int64_t now) override { delivery_.file(source, value, emitted, now); }

    // Where to mark the blocks that are met in a step; null where it is quicker to take all for met.
    uint8_t* marks(int64_t time, uint8_t* blocks) {
        const bool few = delivery_.synapses(time) < 8 * static_cast<std::size_t>(this->last_ - this->first_);
        if (few && node_.layout.block == kBlock) return blocks;
        std::fill(blocks + this->first_, blocks + this->last_, uint8_t{1});
        return nullptr;
    }

    const RowNode<V, W>& node_;
    Delivery<A, W> delivery_;
};

}  // namespace spikeflow
