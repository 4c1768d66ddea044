// A layer of neurons whose outputs come back to it one step later through a matrix, over all steps of a stretch of time.
//
// Within a step a neuron needs nothing of its neighbours, so each step is a sweep of one; between two steps the outputs of
// a sample are multiplied with the matrix: forward the rows of the active sources, summed in their order as the reference
// does, backward all rows. Samples need nothing of each other: threads take some each, and no number depends on which.
#pragma once

#include "sweep.hpp"

namespace spikeflow {

struct Feedback {
    const float* weight = nullptr;          // (population, population): to, from
    const float* bias = nullptr;            // (population), or null
    const float* last = nullptr;            // (elements): outputs before the first step
    std::size_t port = 0;                   // where it arrives, added to what comes from outside
};

// As sweep_forward; writes into `currents` (steps, elements) what arrived at the port in all.
void recurrent_forward(const Program<float>& program, const Feedback& feedback, const ForwardText<float>& text, float* currents);

// The step itself, and the programs of its way back where the gradient of the fed port alone is wanted.
struct StepBack {
    const Program<float>& step;
    Backward<float> back;
};

// The cotangents of the outputs, (steps, elements) into `total`: those given, and what comes back through the feedback.
// With them, and the currents as inputs, the layer's gradients are those of sweep_backward.
void recurrent_backward(const StepBack& programs, const Feedback& feedback, const BackwardText<float>& text, float* total);

}  // namespace spikeflow
