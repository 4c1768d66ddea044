// AEDAT 3.0 and 3.1, format RAW: packets of a header of 28 bytes and `number` records of `size` bytes, little-endian.
//   header   type (16 bits, 1 = polarity), source (16); size, offset of the time, overflow, capacity, number, valid
//            (32 bits each)
//   polarity bit 0 valid, bit 1 on, y bits 2..16, x bits 17..31; then the time in microseconds (31 bits), above which
//            the packet's overflow counts
// Records without the valid bit are counted as invalid, packets of other types and other sources as other.
// Source: docs.inivation.com, "AEDAT 3.1"; libcaer, events/common.h and events/polarity.h.
#pragma once

#include "events/decoder.hpp"

namespace spikeflow::events {

class Aedat3 final : public Cloned<Aedat3> {
public:
    static constexpr int ANY = -1;

    // Events of one source, or of any.
    explicit Aedat3(Settings settings, int source = ANY) : Cloned(settings), source_(source) {}

private:
    static constexpr std::size_t HEADER = 28, RECORD = 8;

    Step decode(Bytes bytes, Cursor out) override;
    std::size_t capacity(std::size_t bytes) const override { return bytes / RECORD + 1; }
    bool unfinished() const override { return records_ > 0 || skip_ > 0; }

    void packet(const std::uint8_t* header, std::size_t at);
    std::size_t polarity(Bytes bytes, std::size_t at, Cursor out);

    int source_;
    std::uint64_t records_ = 0;   // polarity records of the present packet that are still to come
    std::uint64_t skip_ = 0;      // bytes of the present packet that are of no use
    std::int64_t epoch_ = 0;      // time at which the 31 bits of the present packet count from
    bool lost_ = false;           // after a header that cannot be: where the next one begins is not known
};

}  // namespace spikeflow::events
