#include "events/decoder.hpp"

#include <algorithm>

namespace spikeflow::events {
namespace {

constexpr std::size_t BLOCK = 1 << 15;  // bytes at a time: what they become still lies in the cache when looked at
constexpr std::size_t LEAST = 1 << 12;  // a block where there is little room left
constexpr std::size_t JOIN = 64;        // least bytes of a new piece that are joined to an unfinished record
constexpr std::uint64_t MOST = std::uint64_t{1} << 40;  // events that one array may be expected to have
constexpr std::size_t SAMPLE = 1 << 15;  // bytes after which the number of all events can be guessed

// For these the compiler makes a second version, taken where the processor has wider vectors; whole numbers, so that
// both give the same.
#ifdef SPIKEFLOW_CLONES
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

// Whether times never decrease; may say no where one lies outside +-2^62, since their differences may overflow.
WIDE bool ordered(const std::int64_t* t, std::size_t count) {
    constexpr std::uint64_t large = std::uint64_t{1} << 62;
    std::uint64_t signs = static_cast<std::uint64_t>(t[0]) + large;
    for (std::size_t i = 1; i < count; ++i) {
        const std::uint64_t time = static_cast<std::uint64_t>(t[i]);
        signs |= (time - static_cast<std::uint64_t>(t[i - 1])) | (time + large);
    }
    return signs >> 63 == 0;
}

WIDE std::uint16_t most(const std::uint16_t* values, std::size_t count) {
    std::uint16_t found = 0;
    for (std::size_t i = 0; i < count; ++i) found = std::max(found, values[i]);
    return found;
}

}  // namespace

void Decoder::feed(Bytes bytes) {
    while (!carry_.empty() && !bytes.empty()) {
        std::vector<std::uint8_t> joined = std::exchange(carry_, {});
        // by its own length: a long record in small pieces is then copied a few times only
        const std::size_t before = joined.size(), more = std::min(std::max(JOIN, before), bytes.size());
        joined.insert(joined.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(more));
        const std::size_t done = run(joined);
        if (done >= before) {  // the unfinished record is done: go on in the piece itself
            bytes = bytes.subspan(done - before);
            break;
        }
        joined.erase(joined.begin(), joined.begin() + static_cast<std::ptrdiff_t>(done));
        carry_ = std::move(joined);
        bytes = bytes.subspan(more);
    }
    if (bytes.empty()) return;
    const std::size_t done = run(bytes);
    carry_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(done), bytes.end());
}

std::size_t Decoder::run(Bytes bytes) {
    std::size_t done = 0, size = BLOCK;
    while (done < bytes.size()) {
        const std::size_t left = std::min(size, bytes.size() - done);
        const Bytes rest = bytes.subspan(done, size == BLOCK ? fitting(left) : left);
        const std::size_t used = block(rest).bytes;
        position_ += used;
        done += used;
        if (used > 0) {
            size = BLOCK;
        } else {  // a record longer than a block, or than all there is
            if (done + rest.size() == bytes.size()) break;
            size *= 2;
        }
    }
    return done;
}

// A block that there is room for, whatever it becomes, down to a small one.
std::size_t Decoder::fitting(std::size_t bytes) const {
    while (bytes > LEAST && !columns_.has(capacity(bytes))) bytes /= 2;
    return bytes;
}

// Room for what these bytes may become, and at once for all that is expected.
Cursor Decoder::room(Bytes bytes) {
    const std::size_t most = capacity(bytes.size());
    if (position_ < SAMPLE || position_ >= end_ || columns_.has(most)) return columns_.room(most);
    const double each = static_cast<double>(columns_.size()) / static_cast<double>(position_);
    const double more = 1.25 * each * static_cast<double>(end_ - position_) + static_cast<double>(most);
    if (more < static_cast<double>(MOST)) {
        try {
            return columns_.room(static_cast<std::size_t>(more));
        } catch (const std::bad_alloc&) {  // only a hint: there may be less memory, and fewer events, than that
        }
    }
    return columns_.room(most);
}

// One block. The usual case, that all of it is good, costs one look without a branch. Where strict, anything else is
// decoded once more, record by record, so that the error is the first fault and names its byte, however blocks fell.
Decoder::Step Decoder::block(Bytes bytes) {
    const Cursor out = room(bytes);
    const std::unique_ptr<Decoder> before = settings_.strict ? clone() : nullptr;
    Step step{};
    try {
        step = decode(bytes, out);
    } catch (const Error&) {
        before->replay(bytes);
        throw;
    }
    if (good(out, step.events)) {
        if (step.events > 0) last_ = out.t[step.events - 1];
        columns_.advance(step.events);
    } else {
        if (before) before->replay(bytes);
        columns_.advance(sift(out, step.events));
    }
    return step;
}

void Decoder::replay(Bytes bytes) {
    std::size_t begin = 0, size = 1;
    while (begin + size <= bytes.size()) {
        const Cursor out = columns_.room(capacity(size));
        const Step step = decode(bytes.subspan(begin, size), out);
        sift(out, step.events);
        begin += step.bytes;
        position_ += step.bytes;
        size = step.bytes > 0 ? 1 : size + 1;
    }
}

// Whether times never decrease, where they have to be in order, and all pixels lie on the sensor.
bool Decoder::good(Cursor out, std::size_t events) const {
    if (events == 0) return true;
    return !(settings_.ordered && ((last_ && out.t[0] < *last_) || !ordered(out.t, events))) &&
           !(settings_.width && most(out.x, events) >= settings_.width) &&
           !(settings_.height && most(out.y, events) >= settings_.height);
}

// Moves the good events of the new ones together; how many they are.
std::size_t Decoder::sift(Cursor out, std::size_t events) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < events; ++i) {
        if ((settings_.width && out.x[i] >= settings_.width) || (settings_.height && out.y[i] >= settings_.height)) {
            fault(Fault::outside, 0);
        } else if (settings_.ordered && last_ && out.t[i] < *last_) {
            fault(Fault::backwards, 0);
        } else {
            last_ = out.t[i];
            out.put(kept++, out.t[i], out.x[i], out.y[i], out.p[i]);
        }
    }
    return kept;
}

void Decoder::finish() {
    if (carry_.empty() && !unfinished()) return;
    fault(Fault::truncated, 0);
    position_ += carry_.size();
    carry_.clear();
}

Columns Decoder::take() {
    columns_.shrink();
    return std::exchange(columns_, Columns{});
}

void Decoder::fault(Fault fault, std::size_t offset) {
    count(fault, 1);
    if (settings_.strict && fault != Fault::before_time && fault != Fault::other && fault != Fault::invalid)
        throw Error(fault, position_ + offset, FAULTS[static_cast<std::size_t>(fault)]);
}

}  // namespace spikeflow::events
