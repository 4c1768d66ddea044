// Loop: a program of floats as machine code: one pass over a block of neurons, all values in registers, with the end of
// the step (states settled, idle neurons counted, spikes as bits) in the same pass.
//
// Made at run time where the processor has AVX-512, in some microseconds; operation by operation what the interpreted
// program does, each rounded by itself, so the same bits. Elsewhere, and for programs with more intermediate values than
// registers, there is none and the program is interpreted.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "machine_code.hpp"
#include "operations.hpp"

namespace spikeflow {

// A program as the compiler left it: operations on places; see Program.
struct LoopText {
    struct Instruction {
        Op op;
        std::size_t dst, a, b, c;
    };
    std::vector<Instruction> code;
    std::size_t registers = 0, output = 0;         // places below `registers` are registers, the others lie in memory
    std::vector<std::size_t> inputs, states, next;
    std::vector<std::size_t> uniform;              // that hold one number for all neurons
    std::vector<std::size_t> before;               // registers that were filled before, and lie in memory
    std::size_t places = 0;                        // in all
    bool stores_output = false;                    // also as values, at its place
};

class Loop {
public:
    // Null where there is no way.
    static std::shared_ptr<const Loop> make(const LoopText& text);
    struct Outcome {
        int64_t idle = 0, emitted = 0;             // neurons in which nothing happened, and values that are not 0
        bool changed = false;                      // a bit of any state
        uint32_t awake = 0;                        // the vectors in which something happened
    };
    static constexpr int32_t kLanes = 16;          // neurons of a vector
    // `masks`: a bit for each neuron, of up to 64 words; set where the output is not 0. `vectors`: a bit for each vector that is
    // run, of those that neurons fill; in others nothing happens, as nothing did in the last step and nothing arrives. What is
    // left behind them is always run. `idle` : bits of the lanes of each vector, of 32, where they are asked for.
    Outcome run(float* const* places, int32_t n, uint64_t* masks, uint32_t vectors = ~uint32_t{0}, uint16_t* idle = nullptr) const;

private:
    explicit Loop(std::shared_ptr<const MachineCode> code) : code_(std::move(code)) {}
    std::shared_ptr<const MachineCode> code_;
};

}  // namespace spikeflow
