// Programs of neurons and of rules of learning, and synapses that learn, as Python hands them over.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bind_arrays.hpp"
#include "engine/network.hpp"
#include "engine/plastic.hpp"
#include "engine/population.hpp"

namespace spikeflow {

namespace nb = nanobind;
using namespace nb::literals;

using Code = nb::ndarray<const int64_t, nb::shape<-1, 7>, nb::c_contig, nb::device::cpu>;

template <class R>
PopulationText<R> population(const Code& code, const In<double>& constants, std::array<int64_t, 4> counts,
                             const In<int64_t>& next_states, const std::vector<In<int64_t>>& tables,
                             const std::vector<In<R>>& params, const std::vector<In<R>>& initial, int32_t start) {
    static_assert(sizeof(Instruction) == 7 * sizeof(int64_t));
    PopulationText<R> text;
    text.program.code = {reinterpret_cast<const Instruction*>(code.data()), code.shape(0)};
    text.program.constants = view<double>(constants);
    text.program.inputs = counts[0];
    text.program.states = counts[1];
    text.program.params = counts[2];
    text.program.output = counts[3];
    text.program.next_states = view<int64_t>(next_states);
    for (const auto& table : tables) text.program.tables.emplace_back(table.data(), table.data() + table.size());
    text.params = views<R>(params);
    text.initial = views<R>(initial);
    text.start = start;
    return text;
}

// A program of a rule: code, constants, counts, next states, params, and for each input what it is and which trace.
using RuleArrays = std::tuple<Code, In<double>, std::array<int64_t, 4>, In<int64_t>, std::vector<float>, std::vector<std::array<int32_t, 2>>>;

inline RuleProgramText rule_program(const RuleArrays& arrays) {
    const auto& [code, constants, counts, next_states, params, inputs] = arrays;
    RuleProgramText text;
    text.program = population<float>(code, constants, counts, next_states, {}, {}, {}, 0).program;
    text.params = params;
    for (const auto& [from, trace] : inputs) text.inputs.push_back({static_cast<Reading::From>(from), trace});
    return text;
}

template <class Class>
void bind_plastic(Class& c) {
    c.def("plastic", [](Network<float>& net, const std::string& name, const Shape& in, const Shape& out,
                        const std::tuple<Whole, Whole, std::optional<Whole>, std::optional<Whole>>& synapses, const In<float>& weights,
                        const std::optional<In<float>>& bias, const std::vector<std::optional<RuleArrays>>& parts,
                        const std::vector<In<float>>& eligibility, int32_t every, const std::optional<std::array<float, 2>>& bounds,
                        const std::tuple<float, std::array<float, 2>, int64_t>& codes) {
        const auto& [indptr, targets, places, delays] = synapses;
        PlasticText text;
        text.indptr = whole(indptr);
        text.targets = whole(targets);
        text.places = whole(places);
        text.delays = whole(delays);
        text.weights = view<float>(weights);
        text.bias = view<float>(bias);
        require(parts.size() == kRuleParts, name, "another number of programs");
        for (std::size_t p = 0; p < kRuleParts; ++p)
            if (parts[p]) text.parts[p] = rule_program(*parts[p]);
        text.eligibility = views<float>(eligibility);
        text.every = every;
        text.bounds = bounds;
        std::tie(text.scale, text.codes, text.largest) = codes;
        return net.add(make_plastic(name, in, out, text));
    }, "name"_a, "inputs"_a, "out"_a, "synapses"_a, "weights"_a, "bias"_a.none(), "parts"_a, "eligibility"_a, "every"_a, "bounds"_a.none(), "codes"_a,
       "Synapses that learn: (row pointers, targets, places, delays) by source, weights in stored order.");
    c.def("teach", &Network<float>::teach, "node"_a, "post"_a, "modulator"_a, "A node learns by the spikes of another one.");
}

}  // namespace spikeflow
