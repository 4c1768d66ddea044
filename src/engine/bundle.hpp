// Bundles: nodes by rule with sources in common, whose synapses lie in one set of rows.
//
// What a spike costs is rows to look up and places in memory to wait for, more than synapses: where it reaches eight
// populations, eight sets of rows are eight times as many, each an eighth as long. Sums of codes have no order, so one row may
// serve all nodes. Each node keeps what it is to others: its past, its counts and its value.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "coded.hpp"
#include "sparse.hpp"

namespace spikeflow {

// One node of a bundle. `sources` : of each of its sources the number among those of the bundle.
struct BundleText {
    std::string name;
    Shape in, out;
    std::vector<Projection> projections;
    std::span<const int32_t> sources;
    CodeSums sums;
    std::span<const float> bias;
};

// The nodes in order. No delay is below 1; `bits` of a code are 8 or 16; rows are cut among threads and processes. `kept` : rows
// that were kept, which then are not made. `go_on` : asked
// while rows are made.
std::vector<std::unique_ptr<Node<float>>> make_bundle(const std::vector<BundleText>& texts, int32_t bits, const Cut& cut, const KeptRows* kept, const GoOn& go_on);

}  // namespace spikeflow
