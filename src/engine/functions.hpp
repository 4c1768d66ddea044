// tanh, sigmoid and exp: the operations of spikeflow/ir/functions.py in the same order, so the same bits.
#pragma once

#include <cstdint>

namespace spikeflow {

[[gnu::always_inline]] inline float tanh_formula(float x) {
    float y = x * 0.5f;
    y = 4.5f < y ? 4.5f : y;                            // in this order a NaN stays one
    y = -4.5f > y ? -4.5f : y;
    const float s = y * y;
    const float top = y * (((s + 378.0f) * s + 17325.0f) * s + 135135.0f);
    const float bottom = ((s * 28.0f + 3150.0f) * s + 62370.0f) * s + 135135.0f;
    const float t = top / bottom;
    return (t + t) / (t * t + 1.0f);
}

[[gnu::always_inline]] inline float sigmoid_formula(float x) { return tanh_formula(x * 0.5f) * 0.5f + 0.5f; }

// 2^k for k from -126 to 127, exactly.
[[gnu::always_inline]] inline float power_of_two(int32_t k) { return __builtin_bit_cast(float, (k + 127) << 23); }

[[gnu::always_inline]] inline float exp_formula(float x) {
    float y = 89.0f < x ? 89.0f : x;
    y = -104.0f > y ? -104.0f : y;
    float z = y * 1.442695041f;
    z = z > -208.0f ? z : -208.0f;                      // here a NaN does not stay: k is a whole number
    const float k = __builtin_rintf(z);
    const float r = (y - k * 0.693359375f) - k * -2.12194440e-4f;
    float p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const int32_t whole = static_cast<int32_t>(k), half = whole >> 1;
    return p * power_of_two(half) * power_of_two(whole - half);
}

template <class R>
[[gnu::always_inline]] inline R magnitude(R x) {
    if constexpr (R(0.5) != R(0)) return __builtin_fabsf(x);
    else return x < 0 ? static_cast<R>(-x) : x;
}

}  // namespace spikeflow
