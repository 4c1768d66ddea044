// Weights as integer codes in a network of floats: a node of integers inside, whose sums are scaled at the end.
//
// Where only integers arrive, a target's sum runs in integers, hence exactly and in any order; it is converted to
// float32 once and multiplied by the scale once, and the bias comes last.
#pragma once

#include <memory>

#include "node.hpp"

namespace spikeflow {

// How sums of codes are to be taken. `largest` : the largest magnitude that can arrive; more, or a fraction, is an error of the
// run. `most` : the largest magnitude of a sum.
struct CodeSums {
    float scale;
    int64_t largest, most;
};

// `sums` : Linear, Conv2d, Sparse or by rule, in integers that hold every sum; without bias. `bias` : as set_bias takes it.
template <class S>
std::unique_ptr<Node<float>> make_coded(std::unique_ptr<Node<S>> sums, const CodeSums& of, std::span<const float> bias);

// What arrives as the integer that it has to be.
inline int64_t integer_of(const std::string& node, float x, int64_t largest) {
    const auto most = static_cast<float>(largest);
    // written so that NaN fails, too
    if (!(x >= -most && x <= most) || static_cast<float>(static_cast<int64_t>(x)) != x)
        throw Error(Fault::simulation, node, "what arrives is no integer, or larger than its source said", "integers, or weights in floats");
    return static_cast<int64_t>(x);
}

}  // namespace spikeflow
