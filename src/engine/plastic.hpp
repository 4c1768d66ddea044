// Synapses that learn: see spikeflow/ir/plasticity.py for what happens in a step, sim/plastic.py for the same in numpy.
//
// A worker holds the weights of its sample. Nothing is touched but at events: rows of synapses when they deliver, the
// synapses onto a target when it spikes, all of them when a modulator says so.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "node.hpp"
#include "program.hpp"
#include "rows.hpp"

namespace spikeflow {

// What a program of a rule may read: a trace of the source or of the target by its number, or one of the others.
struct Reading {
    enum class From : int32_t { pre, post, spike, modulator, sum };
    From from = From::spike;
    int32_t trace = 0;
};

struct RuleProgramText {
    ProgramText program;
    std::vector<float> params;
    std::vector<Reading> inputs;
};

enum class RulePart : std::size_t { pre, post, at_pre, at_post, at_modulator, scaling };
inline constexpr std::size_t kRuleParts = 6;

struct PlasticText {
    // Synapses by source; of each its place among the weights, which are in stored order. No places: the same order.
    Integers indptr, targets, places, delays;
    std::span<const float> weights, bias;
    std::array<std::optional<RuleProgramText>, kRuleParts> parts;      // all but the last two are there
    std::vector<std::span<const float>> eligibility;                  // what is left of 1 after 0, 1, 2, ... steps; not empty
    int32_t every = 0;
    std::optional<std::array<float, 2>> bounds;
    float scale = 0;                             // of codes; 0: weights are floats
    std::array<float, 2> codes{};                // the lowest and the highest
    int64_t largest = 0;                         // of codes: the largest magnitude that may arrive
};

std::unique_ptr<Node<float>> make_plastic(const std::string& name, const Shape& in, const Shape& out, const PlasticText& text);

}  // namespace spikeflow
