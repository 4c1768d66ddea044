// Linear and Sparse nodes, listed or by rule: rows of synapses by source, delivered when due.
//
// A row is the synapses of one source that share a delay. Without delays the rows of the arriving spikes are added
// at once. With delays each spike files its rows under the step in which they are due; filing goes on in order of
// time and source, so what is due later holds the oldest emission first, then the source: the normative order.
#pragma once

#include <span>

#include "node.hpp"
#include "rows.hpp"
#include "rule.hpp"

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
};

// The same by rules: weights are float32, or codes of 8 or 16 bits times a scale.
template <class V>
struct RuleText {
    std::vector<Projection> projections;
    std::span<const V> bias;
    int32_t bits = 0;
    float scale = 1;
};

template <class V>
std::unique_ptr<Node<V>> make_linear(const std::string& name, int32_t sources, const Shape& out,
                                     const SynapseText<V>& text);

template <class V>
std::unique_ptr<Node<V>> make_sparse(const std::string& name, const Shape& in, const Shape& out,
                                     const Integers& indptr, const Integers& targets, const SynapseText<V>& text);

template <class V>
std::unique_ptr<Node<V>> make_by_rule(const std::string& name, const Shape& in, const Shape& out, const RuleText<V>& text);

// For how many steps the value of each source is still read: the longest delay of its synapses by rule.
std::vector<int32_t> reach_of_sources(const std::string& name, int32_t sources, int32_t targets, const std::vector<Projection>& projections);

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
