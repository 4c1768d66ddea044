// Watch: what takes long can be stopped from outside. The calling thread asks now and then, those that work look.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "error.hpp"

namespace spikeflow {

using GoOn = std::function<bool()>;      // asked by the calling thread alone; false stops the work

// Of one working thread.
class Watch {
public:
    explicit Watch(const std::atomic<bool>& stop) : stop_(stop) {}
    // To be called for each small piece of work, or for some at once; it looks once in 65,536 pieces.
    void tick(uint32_t pieces = 1) {
        ticks_ += pieces;
        if (ticks_ <= UINT16_MAX) return;
        ticks_ = 0;
        look();
    }
    void look() const {
        if (stop_.load(std::memory_order_relaxed)) throw Error(Fault::simulation, "network", "was stopped while it was made");
    }

private:
    const std::atomic<bool>& stop_;
    uint32_t ticks_ = 0;
};

}  // namespace spikeflow
