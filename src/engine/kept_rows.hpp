// Rows as plain arrays, to be kept in a file and mapped from there; nothing of such a file is believed before it was checked.
//
// `each_field` in rows.hpp lists what is kept. Small arrays are copied when they are read, the synapses stay where they lie.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "buffer.hpp"
#include "row_maker.hpp"

namespace spikeflow {

// `weight` : the type of a weight. `arrays` : the bytes of each array, which belong to the rows or to the file.
struct KeptRows {
    std::string weight;
    std::vector<int64_t> numbers;
    std::vector<std::span<const std::byte>> arrays;
};

// A node whose rows can be kept.
class Keeps {
public:
    virtual ~Keeps() = default;
    virtual KeptRows kept() const = 0;
    virtual std::vector<int32_t> reaches() const = 0;    // the longest delay of each source
};

template <class W>
const char* weight_word() {
    if constexpr (std::is_same_v<W, float>) return "float32";
    else return sizeof(W) == 1 ? "int8" : sizeof(W) == 2 ? "int16" : "int32";
}

// How arrays lie in memory, in one line: rows of one build are read by another where this is the same.
inline std::string rows_layout() {
    const char* const order = std::endian::native == std::endian::little ? "little" : "big";
    return "rows " + std::to_string(kRowsFormat) + ", " + order + " endian, blocks of " + std::to_string(kBlock);
}

class FieldWriter {
public:
    explicit FieldWriter(KeptRows& to) : to_(to) {}
    void number(int64_t x) { to_.numbers.push_back(x); }
    template <class List>
    void list(const List& items) { number(static_cast<int64_t>(items.size())); }
    template <class Array>
    void array(const Array& from) { to_.arrays.push_back(std::as_bytes(std::span(from.data(), from.size()))); }

private:
    KeptRows& to_;
};

class FieldReader {
public:
    FieldReader(const std::string& name, const KeptRows& from) : name_(name), from_(from) {}

    void number(int32_t& x) {
        require(number_ < from_.numbers.size(), name_, "kept rows that lack numbers");
        const int64_t given = from_.numbers[number_++];
        require(given >= 0 && given <= INT32_MAX, name_, "kept rows with a number outside 0 to 2**31 - 1");
        x = static_cast<int32_t>(given);
    }
    template <class List>
    void list(List& items) {
        int32_t count = 0;
        number(count);
        require(static_cast<std::size_t>(count) <= from_.numbers.size(), name_, "kept rows of more slices than numbers");
        items.resize(static_cast<std::size_t>(count));
    }
    template <class T>
    void array(std::vector<T>& to) {
        const std::span<const std::byte> bytes = next(sizeof(T));
        to.resize(bytes.size() / sizeof(T));
        if (!to.empty()) std::memcpy(to.data(), bytes.data(), bytes.size());
    }
    template <class T>
    void array(Buffer<T>& to) {
        const std::span<const std::byte> bytes = next(sizeof(T));
        to.resize(bytes.size() / sizeof(T));
        if (!to.empty()) std::memcpy(to.data(), bytes.data(), bytes.size());
    }
    void array(Pages<std::byte>& to) {
        const std::span<const std::byte> bytes = next(1);
        to = Pages<std::byte>::of(bytes.data(), bytes.size());
    }
    template <class T>
    void array(Pages<T>& to) {
        const std::span<const std::byte> bytes = next(sizeof(T));
        to = Pages<T>(bytes.size() / sizeof(T));
        if (to.size() != 0) std::memcpy(to.data(), bytes.data(), bytes.size());
    }
    void end() const {
        require(number_ == from_.numbers.size() && array_ == from_.arrays.size(), name_, "kept rows with more than belongs there");
    }

private:
    std::span<const std::byte> next(std::size_t size) {
        require(array_ < from_.arrays.size() && from_.arrays[array_].size() % size == 0, name_, "kept rows that lack an array, or with one of another type");
        return from_.arrays[array_++];
    }

