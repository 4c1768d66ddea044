// Work shared by threads: each takes the next piece when it is done with one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace spikeflow {

// work(piece) for each piece; `make` gives each thread its own worker. No result may depend on which thread takes what.
template <class Make>
void in_threads(int64_t pieces, int32_t threads, const Make& make) {
    std::atomic<int64_t> next{0};
    const auto run = [&] {
        auto worker = make();
        for (int64_t piece = next++; piece < pieces; piece = next++) worker(piece);
    };
    std::vector<std::thread> others;
    for (int64_t i = 1; i < std::min<int64_t>(threads, pieces); ++i) others.emplace_back(run);
    if (pieces > 0) run();
    for (std::thread& other : others) other.join();
}

}  // namespace spikeflow
