// The threads that torch has: after each of its operations they look out for the next one for milliseconds, on the very
// cores that threads of ours would have to share with them.
#pragma once

#include <atomic>
#include <cstdint>
#include <latch>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <dlfcn.h>
#include <pthread.h>

#include <mutex>
#endif

namespace spikeflow {

// Of OpenMP: `parallel` runs function(data) in so many threads, the caller among them, and is back when all are done; `most`
// is how many an operation of torch takes. A team that is asked for fewer sends the others home, and torch has to call them.
struct Team {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
    int (*most)() = nullptr;
};

#if defined(__linux__)
inline std::atomic<bool> forked{false};
// Told when the library is loaded: the parent's team may be torch's own doing, before it asks for any of ours.
inline const int not_told_of_forks = pthread_atfork(nullptr, nullptr, [] { forked = true; });

inline Team team_of_torch() {
    void* const torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
    if (torch == nullptr) return {};
    Team team;                                          // of the library that torch itself is linked to
    team.parallel = reinterpret_cast<decltype(team.parallel)>(dlsym(torch, "GOMP_parallel"));
    team.most = reinterpret_cast<decltype(team.most)>(dlsym(torch, "omp_get_max_threads"));
    dlclose(torch);                                     // it stays loaded: whoever loaded it holds it
    return team;
}

// Null without torch, where its threads are others, and in a process made by fork, which has not got its parent's.
inline const Team* torch_team() {
    static std::atomic<const Team*> team{nullptr};
    if (not_told_of_forks != 0 || forked) return nullptr;
    if (team.load() == nullptr) {
        static Team found;
        static std::mutex one;
        const std::lock_guard<std::mutex> held(one);
        if (found.parallel == nullptr) found = team_of_torch();
        if (found.parallel != nullptr && found.most != nullptr) team = &found;
    }
    return team;
}
#else
inline const Team* torch_team() { return nullptr; }
#endif

// Whether the system gives so many threads at once: where it does not, OpenMP's library ends the process.
inline bool gives_threads(int64_t count) {
    static std::atomic<int64_t> given{0};
    if (count <= given) return true;
    bool enough = true;
    std::latch all{1};
    {
        std::vector<std::jthread> tried;
        tried.reserve(static_cast<std::size_t>(count));
        try {
            for (int64_t k = 0; k < count; ++k) tried.emplace_back([&all] { all.wait(); });
        } catch (const std::system_error&) {
            enough = false;
        }
        all.count_down();
    }
    if (enough) given = count;
    return enough;
}

}  // namespace spikeflow
