// Prophesee EVT 2.0: words of 32 bits, the topmost 4 of them the kind.
//   0, 1   an event, off or on: time bits 5..0 (6 bits), x (11), y (11)
//   8      time bits 33..6 (28 bits) of what follows
//   A      external trigger; D inertial sensor; E other; F more of the word before: no pixel events
// Source: docs.prophesee.ai, "EVT 2.0 Format".
#pragma once

#include "events/decoder.hpp"

namespace spikeflow::events {

class Evt2 final : public Cloned<Evt2> {
public:
    using Cloned::Cloned;

private:
    static constexpr std::size_t RECORD = 4;

    Step decode(Bytes bytes, Cursor out) override;
    std::size_t capacity(std::size_t bytes) const override { return bytes / RECORD + 1; }

    Clock<34> clock_;      // in microseconds, its lowest 6 bits 0
    bool timed_ = false;  // whether a time has been told
};

}  // namespace spikeflow::events
