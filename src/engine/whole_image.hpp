// A convolution of codes over a whole image at once: for inputs so busy that spike by spike takes longer.
//
// Spikes are painted into an image of bytes, channels last, with the padding around it; a kernel of dot products then
// reads each target's window. Integers are exact in any order, so which form ran cannot be told from the sums.
#pragma once

#include <algorithm>
#include <vector>

#include "conv.hpp"

namespace spikeflow {

class WholeImage {
public:
    WholeImage() = default;

    // Channels are those of one group over one or two axes, columns not dilated; else `weights` stays empty.
    WholeImage(const Shape& in, const Shape& to, const ConvText<int32_t>& text) {
        const std::size_t axes = text.kernel.size(), x = axes - 1;
        if (text.groups != 1 || axes > 2 || text.dilation[x] != 1) return;
        const bool lines = axes == 2;
        const int32_t rows = lines ? in[1] : 1, above = lines ? text.padding[0] : 0, below = lines ? text.padding[1] : 0;
        const int64_t left = text.padding[2 * x], right = text.padding[2 * x + 1], channels = in[0];
        const int64_t line = (left + in.back() + right) * channels;
        const int64_t bytes = (int64_t{above} + rows + below) * line + kBeyond;
        if (bytes > kMost) return;
        size_ = static_cast<std::size_t>(bytes);
        for (int64_t y = 0; y < rows; ++y)
            for (int64_t p = 0; p < in.back(); ++p) place_.push_back(static_cast<int32_t>((y + above) * line + (left + p) * channels));
        view = {lines ? to[1] : 1, to.back(), to[0], lines ? text.kernel[0] : 1, (text.kernel[x] * in[0] + 3) / 4,
                (lines ? text.stride[0] : 1) * line, text.stride[x] * channels, (lines ? text.dilation[0] : 1) * line};
        products_ = int64_t{view.rows} * view.columns * view.channels * view.kernel_rows * view.fours * 4;
        pack(in[0], text);
    }

    bool suits(const ImageKernel& kernel, int64_t additions) const {
        return !weights.empty() && kernel.lanes != 0 && view.channels % kernel.lanes == 0 && additions > products_ / kernel.gain;
    }

    // False where a value is none of 1 to 127.
    bool paint(const Events<int32_t>& events, const Divisor& by_pixels, Buffer<uint8_t>& image) const {
        image.resize(size_);
        std::fill(image.begin(), image.end(), uint8_t{0});
        const auto pixels = static_cast<int32_t>(place_.size());
        uint32_t outside = 0;
        for (std::size_t e = 0; e < events.size(); ++e) {
            const int32_t c = by_pixels.of(events.index[e]);
            const int32_t value = events.at(e);
            image[static_cast<std::size_t>(place_[static_cast<std::size_t>(events.index[e] - c * pixels)] + c)] = static_cast<uint8_t>(value);
            outside |= static_cast<uint32_t>(value);
        }
        return outside <= INT8_MAX;
    }

    ImageView view{};
    Buffer<int8_t> weights;

private:
    static constexpr int64_t kBeyond = 4;            // the last four bytes of a kernel row may reach behind the image
    static constexpr int64_t kMost = int64_t{1} << 28;

    void pack(int32_t channels, const ConvText<int32_t>& text) {
        const int32_t across = text.kernel.back(), bytes = view.fours * 4;
        weights.resize(static_cast<std::size_t>(view.kernel_rows) * static_cast<std::size_t>(bytes) * static_cast<std::size_t>(view.channels));
        std::size_t at = 0;
        for (int32_t row = 0; row < view.kernel_rows; ++row)
            for (int32_t k = 0; k < bytes; k += 4)
                for (int32_t out = 0; out < view.channels; ++out)
                    for (int32_t i = k; i < k + 4; ++i) {
                        const int32_t tap = i / channels, c = i % channels;
                        const auto from = ((int64_t{out} * channels + c) * view.kernel_rows + row) * across + tap;
                        weights[at++] = tap < across ? static_cast<int8_t>(text.weights[static_cast<std::size_t>(from)]) : int8_t{0};
                    }
    }

    std::size_t size_ = 0;
    std::vector<int32_t> place_;                     // of the first channel of each pixel
    int64_t products_ = 0;
};

}  // namespace spikeflow
