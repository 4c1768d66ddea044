// A convolution over a whole image at once: for inputs so busy that spike by spike takes longer.
//
// What arrives is painted into an image with the padding around it, channels last, and a kernel reads each target's window with its sums in
// registers. Floats add up in the order of their sources, a silent one +0 or -0, which changes no bit; codes, painted as
// bytes, are exact in any order. So which form ran cannot be told from the sums.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "conv.hpp"

namespace spikeflow {

// V is float, or int32_t with weights that are bytes.
template <class V>
class WholeImage {
public:
    using Element = std::conditional_t<std::is_same_v<V, float>, float, uint8_t>;
    static constexpr bool kBytes = sizeof(Element) == 1;

    WholeImage() = default;

    // Of one group over one or two axes, columns of bytes not dilated; else nothing suits.
    WholeImage(const Shape& in, const Shape& to, const ConvText<V>& text) {
        const std::size_t axes = text.kernel.size(), x = axes - 1;
        if (text.groups != 1 || axes > 2 || (kBytes && text.dilation[x] != 1)) return;
        const bool lines = axes == 2;
        const int64_t rows = lines ? in[1] : 1, above = lines ? text.padding[0] : 0, below = lines ? text.padding[1] : 0;
        const int64_t left = text.padding[2 * x], columns = left + in.back() + text.padding[2 * x + 1];
        const int64_t channels = in[0], size = sizeof(Element), height = above + rows + below;
        if (height * columns * channels > kMost) return;
        channels_ = channels;
        by_pixels_ = Divisor(static_cast<int32_t>(rows * in.back()));
        size_ = static_cast<std::size_t>(height * columns * channels) + kBeyond;
        for (int64_t y = 0; y < rows; ++y)
            for (int64_t p = 0; p < in.back(); ++p) place_.push_back(static_cast<int32_t>(((y + above) * columns + left + p) * channels));
        across_ = in.back();
        const int64_t line = columns * channels * size;
        view_.rows = lines ? to[1] : 1;
        view_.columns = to.back();
        view_.channels = to[0];
        view_.planes = kBytes ? 1 : in[0];
        view_.kernel_rows = lines ? text.kernel[0] : 1;
        view_.fours = kBytes ? (text.kernel[x] * in[0] + 3) / 4 : text.kernel[x];
        view_.down = (lines ? text.stride[0] : 1) * line;
        view_.across = text.stride[x] * channels * size;
        view_.plane = size;
        view_.tap_down = (lines ? text.dilation[0] : 1) * line;
        view_.tap_across = kBytes ? 4 : size * channels * text.dilation[x];
        products_ = int64_t{view_.rows} * view_.columns * view_.channels * view_.planes * view_.kernel_rows * view_.fours * (4 / size);
        pack(in[0], text);
    }

    bool possible(const ImageKernel<V>& kernel) const { return !weights_.empty() && kernel.lanes != 0 && view_.channels % kernel.lanes == 0; }

    // Whether it is faster than so many additions by so many spikes.
    bool pays(const ImageKernel<V>& kernel, int64_t additions, int64_t spikes) const {
        return possible(kernel) && additions + kOfSpike * spikes >= products_ / kernel.gain;
    }

    // The sums of all targets, of spikes or of a dense value; false where a value is none that its element holds.
    template <class Values>
    bool add(V* to, const Values& values, Isa isa, Buffer<Element>& image) const {
        const bool fresh = image.size() != size_;
        image.resize(size_);
        // a dense value is painted over the last one, and nothing else ever writes into the border
        if (fresh || !std::is_pointer_v<Values>) std::fill(image.begin(), image.end(), Element{0});
        if (!paint(values, isa, image)) return false;
        image_kernel<V>(isa).conv(to, bytes(weights_.data()), bytes(image.data()), view_);
        return true;
    }

private:
    static constexpr std::size_t kBeyond = 4;        // the last four bytes of a kernel row may reach behind the image
    static constexpr int64_t kMost = int64_t{1} << 22;      // elements: no worker takes more than 16 MiB for it
    static constexpr int64_t kOfSpike = 200;         // additions that take as long as the rest of a spike's way; measured

    template <class T>
    static const unsigned char* bytes(const T* x) { return reinterpret_cast<const unsigned char*>(x); }

    // Of a byte: 1 to 127.
    bool paint(const Events<V>& events, Isa, Buffer<Element>& image) const {
        const auto pixels = static_cast<int32_t>(place_.size());
        uint32_t met = 0;
        for (std::size_t e = 0; e < events.size(); ++e) {
            const int32_t c = by_pixels_.of(events.index[e]);
            const V value = events.at(e);
            image[static_cast<std::size_t>(place_[static_cast<std::size_t>(events.index[e] - c * pixels)] + c)] = static_cast<Element>(value);
            if constexpr (kBytes) met |= static_cast<uint32_t>(value);
        }
        return met <= INT8_MAX;
    }

    bool paint(const V* values, Isa isa, Buffer<Element>& image) const {
        const int64_t line = across_ * channels_;
        uint32_t met = 0;
        for (std::size_t first = 0; first < place_.size(); first += static_cast<std::size_t>(across_), values += line) {
            Element* const to = image.data() + place_[first];
            if constexpr (kBytes) met |= cast_kernels(isa).bytes(to, values, line);
            else std::copy_n(values, line, to);
        }
        return met <= INT8_MAX;
    }

    void pack(int32_t channels, const ConvText<V>& text) {
        using Weight = std::conditional_t<kBytes, int8_t, float>;
        const int32_t across = text.kernel.back(), each = kBytes ? 4 : 1;
        weights_.reserve(static_cast<std::size_t>(view_.planes) * static_cast<std::size_t>(view_.kernel_rows * view_.fours * each) * static_cast<std::size_t>(view_.channels));
        for (int32_t plane = 0; plane < view_.planes; ++plane)
            for (int32_t row = 0; row < view_.kernel_rows; ++row)
                for (int32_t k = 0; k < view_.fours * each; k += each)
                    for (int32_t out = 0; out < view_.channels; ++out)
                        for (int32_t i = k; i < k + each; ++i) {
                            const int32_t tap = kBytes ? i / channels : i, c = kBytes ? i % channels : plane;
                            const auto from = ((int64_t{out} * channels + c) * view_.kernel_rows + row) * across + tap;
                            weights_.push(tap < across ? static_cast<Weight>(text.weights[static_cast<std::size_t>(from)]) : Weight{0});
                        }
    }

    ImageView view_{};
    Buffer<std::conditional_t<kBytes, int8_t, float>> weights_;
    std::size_t size_ = 0;
    int64_t channels_ = 1, across_ = 1;              // of the source; the latter: pixels of a row
    Divisor by_pixels_;
    std::vector<int32_t> place_;                     // of the first channel of each pixel, row by row
    int64_t products_ = 0;
};

}  // namespace spikeflow
