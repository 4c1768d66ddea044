// Mutation: recorded calls with a few of their items changed, by a seed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "item.hpp"

namespace spikeflow {

// A stream of random numbers (splitmix64).
struct Random {
    uint64_t state;

    uint64_t next() {
        uint64_t z = (state += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t n) { return n == 0 ? 0 : next() % n; }
    template <class T, std::size_t N>
    T one_of(const T (&all)[N]) { return all[below(N)]; }
};

class Mutation {
public:
    explicit Mutation(std::vector<std::vector<Item>> files) : files_(std::move(files)) {}

    // The calls of one file with 1 to 4 changes.
    std::vector<Item> drawn(uint64_t seed) const {
        Random r{seed * 0x2545f4914f6cdd1d + 1};
        std::vector<Item> calls = files_[r.below(files_.size())];
        for (uint64_t left = 1 + r.below(4); left > 0; --left)
            if (r.below(12) == 0) change_order(calls, r);
            else if (!calls.empty()) change_within(calls[r.below(calls.size())], r);
        return calls;
    }

private:
    // Calls left out, made twice, exchanged, or taken from another file.
    void change_order(std::vector<Item>& calls, Random& r) const {
        if (calls.empty()) return;
        const auto at = calls.begin() + static_cast<std::ptrdiff_t>(r.below(calls.size()));
        const auto& other = files_[r.below(files_.size())];
        switch (r.below(4)) {
            case 0: calls.erase(at); break;
            case 1: calls.insert(at, Item(*at)); break;
            case 2: std::swap(*at, calls[r.below(calls.size())]); break;
            default: calls.insert(at, other[r.below(other.size())]);
        }
    }

    // An argument of a call, or what lies within it.
    static void change_within(Item& call, Random& r) {
        Item* at = &call;
        while (at->kind == Item::Kind::list && !at->items.empty() && (at == &call || r.below(8) != 0)) {
            // the method, and mostly the object, stay
            const std::size_t first = at == &call && at->items.size() > 2 && r.below(20) != 0 ? 2 : 0;
            at = &at->items[first + r.below(at->items.size() - first)];
        }
        change(*at, r);
    }

    static void change(Item& item, Random& r) {
        using Kind = Item::Kind;
        switch (item.kind) {
            case Kind::none: fill(item, r); break;
            case Kind::truth: item.whole ^= 1; break;
            case Kind::whole: item.whole = whole(item.whole, r); break;
            case Kind::real: item.real = real(item.real, r); break;
            case Kind::word: item.word = r.one_of({"", "spikes", "constant", "dense", "max_pool", "of_means", "run", "seal", "scale"}); break;
            case Kind::list: change_list(item.items, r); break;
            case Kind::array: r.below(3) == 0 ? change_length(item, r) : change_values(item, r);
        }
        if (r.below(40) == 0) item.kind = Kind::none;
    }

    // Where nothing was given, a few zeros of some type.
    static void fill(Item& item, Random& r) {
        item.kind = Item::Kind::array;
        item.type = r.one_of({'f', 'i', 'u'});
        item.bytes = r.one_of({4, 4, 8, 1});
        item.data.assign(static_cast<std::size_t>(item.bytes) * r.below(9), std::byte{0});
    }

    static int64_t whole(int64_t x, Random& r) {
        constexpr int64_t low = std::numeric_limits<int64_t>::min(), high = std::numeric_limits<int64_t>::max();
        const int64_t near[] = {x + (x < high), x - (x > low), x / 2, x > high / 2 || x < low / 2 ? x : 2 * x, static_cast<int64_t>(r.below(64)), -1, 0, 1};
        const int64_t far[] = {INT32_MAX, INT32_MIN, int64_t{1} << 16, int64_t{1} << 20, int64_t{1} << 31, int64_t{1} << 40, low, high, static_cast<int64_t>(r.next())};
        return r.below(3) != 0 ? r.one_of(near) : r.one_of(far);
    }

    static double real(double x, Random& r) {
        using Limits = std::numeric_limits<double>;
        return r.one_of({Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity(), 0.0, -0.0, -x, x * 1e30, x * 1e-30, x + 1, 1e300, -1e300, 5e-324, 2147483648.0, -1.0, 0.5});
    }

    static void change_list(std::vector<Item>& items, Random& r) {
        if (items.empty()) return items.resize(r.below(3));
        const auto at = items.begin() + static_cast<std::ptrdiff_t>(r.below(items.size()));
        switch (r.below(5)) {
            case 0: items.erase(at); break;
            case 1: items.insert(at, Item(*at)); break;
            case 2: std::swap(*at, items[r.below(items.size())]); break;
            case 3: *at = Item(items[r.below(items.size())]); break;
            default: items.clear();
        }
    }

    // Elements left out at the end or at the start, said again, or read as another type.
    static void change_length(Item& item, Random& r) {
        const auto each = static_cast<std::size_t>(item.bytes);
        const std::size_t some = each * std::min<std::size_t>(item.count(), 1 + r.below(3) * r.below(item.count() + 1));
        switch (r.below(5)) {
            case 0: item.data.resize(item.data.size() - some); break;
            case 1: item.data.erase(item.data.begin(), item.data.begin() + static_cast<std::ptrdiff_t>(some)); break;
            case 2: {
                const std::vector<std::byte> again(item.data.begin(), item.data.begin() + static_cast<std::ptrdiff_t>(some));
                item.data.insert(item.data.end(), again.begin(), again.end());
                break;
            }
            case 3: item.type = r.one_of({'f', 'i', 'u'}); break;
            default:
                if (item.data.size() % 8 == 0) item.bytes = r.one_of({1, 2, 4, 8});
        }
    }

    // A few elements, or all, take a value that means trouble.
    static void change_values(Item& item, Random& r) {
        if (item.count() == 0) return;
        const bool all = r.below(10) == 0;
        for (uint64_t left = all ? item.count() : 1 + r.below(3), k = 0; k < left; ++k) {
            std::byte* const to = item.data.data() + static_cast<std::size_t>(item.bytes) * (all ? k : r.below(item.count()));
            if (item.type == 'f' && item.bytes == 4) replace<float>(to, r, [](float x, Random& s) { return static_cast<float>(real(x, s)); });
            else if (item.type == 'f' && item.bytes == 8) replace<double>(to, r, real);
            else if (item.bytes == 8) replace<int64_t>(to, r, whole);
            else if (item.bytes == 4) replace<int32_t>(to, r, [](int32_t x, Random& s) { return static_cast<int32_t>(whole(x, s)); });
            else *to = static_cast<std::byte>(r.next());
        }
    }
    template <class T, class F>
    static void replace(std::byte* at, Random& r, F f) {
        T value;
        std::memcpy(&value, at, sizeof value);
        value = f(value, r);
        std::memcpy(at, &value, sizeof value);
    }

    std::vector<std::vector<Item>> files_;
};

}  // namespace spikeflow
