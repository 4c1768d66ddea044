// MaxPool: the largest value of each window, or the rise of the largest running sum of each window.
#pragma once

#include "node.hpp"

namespace spikeflow {

// Windows are those of one channel, all channels alike: window w holds members[start[w]] to members[start[w + 1] - 1],
// numbers of the channel's own elements in C order.
struct Windows {
    std::span<const int32_t> start, members;
};

template <class V>
std::unique_ptr<Node<V>> make_max_pool(const std::string& name, const Shape& in, const Shape& out, const Windows& windows,
                                       bool running);

}  // namespace spikeflow
