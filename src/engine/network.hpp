// Network: nodes in the order in which they run, joined by edges; what a run takes and gives back.
#pragma once

#include <algorithm>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "node.hpp"
#include "lesson.hpp"
#include "phases.hpp"
#include "rows.hpp"

namespace spikeflow {

template <class V>
class Network;
template <class V>
class Worker;

// steps x samples x size, of what is held of a node; throws where no memory holds so many.
std::size_t values_of(int64_t steps, int64_t samples, int64_t size, const std::string& node);

// What one Input node gets.
template <class V>
struct Feed {
    enum class Kind { dense, constant, spikes };
    Kind kind = Kind::dense;
    std::span<const V> values;                   // dense (T, B, n), constant (B, n), or one for each spike
    std::span<const int64_t> sample_start;       // spikes of sample b: sample_start[b] to sample_start[b + 1]
    std::span<const int32_t> step, neuron;       // of each spike, sorted by (sample, step, neuron)
};

// Non-zero values of one node in one sample.
template <class V>
struct Record {
    Buffer<int32_t> step, neuron;
    Buffer<V> value;
};

// What one node remembers between runs, for all samples: `emitted` (B, H, n) are its values of the last H steps, newest
// first, `own` what its runner keeps, (B, ...) each.
template <class S>
struct Memory {
    int32_t node = 0;
    std::span<S> emitted;
    std::vector<std::span<S>> own;
};

// The state in which a run begins: steps behind each sample and its number; none where all begin at step 0, numbered in
// order.
template <class V>
struct Start {
    std::span<const int64_t> steps, numbers;
    std::vector<Memory<const Stored<V>>> memories;
};

// What is kept of a state or of what arrives at a port, (steps kept, B, n): of all neurons, or of some, in C order; in the steps
// whose number, counted from the sample's first, is a multiple of `every`.
template <class V>
struct Trace {
    int32_t node = 0, port = -1, state = -1;     // one of the two
    std::span<const int32_t> neurons;            // empty: all
    int32_t every = 1;
    std::span<Stored<V>> values;
};

// Gives what this process says to all, and what all said, by their number; all call it equally often.
using Exchange = std::function<std::vector<Buffer<int32_t>>(std::span<const int32_t> own)>;

// A node whose values that are not 0 are kept: of all neurons, or of some, ascending, which are then named by their place here.
struct Recorded {
    int32_t node = 0;
    std::span<const int32_t> neurons;
};

template <class V>
struct RunText {
    int32_t steps = 0, samples = 0, threads = 1;
    std::vector<Feed<V>> feeds;                  // one for each Input, in order
    std::vector<std::span<V>> outputs;           // (T, B, n), one for each Output, in order; written
    std::vector<Recorded> recorded;
    std::vector<Trace<V>> traces;
    Start<V> start;                              // ignored by a live run, which has its own state
    std::vector<Memory<Stored<V>>> end;          // the state behind the last step; written
    std::function<bool(int64_t)> monitor;        // told now and then how many samples are done; false stops the run
    Exchange exchange;                           // where processes share the network
};

template <class V>
struct RunResult {
    std::vector<Counters> counters;              // for each node
    std::vector<std::vector<Record<V>>> records; // for each recorded node and sample
    bool stopped = false;
};

// A batch under way: one worker for each sample, which keeps its state from one stretch of steps to the next.
template <class V>
class Live {
public:
    Live(Network<V>& network, int32_t samples, const Start<V>& start);
    ~Live();
    Live(const Live&) = delete;
    RunResult<V> advance(const RunText<V>& text);
    void save(std::vector<Memory<Stored<V>>>& memories);

private:
    Network<V>& network_;
    std::vector<std::unique_ptr<Worker<V>>> workers_;
};

template <class V>
class Network {
public:
    explicit Network(Isa isa, const Cut& cut = {});
    ~Network();

    // Nodes are added in the order in which they run; each returns its number.
    int32_t add_input(const std::string& name, const Shape& shape, bool current);
    int32_t add_output(const std::string& name, const Shape& shape);
    int32_t add(std::unique_ptr<Node<V>> node);
    // Edges into one port add up in the order in which they are made.
    void connect(int32_t source, int32_t target, int32_t port, int32_t delay);
    // A node learns by the spikes of another one, and by the value of a third, -1 for none; not where threads share a sample.
    void teach(int32_t node, int32_t post, int32_t modulator);
    // What a node did is told apart by parts as well: of a population of integers by its neurons, of synapses by what each
    // source reaches; not where threads share a sample.
    void divide(int32_t node, const DivisionText& text);
    // The one node that was added, to become part of a node of another network.
    std::unique_ptr<Node<V>> take();
    // No more nodes or edges: checks that nothing is missing.
    void seal();

    RunResult<V> run(const RunText<V>& text);
    void check_memory(const Memory<const Stored<V>>& memory, int32_t samples) const;

    const std::vector<Entry<V>>& entries() const { return entries_; }
    const std::vector<Learner>& learners() const { return learners_; }
    Isa isa() const { return isa_; }
    const Cut& cut() const { return cut_; }
    // The neurons of a node that shares hold, from the first to before the last of these: all, where it is not cut.
    Targets held(int32_t node, int32_t first, int32_t last) const {
        const Entry<V>& entry = entries_.at(static_cast<std::size_t>(node));
        const Layout& layout = entry.layout;
        if (!entry.shared) return {0, layout.size};
        const auto neuron = [&](int32_t share) { return std::min(layout.size, layout.first(Share{share, cut_.shares}.first_block(layout))); };
        return {neuron(first), neuron(last)};
    }
    int32_t largest() const { return largest_; }
    const std::vector<Phase>& phases() const { return phases_; }
    int32_t period() const { return period_; }

private:
    int32_t add_entry(Entry<V> entry);
    friend class Live<V>;
    void check_run(const RunText<V>& text) const;
    void check_start(const RunText<V>& text) const;
    void check_traces(const RunText<V>& text) const;
    void check_feed(const Entry<V>& entry, const Feed<V>& feed, const RunText<V>& text) const;
    std::unique_ptr<Worker<V>> take_worker(bool shared);
    // Whether the shares of a sample are run together: samples are few, or this process does not hold all.
    bool shared(int32_t samples) const { return !cut_.whole() || (cut_.shares > 1 && samples < cut_.shares); }

    Isa isa_;
    Cut cut_;
    std::vector<Entry<V>> entries_;
    std::vector<Learner> learners_;
    std::vector<Phase> phases_;                  // of a step that threads share
    int32_t period_ = 1;                         // see period_of
    int32_t largest_ = 1;
    bool sealed_ = false;
    std::mutex mutex_;                           // guards idle_
    std::vector<std::unique_ptr<Worker<V>>> idle_[2];    // alone and shared
};

}  // namespace spikeflow
