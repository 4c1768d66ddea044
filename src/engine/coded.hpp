// Weights as integer codes in a network of floats: a node of integers inside, whose sums are scaled at the end.
//
// Where only integers arrive, a target's sum runs in integers, hence exactly and in any order; it is converted to
// float32 once and multiplied by the scale once, and the bias comes last.
#pragma once

#include <memory>

#include "node.hpp"

namespace spikeflow {

// `sums` : Linear, Conv2d, Sparse or by rule, in the integers that hold every sum; without bias. `largest` : the
// largest magnitude that can arrive; more, or a fraction, is an error of the run. `bias` : as set_bias takes it.
template <class S>
std::unique_ptr<Node<float>> make_coded(std::unique_ptr<Node<S>> sums, float scale, int64_t largest,
                                        std::span<const float> bias);

}  // namespace spikeflow
