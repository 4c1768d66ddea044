#include "loop.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#if defined(SPIKEFLOW_X86) && defined(__linux__)
#include <emmintrin.h>
#include <sys/mman.h>

#include "assembler.hpp"
#include "kernels.hpp"
#include "layout.hpp"
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

// zmm0 to zmm19 are registers of the program; the others hold what every loop needs.
constexpr int kFree = 20, kFirst = 20, kOther = 21, kSecond = 22, kDiffers = 23, kChanged = 24, kOne = 25, kMagnitude = 26, kLeast = 27, kZero = 28;
constexpr int kX = 29, kY = 30, kZ = 31;           // of a formula

// Mask registers: idle neurons, conditions that are known, and the lanes that hold neurons.
constexpr int kIdle = 1, kFirstMask = 2, kMasks = 5, kLanes = 7;
constexpr Gpr kKept[] = {rbx, rbp, r12, r13, r14, r15};
constexpr uint32_t kFixed[] = {0x3F800000, 0x7FFFFFFF, 0x0D800000};               // 1, all but the sign, 2^-100
constexpr int kEqual = 0, kNotEqual = 4, kLess = 0x11, kNotLess = 0x1D;           // of a NaN only the second holds
constexpr int kOrDifferent = 0xF6;                                                // x | (y ^ z)

constexpr Place vector_place(int number) { return {Place::Kind::vector, number}; }

struct Two {
    Op first, second;
};

// The pair that a compiled instruction is made of; `second` is `copy` where it is one operation.
Two parts(Op op) {
    for (const Pair& pair : kPairs)
        if (pair.op == op) return {pair.first, pair.second};
    return {op, Op::copy};
}

const Evex* arithmetic(Op op) {
    switch (op) {
        case Op::add: return &vaddps;
        case Op::sub: return &vsubps;
        case Op::mul: return &vmulps;
        case Op::div: return &vdivps;
        case Op::minimum: return &vminps;          // a < b ? a : b, also of NaN and zeros
        case Op::maximum: return &vmaxps;
        default: return nullptr;
    }
}

bool takes(Op op) {
    switch (op) {
        case Op::where: case Op::spike: case Op::abs: case Op::floor: case Op::round: case Op::copy: case Op::sub_mul: case Op::sub_spike:
        case Op::tanh: case Op::sigmoid: case Op::exp: return true;
        default: return arithmetic(parts(op).first) != nullptr;
    }
}

class Compiler {
public:
    explicit Compiler(const LoopText& text) : text_(text) {}

