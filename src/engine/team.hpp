// Team: threads that do one job together, again and again, as often as every few microseconds.
//
// The parts of a job are taken by whoever is there: a thread that the system does not run leaves its part to the others, so
// that nobody waits for it where there are more threads than cores. Who has nothing left to take spins for a short while,
// since the others are about to finish, and then sleeps.
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

    // job(k) for each k below `count`, by the caller and the others. Throws what one of them threw.
    void run(const std::function<void(int32_t)>& job);

private:
    void serve();
    void take_parts();

    int32_t count_;
    std::atomic<const std::function<void(int32_t)>*> job_{nullptr};      // none: the end
    std::atomic<uint32_t> turn_{0};                          // of jobs
    std::atomic<int32_t> next_;                              // part to be taken; none where it is not below `count`
    std::atomic<uint32_t> left_{0};                          // parts not done
    std::mutex mutex_;                                       // guards failure_
    std::exception_ptr failure_;
    std::vector<std::jthread> threads_;
};

}  // namespace spikeflow
