// StepLoop: a step of a program of floats as machine code, from neuron to neuron: what it reads is read where it lies,
// what it makes goes at once to where it is wanted, and nothing between is stored.
//
// As a Loop (loop.hpp), without the end of a step that a population needs; programs with more intermediate values than
// registers keep some in memory.
#pragma once

#include "loop.hpp"

namespace spikeflow {

// Where results go: places from `first` on, one for each next state, then one for the output. Of the next states the
// first `carried` become 0 where they are nearer to it than a number that is given with each run.
struct Sinks {
    std::size_t first = 0, carried = 0;
};

class StepLoop {
public:
    // Null where there is no way.
    static std::shared_ptr<const StepLoop> make(LoopText text, const Sinks& sinks);
    void run(float* const* places, int32_t n, float least) const;

private:
    explicit StepLoop(std::shared_ptr<const MachineCode> code) : code_(std::move(code)) {}
    std::shared_ptr<const MachineCode> code_;
};

}  // namespace spikeflow
