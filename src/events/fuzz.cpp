// Fuzzing of every decoder. Each input is decoded whole, and again in pieces cut at places that the input itself tells,
// with a clone going on from one of them: events, counts and the first fault must be the same, and what is kept must be
// in order and on the sensor. Sanitizers look for the rest.
//
// With libFuzzer:    clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -DSPIKEFLOW_LIBFUZZER ...
// Without, as here:  fuzz_events COUNT [SEED [SECONDS]]: damages valid streams. The seed of an input that fails is
//                    printed; fuzz_events 1 SEED repeats it alone.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "events/aedat2.hpp"
#include "events/aedat3.hpp"
#include "events/aedat4.hpp"
#include "events/bin5.hpp"
#include "events/dat.hpp"
#include "events/es.hpp"
#include "events/evt2.hpp"
#include "events/evt21.hpp"
#include "events/evt3.hpp"

namespace {

using namespace spikeflow::events;
using Data = std::vector<std::uint8_t>;

template <class D>
std::unique_ptr<Decoder> make(Settings settings) { return std::make_unique<D>(settings); }

// SplitMix64 (Steele, Lea, Flood 2014).
struct Random {
    std::uint64_t state;
    std::uint64_t next() {
        std::uint64_t x = state += 0x9e3779b97f4a7c15;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
    }
    std::uint64_t below(std::uint64_t n) { return next() % n; }
};

void append(Data& out, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
void append_big(Data& out, std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// Valid streams: where damage begins. Time `t` grows by `step`.
constexpr int EVENTS = 40;

Data bin5(Random& r) {
    Data out;
    for (std::uint64_t i = 0, t = r.below(1 << 23); i < EVENTS; ++i, t += r.below(9))
        append(out, r.below(1 << 16), 2), append_big(out, (t & 0x7fffff) | r.below(2) << 23, 3);
    return out;
}
Data evt2(Random& r) {
    Data out;
    for (std::uint64_t i = 0, t = r.below(1ull << 34); i < EVENTS; ++i, t += r.below(90)) {
        append(out, 0x80000000 | (t >> 6 & 0x0fffffff), 4);
        append(out, r.below(2) << 28 | (t & 63) << 22 | r.below(1 << 22), 4);
    }
    return out;
}
Data evt21(Random& r) {
    Data out;
    for (std::uint64_t i = 0, t = r.below(1ull << 34); i < EVENTS; ++i, t += r.below(90)) {
        append(out, (0x80000000 | (t >> 6 & 0x0fffffff)) << 32, 8);
        append(out, (r.below(2) << 28 | (t & 63) << 22 | r.below(1 << 22)) << 32 | (r.next() & r.next() & 0xffffffff), 8);
    }
    return out;
}
Data evt21_legacy(Random& r) {
    Data out = evt21(r);
    for (std::size_t i = 0; i + 8 <= out.size(); i += 8) std::rotate(out.data() + i, out.data() + i + 4, out.data() + i + 8);
    return out;
}
Data evt3(Random& r) {
    Data out;
    for (std::uint64_t i = 0, t = r.below(1 << 24); i < EVENTS; ++i, t += r.below(3000)) {
        append(out, 0x8000 | (t >> 12 & 0xfff), 2);
        append(out, 0x6000 | (t & 0xfff), 2);
        append(out, r.below(720), 2);
        append(out, 0x2000 | r.below(1 << 12), 2);
        append(out, 0x3000 | r.below(1 << 12), 2);
        append(out, 0x4000 | r.below(1 << 12), 2);
        append(out, 0x4000 | r.below(1 << 12), 2);
        append(out, 0x5000 | r.below(1 << 8), 2);
        constexpr std::uint64_t kinds[] = {0x0, 0x2, 0x3, 0x4, 0x5};
        for (std::uint64_t k = r.below(2) * 8; k > 0; --k) append(out, kinds[r.below(5)] << 12 | r.below(1 << 12), 2);
    }
    return out;
}
template <int Bits>
Data dat(Random& r) {
    Data out;
    for (std::uint64_t i = 0, t = r.below(1ull << 32); i < EVENTS; ++i, t += r.below(9)) append(out, t, 4), append(out, r.below(1 << Bits), 4);
    return out;
}
template <std::uint32_t NoPixel, int AddressBytes = 4>
Data aedat2(Random& r) {
    Data out;
    for (std::uint64_t i = 0, t = r.below(1ull << 32); i < EVENTS; ++i, t += r.below(9))
        append_big(out, r.below(1ull << 32) & ~NoPixel, AddressBytes), append_big(out, t, 4);
    return out;
}
Data aedat3(Random& r) {
    Data out;
    for (std::uint64_t packet = 0, t = 0; packet < 4; ++packet) {
        const std::uint64_t n = r.below(10), kind = r.below(4) ? 1 : 2;
        append(out, kind, 2), append(out, 1, 2);
        for (std::uint64_t field : {8ul, 4ul, packet, n, n, n}) append(out, field, 4);
        for (std::uint64_t i = 0; i < n; ++i, t += r.below(9)) append(out, r.below(1ull << 32) | 1, 4), append(out, t, 4);
    }
    return out;
}
// The smallest packet that FlatBuffers allow: root offset, name, list of fields, table, vector of structs.
Data aedat4(Random& r) {
    Data out;
    for (std::uint64_t packet = 0, t = r.below(1ull << 50); packet < 4; ++packet) {
        const std::uint64_t n = r.below(10);
        append(out, 28 + 16 * n, 4);
        append(out, 16, 4), append(out, 0x53545645, 4);                  // "EVTS"
        append(out, 6, 2), append(out, 8, 2), append(out, 4, 2), append(out, 0, 2);
        append(out, 8, 4), append(out, 4, 4), append(out, n, 4);         // the table's fields lie 8 bytes before it
        for (std::uint64_t i = 0; i < n; ++i, t += r.below(9))
            append(out, t, 8), append(out, r.below(1 << 16), 2), append(out, r.below(1 << 16), 2), append(out, r.below(2), 4);
    }
    return out;
}
template <int Special>
Data es(Random& r) {
    Data out;
    for (int i = 0; i < EVENTS; ++i) {
        if (r.below(4) == 0) append(out, Special + r.below(256 - Special), 1);
        append(out, r.below(Special), 1), append(out, r.below(1280), 2), append(out, r.below(720), 2);
    }
    return out;
}

// A new decoder is one line here.
struct Format {
    const char* name;
    std::unique_ptr<Decoder> (*make)(Settings);
    Data (*valid)(Random&);
};
constexpr Format FORMATS[] = {
    {"bin5", make<Bin5>, bin5},
    {"evt2", make<Evt2>, evt2},
    {"evt21", make<Evt21<false>>, evt21},
    {"evt21_legacy", make<Evt21<true>>, evt21_legacy},
    {"evt3", make<Evt3>, evt3},
    {"dat", make<Dat2>, dat<29>},
    {"dat1", make<Dat1>, dat<18>},
    {"aedat1_dvs128", make<Aedat1>, aedat2<Dvs128::NO_PIXEL, 2>},
    {"aedat2_dvs128", make<Aedat2<Dvs128>>, aedat2<Dvs128::NO_PIXEL>},
    {"aedat2_davis", make<Aedat2<Davis>>, aedat2<Davis::NO_PIXEL>},
    {"aedat3", make<Aedat3>, aedat3},
    {"aedat4", make<Aedat4>, aedat4},
    {"es_dvs", make<Es<EsKind::dvs>>, es<0xfe>},
    {"es_atis", make<Es<EsKind::atis>>, es<0xfc>},
};
constexpr std::size_t N_FORMATS = sizeof(FORMATS) / sizeof(FORMATS[0]);

// What came of an input.
struct Outcome {
    std::vector<std::int64_t> t;
    std::vector<std::uint16_t> x, y;
    std::vector<std::uint8_t> p;
    std::array<std::uint64_t, FAULTS.size()> counts{};
    std::optional<std::int64_t> last;
    std::uint64_t position = 0;
    bool failed = false;
    Fault fault{};
    std::uint64_t offset = 0;

    void add(Columns columns) {
        const std::size_t n = columns.size();
        const Cursor from = columns.begin();
        t.insert(t.end(), from.t, from.t + n);
        x.insert(x.end(), from.x, from.x + n);
        y.insert(y.end(), from.y, from.y + n);
        p.insert(p.end(), from.p, from.p + n);
    }
    bool operator==(const Outcome& o) const {
        if (failed || o.failed) return failed == o.failed && fault == o.fault && offset == o.offset;
        return t == o.t && x == o.x && y == o.y && p == o.p && counts == o.counts && last == o.last && position == o.position;
    }
};

Outcome decode(const Format& format, Settings settings, Bytes data, const std::vector<std::size_t>& cuts) {
    Outcome out;
    std::unique_ptr<Decoder> decoder = format.make(settings);
    if (!cuts.empty() && cuts[0] % 2) decoder->expect(data.size());
    try {
        std::size_t at = 0;
        for (std::size_t i = 0; i < cuts.size(); ++i) {
            decoder->feed(data.subspan(at, cuts[i] - at));
            at = cuts[i];
            if (i % 2 == 0) out.add(decoder->take());
            if (i % 4 == 0) decoder = decoder->clone();
        }
        decoder->feed(data.subspan(at));
        decoder->finish();
        out.add(decoder->take());
    } catch (const Error& error) {
        out.failed = true;
        out.fault = error.fault;
        out.offset = error.offset;
        // an error ends a recording, but what follows must not harm either
        try { decoder->feed(data); } catch (const Error&) {}
        decoder->take();
    }
    for (std::size_t i = 0; i < FAULTS.size(); ++i) out.counts[i] = decoder->count(static_cast<Fault>(i));
    out.last = decoder->last();
    out.position = decoder->position();
    return out;
}

std::uint64_t now = 0;  // seed of the present input

[[noreturn]] void fail(const Format& format, Settings settings, const char* what) {
    std::fprintf(stderr, "%s (width %u, strict %d): %s\n", format.name, settings.width, int(settings.strict), what);
    std::abort();
}

void check(const Format& format, Settings settings, Bytes data, const std::vector<std::size_t>& cuts) {
    const Outcome whole = decode(format, settings, data, {});
    if (!(whole == decode(format, settings, data, cuts))) fail(format, settings, "whole and cut differ");
    if (whole.failed && !settings.strict) fail(format, settings, "an error, though not strict");
    if (whole.failed && whole.offset > data.size()) fail(format, settings, "a fault behind the end");
    if (!whole.failed && whole.position != data.size()) fail(format, settings, "bytes left over");
    if (settings.ordered && !std::is_sorted(whole.t.begin(), whole.t.end())) fail(format, settings, "times out of order");
    for (std::size_t i = 0; i < whole.t.size(); ++i) {
        if (whole.p[i] > 1) fail(format, settings, "a polarity that is none");
        if (settings.width && (whole.x[i] >= settings.width || whole.y[i] >= settings.height))
            fail(format, settings, "a pixel outside the sensor");
    }
}

}  // namespace

// Byte 0: the format; byte 1: the sensor; byte 2: how many cuts; two bytes for each; then the stream.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    if (size < 3) return 0;
    const Format& format = FORMATS[input[0] % N_FORMATS];
    const std::uint32_t sides[] = {0, 34, 640, 1280};
    const std::uint32_t side = sides[input[1] % 4];
    const std::size_t n = std::min<std::size_t>(input[2] % 9, (size - 3) / 2);
    const Bytes data(input + 3 + 2 * n, size - 3 - 2 * n);
    std::vector<std::size_t> cuts(n);
    for (std::size_t i = 0; i < n; ++i) cuts[i] = (input[3 + 2 * i] << 8 | input[4 + 2 * i]) % (data.size() + 1);
    std::sort(cuts.begin(), cuts.end());
    for (const bool strict : {false, true})
        for (const bool ordered : {false, true}) check(format, Settings{side, side, strict, ordered}, data, cuts);
    return 0;
}

#ifndef SPIKEFLOW_LIBFUZZER
// a sanitizer's findings end in the handler of aborts, too
extern "C" const char* __asan_default_options() { return "abort_on_error=1"; }
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

namespace {

extern "C" void tell_seed(int) { std::fprintf(stderr, "the input of seed %llu\n", static_cast<unsigned long long>(now)); }

// Bits turned, bytes of meaning put in, parts cut out, repeated, swapped; or the stream left whole.
void damage(Data& data, Random& r) {
    for (std::uint64_t i = r.below(6); i > 0 && !data.empty(); --i) {
        const std::size_t at = r.below(data.size()), n = std::min<std::size_t>(1 + r.below(20), data.size() - at);
        const auto from = data.begin() + static_cast<std::ptrdiff_t>(at);
        switch (r.below(6)) {
        case 0: *from ^= static_cast<std::uint8_t>(1 << r.below(8)); break;
        case 1: *from = static_cast<std::uint8_t>(r.below(2) ? r.next() : r.below(2) ? 0xff : 0x00); break;
        case 2: data.erase(from, from + static_cast<std::ptrdiff_t>(n)); break;
        case 3: { const Data part(from, from + static_cast<std::ptrdiff_t>(n)); data.insert(from, part.begin(), part.end()); break; }
        case 4: for (std::size_t k = 0; k < n; ++k) from[static_cast<std::ptrdiff_t>(k)] = static_cast<std::uint8_t>(r.next()); break;
        default: data.resize(at);
        }
    }
}

Data input(Random& r) {
    const std::size_t format = r.below(N_FORMATS), cuts = r.below(9);
    Data out{static_cast<std::uint8_t>(format), static_cast<std::uint8_t>(r.below(4)), static_cast<std::uint8_t>(cuts)};
    for (std::size_t i = 0; i < cuts; ++i) append(out, r.next(), 2);
    Data stream;
    // now and then longer than a block, so that its edge is met
    for (std::uint64_t n = r.below(500) ? 1 : 120; n > 0; --n) {
        const Data part = FORMATS[r.below(20) ? format : r.below(N_FORMATS)].valid(r);
        stream.insert(stream.end(), part.begin(), part.end());
    }
    damage(stream, r);
    out.insert(out.end(), stream.begin(), stream.end());
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::fprintf(stderr, "fuzz_events COUNT [SEED [SECONDS]]\n"), 2;
    const std::uint64_t count = std::strtoull(argv[1], nullptr, 10), seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
    const double seconds = argc > 3 ? std::strtod(argv[3], nullptr) : 1e30;
    std::signal(SIGABRT, tell_seed);
    const auto begin = std::chrono::steady_clock::now();
    const auto passed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
    std::uint64_t done = 0;
    for (; done < count && passed() < seconds; ++done) {
        Random r{seed + done};
        const Data data = input(r);
        now = seed + done;
        LLVMFuzzerTestOneInput(data.data(), data.size());
    }
    std::printf("%llu inputs, %.0f each second\n", static_cast<unsigned long long>(done), static_cast<double>(done) / passed());
    return 0;
}
#endif
