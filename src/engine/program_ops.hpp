// Tables: the set of kernels that one kind of processor gets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "kernels.hpp"
#include "operations.hpp"

namespace spikeflow {

static_assert(static_cast<std::size_t>(Op::sub_spike) < std::size(Kernels<float>{}.operations));

struct Tables {
    Kernels<float> floats;
    Kernels<double> doubles;
    Kernels<int32_t> int32s;
    Kernels<int64_t> int64s;
    RowKernels<float, float> rows_float;
    RowKernels<int32_t, int8_t> rows_int8;
    RowKernels<int32_t, int16_t> rows_int16;
    RowKernels<int32_t, int32_t> rows_int32;
    RowKernels<int64_t, int32_t> rows_int64;
    CastKernels casts;
    ImageKernel<float> image_floats;
    ImageKernel<int32_t> image_bytes;
    DrawKernels draws;
};

}  // namespace spikeflow
