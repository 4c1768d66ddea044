#include "rule.hpp"

#include <bit>
#include <cmath>

#include "error.hpp"

namespace spikeflow {
namespace {

constexpr uint64_t kTree = uint64_t{1} << 32;    // no target has this number
constexpr double kMost = 1 << 20;

struct Range {
    int32_t first, last;
};

// What some targets hold together, by halves to each of them.
void split(const Projection& p, Range targets, int64_t held, std::vector<int32_t>& totals) {
    const auto [first, last] = targets;
    if (held == 0 || last - first == 1) {
        totals[static_cast<std::size_t>(first)] = static_cast<int32_t>(held);
        return;
    }
    const auto size = static_cast<uint32_t>(last - first);
    const auto left = static_cast<int32_t>(std::bit_floor(size - 1));
    const uint64_t key = draw::key(p.seed, {p.number, kTree, static_cast<uint64_t>(first), static_cast<uint64_t>(last)});
    const int64_t chosen = draw::binomial(key, held, static_cast<uint64_t>(left), size);
    split(p, {first, first + left}, chosen, totals);
    split(p, {first + left, last}, held - chosen, totals);
}

}  // namespace

void Projection::check(const std::string& name, int32_t all_sources, int32_t targets) const {
    require(first >= 0 && sources >= 1 && int64_t{first} + sources <= all_sources, name, "a projection from sources that do not exist");
    require(kind >= Kind::in_degree && kind <= Kind::one_to_one, name, "an unknown rule");
    require((autapses && kind != Kind::one_to_one) || sources == targets, name, "a rule for one population between two of different size");
    const int64_t choices = sources - (autapses ? 0 : 1);
    require(count >= 0 && count < INT32_MAX && (count == 0 || choices >= 1), name, "a number of synapses out of range");
    require(kind != Kind::distinct || count <= choices, name, "more different sources than there are");
    require(skip <= 0, name, "a chance out of range");
    for (const Spread& drawn : {weight, delay})     // so that no draw is no number
        require(std::isfinite(drawn.mean) && std::isfinite(drawn.deviation) && drawn.low <= drawn.high, name, "weights or delays that are no numbers");
    const bool whole = std::floor(delay.low) == delay.low && std::floor(delay.high) == delay.high;
    require(whole && delay.low >= 0 && delay.high < kMost && delay.low <= delay.high, name, "a delay outside 0 to 2**20 - 1");
}

std::vector<int32_t> totals_of(const Projection& projection, int32_t targets) {
    if (projection.kind != Projection::Kind::total) return {};
    std::vector<int32_t> totals(static_cast<std::size_t>(targets), 0);
    split(projection, {0, targets}, projection.count, totals);
    return totals;
}

Sources::Sources(const Projection& projection, const std::vector<int32_t>& totals)
    : p_(projection), totals_(totals), choices_(p_.sources - (p_.autapses ? 0 : 1)) {
    if (p_.kind == Projection::Kind::distinct) taken_.resize(static_cast<std::size_t>(choices_));
}

std::span<const int32_t> Sources::of(int32_t target) {
    target_ = target;
    key_ = draw::key(p_.seed, {p_.number, static_cast<uint64_t>(target)});
    found_.clear();
    switch (p_.kind) {
        case Projection::Kind::in_degree: draw_any(p_.count); break;
        case Projection::Kind::distinct: draw_distinct(); break;
        case Projection::Kind::total: draw_any(totals_[static_cast<std::size_t>(target)]); break;
        case Projection::Kind::chance: draw_chance(); break;
        case Projection::Kind::one_to_one: push(target); break;
    }
    return found_.span();
}

void Sources::draw_any(int64_t count) {
    for (int64_t k = 0; k < count; ++k)
        push(static_cast<int64_t>(below(static_cast<uint64_t>(k), static_cast<uint64_t>(choices_))));
}

// Floyd's algorithm: a number that is taken already gives way to the newest one.
void Sources::draw_distinct() {
    for (int64_t k = 0; k < p_.count; ++k) {
        const int64_t newest = choices_ - p_.count + k;
        auto guess = static_cast<int64_t>(below(static_cast<uint64_t>(k), static_cast<uint64_t>(newest + 1)));
        if (taken_[static_cast<std::size_t>(guess)]) guess = newest;
        taken_[static_cast<std::size_t>(guess)] = true;
        push(guess);
    }
    std::fill(taken_.begin(), taken_.end(), false);
}

// Gaps between joined sources are geometric.
void Sources::draw_chance() {
    double at = -1;
    for (uint64_t k = 0;; ++k) {
        const double u = draw::uniform(draw::bits53(key_, 4 * k));
        at += 1.0 + std::floor(draw::log(u) * p_.skip);
        if (!(at < static_cast<double>(choices_))) return;
        push(static_cast<int64_t>(at));
    }
}

}  // namespace spikeflow
