// What a processor allows for a balanced random network: a bare loop without any interface, to measure against.
//
//   g++ -O3 -march=native -pthread balanced.cpp -o balanced;  ./balanced NEURONS SECONDS THREADS  ->  one line of JSON
//
// Neurons: dv = -v dt / 20 ms + 26 mV, threshold 20 mV, reset 10 mV, refractory 2 ms, steps of 0.1 ms. Each has 800 synapses
// of +0.2 mV from the first 80 % and 200 of -1.2 mV from the others, delay 1.5 ms. A thread owns a range of targets: their
// numbers in 16 bits by source, sums in 16-bit counters, one barrier for each delay (15 steps).
#include <immintrin.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr int kDelay = 15, kExcitatory = 800, kInhibitory = 200;

double seconds(clockid_t clock) {
    timespec t;
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// On pages of 2 MiB.
template <class T>
T* room(std::size_t count) {
    const std::size_t page = 2u << 20, bytes = (count * sizeof(T) + page) / page * page;
    void* const p = std::aligned_alloc(page, bytes);
    madvise(p, bytes, MADV_HUGEPAGE);
    std::memset(p, 0, bytes);
    return static_cast<T*>(p);
}

struct Random {
    uint64_t state;
    uint32_t below(uint32_t n) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return static_cast<uint32_t>((((state * 2685821657736338717ull) >> 32) * n) >> 32);
    }
};

struct Part {
    int first, count, padded;
    std::vector<uint32_t> start;                     // of each source's targets
    uint16_t* targets;
    float* v;
    int16_t* sums;
    uint8_t* refractory;
    std::vector<uint32_t> spikes[2][kDelay];
    uint64_t total = 0;
};

void build(Part& part, int neurons, int number) {
    Random random{88172645463325252ull + 7777u * static_cast<unsigned>(number)};
    const auto excitatory = static_cast<uint32_t>(neurons * 8 / 10), all = static_cast<uint32_t>(neurons);
    const int fan = kExcitatory + kInhibitory;
    std::vector<uint32_t> source(static_cast<std::size_t>(part.count) * fan);
    part.start.assign(all + 1, 0);
    for (std::size_t s = 0; s < source.size(); ++s) {
        const bool first = static_cast<int>(s % fan) < kExcitatory;
        source[s] = first ? random.below(excitatory) : excitatory + random.below(all - excitatory);
        ++part.start[source[s] + 1];
    }
    for (uint32_t i = 0; i < all; ++i) part.start[i + 1] += part.start[i];
    part.targets = room<uint16_t>(source.size());
    std::vector<uint32_t> next(part.start.begin(), part.start.end() - 1);
    for (std::size_t s = 0; s < source.size(); ++s) part.targets[next[source[s]]++] = static_cast<uint16_t>(s / fan);
    part.v = room<float>(static_cast<std::size_t>(part.padded));
    part.sums = room<int16_t>(static_cast<std::size_t>(part.padded));
    part.refractory = room<uint8_t>(static_cast<std::size_t>(part.padded));
    for (int i = 0; i < part.padded; ++i)
        part.v[i] = i < part.count ? 20.0f * static_cast<float>(random.below(1 << 24)) / (1 << 24) : -INFINITY;
}

void deliver(Part& part, const std::vector<uint32_t>& spikes, uint32_t excitatory) {
    int16_t* const sums = part.sums;
    for (std::size_t k = 0; k < spikes.size(); ++k) {
        if (k + 1 < spikes.size())
            for (int line = 0; line < 8; ++line)
                _mm_prefetch(reinterpret_cast<const char*>(part.targets + part.start[spikes[k + 1]]) + 64 * line, _MM_HINT_T0);
        const uint16_t* at = part.targets + part.start[spikes[k]];
        const uint16_t* const end = part.targets + part.start[spikes[k] + 1];
        const int16_t weight = spikes[k] < excitatory ? 1 : -6;
        for (; at < end; ++at) sums[*at] = static_cast<int16_t>(sums[*at] + weight);
    }
}

