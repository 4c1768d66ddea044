// Chunks of time side by side, each from a guess of the state before it; what was guessed wrong is mended.
//
// A chunk that began at another state than the true one runs again from the true one, but only until its state has the
// bits that it had before at that step: from there on nothing can differ. A reset to one value or a leak brings that
// about soon, and the bits are those of the sweep, for they come of the same arithmetic on the same numbers. Where no
// leak does, chunks do not meet; then the first of them stand and the sweep does the rest.
//
// A lane is an element in a chunk, chunk by chunk; rows of lanes are the steps of a chunk.
#include <cmath>
#include <cstring>

#include "bench.hpp"
#include "widths.hpp"

namespace spikeflow {
namespace {

constexpr int64_t kOverhead = 48;       // elements that a step takes as long for as for nothing at all, about
constexpr double kWorthwhile = 0.4;     // of the sweep's time that may pass before chunks meet

template <class R>
class Chunks {
public:
    Chunks(const Program<R>& program, const ForwardText<R>& text)
        : text_(text), stretch_(text.stretch), elements_(stretch_.elements), length_(stretch_.chunk),
          count_(stretch_.steps / length_), lanes_(count_ * elements_), states_(text.state.size()),
          bench_(program, stretch_, text.params, lanes_), out_(at(length_ * lanes_)), now_(states_ * at(lanes_)),
          ends_(states_ * at(lanes_)), marks_(at(length_ / stretch_.interval) * states_ * at(lanes_)) {
        bench_.begin(0, static_cast<int32_t>(lanes_));
        for (const Stream<R>& port : text.ports) {
            ports_.emplace_back(at((port.count == 1 ? 1 : length_) * lanes_));
            if (port.count == 1) std::fill(ports_.back().begin(), ports_.back().end(), port.values[0]);
            else lay_out(port.values, ports_.back().data());
        }
    }

    int64_t run() {
        for (std::size_t s = 0; s < states_; ++s)
            for (int64_t c = 0; c < count_; ++c) std::copy_n(text_.state[s], elements_, now(s) + c * elements_);
        first_ = 0, last_ = count_;
        pass();
        while (guessed_wrong() && goes_on()) {
            for (std::size_t s = 0; s < states_; ++s)
                std::copy_n(ends(s) + (first_ - 1) * elements_, (last_ - first_) * elements_, now(s) + first_ * elements_);
            pass();
        }
        const int64_t settled = guessed_wrong() ? first_ : count_;
        hand_over(settled);
        return settled * length_;
    }

private:
    R* now(std::size_t s) { return now_.data() + s * at(lanes_); }
    R* ends(std::size_t s) { return ends_.data() + s * at(lanes_); }
    // The states before a chunk's step mark * interval, when it last ran through it.
    R* marked(int64_t mark, std::size_t s) { return marks_.data() + (at(mark) * states_ + s) * at(lanes_); }

    // (steps, elements) to rows of lanes, and back; an interval of a chunk at a time stays in the first-level cache.
    void lay_out(const R* from, R* to) const {
        move(count_, [&](int64_t step, int64_t lane, auto width) { copy_row(to + lane, from + step, width); });
    }
    void lay_back(const R* from, R* to, int64_t settled) const {
        move(settled, [&](int64_t step, int64_t lane, auto width) { copy_row(to + step, from + lane, width); });
    }
    template <class Copy>
    void move(int64_t chunks, const Copy& copy) const {
        with_width(elements_, [&](auto width) { move(chunks, copy, width); });
    }
    template <class Copy, class Width>
    void move(int64_t chunks, const Copy& copy, Width width) const {
        for (int64_t begin = 0; begin < length_; begin += stretch_.interval)
            for (int64_t c = 0; c < chunks; ++c) {
                int64_t step = (c * length_ + begin) * width, lane = begin * lanes_ + c * width;
                for (int64_t i = 0; i < stretch_.interval; ++i, step += width, lane += lanes_) copy(step, lane, width);
            }
    }

    // Whether state values `a` and `b` of a chunk have the same bits.
    bool same(R* (Chunks::*a)(std::size_t), int64_t chunk, int64_t mark, int64_t other) {
        for (std::size_t s = 0; s < states_; ++s)
            if (std::memcmp((this->*a)(s) + chunk * elements_, marked(mark, s) + other * elements_, at(elements_) * sizeof(R)) != 0)
                return false;
        return true;
    }

