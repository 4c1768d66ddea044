// Products of matrices of which one is mostly 0, as spikes are: only rows of active sources are added up.
//
// y = s w^T + bias adds, for each row of s, the weights of the sources that are not 0 in it; the gradient of w adds, for
// each source, the rows of y's cotangent in which it is not 0. Each product is rounded before it is added. Terms are
// summed in groups of 8, groups within a block of kBlock rows or sources, then the blocks: so a sum is as near to the exact
// one as a dense product's. No number depends on the threads. What is silent brings nothing, whatever it would be
// multiplied with.
#pragma once

#include <cstdint>

namespace spikeflow {

struct Product {
    int64_t rows = 0, inputs = 0, outputs = 0;
    int32_t threads = 1, isa = 2;
};

inline constexpr int64_t kBlock = 512;              // of terms; of as many rows a table of kPanel columns fits the second-level cache
inline constexpr int64_t kPanel = 256;              // outputs that are summed in registers

// How many values are not 0.
int64_t active(const float* values, int64_t count, int32_t threads, int32_t isa);

// s (rows, inputs), weight (outputs, inputs), bias (outputs) or null, y (rows, outputs).
void product_forward(const Product& size, const float* s, const float* weight, const float* bias, float* y);

// The gradient of the weight (outputs, inputs), of the cotangent (rows, outputs) of y.
void product_weight(const Product& size, const float* s, const float* cotangent, float* to_weight);

}  // namespace spikeflow
