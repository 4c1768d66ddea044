// LoopBody: the operations of a program on one vector of neurons as machine code; what a loop puts around them is its own.
//
// Registers of a program are vector registers as far as there are any; the others lie in memory, as they do where the
// program is interpreted. Operation by operation each result is rounded by itself: the bits of the kernels.
#pragma once

#include <algorithm>
#include <bit>
#include <iterator>
#include <optional>

#include "assembler.hpp"
#include "loop.hpp"

namespace spikeflow {

constexpr Place vector_place(int number) { return {Place::Kind::vector, number}; }

// The pair that a compiled instruction is made of; `second` is `copy` where it is one operation.
struct Two {
    Op first, second;
};
inline Two parts(Op op) {
    for (const Pair& pair : kPairs)
        if (pair.op == op) return {pair.first, pair.second};
    return {op, Op::copy};
}

inline const Evex* arithmetic(Op op) {
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

inline bool takes(Op op) {
    switch (op) {
        case Op::where: case Op::spike: case Op::abs: case Op::floor: case Op::round: case Op::copy: case Op::sub_mul: case Op::sub_spike:
        case Op::tanh: case Op::sigmoid: case Op::exp: return true;
        default: return arithmetic(parts(op).first) != nullptr;
    }
}

class LoopBody {
protected:
    // Vector registers from here on hold what every loop needs: operands on their way, those of a formula, and constants.
    static constexpr int kLeast = 22, kFirst = 23, kOther = 24, kSecond = 25, kOne = 26, kMagnitude = 27, kZero = 28, kX = 29, kY = 30, kZ = 31;
    // Mask registers: conditions that are known, and the lanes that hold neurons.
    static constexpr int kFirstMask = 2, kMasks = 5, kLaneMask = 7;
    static constexpr int kEqual = 0, kNotEqual = 4, kLess = 0x11, kNotLess = 0x1D;    // of a NaN only the second holds
    static constexpr Gpr kKept[] = {rbx, rbp, r12, r13, r14, r15};
    static constexpr uint32_t kFixed[] = {0x3F800000, 0x7FFFFFFF};                    // 1, and all but the sign

    // `free` vector registers, from 0 on, may be given to the program.
    LoopBody(const LoopText& text, int free) : text_(text), free_(static_cast<std::size_t>(free)) { give_registers(); }

    // What is needed before the first vector: r11 points to the places.
    void begin() {
        keep_places();
        for (int k = 0; k < 2; ++k) a_.vector(vbroadcastss, kOne + k, 0, {Place::Kind::pool, k});
        a_.vector(vxorps, kZero, kZero, vector_place(kZero));
    }
    void operations() {
        known_.assign(kMasks, kNone);
        for (const auto& i : text_.code) {
            const std::optional<int> own = held(i.dst);
            instruction(i, own.value_or(kFirst));
            if (!own) store(i.dst, kFirst);
        }
    }

    // The registers that are met most often; those that were filled before lie in memory.
    void give_registers() {
        std::vector<std::pair<int, std::size_t>> met;
        for (std::size_t p = 0; p < text_.registers; ++p)
            if (std::find(text_.before.begin(), text_.before.end(), p) == text_.before.end()) met.push_back({-times_met(p), p});
        std::stable_sort(met.begin(), met.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
        for (const auto& [times, place] : met)
            if (given_.size() < free_) given_.push_back(place);
    }
    int times_met(std::size_t place) const {
        int times = static_cast<int>(std::count(text_.next.begin(), text_.next.end(), place)) + (place == text_.output);
        for (const auto& i : text_.code) times += (i.dst == place) + (i.a == place) + (i.b == place) + (i.c == place);
        return times + static_cast<int>(std::count(text_.inputs.begin(), text_.inputs.end(), place)) +
               2 * static_cast<int>(std::count(text_.states.begin(), text_.states.end(), place));
    }
    // What is one number for all neurons stays in a register, as far as there are any; so do pointers to the other places
    // that are met most often. What is left is looked up where it is needed.
    void keep_places() {
        std::vector<std::pair<int, std::size_t>> met;
        for (std::size_t p = 0; p < text_.places; ++p)
            if (const int times = held(p) ? 0 : times_met(p)) met.push_back({-times, p});
        std::stable_sort(met.begin(), met.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
        for (const auto& [times, place] : met) {
            const bool uniform = std::find(text_.uniform.begin(), text_.uniform.end(), place) != text_.uniform.end();
            if (uniform && given_.size() < free_) {
                a_.vector(vmovups, static_cast<int>(given_.size()), 0, address(place));
                given_.push_back(place);
            } else if (!uniform && kept_.size() < std::size(kKept)) {
                a_.load(kKept[kept_.size()], r11, static_cast<int32_t>(place * 8));
                kept_.push_back(place);
            }
        }
    }
    // The register of a place that has one.
    std::optional<int> held(std::size_t place) const {
        const auto own = std::find(given_.begin(), given_.end(), place);
        if (own == given_.end()) return {};
        return static_cast<int>(own - given_.begin());
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
        a_.vector(vmovups, spare, 0, address(place), -1, {masked_ ? kLaneMask : 0, masked_});
        return spare;
    }
    // An operand where it lies; lanes beyond the last neuron are not read.
    Place operand(std::size_t place, int spare) {
        return masked_ || held(place) ? vector_place(value(place, spare)) : address(place);
    }
    void store(std::size_t place, int from) { a_.vector(vmovups_store, from, 0, address(place), -1, {masked_ ? kLaneMask : 0}); }

    // What `dst` becomes, in the vector register `to`.
    void instruction(const LoopText::Instruction& i, int to) {
        if (i.op == Op::where) return choose(to, condition(i.a), i);
        if (i.op == Op::spike) return spike(i.dst, to, value(i.a, kFirst));
        if (i.op == Op::sub_spike) {
            binary(vsubps, kFirst, i.a, i.b);
            return spike(i.dst, to, kFirst);
        }
        forget(i.dst);
        if (i.op == Op::tanh) return tanh(to, value(i.a, kFirst));
        if (i.op == Op::sigmoid) return sigmoid(to, value(i.a, kFirst));
        if (i.op == Op::exp) return exp(to, value(i.a, kFirst));
        if (i.op == Op::copy) return a_.vector(vmovups, to, 0, vector_place(value(i.a, kFirst)));
        if (i.op == Op::abs) return a_.vector(vandps, to, kMagnitude, operand(i.a, kFirst));
        if (i.op == Op::floor || i.op == Op::round) return a_.vector(vrndscaleps, to, 0, operand(i.a, kFirst), i.op == Op::floor ? 9 : 8);
        if (i.op == Op::sub_mul) {
            binary(vmulps, kFirst, i.a, i.b);
            return a_.vector(vsubps, to, value(i.c, kOther), vector_place(kFirst));
        }
        const Two two = parts(i.op);
        if (two.second == Op::copy) return binary(*arithmetic(two.first), to, i.a, i.b);
        binary(*arithmetic(two.first), kFirst, i.a, i.b);
        a_.vector(*arithmetic(two.second), to, kFirst, operand(i.c, kOther));
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
    void spike(std::size_t dst, int to, int x) {
        a_.vector(vcmpps, remember(dst), x, vector_place(kZero), kNotLess);
        a_.vector(vmovups, to, 0, vector_place(kOne), -1, {condition(dst), true});
    }
    void choose(int to, int mask, const LoopText::Instruction& i) {
        const int otherwise = value(i.c, kSecond);
        a_.vector(vblendmps, to, otherwise, operand(i.b, kOther), -1, {mask});
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

    static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    const LoopText& text_;
    Assembler a_;
    std::vector<uint32_t> pool_{std::begin(kFixed), std::end(kFixed)};
    bool masked_ = false;                          // the lanes of kLaneMask alone hold neurons

private:
    std::size_t free_, turn_ = 0;
    std::vector<std::size_t> given_, kept_, known_;    // places of which values, pointers or conditions are in registers
};

}  // namespace spikeflow
