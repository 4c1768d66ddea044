#include <optional>

#include "bench.hpp"
#include "large_pages.hpp"
#include "threads.hpp"

namespace spikeflow {
namespace {

constexpr int64_t kAhead = 4;                       // rows by which memory is asked for before its turn
constexpr int64_t kWorth = 1 << 18;                 // operations on elements below which a thread costs more than it brings

int32_t threads_of(const Stretch& stretch, std::size_t operations) {
    const int64_t worth = stretch.steps * stretch.elements * static_cast<int64_t>(operations) / kWorth;
    return static_cast<int32_t>(std::clamp<int64_t>(worth, 1, std::max(1, stretch.threads)));
}

// work(block) for each block of elements, in threads.
template <class Make>
void share(int64_t elements, int64_t width, int32_t threads, const Make& make) {
    in_threads((elements + width - 1) / width, threads, [&] {
        return [&, worker = make()](int64_t block) mutable {
            const int64_t first = block * width;
            worker(first, static_cast<int32_t>(std::min(width, elements - first)));
        };
    });
}

template <class R>
class Onward {
public:
    Onward(const Program<R>& program, const ForwardText<R>& text, int64_t width)
        : text_(text), stretch_(text.stretch), bench_(program, stretch_, text.params, width),
          ports_(readers(text.ports, stretch_, width)), width_(width), states_(text.state.size()), now_(states_ * at(width)) {
        for (std::size_t s = 0; s < states_; ++s) bench_.state(s, state(s)), bench_.into(s, state(s));
    }

    void operator()(int64_t first, int32_t n) {
        bench_.begin(first, n);
        for (std::size_t s = 0; s < states_; ++s) std::copy_n(text_.state[s] + first, n, state(s));
        for (int64_t t = 0; t < stretch_.steps; ++t) {
            if (text_.kept != nullptr && t > 0 && t % stretch_.interval == 0) file(t / stretch_.interval - 1, first, n);
            for (std::size_t p = 0; p < ports_.size(); ++p) {
                bench_.port(p, ports_[p].row(t, first));
                ports_[p].ahead(t + kAhead, first, n);
            }
            R* const out = text_.out + t * out_stride_ + first;
            bench_.out(out);
            if (t + kAhead < stretch_.steps) ask_for<true>(out + kAhead * out_stride_, n);
            bench_.run(kFlush<R>);
        }
        for (std::size_t s = 0; s < states_; ++s) std::copy_n(state(s), n, text_.after[s] + first);
    }

private:
    R* state(std::size_t s) { return now_.data() + s * at(width_); }
    void file(int64_t moment, int64_t first, int32_t n) {
        for (std::size_t s = 0; s < states_; ++s)
            std::copy_n(state(s), n, text_.kept + (moment * static_cast<int64_t>(states_) + static_cast<int64_t>(s)) * stretch_.elements + first);
    }

    const ForwardText<R>& text_;
    const Stretch& stretch_;
    Bench<R> bench_;
    std::vector<Reader<R>> ports_;
    int64_t width_, out_stride_ = text_.out_stride == 0 ? stretch_.elements : text_.out_stride;
    std::size_t states_;
    Buffer<R> now_;
};

template <class R>
class Back {
public:
    Back(const Backward<R>& programs, const Wanted& wanted, const BackwardText<R>& text, R* totals, int64_t width)
        : text_(text), stretch_(text.stretch), wanted_(wanted), again_(programs.again, stretch_, text.params, width),
          adjoint_(programs.adjoint, stretch_, text.params, width), ports_(readers(text.ports, stretch_, width)),
          out_(text.out, stretch_, width), after_(readers(text.after, stretch_, width)), totals_(totals), width_(width),
          states_(text.state.size()), kept_(at(programs.again.states())), rows_(at(stretch_.interval) * kept_ * at(width)),
          cotangents_(states_ * at(width)), sums_(programs.sums() * at(width)), made_(sums_.size()), unread_(at(width), R{0}) {
        if (programs.gathered != nullptr) gathered_.emplace(*programs.gathered, stretch_, text.params, width);
        for (std::size_t s = 0; s < states_; ++s) adjoint_.state(s, cotangent(s)), adjoint_.into(s, cotangent(s));
        for (std::size_t i = 0; i < programs.sums(); ++i) adjoint_.into(states_ + wanted.ports.size() + i, made_.data() + i * at(width));
        // the programs never read these, but every place must be somewhere
        for (std::size_t i = states_; i < kept_; ++i) again_.state(i, unread_.data());
        for (std::size_t i = 0; i < wanted.ports.size() + programs.sums(); ++i) adjoint_.state(states_ + i, unread_.data());
        for (std::size_t i = 0; i < wanted.params.size(); ++i) gathered_->state(i, unread_.data());
    }

