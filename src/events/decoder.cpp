#include "events/decoder.hpp"

#include <algorithm>

namespace spikeflow::events {
namespace {

constexpr std::size_t BLOCK = 1 << 15;  // bytes at a time: what they become still lies in the cache when screened
constexpr std::size_t JOIN = 64;        // bytes of a new piece that are joined to an unfinished record at a time

}  // namespace

void Decoder::feed(Bytes bytes) {
    while (!carry_.empty() && !bytes.empty()) {
        const std::size_t before = carry_.size(), more = std::min(JOIN, bytes.size());
        carry_.insert(carry_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(more));
        const std::size_t done = run(carry_);
        if (done >= before) {  // the unfinished record is done: go on in the piece itself
            carry_.clear();
            bytes = bytes.subspan(done - before);
            break;
        }
        carry_.erase(carry_.begin(), carry_.begin() + static_cast<std::ptrdiff_t>(done));
        bytes = bytes.subspan(more);
    }
    if (bytes.empty()) return;
    const std::size_t done = run(bytes);
    carry_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(done), bytes.end());
}

std::size_t Decoder::run(Bytes bytes) {
    std::size_t done = 0, block = BLOCK;
    while (done < bytes.size()) {
        const Bytes rest = bytes.subspan(done, std::min(block, bytes.size() - done));
        const Cursor out = columns_.room(capacity(rest.size()));
        const Step step = decode(rest, out);
        columns_.advance(screen(out, step.events));
        done += step.bytes;
        position_ += step.bytes;
        if (step.bytes == 0) {
            if (rest.size() == bytes.size() - done) break;
            block *= 2;  // a record longer than a block
        }
    }
    return done;
}

// How many of the new events are kept. The usual case, all of them, costs one pass without a branch.
std::size_t Decoder::screen(Cursor out, std::size_t events) {
    if (events == 0) return 0;
    std::uint16_t most_x = 0, most_y = 0;
    bool back = last_ && out.t[0] < *last_;
    for (std::size_t i = 0; i < events; ++i) most_x = std::max(most_x, out.x[i]);
    for (std::size_t i = 0; i < events; ++i) most_y = std::max(most_y, out.y[i]);
    for (std::size_t i = 1; i < events; ++i) back |= out.t[i] < out.t[i - 1];
    const bool outside = (settings_.width && most_x >= settings_.width) || (settings_.height && most_y >= settings_.height);
    if (back || outside) return sift(out, events);
    last_ = out.t[events - 1];
    return events;
}

std::size_t Decoder::sift(Cursor out, std::size_t events) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < events; ++i) {
        if ((settings_.width && out.x[i] >= settings_.width) || (settings_.height && out.y[i] >= settings_.height)) {
            fault(Fault::outside, 0);
        } else if (last_ && out.t[i] < *last_) {
            fault(Fault::backwards, 0);
        } else {
            last_ = out.t[i];
            out.put(kept++, out.t[i], out.x[i], out.y[i], out.p[i]);
        }
    }
    return kept;
}

void Decoder::finish() {
    if (carry_.empty()) return;
    fault(Fault::truncated, 0);
    position_ += carry_.size();
    carry_.clear();
}

Columns Decoder::take() {
    columns_.shrink();
    return std::exchange(columns_, Columns{});
}

void Decoder::fault(Fault fault, std::size_t offset) {
    ++counts_[static_cast<std::size_t>(fault)];
    if (settings_.strict && fault != Fault::before_time && fault != Fault::other)
        throw Error(fault, position_ + offset, FAULTS[static_cast<std::size_t>(fault)]);
}

}  // namespace spikeflow::events
