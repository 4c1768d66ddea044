// Item: what Python hands to the engine, kept in a file: numbers, words, arrays, lists; a file of calls is one list.
//
// `tests/laws/calls.py` writes and reads the same form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace spikeflow {

// What the binding, too, refuses before the engine sees it: an argument of another type.
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Item {
    enum class Kind : char { none = 'n', truth = 'b', whole = 'i', real = 'r', word = 's', list = 'l', array = 'a' };

    Kind kind = Kind::none;
    int64_t whole = 0;                       // 0 or 1 of a truth
    double real = 0;
    std::string word;
    std::vector<Item> items;                 // of a list
    char type = 'f';                         // of an array, as numpy names it: i, u or f
    int32_t bytes = 4;                       // of each of its elements
    std::vector<std::byte> data;

    bool none() const { return kind == Kind::none; }
    std::size_t count() const { return data.size() / static_cast<std::size_t>(bytes); }

    bool as_truth() const;
    int64_t as_whole() const;
    int32_t as_int() const;
    double as_real() const;
    const std::string& as_word() const;
    const std::vector<Item>& as_list() const;
    const std::vector<Item>& as_list(std::size_t count) const;
    template <class T>
    std::span<const T> as_array() const {
        constexpr char wanted = std::is_floating_point_v<T> ? 'f' : std::is_signed_v<T> ? 'i' : 'u';
        if (kind != Kind::array || type != wanted || bytes != static_cast<int32_t>(sizeof(T))) throw Refused("an array of another type");
        return {reinterpret_cast<const T*>(data.data()), count()};
    }
    template <class T>
    std::span<const T> as_optional() const { return none() ? std::span<const T>{} : as_array<T>(); }
};

// The items of a file; throws Refused where it is none.
std::vector<Item> read_calls(const std::string& path);
void write_calls(const std::string& path, const std::vector<Item>& calls);

}  // namespace spikeflow
