// Assembler: the few instructions of x86-64 with AVX-512 that a compiled loop is made of.
//
// Encodings as in Intel's manual, volume 2: EVEX with 512 bits; addresses are base + rcx + 32 bits, or, of a constant in the
// pool behind the code, relative to the instruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

namespace spikeflow {

enum Gpr : int { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };

// Where an operand lies: in a vector register, at [base + rcx], or in the pool, the same for all lanes.
struct Place {
    enum class Kind { vector, memory, pool };
    Kind kind = Kind::vector;
    int number = 0;
};

// Instructions of 512 bits on 32-bit lanes: prefix (pp), map (mm) and opcode.
struct Evex {
    int prefix, map, opcode;
};
inline constexpr Evex vmovups{0, 1, 0x10}, vmovups_store{0, 1, 0x11}, vandps{0, 1, 0x54}, vxorps{0, 1, 0x57};
inline constexpr Evex vaddps{0, 1, 0x58}, vmulps{0, 1, 0x59}, vsubps{0, 1, 0x5C}, vminps{0, 1, 0x5D}, vdivps{0, 1, 0x5E}, vmaxps{0, 1, 0x5F};
inline constexpr Evex vcmpps{0, 1, 0xC2}, vbroadcastss{1, 2, 0x18}, vptestmd{1, 2, 0x27}, vptestnmd{2, 2, 0x27};
// of whole numbers; shifts by an immediate take `reg` as part of the opcode, and `first` is where they write
inline constexpr Evex vcvttps2dq{2, 1, 0x5B}, vpaddd{1, 1, 0xFE}, vpsubd{1, 1, 0xFA}, vpshiftd{1, 1, 0x72};
inline constexpr int kShiftRight = 4, kShiftLeft = 6;
inline constexpr Evex vrndscaleps{1, 3, 0x08}, vpternlogd{1, 3, 0x25}, vblendmps{1, 2, 0x65};

// Lanes that are written: those of a mask register, others kept or made 0; register 0 stands for all.
struct Lanes {
    int mask = 0;
    bool zeroed = false;
};

class Assembler {
public:
    // reg <- first, second: `reg` is a mask register where the instruction compares; one of two operands leaves `first` 0.
    void vector(const Evex& op, int reg, int first, Place second, int immediate = -1, Lanes lanes = {}) {
        const bool pool = second.kind == Place::Kind::pool, in_register = second.kind == Place::Kind::vector;
        const int base = pool ? 0 : second.number;
        const bool x = in_register && (base & 16) != 0;               // rcx, the index, needs no bit
        byte(0x62);
        byte(((reg & 8) ? 0 : 0x80) | (x ? 0 : 0x40) | ((base & 8) ? 0 : 0x20) | ((reg & 16) ? 0 : 0x10) | op.map);
        byte(((~first & 15) << 3) | 4 | op.prefix);
        byte((lanes.zeroed ? 0x80 : 0) | 0x40 | (pool && op.opcode != vbroadcastss.opcode ? 0x10 : 0) | ((first & 16) ? 0 : 8) | lanes.mask);
        byte(op.opcode);
        const int low = (reg & 7) << 3;
        if (in_register) byte(0xC0 | low | (base & 7));
        else if (pool) {
            byte(low | 5);
            fixes_.push_back({code_.size(), second.number, immediate >= 0 ? 5 : 4});
            word(0);
        } else {
            byte(0x80 | low | 4);
            byte((rcx << 3) | (base & 7));
            word(0);
        }
        if (immediate >= 0) byte(immediate);
    }

    // Whole registers: to <- [base + offset], and back.
    void load(Gpr to, Gpr base, int32_t offset) { whole(0x8B, to, base, offset); }
    void store(Gpr base, int32_t offset, Gpr from) { whole(0x89, from, base, offset); }
    void push(Gpr r) { if (r >= 8) byte(0x41); byte(0x50 | (r & 7)); }
    void pop(Gpr r) { if (r >= 8) byte(0x41); byte(0x58 | (r & 7)); }
    // Mask registers of 16 lanes: eax <- mask, mask <- eax, to <- not a and b.
    void from_mask(int mask) { bytes({0xC5, 0xF8, 0x93, 0xC0 | mask}); }
    void to_mask(int mask) { bytes({0xC5, 0xF8, 0x92, 0xC0 | mask << 3}); }
    void and_not(int to, int a, int b) { bytes({0xC5, 0x84 | (~a & 15) << 3, 0x42, 0xC0 | to << 3 | b}); }
    void bytes(std::initializer_list<int> code) { for (const int b : code) byte(b); }

    std::size_t here() const { return code_.size(); }
    // A jump whose target is still to come; then the target of one.
    std::size_t jump(std::initializer_list<int> opcode) { bytes(opcode); word(0); return here(); }
    void land(std::size_t jump) { patch(jump - 4, static_cast<int32_t>(here() - jump)); }
    void jump_back(std::size_t to) { byte(0xE9); word(static_cast<int32_t>(to) - static_cast<int32_t>(here()) - 4); }

    // The whole: code, then the pool.
    std::vector<uint8_t> finish(std::span<const uint32_t> pool) {
        while (code_.size() % 4 != 0) byte(0xCC);
        const std::size_t first = code_.size();
        for (const Fix& fix : fixes_)
            patch(fix.at, static_cast<int32_t>(first + static_cast<std::size_t>(fix.constant) * 4 - fix.at) - fix.rest);
        for (const uint32_t constant : pool) word(static_cast<int32_t>(constant));
        return std::move(code_);
    }

private:
    struct Fix {
        std::size_t at;
        int constant, rest;                                    // bytes from `at` to the end of the instruction
    };
    void byte(int b) { code_.push_back(static_cast<uint8_t>(b)); }
    void word(int32_t w) { for (int i = 0; i < 4; ++i) byte((w >> (8 * i)) & 0xFF); }
    void patch(std::size_t at, int32_t w) { for (std::size_t i = 0; i < 4; ++i) code_[at + i] = static_cast<uint8_t>(w >> (8 * i)); }
    void whole(int opcode, Gpr reg, Gpr base, int32_t offset) {
        byte(0x48 | (reg >= 8 ? 4 : 0) | (base >= 8 ? 1 : 0));
        byte(opcode);
        byte(0x80 | ((reg & 7) << 3) | (base & 7));            // no base here needs a further byte
        word(offset);
    }

    std::vector<uint8_t> code_;
    std::vector<Fix> fixes_;
};

}  // namespace spikeflow
