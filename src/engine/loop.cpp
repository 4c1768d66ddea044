#include "loop.hpp"

#include <algorithm>
#include <bit>

#if defined(SPIKEFLOW_X86) && defined(__linux__)
#include <emmintrin.h>

#include "kernels.hpp"
#include "layout.hpp"
#include "loop_body.hpp"
#endif

namespace spikeflow {

#if defined(SPIKEFLOW_X86) && defined(__linux__)
namespace {

// What the code reads and writes.
struct Call {
    float* const* places;
    uint8_t* masks;
    int64_t whole;                                 // bytes of the vectors that are all run; 0 where only some are
    uint64_t vectors;                              // a bit for each of these
    int64_t end;                                   // bytes of the neurons that fill vectors
    int64_t tail;                                  // a bit for each neuron that is left
    int64_t idle = 0, emitted = 0, changed = 0;    // the last: bits of lanes
    uint16_t idle_of[32] = {};                     // lanes of each vector that was run
};

// What the end of a step needs besides.
constexpr int kFree = 20, kChanged = 20, kDiffers = 21, kIdle = 1;     // the last: a mask register
constexpr int kOrDifferent = 0xF6;                                     // x | (y ^ z)

class Compiler : private LoopBody {
public:
    explicit Compiler(const LoopText& text) : LoopBody(text, kFree) {}

    std::vector<uint8_t> compile() {
        for (const Gpr r : kKept) a_.push(r);
        a_.load(r11, rdi, offsetof(Call, places));
        a_.load(r10, rdi, offsetof(Call, masks));
        a_.load(rsi, rdi, offsetof(Call, whole));
        a_.bytes({0x31, 0xC9, 0x45, 0x31, 0xC0, 0x45, 0x31, 0xC9});     // rcx, r8 (idle), r9 (emitted) <- 0
        begin();
        a_.vector(vbroadcastss, kLeast, 0, constant(std::bit_cast<uint32_t>(kFlush<float>)));
        a_.vector(vxorps, kChanged, kChanged, vector_place(kChanged));
        a_.bytes({0xB8, 0xFF, 0xFF, 0, 0});                             // mov eax, 0xFFFF
        a_.to_mask(kLaneMask);
        const std::size_t loop = a_.here();
        a_.bytes({0x48, 0x39, 0xF1});                                   // cmp rcx, rsi
        const std::size_t out = a_.jump({0x0F, 0x83});                  // jae
        body();
        a_.bytes({0x48, 0x83, 0xC1, 0x40});                             // add rcx, 64
        a_.jump_back(loop);
        a_.land(out);
        some_vectors();
        a_.load(rax, rdi, offsetof(Call, tail));
        a_.bytes({0x48, 0x85, 0xC0});                                   // test rax, rax
        const std::size_t done = a_.jump({0x0F, 0x84});                 // jz
        a_.load(rcx, rdi, offsetof(Call, end));
        a_.to_mask(kLaneMask);
        masked_ = true;
        body();
        a_.land(done);
        a_.store(rdi, offsetof(Call, idle), r8);
        a_.store(rdi, offsetof(Call, emitted), r9);
        a_.vector(vptestmd, kIdle, kChanged, vector_place(kChanged));
        a_.from_mask(kIdle);
        a_.store(rdi, offsetof(Call, changed), rax);
        a_.bytes({0xC5, 0xF8, 0x77});                                   // vzeroupper
        for (auto r = std::rbegin(kKept); r != std::rend(kKept); ++r) a_.pop(*r);
        a_.bytes({0xC3});
        return a_.finish(pool_);
    }

private:
    void body() {
        a_.vector(vxorps, kDiffers, kDiffers, vector_place(kDiffers));
        operations();
        finish_output();
        for (const std::size_t input : text_.inputs)
            a_.vector(vcmpps, kIdle, kZero, operand(input, kOther), kEqual, {kIdle});
        for (std::size_t s = 0; s < text_.states.size(); ++s) settle(text_.states[s], text_.next[s]);
        // a lane behind the last neuron is no state, whatever the program makes of its zeros
        a_.vector(vpternlogd, kChanged, kDiffers, vector_place(kZero), kOrDifferent, {masked_ ? kLaneMask : 0});
        a_.vector(vptestnmd, kIdle, kDiffers, vector_place(kDiffers), -1, {kIdle});
        a_.from_mask(kIdle);
        a_.bytes({0x66, 0x89, 0x44, 0x17, static_cast<int>(offsetof(Call, idle_of))});            // [rdi + rdx + idle_of] <- ax, rdx of finish_output
        a_.bytes({0xF3, 0x0F, 0xB8, 0xC0, 0x49, 0x01, 0xC0});           // popcnt eax, eax; add r8, rax
    }

