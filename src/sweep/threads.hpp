// Work shared by threads: each takes the next piece when it is done with one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace spikeflow {

// work(piece) for each piece; `make` gives each thread its own worker. No result may depend on which thread takes what.
// Where the system gives no further thread, those there are do the work; what one of them throws is thrown here, the first.
template <class Make>
void in_threads(int64_t pieces, int32_t threads, const Make& make) {
    std::atomic<int64_t> next{0};
    std::exception_ptr thrown;
    std::mutex one;
    const auto run = [&] {
        try {
            auto worker = make();
            for (int64_t piece = next++; piece < pieces; piece = next++) worker(piece);
        } catch (...) {
            next = pieces;                          // nobody begins another piece
            const std::lock_guard<std::mutex> held(one);
            if (thrown == nullptr) thrown = std::current_exception();
        }
    };
    const int64_t more = std::max<int64_t>(0, std::min<int64_t>(threads, pieces) - 1);
    std::vector<std::thread> others;
    others.reserve(static_cast<std::size_t>(more));
    try {
        for (int64_t i = 0; i < more; ++i) others.emplace_back(run);
    } catch (const std::exception&) {               // no thread, or no memory for one
    }
    if (pieces > 0) run();
    for (std::thread& other : others) other.join();
    if (thrown != nullptr) std::rethrow_exception(thrown);
}

}  // namespace spikeflow