    void operator()(int64_t first, int32_t n) {
        again_.begin(first, n);
        adjoint_.begin(first, n);
        std::fill(sums_.begin(), sums_.end(), R{0});
        for (std::size_t s = 0; s < states_; ++s) std::copy_n(after_[s].row(0, first), n, cotangent(s));
        for (int64_t segment = stretch_.kept(); segment >= 0; --segment) {
            const int64_t begin = segment * stretch_.interval, end = std::min(stretch_.steps, begin + stretch_.interval);
            restore(segment, begin, end, first, n);
            for (int64_t t = end - 1; t >= begin; --t) step(t, t - begin, first, n);
        }
        for (std::size_t s = 0; s < states_; ++s)
            if (text_.to_state[s] != nullptr) std::copy_n(cotangent(s), n, text_.to_state[s] + first);
        if (gathered_) gather(first, n);
    }

private:
    // State s before step begin + row; behind the states, what that step leaves on the tape.
    R* row(int64_t row, std::size_t s) { return rows_.data() + (at(row) * kept_ + s) * at(width_); }
    R* cotangent(std::size_t s) { return cotangents_.data() + s * at(width_); }

    // The states before each step of a segment, from those kept at its beginning, and the tape of each.
    void restore(int64_t segment, int64_t begin, int64_t end, int64_t first, int32_t n) {
        for (std::size_t s = 0; s < states_; ++s) {
            const int64_t filed = (segment - 1) * static_cast<int64_t>(states_) + static_cast<int64_t>(s);
            const R* from = segment == 0 ? text_.state[s] : text_.kept + filed * stretch_.elements;
            std::copy_n(from + first, n, row(0, s));
        }
        if (kept_ == 0) return;
        const int64_t runs = kept_ == states_ ? end - 1 : end;      // the last states are those that follow
        for (int64_t t = begin; t < runs; ++t) {
            for (std::size_t p = 0; p < ports_.size(); ++p) {
                again_.port(p, ports_[p].row(t, first));
                ports_[p].ahead(t - stretch_.interval, first, n);    // a segment earlier is next
            }
            for (std::size_t s = 0; s < states_; ++s) again_.state(s, row(t - begin, s));
            for (std::size_t s = 0; s < states_; ++s) again_.into(s, t + 1 < end ? row(t + 1 - begin, s) : nullptr);
            for (std::size_t i = states_; i < kept_; ++i) again_.into(i, row(t - begin, i));
            again_.run(kFlush<R>);
        }
    }

    void step(int64_t t, int64_t at_row, int64_t first, int32_t n) {
        std::size_t port = 0;
        for (const Reader<R>& reader : ports_) adjoint_.port(port++, reader.row(t, first));
        for (std::size_t s = 0; s < states_; ++s) adjoint_.port(port++, row(at_row, s));
        adjoint_.port(port++, out_.row(t, first));
        for (std::size_t i = states_; i < kept_; ++i) adjoint_.port(port++, row(at_row, i));
        out_.ahead(t - kAhead, first, n);
        for (std::size_t i = 0; i < wanted_.ports.size(); ++i) {
            R* const to = text_.to_ports[i] + t * ports_stride_ + first;
            adjoint_.into(states_ + i, to);
            if (t >= kAhead) ask_for<true>(to - kAhead * ports_stride_, n);
        }
        adjoint_.run(kFaint<R>);
        const R* from = made_.data();
        for (R* to = sums_.begin(); to != sums_.end(); to += width_, from += width_) adjoint_.add(to, from);
    }

