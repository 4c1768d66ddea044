// The rows of a node, made from a matrix, a list or rules; see `synapse_lists.hpp` for how these tell their synapses.
//
// Whoever supplies synapses tells them twice: once to be counted, once to be stored where they belong. So beside the rows
// themselves only one delay a synapse is held, in the narrowest type, and only where delays differ.
#pragma once

#include <algorithm>
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
template <class W, class D>
class Cutter {
public:
    Cutter(Slice<W>& slice, std::size_t weight_bytes) : slice_(slice), weight_bytes_(weight_bytes) {}

    // `count` synapses from number `first` on, which lie at `synapses`, and their delays.
    void cut(const D* delay, uint32_t first, std::size_t count, std::byte* synapses) {
        if (count != 0) {
            sort(delay, count);
            whole_.assign({synapses, count * (sizeof(uint16_t) + weight_bytes_)});
            for (std::size_t k = 0, last = 0; k < count; k = last) {
                while (last < count && delay[order_[last]] == delay[order_[k]]) ++last;
                slice_.delay.push_back(static_cast<int32_t>(delay[order_[k]]));
                slice_.start.push_back(first + static_cast<uint32_t>(k));
                synapses = gather(k, last, sizeof(uint16_t), whole_.data(), synapses);
                synapses = gather(k, last, weight_bytes_, whole_.data() + count * sizeof(uint16_t), synapses);
            }
        }
        slice_.of_source.push_back(static_cast<uint32_t>(slice_.delay.size()));
    }

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

    Slice<W>& slice_;
    std::size_t weight_bytes_;
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
        std::vector<uint32_t>& fan = slice_.start;      // until delays cut it further
        fan.assign(sources + 1, 0);
        uint64_t total = 0;
        from_.pairs(targets(), [&](int32_t source, int32_t target) {
            watch_.tick();
            const bool here = place(target) < static_cast<uint32_t>(slice_.count);
            fan[static_cast<std::size_t>(source) + 1] += here;
            total += here;
        });
        require(total < INT32_MAX, name_, "2**31 - 1 synapses or more");
        for (std::size_t i = 0; i < sources; ++i) fan[i + 1] += fan[i];
        slice_.synapses = Pages<std::byte>(static_cast<std::size_t>(total) * (sizeof(uint16_t) + weight_bytes_));
        if (from_.shortest == from_.longest) store<uint8_t>(nullptr);
        else if (from_.longest <= UINT8_MAX) delayed<uint8_t>();
        else if (from_.longest <= UINT16_MAX) delayed<uint16_t>();
        else delayed<int32_t>();
    }

private:
    // Of a permuted layout the targets of a slice lie anywhere.
    Targets targets() const { return layout_.permuted ? Targets{0, layout_.size} : Targets{slice_.first, slice_.first + slice_.count}; }
    uint32_t place(int32_t target) const { return static_cast<uint32_t>(layout_.physical(target) - slice_.first); }

    template <class D>
    void store(D* delays) {
        const std::vector<uint32_t> first = slice_.start;
        std::vector<uint32_t> next(first.begin(), first.end() - 1);
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
                std::byte* const row = synapses + first[i] * stride;
                const std::size_t k = at - first[i], count = first[i + 1] - first[i];
                std::memcpy(row + k * sizeof number, &number, sizeof number);
                std::memcpy(row + count * sizeof number + k * sizeof weight, &weight, sizeof weight);
            }
            if (delays != nullptr) delays[at] = static_cast<D>(delay);
        });
    }
    template <class D>
    void delayed() {
        Buffer<D> delays(slice_.start.back());
        store(delays.data());
        const std::vector<uint32_t> first = std::move(slice_.start);
        slice_.start.clear();
        slice_.of_source.push_back(0);
        Cutter<W, D> cutter(slice_, weight_bytes_);
        for (std::size_t i = 0; i + 1 < first.size(); ++i) {
            watch_.tick(first[i + 1] - first[i] + 1);
            cutter.cut(delays.data() + first[i], first[i], first[i + 1] - first[i],
                       slice_.synapses.data() + first[i] * (sizeof(uint16_t) + weight_bytes_));
        }
        slice_.start.push_back(first.back());
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
        for (std::size_t i = 0; i < sources; ++i) fan[i] += slice.start[slice.row(i + 1)] - slice.start[slice.row(i)];
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
