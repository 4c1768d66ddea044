// Memory of many megabytes that is about to be written for the first time, in pages of 2 MB where the system has them:
// one fault instead of 512, and a table of pages that the processor keeps. A wish; nothing depends on it.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace spikeflow {

template <class R>
void want_large_pages([[maybe_unused]] R* values, [[maybe_unused]] int64_t count) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr uintptr_t kPage = uintptr_t{1} << 21;
    const auto from = reinterpret_cast<uintptr_t>(values), to = from + static_cast<uintptr_t>(count) * sizeof(R);
    const uintptr_t first = (from + kPage - 1) / kPage * kPage, last = to / kPage * kPage;
    // what lies in whole pages alone, so that no memory of others is touched
    if (first < last) static_cast<void>(madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE));
#endif
}

}  // namespace spikeflow
