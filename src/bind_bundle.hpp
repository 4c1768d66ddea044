// Nodes whose synapses lie in one set of rows, as Python hands them over.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bind_arrays.hpp"
#include "bind_kept.hpp"
#include "bind_monitor.hpp"
#include "bind_projections.hpp"
#include "engine/bundle.hpp"
#include "engine/network.hpp"

namespace spikeflow {

using namespace nb::literals;

// Name, shapes of source and target, projections, numbers of its sources, (scale, largest that arrives, largest sum), bias.
using BundleArrays = std::tuple<std::string, Shape, Shape, std::vector<ProjectionNumbers>, In<int32_t>, std::tuple<float, int64_t, int64_t>,
                                std::optional<In<float>>>;

// Nodes that were made together and are added one by one.
struct Bundled {
    explicit Bundled(std::vector<std::unique_ptr<Node<float>>> made) : nodes(std::move(made)) {}
    Bundled(const Bundled&) = delete;

    std::vector<std::unique_ptr<Node<float>>> nodes;
};

template <class Class>
void bind_bundle(nb::module_& m, Class& network) {
    nb::class_<Bundled>(m, "Bundled", "Nodes by rule whose synapses lie in one set of rows.");
    network.def("bundle", [](const Network<float>& net, const std::vector<BundleArrays>& given, int32_t bits, const std::optional<KeptArrays>& kept) {
        std::vector<BundleText> texts;
        for (const auto& [name, in, out, projections, sources, sums, bias] : given) {
            const auto [scale, largest, most] = sums;
            texts.push_back({name, in, out, projections_of(projections), view<int32_t>(sources), {scale, largest, most}, view<float>(bias)});
        }
        const KeptRows rows = kept ? rows_of(*kept) : KeptRows{};
        const KeptRows* const given_rows = kept ? &rows : nullptr;
        return std::make_unique<Bundled>(interruptible([&](const GoOn& go_on) { return make_bundle(texts, bits, net.cut(), given_rows, go_on); }));
    }, "nodes"_a, "bits"_a, "kept"_a.none(), nb::keep_alive<1, 4>(), "Nodes by rule that share sources, for `bundled` to add; of rows that were kept, where these are given.");
    network.def("bundled", [](Network<float>& net, Bundled& bundle, std::size_t number) {
        if (number >= bundle.nodes.size() || !bundle.nodes[number]) throw Error(Fault::graph, "bundle", "a node that it does not have, or no more");
        return net.add(std::move(bundle.nodes[number]));
    }, "bundle"_a, "number"_a);
}

}  // namespace spikeflow
