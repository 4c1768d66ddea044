// Prophesee DAT, events of 64 bits: time in microseconds (32 bits), then one word of 32 bits.
//   version 2   x bits 0..13, y bits 14..27, on bit 28; bits 29..31 are 0
//   before      x bits 0..8, y bits 9..16, on bit 17; bits 18..31 are 0
// Source: docs.prophesee.ai, "DAT File Format"; for the older layout the makers' reader load_atis_data.m.
#pragma once

#include "events/decoder.hpp"

namespace spikeflow::events {

template <int XBits, int YBits>
class Dat final : public Cloned<Dat<XBits, YBits>> {
public:
    using Cloned<Dat<XBits, YBits>>::Cloned;

private:
    static constexpr std::size_t RECORD = 8;
    static constexpr std::uint16_t X = (1 << XBits) - 1, Y = (1 << YBits) - 1;
    static constexpr int USED = XBits + YBits + 1;

    Decoder::Step decode(Bytes bytes, Cursor out) override;
    std::size_t capacity(std::size_t bytes) const override { return bytes / RECORD; }
    bool run_of_events(const std::uint8_t* bytes, Cursor out);

    Clock<32> clock_;
};

using Dat2 = Dat<14, 14>;
using Dat1 = Dat<9, 8>;
extern template class Dat<14, 14>;
extern template class Dat<9, 8>;

}  // namespace spikeflow::events
