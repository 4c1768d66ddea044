// Worker: the state with which one thread runs one sample after the other.
#pragma once

#include <vector>

#include "network.hpp"

namespace spikeflow {

template <class V>
class Worker {
public:
    explicit Worker(const Network<V>& network);

    void prepare(const RunText<V>& text);                 // before a run: which values will not change
    void begin(const Start<V>& start, int32_t sample);    // before a sample: the state in which it begins
    void enter(const RunText<V>& text, int32_t sample);   // before the steps of a run
    void step(const RunText<V>& text, RunResult<V>& result, int32_t sample, int32_t time);
    void finish(int32_t sample);                          // after the steps of a run: what left the numbers is counted
    void save(std::vector<Memory<Stored<V>>>& memories, int32_t sample, int32_t samples);
    const Counters& counters(std::size_t node) const { return cells_[node].counters; }

private:
    // A term of a port that is another slot of its source's ring in every step.
    struct Late {
        Slot<V>** term;
        std::vector<Slot<V>>& ring;
        int32_t delay;
    };
    // One node in this worker.
    struct Cell {
        std::vector<Slot<V>> ring;                        // value of step t in ring[t % size]
        std::vector<Port<V>> ports;
        std::vector<Late> late;
        std::unique_ptr<Runner<V>> runner;
        Counters counters;
        int64_t spikes = 0, accumulates = 0, multiplies = 0;   // of the last computed step
        int64_t steady = 0;                               // from this step on the value stays; never where INT64_MAX
        std::size_t feed = 0;                             // number among the inputs or outputs
        std::size_t next_spike = 0;
        bool unit = false;                                // all spikes that enter in this sample are 1
    };

    Slot<V>& slot(std::size_t node, int64_t time) {
        auto& ring = cells_[node].ring;
        return ring.size() == 1 ? ring[0] : ring[static_cast<std::size_t>(time) % ring.size()];
    }
    void join();
    Runner<V>& remembering(std::size_t node, std::size_t memory) const;
    void point_ports(std::size_t node);
    void run_node(std::size_t node, const RunText<V>& text, int32_t sample, int32_t time);
    void read_input(std::size_t node, const RunText<V>& text, int32_t sample, int32_t time);
    void write_output(Cell& cell, const Layout& layout, const RunText<V>& text, int32_t sample, int32_t time);
    void record(std::size_t node, Record<V>& to, int32_t time);
    void trace(const Trace<V>& trace, std::size_t row);
    void load(const Memory<const Stored<V>>& memory, int32_t sample, int32_t samples);

    const Network<V>& network_;
    Scratch<V> scratch_;
    std::vector<Cell> cells_;
    int64_t now_ = 0, number_ = 0;                        // steps behind the sample, and its number
};

}  // namespace spikeflow
