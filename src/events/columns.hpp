// Events as four growing columns. Memory is not cleared before it is written, and taken away whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace spikeflow::events {

// Ask for large pages behind a large array: the first write to each small page costs as much as decoding its events.
inline void large_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) {
#ifdef __linux__
    constexpr std::size_t worth = std::size_t{1} << 22, page = 4096;
    if (bytes < worth) return;
    const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(data) % page) % page;
    madvise(static_cast<char*>(data) + before, bytes - before, MADV_HUGEPAGE);  // a wish; that it fails is no error
#endif
}

// One growing array of plain values.
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
        if (count > SIZE_MAX / sizeof(T)) throw std::bad_alloc();
        void* moved = std::realloc(data_, (count ? count : 1) * sizeof(T));
        if (moved == nullptr) throw std::bad_alloc();
        data_ = static_cast<T*>(moved);
        large_pages(moved, count * sizeof(T));
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

// The four columns lie in one block of memory: one to take, to give back, and to use again for the next file.
class Columns {
public:
    std::size_t size() const { return size_; }
    Cursor begin() {
        std::uint8_t* block = block_.data();
        return {reinterpret_cast<std::int64_t*>(block), reinterpret_cast<std::uint16_t*>(block + 8 * capacity_),
                reinterpret_cast<std::uint16_t*>(block + 10 * capacity_), block + 12 * capacity_};
    }

    bool has(std::size_t more) const { return more <= capacity_ - size_; }
    // Room for `more` events behind the present ones.
    Cursor room(std::size_t more) {
        if (!has(more)) grow(more);
        return begin().from(size_);
    }
    void advance(std::size_t events) { size_ += events; }
    // Gives back what is not used, where it is much: memory that was never written costs nothing, moving it does.
    void shrink() {
        if (capacity_ / 2 > size_ + SMALL) resize(size_);
    }
    // The block, from now on the caller's to free; `begin` has told where the columns are.
    void* release() {
        size_ = capacity_ = 0;
        return block_.release();
    }

private:
    static constexpr std::size_t EVENT = 13, SMALL = 1 << 12, STEP = 64;  // bytes of an event; events; events

    void grow(std::size_t more) {
        if (more > SIZE_MAX / (4 * EVENT)) throw std::bad_alloc();
        resize(size_ + more > 2 * capacity_ ? size_ + more : 2 * capacity_);
    }
    void resize(std::size_t count) {
        Columns fresh;
        const std::size_t capacity = (count + STEP - 1) / STEP * STEP;  // so that every column begins well aligned
        fresh.block_.resize(EVENT * capacity);
        fresh.capacity_ = capacity;
        if (size_ > 0) {
            const Cursor from = begin(), to = fresh.begin();
            std::memcpy(to.t, from.t, size_ * sizeof(*to.t));
            std::memcpy(to.x, from.x, size_ * sizeof(*to.x));
            std::memcpy(to.y, from.y, size_ * sizeof(*to.y));
            std::memcpy(to.p, from.p, size_ * sizeof(*to.p));
        }
        block_ = std::move(fresh.block_);
        capacity_ = capacity;
    }

    Column<std::uint8_t> block_;
    std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace spikeflow::events
