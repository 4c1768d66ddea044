// Share: the part of one network's neurons that one thread owns; all nodes are cut at whole blocks.
#pragma once

#include "layout.hpp"

namespace spikeflow {

struct Share {
    int32_t number = 0, count = 1;
    bool leads = true;                   // of a process the share that does what its threads need once

    // Its blocks of a node: first_block to last_block.
    int32_t first_block(const Layout& layout) const { return block(layout, number); }
    int32_t last_block(const Layout& layout) const { return block(layout, number + 1); }

private:
    int32_t block(const Layout& layout, int32_t border) const {
        return static_cast<int32_t>(int64_t{layout.blocks} * border / count);
    }
};

// Into how many shares the neurons of a network are cut, and which of them this process holds: all, unless several
// processes have the network among them.
struct Cut {
    int32_t shares = 1, first = 0, last = 1;

    static Cut among_threads(int32_t threads) { return {threads, 0, threads}; }
    const Cut& checked() const {
        require(first >= 0 && first < last && last <= shares && own() <= 1024, "network", "cut into shares that do not exist");
        return *this;
    }
    bool whole() const { return first == 0 && last == shares; }
    int32_t own() const { return last - first; }
    Share share(int32_t own_number) const { return {first + own_number, shares, own_number == 0}; }
};

}  // namespace spikeflow
