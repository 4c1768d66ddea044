// Op: the operations of the block interpreter, and the set of kernels that one kind of processor gets.
#pragma once

#include <cstdint>

#include "kernels.hpp"

namespace spikeflow {

// The first 19 are those of spikeflow/ir/program.py, `function` split in two; the rest the compiler makes.
enum class Op : int32_t {
    constant, param, state, input,
    add, sub, mul, div, minimum, maximum, floor, where, spike, hold, tanh, sigmoid, shift, narrow, table,
    copy, mul_add, mul_sub, sub_mul, sub_spike,
};
inline constexpr int32_t kOps = static_cast<int32_t>(Op::copy);      // those that a program may hold

struct Tables {
    Kernels<float> floats;
    Kernels<int32_t> int32s;
    Kernels<int64_t> int64s;
    RowKernels<float, float> rows_float;
    RowKernels<int32_t, int8_t> rows_int8;
    RowKernels<int32_t, int16_t> rows_int16;
    RowKernels<int32_t, int32_t> rows_int32;
    RowKernels<int64_t, int32_t> rows_int64;
    CastKernels casts;
};

}  // namespace spikeflow
