// Rows that are kept in a file: the arrays of a node handed to Python, and a node made of arrays that Python mapped.
#pragma once

#include <string>
#include <vector>

#include "bind_arrays.hpp"
#include "engine/network.hpp"
#include "engine/sparse.hpp"

namespace spikeflow {

// (type of a weight, numbers, arrays as bytes), as `kept` gives them.
using KeptArrays = std::tuple<std::string, std::vector<int64_t>, std::vector<In<uint8_t>>>;

inline KeptRows rows_of(const KeptArrays& given) {
    const auto& [weight, numbers, arrays] = given;
    KeptRows kept{weight, numbers, {}};
    for (const auto& array : arrays) kept.arrays.push_back(std::as_bytes(view<uint8_t>(array)));
    return kept;
}

using Bytes = nb::ndarray<nb::numpy, const uint8_t, nb::ndim<1>>;

// (type of a weight, numbers, arrays as bytes, which belong to the network); None of a node that has no rows.
template <class V>
nb::object kept_rows(nb::handle_t<Network<V>> self, int32_t node) {
    const auto& entries = nb::cast<const Network<V>&>(self).entries();
    if (node < 0 || static_cast<std::size_t>(node) >= entries.size()) throw Error(Fault::simulation, "rows", "of a node that does not exist");
    const auto* const keeps = dynamic_cast<const Keeps*>(entries[static_cast<std::size_t>(node)].node.get());
    if (keeps == nullptr) return nb::none();
    const KeptRows kept = keeps->kept();
    nb::list arrays;
    for (const std::span<const std::byte> bytes : kept.arrays)
        arrays.append(Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), {bytes.size()}, self));
    return nb::make_tuple(kept.weight, kept.numbers, nb::tuple(arrays));
}

// The longest delay of each source of a node with rows; None of any other.
template <class V>
nb::object reach_of(const Network<V>& net, int32_t node) {
    const auto* const keeps = dynamic_cast<const Keeps*>(net.entries().at(static_cast<std::size_t>(node)).node.get());
    if (keeps == nullptr) return nb::none();
    const std::vector<int32_t> found = keeps->reaches();
    auto [array, memory] = allocate<int32_t>({found.size()});
    std::copy(found.begin(), found.end(), memory.begin());
    return nb::cast(array);
}

template <class V, class Class>
void bind_kept(Class& c) {
    using namespace nb::literals;
    c.def("kept", &kept_rows<V>, "node"_a, "The rows of a node as (type of a weight, numbers, arrays as bytes); None where it has none.");
    c.def("reach", &reach_of<V>, "node"_a, "The longest delay of each source of a node with rows; None of any other.");
    // the rows stay in the arrays given, which live as long as the network
    c.def("of_kept", [](Network<V>& net, const std::string& name, const Shape& in, const Shape& out, const KeptArrays& kept,
                        const std::optional<In<V>>& bias, int32_t exponent) {
        SynapseText<V> text;
        text.bias = view<V>(bias);
        text.exponent = exponent;
        text.cut = net.cut();
        return net.add(make_of_kept<V>(name, in, out, rows_of(kept), text));
    }, "name"_a, "inputs"_a, "out"_a, "kept"_a, "bias"_a.none(), "exponent"_a, nb::keep_alive<1, 5>(),
          "A node of rows that were kept, checked; they are not copied.");
}

}  // namespace spikeflow
