// Events as four growing columns. Memory is not cleared before it is written, and taken away whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace spikeflow::events {

// One growing array of plain values; realloc, so that large arrays move by their pages.
template <class T>
class Column {
public:
    Column() = default;
    Column(Column&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
    Column& operator=(Column&& other) noexcept { std::swap(data_, other.data_); return *this; }
    Column(const Column&) = delete;
    Column& operator=(const Column&) = delete;
    ~Column() { std::free(data_); }

    T* data() { return data_; }
    T* release() { return std::exchange(data_, nullptr); }
    void resize(std::size_t count) {
        void* moved = std::realloc(data_, (count ? count : 1) * sizeof(T));
        if (moved == nullptr) throw std::bad_alloc();
        data_ = static_cast<T*>(moved);
    }

private:
    T* data_ = nullptr;
};

// Where the next events go: there is room for as many as were asked for.
struct Cursor {
    std::int64_t* t;
    std::uint16_t* x;
    std::uint16_t* y;
    std::uint8_t* p;

    void put(std::size_t at, std::int64_t time, std::uint16_t column, std::uint16_t row, std::uint8_t on) const {
        t[at] = time;
        x[at] = column;
        y[at] = row;
        p[at] = on;
    }
    Cursor from(std::size_t at) const { return {t + at, x + at, y + at, p + at}; }
};

class Columns {
public:
    std::size_t size() const { return size_; }
    Cursor begin() { return {t.data(), x.data(), y.data(), p.data()}; }

    // Room for `more` events behind the present ones.
    Cursor room(std::size_t more) {
        if (size_ + more > capacity_) grow(size_ + more);
        return begin().from(size_);
    }
    void advance(std::size_t events) { size_ += events; }
    void shrink() {
        if (capacity_ > size_) resize(size_);
    }

    Column<std::int64_t> t;
    Column<std::uint16_t> x, y;
    Column<std::uint8_t> p;

private:
    void grow(std::size_t least) { resize(least > 2 * capacity_ ? least : 2 * capacity_); }
    void resize(std::size_t count) {
        t.resize(count);
        x.resize(count);
        y.resize(count);
        p.resize(count);
        capacity_ = count;
    }

    std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace spikeflow::events
