#include "recurrent.hpp"

#include <algorithm>

#include "engine/buffer.hpp"
#include "threads.hpp"

namespace spikeflow {
namespace {

constexpr int64_t kLine = 64;                       // columns of a packed matrix are a multiple of

std::size_t at(int64_t i) { return static_cast<std::size_t>(i); }

// Samples first to first + count of a stretch, and where their elements lie.
struct Some {
    int64_t first, count, population;
    int64_t begin() const { return first * population; }
    int64_t elements() const { return count * population; }
};

// work(samples) for all samples, in threads.
template <class Make>
void share(const Stretch& stretch, const Make& make) {
    if (stretch.elements == 0) return;
    const int64_t samples = stretch.elements / stretch.population, threads = std::max(1, stretch.threads);
    const int64_t each = (samples + threads - 1) / threads, pieces = (samples + each - 1) / each;
    in_threads(pieces, stretch.threads, [&] {
        return [&](int64_t piece) {
            const int64_t first = piece * each;
            make(Some{first, std::min(each, samples - first), stretch.population});
        };
    });
}

// One step of some samples, as a stretch of its own.
Stretch moment(const Stretch& whole, const Some& some) { return {1, some.elements(), whole.population, 1, 1, whole.isa}; }

std::vector<Stream<float>> streams_at(const std::vector<Stream<float>>& streams, int64_t offset, int64_t elements) {
    std::vector<Stream<float>> made;
    for (const Stream<float>& s : streams) made.push_back(s.count == 1 ? s : Stream<float>{s.values + offset, elements});
    return made;
}

// A matrix (rows, columns) laid out in rows of a width that kernels like; of `from` itself or of its transpose.
class Packed {
public:
    Packed(const float* from, int64_t population, bool transposed)
        : width_((population + kLine - 1) / kLine * kLine), values_(at(population * width_), 0.0f) {
        for (int64_t i = 0; i < population; ++i)
            for (int64_t j = 0; j < population; ++j) values_[at(transposed ? j * width_ + i : i * width_ + j)] = from[i * population + j];
    }
    int64_t width() const { return width_; }
    const float* data() const { return values_.data(); }

private:
    int64_t width_;
    Buffer<float> values_;
};

class Onward {
public:
    Onward(const Program<float>& program, const Feedback& feedback, const ForwardText<float>& text, const Packed& rows, float* currents)
        : program_(program), feedback_(feedback), text_(text), rows_(rows), currents_(currents) {}

    void operator()(const Some& some) const {
        const Stretch& stretch = text_.stretch;
        const std::size_t states = text_.state.size();
        for (std::size_t s = 0; s < states; ++s) std::copy_n(text_.state[s] + some.begin(), some.elements(), text_.after[s] + some.begin());
        Buffer<float> sums(at(rows_.width())), values(at(some.population));
        Buffer<int32_t> index(at(some.population));
        for (int64_t t = 0; t < stretch.steps; ++t) {
            const int64_t row = t * stretch.elements + some.begin();
            if (text_.kept != nullptr && t > 0 && t % stretch.interval == 0) file(t / stretch.interval - 1, some);
            const float* before = t == 0 ? feedback_.last + some.begin() : text_.out + row - stretch.elements;
            for (int64_t s = 0; s < some.count; ++s)
                arrive(before + s * some.population, row + s * some.population, sums, index.data(), values.data());
            ForwardText<float> step{moment(stretch, some), streams_at(text_.ports, row, some.elements()), text_.params, {}, text_.out + row, {}, nullptr};
            step.ports[feedback_.port] = {currents_ + row, some.elements()};
            for (std::size_t s = 0; s < states; ++s) step.state.push_back(text_.after[s] + some.begin());
            for (std::size_t s = 0; s < states; ++s) step.after.push_back(text_.after[s] + some.begin());
            sweep_forward(program_, step);
        }
    }

private:
    // The current of one sample: what comes from outside, and behind it the rows of its active sources with the bias.
    void arrive(const float* outputs, int64_t place, Buffer<float>& sums, int32_t* index, float* values) const {
        const int64_t population = text_.stretch.population;
        int64_t count = 0;
        bool ones = true;
        for (int64_t j = 0; j < population; ++j)
            if (outputs[j] != 0.0f) {
                index[count] = static_cast<int32_t>(j);
                values[count++] = outputs[j];
                ones &= outputs[j] == 1.0f;
            }
        std::fill(sums.begin(), sums.end(), 0.0f);
        row_kernels<float, float>(static_cast<Isa>(text_.stretch.isa))
            .dense(sums.data(), static_cast<int32_t>(rows_.width()), rows_.data(), index, ones ? nullptr : values, count);
        const Stream<float>& outside = text_.ports[feedback_.port];
        for (int64_t i = 0; i < population; ++i) {
            const float back = feedback_.bias == nullptr ? sums[at(i)] : sums[at(i)] + feedback_.bias[i];
            currents_[place + i] = (outside.count == 1 ? outside.values[0] : outside.values[place + i]) + back;
        }
    }
    void file(int64_t kept, const Some& some) const {
        const auto states = static_cast<int64_t>(text_.state.size());
        for (int64_t s = 0; s < states; ++s)
            std::copy_n(text_.after[at(s)] + some.begin(), some.elements(), text_.kept + (kept * states + s) * text_.stretch.elements + some.begin());
    }

