// Backward over few elements and many steps: all steps of a block of time at once, but for the sum that is carried.
//
// The cotangents c of the states go back by c[t] = A[t] c[t+1] + b[t] out[t], where A and b are partial derivatives of
// one step: its Jacobian, which needs nothing of c. So that runs on all steps side by side; then the sum is taken step by
// step; then the adjoint runs on all steps, from the cotangents found. To rounding it is what `sweep_backward` finds.
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "bench.hpp"
#include "widths.hpp"

namespace spikeflow {
namespace {

constexpr int64_t kTogether = 8;        // steps between looks for what is faint

// Elements side by side.
template <class R, int64_t kCount>
struct Side {
    typedef R type __attribute__((vector_size(kCount * sizeof(R))));
};
template <class R>
struct Side<R, 1> {
    using type = R;
};

template <class R>
class Scan {
public:
    Scan(const Scanned<R>& programs, const Wanted& wanted, const BackwardText<R>& text, int64_t block)
        : text_(text), stretch_(text.stretch), wanted_(wanted), elements_(stretch_.elements), interval_(stretch_.interval),
          width_(block * elements_), states_(text.state.size()), step_(programs.step, stretch_, text.params, width_ / interval_),
          jacobian_(programs.jacobian, stretch_, text.params, width_), adjoint_(programs.adjoint, stretch_, text.params, width_),
          out_(text.out, stretch_, width_), ports_(readers(text.ports, stretch_, width_)),
          before_(states_ * at(width_)), now_(states_ * at(width_ / interval_)), unread_(at(width_), R{0}),
          slopes_((states_ + 1) * states_ * at(width_)), cotangents_(states_ * at(width_)), carries_(states_ * at(elements_)),
          sums_(wanted.params.size() * at(width_), R{0}), made_(sums_.size()) {
        for (std::size_t i = 0; i < wanted.ports.size() + wanted.params.size(); ++i) adjoint_.state(states_ + i, unread_.data());
        for (std::size_t i = 0; i < states_ * (states_ + 1); ++i) jacobian_.state(i, unread_.data());
        step_.begin(0, static_cast<int32_t>(width_ / interval_));
        for (Bench<R>* bench : {&jacobian_, &adjoint_}) bench->begin(0, static_cast<int32_t>(width_));
        for (std::size_t p = 0; p < ports_.size(); ++p) lanes_.emplace_back(at(width_ / interval_));
    }

    // Whether it could be done: not where a derivative is infinite, for 0 times it is no number.
    bool run(int64_t block) {
        for (std::size_t s = 0; s < states_; ++s)
            for (int64_t e = 0; e < elements_; ++e) carry(s)[e] = text_.after[s].values[text_.after[s].count == 1 ? 0 : e];
        for (int64_t begin = (stretch_.steps - 1) / block * block; begin >= 0; begin -= block) {
            const int64_t steps = std::min(block, stretch_.steps - begin);
            restore(begin, steps);
            if (!slopes(begin, steps)) return false;
            sum_up(steps);
            hand_out(begin, steps);
        }
        for (std::size_t s = 0; s < states_; ++s)
            if (text_.to_state[s] != nullptr) std::copy_n(carry(s), elements_, text_.to_state[s]);
        for (std::size_t i = 0; i < wanted_.params.size(); ++i) {
            R* sums = sums_.data() + i * at(width_);
            for (int64_t row = elements_; row < width_; row += elements_)
                for (int64_t e = 0; e < elements_; ++e) sums[e] += sums[row + e];
            add_up(stretch_, text_.params[at(wanted_.params[i])], sums, text_.to_params[i]);
        }
        return true;
    }

private:
    // (steps of the block, elements): a state before each step; what its next cotangent takes of `from`, b where that is
    // `states_`; its cotangent behind each step.
    R* now(std::size_t s) { return now_.data() + s * at(width_ / interval_); }
    R* before(std::size_t s) { return before_.data() + s * at(width_); }
    R* slope(std::size_t s, std::size_t from) { return slopes_.data() + (s * (states_ + 1) + from) * at(width_); }
    R* cotangent(std::size_t s) { return cotangents_.data() + s * at(width_); }
    R* carry(std::size_t s) { return carries_.data() + s * at(elements_); }

