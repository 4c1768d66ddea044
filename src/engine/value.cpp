#include "value.hpp"

#include <algorithm>

namespace spikeflow {

template <class V>
void Scratch<V>::collect(int32_t count, Buffer<int32_t>& out) {
    constexpr int32_t some = 16;
    const int32_t words = (count + 63) / 64;
    for (int32_t w = 0; w < words; w += some) {
        const int32_t number = std::min(some, words - w);
        uint64_t* const from = bits.data() + w;
        int32_t* const to = out.room(static_cast<std::size_t>(number) * 64 + kSlack);
        out.commit(static_cast<std::size_t>(kernels_->extract(to, from, number, w * 64) - to));
        std::fill_n(from, number, uint64_t{0});
    }
}

template <class V>
void Slot<V>::clear() {
    events_.clear();
    has_events_ = true;
    has_dense_ = false;
    bias_ = {};
}

template <class V>
Events<V>& Slot<V>::write_events() {
    clear();
    return events_;
}

template <class V>
V* Slot<V>::write_dense() {
    open_dense();
    return clear_blocks(0, layout->blocks);
}

template <class V>
void Slot<V>::open_dense() {
    if (dense_.empty()) {
        dense_ = Buffer<V>(static_cast<std::size_t>(layout->size), V{0});
        active_.assign(static_cast<std::size_t>(layout->blocks), 0);
    }
    has_dense_ = true;
    has_events_ = false;
    bias_ = {};
}

template <class V>
V* Slot<V>::clear_blocks(int32_t first, int32_t last) {
    for (int32_t b = first; b < last; ++b) {
        if (!active(b)) continue;
        std::fill_n(dense_.data() + layout->first(b), layout->length(b), V{0});
        active_[static_cast<std::size_t>(b)] = 0;
    }
    return dense_.data();
}

template <class V>
void Slot<V>::touch_all() {
    std::fill(active_.begin(), active_.end(), uint8_t{1});
}

template <class V>
const Events<V>& Slot<V>::events() {
    if (!has_events_) scan();
    return events_;
}

template <class V>
const V* Slot<V>::dense() {
    prepare_dense();
    if (!bias_.empty()) add_bias();
    return dense_.data();
}

template <class V>
void Slot<V>::prepare_dense() {
    if (has_dense_) return;
    V* to = write_dense();
    has_events_ = true;     // events came first: both forms are now there
    for (std::size_t i = 0; i < events_.size(); ++i) {
        const int32_t at = layout->physical(events_.index[i]);
        to[at] = events_.at(i);
        touch(at / layout->block);
    }
}

template <class V>
void Slot<V>::add_bias() {
    for (int32_t b = 0; b < layout->blocks; ++b) {
        V* to = dense_.data() + layout->first(b);
        kernels_->add(to, to, bias(b), layout->length(b));
    }
    touch_all();
    bias_ = {};
}

template <class V>
void Slot<V>::scan() {
    dense();
    events_.clear();
    for (int32_t b = 0; b < layout->blocks; ++b) {
        if (!active(b)) continue;
        const int32_t length = layout->length(b);
        if (kernels_->nonzero(block(b), length, scratch_->masks) == 0) continue;
        if (layout->permuted) {
            for (const int32_t place : scratch_->masked(length)) scratch_->mark(layout->logical(b, place));
        } else {
            scratch_->append(length, layout->first(b), events_.index);
        }
    }
    if (layout->permuted) scratch_->collect(layout->size, events_.index);
    events_.value.resize(events_.size());
    for (std::size_t i = 0; i < events_.size(); ++i)
        events_.value[i] = dense_[static_cast<std::size_t>(layout->physical(events_.index[i]))];
    events_.settle();
    has_events_ = true;
}

template struct Scratch<float>;
template struct Scratch<int32_t>;
template struct Scratch<int64_t>;
template class Slot<float>;
template class Slot<int32_t>;
template class Slot<int64_t>;

}  // namespace spikeflow
