// Poisson: random drive, drawn in every step from counters; spikeflow/ir/nodes/poisson.py says what it means.
#pragma once

#include "node.hpp"

namespace spikeflow {

struct PoissonText {
    std::span<const uint32_t> thresholds;      // of all means, one after the other
    std::span<const int32_t> starts;           // where each begins, and the end
    std::span<const int32_t> table;            // which one each neuron has, in C order; or one for all
    int64_t seed = 0, number = 0;
    float weight = 1;                          // of an event
    bool analog = false;
};

template <class V>
std::unique_ptr<Node<V>> make_poisson(const std::string& name, const Shape& shape, const PoissonText& text);

}  // namespace spikeflow
