// The programs of a rule, compiled; and one of them made ready to run in a worker.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "layout.hpp"
#include "plastic.hpp"

namespace spikeflow {

struct RuleProgram {
    Program<float> program;
    std::vector<float> params;
    std::vector<Reading> inputs;
    std::vector<uint8_t> reads;                  // of each state: whether the program reads it
    bool changes = false;                        // any state

    RuleProgram(const std::string& name, const RuleProgramText& text, std::size_t states, std::array<std::size_t, 2> traces)
        : program(name, text.program), params(text.params), inputs(text.inputs), reads(states, 0) {
        require(static_cast<std::size_t>(program.params()) == params.size(), name, "params that are not the program's");
        require(static_cast<std::size_t>(program.inputs()) == inputs.size(), name, "inputs that are not the program's");
        require(static_cast<std::size_t>(program.states()) == states, name, "states that are not the rule's");
        for (const Reading& r : inputs) {
            const bool known = r.from >= Reading::From::pre && r.from <= Reading::From::sum;
            const std::size_t most = r.from == Reading::From::pre ? traces[0] : r.from == Reading::From::post ? traces[1] : 1;
            require(known && r.trace >= 0 && static_cast<std::size_t>(r.trace) < most, name, "an input that the rule does not have");
        }
        for (const Instruction& i : text.program.code)
            if (static_cast<Op>(i.op) == Op::state) reads[static_cast<std::size_t>(i.name)] = 1;
        for (std::size_t s = 0; s < states; ++s) changes = changes || !program.keeps_state(s);
    }
    void require_inputs(const std::string& name, std::span<const Reading::From> allowed) const {
        for (const Reading& r : inputs) require(std::find(allowed.begin(), allowed.end(), r.from) != allowed.end(), name, "an input of another program");
    }
};

// Where the operands of a program lie while it runs; inputs and states that are read where they are need no room.
class Running {
public:
    explicit Running(const RuleProgram& of) : of(of), frame_(of.program.frame(kBlock)), room_((of.inputs.size() + of.reads.size()) * kBlock, 0.0f), params_(of.params.size() * kBlock) {
        for (std::size_t p = 0; p < of.params.size(); ++p) {
            std::fill_n(params_.data() + p * kBlock, kBlock, of.params[p]);
            frame_.places[of.program.param_place(static_cast<int32_t>(p))] = params_.data() + p * kBlock;
        }
    }

    // Room for kBlock values of an input, or of a state, which the program then reads.
    float* input(std::size_t k) { return place_input(k, room_.data() + k * kBlock); }
    float* state(std::size_t s) { return place_state(s, room_.data() + (of.inputs.size() + s) * kBlock); }
    // Operands are only read; the table of places is not const because registers are written.
    float* place_input(std::size_t k, const float* at) { return frame_.places[of.program.input_place(static_cast<int32_t>(k))] = const_cast<float*>(at); }
    float* place_state(std::size_t s, const float* at) { return frame_.places[of.program.state_place(static_cast<int32_t>(s))] = const_cast<float*>(at); }

    void run(const Kernels<float>& kernels, int32_t n) { of.program.run(frame_, kernels, n, {{}, nullptr}); }
    const float* next(std::size_t s) const { return of.program.next_state(frame_, s); }
    const float* output() const { return of.program.output(frame_); }

    const RuleProgram& of;

private:
    Program<float>::Frame frame_;
    Buffer<float> room_, params_;
};

}  // namespace spikeflow
