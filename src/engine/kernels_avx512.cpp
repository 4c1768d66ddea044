// The kernels for avx512; flags in CMakeLists.txt.
#define ISA isa_avx512
#include "kernels.inc"
