#include "events/evt3.hpp"

#include <algorithm>
#include <bit>

#include "events/words.hpp"

namespace spikeflow::events {
namespace {

constexpr std::uint32_t COLUMNS = 2048;  // the format's largest sensor
enum : std::uint32_t { ADDR_Y, OTHER_Y, ADDR_X, BASE_X, VECT_12, VECT_8, TIME_LOW, CONTINUED_4, TIME_HIGH };

// Sensors send vectors as one base, 12, 12 and 8 columns.
bool is_group(const std::uint8_t* bytes) {
    constexpr std::uint64_t kinds = 0xf000f000f000f000, group = 0x5000400040003000;
    return (little<std::uint64_t>(bytes) & kinds) == group;
}
std::uint32_t group(const std::uint8_t* bytes) {
    const std::uint64_t words = little<std::uint64_t>(bytes);
    return static_cast<std::uint32_t>((words >> 16 & 0xfff) | (words >> 20 & 0xfff000) | (words >> 24 & 0xff000000));
}

}  // namespace

// The words that most files consist of are decoded here: an event is written always and counted where it was one, row
// and time chosen without a branch, since a guess which kind comes next costs more. All others go to `word`.
Decoder::Step Evt3::decode(Bytes bytes, Cursor out) {
    const std::size_t words = bytes.size() / RECORD;
    std::size_t events = 0, i = 0;
    while (i < words) {
        if (ready()) {
            std::int64_t time = time_;
            std::uint32_t y = y_;
            for (; i < words; ++i) {
                const std::uint32_t next = little<std::uint16_t>(bytes.data() + i * RECORD), kind = next >> 12;
                if (!((1u << ADDR_Y | 1u << ADDR_X | 1u << TIME_LOW) >> kind & 1)) break;
                out.put(events, time, next & 0x7ff, static_cast<std::uint16_t>(y), next >> 11 & 1);
                events += kind == ADDR_X;
                y = kind == ADDR_Y ? next & 0x7ff : y;
                time = kind == TIME_LOW ? (time & ~std::int64_t{0xfff}) | (next & 0xfff) : time;
            }
            time_ = time;
            y_ = y;
            if (i == words) break;
        }
        const std::uint8_t* next = bytes.data() + i * RECORD;
        if (i + 3 < words && is_group(next)) {
            word(little<std::uint16_t>(next), i * RECORD, out);
            events += vector(group(next), 32, (i + 1) * RECORD, out.from(events));
            i += 4;
        } else {
            events += word(little<std::uint16_t>(next), i * RECORD, out.from(events));
            ++i;
        }
    }
    return {words * RECORD, events};
}

// Any word; how many events it gave.
std::size_t Evt3::word(std::uint32_t word, std::size_t offset, Cursor out) {
    const std::uint32_t kind = word >> 12;
    switch (kind) {
    case ADDR_Y:
        y_ = word & 0x7ff;
        rowed_ = contrast_ = true;
        return 0;
    case OTHER_Y:
        contrast_ = false;
        fault(Fault::other, offset);
        return 0;
    case ADDR_X:
        if (ready()) {
            out.put(0, time_, word & 0x7ff, static_cast<std::uint16_t>(y_), word >> 11 & 1);
            return 1;
        }
        fault(contrast_ ? Fault::before_time : Fault::other, offset);
        return 0;
    case BASE_X:
        base_ = word & 0x7ff;
        on_ = word >> 11 & 1;
        based_ = true;
        return 0;
    case VECT_12:
        return vector(word & 0xfff, 12, offset, out);
    case VECT_8:
        return vector(word & 0xff, 8, offset, out);
    case TIME_LOW:
        time_ = (time_ & ~std::int64_t{0xfff}) | (word & 0xfff);
        return 0;
    case TIME_HIGH: {
        const std::int64_t high = clock_.unwrap(std::uint64_t{word & 0xfff} << 12);
        if (!timed_ || high != (time_ & ~std::int64_t{0xfff})) time_ = high;
        timed_ = true;
        return 0;
    }
    default:
        fault(kind == CONTINUED_4 || kind == 0xa || kind >= 0xd ? Fault::other : Fault::unknown, offset);
        return 0;
    }
}

std::size_t Evt3::vector(std::uint32_t columns, std::uint32_t width, std::size_t offset, Cursor out) {
    const std::uint32_t base = base_;
    base_ = std::min(base_ + width, COLUMNS);
    if (!ready() || !based_) {
        count(contrast_ ? Fault::before_time : Fault::other, static_cast<std::uint64_t>(std::popcount(columns)));
        return 0;
    }
    std::size_t events = 0;
    for (; columns != 0; columns &= columns - 1) {
        const std::uint32_t x = base + static_cast<std::uint32_t>(std::countr_zero(columns));
        if (x < COLUMNS)
            out.put(events++, time_, static_cast<std::uint16_t>(x), static_cast<std::uint16_t>(y_), on_);
        else
            fault(Fault::outside, offset);
    }
    return events;
}

}  // namespace spikeflow::events
