// Arguments of the engine's functions from items; what bind_arrays.hpp, bind_plastic.hpp and bind_projections.hpp do for arrays of Python.
#pragma once

#include <array>
#include <vector>

#include "engine/bundle.hpp"
#include "engine/network.hpp"
#include "engine/plastic.hpp"
#include "engine/population.hpp"
#include "engine/rule.hpp"
#include "engine/synapses.hpp"
#include "item.hpp"

namespace spikeflow {

inline Shape shape_of(const Item& item) {
    Shape out;
    for (const Item& n : item.as_list()) out.push_back(n.as_int());
    return out;
}

template <class T>
std::vector<std::span<const T>> arrays_of(const Item& item) {
    std::vector<std::span<const T>> out;
    for (const Item& one : item.as_list()) out.push_back(one.as_array<T>());
    return out;
}

template <std::size_t N>
std::array<int64_t, N> numbers_of(const Item& item) {
    std::array<int64_t, N> out;
    for (std::size_t k = 0; k < N; ++k) out[k] = item.as_list(N)[k].as_whole();
    return out;
}

// Whole numbers of any width.
inline Integers integers_of(const Item& item) {
    if (item.none()) return {};
    if (item.kind != Item::Kind::array || item.type == 'f' || (item.type == 'u' && item.bytes == 8)) throw Refused("numbers that are not whole");
    return {item.data.data(), item.count(), item.bytes, item.type == 'i'};
}

inline ProgramText program_of(std::span<const Item> given) {
    const auto code = given[0].as_array<int64_t>();
    if (code.size() % 7 != 0) throw Refused("a program of another shape");
    const auto counts = numbers_of<4>(given[2]);
    ProgramText text;
    text.code = {reinterpret_cast<const Instruction*>(code.data()), code.size() / 7};
    text.constants = given[1].as_array<double>();
    text.inputs = counts[0];
    text.states = counts[1];
    text.params = counts[2];
    text.output = counts[3];
    text.next_states = given[3].as_array<int64_t>();
    return text;
}

// code, constants, counts, next states, tables, params, initial, start
template <class R>
PopulationText<R> population_of(std::span<const Item> given) {
    PopulationText<R> text;
    text.program = program_of(given);
    for (const auto table : arrays_of<int64_t>(given[4])) text.program.tables.emplace_back(table.begin(), table.end());
    text.params = arrays_of<R>(given[5]);
    text.initial = arrays_of<R>(given[6]);
    text.start = given[7].as_int();
    return text;
}

inline std::vector<Projection> projections_of(const Item& item) {
    std::vector<Projection> out;
    for (const Item& one : item.as_list()) {
        const auto n = numbers_of<7>(one.as_list(2)[0]);
        std::array<double, 9> x;
        for (std::size_t k = 0; k < 9; ++k) x[k] = one.items[1].as_list(9)[k].as_real();
        if (n[1] < 0 || n[1] > INT32_MAX || n[2] < 0 || n[2] > INT32_MAX) throw Refused("sources that do not exist");
        out.push_back({static_cast<Projection::Kind>(n[0]), static_cast<int32_t>(n[1]), static_cast<int32_t>(n[2]), n[3], n[4] != 0,
                       static_cast<uint64_t>(n[5]), static_cast<uint64_t>(n[6]), x[0], {x[1], x[2], x[3], x[4]}, {x[5], x[6], x[7], x[8]}});
    }
    return out;
}

// Of each node name, inputs, out, projections, sources, (scale, largest, most), bias.
inline std::vector<BundleText> bundle_of(const Item& item) {
    std::vector<BundleText> out;
    for (const Item& one : item.as_list()) {
        const auto& g = one.as_list(7);
        const auto& sums = g[5].as_list(3);
        out.push_back({g[0].as_word(), shape_of(g[1]), shape_of(g[2]), projections_of(g[3]), g[4].as_array<int32_t>(),
                       {static_cast<float>(sums[0].as_real()), sums[1].as_whole(), sums[2].as_whole()}, g[6].as_optional<float>()});
    }
    return out;
}

// Rows that were kept: the type of a weight, numbers, arrays of bytes, which stay where they are.
inline KeptRows kept_of(const Item& item) {
    const auto& g = item.as_list(3);
    KeptRows out{g[0].as_word(), {}, {}};
    for (const Item& n : g[1].as_list()) out.numbers.push_back(n.as_whole());
    for (const auto bytes : arrays_of<uint8_t>(g[2])) out.arrays.push_back(std::as_bytes(bytes));
    return out;
}

// synapses, weights, bias, parts, eligibility, every, bounds, codes
inline PlasticText plastic_of(std::span<const Item> given) {
    PlasticText text;
    const auto& synapses = given[0].as_list(4);
    text.indptr = integers_of(synapses[0]);
    text.targets = integers_of(synapses[1]);
    text.places = integers_of(synapses[2]);
    text.delays = integers_of(synapses[3]);
    text.weights = given[1].as_array<float>();
    text.bias = given[2].as_optional<float>();
    const auto& parts = given[3].as_list(kRuleParts);
    for (std::size_t p = 0; p < kRuleParts; ++p) {
        if (parts[p].none()) continue;
        const auto& part = parts[p].as_list(6);
        RuleProgramText& rule = text.parts[p].emplace();
        rule.program = program_of(part);
        for (const Item& x : part[4].as_list()) rule.params.push_back(static_cast<float>(x.as_real()));
        for (const Item& reading : part[5].as_list()) {
            const auto& pair = reading.as_list(2);
            rule.inputs.push_back({static_cast<Reading::From>(pair[0].as_int()), pair[1].as_int()});
        }
    }
    text.eligibility = arrays_of<float>(given[4]);
    text.every = given[5].as_int();
    const auto two = [](const Item& item) { return std::array{static_cast<float>(item.as_list(2)[0].as_real()), static_cast<float>(item.items[1].as_real())}; };
    if (!given[6].none()) text.bounds = two(given[6]);
    const auto& codes = given[7].as_list(3);
    text.scale = static_cast<float>(codes[0].as_real());
    text.codes = two(codes[1]);
    text.largest = codes[2].as_whole();
    return text;
}

}  // namespace spikeflow
