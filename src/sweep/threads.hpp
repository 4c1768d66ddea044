// Work shared by threads: each takes the next piece when it is done with one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "team.hpp"

namespace spikeflow {

// `run` here, and in so many further threads.
template <class Run>
void with_own(int64_t more, const Run& run) {
    std::vector<std::thread> others;
    others.reserve(static_cast<std::size_t>(more));
    try {
        for (int64_t i = 0; i < more; ++i) others.emplace_back(run);
    } catch (const std::exception&) {               // no thread, or no memory for one
    }
    run();
    for (std::thread& other : others) other.join();
}

// work(piece) for each piece; `make` gives each thread its own worker. No result may depend on which thread takes what.
// Where the system gives no further thread, those there are do the work; what one of them throws is thrown here, the first.
template <class Make>
void in_threads(int64_t pieces, int32_t threads, const Make& make) {
    const int32_t most = std::max(1, threads);
    std::atomic<int64_t> next{0}, taking_part{0};
    std::exception_ptr thrown;
    std::mutex one;
    const auto run = [&] {
        try {
            if (taking_part++ >= most) return;      // of a team that is larger than what was asked for
            int64_t piece = next++;
            if (piece >= pieces) return;
            for (auto worker = make(); piece < pieces; piece = next++) worker(piece);
        } catch (...) {
            next = pieces;                          // nobody begins another piece
            const std::lock_guard<std::mutex> held(one);
            if (thrown == nullptr) thrown = std::current_exception();
        }
    };
    if (std::min<int64_t>(most, pieces) < 2) {
        run();
    } else if (const Team* const team = torch_team(); team != nullptr && gives_threads(std::max(most, team->most()) - 1)) {
        team->parallel([](void* each) { (*static_cast<decltype(run)*>(each))(); }, const_cast<void*>(static_cast<const void*>(&run)),
                       static_cast<unsigned>(std::max(most, team->most())), 0);
    } else {
        with_own(std::min<int64_t>(most, pieces) - 1, run);
    }
    if (thrown != nullptr) std::rethrow_exception(thrown);
}

}  // namespace spikeflow
