#include "events/evt2.hpp"

#include "events/words.hpp"

namespace spikeflow::events {
namespace {

constexpr std::size_t RUN = 32;  // words looked at together
constexpr std::uint32_t ON = 1, TIME_HIGH = 8;

// `RUN` words at once; false, and nothing done, where one of them is no event. Each column is a loop of its own.
bool run_of_events(const std::uint8_t* bytes, std::int64_t high, Cursor out) {
    std::uint32_t words[RUN], any = 0;
    little(bytes, words);
    for (std::size_t k = 0; k < RUN; ++k) any |= words[k];
    if (any >> 28 > ON) return false;
    for (std::size_t k = 0; k < RUN; ++k) out.t[k] = high | (words[k] >> 22 & 0x3f);
    for (std::size_t k = 0; k < RUN; ++k) out.x[k] = words[k] >> 11 & 0x7ff;
    for (std::size_t k = 0; k < RUN; ++k) out.y[k] = words[k] & 0x7ff;
    for (std::size_t k = 0; k < RUN; ++k) out.p[k] = words[k] >> 28 & 1;
    return true;
}

}  // namespace

Decoder::Step Evt2::decode(Bytes bytes, Cursor out) {
    const std::size_t words = bytes.size() / RECORD;
    std::size_t events = 0, i = 0;
    while (i < words) {
        if (timed_ && i + RUN <= words && run_of_events(bytes.data() + i * RECORD, clock_.now(), out.from(events))) {
            i += RUN;
            events += RUN;
            continue;
        }
        // mixed words: an event is written always and counted where it was one, since a guess which it is costs more
        for (const std::size_t end = i + RUN < words ? i + RUN : words; i < end; ++i) {
            const std::uint32_t word = little<std::uint32_t>(bytes.data() + i * RECORD), kind = word >> 28;
            out.put(events, clock_.now() | (word >> 22 & 0x3f), word >> 11 & 0x7ff, word & 0x7ff, kind & 1);
            events += kind <= ON && timed_;
            if (kind == TIME_HIGH) {
                clock_.unwrap(std::uint64_t{word & 0x0fffffff} << 6);
                timed_ = true;
            } else if (kind > ON) {
                fault(kind == 0xa || kind >= 0xd ? Fault::other : Fault::unknown, i * RECORD);
            } else if (!timed_) {
                fault(Fault::before_time, i * RECORD);
            }
        }
    }
    return {words * RECORD, events};
}

}  // namespace spikeflow::events
