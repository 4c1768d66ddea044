// Slot: the value of one node at one step, held as spikes, as a dense array, or as both.
//
// Whoever computes the value writes one form; the other is made when somebody asks for it. A dense array knows which
// of its blocks are active: all others hold +0, so quiet parts are neither cleared nor read. No dense value is -0
// (sums start from +0), which lets a port leave out what is silent without changing a bit.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "buffer.hpp"
#include "kernels.hpp"
#include "layout.hpp"

namespace spikeflow {

// Non-zero values in C order of the shape. `value` is empty while every value is 1.
template <class V>
struct Events {
    Buffer<int32_t> index;
    Buffer<V> value;
    bool unit = true;

    std::size_t size() const { return index.size(); }
    V at(std::size_t i) const { return unit ? V{1} : value[i]; }
    void clear() {
        index.clear();
        value.clear();
        unit = true;
    }
    void assign(const Events& other) {
        index.assign(other.index.span());
        value.assign(other.value.span());
        unit = other.unit;
    }
    // Let `unit` say whether all values are 1, dropping them if so.
    void settle() {
        unit = std::all_of(value.begin(), value.end(), [](V v) { return v == V{1}; });
        if (unit) value.clear();
    }
};

inline constexpr std::size_t kSlack = 16;      // places behind the last that `extract` may write

// One for each worker: a bit and a value for each element of the largest node, all zero between uses.
template <class V>
struct Scratch {
    Buffer<uint64_t> bits;
    Buffer<V> sums;
    uint64_t masks[kBlock / 64] = {};
    int32_t places[static_cast<std::size_t>(kBlock) + kSlack] = {};      // of the bits of `masks`
    std::map<const void*, std::shared_ptr<void>> common;                 // what several runners of a worker do at once, by what for

    Scratch(int32_t largest, const Kernels<V>& kernels)
        : bits((static_cast<std::size_t>(largest) + 63) / 64, 0), sums(static_cast<std::size_t>(largest), V{0}), kernels_(&kernels) {}
    void mark(int32_t logical) { bits[static_cast<std::size_t>(logical) >> 6] |= uint64_t{1} << (logical & 63); }
    // The marked elements of the first `count`, in order, appended to `out`; the marks are cleared.
    void collect(int32_t count, Buffer<int32_t>& out);
    // The places of the bits of `masks`, for n elements of a block.
    std::span<const int32_t> masked(int32_t n) {
        const int32_t* const end = kernels_->extract(places, masks, (n + 63) / 64, 0);
        return {places, static_cast<std::size_t>(end - places)};
    }
    // The same, counted from `first` on, appended to `out`.
    void append(int32_t n, int32_t first, Buffer<int32_t>& out) const {
        int32_t* const to = out.room(static_cast<std::size_t>(n) + kSlack);
        out.commit(static_cast<std::size_t>(kernels_->extract(to, masks, (n + 63) / 64, first) - to));
    }

private:
    const Kernels<V>* kernels_;
};

template <class V>
class Slot {
public:
    Slot(const Layout& layout, Scratch<V>& scratch, const Kernels<V>& kernels)
        : layout(&layout), scratch_(&scratch), kernels_(&kernels) {}

    const Layout* layout;
    bool whole = false;             // who reads it takes a dense value as readily as spikes

    // Nothing is emitted: no spikes, and +0 everywhere.
    void clear();

    // Writing: spikes, in order, to be filled in.
    Events<V>& write_events();
    // Writing: +0 everywhere, no block active; who writes into a block calls `touch`.
    V* write_dense();
    // The same in two steps, of which several threads may take the second, each for blocks of its own: +0 everywhere in
    // these.
    void open_dense();
    V* clear_blocks(int32_t first, int32_t last);
    V* sums() { return dense_.data(); }
    void touch(int32_t block) { active_[static_cast<std::size_t>(block)] = 1; }
    void touch_all();
    uint8_t* active_blocks() { return active_.data(); }
    // A bias not yet added, in physical order; `step` is its stride from block to block (0: it repeats).
    void set_bias(std::span<const V> bias, int32_t step) {
        bias_ = bias;
        bias_step_ = step;
    }

    // Reading.
    const Events<V>& events();
    const V* dense();               // complete, bias added
    void prepare_dense();           // dense but for the bias; then the next three may be used
    const V* block(int32_t b) const { return dense_.data() + static_cast<std::size_t>(layout->first(b)); }
    bool active(int32_t b) const { return active_[static_cast<std::size_t>(b)] != 0; }
    const V* bias(int32_t b) const {
        return bias_.empty() ? nullptr : bias_.data() + static_cast<std::size_t>(b) * static_cast<std::size_t>(bias_step_);
    }
    bool holds_dense() const { return has_dense_; }
    bool holds_events() const { return has_events_; }
    // Known to be +0 everywhere, without looking.
    bool silent() const { return has_events_ && events_.size() == 0; }

private:
    void add_bias();
    void scan();

    Scratch<V>* scratch_;
    const Kernels<V>* kernels_;
    Events<V> events_;
    Buffer<V> dense_;
    std::vector<uint8_t> active_;
    std::span<const V> bias_;
    int32_t bias_step_ = 0;
    bool has_events_ = true, has_dense_ = false;
};

}  // namespace spikeflow
