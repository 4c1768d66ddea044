// OfMeans: a function of the running means of what arrives, handed on as its rise from step to step. Sums in C order,
// each operation rounded by itself, as in spikeflow/ir/nodes/of_means.py.

#include <cmath>

#include "functions.hpp"
#include "joint.hpp"

namespace spikeflow {
namespace {

using Values = Buffer<float>;

// f of one value for each port; `room` is the caller's, of any size.
class Function {
public:
    virtual ~Function() = default;
    virtual void of(const std::vector<Values>& in, Values& out, Values& room) const = 0;

    int64_t operations = 0;      // multiply-accumulates of a step
};

// a b, or a / b and 0 where b is 0; of each port the place of every result's argument.
struct Combined final : Function {
    std::vector<int32_t> a, b;
    bool quotient = false;

    void of(const std::vector<Values>& in, Values& out, Values&) const override {
        const float *x = in[0].data(), *y = in[1].data();
        for (std::size_t i = 0; i < a.size(); ++i) {
            const float p = x[a[i]], q = y[b[i]];
            out[i] = quotient ? (q != 0.0F ? p / q : 0.0F) : p * q;
        }
    }
};

// The square root, or `least` where that is more.
struct Root final : Function {
    float least = 0;

    void of(const std::vector<Values>& in, Values& out, Values&) const override {
        for (std::size_t i = 0; i < out.size(); ++i) {
            const float x = in[0][i], root = std::sqrt(x > 0.0F ? x : 0.0F);
            out[i] = root > least ? root : least;
        }
    }
};

// a b for matrices over the last two axes, or a times b turned round.
struct Matmul final : Function {
    std::size_t rows = 0, inner = 0, columns = 0;
    bool transposed = false;

    void of(const std::vector<Values>& in, Values& out, Values& room) const override {
        std::fill(out.begin(), out.end(), 0.0F);
        room.resize(inner * columns);
        for (std::size_t m = 0; m * rows * columns < out.size(); ++m) {
            const float* b = in[1].data() + m * inner * columns;
            if (transposed) {
                for (std::size_t j = 0; j < columns; ++j)
                    for (std::size_t k = 0; k < inner; ++k) room[k * columns + j] = b[j * inner + k];
                b = room.data();
            }
            for (std::size_t i = 0; i < rows; ++i) {
                const float* a = in[0].data() + (m * rows + i) * inner;
                float* to = out.data() + (m * rows + i) * columns;
                for (std::size_t k = 0; k < inner; ++k)
                    for (std::size_t j = 0; j < columns; ++j) to[j] += a[k] * b[k * columns + j];
            }
        }
    }
};

// exp(x - max) over their sum, for rows of `size`.
struct Softmax final : Function {
    std::size_t size = 1;

    void of(const std::vector<Values>& in, Values& out, Values&) const override {
        for (std::size_t at = 0; at < out.size(); at += size) {
            const float* x = in[0].data() + at;
            float* y = out.data() + at;
            float most = x[0];
            for (std::size_t i = 1; i < size; ++i) most = most < x[i] ? x[i] : most;
            for (std::size_t i = 0; i < size; ++i) y[i] = exp_formula<float>(x[i] - most);
            float total = y[0];
            for (std::size_t i = 1; i < size; ++i) total += y[i];
            for (std::size_t i = 0; i < size; ++i) y[i] /= total;
        }
    }
};

// Groups of `size` by their own mean and spread.
struct Normalise final : Function {
    std::size_t size = 1;
    float epsilon = 0;
    bool centred = true;

