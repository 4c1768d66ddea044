// Event Stream 2, what follows its header: bytes whose meaning depends on the one before.
//   DVS    0xff: 127 us pass; 0xfe: reset, no meaning; else an event of 5 bytes: microseconds since the last event
//          (7 bits) and whether on (1 bit), then x and y (16 bits each, little-endian)
//   ATIS   0xfc..0xff: 63 us pass, 0 to 3 times; else an event of 5 bytes: time since the last event (6 bits), polarity
//          (1 bit), whether a threshold crossing (1 bit), then x and y; threshold crossings are counted as other
// Source: github.com/neuromorphic-paris/event_stream, version 2.0.
#pragma once

#include "events/decoder.hpp"

namespace spikeflow::events {

enum class EsKind { dvs, atis };

template <EsKind Kind>
class Es final : public Cloned<Es<Kind>> {
public:
    using Cloned<Es<Kind>>::Cloned;

private:
    static constexpr std::size_t RECORD = 5;

    Decoder::Step decode(Bytes bytes, Cursor out) override;
    std::size_t capacity(std::size_t bytes) const override { return bytes / RECORD + 1; }

    std::int64_t time_ = 0;
};

extern template class Es<EsKind::dvs>;
extern template class Es<EsKind::atis>;

}  // namespace spikeflow::events
