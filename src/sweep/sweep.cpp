#include "sweep.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace spikeflow {
namespace {

// Below this a cotangent counts as 0, and is not halved on and on through the slow numbers next to 0.
template <class R>
inline constexpr R kFaint = sizeof(R) == 4 ? R(0x1p-120) : R(0x1p-1000);
template <class R>
inline constexpr R kFlush = R(0x1p-100);
constexpr int64_t kCache = 24 * 1024, kNarrowest = 64, kWidest = 1024;
constexpr int64_t kWorth = 1 << 18;                 // operations on elements below which a thread costs more than it brings

std::size_t at(int64_t i) { return static_cast<std::size_t>(i); }

// Elements of a block: as many as let the registers of a program lie in the first-level cache.
template <class R>
int64_t width_of(const Program<R>& program, int64_t elements, int32_t threads) {
    const auto places = static_cast<int64_t>(program.frame(1).places.size());
    const int64_t fitting = std::clamp(kCache / (places * static_cast<int64_t>(sizeof(R))), kNarrowest, kWidest);
    const int64_t shared = (elements + threads - 1) / threads;
    return (std::min(fitting, std::max(kNarrowest, shared)) + kNarrowest - 1) / kNarrowest * kNarrowest;
}

int32_t threads_of(const Stretch& stretch, std::size_t operations) {
    const int64_t worth = stretch.steps * stretch.elements * static_cast<int64_t>(operations) / kWorth;
    return static_cast<int32_t>(std::clamp<int64_t>(worth, 1, std::max(1, stretch.threads)));
}

// work(block) for each block, in threads that take the next one when they are done; `make` gives each its own worker.
template <class Make>
void share(int64_t elements, int64_t width, int32_t threads, const Make& make) {
    if (elements == 0) return;                      // of arrays that need not be anywhere
    std::atomic<int64_t> next{0};
    const auto run = [&] {
        auto worker = make();
        for (int64_t first = next.fetch_add(width); first < elements; first = next.fetch_add(width))
            worker(first, static_cast<int32_t>(std::min(width, elements - first)));
    };
    std::vector<std::thread> others;
    const int64_t blocks = (elements + width - 1) / width;
    for (int64_t i = 1; i < std::min<int64_t>(threads, blocks); ++i) others.emplace_back(run);
    run();
    for (std::thread& other : others) other.join();
}

// A program with the parameters and constant ports of one block in place.
template <class R>
class Bench {
public:
    Bench(const Program<R>& program, const Stretch& stretch, const std::vector<Parameter<R>>& params, int64_t width)
        : program_(program), kernels_(kernels<R>(static_cast<Isa>(stretch.isa))), stretch_(stretch), params_(params),
          frame_(program.frame(static_cast<int32_t>(width))), width_(at(width)), filled_(at(program.params()) * width_) {
        for (std::size_t p = 0; p < params.size(); ++p) {
            frame_.places[program.param_place(static_cast<int32_t>(p))] = filled_.data() + p * width_;
            if (params[p].owner == nullptr) std::fill_n(filled_.data() + p * width_, width_, params[p].values[0]);
        }
    }

    void begin(int64_t first, int32_t n) {
        n_ = n;
        for (std::size_t p = 0; p < params_.size(); ++p) {
            if (params_[p].owner == nullptr) continue;
            int64_t neuron = first % stretch_.population;
            for (std::size_t i = 0; i < at(n); ++i) {
                filled_[p * width_ + i] = params_[p].values[params_[p].owner[neuron]];
                if (++neuron == stretch_.population) neuron = 0;
            }
        }
    }

