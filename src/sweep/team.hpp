// The threads that torch has: after each of its operations they look out for the next one for milliseconds, on the very
// cores that threads of ours would have to share with them.
#pragma once

#if defined(__linux__)
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#endif

namespace spikeflow {

// GOMP_parallel of OpenMP: function(data) in so many threads, the caller among them; back when all are done.
using Team = void (*)(void (*)(void*), void*, unsigned, unsigned);

#if defined(__linux__)
inline std::atomic<bool> forked{false};

inline Team team_of_torch() {
    void* const torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
    if (torch == nullptr) return nullptr;
    void* const found = dlsym(torch, "GOMP_parallel");  // of the library that torch itself is linked to
    dlclose(torch);                                     // it stays loaded: whoever loaded it holds it
    return reinterpret_cast<Team>(found);
}

// Null without torch, where its threads are others, and in a process made by fork, which has not got its parent's.
inline Team torch_team() {
    static const int failed = pthread_atfork(nullptr, nullptr, [] { forked = true; });
    static std::atomic<Team> team{nullptr};
    if (failed != 0 || forked) return nullptr;
    if (team.load() == nullptr) team = team_of_torch();
    return team;
}
#else
inline Team torch_team() { return nullptr; }
#endif

}  // namespace spikeflow