    const std::string& name_;
    const KeptRows& from_;
    std::size_t number_ = 0, array_ = 0;
};

template <class W>
KeptRows kept_of(const Rows<W>& rows) {
    KeptRows kept{weight_word<W>(), {}, {}};
    FieldWriter writer(kept);
    each_field(rows, writer);
    return kept;
}

// The largest target of a source in a slice; of each row the targets stand before the weights.
template <class W>
uint16_t largest_target(const Rows<W>& rows, const Slice<W>& slice, std::size_t source) {
    uint16_t largest = 0;
    each_row(rows, slice, source, [&](std::size_t first, std::size_t count, int32_t) {
        const std::byte* const row = slice.synapses.data() + first * rows.stride();
        for (std::size_t k = 0; k < count; ++k) {
            uint16_t target;
            std::memcpy(&target, row + k * sizeof target, sizeof target);
            largest = std::max(largest, target);
        }
    });
    return largest;
}

// Whether the rows of a source lie where it begins and end where the next one does, at delays within the range. What they are
// of is not added up in 32 bits: a file may say anything.
template <class W>
bool fits(const Rows<W>& rows, const Slice<W>& slice, std::size_t source) {
    const Begin begin = slice.begins.data()[source], end = slice.begins.data()[source + 1];
    if (end.row < begin.row || end.synapse < begin.synapse || end.row > slice.rows.size()) return false;
    if (slice.rows.size() == 0) return end.synapse - begin.synapse <= kMostOfRow;
    uint64_t delay = 0, synapses = begin.synapse;
    for (uint32_t r = begin.row; r < end.row; ++r) {
        const Row row = slice.rows.data()[r];
        delay += row.later;
        synapses += row.count;
        if (delay > static_cast<uint64_t>(rows.longest) || (row.count != 0 && delay < static_cast<uint64_t>(rows.shortest))) return false;
    }
    return synapses == end.synapse;
}

// Rows of a slice end where the next begin, delays lie within the range, and every target exists.
template <class W>
void check_slice(const std::string& name, const Rows<W>& rows, const Slice<W>& slice, std::size_t sources) {
    const auto whole = [&](bool holds) { require(holds, name, "kept rows that do not fit each other"); };
    whole(slice.begins.size() == sources + 1 && slice.size() < INT32_MAX && slice.synapses.size() == slice.size() * rows.stride());
    whole(slice.begins.data()[0].row == 0 && slice.begins.data()[0].synapse == 0 && slice.begins.data()[sources].row == slice.rows.size());
    for (std::size_t i = 0; i < sources; ++i) whole(fits(rows, slice, i));
    for (std::size_t i = 0; i < sources; ++i)
        if (slice.fan(i) != 0) require(largest_target(rows, slice, i) < slice.count, name, "a kept synapse to a target that does not exist");
}

// Whether rows that were read are cut like these slices, fit each other and lead nowhere but to targets; then they are counted.
template <class W>
void check_rows(const std::string& name, Rows<W>& rows, const std::vector<Slice<W>>& expected, int32_t sources) {
    require(rows.shortest <= rows.longest && rows.longest <= kMaxDelay, name, "kept rows with delays out of range");
    require(rows.weights.empty() || rows.weights.size() == static_cast<std::size_t>(sources), name, "kept weights of other sources");
    const auto same = [](const Slice<W>& a, const Slice<W>& b) { return a.share == b.share && a.first == b.first && a.count == b.count; };
    require(std::equal(expected.begin(), expected.end(), rows.slices.begin(), rows.slices.end(), same), name, "kept rows that were cut for other targets or threads");
    by_share(rows.slices, {}, [&](int32_t share, Watch&) {
        for (const Slice<W>& slice : rows.slices)
            if (slice.share == share) check_slice(name, rows, slice, static_cast<std::size_t>(sources));
    });
    rows.fan = fans(rows.slices, static_cast<std::size_t>(sources));
    require(std::accumulate(rows.fan.begin(), rows.fan.end(), int64_t{0}) < INT32_MAX, name, "2**31 - 1 synapses or more");
}

// The rows that were kept of a node with this layout and so many sources, cut like this.
template <class W>
Rows<W> rows_of_kept(const std::string& name, const Layout& layout, int32_t sources, const Cut& cut, const KeptRows& kept) {
    Rows<W> rows;
    FieldReader reader(name, kept);
    each_field(rows, reader);
    reader.end();
    check_rows(name, rows, empty_slices<W>(layout, cut), sources);
    return rows;
}

}  // namespace spikeflow