    // The chunks from first to last (excluded) through all their steps, or until they go on as they did before.
    void pass() {
        const bool again = spent_ > 0;
        for (int64_t mark = 0; mark * stretch_.interval < length_; ++mark) {
            while (again && mark > 0 && first_ < last_ && same(&Chunks::now, first_, mark, first_)) ++first_;
            while (again && mark > 0 && first_ < last_ && same(&Chunks::now, last_ - 1, mark, last_ - 1)) --last_;
            if (first_ == last_) return;
            const int64_t lane = first_ * elements_, n = (last_ - first_) * elements_;
            for (std::size_t s = 0; s < states_; ++s) std::copy_n(now(s) + lane, n, marked(mark, s) + lane);
            for (int64_t i = mark * stretch_.interval; i < (mark + 1) * stretch_.interval; ++i) step(i, lane, n);
            spent_ += stretch_.interval * (kOverhead + n);
        }
        for (std::size_t s = 0; s < states_; ++s)
            std::copy_n(now(s) + first_ * elements_, (last_ - first_) * elements_, ends(s) + first_ * elements_);
    }

    void step(int64_t i, int64_t lane, int64_t n) {
        bench_.narrow(static_cast<int32_t>(n));
        for (std::size_t p = 0; p < ports_.size(); ++p)
            bench_.port(p, ports_[p].data() + (text_.ports[p].count == 1 ? 0 : i * lanes_) + lane);
        for (std::size_t s = 0; s < states_; ++s) bench_.state(s, now(s) + lane), bench_.into(s, now(s) + lane);
        bench_.out(out_.data() + i * lanes_ + lane);
        bench_.run(kFlush<R>);
    }

    // From the first to the last chunk that did not begin where the one before it ended.
    bool guessed_wrong() {
        first_ = 1, last_ = count_;
        while (first_ < last_ && same(&Chunks::ends, first_ - 1, 0, first_)) ++first_;
        while (first_ < last_ && same(&Chunks::ends, last_ - 2, 0, last_ - 1)) --last_;
        return first_ < last_;
    }

    // Whether there is hope: fewer chunks are wrong or each is less so; and time is left.
    bool goes_on() {
        const auto chunks = last_ - first_;
        double apart = 0;
        for (std::size_t s = 0; s < states_; ++s) {
            double sum = 0, size = 0;
            for (int64_t i = first_ * elements_; i < last_ * elements_; ++i) {
                sum += std::abs(static_cast<double>(ends(s)[i - elements_]) - static_cast<double>(marked(0, s)[i]));
                size += std::abs(static_cast<double>(ends(s)[i - elements_]));
            }
            if (size > 0) apart = std::max(apart, sum / size);
        }
        const bool nearer = wrong_ == 0 || 2 * chunks <= wrong_ || 4 * apart <= apart_;
        wrong_ = chunks, apart_ = apart;
        const auto sweep = static_cast<double>(stretch_.steps * (kOverhead + elements_));
        return nearer && static_cast<double>(spent_) < kWorthwhile * sweep;
    }

    // What the first chunks have found, to where it is wanted.
    void hand_over(int64_t settled) {
        lay_back(out_.data(), text_.out, settled);
        for (std::size_t s = 0; s < states_; ++s) std::copy_n(ends(s) + (settled - 1) * elements_, elements_, text_.after[s]);
        if (text_.kept == nullptr) return;
        const int64_t marks = length_ / stretch_.interval, last = std::min(settled * marks, stretch_.kept());
        for (int64_t moment = 1; moment <= last; ++moment)
            for (std::size_t s = 0; s < states_; ++s) {
                const bool end = moment == settled * marks;
                const R* from = end ? ends(s) + (settled - 1) * elements_ : marked(moment % marks, s) + moment / marks * elements_;
                const int64_t row = (moment - 1) * static_cast<int64_t>(states_) + static_cast<int64_t>(s);
                std::copy_n(from, elements_, text_.kept + row * elements_);
            }
    }

    const ForwardText<R>& text_;
    const Stretch& stretch_;
    int64_t elements_, length_, count_, lanes_;
    std::size_t states_;
    Bench<R> bench_;
    std::vector<Buffer<R>> ports_;
    Buffer<R> out_, now_, ends_, marks_;
    int64_t first_ = 0, last_ = 0, spent_ = 0, wrong_ = 0;
    double apart_ = 0;
};

}  // namespace

template <class R>
int64_t sweep_chunks(const Program<R>& program, const ForwardText<R>& text) {
    return Chunks<R>(program, text).run();
}

template int64_t sweep_chunks(const Program<float>&, const ForwardText<float>&);
template int64_t sweep_chunks(const Program<double>&, const ForwardText<double>&);

}  // namespace spikeflow
