// Rows of a few elements are copied with a width that the compiler knows: as vectors, not by a call for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace spikeflow {

// f(width) with a constant where the width is a power of two up to 16, else with the number.
template <class F>
void with_width(int64_t width, const F& f) {
    switch (width) {
        case 1: return f(std::integral_constant<int64_t, 1>{});
        case 2: return f(std::integral_constant<int64_t, 2>{});
        case 4: return f(std::integral_constant<int64_t, 4>{});
        case 8: return f(std::integral_constant<int64_t, 8>{});
        case 16: return f(std::integral_constant<int64_t, 16>{});
        default: return f(width);
    }
}

// Rows that do not overlap; GCC 12 calls memmove for std::copy_n, of however few elements.
template <class R, class Width>
void copy_row(R* to, const R* from, Width width) { std::memcpy(to, from, static_cast<std::size_t>(+width) * sizeof(R)); }

}  // namespace spikeflow
