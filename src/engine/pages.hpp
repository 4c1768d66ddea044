// A large array that stays as it was made, on huge pages where the system has them: rows of synapses are read at random
// places, and a page of 4 KiB each would cost more than the synapses. Or one that lies elsewhere, such as in a mapped file.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace spikeflow {

template <class T>
class Pages {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    Pages() = default;
    explicit Pages(std::size_t count) : memory_(static_cast<T*>(taken(count * sizeof(T)))), size_(count) {}
    // An array that others keep, for as long as this one is used; it is only read.
    static Pages of(const T* data, std::size_t count) {
        Pages pages;
        pages.memory_ = {const_cast<T*>(data), Free{false}};
        pages.size_ = count;
        return pages;
    }

    std::size_t size() const { return size_; }
    T* data() { return memory_.get(); }
    const T* data() const { return memory_.get(); }

private:
    static constexpr std::size_t kHuge = std::size_t{2} << 20, kLine = 64;

    static void* taken(std::size_t bytes) {
        const std::size_t step = bytes < kHuge ? kLine : kHuge;
        const std::size_t whole = (bytes / step + 1) * step;
        void* const memory = std::aligned_alloc(step, whole);
        if (memory == nullptr) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        // a hint: without it the array is only slower
        if (step == kHuge) static_cast<void>(madvise(memory, whole, MADV_HUGEPAGE));
#endif
        return memory;
    }
    struct Free {
        bool own = true;
        void operator()(T* p) const {
            if (own) std::free(p);
        }
    };

    std::unique_ptr<T, Free> memory_;
    std::size_t size_ = 0;
};

}  // namespace spikeflow
