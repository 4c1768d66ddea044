#include "events/aedat4.hpp"

#include <cstring>
#include <optional>

#include "events/words.hpp"

namespace spikeflow::events {
namespace {

constexpr std::size_t EVENT = 16, SIZE = 4;

// A number at byte `at`, where there is one.
template <class Word>
std::optional<std::uint64_t> number(Bytes packet, std::uint64_t at) {
    if (at > packet.size() || packet.size() - at < sizeof(Word)) return std::nullopt;
    return little<Word>(packet.data() + at);
}

// The structs of a packet, or nothing where it is damaged.
std::optional<Bytes> structs(Bytes packet) {
    if (packet.size() < 8 || std::memcmp(packet.data() + 4, "EVTS", 4) != 0) return std::nullopt;
    const auto table = number<std::uint32_t>(packet, 0);
    const auto back = number<std::uint32_t>(packet, *table);  // from the table to its list of fields, signed
    if (!back) return std::nullopt;
    const std::int64_t fields = static_cast<std::int64_t>(*table) - static_cast<std::int32_t>(*back);
    if (fields < 0) return std::nullopt;
    const auto at = static_cast<std::uint64_t>(fields);
    const auto size = number<std::uint16_t>(packet, at);
    if (!size || *size < 4 || packet.size() - at < *size) return std::nullopt;
    const auto field = *size < 6 ? 0 : number<std::uint16_t>(packet, at + 4);
    if (!field) return std::nullopt;
    if (*field == 0) return Bytes{};  // a packet without events may leave the vector out
    const auto vector = number<std::uint32_t>(packet, *table + *field);
    if (!vector) return std::nullopt;
    const std::uint64_t begin = *table + *field + *vector;
    const auto count = number<std::uint32_t>(packet, begin);
    if (!count || (packet.size() - begin - SIZE) / EVENT < *count) return std::nullopt;
    return packet.subspan(static_cast<std::size_t>(begin) + SIZE, static_cast<std::size_t>(*count) * EVENT);
}

}  // namespace

Decoder::Step Aedat4::decode(Bytes bytes, Cursor out) {
    std::size_t at = 0, events = 0;
    while (bytes.size() - at >= SIZE) {
        const std::size_t size = little<std::uint32_t>(bytes.data() + at);
        if (bytes.size() - at - SIZE < size) break;
        const std::optional<Bytes> found = structs(bytes.subspan(at + SIZE, size));
        if (!found) fault(Fault::unknown, at);
        const std::size_t count = found ? found->size() / RECORD : 0;
        const Cursor to = out.from(events);
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint8_t* b = found->data() + i * RECORD;
            to.put(i, little<std::int64_t>(b), little<std::uint16_t>(b + 8), little<std::uint16_t>(b + 10), b[12] != 0);
        }
        events += count;
        at += SIZE + size;
    }
    return {at, events};
}

}  // namespace spikeflow::events