    std::vector<uint8_t> compile() {
        for (const Gpr r : kKept) a_.push(r);
        a_.load(r11, rdi, offsetof(Call, places));
        a_.load(r10, rdi, offsetof(Call, masks));
        a_.load(rsi, rdi, offsetof(Call, whole));
        a_.bytes({0x31, 0xC9, 0x45, 0x31, 0xC0, 0x45, 0x31, 0xC9});     // rcx, r8 (idle), r9 (emitted) <- 0
        keep_places();
        for (int k = 0; k < 3; ++k) a_.vector(vbroadcastss, kOne + k, 0, {Place::Kind::pool, k});
        for (const int z : {kZero, kChanged}) a_.vector(vxorps, z, z, vector_place(z));
        a_.bytes({0xB8, 0xFF, 0xFF, 0, 0});                             // mov eax, 0xFFFF
        a_.to_mask(kLanes);
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
        a_.to_mask(kLanes);
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
    // What is one number for all neurons stays in a register, as far as there are any; so do pointers to the other places
    // that are met most often. What is left is looked up where it is needed.
    void keep_places() {
        std::vector<std::pair<int, std::size_t>> met;
        const auto meet = [&](std::size_t p) {
            if (p < text_.registers) return;
            const auto same = std::find_if(met.begin(), met.end(), [p](const auto& m) { return m.second == p; });
            if (same != met.end()) --same->first;
            else met.push_back({-1, p});
        };
        for (const auto& i : text_.code) for (const std::size_t p : {i.a, i.b, i.c}) meet(p);
        for (const std::size_t p : text_.next) meet(p);
        for (const std::size_t p : text_.states) meet(p), meet(p);
        for (const std::size_t p : text_.inputs) meet(p);
        std::stable_sort(met.begin(), met.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
        for (const auto& [times, place] : met) {
            const bool uniform = std::find(text_.uniform.begin(), text_.uniform.end(), place) != text_.uniform.end();
            if (uniform && text_.registers + pinned_.size() < kFree) {
                a_.vector(vmovups, static_cast<int>(text_.registers + pinned_.size()), 0, address(place));
                pinned_.push_back(place);
            } else if (!uniform && kept_.size() < std::size(kKept)) {
                a_.load(kKept[kept_.size()], r11, static_cast<int32_t>(place * 8));
                kept_.push_back(place);
            }
        }
    }
    // The register of a place that has one.
    std::optional<int> held(std::size_t place) const {
        if (place < text_.registers) return static_cast<int>(place);
        const auto pinned = std::find(pinned_.begin(), pinned_.end(), place);
        if (pinned == pinned_.end()) return {};
        return static_cast<int>(text_.registers + static_cast<std::size_t>(pinned - pinned_.begin()));
    }
    Place address(std::size_t place) {
        const auto kept = std::find(kept_.begin(), kept_.end(), place);
        if (kept != kept_.end()) return {Place::Kind::memory, kKept[kept - kept_.begin()]};
        a_.load(rax, r11, static_cast<int32_t>(place * 8));
        return {Place::Kind::memory, rax};
    }

    // An operand in a vector register: its own, or `spare` after a load.
    int value(std::size_t place, int spare) {
        if (const auto own = held(place)) return *own;
        a_.vector(vmovups, spare, 0, address(place), -1, {masked_ ? kLanes : 0, masked_});
        return spare;
    }
    // An operand where it lies; lanes beyond the last neuron are not read.
    Place operand(std::size_t place, int spare) {
        return masked_ || held(place) ? vector_place(value(place, spare)) : address(place);
    }
    void store(std::size_t place, int from) { a_.vector(vmovups_store, from, 0, address(place), -1, {masked_ ? kLanes : 0}); }

    void body() {
        known_.assign(kMasks, kNone);
        a_.vector(vxorps, kDiffers, kDiffers, vector_place(kDiffers));
        for (const auto& i : text_.code) instruction(i);
        finish_output();
        for (const std::size_t input : text_.inputs)
            a_.vector(vcmpps, kIdle, kZero, operand(input, kOther), kEqual, {kIdle});
        for (std::size_t s = 0; s < text_.states.size(); ++s) settle(text_.states[s], text_.next[s]);
        // a lane behind the last neuron is no state, whatever the program makes of its zeros
        a_.vector(vpternlogd, kChanged, kDiffers, vector_place(kZero), kOrDifferent, {masked_ ? kLanes : 0});
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

    void instruction(const LoopText::Instruction& i) {
        const int dst = static_cast<int>(i.dst);
        if (i.op == Op::where) return choose(dst, condition(i.a), i);
        if (i.op == Op::spike) return spike(i.dst, value(i.a, kFirst));
        if (i.op == Op::sub_spike) {
            binary(vsubps, kFirst, i.a, i.b);
            return spike(i.dst, kFirst);
        }
        forget(i.dst);
        if (i.op == Op::tanh) return tanh(dst, value(i.a, kFirst));
        if (i.op == Op::sigmoid) return sigmoid(dst, value(i.a, kFirst));
        if (i.op == Op::exp) return exp(dst, value(i.a, kFirst));
        if (i.op == Op::copy) return a_.vector(vmovups, dst, 0, vector_place(value(i.a, kFirst)));
        if (i.op == Op::abs) return a_.vector(vandps, dst, kMagnitude, operand(i.a, kFirst));
        if (i.op == Op::floor || i.op == Op::round) return a_.vector(vrndscaleps, dst, 0, operand(i.a, kFirst), i.op == Op::floor ? 9 : 8);
        if (i.op == Op::sub_mul) {
            binary(vmulps, kFirst, i.a, i.b);
            return a_.vector(vsubps, dst, value(i.c, kOther), vector_place(kFirst));
        }
        const Two two = parts(i.op);
        if (two.second == Op::copy) return binary(*arithmetic(two.first), dst, i.a, i.b);
        binary(*arithmetic(two.first), kFirst, i.a, i.b);
        a_.vector(*arithmetic(two.second), dst, kFirst, operand(i.c, kOther));
    }
    // The formulas of functions.hpp, operation by operation.
    void tanh(int dst, int x) {
        with(vmulps, kX, x, 0.5f);
        clamp(kX, kX, -4.5f, 4.5f);
        a_.vector(vmulps, kY, kX, vector_place(kX));
        with(vaddps, kZ, kY, 378.0f);
        for (const float c : {17325.0f, 135135.0f}) step(kZ, kY, c);
        a_.vector(vmulps, kZ, kX, vector_place(kZ));
        with(vmulps, kX, kY, 28.0f);
        with(vaddps, kX, kX, 3150.0f);
        for (const float c : {62370.0f, 135135.0f}) step(kX, kY, c);
        a_.vector(vdivps, kX, kZ, vector_place(kX));
        a_.vector(vaddps, kY, kX, vector_place(kX));
        a_.vector(vmulps, kX, kX, vector_place(kX));
        with(vaddps, kX, kX, 1.0f);
        a_.vector(vdivps, dst, kY, vector_place(kX));
    }
    void sigmoid(int dst, int x) {
        with(vmulps, kX, x, 0.5f);
        tanh(dst, kX);
        with(vmulps, dst, dst, 0.5f);
        with(vaddps, dst, dst, 0.5f);
    }
    void exp(int dst, int x) {
        clamp(kX, x, -104.0f, 89.0f);
        with(vmulps, kY, kX, 1.442695041f);
        with(vmaxps, kY, kY, -208.0f);
        a_.vector(vrndscaleps, kY, 0, vector_place(kY), 8);
        for (const float c : {0.693359375f, -2.12194440e-4f}) {
            with(vmulps, kZ, kY, c);
            a_.vector(vsubps, kX, kX, vector_place(kZ));
        }
        with(vmulps, kZ, kX, 1.9875691500e-4f);
        with(vaddps, kZ, kZ, 1.3981999507e-3f);
        for (const float c : {8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) step(kZ, kX, c);
        a_.vector(vmulps, kOther, kX, vector_place(kX));
        a_.vector(vmulps, kZ, kZ, vector_place(kOther));
        a_.vector(vaddps, kZ, kZ, vector_place(kX));
        with(vaddps, kZ, kZ, 1.0f);
        a_.vector(vcvttps2dq, kY, 0, vector_place(kY));
        a_.vector(vpshiftd, kShiftRight, kX, vector_place(kY), 1);
        a_.vector(vpsubd, kY, kY, vector_place(kX));
        for (const int k : {kX, kY}) {             // 2^k
            a_.vector(vpaddd, k, k, constant(127));
            a_.vector(vpshiftd, kShiftLeft, k, vector_place(k), 23);
            a_.vector(vmulps, k == kX ? kZ : dst, kZ, vector_place(k));
        }
    }
    void with(const Evex& op, int dst, int x, float c) { a_.vector(op, dst, x, constant(std::bit_cast<uint32_t>(c))); }
    // p x + c
    void step(int p, int x, float c) {
        a_.vector(vmulps, p, p, vector_place(x));
        with(vaddps, p, p, c);
    }
    // Between two numbers; a NaN stays one, being the second operand.
    void clamp(int dst, int x, float low, float high) {
        a_.vector(vbroadcastss, kOther, 0, constant(std::bit_cast<uint32_t>(high)));
        a_.vector(vminps, dst, kOther, vector_place(x));
        a_.vector(vbroadcastss, kOther, 0, constant(std::bit_cast<uint32_t>(low)));
        a_.vector(vmaxps, dst, kOther, vector_place(dst));
    }
    Place constant(uint32_t bits) {
        const auto found = std::find(pool_.begin(), pool_.end(), bits);
        if (found == pool_.end()) pool_.push_back(bits);
        return {Place::Kind::pool, static_cast<int>(std::find(pool_.begin(), pool_.end(), bits) - pool_.begin())};
    }

    // The first operand is loaded before the second is looked up: both may use rax.
    void binary(const Evex& op, int dst, std::size_t a, std::size_t b) {
        const int x = value(a, kFirst);
        a_.vector(op, dst, x, operand(b, kOther));
    }
    void spike(std::size_t dst, int x) {
        a_.vector(vcmpps, remember(dst), x, vector_place(kZero), kNotLess);
        a_.vector(vmovups, static_cast<int>(dst), 0, vector_place(kOne), -1, {condition(dst), true});
    }
    void choose(int dst, int mask, const LoopText::Instruction& i) {
        const int otherwise = value(i.c, kSecond);
        a_.vector(vblendmps, dst, otherwise, operand(i.b, kOther), -1, {mask});
        forget(i.dst);
    }

    // The mask register that says where a value is not 0; those of the last places are known.
    int condition(std::size_t place) {
        const auto found = std::find(known_.begin(), known_.end(), place);
        if (found != known_.end()) return kFirstMask + static_cast<int>(found - known_.begin());
        const int x = value(place, kFirst), mask = remember(place);
        a_.vector(vcmpps, mask, x, vector_place(kZero), kNotEqual);
        return mask;
    }
    int remember(std::size_t place) {
        forget(place);
        known_[turn_ = (turn_ + 1) % kMasks] = place;
        return kFirstMask + static_cast<int>(turn_);
    }
    void forget(std::size_t place) { std::replace(known_.begin(), known_.end(), place, kNone); }

    // The output as bits, and where asked for as values; where it is 0 a neuron may be idle.
    void finish_output() {
        const int mask = condition(text_.output);
        if (text_.stores_output) store(text_.output, static_cast<int>(text_.output));
        a_.and_not(kIdle, mask, kLanes);
        a_.and_not(mask, kIdle, kLanes);
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

    static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    const LoopText& text_;
    Assembler a_;
    std::vector<std::size_t> pinned_, kept_, known_;    // places of which values, pointers or conditions are in registers
    std::vector<uint32_t> pool_{std::begin(kFixed), std::end(kFixed)};
    std::size_t turn_ = 0;
    bool masked_ = false;
};

}  // namespace

std::shared_ptr<const Loop> Loop::make(const LoopText& text) {
    const bool simple = std::all_of(text.code.begin(), text.code.end(), [](const auto& i) { return takes(i.op); });
    if (best_isa() != Isa::avx512 || !simple || text.registers > kFree || text.output >= text.registers) return nullptr;
    const std::vector<uint8_t> code = Compiler(text).compile();
    void* const memory = mmap(nullptr, code.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    std::memcpy(memory, code.data(), code.size());
    std::shared_ptr<const Loop> made(new Loop(memory, code.size()));
    // systems may forbid it
    return mprotect(memory, code.size(), PROT_READ | PROT_EXEC) == 0 ? made : nullptr;
}

Loop::~Loop() { munmap(memory_, size_); }

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
    std::fill_n(masks, (n + 63) / 64, uint64_t{0});
    Call call{places, reinterpret_cast<uint8_t*>(masks), some == all ? end : 0, some == all ? 0 : some, end, (int64_t{1} << rest) - 1};
    reinterpret_cast<void (*)(Call*)>(memory_)(&call);
    if (idle != nullptr) std::copy_n(call.idle_of, 32, idle);
    return {call.idle + int64_t{kLanes} * std::popcount(all & ~some), call.emitted, call.changed != 0, awake_of(call.idle_of) & static_cast<uint32_t>(some)};
}

#else

std::shared_ptr<const Loop> Loop::make(const LoopText&) { return nullptr; }
Loop::~Loop() = default;
Loop::Outcome Loop::run(float* const*, int32_t, uint64_t*, uint32_t, uint16_t*) const { return {}; }

#endif

}  // namespace spikeflow
