// Sweep: a layer of neurons over all steps of a stretch of time, and backward through it.
//
// A neuron needs nothing of its neighbours within a layer, so a block of neurons runs through all steps before the
// next one begins, and its registers and states stay in cache. Threads take blocks; no number depends
// on which. Arrays are (steps, elements), an element one neuron of one sample. The states are those before each step;
// every `interval` steps they are kept, and those between are computed again on the way back.
//
// Few elements over many steps leave most of a vector idle. Then steps are what lies side by side: onward, chunks of
// time that begin at a guess and are mended until they meet (chunks.cpp); back, all steps at once but for the sum that
// is carried (scan.cpp).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/program.hpp"

namespace spikeflow {

// Values (steps, elements), or one number for all where `count` is 1; from step to step `stride` values, 0 for as many as
// there are elements.
template <class R>
struct Stream {
    const R* values = nullptr;
    int64_t count = 0, stride = 0;
};

// A parameter: one number for all, or for each neuron of the population the entry `owner` says.
template <class R>
struct Parameter {
    const R* values = nullptr;
    int64_t count = 0;
    const int32_t* owner = nullptr;         // (population), null where count is 1
};

// The size of a stretch, and what runs it.
struct Stretch {
    int64_t steps = 0, elements = 0, population = 1, interval = 1;
    int32_t threads = 1, isa = 2;
    int64_t chunk = 0;                      // steps of a chunk of time, a multiple of the interval; 0 for none

    int64_t kept() const { return (steps - 1) / interval; }     // moments at which states are kept, the first excluded
};

template <class R>
struct ForwardText {
    Stretch stretch;
    std::vector<Stream<R>> ports;
    std::vector<Parameter<R>> params;
    std::vector<const R*> state;            // (elements) each
    R* out = nullptr;                       // (steps, elements)
    std::vector<R*> after;                  // (elements) each
    R* kept = nullptr;                      // (kept, states, elements); null where none is wanted
    int64_t out_stride = 0;                 // as that of a stream
};

template <class R>
struct BackwardText {
    Stretch stretch;
    std::vector<Stream<R>> ports;
    std::vector<Parameter<R>> params;
    std::vector<const R*> state;
    const R* kept = nullptr;
    Stream<R> out;                          // cotangents of the output
    std::vector<Stream<R>> after;           // of the states after the last step
    std::vector<R*> to_ports;               // what is wanted, in the order of the adjoint's states; null for no room
    std::vector<R*> to_state;               // (elements) each
    std::vector<R*> to_params;              // as many as the parameter has entries
    int64_t ports_stride = 0;               // of what is written for ports, as that of a stream
};

// Of which ports and parameters a gradient is wanted.
struct Wanted {
    std::vector<int32_t> ports, params;
};

// The programs of the way back, as neurons/backward.py writes them.
// `again`: the same step, of which the next states are read, and behind them what the adjoint takes from the tape.
// `adjoint`: its states are the cotangents of the states, then of the wanted ports, then of what is made of parameters
// alone; its ports those of the step, its states, the cotangent of the output, the tape.
// `gathered`: from the sums over all steps of the latter, its ports, the cotangents of the wanted parameters, its
// states; null where none is wanted.
template <class R>
struct Backward {
    const Program<R>& again;
    const Program<R>& adjoint;
    const Program<R>* gathered;

    std::size_t sums() const { return gathered == nullptr ? 0 : static_cast<std::size_t>(gathered->inputs()); }
};

// Returns how many steps chunks of time settled, from the first one on; the others were swept one after the other.
template <class R>
int64_t sweep_forward(const Program<R>& program, const ForwardText<R>& text);

// The part that chunks settle; what lies behind, if anything, is still to be swept, from the states `after`.
template <class R>
int64_t sweep_chunks(const Program<R>& program, const ForwardText<R>& text);

template <class R>
void sweep_backward(const Backward<R>& programs, const Wanted& wanted, const BackwardText<R>& text);

// The same for few elements and steps of 1 to `kScanned` states; whether it could be done. `jacobian`: the partial
// derivatives of what a step hands on, output and states, by its states; `adjoint` as in ir/adjoint.py.
inline constexpr int32_t kScanned = 8;
template <class R>
struct Scanned {
    const Program<R>& step;
    const Program<R>& jacobian;
    const Program<R>& adjoint;
};
template <class R>
bool sweep_scan(const Scanned<R>& programs, const Wanted& wanted, const BackwardText<R>& text);

// What the elements bring to each entry of a parameter, added in their order.
template <class R>
void add_up(const Stretch& stretch, const Parameter<R>& param, const R* sums, R* to);

}  // namespace spikeflow
