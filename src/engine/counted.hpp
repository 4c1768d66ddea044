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

// Sums of a share's targets in integers, 0 between steps, and which of its blocks were met.
template <class A>
struct Counts {
    A* sums;
    uint8_t* met;
    float scale;
    ScaledSums<A> scaled;
};

struct Blocks {
    int32_t first, last;
};

// Hand on such sums in these blocks of a dense value; what was met is scaled and cleared in one go.
template <class A>
void hand_on(Slot<float>& out, const Layout& layout, Blocks blocks, const Counts<A>& counts) {
    float* const to = out.sums();
    for (int32_t b = blocks.first; b < blocks.last; ++b) {
        uint8_t& met = counts.met[b - blocks.first];
        if (met != 0) {
            counts.scaled(to + layout.first(b), counts.sums + layout.first(b) - layout.first(blocks.first), counts.scale, layout.length(b));
            out.touch(b);
            met = 0;
        } else if (out.active(b)) {
            out.clear_blocks(b, b + 1);
        }
    }
}

template <class W>
std::unique_ptr<Node<float>> make_counted(CountedText<W> text, const CodeSums& sums);

}  // namespace spikeflow