    const Program<float>& program_;
    const Feedback& feedback_;
    const ForwardText<float>& text_;
    const Packed& rows_;
    float* currents_;
};

class Back {
public:
    Back(const StepBack& programs, const Feedback& feedback, const BackwardText<float>& text, const Packed& rows, float* total)
        : programs_(programs), feedback_(feedback), text_(text), rows_(rows), total_(total) {}

    void operator()(const Some& some) const {
        const Stretch& stretch = text_.stretch;
        const std::size_t states = text_.state.size(), each = at(some.elements());
        Buffer<float> before(at(stretch.interval) * states * each), carried(states * each), to_port(each), unread(each);
        for (std::size_t s = 0; s < states; ++s)
            for (std::size_t e = 0; e < each; ++e)
                carried[s * each + e] = text_.after[s].values[text_.after[s].count == 1 ? 0 : some.begin() + static_cast<int64_t>(e)];
        for (int64_t segment = stretch.kept(); segment >= 0; --segment) {
            const int64_t begin = segment * stretch.interval, end = std::min(stretch.steps, begin + stretch.interval);
            restore(segment, end - begin, some, before.data(), unread.data());
            for (int64_t t = end - 1; t >= begin; --t) {
                float* total = total_ + t * stretch.elements + some.begin();
                given(t, some, total);
                if (t + 1 < stretch.steps) come_back(some, to_port.data(), total);
                step(t, some, before.data() + at(t - begin) * states * each, {carried.data(), to_port.data()});
            }
        }
    }

private:
    struct Into {
        float *states, *port;
    };

    void given(int64_t t, const Some& some, float* total) const {
        const int64_t row = t * text_.stretch.elements + some.begin();
        if (text_.out.count == 1) std::fill_n(total, some.elements(), text_.out.values[0]);
        else std::copy_n(text_.out.values + row, some.elements(), total);
    }

    // total[j] += sum_i weight[i][j] to_port[i], for each sample: what its neurons' currents of the next step ask of them.
    void come_back(const Some& some, const float* to_port, float* total) const {
        row_kernels<float, float>(static_cast<Isa>(text_.stretch.isa))
            .matrix(total, static_cast<int32_t>(some.population), static_cast<int32_t>(some.count), rows_.data(), rows_.width(), to_port);
    }

    // The states before each step of a segment, from those kept at its beginning.
    void restore(int64_t segment, int64_t steps, const Some& some, float* before, float* unread) const {
        const Stretch& stretch = text_.stretch;
        const auto states = static_cast<int64_t>(text_.state.size());
        const int64_t each = some.elements();
        for (int64_t s = 0; s < states; ++s) {
            const float* from = segment == 0 ? text_.state[at(s)] : text_.kept + ((segment - 1) * states + s) * stretch.elements;
            std::copy_n(from + some.begin(), each, before + s * each);
        }
        for (int64_t i = 0; i + 1 < steps; ++i) {
            const int64_t row = (segment * stretch.interval + i) * stretch.elements + some.begin();
            ForwardText<float> step{moment(stretch, some), streams_at(text_.ports, row, each), text_.params, {}, unread, {}, nullptr};
            for (int64_t s = 0; s < states; ++s) step.state.push_back(before + (i * states + s) * each);
            for (int64_t s = 0; s < states; ++s) step.after.push_back(before + ((i + 1) * states + s) * each);
            sweep_forward(programs_.step, step);
        }
    }

    void step(int64_t t, const Some& some, const float* state, const Into& into) const {
        const int64_t row = t * text_.stretch.elements + some.begin(), each = some.elements();
        BackwardText<float> step;
        step.stretch = moment(text_.stretch, some);
        step.ports = streams_at(text_.ports, row, each);
        step.params = text_.params;
        step.out = {total_ + row, each};
        step.to_ports = {into.port};
        for (std::size_t s = 0; s < text_.state.size(); ++s) {
            step.state.push_back(state + s * at(each));
            step.after.push_back({into.states + s * at(each), each});
            step.to_state.push_back(into.states + s * at(each));
        }
        sweep_backward<float>(programs_.back, {{static_cast<int32_t>(feedback_.port)}, {}}, step);
    }

    const StepBack& programs_;
    const Feedback& feedback_;
    const BackwardText<float>& text_;
    const Packed& rows_;
    float* total_;
};

}  // namespace

void recurrent_forward(const Program<float>& program, const Feedback& feedback, const ForwardText<float>& text, float* currents) {
    const Packed rows(feedback.weight, text.stretch.population, true);
    share(text.stretch, Onward(program, feedback, text, rows, currents));
}

void recurrent_backward(const StepBack& programs, const Feedback& feedback, const BackwardText<float>& text, float* total) {
    const Packed rows(feedback.weight, text.stretch.population, false);
    share(text.stretch, Back(programs, feedback, text, rows, total));
}

}  // namespace spikeflow
