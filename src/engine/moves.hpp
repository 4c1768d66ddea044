// Nodes that move, pool or scale values. All work on spikes.
#pragma once

#include "node.hpp"
#include "synapses.hpp"

namespace spikeflow {

// Any move: element i handed on, in C order, is element sources[i] of the ports laid one after the other, 0 where -1.
template <class V>
std::unique_ptr<Node<V>> make_move(const std::string& name, const std::vector<Shape>& in, const Shape& out,
                                   std::span<const int32_t> sources);

// Sums over windows; one size and stride for each axis of a channel.
template <class V>
std::unique_ptr<Node<V>> make_pool(const std::string& name, const Shape& in, const Shape& out,
                                   const Shape& kernel, const Shape& stride);

// Each value times its factor (one, or one each in C order), then for integers shifted by the exponent.
template <class V>
std::unique_ptr<Node<V>> make_scale(const std::string& name, const Shape& shape, std::span<const WeightOf<V>> factor,
                                    int32_t exponent);

}  // namespace spikeflow