    void port(std::size_t i, const R* values) { frame_.places[program_.input_place(static_cast<int32_t>(i))] = const_cast<R*>(values); }
    void state(std::size_t i, const R* values) { frame_.places[program_.state_place(static_cast<int32_t>(i))] = const_cast<R*>(values); }
    void run() { program_.run(frame_, kernels_, n_, {{}, nullptr}); }
    void output(R* to) const { std::copy_n(program_.output(frame_), n_, to); }
    const R* next(std::size_t i) const { return program_.next_state(frame_, i); }
    void keep(R* to, std::size_t i, R least) const { kernels_.keep(to, next(i), least, n_); }
    void add(R* to, const R* from) const { kernels_.add(to, to, from, n_); }

private:
    const Program<R>& program_;
    const Kernels<R>& kernels_;
    const Stretch& stretch_;
    const std::vector<Parameter<R>>& params_;
    typename Program<R>::Frame frame_;
    std::size_t width_;
    Buffer<R> filled_;
    int32_t n_ = 0;
};

// A stream as a block reads it: its row of a step, or a row of the one number.
template <class R>
class Reader {
public:
    Reader(const Stream<R>& stream, const Stretch& stretch, int64_t width)
        : stream_(stream), elements_(stretch.elements), one_(stream.count == 1 ? at(width) : 0) {
        if (stream.count == 1) std::fill_n(one_.data(), width, stream.values[0]);
    }
    const R* row(int64_t step, int64_t first) const {
        return stream_.count == 1 ? one_.data() : stream_.values + step * elements_ + first;
    }
    // The next row is asked for while this one is worked on: no prefetcher follows strides of this length.
    void ahead(int64_t step, int64_t first, int32_t n) const {
        if (stream_.count == 1) return;
        const R* next = row(step, first);
        for (int32_t i = 0; i < n; i += static_cast<int32_t>(64 / sizeof(R))) __builtin_prefetch(next + i);
    }

private:
    Stream<R> stream_;
    int64_t elements_;
    Buffer<R> one_;
};

template <class R>
std::vector<Reader<R>> readers(const std::vector<Stream<R>>& streams, const Stretch& stretch, int64_t width) {
    std::vector<Reader<R>> made;
    for (const Stream<R>& stream : streams) made.emplace_back(stream, stretch, width);
    return made;
}

template <class R>
class Onward {
public:
    Onward(const Program<R>& program, const ForwardText<R>& text, int64_t width)
        : text_(text), stretch_(text.stretch), bench_(program, stretch_, text.params, width),
          ports_(readers(text.ports, stretch_, width)), width_(width), states_(text.state.size()), now_(states_ * at(width)) {
        for (std::size_t s = 0; s < states_; ++s) bench_.state(s, now_.data() + s * at(width));
    }

