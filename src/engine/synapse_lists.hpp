// Where the synapses of a node come from: a matrix, a list, or rules; for `row_maker.hpp`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <type_traits>
#include <vector>

#include "row_maker.hpp"
#include "sparse.hpp"

namespace spikeflow {

// The synapses of a Linear node with a delay each, by source.
template <class V, class W>
struct FromMatrix {
    const SynapseText<V>& text;
    int32_t in, out, shortest, longest;
    std::vector<W> of_source{};

    template <class F>
    void pairs(Targets targets, F f) const {
        for (int32_t i = 0; i < in; ++i)
            for (int32_t j = targets.first; j < targets.last; ++j) f(i, j);
    }
    template <class F>
    void each(Targets targets, F f) const {
        for (int32_t i = 0; i < in; ++i)
            for (int32_t j = targets.first; j < targets.last; ++j) {
                const std::size_t s = static_cast<std::size_t>(j) * static_cast<std::size_t>(in) + static_cast<std::size_t>(i);
                f(i, j, static_cast<W>(text.weights[s]), static_cast<int32_t>(text.delays[s]));
            }
    }
};

// The synapses of a Sparse node, as listed.
template <class V, class W>
struct FromList {
    const SynapseText<V>& text;
    const Integers &indptr, &targets;
    int32_t shortest, longest;
    std::vector<W> of_source{};

    // All targets, whatever is asked.
    template <class F>
    void pairs(Targets, F f) const {
        for (std::size_t i = 0; i + 1 < indptr.size(); ++i)
            for (int64_t s = indptr[i]; s < indptr[i + 1]; ++s)
                f(static_cast<int32_t>(i), static_cast<int32_t>(targets[static_cast<std::size_t>(s)]));
    }
    template <class F>
    void each(Targets, F f) const {
        for (std::size_t i = 0; i + 1 < indptr.size(); ++i) {
            const auto last = static_cast<std::size_t>(indptr[i + 1]);
            for (auto s = static_cast<std::size_t>(indptr[i]); s < last; ++s) {
                const W weight = static_cast<W>(text.weights[place(text.weight_scope, i, s)]);
                const int64_t delay = text.delays.empty() ? 0 : text.delays[place(text.delay_scope, i, s)];
                f(static_cast<int32_t>(i), static_cast<int32_t>(targets[s]), weight, static_cast<int32_t>(delay));
            }
        }
    }
};

// Synapses drawn by rules, by projection and target.
template <class V, class W>
struct FromRules {
    const RuleText<V>& text;
    int32_t out;
    int32_t shortest = kMaxDelay, longest = 0;
    std::vector<W> of_source{};          // where all synapses of a source weigh the same
    std::vector<std::vector<int32_t>> totals{};      // of each projection, see totals_of

    FromRules(const RuleText<V>& text, int32_t in, int32_t out) : text(text), out(out) {
        std::vector<uint8_t> known(static_cast<std::size_t>(in), 0);
        of_source.assign(static_cast<std::size_t>(in), W{0});
        bool same = true;
        for (const Projection& p : text.projections) {
            totals.push_back(totals_of(p, out));
            longest = std::max(longest, static_cast<int32_t>(p.delay.high));
            shortest = std::min(shortest, static_cast<int32_t>(p.delay.low));
            same = same && p.weight.deviation == 0;
            const W weight = rounded(p.weight.value(0, 0));
            for (auto i = static_cast<std::size_t>(p.first); i < static_cast<std::size_t>(p.first + p.sources); ++i) {
                same = same && (known[i] == 0 || of_source[i] == weight);
                known[i] = 1;
                of_source[i] = weight;
            }
        }
        if (!same) of_source.clear();
        shortest = std::min(shortest, longest);
    }

    template <class F>
    void pairs(Targets targets, F f) const {
        visit(targets, [&](const Projection&, int32_t target, uint64_t, std::span<const int32_t> found) {
            for (const int32_t i : found) f(i, target);
        });
    }
    template <class F>
    void each(Targets targets, F f) const {
        visit(targets, [&](const Projection& p, int32_t target, uint64_t key, std::span<const int32_t> found) {
            for (std::size_t k = 0; k < found.size(); ++k) {
                const W weight = of_source.empty() ? rounded(p.weight.value(key, 4 * k + 1)) : W{0};
                const double delay = shortest == longest ? longest : std::nearbyint(p.delay.value(key, 4 * k + 2));
                f(found[k], target, weight, static_cast<int32_t>(delay));
            }
        });
    }

    // At least the largest sum of the magnitudes of codes onto one target.
    int64_t largest_row() const {
        int64_t row = 0;
        for (std::size_t k = 0; k < text.projections.size(); ++k) {
            const Projection& p = text.projections[k];
            const int64_t code = p.weight.deviation != 0 ? int64_t{1} << (text.bits - 1) : std::abs(static_cast<int64_t>(rounded(p.weight.value(0, 0))));
            row += code * most_at_a_target(p, totals[k]);
        }
        return row;
    }

private:
    static int64_t most_at_a_target(const Projection& p, const std::vector<int32_t>& of_each) {
        switch (p.kind) {
            case Projection::Kind::in_degree: case Projection::Kind::distinct: return p.count;
            case Projection::Kind::total: return *std::max_element(of_each.begin(), of_each.end());
            case Projection::Kind::chance: return p.sources;
            case Projection::Kind::one_to_one: break;
        }
        return 1;
    }
    template <class F>
    void visit(Targets targets, F f) const {
        for (std::size_t k = 0; k < text.projections.size(); ++k) {
            const Projection& p = text.projections[k];
            Sources drawn(p, totals[k]);
            for (int32_t j = targets.first; j < targets.last; ++j) {
                const std::span<const int32_t> found = drawn.of(j);
                f(p, j, drawn.key(), found);
            }
        }
    }
    // float32, or the nearest code, ties to even; a code in a network of floats is code x scale.
    W rounded(double weight) const {
        const auto w = static_cast<float>(weight);
        if (text.bits == 0) return static_cast<W>(w);
        const auto half = static_cast<float>(1 << (text.bits - 1));
        const float code = std::min(std::max(std::nearbyint(w / text.scale), -half), half - 1.0f);
        return static_cast<W>(std::is_floating_point_v<V> ? code * text.scale : code);
    }
};

}  // namespace spikeflow
