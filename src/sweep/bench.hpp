// Bench: a program with what one block of elements reads in place; and streams as a block reads them.
#pragma once

#include <algorithm>

#include "sweep.hpp"

namespace spikeflow {

// Below this a cotangent counts as 0, and is not halved on and on through the slow numbers next to 0.
template <class R>
inline constexpr R kFaint = sizeof(R) == 4 ? R(0x1p-120) : R(0x1p-1000);
inline constexpr int64_t kCache = 64 * 1024, kNarrowest = 64, kWidest = 1024, kLoop = 512;

inline std::size_t at(int64_t i) { return static_cast<std::size_t>(i); }

// Elements of a block: as many as let the registers of a program lie in the first two levels of cache. Each step of a
// block lies on another page of memory, so that narrow blocks wait for the processor's table of pages: 24 KB, all of
// the first level, took a quarter longer. A loop keeps none there: from 256 to 4096 elements took as long.
template <class R>
int64_t width_of(const Program<R>& program, int64_t elements, int32_t threads) {
    const auto places = static_cast<int64_t>(std::max<std::size_t>(1, program.places()));
    const int64_t each = kCache / (places * static_cast<int64_t>(sizeof(R)));
    const int64_t fitting = program.step_loop() != nullptr ? kLoop : std::clamp(each, kNarrowest, kWidest);
    const int64_t shared = (elements + threads - 1) / threads;
    return (std::min(fitting, std::max(kNarrowest, shared)) + kNarrowest - 1) / kNarrowest * kNarrowest;
}

// A program with the parameters and constant ports of one block in place.
template <class R>
class Bench {
public:
    Bench(const Program<R>& program, const Stretch& stretch, const std::vector<Parameter<R>>& params, int64_t width)
        : program_(program), kernels_(kernels<R>(static_cast<Isa>(stretch.isa))), stretch_(stretch), params_(params),
          frame_(program.frame(static_cast<int32_t>(width))), loop_(static_cast<Isa>(stretch.isa) == Isa::avx512 ? program.step_loop() : nullptr),
          width_(at(width)), filled_(at(program.params()) * width_), unwanted_(width_) {
        for (std::size_t p = 0; p < params.size(); ++p) {
            frame_.places[program.param_place(static_cast<int32_t>(p))] = filled_.data() + p * width_;
            if (params[p].owner == nullptr) std::fill_n(filled_.data() + p * width_, width_, params[p].values[0]);
        }
        for (std::size_t i = 0; i < at(program.states()); ++i) next_.push_back(program.next_alone(i) ? frame_.places[program.next_place(i)] : nullptr);
        for (std::size_t i = 0; i < at(program.states()); ++i) into(i, nullptr);
        out(nullptr);
    }

    void begin(int64_t first, int32_t n) {
        n_ = n;
        for (std::size_t p = 0; p < params_.size(); ++p) {
            if (params_[p].owner == nullptr) continue;
            int64_t neuron = first % stretch_.population;
            for (std::size_t i = 0; i < at(n); ++i) {
                filled_[p * width_ + i] = params_[p].values[params_[p].owner[neuron]];
                if (++neuron == stretch_.population) neuron = 0;
            }
        }
        program_.prepare(frame_, kernels_, n);
    }

    void narrow(int32_t n) { n_ = n; }       // fewer of the same block
    void port(std::size_t i, const R* values) { frame_.places[program_.input_place(static_cast<int32_t>(i))] = const_cast<R*>(values); }
    void state(std::size_t i, const R* values) { frame_.places[program_.state_place(static_cast<int32_t>(i))] = const_cast<R*>(values); }
    // Where the output and a next state of the coming runs are wanted; null for nowhere. A state may go to where it is read.
    void out(R* to) { frame_.places[program_.sink_place(next_.size())] = to == nullptr ? unwanted_.data() : to; }
    void into(std::size_t i, R* to) { frame_.places[program_.sink_place(i)] = to == nullptr ? unwanted_.data() : to; }
    // States that are carried become 0 where they are nearer to it than `least`.
    void run(R least = R{0}) {
        if constexpr (std::is_same_v<R, float>)
            if (loop_ != nullptr) return loop_->run(frame_.places.data(), n_, least);
        interpret(least);
    }
    void add(R* to, const R* from) const { kernels_.add(to, to, from, n_); }

private:
    // Where there is no loop results are made in registers, or at once where they go if no later operation wants the place.
    void interpret(R least) {
        for (std::size_t i = program_.carried(); i < next_.size(); ++i) lead(program_.next_place(i), next_[i], wanted(i));
        lead(program_.output_place(), output_, wanted(next_.size()));
        program_.run(frame_, kernels_, n_, {{}, nullptr});
        hand(program_.output(frame_), output_, wanted(next_.size()));
        for (std::size_t i = program_.carried(); i < next_.size(); ++i) hand(program_.next_state(frame_, i), next_[i], wanted(i));
        for (std::size_t i = 0; i < program_.carried(); ++i) kernels_.keep(wanted(i), program_.next_state(frame_, i), least, n_);
    }
    R* wanted(std::size_t sink) const { return frame_.places[program_.sink_place(sink)]; }
    void lead(std::size_t place, R* own, R* to) { if (own != nullptr) frame_.places[place] = to == unwanted_.data() ? own : to; }
    void hand(const R* from, const R* own, R* to) const { if (own == nullptr && to != unwanted_.data()) std::copy_n(from, n_, to); }

    const Program<R>& program_;
    const Kernels<R>& kernels_;
    const Stretch& stretch_;
    const std::vector<Parameter<R>>& params_;
    typename Program<R>::Frame frame_;
    const StepLoop* loop_;
    std::size_t width_;
    Buffer<R> filled_, unwanted_;
    R* output_ = program_.output_alone() ? frame_.places[program_.output_place()] : nullptr;
    std::vector<R*> next_;                  // the registers of next states that are alone in their places; null for others
    int32_t n_ = 0;
};

// Memory is asked for before its turn, to be read or written: no prefetcher follows strides of this length.
template <bool kWritten, class R>
void ask_for(const R* row, int32_t n) {
    for (int32_t i = 0; i < n; i += static_cast<int32_t>(64 / sizeof(R))) __builtin_prefetch(row + i, kWritten);
}

// A stream as a block reads it: its row of a step, or a row of the one number.
template <class R>
class Reader {
public:
    Reader(const Stream<R>& stream, const Stretch& stretch, int64_t width)
        : stream_(stream), stride_(stream.stride == 0 ? stretch.elements : stream.stride), steps_(stretch.steps), one_(stream.count == 1 ? at(width) : 0) {
        if (stream.count == 1) std::fill_n(one_.data(), width, stream.values[0]);
    }
    const R* row(int64_t step, int64_t first) const {
        return stream_.count == 1 ? one_.data() : stream_.values + step * stride_ + first;
    }
    void ahead(int64_t step, int64_t first, int32_t n) const {
        if (stream_.count != 1 && step >= 0 && step < steps_) ask_for<false>(row(step, first), n);
    }

private:
    Stream<R> stream_;
    int64_t stride_, steps_;
    Buffer<R> one_;
};

template <class R>
std::vector<Reader<R>> readers(const std::vector<Stream<R>>& streams, const Stretch& stretch, int64_t width) {
    std::vector<Reader<R>> made;
    for (const Stream<R>& stream : streams) made.emplace_back(stream, stretch, width);
    return made;
}

}  // namespace spikeflow
