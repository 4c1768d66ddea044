// Team: threads that do one job together, again and again, as often as every few microseconds.
//
// Who waits spins for a short while, since the others are about to arrive, and then sleeps: where there are more threads than
// cores, spinning would take the time of those waited for.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace spikeflow {

class Team {
public:
    explicit Team(int32_t count);
    ~Team();
    Team(const Team&) = delete;

    // job(k) on thread k, for each below `count`; thread 0 is the caller's. Throws what one of them threw.
    void run(const std::function<void(int32_t)>& job);

private:
    void serve(int32_t number);
    void call(int32_t number);

    int32_t count_;
    const std::function<void(int32_t)>* job_ = nullptr;      // none: the end
    std::atomic<uint32_t> turn_{0};                          // of jobs
    std::atomic<uint32_t> left_{0};                          // threads still at the job
    std::mutex mutex_;                                       // guards failure_
    std::exception_ptr failure_;
    std::vector<std::jthread> threads_;
};

}  // namespace spikeflow
