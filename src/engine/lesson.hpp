// What a worker tells synapses that learn when all nodes of a step have run.
#pragma once

#include <cstdint>

#include "value.hpp"

namespace spikeflow {

// Spikes of the targets, and a modulator or null.
template <class V>
struct Lesson {
    int64_t time;
    Slot<V>& post;
    Slot<V>* modulator;
};

// What a runner of such synapses is besides.
template <class V>
class Learns {
public:
    virtual ~Learns() = default;
    virtual void learn(const Lesson<V>& lesson) = 0;
};

// A node that learns, by whose spikes, and by which modulator, -1 for none.
struct Learner {
    std::size_t node;
    int32_t post, modulator;
};

}  // namespace spikeflow
