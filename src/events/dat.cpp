#include "events/dat.hpp"

#include "events/words.hpp"

namespace spikeflow::events {
namespace {

constexpr std::size_t RUN = 32;  // events looked at together

}  // namespace

template <int XBits, int YBits>
Decoder::Step Dat<XBits, YBits>::decode(Bytes bytes, Cursor out) {
    const std::size_t records = bytes.size() / RECORD;
    std::size_t events = 0, i = 0;
    while (i < records) {
        if (i + RUN <= records && run_of_events(bytes.data() + i * RECORD, out.from(events))) {
            i += RUN;
            events += RUN;
            continue;
        }
        for (const std::size_t end = i + RUN < records ? i + RUN : records; i < end; ++i) {
            const std::uint8_t* at = bytes.data() + i * RECORD;
            const std::uint32_t word = little<std::uint32_t>(at + 4);
            if (word >> USED != 0) {
                this->fault(Fault::unknown, i * RECORD);
                continue;
            }
            const std::int64_t time = clock_.unwrap(little<std::uint32_t>(at));
            out.put(events++, time, word & X, word >> XBits & Y, word >> (XBits + YBits) & 1);
        }
    }
    return {records * RECORD, events};
}

// `RUN` events at once; false, and nothing done, where a time is not in order or a bit has no meaning. Then nothing
// depends on the event before, and each column is a loop of its own.
template <int XBits, int YBits>
bool Dat<XBits, YBits>::run_of_events(const std::uint8_t* bytes, Cursor out) {
    std::uint32_t words[2 * RUN], times[RUN], places[RUN], any = 0, back = 0;
    little(bytes, words);
    for (std::size_t k = 0; k < RUN; ++k) times[k] = words[2 * k];
    for (std::size_t k = 0; k < RUN; ++k) places[k] = words[2 * k + 1];
    for (std::size_t k = 0; k < RUN; ++k) any |= places[k];
    for (std::size_t k = 1; k < RUN; ++k) back |= times[k] < times[k - 1];
    const std::int64_t epoch = clock_.now() & ~std::int64_t{0xffffffff};
    const std::uint32_t now = static_cast<std::uint32_t>(clock_.now()), last = times[RUN - 1];
    if (back || any >> USED || times[0] < now || last - now >= Clock<32>::TURN / 2) return false;
    for (std::size_t k = 0; k < RUN; ++k) out.t[k] = epoch | times[k];
    for (std::size_t k = 0; k < RUN; ++k) out.x[k] = places[k] & X;
    for (std::size_t k = 0; k < RUN; ++k) out.y[k] = places[k] >> XBits & Y;
    for (std::size_t k = 0; k < RUN; ++k) out.p[k] = places[k] >> (XBits + YBits) & 1;
    clock_.unwrap(last);
    return true;
}

template class Dat<14, 14>;
template class Dat<9, 8>;

}  // namespace spikeflow::events