    void operator()(int64_t first, int32_t n) {
        bench_.begin(first, n);
        for (std::size_t s = 0; s < states_; ++s) std::copy_n(text_.state[s] + first, n, state(s));
        for (int64_t t = 0; t < stretch_.steps; ++t) {
            if (text_.kept != nullptr && t > 0 && t % stretch_.interval == 0) file(t / stretch_.interval - 1, first, n);
            for (std::size_t p = 0; p < ports_.size(); ++p) {
                bench_.port(p, ports_[p].row(t, first));
                if (t + 1 < stretch_.steps) ports_[p].ahead(t + 1, first, n);
            }
            bench_.run();
            bench_.output(text_.out + t * stretch_.elements + first);
            for (std::size_t s = 0; s < states_; ++s) bench_.keep(state(s), s, kFlush<R>);
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
    int64_t width_;
    std::size_t states_;
    Buffer<R> now_;
};

template <class R>
class Back {
public:
    Back(const Program<R>& again, const Program<R>& adjoint, const Wanted& wanted, const BackwardText<R>& text, R* sums, int64_t width)
        : text_(text), stretch_(text.stretch), wanted_(wanted), again_(again, stretch_, text.params, width),
          adjoint_(adjoint, stretch_, text.params, width), ports_(readers(text.ports, stretch_, width)),
          out_(text.out, stretch_, width), after_(readers(text.after, stretch_, width)), sums_(sums), width_(width),
          states_(text.state.size()), rows_(at(stretch_.interval) * states_ * at(width)), cotangents_(states_ * at(width)),
          unread_(at(width), R{0}) {
        for (std::size_t s = 0; s < states_; ++s) adjoint_.state(s, cotangents_.data() + s * at(width));
        // the adjoint never reads these, but every place must be somewhere
        for (std::size_t i = 0; i < wanted.ports.size() + wanted.params.size(); ++i) adjoint_.state(states_ + i, unread_.data());
    }

    void operator()(int64_t first, int32_t n) {
        again_.begin(first, n);
        adjoint_.begin(first, n);
        for (std::size_t s = 0; s < states_; ++s) std::copy_n(after_[s].row(0, first), n, cotangent(s));
        for (int64_t segment = stretch_.kept(); segment >= 0; --segment) {
            const int64_t begin = segment * stretch_.interval, end = std::min(stretch_.steps, begin + stretch_.interval);
            restore(segment, begin, end, first, n);
            for (int64_t t = end - 1; t >= begin; --t) step(t, t - begin, first, n);
        }
        for (std::size_t s = 0; s < states_; ++s)
            if (text_.to_state[s] != nullptr) std::copy_n(cotangent(s), n, text_.to_state[s] + first);
    }

private:
    // State s before step begin + row.
    R* row(int64_t row, std::size_t s) { return rows_.data() + (at(row) * states_ + s) * at(width_); }
    R* cotangent(std::size_t s) { return cotangents_.data() + s * at(width_); }

    // The states before each step of a segment, from those kept at its beginning.
    void restore(int64_t segment, int64_t begin, int64_t end, int64_t first, int32_t n) {
        for (std::size_t s = 0; s < states_; ++s) {
            const int64_t filed = (segment - 1) * static_cast<int64_t>(states_) + static_cast<int64_t>(s);
            const R* from = segment == 0 ? text_.state[s] : text_.kept + filed * stretch_.elements;
            std::copy_n(from + first, n, row(0, s));
        }
        if (states_ == 0) return;
        for (int64_t t = begin; t + 1 < end; ++t) {
            for (std::size_t p = 0; p < ports_.size(); ++p) {
                again_.port(p, ports_[p].row(t, first));
                ports_[p].ahead(t + 1, first, n);
            }
            for (std::size_t s = 0; s < states_; ++s) again_.state(s, row(t - begin, s));
            again_.run();
            for (std::size_t s = 0; s < states_; ++s) again_.keep(row(t + 1 - begin, s), s, kFlush<R>);
        }
    }

    void step(int64_t t, int64_t at_row, int64_t first, int32_t n) {
        std::size_t port = 0;
        for (const Reader<R>& reader : ports_) adjoint_.port(port++, reader.row(t, first));
        for (std::size_t s = 0; s < states_; ++s) adjoint_.port(port++, row(at_row, s));
        adjoint_.port(port, out_.row(t, first));
        if (t > 0) out_.ahead(t - 1, first, n);
        adjoint_.run();
        std::size_t made = states_;
        for (std::size_t i = 0; i < wanted_.ports.size(); ++i)
            std::copy_n(adjoint_.next(made++), n, text_.to_ports[i] + t * stretch_.elements + first);
        for (std::size_t i = 0; i < wanted_.params.size(); ++i)
            adjoint_.add(sums_ + static_cast<int64_t>(i) * stretch_.elements + first, adjoint_.next(made++));
        for (std::size_t s = 0; s < states_; ++s) adjoint_.keep(cotangent(s), s, kFaint<R>);
    }

    const BackwardText<R>& text_;
    const Stretch& stretch_;
    const Wanted& wanted_;
    Bench<R> again_, adjoint_;
    std::vector<Reader<R>> ports_;
    Reader<R> out_;
    std::vector<Reader<R>> after_;
    R* sums_;
    int64_t width_;
    std::size_t states_;
    Buffer<R> rows_, cotangents_, unread_;
};

// What the elements bring to each entry of a parameter, added in their order.
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

}  // namespace

template <class R>
void sweep_forward(const Program<R>& program, const ForwardText<R>& text) {
    const int32_t threads = threads_of(text.stretch, program.operations());
    const int64_t width = width_of(program, text.stretch.elements, threads);
    share(text.stretch.elements, width, threads, [&] { return Onward<R>(program, text, width); });
}

template <class R>
void sweep_backward(const Program<R>& again, const Program<R>& adjoint, const Wanted& wanted, const BackwardText<R>& text) {
    const Stretch& stretch = text.stretch;
    const int32_t threads = threads_of(stretch, again.operations() + adjoint.operations());
    const int64_t width = width_of(adjoint, stretch.elements, threads);
    Buffer<R> sums(wanted.params.size() * at(stretch.elements), R{0});
    share(stretch.elements, width, threads, [&] { return Back<R>(again, adjoint, wanted, text, sums.data(), width); });
    for (std::size_t i = 0; i < wanted.params.size(); ++i)
        add_up(stretch, text.params[at(wanted.params[i])], sums.data() + static_cast<int64_t>(i) * stretch.elements, text.to_params[i]);
}

template void sweep_forward(const Program<float>&, const ForwardText<float>&);
template void sweep_forward(const Program<double>&, const ForwardText<double>&);
template void sweep_backward(const Program<float>&, const Program<float>&, const Wanted&, const BackwardText<float>&);
template void sweep_backward(const Program<double>&, const Program<double>&, const Wanted&, const BackwardText<double>&);

}  // namespace spikeflow