    void of(const std::vector<Values>& in, Values& out, Values&) const override {
        const auto count = static_cast<float>(size);
        for (std::size_t at = 0; at < out.size(); at += size) {
            const float* x = in[0].data() + at;
            float* y = out.data() + at;
            float total = x[0];
            for (std::size_t i = 1; i < size; ++i) total += x[i];
            const float mean = total / count;
            for (std::size_t i = 0; i < size; ++i) y[i] = centred ? x[i] - mean : x[i];
            float squares = y[0] * y[0];
            for (std::size_t i = 1; i < size; ++i) squares += y[i] * y[i];
            const float spread = std::sqrt(squares / count + epsilon);
            for (std::size_t i = 0; i < size; ++i) y[i] = spread != 0.0F ? y[i] / spread : 0.0F;
        }
    }
};

class OfMeansNode final : public Node<float> {
public:
    OfMeansNode(const std::string& name, Layout layout, std::vector<Layout> in, std::unique_ptr<Function> function)
        : Node<float>(name, std::move(layout), in.size()), in(std::move(in)), function(std::move(function)) {}

    void check_source(std::size_t port, const Layout& from) const override {
        require(from.shape == in[port].shape, name, "a source of another shape");
    }
    std::unique_ptr<Runner<float>> runner(const Context<float>& context) const override;
    bool repeats() const override { return false; }

    std::vector<Layout> in;
    std::unique_ptr<Function> function;
};

class OfMeansRunner final : public Runner<float> {
public:
    explicit OfMeansRunner(const OfMeansNode& node)
        : node_(node), held_(static_cast<std::size_t>(node.layout.size)), now_(held_.size()) {
        for (const Layout& in : node.in) {
            sums_.emplace_back(static_cast<std::size_t>(in.size));
            means_.emplace_back(static_cast<std::size_t>(in.size));
        }
        reset();
    }

    void reset() override {
        for (Values& sums : sums_) std::fill(sums.begin(), sums.end(), 0.0F);
        std::fill(held_.begin(), held_.end(), 0.0F);
        steps_ = 0;
    }

    void step(Step<float>& step) override {
        steps_ += 1.0F;
        for (std::size_t p = 0; p < sums_.size(); ++p) {
            const Events<float>& in = step.ports[p].value().events();
            Values &sums = sums_[p], &means = means_[p];
            for (std::size_t e = 0; e < in.size(); ++e) sums[static_cast<std::size_t>(in.index[e])] += in.at(e);
            for (std::size_t i = 0; i < sums.size(); ++i) means[i] = sums[i] / steps_;
        }
        node_.function->of(means_, now_, room_);
        step.counters.multiplies += node_.function->operations;
        Events<float>& out = step.out.write_events();
        for (std::size_t i = 0; i < now_.size(); ++i) {
            const float now = now_[i] * steps_, risen = now - held_[i];
            held_[i] = now;
            if (risen == 0.0F) continue;
            out.index.push(static_cast<int32_t>(i));
            out.value.push(risen);
        }
        out.settle();
    }

    // The sums of each port, what was handed on so far, and the steps.
    std::size_t memories() const override { return sums_.size() + 2; }
    void save(std::size_t memory, int64_t, std::span<float> to) const override {
        const std::span<const float> from = memory < sums_.size() ? sums_[memory].span()
            : memory == sums_.size() ? held_.span() : std::span<const float>(&steps_, 1);
        check_size(to.size(), from.size());
        std::copy(from.begin(), from.end(), to.begin());
    }
    void load(std::size_t memory, int64_t, std::span<const float> from) override {
        const std::span<float> to = memory < sums_.size() ? sums_[memory].span()
            : memory == sums_.size() ? held_.span() : std::span<float>(&steps_, 1);
        check_size(from.size(), to.size());
        std::copy(from.begin(), from.end(), to.begin());
    }

private:
    void check_size(std::size_t count, std::size_t expected) const {
        if (count != expected) throw Error(Fault::simulation, node_.name, "a state of another size");
    }

