// Program: what one neuron does in one step, compiled from the graph's instructions and run on a block at a time.
//
// Every register is an array over the neurons of the block. Constants, params, states and inputs are read where they
// lie; other registers share a few buffers that stay in the first-level cache.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "kernels.hpp"
#include "loop.hpp"
#include "program_ops.hpp"
#include "step_loop.hpp"

namespace spikeflow {

// One instruction as it comes from Python, nothing checked.
struct Instruction {
    int64_t op, a, b, c;
    int64_t name;      // of a param, state, input or table
    int64_t mode;
    int64_t value;     // shift count, bits, or an integer constant
};

struct ProgramText {
    std::span<const Instruction> code;
    std::span<const double> constants;                      // of each instruction; read by float programs
    int64_t inputs = 0, states = 0, params = 0, output = 0;
    std::span<const int64_t> next_states;
    std::vector<std::vector<int64_t>> tables;
    bool once = false;                                      // what depends on params alone is left to `prepare`
    int64_t carried = 0;                                    // next states, the first ones, that a `StepLoop` rounds to 0
};

template <class R>
class Program {
public:
    Program() = default;
    Program(const std::string& node, const ProgramText& text);

    // Where operands lie: one pointer for each place, set by the caller before every block.
    struct Frame {
        Buffer<R> memory;                       // registers and constants
        std::vector<R*> places;
    };
    Frame frame(int32_t block) const;
    std::size_t param_place(int32_t i) const { return first_param_ + static_cast<std::size_t>(i); }
    std::size_t state_place(int32_t i) const { return first_state_ + static_cast<std::size_t>(i); }
    std::size_t input_place(int32_t i) const { return first_input_ + static_cast<std::size_t>(i); }

    // What a run leaves behind besides registers: for each narrow instruction how many values were changed at the low
    // and at the high end, and a mark on the neurons where that happened.
    struct Narrowed {
        std::span<std::array<int64_t, 2>> counts;
        Word<R>* marks;
    };

    // Run n neurons; returns whether anything was narrowed.
    bool run(Frame& frame, const Kernels<R>& kernels, int32_t n, const Narrowed& narrowed) const {
        return run_from(once_, code_.size(), frame, kernels, n, narrowed);
    }
    // What depends on params alone, for all runs of these neurons; nothing unless the text asked for it.
    void prepare(Frame& frame, const Kernels<R>& kernels, int32_t n) const { run_from(0, once_, frame, kernels, n, {{}, nullptr}); }

    // Whether the program is `sum = state * decay + input` (or without decay), a spike where sum - threshold >= 0, and
    // `sum - threshold * spike` as next state, which runs as one loop; then where its operands lie.
    struct Integration {
        std::size_t input, threshold;
        std::optional<std::size_t> decay;
    };
    const std::optional<Integration>& integration() const { return integration_; }

    // The program as one loop, of one that leaves things to `prepare`; null where there is none. It writes each next state,
    // and the output, where `sink_place` of its number, and of the one behind them, points.
    const StepLoop* step_loop() const { return step_loop_.get(); }
    std::size_t sink_place(std::size_t i) const { return first_state_ + states_ + i; }
    std::size_t carried() const { return carried_; }

    // The program for a compiled loop; `uniform` are params that are one number for all neurons.
    LoopText loop_text(std::span<const int32_t> uniform) const;

    R* output(Frame& frame) const { return frame.places[output_]; }
    const R* output(const Frame& frame) const { return frame.places[output_]; }
    const R* next_state(const Frame& frame, std::size_t i) const { return frame.places[next_[i]]; }
    // Whether the output, or a next state, is in a register that holds nothing else to be read after a run, which may
    // then be put where its value is wanted: at `places[output_place()]`.
    bool output_alone() const { return alone(output_); }
    bool next_alone(std::size_t i) const { return alone(next_[i]); }
    std::size_t output_place() const { return output_; }
    std::size_t next_place(std::size_t i) const { return next_[i]; }
    bool keeps_state(std::size_t i) const { return next_[i] == first_state_ + i; }
    int32_t inputs() const { return static_cast<int32_t>(first_param_ - first_input_); }
    int32_t states() const { return static_cast<int32_t>(states_); }
    int32_t params() const { return static_cast<int32_t>(first_state_ - first_param_); }
    std::size_t narrows() const { return narrows_; }
    std::size_t operations() const { return code_.size(); }
    std::size_t places() const { return places_; }     // that a run reads or writes
    bool spikes() const { return spikes_; }     // the output can only be 0 or 1

private:
    struct Compiled {
        Op op;
        std::size_t dst, a, b, c;
        Immediate immediate;
        std::size_t counter = 0;
        int32_t table = -1;
        std::size_t reg = 0;                    // instruction of the text, while compiling
        bool once = false;                      // of params alone
    };
    void check(const std::string& node, const ProgramText& text) const;
    void translate(const ProgramText& text);
    void fuse(const ProgramText& text);
    void mark_once();
    void separate_states();
    void share_registers();
    void find_integration();
    void count_places();
    bool alone(std::size_t place) const;
    bool run_from(std::size_t first, std::size_t last, Frame& frame, const Kernels<R>& kernels, int32_t n, const Narrowed& narrowed) const;

    std::vector<Compiled> code_;
    std::vector<R> constants_;
    std::vector<std::vector<int64_t>> tables_;
    std::vector<std::size_t> next_;
    std::size_t registers_ = 0, first_constant_ = 0, first_input_ = 0, first_param_ = 0, first_state_ = 0;
    std::size_t states_ = 0, output_ = 0, narrows_ = 0, once_ = 0, places_ = 0;
    bool spikes_ = false;
    std::size_t carried_ = 0;
    std::optional<Integration> integration_;
    std::shared_ptr<const StepLoop> step_loop_;
};

}  // namespace spikeflow
