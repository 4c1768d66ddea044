// Hostile lowered arrays: recorded calls, changed as a stranger might, are refused or run, in bounded time and memory.
//
//   fuzz_lowered FOLDER COUNT [SEED [SECONDS]]    changed calls of the folder's files, by rising seeds
//   fuzz_lowered FOLDER write SEED FILE           what a seed makes
//   fuzz_lowered play FILE...                     files as they are
//
// Built with sanitizers, whose findings end the program; so does an input that takes too long.
#include <malloc.h>
#include <sys/time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "engine/error.hpp"
#include "mutation.hpp"
#include "player.hpp"

// More memory than an input may take is refused as the system would refuse it.
namespace {

constexpr std::size_t kMost = std::size_t{128} << 20;
std::atomic<std::size_t> held{0};

void* taken(std::size_t bytes, std::size_t align) {
    if (bytes > kMost || held.load(std::memory_order_relaxed) + bytes > kMost) throw std::bad_alloc();
    void* const memory = align == 0 ? std::malloc(bytes) : std::aligned_alloc(align, (bytes + align - 1) / align * align);
    if (memory == nullptr) throw std::bad_alloc();
    held.fetch_add(malloc_usable_size(memory), std::memory_order_relaxed);
    return memory;
}

void given_back(void* memory) {
    if (memory == nullptr) return;
    held.fetch_sub(malloc_usable_size(memory), std::memory_order_relaxed);
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t bytes) { return taken(std::max<std::size_t>(bytes, 1), 0); }
void* operator new(std::size_t bytes, std::align_val_t align) { return taken(std::max<std::size_t>(bytes, 1), static_cast<std::size_t>(align)); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    try {
        return ::operator new(bytes);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { given_back(memory); }
void operator delete(void* memory) noexcept { given_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { given_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { given_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { given_back(memory); }

// A sanitizer's findings end in the handler of aborts; what asks for too much memory gets none.
extern "C" const char* __asan_default_options() { return "abort_on_error=1:allocator_may_return_null=1:max_allocation_size_mb=128:detect_leaks=0:quarantine_size_mb=16"; }
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

namespace spikeflow {
namespace {

using Clock = std::chrono::steady_clock;
constexpr itimerval kPatience{{0, 0}, {20, 0}};      // seconds of the processor's time
uint64_t now = 0;

extern "C" void tell(int signal) {
    std::fprintf(stderr, "%s: the input of seed %llu\n", signal == SIGPROF ? "too long" : "a finding", static_cast<unsigned long long>(now));
    std::_Exit(1);
}

struct Count {
    uint64_t done = 0, refused = 0, full = 0;      // `full`: no memory left
};

// A run is ended at the first look at it: what takes long without an end to it is met, too.
void check(const std::vector<Item>& calls, Count& count) {
    Playing playing;
    playing.monitor = [](int64_t) { return false; };
    ++count.done;
    try {
        play(calls, playing);
    } catch (const Error&) {
        ++count.refused;
    } catch (const Refused&) {
        ++count.refused;
    } catch (const std::bad_alloc&) {
        ++count.full;
    } catch (const std::length_error&) {
        ++count.full;
    }
}

std::vector<std::vector<Item>> files_of(const std::string& folder) {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".calls") paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    std::vector<std::vector<Item>> out;
    for (const std::string& path : paths) out.push_back(read_calls(path));
    if (out.empty()) throw Refused("no files of calls in " + folder);
    return out;
}

int run(const std::vector<std::string>& words) {
    Count count;
    const auto begin = Clock::now();
    if (words[0] == "play") {
        for (std::size_t k = 1; k < words.size(); ++k) check(read_calls(words[k]), count);
    } else {
        const Mutation mutation(files_of(words[0]));
        if (words[1] == "write") return write_calls(words.at(3), mutation.drawn(std::stoull(words.at(2)))), 0;
        const uint64_t first = words.size() > 2 ? std::stoull(words[2]) : 0;
        const double seconds = words.size() > 3 ? std::stod(words[3]) : 1e30;
        const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
        for (const uint64_t last = first + std::stoull(words[1]); first + count.done < last && passed() < seconds;) {
            now = first + count.done;
            setitimer(ITIMER_PROF, &kPatience, nullptr);
            check(mutation.drawn(now), count);
        }
    }
    std::printf("%llu inputs, %llu refused, %llu without memory, %.0f s\n", static_cast<unsigned long long>(count.done), static_cast<unsigned long long>(count.refused),
                static_cast<unsigned long long>(count.full), std::chrono::duration<double>(Clock::now() - begin).count());
    return 0;
}

}  // namespace
}  // namespace spikeflow

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() < 2) return std::fprintf(stderr, "fuzz_lowered FOLDER COUNT [SEED [SECONDS]] | FOLDER write SEED FILE | play FILE...\n"), 2;
    std::signal(SIGABRT, spikeflow::tell);
    std::signal(SIGPROF, spikeflow::tell);
    return spikeflow::run(words);
}
