// Layout: how the elements of a node lie in memory.
//
// Logical order is C order of the shape; sums follow it and spikes are named by it. Values of shape (C, ...) lie
// channels last, so that the synapses of one kernel tap are neighbours. Every layout is cut into blocks of about
// 512 elements; a block of (C, ...) holds whole pixels, so that a value for each channel repeats in every block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "error.hpp"
#include "kernels.hpp"

namespace spikeflow {

inline constexpr int32_t kBlock = 512;
using Shape = std::vector<int32_t>;

class Layout {
public:
    Layout() = default;
    explicit Layout(Shape shape, const std::string& name = "layout") : shape(std::move(shape)) {
        int64_t count = 1;
        for (int32_t n : this->shape) {
            require(n >= 1, name, "a dimension below 1");
            count *= n;
            require(count <= INT32_MAX, name, "more than 2**31 - 1 elements");
        }
        size = static_cast<int32_t>(count);
        if (this->shape.size() > 1) {
            channels = this->shape[0];
            pixels = size / channels;
        } else {
            pixels = size;
        }
        permuted = channels > 1 && pixels > 1;
        by_pixels_ = Divisor(pixels);
        whole_pixels = !permuted || channels <= kBlock;
        block = permuted && whole_pixels ? kBlock / channels * channels : kBlock;
        blocks = (size - 1) / block + 1;
        block_pixels_ = block / channels;
        if (permuted && whole_pixels) fill_offsets();
    }

    int32_t physical(int32_t logical) const {
        if (!permuted) return logical;
        const int32_t channel = by_pixels_.of(logical);
        return (logical - channel * pixels) * channels + channel;
    }
    int32_t logical(int32_t physical) const {
        return permuted ? physical % channels * pixels + physical / channels : physical;
    }
    // Logical index of element i of a block.
    int32_t logical(int32_t block_index, int32_t i) const {
        if (!permuted) return block_index * block + i;
        if (whole_pixels) return offsets_[static_cast<std::size_t>(i)] + block_index * block_pixels_;
        return logical(block_index * block + i);
    }
    // All elements, from the order in which they lie to C order, and back.
    template <class From, class To>
    void to_logical(const From* from, To* to) const {
        if (!permuted) return cast(from, to);
        for (int32_t c = 0; c < channels; ++c)
            for (int32_t p = 0; p < pixels; ++p) *to++ = static_cast<To>(from[p * channels + c]);
    }
    template <class From, class To>
    void to_physical(const From* from, To* to) const {
        if (!permuted) return cast(from, to);
        for (int32_t p = 0; p < pixels; ++p)
            for (int32_t c = 0; c < channels; ++c) *to++ = static_cast<To>(from[c * pixels + p]);
    }
    int32_t first(int32_t block_index) const { return block_index * block; }
    int32_t length(int32_t block_index) const {
        const int32_t left = size - block_index * block;
        return left < block ? left : block;
    }
    bool operator==(const Layout& other) const { return shape == other.shape; }

    Shape shape;
    int32_t size = 0, channels = 1, pixels = 0, block = kBlock, blocks = 0;
    bool permuted = false, whole_pixels = true;

private:
    template <class From, class To>
    void cast(const From* from, To* to) const {
        for (int32_t i = 0; i < size; ++i) to[i] = static_cast<To>(from[i]);
    }
    void fill_offsets() {
        offsets_.resize(static_cast<std::size_t>(block));
        for (int32_t i = 0; i < block; ++i)
            offsets_[static_cast<std::size_t>(i)] = i % channels * pixels + i / channels;
    }
    Divisor by_pixels_;
    int32_t block_pixels_ = 0;
    std::vector<int32_t> offsets_;   // logical index of element i of block 0
};

}  // namespace spikeflow
