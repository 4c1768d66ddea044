// The rows of a node, made from a matrix, a list or rules; see `synapse_lists.hpp` for how these tell their synapses.
//
// Whoever supplies synapses tells them twice: once to be counted, once to be stored where they belong. So beside the rows
// themselves only one delay a synapse is held, in the narrowest type, and only where delays differ.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "buffer.hpp"
#include "rows.hpp"
#include "watch.hpp"

namespace spikeflow {

// Puts the synapses of one source in order of delay and cuts them into rows.
template <class D>
class Cutter {
public:
    explicit Cutter(std::size_t weight_bytes) : weight_bytes_(weight_bytes) {}

    // `count` synapses, which lie at `synapses`, and their delays.
    void cut(const D* delay, std::size_t count, std::byte* synapses) {
        if (count == 0) return;
        sort(delay, count);
        whole_.assign({synapses, count * (sizeof(uint16_t) + weight_bytes_)});
        int64_t before = 0;
        for (std::size_t k = 0, last = 0; k < count; k = last) {
            const int64_t now = delay[order_[k]];
            while (last < count && last - k < kMostOfRow && delay[order_[last]] == now) ++last;
            for (; now - before > UINT16_MAX; before += UINT16_MAX) rows_.push({0, UINT16_MAX});
            rows_.push({static_cast<uint16_t>(last - k), static_cast<uint16_t>(now - before)});
            before = now;
            synapses = gather(k, last, sizeof(uint16_t), whole_.data(), synapses);
            synapses = gather(k, last, weight_bytes_, whole_.data() + count * sizeof(uint16_t), synapses);
        }
    }
    // Of all that was cut.
    const Buffer<Row>& rows() const { return rows_; }

private:
    static constexpr std::size_t kMostCounted = 4096;

    // By delay, then as they were: counted where there are few delays.
    void sort(const D* delay, std::size_t count) {
        order_.resize(count);
        const auto [low, high] = std::minmax_element(delay, delay + count);
        const auto least = static_cast<std::size_t>(*low), span = static_cast<std::size_t>(*high) - least + 1;
        if (span > kMostCounted) {
            for (std::size_t k = 0; k < count; ++k) order_[k] = static_cast<uint32_t>(k);
            std::stable_sort(order_.begin(), order_.end(), [delay](uint32_t a, uint32_t b) { return delay[a] < delay[b]; });
            return;
        }
        next_.assign(span + 1, 0);
        for (std::size_t k = 0; k < count; ++k) ++next_[static_cast<std::size_t>(delay[k]) - least + 1];
        for (std::size_t d = 0; d < span; ++d) next_[d + 1] += next_[d];
        for (std::size_t k = 0; k < count; ++k) order_[next_[static_cast<std::size_t>(delay[k]) - least]++] = static_cast<uint32_t>(k);
    }
    std::byte* gather(std::size_t first, std::size_t last, std::size_t bytes, const std::byte* from, std::byte* to) const {
        for (std::size_t k = first; k < last; ++k, to += bytes) std::memcpy(to, from + order_[k] * bytes, bytes);
        return to;
    }

    std::size_t weight_bytes_;
    Buffer<Row> rows_;
    Buffer<uint32_t> order_;
    Buffer<std::byte> whole_;
    std::vector<uint32_t> next_;
};

// Fills one slice. The synapses of one source come in stored order.
template <class W, class From>
class SliceMaker {
public:
    SliceMaker(const Layout& layout, const std::string& name, const From& from, Slice<W>& slice, Watch& watch)
        : layout_(layout), name_(name), from_(from), slice_(slice), watch_(watch), weight_bytes_(from.of_source.empty() ? sizeof(W) : 0) {}

    void make(std::size_t sources) {
        slice_.begins = Pages<Begin>(sources + 1);
        const uint32_t most = count(sources);
        slice_.synapses = Pages<std::byte>(slice_.size() * (sizeof(uint16_t) + weight_bytes_));
        if (from_.shortest == from_.longest && most <= kMostOfRow) store<uint8_t>(nullptr);
        else if (from_.longest <= UINT8_MAX) delayed<uint8_t>();
        else if (from_.longest <= UINT16_MAX) delayed<uint16_t>();
        else delayed<int32_t>();
    }

private:
    // Where the synapses of each source begin; returns the most that one has.
    uint32_t count(std::size_t sources) {
        Begin* const begins = slice_.begins.data();
        std::fill_n(begins, sources + 1, Begin{0, 0});
        uint64_t total = 0;
        from_.pairs(targets(), [&](int32_t source, int32_t target) {
            watch_.tick();
            const bool here = place(target) < static_cast<uint32_t>(slice_.count);
            begins[static_cast<std::size_t>(source) + 1].synapse += here;
            total += here;
        });
        require(total < INT32_MAX, name_, "2**31 - 1 synapses or more");
        uint32_t most = 0;
        for (std::size_t i = 0; i < sources; ++i) {
            most = std::max(most, begins[i + 1].synapse);
            begins[i + 1].synapse += begins[i].synapse;
        }
        return most;
    }

    // Of a permuted layout the targets of a slice lie anywhere.
    Targets targets() const { return layout_.permuted ? Targets{0, layout_.size} : Targets{slice_.first, slice_.first + slice_.count}; }
    uint32_t place(int32_t target) const { return static_cast<uint32_t>(layout_.physical(target) - slice_.first); }

