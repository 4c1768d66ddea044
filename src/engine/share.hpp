// Share: the part of one network's neurons that one thread owns; all nodes are cut at whole blocks.
#pragma once

#include "layout.hpp"

namespace spikeflow {

struct Share {
    int32_t number = 0, count = 1;

    // Its blocks of a node: first_block to last_block.
    int32_t first_block(const Layout& layout) const { return block(layout, number); }
    int32_t last_block(const Layout& layout) const { return block(layout, number + 1); }

private:
    int32_t block(const Layout& layout, int32_t border) const {
        return static_cast<int32_t>(int64_t{layout.blocks} * border / count);
    }
};

}  // namespace spikeflow
