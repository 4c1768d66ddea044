// Digests of what recorded calls bring forth: digest_lowered FOLDER, or FOLDER ISA THREADS
//
// One line for each file: its name and a digest over outputs, records, states and counts, which is the same on every
// processor, with all its sets of kernels and any number of threads.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/error.hpp"
#include "player.hpp"

int main(int argc, char** argv) {
    using namespace spikeflow;
    if (argc < 2) return std::fprintf(stderr, "digest_lowered FOLDER [ISA THREADS]\n"), 2;
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(argv[1]))
        if (entry.path().extension() == ".calls") paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::fprintf(stderr, "best set of kernels here: %d\n", static_cast<int>(best_isa()));
    for (const auto& path : paths) {
        Playing playing;
        if (argc > 3) {
            playing.isa = std::stoi(argv[2]);
            playing.threads = std::stoi(argv[3]);
        }
        try {
            play(read_calls(path.string()), playing);
        } catch (const std::exception& error) {
            return std::fprintf(stderr, "%s: %s\n", path.c_str(), error.what()), 1;
        }
        std::printf("%s %016llx\n", path.filename().c_str(), static_cast<unsigned long long>(playing.digest));
    }
    return 0;
}