    template <class D>
    void store(D* delays) {
        const Begin* const begins = slice_.begins.data();
        std::vector<uint32_t> next;
        for (std::size_t i = 0; i + 1 < slice_.begins.size(); ++i) next.push_back(begins[i].synapse);
        std::byte* const synapses = slice_.synapses.data();
        const std::size_t stride = sizeof(uint16_t) + weight_bytes_;
        from_.each(targets(), [&](int32_t source, int32_t target, W weight, int32_t delay) {
            watch_.tick();
            const uint32_t to = place(target);
            if (to >= static_cast<uint32_t>(slice_.count)) return;
            const auto i = static_cast<std::size_t>(source);
            const std::size_t at = next[i]++;
            const auto number = static_cast<uint16_t>(to);
            if (weight_bytes_ == 0) {
                std::memcpy(synapses + at * sizeof number, &number, sizeof number);
            } else {
                std::byte* const row = synapses + begins[i].synapse * stride;
                const std::size_t k = at - begins[i].synapse, count = slice_.fan(i);
                std::memcpy(row + k * sizeof number, &number, sizeof number);
                std::memcpy(row + count * sizeof number + k * sizeof weight, &weight, sizeof weight);
            }
            if (delays != nullptr) delays[at] = static_cast<D>(delay);
        });
    }
    template <class D>
    void delayed() {
        Buffer<D> delays(slice_.size());
        store(delays.data());
        Begin* const begins = slice_.begins.data();
        Cutter<D> cutter(weight_bytes_);
        for (std::size_t i = 0; i + 1 < slice_.begins.size(); ++i) {
            watch_.tick(slice_.fan(i) + 1);
            cutter.cut(delays.data() + begins[i].synapse, slice_.fan(i), slice_.synapses.data() + begins[i].synapse * (sizeof(uint16_t) + weight_bytes_));
            begins[i + 1].row = static_cast<uint32_t>(cutter.rows().size());
        }
        slice_.rows = Pages<Row>(cutter.rows().size());
        std::copy(cutter.rows().begin(), cutter.rows().end(), slice_.rows.data());
    }

    const Layout& layout_;
    const std::string& name_;
    const From& from_;
    Slice<W>& slice_;
    Watch& watch_;
    std::size_t weight_bytes_;
};

// The slices of the shares that this process holds.
template <class W>
std::vector<Slice<W>> empty_slices(const Layout& layout, const Cut& cut) {
    const int32_t most = (UINT16_MAX + 1) / layout.block;       // blocks of a slice
    std::vector<Slice<W>> slices;
    for (int32_t s = cut.first; s < cut.last; ++s) {
        const Share share{s, cut.shares};
        for (int32_t b = share.first_block(layout); b < share.last_block(layout); b += most) {
            Slice<W>& slice = slices.emplace_back();
            slice.share = s;
            slice.first = layout.first(b);
            slice.count = std::min(layout.size, layout.first(std::min(b + most, share.last_block(layout)))) - slice.first;
        }
    }
    return slices;
}

// The synapses of each source.
template <class W>
std::vector<uint32_t> fans(const std::vector<Slice<W>>& slices, std::size_t sources) {
    std::vector<uint32_t> fan(sources, 0);
    for (const Slice<W>& slice : slices)
        for (std::size_t i = 0; i < sources; ++i) fan[i] += slice.fan(i);
    return fan;
}

// f(share, watch) for the shares of these slices at once, each in a thread; the first of their errors is thrown. The calling
// thread takes one of them, or asks whether to go on.
template <class W, class F>
void by_share(const std::vector<Slice<W>>& slices, const GoOn& go_on, const F& f) {
    constexpr auto patience = std::chrono::milliseconds(50);
    const int32_t begin = slices.empty() ? 0 : slices.front().share, end = slices.empty() ? 1 : slices.back().share + 1;
    std::vector<std::exception_ptr> failures(static_cast<std::size_t>(end - begin));
    std::atomic<bool> stop{false};
    std::mutex mutex;
    std::condition_variable finished;
    int32_t running = end - begin;
    const auto guarded = [&](int32_t share) {
        try {
            Watch watch(stop);
            f(share, watch);
        } catch (...) {
            failures[static_cast<std::size_t>(share - begin)] = std::current_exception();
        }
        const std::lock_guard lock(mutex);
        if (--running == 0) finished.notify_one();
    };
    {
        std::vector<std::jthread> threads;
        for (int32_t s = go_on ? begin : begin + 1; s < end; ++s) threads.emplace_back(guarded, s);
        if (!go_on) guarded(begin);
        std::unique_lock lock(mutex);
        while (!finished.wait_for(lock, patience, [&] { return running == 0; })) {
            lock.unlock();
            if (go_on && !go_on()) stop = true;
            lock.lock();
        }
    }
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
    Watch(stop).look();     // the threads may have been done before they saw it
}

// All rows of a node, in these slices. `from.pairs(targets, f)` calls f(source, target) for all synapses onto a range of
// targets and maybe others, `from.each(targets, f)` f(source, target, weight, delay) in the same order; `from.of_source` is
// empty, or the one weight of each source's synapses; all delays lie between `from.shortest` and `from.longest`. The rows of
// each share are made by a thread.
template <class W, class From>
Rows<W> make_rows(const Layout& layout, const std::string& name, const From& from, int32_t sources, std::vector<Slice<W>> slices, const GoOn& go_on) {
    Rows<W> rows;
    rows.shortest = from.shortest;
    rows.longest = from.longest;
    rows.weights = from.of_source;
    rows.slices = std::move(slices);
    by_share(rows.slices, go_on, [&](int32_t share, Watch& watch) {
        for (Slice<W>& slice : rows.slices)
            if (slice.share == share) SliceMaker<W, From>(layout, name, from, slice, watch).make(static_cast<std::size_t>(sources));
    });
    rows.fan = fans(rows.slices, static_cast<std::size_t>(sources));
    require(std::accumulate(rows.fan.begin(), rows.fan.end(), int64_t{0}) < INT32_MAX, name, "2**31 - 1 synapses or more");
    return rows;
}

}  // namespace spikeflow
