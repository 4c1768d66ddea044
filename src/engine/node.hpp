// Node: what every kind of node is to the network; Runner: its state in one worker.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "share.hpp"
#include "value.hpp"

namespace spikeflow {

// What a node did, summed over samples and steps; see spikeflow/sim/result.py.
struct Counters {
    int64_t spikes = 0, accumulates = 0, multiplies = 0, cached = 0, updates = 0, idle = 0, skipped = 0;
    std::vector<std::array<int64_t, 2>> narrowed;      // for each narrow instruction: at the low end, at the high end
    std::vector<std::array<int64_t, 3>> unbounded;     // state, sample, and how many values of it ended infinite or no number
    std::vector<Counters> parts;                       // of a node that is divided; see division.hpp

    int64_t operations() const { return accumulates + multiplies; }
    void add(const Counters& other) {
        spikes += other.spikes;
        accumulates += other.accumulates;
        multiplies += other.multiplies;
        cached += other.cached;
        updates += other.updates;
        idle += other.idle;
        skipped += other.skipped;
        unbounded.insert(unbounded.end(), other.unbounded.begin(), other.unbounded.end());
        narrowed.resize(std::max(narrowed.size(), other.narrowed.size()));
        for (std::size_t i = 0; i < other.narrowed.size(); ++i)
            for (std::size_t end = 0; end < 2; ++end) narrowed[i][end] += other.narrowed[i][end];
        parts.resize(std::max(parts.size(), other.parts.size()));
        for (std::size_t p = 0; p < other.parts.size(); ++p) parts[p].add(other.parts[p]);
    }
};

// What arrives at a port: the slots of its edges, left to right, and their sum where there are several.
template <class V>
struct Port {
    std::vector<Slot<V>*> terms;
    std::unique_ptr<Slot<V>> sum;      // absent where one edge is all there is
    const Kernels<V>* kernels = nullptr;
    bool summed = false;               // in this step

    // The port's value as one slot.
    Slot<V>& value() {
        if (!sum) return *terms[0];
        if (summed) return *sum;
        summed = true;
        sum->write_dense();
        for (Slot<V>* term : terms) add(*term);
        return *sum;
    }

    // What arrives at one neuron, by its place in memory, where all terms that are not silent hold dense values.
    V at(int32_t place) const {
        V total{0};
        for (const Slot<V>* term : terms) {
            if (term->silent()) continue;
            const int32_t b = place / term->layout->block, i = place - term->layout->first(b);
            const V value = term->block(b)[i];
            total = static_cast<V>(total + (term->bias(b) == nullptr ? value : static_cast<V>(value + term->bias(b)[i])));
        }
        return total;
    }
    void prepare() {
        for (Slot<V>* term : terms)
            if (!term->silent()) term->prepare_dense();
    }

private:
    void add(Slot<V>& term) {
        if (term.silent()) return;
        term.prepare_dense();
        const Layout& layout = *sum->layout;
        for (int32_t b = 0; b < layout.blocks; ++b) {
            if (!term.active(b) && term.bias(b) == nullptr) continue;
            V* to = const_cast<V*>(sum->block(b));
            const int32_t n = layout.length(b);
            if (term.bias(b) == nullptr) kernels->add(to, to, term.block(b), n);
            else kernels->add_biased(to, to, term.block(b), term.bias(b), n);
            sum->touch(b);
        }
    }
};

// Values as a state between runs holds them: float, or 64-bit integers whatever width the network computes in.
template <class V>
using Stored = std::conditional_t<std::is_floating_point_v<V>, float, int64_t>;

template <class V>
struct Step {
    int64_t time;
    std::span<Port<V>> ports;
    Slot<V>& out;
    Counters& counters;
    bool analog;          // what arrives comes from a current
    int64_t sample;       // its number, on which random drive depends
};

// Where a worker's runners find what they share.
template <class V>
struct Context {
    Scratch<V>& scratch;
    Isa isa;
    Share share = {};     // the neurons that the runner computes
};

struct DivisionText;

template <class V>
class Runner {
public:
    virtual ~Runner() = default;
    virtual void reset() {}                       // before each sample
    // A step. Where several runners share a node's neurons, one thread opens the step for each of them before they run.
    virtual void open(Step<V>&) {}
    virtual void step(Step<V>& step) = 0;

    // What is remembered between steps, as arrays in C order; `time` is the step that comes next. Of runners that share a
    // node each saves what is its own.
    virtual std::size_t memories() const { return 0; }
    virtual void save(std::size_t, int64_t, std::span<Stored<V>>) const {}
    virtual void load(std::size_t, int64_t, std::span<const Stored<V>>) {}    // after a reset
    // Of some neurons, in C order; of a share those that are its own.
    virtual void pick(std::size_t, std::span<const int32_t>, std::span<Stored<V>>) const {}
    virtual int64_t unbounded(std::size_t) const { return 0; }                // values of a memory that are infinite or no number
};

template <class V>
class Node {
public:
    Node(std::string name, Layout layout, std::size_t ports)
        : name(std::move(name)), layout(std::move(layout)), ports(ports) {}
    virtual ~Node() = default;

    // Throws unless a value of this layout may arrive at the port.
    virtual void check_source(std::size_t port, const Layout& source) const = 0;
    virtual std::unique_ptr<Runner<V>> runner(const Context<V>& context) const = 0;
    virtual bool is_population() const { return false; }
    virtual bool repeats() const { return true; }      // equal inputs, equal output: nothing is remembered
    virtual bool may_be_unconnected() const { return false; }
    virtual bool is_analog() const { return false; }   // what it emits is no spikes, whatever arrives
    virtual bool has_synapses() const { return false; }    // its values are sums over synapses of one port
    virtual bool reads_whole(Isa) const { return false; }      // takes a dense value as readily as spikes
    virtual bool shares() const { return false; }      // its runners can share its neurons
    // Its shares hand on sums, each in blocks of its own of a dense value; what arrives shows in them this many steps later.
    virtual bool hands_on_sums() const { return false; }
    virtual int32_t shortest_delay() const { return 0; }
    virtual bool may_run_whole() const { return false; }     // a process that holds some shares may as well run all
    // Of a population: from now on its runners count by parts as well.
    virtual void divide(const DivisionText&) { throw Error(Fault::graph, name, "cannot be divided"); }

    std::string name;
    Layout layout;
    std::size_t ports;
};

// A runner for nodes without state: it calls the node.
template <class V, class N>
class Stateless : public Runner<V> {
public:
    Stateless(const N& node, const Context<V>& context) : node_(node), context_(context) {}
    void step(Step<V>& step) override { node_.step(step, context_); }

private:
    const N& node_;
    Context<V> context_;
};

// Count the operations of the events that arrive: one for each non-zero value and synapse of its source.
template <class V, class Fan>
void count_operations(const Events<V>& events, bool analog, Counters& counters, Fan fan) {
    int64_t unit = 0, other = 0;
    if (events.unit) {
        for (const int32_t index : events.index) unit += fan(index);
        if (analog) std::swap(unit, other);
    } else {
        for (std::size_t e = 0; e < events.size(); ++e) {
            const int64_t count = fan(events.index[e]);
            const bool one = (events.value[e] == V{1}) | (events.value[e] == V{-1});      // no branch, which would be missed
            other += count;
            unit += count & -static_cast<int64_t>(one & !analog);
        }
        other -= unit;
    }
    counters.accumulates += unit;
    counters.multiplies += other;
}

}  // namespace spikeflow
