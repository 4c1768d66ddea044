// Player: the calls by which Python made and ran a network, played again without Python.
//
// As in bind.cpp no logic: arguments become the engine's structures, which checks them.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/kernels.hpp"
#include "item.hpp"

namespace spikeflow {

// What differs from the calls as they were recorded, and what runs report.
struct Playing {
    int32_t isa = -1, threads = -1;                  // instead of those recorded, where not below 0
    std::function<bool(int64_t)> monitor;            // of every run; false stops it
    uint64_t digest = 0xcbf29ce484222325;            // over all that came out of runs

    void add(const void* data, std::size_t bytes);
    // Processors differ in the sign of a number that is none.
    template <class T>
    void add(std::span<const T> values) {
        for (T value : values) {
            if (value != value) value = std::numeric_limits<T>::quiet_NaN();
            add(&value, sizeof value);
        }
    }
};

// What a call is made on: a network, or a live run.
class Played {
public:
    virtual ~Played() = default;
    // A call, and the object that it makes, if it makes one.
    virtual std::unique_ptr<Played> call(const std::string& method, std::span<const Item> given) = 0;
};

// Plays calls: each is a list of the number of an object, or -1, a method, and arguments; objects are numbered as they are
// made. Throws Error or Refused.
void play(const std::vector<Item>& calls, Playing& playing);

}  // namespace spikeflow
