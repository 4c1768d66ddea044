// Kernels: the inner loops, compiled once for each kind of processor and chosen at run time.
//
// They take plain pointers: the only place where this engine does, since nothing here knows a length that its caller
// has not already checked. Elementwise loops without fused multiply-add give the same bits on every processor.
#pragma once

#include <cstdint>
#include <type_traits>

namespace spikeflow {

// What an instruction needs besides its registers.
struct Immediate {
    int32_t value = 0;                 // shift count or bits
    int32_t mode = 0;
    const int64_t* table = nullptr;
    int64_t table_last = 0;
};

// How many values a `narrow` changed, because they lay below the low end or above the high end of their format.
struct Clips {
    int32_t low = 0, high = 0;
};

// dst = op(a, b, c) over n elements; only a `narrow` clips.
template <class R>
using Operation = Clips (*)(R* dst, const R* a, const R* b, const R* c, int32_t n, const Immediate& immediate);

// One source row or column hits `count` neighbouring targets from `target` on with kernel taps from `tap` on. The
// rest is the same as offsets, so that nothing is multiplied in the inner loop: into the sums and into the weights.
struct Run {
    int32_t target, count, tap;
    int32_t to = 0, from = 0, length = 0;
};

// A convolution as seen from its sources; see conv.cpp.
struct ConvView {
    int32_t pixels, width;                       // of the source
    const Run* columns;                          // runs of source column x: column_start[x] to column_start[x + 1]
    const int32_t* column_start;
    const Run* rows;                             // each of count 1
    const int32_t* row_start;
    int32_t target_width, target_channels;
    int32_t group_in, group_out;
    int64_t channel_weights;                     // weights of one source channel
    const int32_t *first_block, *last_block;     // blocks of each target pixel
};

// Adding synapses of weight type W to sums of type V.
template <class V, class W>
struct RowKernels {
    // to[j] += value[e] * weights[index[e] * n + j] for e in order; all values are 1 where value is null.
    void (*dense)(V* to, int32_t n, const W* weights, const int32_t* index, const V* value, int64_t count);
    // The same, each to[j] with a sum that is made for itself, in groups; n is a multiple of 16.
    void (*grouped)(V* to, int32_t n, const W* weights, const int32_t* index, const V* value, int64_t count);
    // to[s][j] += sum_i x[s][i] weights[i][j] for `samples` rows of n values; the weights' n rows are of `width`, a
    // multiple of 32 and at least n.
    void (*matrix)(V* to, int32_t n, int32_t samples, const W* weights, int64_t width, const V* x);
    // The same as `dense` through the taps of a convolution, with the active blocks of the target marked.
    void (*conv)(V* to, uint8_t* active, const W* weights, const ConvView& view, const int32_t* index,
                 const V* value, int64_t count);
};

// The bits of a register; a word that is not 0 marks a neuron in which something happened.
template <class R>
using Word = std::conditional_t<sizeof(R) == 4, uint32_t, uint64_t>;

// The end of a step of a population with one port and one state: neurons in which nothing happened, and whether a bit of
// any state changed.
struct Settled {
    int32_t idle = 0;
    bool changed = false;
};

template <class R>
struct Kernels {
    Operation<R> operations[64];                 // by Op, see operations.hpp
    void (*add)(R* dst, const R* a, const R* b, int32_t n);                    // a + b
    void (*add_biased)(R* dst, const R* a, const R* b, const R* bias, int32_t n);   // a + (b + bias)
    // Bit i of the words: x[i] != 0. Returns the number of bits set.
    int32_t (*nonzero)(const R* x, int32_t n, uint64_t* words);
    // The end of a step: a float below 2**-100 becomes +0. Marks the neurons of which a bit of the state changed;
    // returns whether there are any.
    bool (*settle)(R* state, const R* next, Word<R>* marks, int32_t n);
    // The same where one array arrives and one state is kept, without marks.
    Settled (*settle_single)(R* state, const R* next, const R* arrived, const R* output, int32_t n);
    // All of such a step for neurons that add up, fire at a threshold and subtract it; see Program::Integration. Floats;
    // `decay` may be null.
    Settled (*integrate)(R* state, R* output, const R* decay, const R* arrived, const R* threshold, int32_t n);
    void (*mark_nonzero)(Word<R>* marks, const R* x, int32_t n);
    void (*mark_different)(Word<R>* marks, const R* a, const R* b, int32_t n);
    int32_t (*unmarked)(const Word<R>* marks, int32_t n);
    // Floats: to = from, with +0 for what is of magnitude below `least`.
    void (*keep)(R* to, const R* from, R least, int32_t n);
    void (*shift)(R* x, int32_t n, int32_t amount);                             // integers: x 2**amount, floor
};

enum class Isa { base, avx2, avx512 };

// The best set of kernels of this processor, or a lesser one for tests.
Isa best_isa();
template <class R>
const Kernels<R>& kernels(Isa isa);
template <class V, class W>
const RowKernels<V, W>& row_kernels(Isa isa);
// Random numbers and what is made of them; see spikeflow/ir/nodes/poisson.py.
struct DrawKernels {
    // Words `first` to `first + count - 1` of a key.
    void (*words)(uint64_t* to, uint64_t key, uint64_t first, int32_t count);
    // For each of n random numbers how many of the rising thresholds it reaches; n is a multiple of 64.
    void (*events)(int32_t* to, const uint32_t* u, int32_t n, const uint32_t* thresholds, int32_t count);
};
const DrawKernels& draw_kernels(Isa isa);
// to = float(sums) * scale, and the sums are 0 again.
template <class A>
using ScaledSums = void (*)(float* to, A* sums, float scale, int32_t n);
// From one type to another, elementwise.
struct CastKernels {
    void (*widen)(int64_t* dst, const int32_t* src, int32_t n);
    void (*cut)(int32_t* dst, const int64_t* src, int32_t n);
    ScaledSums<int16_t> scaled_16;
    ScaledSums<int32_t> scaled_32;
    ScaledSums<int64_t> scaled_64;

    template <class A>
    ScaledSums<A> scaled() const {
        if constexpr (sizeof(A) == 2) return scaled_16;
        else if constexpr (sizeof(A) == 4) return scaled_32;
        else return scaled_64;
    }
};
const CastKernels& cast_kernels(Isa isa);

}  // namespace spikeflow
