// The kernels for base; flags in CMakeLists.txt.
#define ISA isa_base
#include "kernels.inc"
