#include "events/es.hpp"

#include "events/words.hpp"

namespace spikeflow::events {

template <EsKind Kind>
Decoder::Step Es<Kind>::decode(Bytes bytes, Cursor out) {
    constexpr bool dvs = Kind == EsKind::dvs;
    constexpr std::uint8_t special = dvs ? 0xfe : 0xfc;  // bytes from here on are no event
    constexpr int bits = dvs ? 1 : 2;                    // of an event's first byte below its time
    constexpr std::int64_t passes = dvs ? 127 : 63;
    std::size_t at = 0, events = 0;
    std::uint64_t others = 0;
    std::int64_t time = time_;
    while (at < bytes.size()) {
        const std::uint8_t* b = bytes.data() + at;
        if (b[0] >= special) {
            time += passes * (b[0] - special);
            ++at;
            continue;
        }
        if (bytes.size() - at < RECORD) break;
        time += b[0] >> bits;
        out.put(events, time, little<std::uint16_t>(b + 1), little<std::uint16_t>(b + 3), b[0] >> (bits - 1) & 1);
        if constexpr (dvs) {
            ++events;
        } else {
            events += ~b[0] & 1;
            others += b[0] & 1;
        }
        at += RECORD;
    }
    time_ = time;
    this->count(Fault::other, others);
    return {at, events};
}

template class Es<EsKind::dvs>;
template class Es<EsKind::atis>;

}  // namespace spikeflow::events
