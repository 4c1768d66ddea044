// tanh and sigmoid: the operations of spikeflow/ir/functions.py in the same order, so the same bits.
#pragma once

namespace spikeflow {

[[gnu::always_inline]] inline float tanh_formula(float x) {
    float y = x * 0.5f;
    y = y > -4.5f ? y : -4.5f;
    y = y < 4.5f ? y : 4.5f;
    const float s = y * y;
    const float top = y * (((s + 378.0f) * s + 17325.0f) * s + 135135.0f);
    const float bottom = ((s * 28.0f + 3150.0f) * s + 62370.0f) * s + 135135.0f;
    const float t = top / bottom;
    return (t + t) / (t * t + 1.0f);
}

[[gnu::always_inline]] inline float sigmoid_formula(float x) { return tanh_formula(x * 0.5f) * 0.5f + 0.5f; }

}  // namespace spikeflow
