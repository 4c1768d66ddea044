// Projections of rules as Python hands them over.
#pragma once

#include <array>
#include <cstdint>
#include <tuple>
#include <vector>

#include "engine/rule.hpp"
#include "engine/error.hpp"

namespace spikeflow {

// A projection as numbers: kind, first, sources, count, autapses, seed, number; skip, weight and delay as
// (mean, deviation, low, high).
using ProjectionNumbers = std::tuple<std::array<int64_t, 7>, std::array<double, 9>>;

inline std::vector<Projection> projections_of(const std::vector<ProjectionNumbers>& projections) {
    std::vector<Projection> out;
    for (const auto& [n, x] : projections) {
        if (n[1] < 0 || n[1] > INT32_MAX || n[2] < 0 || n[2] > INT32_MAX) throw Error(Fault::graph, "projection", "sources that do not exist");
        out.push_back({static_cast<Projection::Kind>(n[0]), static_cast<int32_t>(n[1]), static_cast<int32_t>(n[2]), n[3], n[4] != 0,
                                    static_cast<uint64_t>(n[5]), static_cast<uint64_t>(n[6]), x[0], {x[1], x[2], x[3], x[4]}, {x[5], x[6], x[7], x[8]}});
    }
    return out;
}

}  // namespace spikeflow
