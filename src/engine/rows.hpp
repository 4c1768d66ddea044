// Rows: the synapses of a node by source and delay, as they are delivered; `row_maker.hpp` makes them.
//
// Targets are cut into slices of at most 65,536, each of which belongs to one share, so that a target takes 16 bits. A row
// is what one source sends into one slice at one delay: its targets, then its weights, side by side.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "pages.hpp"
#include "share.hpp"

namespace spikeflow {

inline constexpr int32_t kMaxDelay = 1 << 20;     // every delay is below: LONGEST_DELAY of spikeflow/ir/limits.py, and 1

// Whole numbers from Python in whatever width they are held; read while a network is made, never while it runs.
struct Integers {
    const void* data = nullptr;
    std::size_t count = 0;
    int bytes = 4;
    bool is_signed = true;

    std::size_t size() const { return count; }
    bool empty() const { return count == 0; }
    int64_t operator[](std::size_t i) const {
        switch (is_signed ? bytes : -bytes) {
            case 1: return static_cast<const int8_t*>(data)[i];
            case 2: return static_cast<const int16_t*>(data)[i];
            case 4: return static_cast<const int32_t*>(data)[i];
            case -1: return static_cast<const uint8_t*>(data)[i];
            case -2: return static_cast<const uint16_t*>(data)[i];
            case -4: return static_cast<const uint32_t*>(data)[i];
            default: return static_cast<const int64_t*>(data)[i];
        }
    }
};

// Targets in C order: first to last.
struct Targets {
    int32_t first, last;
};

// For what a weight or a delay holds: all synapses, those of one source, or one synapse.
enum class Scope : int32_t { one, source, synapse };

inline std::size_t place(Scope scope, std::size_t source, std::size_t synapse) {
    return scope == Scope::one ? 0 : scope == Scope::source ? source : synapse;
}

inline constexpr uint32_t kMostOfRow = UINT16_MAX;

// Where a source begins: among the rows, and among the synapses.
struct Begin {
    uint32_t row, synapse;
};

// The synapses of one source and delay, behind those of the row before. `later` : than that row, or than its source emits. What
// 16 bits do not hold takes several rows: of one delay, or empty ones that only wait.
struct Row {
    uint16_t count, later;
};

template <class W>
struct Slice {
    int32_t share = 0, first = 0, count = 0;   // physical targets: `count` from `first` on
    Pages<Begin> begins;                       // of each source, and of what would be the next
    Pages<Row> rows;                           // none where all delays are equal: then a source has one row
    Pages<std::byte> synapses;                 // of a row of n: n targets less `first` in 16 bits, n weights

    uint32_t fan(std::size_t source) const { return begins.data()[source + 1].synapse - begins.data()[source].synapse; }
    std::size_t size() const { return begins.size() == 0 ? 0 : begins.data()[begins.size() - 1].synapse; }
};

template <class W>
struct Rows;

// f(first synapse, number of synapses, delay) for each row of a source in a slice that holds any, by delay.
template <class W, class F>
void each_row(const Rows<W>& rows, const Slice<W>& slice, std::size_t source, F f) {
    const Begin* const begin = slice.begins.data() + source;
    uint32_t first = begin->synapse;
    if (slice.rows.size() == 0) {
        if (begin[1].synapse != first) f(first, begin[1].synapse - first, rows.longest);
        return;
    }
    int32_t delay = 0;
    const Row* const last = slice.rows.data() + begin[1].row;
    for (const Row* row = slice.rows.data() + begin->row; row != last; ++row) {
        delay += row->later;
        if (row->count != 0) f(first, uint32_t{row->count}, delay);
        first += row->count;
    }
}

template <class W>
struct Rows {
    int32_t shortest = 0, longest = 0;         // delay; none is shorter
    std::vector<W> weights;                    // of each source, where all its synapses weigh the same; then rows hold none
    std::vector<uint32_t> fan;                 // synapses of each source
    std::vector<Slice<W>> slices;

    std::size_t stride() const { return sizeof(uint16_t) + (weights.empty() ? sizeof(W) : 0); }
    int32_t sources() const { return static_cast<int32_t>(fan.size()); }
    // The longest delay of a source.
    int32_t reach(std::size_t source) const {
        int32_t longest_of_it = 0;
        for (const Slice<W>& slice : slices)
            each_row(*this, slice, source, [&](uint32_t, uint32_t, int32_t delay) { longest_of_it = std::max(longest_of_it, delay); });
        return longest_of_it;
    }
};

// f(target, weight, delay) for each synapse of a source in a slice; for what is done rarely.
template <class W, class F>
void each_synapse(const Rows<W>& rows, const Slice<W>& slice, std::size_t source, F f) {
    const bool same = !rows.weights.empty();
    each_row(rows, slice, source, [&](std::size_t first, std::size_t count, int32_t delay) {
        const std::byte* const row = slice.synapses.data() + first * rows.stride();
        for (std::size_t k = 0; k < count; ++k) {
            uint16_t target;
            std::memcpy(&target, row + k * sizeof target, sizeof target);
            W weight = same ? rows.weights[source] : W{0};
            if (!same) std::memcpy(&weight, row + count * sizeof target + k * sizeof weight, sizeof weight);
            f(slice.first + target, weight, delay);
        }
    });
}

// Every field that is stored where rows are kept in a file (`kept_rows.hpp`), in one order; `fan` follows from them. Whoever
// changes what rows are made of changes this list, `check_slice` there, and the number.
inline constexpr int32_t kRowsFormat = 2;

template <class AnyRows, class Visit>
void each_field(AnyRows& rows, Visit& visit) {
    visit.number(rows.shortest);
    visit.number(rows.longest);
    visit.array(rows.weights);
    visit.list(rows.slices);
    for (auto& slice : rows.slices) {
        visit.number(slice.share);
        visit.number(slice.first);
        visit.number(slice.count);
        visit.array(slice.begins);
        visit.array(slice.rows);
        visit.array(slice.synapses);
    }
}

}  // namespace spikeflow