    // The states before each step of a block, from those that were kept: a lane is an element in an interval.
    void restore(int64_t begin, int64_t steps) {
        const int64_t intervals = (steps + interval_ - 1) / interval_;
        for (std::size_t s = 0; s < states_; ++s)
            for (int64_t k = 0; k < intervals; ++k) {
                const int64_t moment = (begin / interval_ + k - 1) * static_cast<int64_t>(states_) + static_cast<int64_t>(s);
                const R* from = begin + k == 0 ? text_.state[s] : text_.kept + moment * elements_;
                std::copy_n(from, elements_, now(s) + k * elements_);
            }
        for (int64_t i = 0; i < interval_ && i < steps; ++i) {
            const int64_t reaching = (steps - i + interval_ - 1) / interval_;      // intervals that have such a step
            for (std::size_t s = 0; s < states_; ++s) spread(now(s), before(s), i, reaching);
            if (i + 1 < interval_) restep(begin, i, reaching * elements_);
        }
    }

    void restep(int64_t begin, int64_t i, int64_t n) {
        step_.narrow(static_cast<int32_t>(n));
        for (std::size_t p = 0; p < ports_.size(); ++p) {
            R* lanes = lanes_[p].data();
            if (text_.ports[p].count == 1) std::fill_n(lanes, n, text_.ports[p].values[0]);
            else gather(text_.ports[p].values + begin * elements_, lanes, i, n / elements_);
            step_.port(p, lanes);
        }
        for (std::size_t s = 0; s < states_; ++s) step_.state(s, now(s)), step_.into(s, now(s));
        step_.run(kFlush<R>);
    }

    // Step i of each interval, from rows of steps or to them.
    void gather(const R* steps, R* lanes, int64_t i, int64_t intervals) const {
        rows(i, intervals, [=](int64_t lane, int64_t step, auto width) { copy_row(lanes + lane, steps + step, width); });
    }
    void spread(const R* lanes, R* steps, int64_t i, int64_t intervals) const {
        rows(i, intervals, [=](int64_t lane, int64_t step, auto width) { copy_row(steps + step, lanes + lane, width); });
    }
    template <class Copy>
    void rows(int64_t i, int64_t intervals, const Copy& copy) const {
        with_width(elements_, [&](auto width) { rows(i, intervals, copy, width); });
    }
    template <class Copy, class Width>
    void rows(int64_t i, int64_t intervals, const Copy& copy, Width width) const {
        for (int64_t k = 0, step = i * width; k < intervals; ++k, step += interval_ * width) copy(k * width, step, width);
    }

    // What the step saw, at the first ports of a program that is about gradients; returns how many.
    std::size_t arrive(Bench<R>& bench, int64_t begin, int64_t n) {
        bench.narrow(static_cast<int32_t>(n));
        std::size_t port = 0;
        for (const Reader<R>& reader : ports_) bench.port(port++, reader.row(begin, 0));
        for (std::size_t s = 0; s < states_; ++s) bench.port(port++, before(s));
        return port;
    }

    // The entries of A and b of a block; whether all are finite.
    bool slopes(int64_t begin, int64_t steps) {
        const int64_t n = steps * elements_;
        int infinite = 0;
        arrive(jacobian_, begin, n);
        for (std::size_t s = 0; s < states_; ++s) {
            jacobian_.into(s, slope(s, states_));
            for (std::size_t from = 0; from < states_; ++from) jacobian_.into((1 + from) * states_ + s, slope(s, from));
        }
        jacobian_.run();
        const R* out = out_.row(begin, 0);
        for (std::size_t s = 0; s < states_; ++s) {
            R* __restrict driven = slope(s, states_);
            for (int64_t i = 0; i < n; ++i) driven[i] *= out[i];
            for (std::size_t from = 0; from <= states_; ++from)
                for (int64_t i = 0; i < n; ++i) infinite |= !(std::abs(slope(s, from)[i]) <= std::numeric_limits<R>::max());
        }
        return infinite == 0;
    }

