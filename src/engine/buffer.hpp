// Memory that grows but never shrinks, aligned for vectors; unlike std::vector it does not write what it hands out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

namespace spikeflow {

inline constexpr std::size_t kAlign = 64;

template <class T>
class Buffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    Buffer() = default;
    explicit Buffer(std::size_t count) { resize(count); }
    Buffer(std::size_t count, T value) : Buffer(count) { std::fill_n(data(), count, value); }

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T* data() { return memory_.get(); }
    const T* data() const { return memory_.get(); }
    T& operator[](std::size_t i) { return memory_.get()[i]; }
    const T& operator[](std::size_t i) const { return memory_.get()[i]; }
    T* begin() { return data(); }
    T* end() { return data() + size_; }
    const T* begin() const { return data(); }
    const T* end() const { return data() + size_; }
    std::span<T> span() { return {data(), size_}; }
    std::span<const T> span() const { return {data(), size_}; }

    void clear() { size_ = 0; }
    void push(T value) {
        if (size_ == capacity_) reserve(std::max<std::size_t>(16, 2 * capacity_));
        memory_.get()[size_++] = value;
    }
    void resize(std::size_t count) {
        if (count > capacity_) reserve(std::max(count, capacity_ + capacity_ / 2));
        size_ = count;
    }
    void reserve(std::size_t count) {
        if (count <= capacity_) return;
        Memory next(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{kAlign})));
        if (size_ != 0) std::memcpy(next.get(), memory_.get(), size_ * sizeof(T));
        memory_ = std::move(next);
        capacity_ = count;
    }
    // Room for `more` further elements, to be written by the caller and counted by `commit`.
    T* room(std::size_t more) {
        if (size_ + more > capacity_) reserve(std::max(size_ + more, 2 * capacity_));
        return memory_.get() + size_;
    }
    void commit(std::size_t more) { size_ += more; }
    void assign(std::span<const T> values) {
        resize(values.size());
        if (!values.empty()) std::memcpy(data(), values.data(), values.size_bytes());
    }

private:
    struct Free {
        void operator()(T* p) const { ::operator delete(p, std::align_val_t{kAlign}); }
    };
    using Memory = std::unique_ptr<T, Free>;

    Memory memory_;
    std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace spikeflow
