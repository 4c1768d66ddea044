// A rule of connectivity: synapses drawn for each target from counters; mirrors spikeflow/ir/projections.py.
//
// Nothing is stored: who needs the synapses twice draws them twice.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "draw.hpp"

namespace spikeflow {

// mean + deviation z, clipped.
struct Spread {
    double mean = 0, deviation = 0;
    double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();

    double value(uint64_t key, uint64_t index) const {
        const double drawn = deviation == 0 ? mean : mean + deviation * draw::normal(draw::uniform(draw::bits53(key, index)));
        return drawn < low ? low : drawn > high ? high : drawn;
    }
};

struct Projection {
    enum class Kind : int64_t { in_degree, distinct, total, chance, one_to_one };

    Kind kind = Kind::in_degree;
    int32_t first = 0, sources = 0;
    int64_t count = 0;                   // synapses of each target, or in all
    bool autapses = true;
    uint64_t seed = 0, number = 0;
    double skip = 0;                     // 1 / log(1 - p)
    Spread weight, delay;

    // Throws where the rule does not fit a node of so many sources and targets.
    void check(const std::string& name, int32_t all_sources, int32_t targets) const;
};

// Of a fixed total the synapses of each target; nothing for other rules.
std::vector<int32_t> totals_of(const Projection& projection, int32_t targets);

// The sources of one target after the other; `totals` : what `totals_of` says.
class Sources {
public:
    Sources(const Projection& projection, const std::vector<int32_t>& totals);

    // The sources of a target, counted from the node's first, in the order of drawing. Targets may be asked in any order.
    std::span<const int32_t> of(int32_t target);
    // The key from which weights and delays of that target's synapses are drawn.
    uint64_t key() const { return key_; }

private:
    void draw_any(int64_t count);
    void draw_distinct();
    void draw_chance();
    void push(int64_t source) {
        // without autapses a target's own number is passed over
        found_.push(static_cast<int32_t>(p_.first + source + (!p_.autapses && source >= target_)));
    }
    uint64_t below(uint64_t k, uint64_t choices) const { return ((draw::word(key_, 4 * k) >> 32) * choices) >> 32; }

    const Projection& p_;
    const std::vector<int32_t>& totals_;
    int64_t choices_;
    int32_t target_ = 0;
    uint64_t key_ = 0;
    Buffer<int32_t> found_;
    std::vector<bool> taken_;            // distinct
};

}  // namespace spikeflow
