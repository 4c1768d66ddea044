#include "events/evt21.hpp"

#include <bit>

#include "events/words.hpp"

namespace spikeflow::events {
namespace {

constexpr std::uint32_t ON = 1, TIME_HIGH = 8;
constexpr std::uint32_t COLUMNS = 2048;  // the format's largest sensor

}  // namespace

template <bool Legacy>
Decoder::Step Evt21<Legacy>::decode(Bytes bytes, Cursor out) {
    const std::size_t words = bytes.size() / RECORD;
    std::size_t events = 0;
    for (std::size_t i = 0; i < words; ++i) {
        const std::uint8_t* at = bytes.data() + i * RECORD;
        const std::uint32_t head = little<std::uint32_t>(at + (Legacy ? 0 : 4));
        std::uint32_t columns = little<std::uint32_t>(at + (Legacy ? 4 : 0));
        const std::uint32_t kind = head >> 28;
        if (kind > ON) {
            if (kind == TIME_HIGH) {
                clock_.unwrap(std::uint64_t{head & 0x0fffffff} << 6);
                timed_ = true;
            } else {
                this->fault(kind == 0xa || kind >= 0xe ? Fault::other : Fault::unknown, i * RECORD);
            }
            continue;
        }
        if (!timed_) {
            this->count(Fault::before_time, static_cast<std::uint64_t>(std::popcount(columns)));
            continue;
        }
        const std::int64_t time = clock_.now() | (head >> 22 & 0x3f);
        const std::uint32_t x = head >> 11 & 0x7ff, y = head & 0x7ff;
        for (; columns != 0; columns &= columns - 1) {
            const std::uint32_t column = x + static_cast<std::uint32_t>(std::countr_zero(columns));
            if (column < COLUMNS)
                out.put(events++, time, static_cast<std::uint16_t>(column), static_cast<std::uint16_t>(y), kind & 1);
            else
                this->fault(Fault::outside, i * RECORD);
        }
    }
    return {words * RECORD, events};
}

template class Evt21<false>;
template class Evt21<true>;

}  // namespace spikeflow::events