    const OfMeansNode& node_;
    std::vector<Values> sums_, means_;
    Values held_, now_, room_;
    float steps_ = 0;
};

std::unique_ptr<Runner<float>> OfMeansNode::runner(const Context<float>&) const {
    return std::make_unique<OfMeansRunner>(*this);
}

enum Place : int64_t { product, quotient, root, matmul, softmax, normalise };

float as_float(int64_t bits) { return __builtin_bit_cast(float, static_cast<int32_t>(bits)); }

// A number that is a size of something in a node of so many values.
std::size_t size_of(int64_t number, int32_t values, const std::string& name) {
    require(number >= 1 && number <= values, name, "a size that does not fit its shape");
    return static_cast<std::size_t>(number);
}

std::unique_ptr<Function> combined(const JointText& text, const std::vector<Layout>& in, const Layout& out) {
    text.require_form(2, 2, 1);
    auto made = std::make_unique<Combined>();
    made->quotient = text.numbers[0] == quotient;
    std::vector<int32_t>* const places[] = {&made->a, &made->b};
    for (std::size_t p = 0; p < 2; ++p) {
        require(text.lists[p].size() == static_cast<std::size_t>(out.size), text.name, "places of another number");
        for (const int32_t at : text.lists[p]) require(at >= 0 && at < in[p].size, text.name, "a place that does not exist");
        places[p]->assign(text.lists[p].begin(), text.lists[p].end());
    }
    made->operations = out.size;
    return made;
}

std::unique_ptr<Function> multiplied(const JointText& text, const std::vector<Layout>& in, const Layout& out) {
    text.require_form(2, 0, 5);
    auto made = std::make_unique<Matmul>();
    made->rows = size_of(text.numbers[1], out.size, text.name);
    made->inner = size_of(text.numbers[2], in[0].size, text.name);
    made->columns = size_of(text.numbers[3], out.size, text.name);
    made->transposed = text.numbers[4] != 0;
    const std::size_t each = made->rows * made->columns, count = static_cast<std::size_t>(out.size) / each;
    require(count * each == static_cast<std::size_t>(out.size) &&
            count * made->rows * made->inner == static_cast<std::size_t>(in[0].size) &&
            count * made->inner * made->columns == static_cast<std::size_t>(in[1].size), text.name, "matrices of another size");
    made->operations = out.size * static_cast<int64_t>(made->inner);
    return made;
}

// The functions of one port, whose results have the shape of what arrives.
std::unique_ptr<Function> of_one(const JointText& text, const Layout& in, const Layout& out) {
    require(in.size == out.size, text.name, "a result of another size");
    const auto groups = [&](int64_t number) {
        const std::size_t size = size_of(number, out.size, text.name);
        require(static_cast<std::size_t>(out.size) % size == 0, text.name, "groups that do not fit its shape");
        return size;
    };
    if (text.numbers[0] == root) {
        text.require_form(1, 0, 2);
        auto made = std::make_unique<Root>();
        made->least = as_float(text.numbers[1]);
        made->operations = out.size;
        return made;
    }
    if (text.numbers[0] == softmax) {
        text.require_form(1, 0, 2);
        auto made = std::make_unique<Softmax>();
        made->size = groups(text.numbers[1]);
        made->operations = 2 * int64_t{out.size};
        return made;
    }
    require(text.numbers[0] == normalise, text.name, "a function that the engine does not know");
    text.require_form(1, 0, 4);
    auto made = std::make_unique<Normalise>();
    made->size = groups(text.numbers[1]);
    made->epsilon = as_float(text.numbers[2]);
    made->centred = text.numbers[3] != 0;
    made->operations = 2 * int64_t{out.size};
    return made;
}

}  // namespace

template <class V>
MadeJoint<V> make_of_means(const JointText& text) {
    if constexpr (!std::is_same_v<V, float>) {
        throw Error(Fault::graph, text.name, "a function of running means in integers", "floats");
    } else {
        require(!text.numbers.empty() && !text.in.empty(), text.name, "another number of ports, lists or numbers");
        std::vector<Layout> in;
        for (const Shape& shape : text.in) in.emplace_back(shape, text.name);
        Layout out(text.out, text.name);
        const int64_t place = text.numbers[0];
        std::unique_ptr<Function> function = place == product || place == quotient ? combined(text, in, out)
            : place == matmul ? multiplied(text, in, out) : of_one(text, in[0], out);
        return std::make_unique<OfMeansNode>(text.name, std::move(out), std::move(in), std::move(function));
    }
}

SPIKEFLOW_INSTANTIATE_JOINT(of_means)

}  // namespace spikeflow
