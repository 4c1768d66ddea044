// The rows of a bundle: whose targets lie where, and how its synapses are told and counted; see bundle.hpp.
#pragma once

#include <algorithm>
#include <cstring>
#include <ranges>
#include <vector>

#include "bundle.hpp"
#include "kept_rows.hpp"
#include "synapse_lists.hpp"

namespace spikeflow {

// Targets of one member that belong to one share: `count` from `first` on, of all from `at` on.
struct Piece {
    int32_t share, member, first, count, at;

    int32_t blocks() const { return (count + kBlock - 1) / kBlock; }
    // A worker alone has all shares.
    bool of(const Share& mine) const { return mine.count == 1 || share == mine.number; }
};

// Where the targets of all members lie among each other that this process holds: share by share, each piece in blocks of its own.
struct Places {
    std::vector<Piece> pieces;
    int32_t size = 0;

    Places(const std::vector<Layout>& layouts, const Cut& cut) {
        for (int32_t s = cut.first; s < cut.last; ++s)
            for (std::size_t m = 0; m < layouts.size(); ++m) {
                const Share share{s, cut.shares};
                const int32_t first = share.first_block(layouts[m]), last = share.last_block(layouts[m]);
                const int32_t begin = layouts[m].first(first), end = std::min(layouts[m].size, layouts[m].first(last));
                if (first == last) continue;
                require(int64_t{size} + (last - first) * int64_t{kBlock} < INT32_MAX, "bundle", "2**31 - 1 targets or more");
                pieces.push_back({s, static_cast<int32_t>(m), begin, end - begin, size});
                size += (last - first) * kBlock;
            }
    }

    // The slices of each share, of about equal size.
    template <class W>
    std::vector<Slice<W>> slices(const Cut& cut) const {
        constexpr int32_t most = (UINT16_MAX + 1) / kBlock;
        std::vector<Slice<W>> made;
        for (int32_t s = cut.first; s < cut.last; ++s) {
            int32_t begin = size, end = 0;
            for (const Piece& p : pieces)
                if (p.share == s) begin = std::min(begin, p.at), end = p.at + p.blocks() * kBlock;
            const int32_t blocks = std::max(0, end - begin) / kBlock, count = (blocks + most - 1) / most;
            const auto border = [&](int32_t k) { return begin + static_cast<int32_t>(int64_t{blocks} * k / count) * kBlock; };
            for (int32_t k = 0; k < count; ++k) {
                Slice<W>& slice = made.emplace_back();
                slice.share = s;
                slice.first = border(k);
                slice.count = border(k + 1) - slice.first;
            }
        }
        return made;
    }
};

// The synapses of all members.
template <class W>
struct FromMembers {
    std::vector<FromRules<int32_t, W>> members;
    const std::vector<BundleText>& texts;
    const Places& places;
    int32_t shortest = kMaxDelay, longest = 0;
    std::vector<W> of_source{};          // where all synapses of a source weigh the same

    FromMembers(const std::vector<RuleText<int32_t>>& rules, const std::vector<BundleText>& texts, const std::vector<Layout>& layouts, const Places& places)
        : texts(texts), places(places) {
        for (std::size_t m = 0; m < rules.size(); ++m) {
            members.emplace_back(rules[m], static_cast<int32_t>(texts[m].sources.size()), layouts[m].size);
            shortest = std::min(shortest, members[m].shortest);
            longest = std::max(longest, members[m].longest);
        }
        find_common_weights();
    }

