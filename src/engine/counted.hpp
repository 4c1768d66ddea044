// Sums of codes over rows of targets, counted in integers as narrow as their bound allows; see `coded.hpp` for what they are.
#pragma once

#include "coded.hpp"
#include "rows.hpp"

namespace spikeflow {

template <class W>
struct CountedText {
    std::string name;
    Layout layout;
    Shape in_shape;
    Rows<W> rows;
    Buffer<float> bias;      // physical
};

template <class W>
std::unique_ptr<Node<float>> make_counted(CountedText<W> text, const CodeSums& sums);

}  // namespace spikeflow
