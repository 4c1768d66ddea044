// Rows of which few values are not 0: where these stand, and what they select of a table of weights or cotangents.
#pragma once

#include <algorithm>
#include <concepts>
#include <span>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/kernels.hpp"
#include "product.hpp"
#include "threads.hpp"

namespace spikeflow::active_rows {

inline constexpr int64_t kTile = 16;                // side of what is transposed at a time: a line of the cache each way

inline std::size_t at(int64_t i) { return static_cast<std::size_t>(i); }
inline int64_t blocks_of(int64_t count, int64_t each) { return (count + each - 1) / each; }

// Marks the values of a row that are not 0, and counts them.
inline int32_t mark(const Kernels<float>& kernels, const float* row, int64_t count, Buffer<uint64_t>& words) {
    words.resize(at(blocks_of(count, 64)));
    return kernels.nonzero(row, static_cast<int32_t>(count), words.data());
}

template <class Take>
void each_marked(const Buffer<uint64_t>& words, const Take& take) {
    for (std::size_t w = 0; w < words.size(); ++w)
        for (uint64_t word = words[w]; word != 0; word &= word - 1) take(static_cast<int64_t>(64 * w) + __builtin_ctzll(word));
}

// For each target its active terms within one block, and their values where any of them is not 1.
struct Lists {
    Buffer<int64_t> starts;                         // (targets + 1)
    Buffer<int32_t> index;
    Buffer<float> value;
    bool ones = true;

    // Adds a target's rows of a packed table to its sums.
    void add(const RowKernels<float, float>& kernels, int64_t target, const float* table, int64_t width, float* sums) const {
        const int64_t from = starts[at(target)], count = starts[at(target) + 1] - from;
        kernels.grouped(sums, static_cast<int32_t>(width), table, index.data() + from, ones ? nullptr : value.data() + from, count);
    }
};

// Columns of y: `count` from `first` on, in rows of `width`, a multiple of all vectors.
struct Panel {
    int64_t first, count, width;
};

// Panels of at most `widest` columns.
inline std::vector<Panel> panels_of(int64_t outputs, int64_t widest = kPanel) {
    std::vector<Panel> made;
    for (int64_t first = 0; first < outputs; first += widest) {
        const int64_t count = std::min(widest, outputs - first);
        made.push_back({first, count, blocks_of(count, kTile) * kTile});
    }
    return made;
}

// to[j][i] = from[i][j], for i < high, j < wide.
inline void transpose(const float* from, int64_t stride, int64_t high, int64_t wide, float* to, int64_t to_stride) {
    for (int64_t i = 0; i < high; i += kTile)
        for (int64_t j = 0; j < wide; j += kTile)
            for (int64_t b = j; b < std::min(wide, j + kTile); ++b)
                for (int64_t a = i; a < std::min(high, i + kTile); ++a) to[b * to_stride + a] = from[a * stride + b];
}

// A row by its number.
template <class Row>
concept Rows = requires(const Row& row, int64_t r) { { row(r) } -> std::convertible_to<const float*>; };

// For each of `rows` rows its active sources among `count` from `first` on.
template <Rows Row>
Lists by_row(const Row& row, int64_t rows, int64_t first, int64_t count, Isa isa, Buffer<uint64_t>& words) {
    Lists lists;
    lists.starts.push(0);
    for (int64_t r = 0; r < rows; ++r) {
        const float* values = row(r) + first;
        const auto found = at(mark(kernels<float>(isa), values, count, words));
        int32_t* index = lists.index.room(found);
        float* value = lists.value.room(found);
        each_marked(words, [&](int64_t i) {
            *index++ = static_cast<int32_t>(i);
            *value++ = values[i];
            lists.ones &= values[i] == 1.0f;
        });
        lists.index.commit(found);
        lists.value.commit(found);
        lists.starts.push(static_cast<int64_t>(lists.index.size()));
    }
    return lists;
}

// For each of `inputs` sources the rows in which it is active.
template <Rows Row>
Lists by_source(const Row& row, int64_t rows, int64_t inputs, Isa isa, Buffer<uint64_t>& words) {
    const Kernels<float>& kernel = kernels<float>(isa);
    Lists lists;
    lists.starts = Buffer<int64_t>(at(inputs) + 1, 0);
    for (int64_t r = 0; r < rows; ++r) {
        mark(kernel, row(r), inputs, words);
        each_marked(words, [&lists](int64_t i) { ++lists.starts[at(i) + 1]; });
    }
    for (int64_t i = 0; i < inputs; ++i) lists.starts[at(i) + 1] += lists.starts[at(i)];
    lists.index.resize(at(lists.starts[at(inputs)]));
    lists.value.resize(lists.index.size());
    Buffer<int64_t> next(at(inputs));
    std::copy_n(lists.starts.data(), inputs, next.data());
    for (int64_t r = 0; r < rows; ++r) {
        const float* values = row(r);
        mark(kernel, values, inputs, words);
        each_marked(words, [&](int64_t i) {
            const auto place = at(next[at(i)]++);
            lists.index[place] = static_cast<int32_t>(r);
            lists.value[place] = values[i];
            lists.ones &= values[i] == 1.0f;
        });
    }
    return lists;
}

// Weights (outputs, inputs) laid out source by source, a panel of outputs and a block of sources at a time; of the panels
// given, one or several that follow each other.
class PackedWeights {
public:
    PackedWeights(const Product& size, const float* weight, const float* bias, std::span<const Panel> panels)
        : size_(size), bias_(bias), first_(panels.empty() ? 0 : panels.front().first), blocks_(blocks_of(size.inputs, kBlock)),
          packed_(panels.empty() ? 0 : at(size.inputs * (panels.back().first + panels.back().width - first_))) {
        in_threads(static_cast<int64_t>(panels.size()) * blocks_, size.threads, [&] {
            return [&](int64_t piece) { pack(weight, panels[at(piece / blocks_)], piece % blocks_); };
        });
    }

    // The products of `rows` rows, whose active sources `lists` has block by block, into sums (rows, panel.width).
    void sum(const Lists* lists, int64_t rows, const Panel& panel, float* sums) const {
        const RowKernels<float, float>& kernels = row_kernels<float, float>(static_cast<Isa>(size_.isa));
        std::fill_n(sums, rows * panel.width, 0.0f);
        for (int64_t b = 0; b < blocks_; ++b)
            for (int64_t r = 0; r < rows; ++r) lists[b].add(kernels, r, table(panel, b), panel.width, sums + r * panel.width);
        if (bias_ == nullptr) return;
        for (int64_t r = 0; r < rows; ++r)
            std::transform(sums + r * panel.width, sums + r * panel.width + panel.count, bias_ + panel.first, sums + r * panel.width,
                           [](float sum, float bias) { return sum + bias; });
    }

private:
    const float* table(const Panel& panel, int64_t block) const { return packed_.data() + (panel.first - first_) * size_.inputs + block * kBlock * panel.width; }

    void pack(const float* weight, const Panel& panel, int64_t block) {
        const int64_t first = block * kBlock, count = std::min(kBlock, size_.inputs - first);
        float* to = const_cast<float*>(table(panel, block));
        transpose(weight + panel.first * size_.inputs + first, size_.inputs, panel.count, count, to, panel.width);
        for (int64_t i = 0; i < count; ++i) std::fill(to + i * panel.width + panel.count, to + (i + 1) * panel.width, 0.0f);
    }

    const Product size_;
    const float* bias_;
    int64_t first_, blocks_;
    Buffer<float> packed_;
};

}  // namespace spikeflow::active_rows
