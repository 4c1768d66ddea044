// tanh, sigmoid and exp: the operations of spikeflow/ir/functions.py in the same order, so the same bits; and what
// float and double call by different names.
#pragma once

#include <cstdint>

namespace spikeflow {

template <class R>
[[gnu::always_inline]] inline R tanh_formula(R x) {
    R y = x * R(0.5);
    y = R(4.5) < y ? R(4.5) : y;                            // in this order a NaN stays one
    y = R(-4.5) > y ? R(-4.5) : y;
    const R s = y * y;
    const R top = y * (((s + R(378)) * s + R(17325)) * s + R(135135));
    const R bottom = ((s * R(28) + R(3150)) * s + R(62370)) * s + R(135135);
    const R t = top / bottom;
    return (t + t) / (t * t + R(1));
}

template <class R>
[[gnu::always_inline]] inline R sigmoid_formula(R x) { return tanh_formula(x * R(0.5)) * R(0.5) + R(0.5); }

[[gnu::always_inline]] inline float nearest(float x) { return __builtin_rintf(x); }
[[gnu::always_inline]] inline double nearest(double x) { return __builtin_rint(x); }
[[gnu::always_inline]] inline float whole_below(float x) { return __builtin_floorf(x); }
[[gnu::always_inline]] inline double whole_below(double x) { return __builtin_floor(x); }

// 2^k exactly, for k whose power is a normal number.
template <class R>
[[gnu::always_inline]] inline R power_of_two(int32_t k) {
    if constexpr (sizeof(R) == 4) return __builtin_bit_cast(float, (k + 127) << 23);
    else return __builtin_bit_cast(double, static_cast<int64_t>(k + 1023) << 52);
}

template <class R>
[[gnu::always_inline]] inline R exp_formula(R x) {
    constexpr R low = sizeof(R) == 4 ? R(-104) : R(-746), high = sizeof(R) == 4 ? R(89) : R(710);
    R y = high < x ? high : x;
    y = low > y ? low : y;
    R z = y * R(1.442695041);
    z = z > 2 * low ? z : 2 * low;                          // here a NaN does not stay: k is a whole number
    const R k = nearest(z);
    const R r = (y - k * R(0.693359375)) - k * R(-2.12194440e-4);
    R p = r * R(1.9875691500e-4) + R(1.3981999507e-3);
    p = p * r + R(8.3334519073e-3);
    p = p * r + R(4.1665795894e-2);
    p = p * r + R(1.6666665459e-1);
    p = p * r + R(5.0000001201e-1);
    p = p * (r * r) + r + R(1);
    const int32_t whole = static_cast<int32_t>(k), half = whole >> 1;
    return p * power_of_two<R>(half) * power_of_two<R>(whole - half);
}

[[gnu::always_inline]] inline float magnitude(float x) { return __builtin_fabsf(x); }
[[gnu::always_inline]] inline double magnitude(double x) { return __builtin_fabs(x); }
template <class R>
[[gnu::always_inline]] inline R magnitude(R x) { return x < 0 ? static_cast<R>(-x) : x; }

}  // namespace spikeflow
