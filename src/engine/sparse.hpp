// Sparse nodes, listed or by rule, and Linear nodes with a delay for each synapse: rows of targets, delivered when due.
#pragma once

#include "coded.hpp"
#include "kept_rows.hpp"
#include "rule.hpp"
#include "synapses.hpp"

namespace spikeflow {

// What such a node is to `make_coded`: with its rows it becomes one that counts codes in the integers of a network of floats.
template <class V>
class Countable {
public:
    virtual ~Countable() = default;
    virtual std::unique_ptr<Node<float>> counted(const CodeSums& sums, std::span<const float> bias) = 0;
};

// What a node by rules is made of: weights are float32, or codes of 8 or 16 bits times a scale.
template <class V>
struct RuleText {
    std::vector<Projection> projections;
    std::span<const V> bias;
    int32_t bits = 0;
    float scale = 1;
    Cut cut = {};                             // of the rows among threads and processes
    GoOn go_on = {};                          // asked while rows are made
};

template <class V>
std::unique_ptr<Node<V>> make_sparse(const std::string& name, const Shape& in, const Shape& out,
                                     const Integers& indptr, const Integers& targets, const SynapseText<V>& text);

template <class V>
std::unique_ptr<Node<V>> make_by_rule(const std::string& name, const Shape& in, const Shape& out, const RuleText<V>& text);

// A node of rows that were kept; they stay where they lie.
template <class V>
std::unique_ptr<Node<V>> make_of_kept(const std::string& name, const Shape& in, const Shape& out, const KeptRows& kept,
                                      const SynapseText<V>& text);

// For how many steps the value of each source is still read: the longest delay of its synapses by rule, onto some of the targets.
std::vector<int32_t> reach_of_sources(const std::string& name, int32_t sources, int32_t targets, const std::vector<Projection>& projections, Targets among);

// A Linear node with a delay for each synapse.
template <class V>
std::unique_ptr<Node<V>> make_delayed_linear(const std::string& name, int32_t sources, const Layout& layout, const SynapseText<V>& text);

}  // namespace spikeflow
