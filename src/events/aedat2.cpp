#include "events/aedat2.hpp"

namespace spikeflow::events {
namespace {

constexpr std::size_t RUN = 16;  // records looked at together

std::uint32_t big(const std::uint8_t* b) {
    return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
}

template <std::size_t Bytes>
std::uint32_t address_at(const std::uint8_t* b) {
    if constexpr (Bytes == 2) return std::uint32_t{b[0]} << 8 | b[1];
    else return big(b);
}

template <class Camera>
void event(std::int64_t time, std::uint32_t address, Cursor out, std::size_t at) {
    out.put(at, time, Camera::x(address), Camera::y(address), Camera::on(address));
}

}  // namespace

template <class Camera, std::size_t AddressBytes>
Decoder::Step Aedat2<Camera, AddressBytes>::decode(Bytes bytes, Cursor out) {
    const std::size_t records = bytes.size() / RECORD;
    std::size_t events = 0, i = 0;
    std::uint64_t others = 0;
    while (i < records) {
        const std::uint8_t* next = bytes.data() + i * RECORD;
        if (i + RUN <= records) {
            // only pixel events, times in order and no turn of the counter: then none depends on the one before
            const std::int64_t now = clock_.now(), epoch = now & ~std::int64_t{0xffffffff};
            std::uint32_t address[RUN], time[RUN], any = 0;
            for (std::size_t k = 0; k < RUN; ++k) {
                address[k] = address_at<AddressBytes>(next + RECORD * k);
                time[k] = big(next + RECORD * k + AddressBytes);
                any |= address[k];
            }
            std::int64_t back = std::int64_t{time[0]} - (now - epoch);
            // all at once the clock may go on by half a turn, as one by one
            const bool near = std::int64_t{time[RUN - 1]} - (now - epoch) < Clock<32>::TURN / 2;
            for (std::size_t k = 1; k < RUN; ++k) back |= std::int64_t{time[k]} - std::int64_t{time[k - 1]};
            if ((any & Camera::NO_PIXEL) == 0 && back >= 0 && near) {
                for (std::size_t k = 0; k < RUN; ++k) event<Camera>(epoch | time[k], address[k], out.from(events), k);
                clock_.unwrap(time[RUN - 1]);
                i += RUN;
                events += RUN;
                continue;
            }
        }
        // mixed words: an event is written always and counted where it was one, since a guess which it is costs more
        for (const std::size_t end = i + RUN < records ? i + RUN : records; i < end; ++i) {
            const std::uint8_t* at = bytes.data() + i * RECORD;
            const std::uint32_t address = address_at<AddressBytes>(at);
            event<Camera>(clock_.unwrap(big(at + AddressBytes)), address, out, events);
            const bool pixel = (address & Camera::NO_PIXEL) == 0;
            events += pixel;
            others += !pixel;
        }
    }
    this->count(Fault::other, others);
    return {records * RECORD, events};
}

template class Aedat2<Dvs128>;
template class Aedat2<Davis>;
template class Aedat2<Dvs128, 2>;

}  // namespace spikeflow::events
