// The synapses of a node that learns, found from both ends: rows by source and delay, columns by target.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "layout.hpp"
#include "plastic.hpp"
#include "rows.hpp"

namespace spikeflow {

// Slots are the synapses in the order in which they lie: by source, then delay, then as stored.
struct PlasticRows {
    std::vector<int64_t> of_source;              // rows of source i: of_source[i] to of_source[i + 1]
    std::vector<int64_t> start;                  // slots of row r: start[r] to start[r + 1]
    std::vector<int32_t> source, delay;          // of each row
    int32_t longest = 0;
    bool dense = false;                          // every row is all targets, as they lie
    bool regular = false;                        // and row and source are one: column j is the slots j, j + n, j + 2 n, ...
    Buffer<int32_t> target;                      // of each slot, as they lie
    Buffer<int32_t> place;                       // of each slot, among the weights as stored
    std::vector<int64_t> column;                 // entries of target j, as they lie: column[j] to column[j + 1]; none where regular
    Buffer<int32_t> slot, from, after;           // of each entry, in stored order: its slot, source and delay

    int64_t sources() const { return static_cast<int64_t>(of_source.size()) - 1; }
    std::size_t size() const { return target.size(); }
};

class PlasticRowMaker {
public:
    PlasticRowMaker(const std::string& name, const Layout& layout, const PlasticText& text) : name_(name), layout_(layout), text_(text) {}

    PlasticRows make(int32_t sources) {
        check(sources);
        rows_.of_source.push_back(0);
        for (int32_t i = 0; i < sources; ++i) add_source(i);
        rows_.start.push_back(static_cast<int64_t>(rows_.size()));
        const auto n = static_cast<int64_t>(layout_.size);
        rows_.dense = rows_.size() > 0;
        for (std::size_t r = 0; r + 1 < rows_.start.size() && rows_.dense; ++r) {
            rows_.dense = rows_.start[r + 1] - rows_.start[r] == n;
            for (int64_t k = 0; k < n && rows_.dense; ++k) rows_.dense = rows_.target[static_cast<std::size_t>(rows_.start[r] + k)] == k;
        }
        rows_.regular = rows_.dense && rows_.longest == 0 && static_cast<int64_t>(rows_.source.size()) == sources;
        if (!rows_.regular) find_columns();
        return std::move(rows_);
    }

private:
    void check(int32_t sources) const {
        const std::size_t count = text_.targets.size();
        require(text_.indptr.size() == static_cast<std::size_t>(sources) + 1 && text_.indptr[0] == 0, name_, "row pointers that do not fit its sources");
        for (std::size_t i = 0; i + 1 < text_.indptr.size(); ++i) require(text_.indptr[i] <= text_.indptr[i + 1], name_, "row pointers that fall");
        require(static_cast<std::size_t>(text_.indptr[text_.indptr.size() - 1]) == count && count < INT32_MAX, name_, "row pointers that do not end at its synapses");
        require(text_.weights.size() == count, name_, "weights that do not fit its synapses");
        require(text_.delays.empty() || text_.delays.size() == count, name_, "delays that do not fit its synapses");
        require(text_.places.empty() || text_.places.size() == count, name_, "places that do not fit its synapses");
        std::vector<uint8_t> met(count, 0);
        for (std::size_t s = 0; s < count; ++s) {
            const int64_t at = text_.places.empty() ? static_cast<int64_t>(s) : text_.places[s];
            require(at >= 0 && static_cast<std::size_t>(at) < count && !met[static_cast<std::size_t>(at)], name_, "a place that is none, or one twice");
            met[static_cast<std::size_t>(at)] = 1;
            require(text_.targets[s] >= 0 && text_.targets[s] < layout_.size, name_, "a synapse to a target that does not exist");
            require(delay(s) >= 0 && delay(s) < kMaxDelay, name_, "a delay outside 0 to 2**20 - 1");
        }
    }
    int32_t delay(std::size_t s) const { return text_.delays.empty() ? 0 : static_cast<int32_t>(text_.delays[s]); }

    void add_source(int32_t i) {
        const auto first = static_cast<std::size_t>(text_.indptr[static_cast<std::size_t>(i)]);
        const auto last = static_cast<std::size_t>(text_.indptr[static_cast<std::size_t>(i) + 1]);
        order_.resize(last - first);
        for (std::size_t k = 0; k < order_.size(); ++k) order_[k] = first + k;
        std::stable_sort(order_.begin(), order_.end(), [this](std::size_t a, std::size_t b) { return delay(a) < delay(b); });
        int32_t known = -1;
        for (const std::size_t s : order_) {
            if (delay(s) != known) {
                known = delay(s);
                rows_.start.push_back(static_cast<int64_t>(rows_.size()));
                rows_.source.push_back(i);
                rows_.delay.push_back(known);
                rows_.longest = std::max(rows_.longest, known);
            }
            rows_.target.push(layout_.physical(static_cast<int32_t>(text_.targets[s])));
            rows_.place.push(static_cast<int32_t>(text_.places.empty() ? static_cast<int64_t>(s) : text_.places[s]));
        }
        rows_.of_source.push_back(static_cast<int64_t>(rows_.source.size()));
    }

    // The entries of a target in stored order, which is that of the places.
    void find_columns() {
        const std::size_t count = rows_.size();
        std::vector<int32_t> at(count), row(count);      // by place, by slot
        for (std::size_t r = 0; r + 1 < rows_.start.size(); ++r)
            for (auto s = static_cast<std::size_t>(rows_.start[r]); s < static_cast<std::size_t>(rows_.start[r + 1]); ++s) {
                at[static_cast<std::size_t>(rows_.place[s])] = static_cast<int32_t>(s);
                row[s] = static_cast<int32_t>(r);
            }
        rows_.column.assign(static_cast<std::size_t>(layout_.size) + 1, 0);
        for (const int32_t j : rows_.target) ++rows_.column[static_cast<std::size_t>(j) + 1];
        for (std::size_t j = 1; j < rows_.column.size(); ++j) rows_.column[j] += rows_.column[j - 1];
        rows_.slot.resize(count);
        rows_.from.resize(count);
        rows_.after.resize(count);
        std::vector<int64_t> next(rows_.column.begin(), rows_.column.end() - 1);
        for (std::size_t p = 0; p < count; ++p) {
            const auto s = static_cast<std::size_t>(at[p]);
            const auto to = static_cast<std::size_t>(next[static_cast<std::size_t>(rows_.target[s])]++);
            rows_.slot[to] = static_cast<int32_t>(s);
            rows_.from[to] = rows_.source[static_cast<std::size_t>(row[s])];
            rows_.after[to] = rows_.delay[static_cast<std::size_t>(row[s])];
        }
    }

    const std::string& name_;
    const Layout& layout_;
    const PlasticText& text_;
    PlasticRows rows_;
    std::vector<std::size_t> order_;
};

}  // namespace spikeflow
