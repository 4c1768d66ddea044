// Kernels: the inner loops, compiled once for each kind of processor and chosen at run time.
//
// They take plain pointers: the only place where this engine does, since nothing here knows a length that its caller
// has not already checked. Elementwise loops without fused multiply-add give the same bits on every processor.
#pragma once

#include <bit>
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

// Division by a number that is known long before what it divides: by a product, exact for 0 to 2^31 - 1.
struct Divisor {
    uint64_t factor = 1;
    int shift = 0;

    Divisor() = default;
    explicit Divisor(int32_t number) : shift(31 + std::bit_width(static_cast<uint32_t>(number - 1))) {
        factor = (uint64_t{1} << shift) / static_cast<uint64_t>(number) + 1;
    }
    [[gnu::always_inline]] int32_t of(int32_t n) const { return static_cast<int32_t>(static_cast<uint64_t>(n) * factor >> shift); }
};

// What a source at some pixel reaches: `rows` and `columns` runs from the first ones on, and blocks of targets.
struct Reach {
    int32_t row, rows, column, columns, first_block, last_block;
};

// A convolution as seen from its sources; see conv.cpp.
struct ConvView {
    int32_t pixels;                              // of the source
    Divisor by_pixels, by_group;                 // the latter: input channels of a group
    const Reach* reach;                          // of each source pixel
    const Run *columns, *rows;                   // a row's count is 1
    int32_t group_out;
    int64_t channel_weights;                     // weights of one source channel
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

// A convolution as seen from its targets, over an image with zeros around it, four bytes at a time: floats, in planes of one
// channel, or bytes of four neighbours, channels last and one plane in all. Weights are packed alike, as
// [plane][kernel row][four bytes of the row][channel of the target].
struct ImageView {
    int32_t rows, columns, channels;             // of the target; channels are a multiple of the kernel's lanes
    int32_t planes, kernel_rows, fours;          // the last: of a kernel row
    int64_t down, across;                        // bytes of the image from a target to the next one
    int64_t plane, tap_down, tap_across;         // and from a plane, kernel row or four bytes to the next
};

// Sums in the order of the weights: of floats, or of products of bytes, weights with a sign and the image's up to 127, exact on
// every processor. Where there is no such kernel, `lanes` is 0. `gain`: so many of its products take as long as one that a
// spike adds to memory; measured.
template <class V>
struct ImageKernel {
    void (*conv)(V* to, const unsigned char* weights, const unsigned char* image, const ImageView& view) = nullptr;
    int32_t lanes = 0, gain = 1;
};

// Sums over windows of an image whose channels lie last: of targets, and elements of the image from one to the next.
struct PoolView {
    int32_t channels;
    int32_t targets[3], window[3];               // slices, rows, columns
    int64_t across[3], inside[3];                // from a target to the next one, and within a window
};

// How many of some values are not 0, and how many of these 1 or -1.
struct Tally {
    int64_t nonzero = 0, ones = 0;
};

// A float state of smaller magnitude is +0 at the end of a step: FLUSH of spikeflow/ir/limits.py.
template <class R>
inline constexpr R kFlush = R(0x1p-100);

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
    // Writes `base` + the place of each bit that is set, rising, and returns the end; up to 16 places behind it may be
    // written, too.
    int32_t* (*extract)(int32_t* to, const uint64_t* words, int32_t count, int32_t base);
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
    void (*spread)(R* to, const uint64_t* words, int32_t n);                    // 1 where bit i of the words is set, else 0
    Tally (*tally)(const R* x, int64_t n);
    void (*scaled)(R* to, const R* x, const R* factor, int32_t n);              // x factor, and +0 for -0
    void (*pool)(R* to, const R* from, const PoolView& view);                   // each window in the order in which it lies
    // Counts times a weight, never -0; returns how many are not 0.
    int32_t (*weigh)(R* to, const int32_t* counts, R weight, int32_t n);
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
    // For each of n random numbers, two a word, how many of the rising thresholds it reaches; n is a multiple of 64.
    void (*events)(int32_t* to, const uint64_t* words, int32_t n, const uint32_t* thresholds, int32_t count);
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
    // Returns whether all are whole and of magnitude up to `largest`; where not, what is written means nothing.
    bool (*whole)(int32_t* dst, const float* src, float largest, int32_t n);
    uint32_t (*bytes)(uint8_t* dst, const int32_t* src, int64_t n);             // returns all bits that were met

    template <class A>
    ScaledSums<A> scaled() const {
        if constexpr (sizeof(A) == 2) return scaled_16;
        else if constexpr (sizeof(A) == 4) return scaled_32;
        else return scaled_64;
    }
};
const CastKernels& cast_kernels(Isa isa);
template <class V>
const ImageKernel<V>& image_kernel(Isa isa);

}  // namespace spikeflow
