#include "team.hpp"

#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace spikeflow {
namespace {

constexpr int kSpins = 1000;      // some 20 microseconds

void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Until the value is another than `old`.
void wait_for_change(const std::atomic<uint32_t>& value, uint32_t old) {
    for (int i = 0; i < kSpins; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause();
    }
    value.wait(old, std::memory_order_acquire);
}

}  // namespace

Team::Team(int32_t count) : count_(count), next_(count) {
    for (int32_t k = 1; k < count; ++k) threads_.emplace_back([this] { serve(); });
}

Team::~Team() {
    job_.store(nullptr, std::memory_order_relaxed);
    turn_.fetch_add(1, std::memory_order_release);
    turn_.notify_all();
}

void Team::run(const std::function<void(int32_t)>& job) {
    job_.store(&job, std::memory_order_relaxed);
    left_.store(static_cast<uint32_t>(count_), std::memory_order_relaxed);
    next_.store(0, std::memory_order_release);      // from here on parts are taken, also by who is late from the last job
    turn_.fetch_add(1, std::memory_order_release);
    turn_.notify_all();
    take_parts();
    while (const uint32_t left = left_.load(std::memory_order_acquire)) wait_for_change(left_, left);
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Team::serve() {
    for (uint32_t seen = 0;;) {
        wait_for_change(turn_, seen);
        seen = turn_.load(std::memory_order_acquire);
        if (job_.load(std::memory_order_relaxed) == nullptr) return;
        take_parts();
    }
}

void Team::take_parts() {
    for (int32_t part; (part = next_.fetch_add(1, std::memory_order_acq_rel)) < count_;) {
        try {
            (*job_.load(std::memory_order_relaxed))(part);
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!failure_) failure_ = std::current_exception();
        }
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_one();
    }
}

}  // namespace spikeflow
