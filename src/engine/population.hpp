// Population: neurons that run one program. Blocks that can do nothing sleep.
//
// A neuron is idle in a step where the sum at each of its ports is 0, no bit of its state changes, it emits nothing and
// nothing is narrowed. A block sleeps while its ports are silent and a step with silent ports has been seen to leave
// all its neurons idle: then every further such step would do the same.
#pragma once

#include <span>

#include "node.hpp"
#include "program.hpp"

namespace spikeflow {

template <class R>
struct PopulationText {
    ProgramText program;
    // Each of size 1 (all neurons), of the number of channels, or of all neurons in C order.
    std::vector<std::span<const R>> params, initial;
    int32_t start = 0;
};

// V: type of the values between nodes; R: of the registers.
template <class V, class R>
std::unique_ptr<Node<V>> make_population(const std::string& name, const Shape& shape, const PopulationText<R>& text);

}  // namespace spikeflow
