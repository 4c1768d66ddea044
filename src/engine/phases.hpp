// Entry: a node of a network and its edges. Phases: in which order a step runs where several threads share a network.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "division.hpp"

namespace spikeflow {

struct EdgeRef {
    int32_t source, delay;
};

enum class NodeKind { input, output, inner };

template <class V>
struct Entry {
    NodeKind kind;
    std::string name;
    Layout layout;
    std::unique_ptr<Node<V>> node;               // inner nodes only
    std::vector<std::vector<EdgeRef>> ports;
    int32_t ring = 1;                            // past values kept, the present included
    bool analog = false;                         // comes from a current, no population between
    bool whole = false;                          // see Slot::whole
    bool shared = false;                         // its neurons are cut into shares, where the network is
    int32_t parts = 0;                           // of a node that is divided
    std::optional<DividedSynapses> divided;      // of synapses
};

// Populations of channels and pixels whose readers all take dense values: their spikes need not be picked out.
template <class V>
void find_whole(std::vector<Entry<V>>& entries, Isa isa) {
    std::vector<uint8_t> read(entries.size(), 0), as_spikes(entries.size(), 0);
    for (const Entry<V>& entry : entries)
        for (const auto& edges : entry.ports)
            for (const EdgeRef& edge : edges) {
                // several edges are added up, and populations read sums: both are dense
                const bool dense = edges.size() > 1 || (entry.node && !entry.divided && (entry.node->is_population() || entry.node->reads_whole(isa)));
                read[static_cast<std::size_t>(edge.source)] = 1;
                as_spikes[static_cast<std::size_t>(edge.source)] |= !dense;
            }
    for (std::size_t n = 0; n < entries.size(); ++n) {
        Entry<V>& entry = entries[n];
        entry.whole = entry.node && entry.node->is_population() && entry.layout.permuted && read[n] && !as_spikes[n];
    }
}

// Nodes that run one after the other: by all threads, each its own range of neurons, or by one of them.
struct Phase {
    bool shared;
    std::vector<int32_t> nodes;
};

// Which nodes are cut. Among processes, each of which holds the sums of its own neurons alone, only populations that are
// cut may read such sums; what other nodes read, each process computes whole.
template <class V>
void share_nodes(std::vector<Entry<V>>& entries, const Cut& cut) {
    for (Entry<V>& entry : entries) entry.shared = entry.node && entry.node->shares();
    if (cut.whole()) return;
    for (const Entry<V>& entry : entries) {
        if (entry.shared && entry.node->is_population()) continue;
        for (const auto& edges : entry.ports)
            for (const EdgeRef& edge : edges) {
                Entry<V>& source = entries[static_cast<std::size_t>(edge.source)];
                if (!source.shared || !source.node->hands_on_sums()) continue;
                if (!source.node->may_run_whole())
                    throw Error(Fault::graph, entry.name, "reads sums of " + source.name + ", of which each process holds those of its own neurons",
                                "one process, or a population of spikes, without channels, between them");
                source.shared = false;
            }
    }
    const auto cut_here = [](const Entry<V>& entry) { return entry.shared && entry.node->is_population(); };
    if (std::any_of(entries.begin(), entries.end(), cut_here)) return;
    const auto first = std::find_if(entries.begin(), entries.end(), [](const Entry<V>& entry) { return entry.node && entry.node->is_population(); });
    throw Error(Fault::graph, first == entries.end() ? "network" : first->name,
                "is no population that processes could have among them, nor is another: one of spikes, without channels", "one process");
}

// What a node reads without delay has run in an earlier phase; only a population may run in one phase with the sums that it
// reads, since each thread's range of them is the range of its neurons.
template <class V>
std::vector<Phase> phases_of(const std::vector<Entry<V>>& entries) {
    std::vector<Phase> phases;
    std::vector<std::size_t> at(entries.size());
    for (std::size_t n = 0; n < entries.size(); ++n) {
        const bool shared = entries[n].shared;
        std::size_t phase = shared ? 1 : 0;      // those of odd number are shared
        for (const auto& edges : entries[n].ports)
            for (const EdgeRef& edge : edges) {
                if (edge.delay > 0) continue;
                const auto source = static_cast<std::size_t>(edge.source);
                const bool same = shared && entries[n].node->is_population() && entries[source].shared && entries[source].node->hands_on_sums();
                const std::size_t after = shared != entries[source].shared ? 1 : !shared || same ? 0 : 2;
                phase = std::max(phase, at[source] + after);
            }
        at[n] = phase;
        while (phases.size() <= phase) phases.push_back({phases.size() % 2 == 1, {}});
        phases[phase].nodes.push_back(static_cast<int32_t>(n));
    }
    return phases;
}

// How many steps the shared nodes may run before they hear of each other's spikes; 1 where each step needs what another node
// makes in it.
template <class V>
int32_t period_of(const std::vector<Entry<V>>& entries, const std::vector<Phase>& phases) {
    constexpr int32_t kLongest = 64;
    if (phases.size() < 2 || phases.size() > 3) return 1;
    std::vector<std::size_t> at(entries.size());
    for (std::size_t p = 0; p < phases.size(); ++p)
        for (const int32_t n : phases[p].nodes) at[static_cast<std::size_t>(n)] = p;
    int32_t period = kLongest;
    for (std::size_t n = 0; n < entries.size(); ++n) {
        const Entry<V>& entry = entries[n];
        if (at[n] == 1 && entry.node->hands_on_sums()) period = std::min(period, entry.node->shortest_delay() + 1);
        for (const auto& edges : entry.ports)
            for (const EdgeRef& edge : edges) {
                const auto source = static_cast<std::size_t>(edge.source);
                const bool sums = at[source] == 1 && entries[source].node->hands_on_sums();
                const bool population = at[n] == 1 && entry.node->is_population();
                // sums are read at once and by populations alone; these read nothing else that changes
                if (sums && (edge.delay > 0 || !population)) return 1;
                if (population && !sums && (edge.delay > 0 || entries[source].kind != NodeKind::input)) return 1;
                if (at[n] == 2 && at[source] == 0) return 1;
                if (at[n] == 1 && !population && at[source] != 0) return 1;
            }
    }
    return period;
}

}  // namespace spikeflow
