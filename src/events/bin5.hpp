// The 40-bit events of N-MNIST, N-Caltech101 and their like: x, y, then polarity (1 bit) and time (23 bits, big-endian).
#pragma once

#include "events/decoder.hpp"

namespace spikeflow::events {

class Bin5 final : public Cloned<Bin5> {
public:
    static constexpr std::size_t RECORD = 5;
    using Cloned::Cloned;

private:
    Step decode(Bytes bytes, Cursor out) override {
        const std::size_t events = bytes.size() / RECORD;
        Clock<23> clock = clock_;
        for (std::size_t i = 0; i < events; ++i) {
            const std::uint8_t* b = bytes.data() + i * RECORD;
            const std::uint32_t word = std::uint32_t{b[2]} << 16 | std::uint32_t{b[3]} << 8 | b[4];
            out.put(i, clock.unwrap(word & 0x7fffff), b[0], b[1], static_cast<std::uint8_t>(word >> 23));
        }
        clock_ = clock;  // apart from it: what `out` points at could be anything, as far as a compiler knows
        return {events * RECORD, events};
    }
    std::size_t capacity(std::size_t bytes) const override { return bytes / RECORD; }

    Clock<23> clock_;
};

}  // namespace spikeflow::events
