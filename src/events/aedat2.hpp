// AEDAT 2.0: pairs of a 32-bit address and a 32-bit time in microseconds, both big-endian. AEDAT 1.0, of jAER before
// 2008, has addresses of 16 bits, else the same. The camera gives an address its meaning; words that are no pixel event (frames, inertial samples, external inputs) are counted as other.
//   DVS128   bit 0 polarity, where 0 is on; x bits 1..7; y bits 8..14; a higher bit: no pixel event
//   DAVIS    x bits 12..21, y bits 22..30, bit 11 polarity, where 1 is on; bit 31 or bit 10: no pixel event
// The time counts as unsigned, as all readers but the makers' own take it; both agree in the first 35 minutes.
// Source: docs.inivation.com, "AEDAT 2.0"; polarity of the DVS128 as the makers' software jAER reads it (class DVS128).
#pragma once

#include "events/decoder.hpp"

namespace spikeflow::events {

struct Dvs128 {
    static constexpr std::uint32_t NO_PIXEL = 0xffff8000;
    static std::uint16_t x(std::uint32_t address) { return address >> 1 & 0x7f; }
    static std::uint16_t y(std::uint32_t address) { return address >> 8 & 0x7f; }
    static std::uint8_t on(std::uint32_t address) { return ~address & 1; }
};

struct Davis {
    static constexpr std::uint32_t NO_PIXEL = 0x80000400;
    static std::uint16_t x(std::uint32_t address) { return address >> 12 & 0x3ff; }
    static std::uint16_t y(std::uint32_t address) { return address >> 22 & 0x1ff; }
    static std::uint8_t on(std::uint32_t address) { return address >> 11 & 1; }
};

template <class Camera, std::size_t AddressBytes = 4>
class Aedat2 final : public Cloned<Aedat2<Camera, AddressBytes>> {
public:
    using Cloned<Aedat2<Camera, AddressBytes>>::Cloned;

private:
    static constexpr std::size_t RECORD = AddressBytes + 4;

    Decoder::Step decode(Bytes bytes, Cursor out) override;
    std::size_t capacity(std::size_t bytes) const override { return bytes / RECORD + 1; }

    Clock<32> clock_;
};

extern template class Aedat2<Dvs128>;
extern template class Aedat2<Davis>;
extern template class Aedat2<Dvs128, 2>;

using Aedat1 = Aedat2<Dvs128, 2>;

}  // namespace spikeflow::events
