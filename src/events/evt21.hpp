// Prophesee EVT 2.1: words of 64 bits, the topmost 4 of them the kind.
//   0, 1   up to 32 events, off or on: time bits 5..0 (6 bits), x of the first (11), y (11), one bit for each column
//   8      time bits 33..6 (28 bits) of what follows, then 32 bits without meaning
//   A      external trigger; E other; F more of the word before: no pixel events
// The IMX636 sends the two halves of a word the other way round ("endianness=legacy" in the header).
// Source: docs.prophesee.ai, "EVT 2.1 Format".
#pragma once

#include "events/decoder.hpp"

namespace spikeflow::events {

template <bool Legacy>
class Evt21 final : public Cloned<Evt21<Legacy>> {
public:
    using Cloned<Evt21<Legacy>>::Cloned;

private:
    static constexpr std::size_t RECORD = 8;

    Decoder::Step decode(Bytes bytes, Cursor out) override;
    std::size_t capacity(std::size_t bytes) const override { return bytes / RECORD * 32; }

    Clock<34> clock_;      // in microseconds, its lowest 6 bits 0
    bool timed_ = false;  // whether a time has been told
};

extern template class Evt21<false>;
extern template class Evt21<true>;

}  // namespace spikeflow::events
