// Delivery: which rows are due when, and adding them to sums of type A.
//
// What a source emits is filed at once, one entry a row, under the step in which the row is due; a step adds what is due in it
// to one array. Filing goes on in order of time and source, so what is due together stands with the oldest emission first,
// then the source: the normative order. Sums of codes have none, and are as narrow as their bound allows.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "buffer.hpp"
#include "rows.hpp"
#include "value.hpp"

namespace spikeflow {

// A row that is due. `value` is what arrived, times the weight where that is one for all of the source's synapses.
template <class A>
struct Due {
    uint32_t first;
    uint16_t count;
    A value;
};

template <class A, class W>
class Delivery {
public:
    // The slices of one share; all, where there is only one. `by_delay` : `deliver_by_delay` will be asked for.
    Delivery(const Rows<W>& rows, Share share, bool by_delay = false)
        : rows_(rows), by_delay_(by_delay), moments_(static_cast<std::size_t>(rows.longest) + 1) {
        for (const Slice<W>& slice : rows.slices)
            if (share.count == 1 || slice.share == share.number) slices_.push_back(&slice);
        for (Moment& moment : moments_) {
            moment.rows.resize(slices_.size());
            moment.delays.resize(by_delay ? slices_.size() : 0);
        }
    }

    void reset() {
        noted_.clear();
        for (Moment& moment : moments_) clear(moment);
    }

    // One value that a source emitted, to be filed with others: where the rows of sources begin lies anywhere in memory, and is
    // fetched while those before are filed.
    void note(int32_t source, A value, int64_t emitted) { noted_.push({emitted, source, value}); }
    void file_noted(int64_t now) {
        const std::size_t count = noted_.size();
        for (std::size_t k = 0; k < std::min(count, 2 * kEarly); ++k) find_source(noted_[k].source);
        for (std::size_t k = 0; k < std::min(count, kEarly); ++k) find_rows(noted_[k].source);
        for (std::size_t k = 0; k < count; ++k) {
            if (k + 2 * kEarly < count) find_source(noted_[k + 2 * kEarly].source);
            if (k + kEarly < count) find_rows(noted_[k + kEarly].source);
            file(noted_[k].source, noted_[k].value, noted_[k].emitted, now);
        }
        noted_.clear();
    }

    // The same of one alone; only what is due at `now` or later is filed.
    void file(int32_t source, A value, int64_t emitted, int64_t now) {
        const auto i = static_cast<std::size_t>(source);
        const std::size_t begin = static_cast<std::size_t>(emitted) % moments_.size();
        const A each = rows_.weights.empty() ? value : static_cast<A>(static_cast<A>(rows_.weights[i]) * value);
        for (std::size_t s = 0; s < slices_.size(); ++s) {
            each_row(rows_, *slices_[s], i, [&](uint32_t first, uint32_t count, int32_t delay) {
                if (emitted + delay < now) return;
                std::size_t at = begin + static_cast<std::size_t>(delay);
                if (at >= moments_.size()) at -= moments_.size();
                Moment& due = moments_[at];
                due.rows[s].push({first, static_cast<uint16_t>(count), each});
                due.synapses += count;
                if (by_delay_) due.delays[s].push(delay);
            });
        }
    }

    // The same for targets from `part.first` to `part.last` alone; sums of codes, which have no order.
    void file_part(int32_t source, A value, int64_t emitted, int64_t now, Targets part) {
        for (std::size_t s = 0; s < slices_.size(); ++s) {
            const Slice<W>& slice = *slices_[s];
            each_synapse(rows_, slice, static_cast<std::size_t>(source), [&](int32_t target, W weight, int32_t delay) {
                if (target < part.first || target >= part.last || emitted + delay < now) return;
                Moment& due = moment(emitted + delay);
                due.single.push({target, static_cast<A>(static_cast<A>(weight) * value)});
                ++due.synapses;
            });
        }
    }

    // How many synapses are due.
    std::size_t synapses(int64_t time) { return moment(time).synapses; }

    // Add what is due to the sums of all targets and forget it. Of the blocks of kBlock targets that are met, `met` is set,
    // where it is given.
    void deliver(int64_t time, A* sums, uint8_t* met) {
        Moment& now = moment(time);
        for (const auto& [target, amount] : now.single) {
            sums[target] = static_cast<A>(sums[target] + amount);
            if (met != nullptr) met[target / kBlock] = 1;
        }
        for (std::size_t s = 0; s < slices_.size(); ++s) {
            const std::span<const Due<A>> due = now.rows[s].span();
            const int32_t first = slices_[s]->first;
            if (met == nullptr) add<false>(*slices_[s], due, sums + first, nullptr);
            else add<true>(*slices_[s], due, sums + first, met + first / kBlock);
        }
        clear(now);
    }

