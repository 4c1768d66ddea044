// Arrays of Python as the engine sees them, and of the engine as Python owns them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/error.hpp"
#include "engine/synapses.hpp"

namespace spikeflow {

namespace nb = nanobind;

template <class T>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<nb::numpy, T>;

template <class T>
std::span<const T> view(const In<T>& array) { return {array.data(), array.size()}; }

template <class T>
std::span<const T> view(const std::optional<In<T>>& array) {
    return array ? view<T>(*array) : std::span<const T>{};
}

template <class T>
std::vector<std::span<const T>> views(const std::vector<In<T>>& arrays) {
    std::vector<std::span<const T>> out;
    for (const auto& array : arrays) out.push_back(view<T>(array));
    return out;
}

// A numpy array of this shape and the memory it owns.
template <class T>
std::pair<Out<T>, std::span<T>> allocate(const std::vector<std::size_t>& shape) {
    std::size_t count = 1;
    for (const std::size_t n : shape) count *= n;
    auto memory = std::make_unique<T[]>(count);
    T* data = memory.get();
    nb::capsule owner(memory.release(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return {Out<T>(data, shape.size(), shape.data(), owner), {data, count}};
}

// Whole numbers of any width.
using Whole = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

inline Integers whole(const std::optional<Whole>& array) {
    if (!array) return {};
    const nb::dlpack::dtype type = array->dtype();
    const bool is_signed = type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Int);
    if ((!is_signed && type.code != static_cast<uint8_t>(nb::dlpack::dtype_code::UInt)) || type.lanes != 1 || (type.bits == 64 && !is_signed))
        throw Error(Fault::graph, "synapses", "numbers that are not whole");
    return {array->data(), array->size(), type.bits / 8, is_signed};
}

}  // namespace spikeflow
