// Division: what a node did told apart by parts, as where a layer lies on several cores and each counts what is its own.
#pragma once

#include <algorithm>
#include <bit>
#include <span>
#include <string>
#include <vector>

#include "kernels.hpp"
#include "node.hpp"

namespace spikeflow {

// As it comes from Python, nothing checked. Of a population `part` is that of each neuron in C order, and the rest is empty; of
// synapses those of source i reach part[k], count[k] of them, for k from indptr[i] to before indptr[i + 1].
struct DivisionText {
    int32_t parts = 0;
    std::span<const int64_t> indptr;
    std::span<const int32_t> part, count;
};

// No more parts than numbers that name them, so that what is counted takes no more room than the text.
inline void check_parts(const std::string& name, const DivisionText& text) {
    require(text.parts >= 1 && static_cast<std::size_t>(text.parts) <= text.part.size(), name, "a division into no parts, or more than are named");
    for (const int32_t p : text.part) require(p >= 0 && p < text.parts, name, "a division names a part that does not exist");
}

class DividedSynapses {
public:
    DividedSynapses(const std::string& name, const DivisionText& text)
        : indptr_(text.indptr.begin(), text.indptr.end()) {
        check_parts(name, text);
        require(!indptr_.empty() && indptr_[0] == 0 && indptr_.back() == static_cast<int64_t>(text.part.size()) && text.count.size() == text.part.size(),
                name, "a division whose pointers are not those of its parts");
        for (std::size_t i = 1; i < indptr_.size(); ++i) require(indptr_[i] >= indptr_[i - 1], name, "a division whose pointers do not grow");
        for (std::size_t k = 0; k < text.part.size(); ++k) {
            require(text.count[k] >= 0, name, "a division with a count below 0");
            reached_.push_back({text.part[k], text.count[k]});
        }
    }
    std::size_t sources() const { return indptr_.size() - 1; }

    // The operations of what arrived in a step; `again` : they were not computed anew.
    template <class V>
    void add(const Events<V>& events, bool analog, bool again, std::vector<Counters>& parts) const {
        for (std::size_t e = 0; e < events.size(); ++e) {
            const auto source = static_cast<std::size_t>(events.index[e]);
            const bool one = !analog && (events.unit || events.value[e] == V{1} || events.value[e] == V{-1});
            for (int64_t k = indptr_[source]; k < indptr_[source + 1]; ++k) {
                const Reached& reached = reached_[static_cast<std::size_t>(k)];
                Counters& part = parts[static_cast<std::size_t>(reached.part)];
                (one ? part.accumulates : part.multiplies) += reached.count;
                if (again) part.cached += reached.count;
            }
        }
    }

private:
    struct Reached {
        int32_t part, count;
    };
    std::vector<int64_t> indptr_;
    std::vector<Reached> reached_;
};

// The neurons of a population by blocks, in the order in which they lie: runs of neurons of one part.
class DividedNeurons {
public:
    struct Run {
        int32_t first, length, part;         // counted from the block's first neuron
    };

    void make(const std::string& name, const Layout& layout, const DivisionText& text) {
        check_parts(name, text);
        require(text.part.size() == static_cast<std::size_t>(layout.size) && text.indptr.empty() && text.count.empty(), name, "a division of other neurons");
        for (int32_t b = 0; b < layout.blocks; ++b) {
            start_.push_back(runs_.size());
            for (int32_t i = 0; i < layout.length(b); ++i) {
                const int32_t part = text.part[static_cast<std::size_t>(layout.logical(b, i))];
                if (i != 0 && runs_.back().part == part) ++runs_.back().length;
                else runs_.push_back({i, 1, part});
            }
        }
        start_.push_back(runs_.size());
    }
    bool none() const { return start_.empty(); }
    std::span<const Run> of(int32_t block) const {
        if (none()) return {};
        const auto b = static_cast<std::size_t>(block);
        return {runs_.data() + start_[b], start_[b + 1] - start_[b]};
    }

    // Before a step: room for what each part narrows, by so many instructions.
    void open(std::vector<Counters>& parts, std::size_t narrows) const {
        if (none() || parts[0].narrowed.size() == narrows) return;
        for (Counters& part : parts) part.narrowed.resize(narrows);
    }
    // A block in which nothing happened; not started, or passed over.
    void rest(int32_t block, bool started, std::vector<Counters>& parts) const {
        for (const Run& run : of(block)) {
            Counters& part = parts[static_cast<std::size_t>(run.part)];
            part.idle += run.length;
            if (started) part.updates += run.length;
            if (started) part.skipped += run.length;
        }
    }
    // A block that ran, with the marks of neurons that were not idle.
    template <class R>
    void ran(int32_t block, const Word<R>* marks, const Kernels<R>& kernels, std::vector<Counters>& parts) const {
        for (const Run& run : of(block)) {
            Counters& part = parts[static_cast<std::size_t>(run.part)];
            part.updates += run.length;
            part.idle += kernels.unmarked(marks + run.first, run.length);
        }
    }
    // The spikes of a block, from a bit for each neuron.
    void emitted(int32_t block, const uint64_t* masks, std::vector<Counters>& parts) const {
        for (const Run& run : of(block)) parts[static_cast<std::size_t>(run.part)].spikes += bits(masks, run.first, run.first + run.length);
    }

private:
    static int32_t bits(const uint64_t* masks, int32_t first, int32_t last) {
        int32_t count = 0;
        while (first < last) {
            const int32_t end = std::min(last, (first | 63) + 1);
            const uint64_t upper = ~uint64_t{0} << (first & 63), lower = ~uint64_t{0} >> (63 - ((end - 1) & 63));
            count += std::popcount(masks[first >> 6] & upper & lower);
            first = end;
        }
        return count;
    }
    std::vector<std::size_t> start_;         // of each block among the runs, and the end
    std::vector<Run> runs_;
};

}  // namespace spikeflow
