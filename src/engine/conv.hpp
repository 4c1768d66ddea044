// Convolutions along any number of axes: each spike adds its channel's kernel around its place; no synapse is ever unrolled.
//
// Sums lie channels last. The taps of one kernel row that hit neighbouring targets are stored as neighbours, so one
// spike of a 3 x 3 kernel of stride 1 is three additions of one contiguous run each.
#pragma once

#include <vector>

#include "node.hpp"
#include "synapses.hpp"

namespace spikeflow {

template <class V>
struct ConvText {
    std::span<const WeightOf<V>> weights;            // (out, in / groups, one size for each axis of a channel)
    std::span<const V> bias;                         // empty, or one for each output channel
    std::vector<int32_t> kernel, stride, dilation, padding;      // one for each axis; padding before and after it
    int32_t groups = 1, exponent = 0;
};

template <class V>
std::unique_ptr<Node<V>> make_conv(const std::string& name, const Shape& in, const Shape& out, const ConvText<V>& text);

}  // namespace spikeflow