    // The same delay by delay, the longest first: f(first target, targets, add), where add(sums) adds what one delay brings
    // to the sums of these targets.
    template <class F>
    void deliver_by_delay(int64_t time, F f) {
        Moment& now = moment(time);
        for (std::size_t s = 0; s < slices_.size(); ++s) {
            const Slice<W>& slice = *slices_[s];
            const std::span<const Due<A>> due = now.rows[s].span();
            const Buffer<int32_t>& delays = now.delays[s];
            for (std::size_t first = 0, last = 0; first < due.size(); first = last) {
                while (last < due.size() && delays[last] == delays[first]) ++last;
                f(slice.first, slice.count, [&](A* sums) { add<false>(slice, due.subspan(first, last - first), sums, nullptr); });
            }
        }
        clear(now);
    }

private:
    struct Single {
        int32_t target;
        A amount;
    };
    struct Moment {
        std::vector<Buffer<Due<A>>> rows;      // of each slice
        std::vector<Buffer<int32_t>> delays;   // of these, where they are asked for
        Buffer<Single> single;                 // synapses of rows of which only a part is due
        std::size_t synapses = 0;
    };
    struct Noted {
        int64_t emitted;
        int32_t source;
        A value;
    };
    static constexpr std::size_t kAhead = 2048, kFetched = 512;        // bytes on their way from memory, and of one row
    static constexpr std::size_t kEarly = 4;                           // sources
    static constexpr std::size_t kLine = 64 / sizeof(Row), kMostLines = 4;

    void find_source(int32_t source) const {
        for (const Slice<W>* slice : slices_) __builtin_prefetch(slice->begins.data() + source);
    }
    void find_rows(int32_t source) const {
        for (const Slice<W>* slice : slices_) {
            if (slice->rows.size() == 0) continue;
            const Begin* const begin = slice->begins.data() + source;
            const std::size_t first = begin->row, last = begin[1].row;
            for (std::size_t r = first; r <= std::min(last, first + kMostLines * kLine); r += kLine) __builtin_prefetch(slice->rows.data() + r);
        }
    }

    Moment& moment(int64_t time) { return moments_[static_cast<std::size_t>(time) % moments_.size()]; }
    static void clear(Moment& moment) {
        for (Buffer<Due<A>>& rows : moment.rows) rows.clear();
        for (Buffer<int32_t>& delays : moment.delays) delays.clear();
        moment.single.clear();
        moment.synapses = 0;
    }

    template <bool kMark>
    void add(const Slice<W>& slice, std::span<const Due<A>> due, A* sums, uint8_t* met) const {
        const std::size_t stride = rows_.stride();
        const std::byte* const synapses = slice.synapses.data();
        const auto bytes = [stride](const Due<A>& row) { return std::min(row.count * stride, kFetched); };
        std::size_t ahead = 0, coming = 0;
        for (std::size_t k = 0; k < due.size(); ++k) {
            for (; ahead < due.size() && (ahead <= k || coming < kAhead); ++ahead) {
                const std::size_t length = bytes(due[ahead]);
                const std::byte* const from = synapses + due[ahead].first * stride;
                for (std::size_t line = 0; line < length; line += 64) __builtin_prefetch(from + line);
                coming += length;
            }
            const std::byte* const row = synapses + due[k].first * stride;
            if (!rows_.weights.empty()) add_row<kMark, true>(row, due[k], sums, met);
            else add_row<kMark, false>(row, due[k], sums, met);
            coming -= bytes(due[k]);
        }
    }

    template <bool kMark, bool kSame>
    static void add_row(const std::byte* row, const Due<A>& due, A* sums, uint8_t* met) {
        if (!kSame && due.value == A{1}) return add_values<kMark, kSame, true>(row, due, sums, met);
        add_values<kMark, kSame, false>(row, due, sums, met);
    }
    // kOne: the value is 1, and a weight is added as it is. A function of its own, as within another one the compiler finds no
    // registers for where weights and sums lie and loads them for every synapse. What GCC 12 concludes of it for its callers is
    // wrong: where a weight takes 4 bytes, one counter serves both reads (ivopts), one of them at an address made of numbers, without a
    // base; that is taken for a read at null, behind which nothing runs (local-pure-const, modref), and the calls are left out.
    // -fno-delete-null-pointer-checks, or no ivopts, leaves them in.
    template <bool kMark, bool kSame, bool kOne>
    [[gnu::noinline, gnu::noipa]] static void add_values(const std::byte* row, const Due<A>& due, A* __restrict sums, uint8_t* met) {
        const std::size_t count = due.count;
        const std::byte* const weights = row + count * sizeof(uint16_t);
        const A value = due.value;
#pragma GCC unroll 4
        for (std::size_t k = 0; k < count; ++k) {
            uint16_t target;
            std::memcpy(&target, row + k * sizeof target, sizeof target);      // at any address
            if constexpr (kMark) met[target / kBlock] = 1;
            if constexpr (kSame) {
                sums[target] = static_cast<A>(sums[target] + value);
            } else {
                W weight;
                std::memcpy(&weight, weights + k * sizeof weight, sizeof weight);
                const A each = static_cast<A>(weight);
                sums[target] = static_cast<A>(sums[target] + (kOne ? each : static_cast<A>(each * value)));
            }
        }
    }

    const Rows<W>& rows_;
    const bool by_delay_;
    std::vector<const Slice<W>*> slices_;
    Buffer<Noted> noted_;                      // and not filed yet
    std::vector<Moment> moments_;              // what is due at step t in moments_[t % size]
};

}  // namespace spikeflow
