// Which set of kernels this processor can run. On other machines, and in sanitizer builds, there is only `base`.
#include "kernels.hpp"
#include "program_ops.hpp"

namespace spikeflow {

namespace isa_base { extern const Tables tables; }
#ifdef SPIKEFLOW_X86
namespace isa_avx2 { extern const Tables tables; }
namespace isa_avx512 { extern const Tables tables; }
#endif

Isa best_isa() {
#ifdef SPIKEFLOW_X86
    static const Isa best = [] {
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) return Isa::avx512;
        return __builtin_cpu_supports("avx2") ? Isa::avx2 : Isa::base;
    }();
    return best;
#else
    return Isa::base;
#endif
}

static const Tables& tables(Isa isa) {
#ifdef SPIKEFLOW_X86
    if (isa > best_isa()) isa = best_isa();
    if (isa == Isa::avx512) return isa_avx512::tables;
    if (isa == Isa::avx2) return isa_avx2::tables;
#endif
    static_cast<void>(isa);
    return isa_base::tables;
}

template <> const Kernels<float>& kernels<float>(Isa isa) { return tables(isa).floats; }
template <> const Kernels<double>& kernels<double>(Isa isa) { return tables(isa).doubles; }
template <> const Kernels<int32_t>& kernels<int32_t>(Isa isa) { return tables(isa).int32s; }
template <> const Kernels<int64_t>& kernels<int64_t>(Isa isa) { return tables(isa).int64s; }
template <> const RowKernels<float, float>& row_kernels<float, float>(Isa isa) { return tables(isa).rows_float; }
template <> const RowKernels<int32_t, int8_t>& row_kernels<int32_t, int8_t>(Isa isa) { return tables(isa).rows_int8; }
template <> const RowKernels<int32_t, int16_t>& row_kernels<int32_t, int16_t>(Isa isa) { return tables(isa).rows_int16; }
template <> const RowKernels<int32_t, int32_t>& row_kernels<int32_t, int32_t>(Isa isa) { return tables(isa).rows_int32; }
template <> const RowKernels<int64_t, int32_t>& row_kernels<int64_t, int32_t>(Isa isa) { return tables(isa).rows_int64; }
const DrawKernels& draw_kernels(Isa isa) { return tables(isa).draws; }
const CastKernels& cast_kernels(Isa isa) { return tables(isa).casts; }

template <> const ImageKernel<float>& image_kernel<float>(Isa isa) { return tables(isa).image_floats; }

// That of AVX-512 needs an instruction more.
template <> const ImageKernel<int32_t>& image_kernel<int32_t>(Isa isa) {
#ifdef SPIKEFLOW_X86
    static const bool dots = __builtin_cpu_supports("avx512vnni");
    if (isa == Isa::avx512 && !dots) isa = Isa::avx2;
#endif
    return tables(isa).image_bytes;
}

}  // namespace spikeflow