    void sum_up(int64_t steps) {
        switch (states_) {
            case 1: return sum_up(steps, std::integral_constant<std::size_t, 1>{});
            case 2: return sum_up(steps, std::integral_constant<std::size_t, 2>{});
            case 3: return sum_up(steps, std::integral_constant<std::size_t, 3>{});
            default: return sum_up(steps, states_);
        }
    }
    template <class States>
    void sum_up(int64_t steps, States states) {
        int64_t e = 0;
        for (; e + 8 <= elements_; e += 8) sum_up<8>(steps, e, states);
        for (; e + 4 <= elements_; e += 4) sum_up<4>(steps, e, states);
        for (; e < elements_; ++e) sum_up<1>(steps, e, states);
    }
    // As many elements as are added side by side, from `first` on. What is faint is looked for every few steps alone: it
    // halves on and on no longer than that.
    template <int64_t kCount, class States>
    void sum_up(int64_t steps, int64_t first, States states) {
        using Row = typename Side<R, kCount>::type;
        static_assert(sizeof(Row) == kCount * sizeof(R));
        const auto read = [](const R* from) { Row row; std::memcpy(&row, from, sizeof(Row)); return row; };
        Row carried[kScanned], next[kScanned];
        for (std::size_t s = 0; s < states; ++s) carried[s] = read(carry(s) + first);
        int64_t place = (steps - 1) * elements_ + first;
        const auto step = [&] {
            for (std::size_t s = 0; s < states; ++s) {
                std::memcpy(cotangent(s) + place, &carried[s], sizeof(Row));
                next[s] = read(slope(s, states) + place);
                for (std::size_t from = 0; from < states; ++from) next[s] += read(slope(s, from) + place) * carried[from];
            }
            for (std::size_t s = 0; s < states; ++s) carried[s] = next[s];
            place -= elements_;
        };
        const auto settle = [&] {
            const Row least = Row{} + kFaint<R>;
            for (std::size_t s = 0; s < states; ++s) carried[s] = carried[s] < least && -carried[s] < least ? Row{} : carried[s];
        };
        for (; steps >= kTogether; steps -= kTogether, settle())
            for (int64_t i = 0; i < kTogether; ++i) step();
        for (; steps > 0; --steps) step();
        settle();
        for (std::size_t s = 0; s < states; ++s) std::memcpy(carry(s) + first, &carried[s], sizeof(Row));
    }

    void hand_out(int64_t begin, int64_t steps) {
        const int64_t n = steps * elements_;
        adjoint_.port(arrive(adjoint_, begin, n), out_.row(begin, 0));
        for (std::size_t s = 0; s < states_; ++s) adjoint_.state(s, cotangent(s));
        std::size_t sink = states_;
        for (R* to : text_.to_ports) adjoint_.into(sink++, to + begin * elements_);
        for (R* made = made_.begin(); made != made_.end(); made += width_) adjoint_.into(sink++, made);
        adjoint_.run();
        const R* made = made_.data();
        for (R* to = sums_.begin(); to != sums_.end(); to += width_, made += width_) adjoint_.add(to, made);
    }

    const BackwardText<R>& text_;
    const Stretch& stretch_;
    const Wanted& wanted_;
    int64_t elements_, interval_, width_;
    std::size_t states_;
    Bench<R> step_, jacobian_, adjoint_;
    Reader<R> out_;
    std::vector<Reader<R>> ports_;
    std::vector<Buffer<R>> lanes_;
    Buffer<R> before_, now_, unread_, slopes_, cotangents_, carries_, sums_, made_;    // `made_`: what one block brings to the sums
};

}  // namespace

template <class R>
bool sweep_scan(const Scanned<R>& programs, const Wanted& wanted, const BackwardText<R>& text) {
    const int64_t interval = text.stretch.interval, elements = text.stretch.elements;
    const int64_t fitting = width_of(programs.adjoint, text.stretch.steps * elements, 1) / (interval * elements);
    const int64_t block = std::max<int64_t>(1, fitting) * interval;
    return Scan<R>(programs, wanted, text, block).run(block);
}

template bool sweep_scan(const Scanned<float>&, const Wanted&, const BackwardText<float>&);
template bool sweep_scan(const Scanned<double>&, const Wanted&, const BackwardText<double>&);

}  // namespace spikeflow
