// A decoder: bytes in, in pieces of any size, events out. What a format adds is one function, `decode`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "events/columns.hpp"

namespace spikeflow::events {

using Bytes = std::span<const std::uint8_t>;

// Why a part of a file gives no event.
enum class Fault : std::uint8_t {
    before_time,  // an event before the first word that tells the time: dropped always, never an error
    outside,      // a pixel outside the sensor
    backwards,    // a time before that of an earlier event
    unknown,      // a word of a kind that the format does not have
    truncated,    // the file ends within a record
    other,        // a word that is no pixel event: triggers, inertial sensors, frames; never an error
    invalid,      // an event that its camera did not mark as valid: dropped always, never an error
};
inline constexpr std::array<const char*, 7> FAULTS = {
    "before the first time", "outside the sensor", "time going backwards", "unknown words", "truncated", "other events",
    "not marked as valid"};

struct Error : std::runtime_error {
    Error(Fault fault, std::uint64_t offset, const std::string& text)
        : std::runtime_error(text), fault(fault), offset(offset) {}
    Fault fault;
    std::uint64_t offset;
};

// What the caller knows and wants.
struct Settings {
    std::uint32_t width = 0, height = 0;  // 0: not known, not checked
    bool strict = true;                   // throw at the first fault; else drop, count and go on
    bool ordered = true;                  // a time before an earlier one is a fault; else events come as they are stored
};

// A counter of `Bits` bits that goes round, made to go on: of all times that the bits may mean, the one nearest to the
// last, and never a negative one. So a sensor's small step back is one, also across a turn of the counter.
template <int Bits>
class Clock {
    static_assert(Bits > 0 && Bits < 62);

public:
    static constexpr std::int64_t TURN = std::int64_t{1} << Bits;

    // What `raw` would mean now; `raw` < TURN.
    std::int64_t nearest(std::uint64_t raw) const {
        const std::uint64_t step = (raw - static_cast<std::uint64_t>(now_)) << (64 - Bits);  // modulo TURN, at the top
        const std::int64_t next = now_ + (static_cast<std::int64_t>(step) >> (64 - Bits));
        return next + (next < 0 ? TURN : 0);
    }
    std::int64_t unwrap(std::uint64_t raw) { return now_ = nearest(raw); }
    std::int64_t now() const { return now_; }

private:
    std::int64_t now_ = 0;
};

class Decoder {
public:
    explicit Decoder(Settings settings) : settings_(settings) {}
    virtual ~Decoder() = default;

    // Decode the next bytes of the file, cut anywhere.
    void feed(Bytes bytes);
    // The file ended: an incomplete record at its end is a fault.
    void finish();
    // About this many bytes will follow, decoded into one array: room for their events is then made at once, as many as
    // those so far let expect. Only a hint.
    void expect(std::uint64_t bytes) { end_ = position_ + carry_.size() + bytes; }
    // The events since the last call.
    Columns take();
    // A decoder in the same state, without the events: where reading may go on later, to seek.
    virtual std::unique_ptr<Decoder> clone() const = 0;

    std::uint64_t position() const { return position_; }  // bytes decoded so far
    std::uint64_t pending() const { return carry_.size(); }  // bytes fed that wait for the rest of their record
    std::optional<std::int64_t> last() const { return last_; }  // time of the last event kept
    std::uint64_t count(Fault fault) const { return counts_[static_cast<std::size_t>(fault)]; }
    std::size_t ready() const { return columns_.size(); }  // events that `take` would give

protected:
    struct Step {
        std::size_t bytes, events;
    };
    Decoder(const Decoder& other)
        : settings_(other.settings_), counts_(other.counts_), carry_(other.carry_), position_(other.position_),
          last_(other.last_) {}

    // Decode whole records at the beginning of `bytes`, writing at most `capacity(bytes.size())` events. Returns how
    // many bytes and events; must not depend on where the bytes were cut. Nothing decoded means: more bytes needed.
    virtual Step decode(Bytes bytes, Cursor out) = 0;
    virtual std::size_t capacity(std::size_t bytes) const = 0;
    // Whether what was decoded promised more than has come, though no record is cut: at the end a fault, too.
    virtual bool unfinished() const { return false; }

    // A fault at this byte of what `decode` was given: counted, and thrown where strict and an error at all.
    void fault(Fault fault, std::size_t offset);
    void count(Fault fault, std::uint64_t times) { counts_[static_cast<std::size_t>(fault)] += times; }
    const Settings& settings() const { return settings_; }

private:
    std::size_t run(Bytes bytes);
    std::size_t fitting(std::size_t bytes) const;
    Cursor room(Bytes bytes);
    Step block(Bytes bytes);
    void replay(Bytes bytes);
    bool good(Cursor out, std::size_t events) const;
    std::size_t sift(Cursor out, std::size_t events);

    Settings settings_;
    std::array<std::uint64_t, FAULTS.size()> counts_{};
    Columns columns_;
    std::vector<std::uint8_t> carry_;
    std::uint64_t position_ = 0, end_ = 0;
    std::optional<std::int64_t> last_;
};

// `clone` for a decoder that can be copied.
template <class Self>
class Cloned : public Decoder {
public:
    using Decoder::Decoder;
    std::unique_ptr<Decoder> clone() const override {
        return std::make_unique<Self>(static_cast<const Self&>(*this));
    }
};

}  // namespace spikeflow::events
