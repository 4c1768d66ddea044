// Exact integer arithmetic; mirrors spikeflow/ir/fixed.py line for line. Compiled with -fwrapv: overflow wraps as in
// numpy. Everything here is always inlined, since kernels are compiled several times for different processors.
#pragma once

#include <cstdint>

namespace spikeflow {

enum class Rounding : int32_t { floor = 0, nearest = 1, zero = 2 };
enum class Narrowing : int32_t { saturate = 0, symmetric = 1, wrap = 2, fold = 3 };

template <Rounding mode>
[[gnu::always_inline]] inline int64_t shift_right(int64_t x, int count) {
    if constexpr (mode == Rounding::nearest) return (x + (int64_t{1} << (count - 1))) >> count;
    if constexpr (mode == Rounding::zero) return x < 0 ? -((-x) >> count) : x >> count;
    return x >> count;
}

template <Narrowing mode>
[[gnu::always_inline]] inline int64_t narrow(int64_t x, int bits) {
    const int64_t half = int64_t{1} << (bits - 1), full = int64_t{1} << bits;
    if constexpr (mode == Narrowing::saturate) return x < -half ? -half : x > half - 1 ? half - 1 : x;
    if constexpr (mode == Narrowing::symmetric) return x < -(half - 1) ? -(half - 1) : x > half - 1 ? half - 1 : x;
    if constexpr (mode == Narrowing::wrap) return ((x + half) & (full - 1)) - half;
    return x > half ? x - full : x <= -half ? x + full : x;
}

}  // namespace spikeflow