    // From the sums over all steps to the parameters.
    void gather(int64_t first, int32_t n) {
        gathered_->begin(first, n);
        std::size_t port = 0;
        for (R* from = sums_.begin(); from != sums_.end(); from += width_) gathered_->port(port++, from);
        for (std::size_t i = 0; i < wanted_.params.size(); ++i)
            gathered_->into(i, totals_ + static_cast<int64_t>(i) * stretch_.elements + first);
        gathered_->run();
    }

    const BackwardText<R>& text_;
    const Stretch& stretch_;
    const Wanted& wanted_;
    Bench<R> again_, adjoint_;
    std::optional<Bench<R>> gathered_;
    std::vector<Reader<R>> ports_;
    Reader<R> out_;
    std::vector<Reader<R>> after_;
    R* totals_;                             // (wanted params, elements)
    int64_t width_, ports_stride_ = text_.ports_stride == 0 ? stretch_.elements : text_.ports_stride;
    std::size_t states_, kept_;             // states, and with what goes on the tape
    Buffer<R> rows_, cotangents_, sums_, made_, unread_;    // `made_`: what one step brings to the sums
};

// What is left of a stretch when its first steps are settled.
template <class R>
ForwardText<R> behind(const ForwardText<R>& text, int64_t settled) {
    ForwardText<R> rest = text;
    rest.stretch.chunk = 0;
    if (settled == 0) return rest;
    rest.stretch.steps -= settled;
    for (Stream<R>& port : rest.ports)
        if (port.count != 1) port.values += settled * text.stretch.elements;
    rest.out += settled * text.stretch.elements;
    rest.state.assign(text.after.begin(), text.after.end());
    const int64_t moments = settled / text.stretch.interval * static_cast<int64_t>(text.state.size());
    if (rest.kept != nullptr) rest.kept += moments * text.stretch.elements;
    return rest;
}

}  // namespace

template <class R>
void add_up(const Stretch& stretch, const Parameter<R>& param, const R* sums, R* to) {
    std::vector<double> total(at(param.count), 0.0);
    int64_t neuron = 0;
    for (int64_t e = 0; e < stretch.elements; ++e) {
        total[param.owner == nullptr ? 0 : at(param.owner[neuron])] += static_cast<double>(sums[e]);
        if (++neuron == stretch.population) neuron = 0;
    }
    std::transform(total.begin(), total.end(), to, [](double x) { return static_cast<R>(x); });
}

template <class R>
int64_t sweep_forward(const Program<R>& program, const ForwardText<R>& text) {
    if (text.stretch.chunk > 0) {
        const int64_t settled = sweep_chunks(program, text);
        if (settled < text.stretch.steps) sweep_forward(program, behind(text, settled));
        return settled;
    }
    const int32_t threads = threads_of(text.stretch, program.operations());
    const int64_t width = width_of(program, text.stretch.elements, threads);
    want_large_pages(text.out, text.stretch.steps * text.stretch.elements);
    share(text.stretch.elements, width, threads, [&] { return Onward<R>(program, text, width); });
    return 0;
}

template <class R>
void sweep_backward(const Backward<R>& programs, const Wanted& wanted, const BackwardText<R>& text) {
    const Stretch& stretch = text.stretch;
    const int32_t threads = threads_of(stretch, programs.again.operations() + programs.adjoint.operations());
    const int64_t width = width_of(programs.adjoint, stretch.elements, threads);
    for (R* const to : text.to_ports) want_large_pages(to, stretch.steps * stretch.elements);
    Buffer<R> totals(wanted.params.size() * at(stretch.elements));
    share(stretch.elements, width, threads, [&] { return Back<R>(programs, wanted, text, totals.data(), width); });
    for (std::size_t i = 0; i < wanted.params.size(); ++i)
        add_up(stretch, text.params[at(wanted.params[i])], totals.data() + static_cast<int64_t>(i) * stretch.elements, text.to_params[i]);
}

template int64_t sweep_forward(const Program<float>&, const ForwardText<float>&);
template int64_t sweep_forward(const Program<double>&, const ForwardText<double>&);
template void sweep_backward(const Backward<float>&, const Wanted&, const BackwardText<float>&);
template void sweep_backward(const Backward<double>&, const Wanted&, const BackwardText<double>&);
template void add_up(const Stretch&, const Parameter<float>&, const float*, float*);
template void add_up(const Stretch&, const Parameter<double>&, const double*, double*);

}  // namespace spikeflow
