// The table of operations, as spikeflow/ir/operations.py has it: a new one is one line here.
//
// X(name, word in Python, arguments, numbers, kind, formula)
//   numbers: real, whole or any of them.
//   kind: `computed` by its formula from the registers a, b, c of one neuron; `special`, by a function of its own in
//   kernels_elementwise.inc; `read` where it lies, so that it needs no kernel.
// Formulas are written out in kernels compiled for several processors: only always-inlined functions may be used.
#pragma once

#include <cstdint>
#include <type_traits>

#include "functions.hpp"

// clang-format off
#define SPIKEFLOW_OPERATIONS(X)                                                  \
    X(constant, const,   0, any,   read,     )                                   \
    X(param,    param,   0, any,   read,     )                                   \
    X(state,    state,   0, any,   read,     )                                   \
    X(input,    input,   0, any,   read,     )                                   \
    X(add,      add,     2, any,   computed, a + b)                              \
    X(sub,      sub,     2, any,   computed, a - b)                              \
    X(mul,      mul,     2, any,   special,  )                                   \
    X(div,      div,     2, real,  computed, a / b)                              \
    X(minimum,  minimum, 2, any,   computed, a < b ? a : b)                      \
    X(maximum,  maximum, 2, any,   computed, a > b ? a : b)                      \
    X(floor,    floor,   1, real,  computed, whole_below(a))                     \
    X(where,    where,   3, any,   computed, a != R{0} ? b : c)                  \
    X(spike,    spike,   1, any,   computed, a >= R{0} ? R{1} : R{0})            \
    X(stop_gradient, stop_gradient, 1, any, read, )                              \
    X(tanh,     tanh,    1, real,  computed, tanh_formula(a))                    \
    X(sigmoid,  sigmoid, 1, real,  computed, sigmoid_formula(a))                 \
    X(shift,    shift,   1, whole, special,  )                                   \
    X(narrow,   narrow,  1, whole, special,  )                                   \
    X(table,    table,   1, whole, special,  )                                   \
    X(abs,      abs,     1, any,   computed, magnitude(a))                       \
    X(round,    round,   1, real,  computed, nearest(a))                         \
    X(exp,      exp,     1, real,  computed, exp_formula(a))

// Pairs (a first b) second c that the compiler makes one of, each operation still rounded by itself: one loop instead of
// two, and nothing stored between. X(name, first, second, formula)
#define SPIKEFLOW_PAIRS(X)                                                       \
    X(mul_add,   mul, add, a * b + c)                                            \
    X(mul_sub,   mul, sub, a * b - c)                                            \
    X(mul_mul,   mul, mul, a * b * c)                                            \
    X(mul_div,   mul, div, a * b / c)                                            \
    X(add_add,   add, add, a + b + c)                                            \
    X(add_sub,   add, sub, a + b - c)                                            \
    X(add_mul,   add, mul, (a + b) * c)                                          \
    X(sub_add,   sub, add, a - b + c)                                            \
    X(sub_sub,   sub, sub, a - b - c)                                            \
    X(sub_times, sub, mul, (a - b) * c)                                          \
    X(sub_div,   sub, div, (a - b) / c)
// clang-format on

namespace spikeflow {

enum class Op : int32_t {
#define SPIKEFLOW_NAME(name, word, arguments, numbers, kind, formula) name,
    SPIKEFLOW_OPERATIONS(SPIKEFLOW_NAME)
#undef SPIKEFLOW_NAME
    copy,                                           // from here on, those that the compiler makes
#define SPIKEFLOW_NAME(name, first, second, formula) name,
    SPIKEFLOW_PAIRS(SPIKEFLOW_NAME)
#undef SPIKEFLOW_NAME
    sub_mul, sub_spike,                             // c - a * b, and whether a - b >= 0
};
inline constexpr int32_t kOps = static_cast<int32_t>(Op::copy);      // those that a program may hold

enum class Numbers { any, real, whole };

struct OperationFacts {
    const char* word;
    int arguments;
    Numbers numbers;

    template <class R>
    constexpr bool legal() const {
        return numbers == Numbers::any || (numbers == Numbers::real) == std::is_floating_point_v<R>;
    }
};

inline constexpr OperationFacts kOperations[] = {
#define SPIKEFLOW_FACTS(name, word, arguments, numbers, kind, formula) {#word, arguments, Numbers::numbers},
    SPIKEFLOW_OPERATIONS(SPIKEFLOW_FACTS)
#undef SPIKEFLOW_FACTS
};

struct Pair {
    Op op, first, second;
};

inline constexpr Pair kPairs[] = {
#define SPIKEFLOW_PAIR(name, first, second, formula) {Op::name, Op::first, Op::second},
    SPIKEFLOW_PAIRS(SPIKEFLOW_PAIR)
#undef SPIKEFLOW_PAIR
};

}  // namespace spikeflow
