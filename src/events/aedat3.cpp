#include "events/aedat3.hpp"

#include <algorithm>

#include "events/words.hpp"

namespace spikeflow::events {
namespace {

constexpr std::int16_t POLARITY = 1;

}  // namespace

void Aedat3::packet(const std::uint8_t* header, std::size_t at) {
    const auto type = little<std::int16_t>(header), source = little<std::int16_t>(header + 2);
    const auto field = [&](int n) { return little<std::int32_t>(header + 4 + 4 * n); };
    const std::int32_t size = field(0), offset = field(1), overflow = field(2), most = field(3), number = field(4);
    if (type < 0 || size <= 0 || number < 0 || most < number || overflow < 0) {
        lost_ = true;
        fault(Fault::unknown, at);
        return;
    }
    const std::uint64_t all = static_cast<std::uint64_t>(size) * static_cast<std::uint64_t>(number);
    if (type != POLARITY || (source_ != ANY && source != source_)) {
        skip_ = all;
        count(Fault::other, static_cast<std::uint64_t>(number));
    } else if (size != RECORD || offset != 4) {
        skip_ = all;
        fault(Fault::unknown, at);
    } else {
        records_ = static_cast<std::uint64_t>(number);
        epoch_ = std::int64_t{overflow} << 31;
    }
}

// The records of a packet in `bytes`, the first of which lies at byte `at` of the block; how many are events.
std::size_t Aedat3::polarity(Bytes bytes, std::size_t at, Cursor out) {
    const std::size_t records = bytes.size() / RECORD;
    std::size_t events = 0;
    std::uint64_t invalid = 0;
    for (std::size_t i = 0; i < records; ++i) {
        const std::uint32_t word = little<std::uint32_t>(bytes.data() + i * RECORD);
        const std::int32_t time = little<std::int32_t>(bytes.data() + i * RECORD + 4);
        out.put(events, epoch_ + time, static_cast<std::uint16_t>(word >> 17), word >> 2 & 0x7fff, word >> 1 & 1);
        if (time < 0) [[unlikely]] {
            fault(Fault::unknown, at + i * RECORD);
        } else {
            events += word & 1;
            invalid += ~word & 1;
        }
    }
    count(Fault::invalid, invalid);
    return events;
}

Decoder::Step Aedat3::decode(Bytes bytes, Cursor out) {
    std::size_t at = 0, events = 0;
    while (at < bytes.size()) {
        const std::size_t left = bytes.size() - at;
        if (lost_) return {bytes.size(), events};
        if (skip_ > 0) {
            const std::size_t used = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, left));
            skip_ -= used;
            at += used;
        } else if (records_ > 0) {
            const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(records_, left / RECORD));
            if (n == 0) break;
            events += polarity(bytes.subspan(at, n * RECORD), at, out.from(events));
            records_ -= n;
            at += n * RECORD;
        } else {
            if (left < HEADER) break;
            packet(bytes.data() + at, at);
            at += HEADER;
        }
    }
    return {at, events};
}

}  // namespace spikeflow::events
