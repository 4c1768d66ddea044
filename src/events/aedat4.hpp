// AEDAT 4, its packets of events: FlatBuffers (EVTS) behind their size in 32 bits, one after the other, not compressed.
//   root table, field 0: vector of structs of 16 bytes: time in microseconds (64 bits), x, y (16), on (8), 3 unused
// Every offset is checked against the packet before it is followed. A damaged packet is one fault of unknown words.
// Source: docs.inivation.com, "AEDAT 4.0"; event.fbs of dv-processing; flatbuffers.dev, "FlatBuffer Internals".
#pragma once

#include "events/decoder.hpp"

namespace spikeflow::events {

class Aedat4 final : public Cloned<Aedat4> {
public:
    using Cloned::Cloned;

private:
    static constexpr std::size_t RECORD = 16;

    Step decode(Bytes bytes, Cursor out) override;
    std::size_t capacity(std::size_t bytes) const override { return bytes / RECORD + 1; }
};

}  // namespace spikeflow::events
