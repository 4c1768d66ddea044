// Prophesee EVT 3.0: words of 16 bits, the topmost 4 of them the kind. A word changes what follows, or is an event of
// what was said last.
//   0  y (11 bits) of what follows            2  one event: on or off (1 bit), x (11 bits)
//   3  on or off, and x, of the vectors that follow
//   4  vector: one bit for each of 12 columns from there on, which then are passed     5  the same, 8 columns
//   6  time bits 11..0     8  time bits 23..12: the lower ones begin at 0 where it is a new one, until they are told
//   1  y of events that are not of contrast: those that follow are none either
//   A  external trigger; D inertial sensor; E other; 7, F more of the word before: no pixel events
// Source: docs.prophesee.ai, "EVT 3.0 Format"; the maker's own reader (OpenEB) for the kinds 1 and D and for the lower
// bits of a new time.
#pragma once

#include "events/decoder.hpp"

namespace spikeflow::events {

class Evt3 final : public Cloned<Evt3> {
public:
    using Cloned::Cloned;

private:
    static constexpr std::size_t RECORD = 2;

    Step decode(Bytes bytes, Cursor out) override;
    std::size_t capacity(std::size_t bytes) const override { return bytes / RECORD * 12 + 12; }

    // Whether an event can be told: what it needs has been said.
    bool ready() const { return timed_ && rowed_ && contrast_; }
    std::size_t word(std::uint32_t word, std::size_t offset, Cursor out);
    std::size_t vector(std::uint32_t columns, std::uint32_t width, std::size_t offset, Cursor out);

    Clock<24> clock_;        // its lower 12 bits 0
    std::int64_t time_ = 0;  // microseconds of the next event
    std::uint32_t y_ = 0;
    std::uint32_t base_ = 0;  // x of the next vector
    std::uint8_t on_ = 0;     // of the next vector
    bool timed_ = false, rowed_ = false, based_ = false, contrast_ = true;
};

}  // namespace spikeflow::events
