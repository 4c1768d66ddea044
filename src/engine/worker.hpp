// Worker: the state with which one thread, or a team of them, runs one sample after the other.
//
// A team shares the neurons of a network by ranges. The nodes of a step are run in phases (see phases.hpp): one thread runs
// what is not shared, then all run the shared nodes, each its own range, which writes what no other one reads. Where several
// processes have a network among them, each has such a team for its own ranges; what is not shared each computes whole, from the
// spikes of all, which are exchanged whenever the team meets.
#pragma once

#include <memory>
#include <vector>

#include "network.hpp"
#include "team.hpp"

namespace spikeflow {

template <class V>
class Worker {
public:
    // `cut` : that of the network for a team, none for one thread alone.
    Worker(const Network<V>& network, const Cut& cut);

    void prepare(const RunText<V>& text);                 // before a run: which values will not change
    void begin(const Start<V>& start, int32_t sample);    // before a sample: the state in which it begins
    void enter(const RunText<V>& text, int32_t sample);   // before the steps of a run
    // A step, or as many as a team runs between two meetings; returns how many.
    int32_t advance(const RunText<V>& text, RunResult<V>& result, int32_t sample, int32_t time);
    void finish(int32_t sample);                          // after the steps of a run: what left the numbers is counted
    void save(std::vector<Memory<Stored<V>>>& memories, int32_t sample, int32_t samples);
    Counters counters(std::size_t node) const;
    bool shared() const { return cut_.shares > 1; }
    void rest() { team_.reset(); }                        // after a run: threads do not outlive it

private:
    // A term of a port that is another slot of its source's ring in every step.
    struct Late {
        Slot<V>** term;
        std::vector<Slot<V>>& ring;
        int32_t delay;
    };
    // What computes a share of a node's neurons, beside the first one.
    struct alignas(64) Part {
        std::unique_ptr<Runner<V>> runner;
        Counters counters;
        std::vector<Slot<V>> spikes;                      // of a population, for each step of a period
    };
    // One node in this worker.
    struct Cell {
        std::vector<Slot<V>> ring;                        // value of step t in ring[t % size]
        std::vector<Port<V>> ports;
        std::vector<Late> late;
        std::unique_ptr<Runner<V>> runner;
        std::vector<Part> parts;                          // of the other threads
        std::vector<Slot<V>> own_spikes;                  // of a shared population, before all shares are joined
        Counters counters;
        int64_t spikes = 0, accumulates = 0, multiplies = 0;   // of the last computed step
        int64_t steady = 0;                               // from this step on the value stays; never where INT64_MAX
        std::size_t feed = 0;                             // number among the inputs or outputs
        std::size_t next_spike = 0;
        bool unit = false;                                // all spikes that enter in this sample are 1
        bool divided = false;                             // its operations are told by parts as well
    };

    // What a process said of its spikes: of each step, of each population in order, their number and the neurons.
    struct Letter {
        Buffer<int32_t> words;
        std::size_t read = 0;
    };

    Slot<V>& slot(std::size_t node, int64_t time) {
        auto& ring = cells_[node].ring;
        return ring.size() == 1 ? ring[0] : ring[static_cast<std::size_t>(time) % ring.size()];
    }
    void join();
    void share(std::size_t node);
    void run_alone(std::size_t node, const RunText<V>& text, int32_t sample, int32_t time);
    // What runs when, for this sample of a run; `first` is the sample's step at time 0 of the run.
    struct Place {
        const RunText<V>& text;
        int32_t sample;
        int64_t first;
    };
    void run_step(const Place& place, int32_t time);
    void run_period(const Place& place, RunResult<V>& result, int32_t steps);
    void enter_until(const Place& place, int64_t end);
    int32_t period_for(const RunText<V>& text) const;
    void open_shares(std::size_t node);
    void run_shares(const std::vector<int32_t>& nodes, int32_t steps, const Place* kept);
    Step<V> step_of(std::size_t node, int32_t share, int64_t time);
    Runner<V>& runner_of(std::size_t node, int32_t share);
    void exchange_spikes(const Exchange& exchange, const std::vector<int32_t>& nodes, int32_t steps);
    void join_spikes(std::size_t node);
    static void read_letter(Letter& letter, uint32_t size, Buffer<int32_t>& to);
    // What is recorded of a step that was run; `shared` : also of nodes whose threads keep what is theirs while a period runs.
    void keep(const Place& place, RunResult<V>& result, bool shared);
    Runner<V>& remembering(std::size_t node, std::size_t memory) const;
    void save_memory(std::size_t node, std::size_t memory, int64_t time, std::span<Stored<V>> to) const;
    void point_ports(std::size_t node);
    // The operations of a step by parts, of synapses that are divided.
    void divide(std::size_t node, bool again) {
        const Entry<V>& entry = network_.entries()[node];
        Cell& cell = cells_[node];
        if (cell.divided) entry.divided->add(cell.ports[0].value().events(), entry.analog, again, cell.counters.parts);
    }
    void run_node(std::size_t node, const RunText<V>& text, int32_t sample, int32_t time);
    void read_input(std::size_t node, const RunText<V>& text, int32_t sample, int32_t time);
    void write_output(Cell& cell, const Layout& layout, const RunText<V>& text, int32_t sample, int32_t time);
    void record(const Recorded& one, Record<V>& to, int32_t time);
    std::span<Stored<V>> row_of_trace(const Trace<V>& one, const Place& place, int64_t time) const;
    void trace(const Trace<V>& one, std::span<Stored<V>> to);
    void trace_share(const Trace<V>& one, std::span<Stored<V>> to, int32_t share);
    bool keeps_itself(std::size_t node) const;
    void load(const Memory<const Stored<V>>& memory, int32_t sample, int32_t samples);

    const Network<V>& network_;
    const Cut cut_;
    Scratch<V> scratch_;
    std::vector<std::unique_ptr<Scratch<V>>> scratches_;  // of the other threads
    std::vector<Cell> cells_;
    Buffer<int32_t> own_letter_;
    std::vector<Letter> letters_;                         // of all processes, this one included
    std::unique_ptr<Team> team_;                          // while a shared worker runs
    int64_t now_ = 0, number_ = 0;                        // steps behind the sample, and its number
    int64_t entered_ = 0;                                 // of these, what shared nodes read has been run
    int32_t period_ = 1;                                  // steps that a team runs between two meetings
};

}  // namespace spikeflow