    template <class F>
    void pairs(Targets targets, F f) const {
        parts(targets, [&](const Piece& p, std::size_t m, Targets part) {
            // by value: what f writes might be the same memory for all that the compiler knows
            members[m].pairs(part, [&f, number = texts[m].sources.data(), shift = p.at - p.first](int32_t source, int32_t target) { f(number[source], target + shift); });
        });
    }
    template <class F>
    void each(Targets targets, F f) const {
        parts(targets, [&](const Piece& p, std::size_t m, Targets part) {
            const W* const same = of_source.empty() && !members[m].of_source.empty() ? members[m].of_source.data() : nullptr;
            members[m].each(part, [&f, same, number = texts[m].sources.data(), shift = p.at - p.first](int32_t source, int32_t target, W weight, int32_t delay) {
                f(number[source], target + shift, same == nullptr ? weight : same[source], delay);
            });
        });
    }

private:
    // f(piece, its member, targets of the member) for what of each piece lies in a range of all targets.
    template <class F>
    void parts(Targets targets, F f) const {
        for (const Piece& p : places.pieces) {
            const int32_t first = std::max(targets.first, p.at), last = std::min(targets.last, p.at + p.count);
            if (first < last) f(p, static_cast<std::size_t>(p.member), Targets{first - p.at + p.first, last - p.at + p.first});
        }
    }
    void find_common_weights() {
        std::size_t sources = 0;
        for (const BundleText& text : texts)
            for (const int32_t i : text.sources) sources = std::max(sources, static_cast<std::size_t>(i) + 1);
        std::vector<uint8_t> known(sources, 0);
        std::vector<W> common(sources, W{0});
        for (std::size_t m = 0; m < members.size(); ++m) {
            const std::vector<W>& same = members[m].of_source;
            if (same.empty()) return;
            for (std::size_t i = 0; i < same.size(); ++i) {
                const auto source = static_cast<std::size_t>(texts[m].sources[i]);
                if (known[source] != 0 && common[source] != same[i]) return;
                known[source] = 1;
                common[source] = same[i];
            }
        }
        of_source = std::move(common);
    }
};

// What the members have in common.
template <class W>
struct Bundle {
    struct Member {
        std::vector<int32_t> source;     // of each of its sources the number in the bundle
        std::vector<uint8_t> first;      // whether no member before it has this source: who files it
        bool files = false;              // any of them
        std::vector<uint32_t> fan;
        std::vector<int32_t> reach;      // the longest delay of each source
    };
    Places places;
    Rows<W> rows;
    std::vector<Member> members;
    int64_t most = 0;                    // magnitude of a sum

    // How many synapses of each source lead to each member, and the longest delay of these.
    void count() {
        const auto sources = static_cast<std::size_t>(rows.sources());
        std::vector<uint32_t> fan(members.size() * sources, 0);
        std::vector<int32_t> reach(members.size() * sources, 0);
        each_part([&](std::size_t member, std::size_t source, uint32_t synapses, int32_t delay) {
            fan[member * sources + source] += synapses;
            reach[member * sources + source] = std::max(reach[member * sources + source], delay);
        });
        for (std::size_t m = 0; m < members.size(); ++m)
            for (const int32_t i : members[m].source) {
                members[m].fan.push_back(fan[m * sources + static_cast<std::size_t>(i)]);
                members[m].reach.push_back(reach[m * sources + static_cast<std::size_t>(i)]);
            }
    }

private:
    // f(member, source, synapses, delay) for what each row holds of each piece: synapses were stored piece by piece, so those of
    // a piece follow each other.
    template <class F>
    void each_part(F f) const {
        for (const Slice<W>& slice : rows.slices)
            for (const Piece& p : places.pieces) {
                const int32_t first = std::max(0, p.at - slice.first), last = std::min(slice.count, p.at + p.blocks() * kBlock - slice.first);
                if (first >= last) continue;
                for (std::size_t i = 0; i < static_cast<std::size_t>(rows.sources()); ++i)
                    each_row(rows, slice, i, [&](std::size_t begin, std::size_t count, int32_t delay) {
                        const std::byte* const targets = slice.synapses.data() + begin * rows.stride();
                        if (const auto found = before(targets, count, last) - before(targets, count, first); found != 0)
                            f(static_cast<std::size_t>(p.member), i, static_cast<uint32_t>(found), delay);
                    });
            }
    }
    // How many of a row's targets come before this one of the slice, where a piece begins or ends.
    static std::ptrdiff_t before(const std::byte* targets, std::size_t count, int32_t target) {
        const auto numbers = std::views::iota(std::ptrdiff_t{0}, static_cast<std::ptrdiff_t>(count));
        const auto found = std::ranges::partition_point(numbers, [&](std::ptrdiff_t k) {
            uint16_t one;
            std::memcpy(&one, targets + k * static_cast<std::ptrdiff_t>(sizeof one), sizeof one);
            return one < target;
        });
        return found - numbers.begin();
    }
};

// What is kept of a bundle in a file.
template <class AnyBundle, class Visit>
void bundle_fields(AnyBundle& bundle, Visit& visit) {
    each_field(bundle.rows, visit);
    for (auto& member : bundle.members) {
        visit.array(member.fan);
        visit.array(member.reach);
    }
}

}  // namespace spikeflow