    // Vector after vector of those for which a bit is set.
    void some_vectors() {
        a_.load(rsi, rdi, offsetof(Call, vectors));
        const std::size_t loop = a_.here();
        a_.bytes({0x48, 0x85, 0xF6});                                   // test rsi, rsi
        const std::size_t out = a_.jump({0x0F, 0x84});                  // jz
        // bsf rcx, rsi; shl rcx, 6; lea rdx, [rsi - 1]; and rsi, rdx
        a_.bytes({0x48, 0x0F, 0xBC, 0xCE, 0x48, 0xC1, 0xE1, 0x06, 0x48, 0x8D, 0x56, 0xFF, 0x48, 0x21, 0xD6});
        body();
        a_.jump_back(loop);
        a_.land(out);
    }

    // The output as bits, and where asked for as values; where it is 0 a neuron may be idle.
    void finish_output() {
        const int mask = condition(text_.output);
        if (text_.stores_output) store(text_.output, *held(text_.output));
        a_.and_not(kIdle, mask, kLaneMask);
        a_.and_not(mask, kIdle, kLaneMask);
        a_.from_mask(mask);
        a_.bytes({0x48, 0x89, 0xCA, 0x48, 0xC1, 0xEA, 0x05, 0x66, 0x41, 0x89, 0x04, 0x12});       // [r10 + (rcx >> 5)] <- ax
        a_.bytes({0xF3, 0x0F, 0xB8, 0xC0, 0x49, 0x01, 0xC1});           // popcnt eax, eax; add r9, rax
    }

    // Below 2^-100 a state becomes +0; bits that change are kept.
    void settle(std::size_t state, std::size_t next) {
        const int x = value(next, kOther), mask = remember(kNone);
        a_.vector(vandps, kFirst, kMagnitude, vector_place(x));
        a_.vector(vcmpps, mask, kFirst, vector_place(kLeast), kLess);
        a_.vector(vblendmps, kSecond, x, vector_place(kZero), -1, {mask});
        a_.vector(vpternlogd, kDiffers, kSecond, operand(state, kFirst), kOrDifferent);
        store(state, kSecond);
    }
};

}  // namespace

std::shared_ptr<const Loop> Loop::make(const LoopText& text) {
    const bool simple = std::all_of(text.code.begin(), text.code.end(), [](const auto& i) { return takes(i.op); });
    if (best_isa() != Isa::avx512 || !simple || text.registers > kFree || text.output >= text.registers) return nullptr;
    auto code = MachineCode::make(Compiler(text).compile());
    return code == nullptr ? nullptr : std::shared_ptr<const Loop>(new Loop(std::move(code)));
}

// Of 32 vectors those with a lane that is not idle.
static uint32_t awake_of(const uint16_t* idle) {
    uint32_t resting = 0;
    const __m128i all = _mm_set1_epi32(-1);
    for (int half = 0; half < 2; ++half) {
        const auto* const from = reinterpret_cast<const __m128i*>(idle + 16 * half);
        const __m128i low = _mm_cmpeq_epi16(_mm_loadu_si128(from), all), high = _mm_cmpeq_epi16(_mm_loadu_si128(from + 1), all);
        resting |= static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high))) << (16 * half);
    }
    return ~resting;
}

Loop::Outcome Loop::run(float* const* places, int32_t n, uint64_t* masks, uint32_t vectors, uint16_t* idle) const {
    static_assert(offsetof(Call, idle_of) < 128 && kBlock <= 32 * kLanes);
    const int64_t rest = n % kLanes, end = (n - rest) * 4;
    const uint64_t all = (uint64_t{1} << (n / kLanes)) - 1, some = vectors & all;
    if (some == all) masks[(n - 1) / 64] = 0;              // else each vector writes its bits
    else std::fill_n(masks, (n + 63) / 64, uint64_t{0});
    Call call{places, reinterpret_cast<uint8_t*>(masks), some == all ? end : 0, some == all ? 0 : some, end, (int64_t{1} << rest) - 1};
    code_->run(&call);
    if (idle != nullptr) std::copy_n(call.idle_of, 32, idle);
    return {call.idle + int64_t{kLanes} * std::popcount(all & ~some), call.emitted, call.changed != 0, awake_of(call.idle_of) & static_cast<uint32_t>(some)};
}

#else

std::shared_ptr<const Loop> Loop::make(const LoopText&) { return nullptr; }
Loop::Outcome Loop::run(float* const*, int32_t, uint64_t*, uint32_t, uint16_t*) const { return {}; }

#endif

}  // namespace spikeflow
