// What nodes with synapses are made of; Linear nodes, whose rows hold a weight for each target.
//
// Without delays the rows of the arriving spikes are added at once. With a delay for each source a spike is filed under the
// step in which its row is due; filing goes on in order of time and source, so what is due later holds the oldest emission
// first, then the source: the normative order. `sparse.hpp` has the nodes whose rows name their targets.
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>

#include "node.hpp"
#include "rows.hpp"
#include "watch.hpp"

namespace spikeflow {

template <class V>
using WeightOf = std::conditional_t<std::is_floating_point_v<V>, float, int32_t>;

// What a Linear or Sparse node is made of, as it comes from Python.
template <class V>
struct SynapseText {
    std::span<const WeightOf<V>> weights;     // Linear: (out, in); Sparse: as many as their scope says
    std::span<const V> bias;                  // empty, or one for each target, in C order
    Integers delays;                          // empty, or as many as their scope says; Linear: one a source or a synapse
    int32_t exponent = 0;
    Scope weight_scope = Scope::synapse, delay_scope = Scope::synapse;      // Sparse
    Cut cut = {};                             // of rows of targets among threads and processes
    GoOn go_on = {};                          // asked while rows of targets are made
};

struct DelayRange {
    int32_t shortest, longest;
};
DelayRange delays_of(const std::string& name, const Integers& delays);

template <class V>
std::unique_ptr<Node<V>> make_linear(const std::string& name, int32_t sources, const Shape& out,
                                     const SynapseText<V>& text);

// The narrowest integer type that holds all weights; float stays float.
template <class V, class F>
auto with_weight_type(std::span<const WeightOf<V>> weights, F f) {
    if constexpr (std::is_same_v<V, float>) return f(float{});
    else if constexpr (std::is_same_v<V, int64_t>) return f(int32_t{});
    else {
        int32_t low = 0, high = 0;
        for (const int32_t w : weights) {
            low = std::min(low, w);
            high = std::max(high, w);
        }
        if (low >= INT8_MIN && high <= INT8_MAX) return f(int8_t{});
        if (low >= INT16_MIN && high <= INT16_MAX) return f(int16_t{});
        return f(int32_t{});
    }
}

// A bias in physical order, without -0.
template <class V>
Buffer<V> physical_bias(const std::string& name, const Layout& layout, std::span<const V> bias) {
    require(bias.empty() || bias.size() == static_cast<std::size_t>(layout.size), name, "a bias of another size");
    Buffer<V> out(bias.size());
    for (std::size_t i = 0; i < bias.size(); ++i)
        out[static_cast<std::size_t>(layout.physical(static_cast<int32_t>(i)))] = bias[i] + V{0};
    return out;
}

}  // namespace spikeflow
