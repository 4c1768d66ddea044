// A layer of neurons whose currents at one port are a product of spikes, x w^T + bias: both in one go.
//
// Neurons of a layer need nothing of each other, samples neither. So a panel of neurons takes some samples through a tile
// of time: the rows of their active sources are summed into a buffer, which stays in cache, and swept from there. On the
// way back the currents are summed again, and the cotangents of the tile's currents go to the weights at once. Neither
// currents nor their cotangents are ever held for a whole stretch. Sums of currents are those of product.hpp, so outputs
// and states are the bits of a product and a sweep. The gradient of a weight is summed tile by tile, samples first, time
// backward; no number depends on the threads.
#pragma once

#include "product.hpp"
#include "sweep.hpp"

namespace spikeflow {

struct Drive {
    const float* x = nullptr;               // (steps, samples, inputs)
    const float* weight = nullptr;          // (population, inputs)
    const float* bias = nullptr;            // (population), or null
    int64_t inputs = 0;
    std::size_t port = 0;                   // where the product arrives; to every other port one number for all
};

// As sweep_forward; `kept`, where it is wanted, holds the states before the first step, too, in an order that is
// driven_backward's alone: moments, one more than stretch.kept(), times states times elements.
void driven_forward(const Program<float>& program, const Drive& drive, const ForwardText<float>& text);

// What is wanted of the product; null where it is not.
struct ToDrive {
    float* weight = nullptr;                // (population, inputs)
    float* bias = nullptr;                  // (population)
    float* currents = nullptr;              // (steps, elements)
};

// As sweep_backward where the gradients of the port and of `params` are wanted; those of the port end in `to`.
void driven_backward(const Backward<float>& programs, const std::vector<int32_t>& params, const Drive& drive, const BackwardText<float>& text,
                     const ToDrive& to);

}  // namespace spikeflow