void update(Part& part, std::vector<uint32_t>& out) {
    const float decay = std::exp(-0.1f / 20.0f);
    const __m512 drive = _mm512_set1_ps(26.0f * (1 - decay)), decays = _mm512_set1_ps(decay), unit = _mm512_set1_ps(0.2f);
    const __m512 threshold = _mm512_set1_ps(20.0f), reset = _mm512_set1_ps(10.0f);
    out.clear();
    for (int i = 0; i < part.padded; i += 16) {
        auto* const counters = reinterpret_cast<__m256i*>(part.sums + i);
        const __m512 x = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_load_si256(counters)));
        _mm256_store_si256(counters, _mm256_setzero_si256());
        __m128i left = _mm_load_si128(reinterpret_cast<__m128i*>(part.refractory + i));
        const __mmask16 awake = _mm_cmpeq_epi8_mask(left, _mm_setzero_si128());
        __m512 v = _mm512_load_ps(part.v + i);
        v = _mm512_mask_fmadd_ps(v, awake, decays, _mm512_fmadd_ps(unit, x, drive));
        const __mmask16 fires = _mm512_mask_cmp_ps_mask(awake, v, threshold, _CMP_GE_OQ);
        left = _mm_mask_mov_epi8(_mm_subs_epu8(left, _mm_set1_epi8(1)), fires, _mm_set1_epi8(20));
        _mm512_store_ps(part.v + i, _mm512_mask_mov_ps(v, fires, reset));
        _mm_store_si128(reinterpret_cast<__m128i*>(part.refractory + i), left);
        for (unsigned m = fires; m != 0; m &= m - 1) out.push_back(static_cast<uint32_t>(part.first + i + __builtin_ctz(m)));
    }
    part.total += out.size();
}

}  // namespace

int main(int argc, char** argv) {
    const int neurons = argc > 1 ? std::atoi(argv[1]) : 10000, threads = argc > 3 ? std::atoi(argv[3]) : 1;
    const double time_s = argc > 2 ? std::atof(argv[2]) : 1.0;
    const int warm = 2000 / kDelay, periods = warm + static_cast<int>(time_s * 1e4) / kDelay;
    const auto excitatory = static_cast<uint32_t>(neurons * 8 / 10);
    std::vector<Part> parts(static_cast<std::size_t>(threads));
    double built = 0, begun = 0, begun_cpu = 0;
    uint64_t before = 0;
    const double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
    std::barrier ready(threads);
    const auto run = [&](int number) {
        Part& part = parts[static_cast<std::size_t>(number)];
        part.first = static_cast<int>(int64_t{neurons} * number / threads);
        part.count = static_cast<int>(int64_t{neurons} * (number + 1) / threads) - part.first;
        part.padded = (part.count + 15) / 16 * 16;
        build(part, neurons, number);
        ready.arrive_and_wait();
        if (number == 0) built = seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
        std::vector<uint32_t> spikes;
        for (int period = 0; period < periods; ++period) {
            ready.arrive_and_wait();
            if (number == 0 && period == warm) {
                begun = seconds(CLOCK_MONOTONIC);
                begun_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
                for (const Part& other : parts) before += other.total;
            }
            for (int step = 0; step < kDelay; ++step) {
                spikes.clear();
                for (const Part& other : parts) {
                    const auto& sent = other.spikes[(period + 1) & 1][step];
                    spikes.insert(spikes.end(), sent.begin(), sent.end());
                }
                deliver(part, spikes, excitatory);
                update(part, part.spikes[period & 1][step]);
            }
        }
    };
    {
        std::vector<std::jthread> others;
        for (int t = 1; t < threads; ++t) others.emplace_back(run, t);
        run(0);
    }
    const double biology = (periods - warm) * kDelay * 1e-4;
    uint64_t spikes = 0;
    for (const Part& part : parts) spikes += part.total;
    std::printf("{\"wall_per_s\": %.5f, \"cpu_per_s\": %.5f, \"rate_hz\": %.3f, \"build_cpu_s\": %.3f}\n",
                (seconds(CLOCK_MONOTONIC) - begun) / biology, (seconds(CLOCK_PROCESS_CPUTIME_ID) - begun_cpu) / biology,
                static_cast<double>(spikes - before) / neurons / biology, built);
}
