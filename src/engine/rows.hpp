// Rows: the synapses of a node by source and delay, made from a list or from rules.
//
// Whoever supplies synapses tells them twice: once to be counted, once to be stored where they belong. So beside the
// rows themselves only one delay a synapse is held, in the narrowest type, and only where there are delays.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "layout.hpp"

namespace spikeflow {

inline constexpr int32_t kMaxDelay = 1 << 20;

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

// For what a weight or a delay holds: all synapses, those of one source, or one synapse.
enum class Scope : int32_t { one, source, synapse };

inline std::size_t place(Scope scope, std::size_t source, std::size_t synapse) {
    return scope == Scope::one ? 0 : scope == Scope::source ? source : synapse;
}

// Row r holds synapses start[r] to start[r + 1] of one source, all of one delay, in stored order.
template <class W>
struct Rows {
    std::vector<int64_t> of_source;      // rows of source i: of_source[i] to of_source[i + 1]; empty without delays: row = source
    std::vector<int32_t> delay;
    int32_t longest = 0;
    std::vector<int64_t> fan;            // synapses before each source
    std::vector<int64_t> start;
    Buffer<int32_t> targets;             // physical
    Buffer<W> weights;                   // one for each synapse, or for each row
    bool by_row = false;
};

// Sort the synapses of one source by delay and cut them into rows.
template <class W, class D>
class Cutter {
public:
    explicit Cutter(Rows<W>& rows) : rows_(rows) {}

    void cut(D* delay, int64_t first, int64_t last) {
        const auto count = static_cast<std::size_t>(last - first);
        if (!std::is_sorted(delay + first, delay + last)) sort(delay + first, first, count);
        for (int64_t s = first; s < last; ++s) {
            if (s == first || delay[s] != delay[s - 1]) {
                rows_.delay.push_back(static_cast<int32_t>(delay[s]));
                rows_.start.push_back(s);
            }
        }
        rows_.of_source.push_back(static_cast<int64_t>(rows_.delay.size()));
    }

private:
    void sort(D* delay, int64_t first, std::size_t count) {
        order_.resize(count);
        for (std::size_t k = 0; k < count; ++k) order_[k] = static_cast<int32_t>(k);
        std::stable_sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) { return delay[a] < delay[b]; });
        permute(delay, delays_, count);
        permute(rows_.targets.data() + first, targets_, count);
        if (!rows_.by_row) permute(rows_.weights.data() + first, weights_, count);
    }
    template <class T>
    void permute(T* x, Buffer<T>& room, std::size_t count) {
        room.assign({x, count});
        for (std::size_t k = 0; k < count; ++k) x[k] = room[static_cast<std::size_t>(order_[k])];
    }

    Rows<W>& rows_;
    Buffer<int32_t> order_, targets_;
    Buffer<D> delays_;
    Buffer<W> weights_;
};

// The rows of all synapses that `from` tells: from.sources(f) calls f(source), from.each(f) calls
// f(source, target, weight, delay) in the same order; those of one source come in stored order. from.of_source is
// empty, or one weight for each source; from.longest the longest delay.
template <class W, class From>
class RowMaker {
public:
    RowMaker(const Layout& layout, const std::string& name, const From& from) : layout_(layout), name_(name), from_(from) {}

    Rows<W> make(int32_t sources) {
        rows_.longest = from_.longest;
        rows_.by_row = !from_.of_source.empty();
        rows_.fan.assign(static_cast<std::size_t>(sources) + 1, 0);
        from_.sources([&](int32_t source) { ++rows_.fan[static_cast<std::size_t>(source) + 1]; });
        for (std::size_t i = 1; i < rows_.fan.size(); ++i) rows_.fan[i] += rows_.fan[i - 1];
        require(rows_.fan.back() < INT32_MAX, name_, "2**31 - 1 synapses or more");
        const auto count = static_cast<std::size_t>(rows_.fan.back());
        rows_.targets.resize(count);
        if (!rows_.by_row) rows_.weights.resize(count);
        if (rows_.longest == 0) store<uint8_t>(nullptr);
        else if (rows_.longest <= UINT8_MAX) delayed<uint8_t>(count);
        else if (rows_.longest <= UINT16_MAX) delayed<uint16_t>(count);
        else delayed<int32_t>(count);
        if (rows_.by_row) spread_weights();
        return std::move(rows_);
    }

private:
    template <class D>
    void store(D* delays) {
        std::vector<int64_t> next(rows_.fan.begin(), rows_.fan.end() - 1);
        from_.each([&](int32_t source, int32_t target, W weight, int32_t delay) {
            const auto at = static_cast<std::size_t>(next[static_cast<std::size_t>(source)]++);
            rows_.targets[at] = layout_.physical(target);
            if (!rows_.by_row) rows_.weights[at] = weight;
            if (delays != nullptr) delays[at] = static_cast<D>(delay);
        });
        if (delays == nullptr) rows_.start = rows_.fan;      // row = source, empty ones too
    }
    template <class D>
    void delayed(std::size_t count) {
        Buffer<D> delays(count);
        store(delays.data());
        rows_.of_source.push_back(0);
        Cutter<W, D> cutter(rows_);
        for (std::size_t i = 0; i + 1 < rows_.fan.size(); ++i) cutter.cut(delays.data(), rows_.fan[i], rows_.fan[i + 1]);
        rows_.start.push_back(rows_.fan.back());
    }
    void spread_weights() {
        const std::size_t sources = rows_.fan.size() - 1;
        for (std::size_t i = 0; i < sources; ++i) {
            const int64_t rows = rows_.longest == 0 ? 1 : rows_.of_source[i + 1] - rows_.of_source[i];
            for (int64_t r = 0; r < rows; ++r) rows_.weights.push(from_.of_source[i]);
        }
    }

    const Layout& layout_;
    const std::string& name_;
    const From& from_;
    Rows<W> rows_;
};

}  // namespace spikeflow
