// The kernels for avx2; flags in CMakeLists.txt.
#define ISA isa_avx2
#include "kernels.inc"
