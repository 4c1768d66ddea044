#include "moves.hpp"

#include <algorithm>

#include "fixed.hpp"

namespace spikeflow {
namespace {

template <class V>
class MoveNode final : public Node<V> {
public:
    MoveNode(const std::string& name, const std::vector<Shape>& in, Layout out, std::span<const std::span<const int32_t>> targets)
        : Node<V>(name, std::move(out), in.size()) {
        require(in.size() == targets.size() && !in.empty(), name, "ports and maps differ in number");
        for (std::size_t p = 0; p < in.size(); ++p) add_port(Layout(in[p], name), targets[p]);
    }

    void check_source(std::size_t port, const Layout& from) const override {
        require(from.shape == shapes_[port], this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override {
        return std::make_unique<Stateless<V, MoveNode>>(*this, context);
    }

    void step(Step<V>& step, const Context<V>& context) const {
        if (sorted_) join(step);
        else merge(step, context.scratch);
    }

private:
    void add_port(const Layout& in, std::span<const int32_t> targets) {
        require(targets.size() == static_cast<std::size_t>(in.size), this->name, "a map of another size");
        for (const int32_t t : targets) {
            require(t >= -1 && t < this->layout.size, this->name, "a map to an element that does not exist");
            if (t < 0) continue;
            sorted_ = sorted_ && t > highest_;
            highest_ = std::max(highest_, t);
        }
        shapes_.push_back(in.shape);
        targets_.emplace_back(targets.begin(), targets.end());
    }

    // The ports' targets follow each other: so do their spikes.
    void join(Step<V>& step) const {
        Events<V>& out = step.out.write_events();
        for (std::size_t p = 0; p < this->ports; ++p) {
            const Events<V>& in = step.ports[p].value().events();
            for (std::size_t e = 0; e < in.size(); ++e) {
                const int32_t to = targets_[p][static_cast<std::size_t>(in.index[e])];
                if (to < 0) continue;
                out.index.push(to);
                out.value.push(in.at(e));
            }
        }
        out.settle();
    }

    void merge(Step<V>& step, Scratch<V>& scratch) const {
        // making the spikes of a port uses the same marks: all are made before the first mark is set
        for (Port<V>& port : step.ports) port.value().events();
        Events<V>& out = step.out.write_events();
        for (std::size_t p = 0; p < this->ports; ++p) {
            const Events<V>& in = step.ports[p].value().events();
            for (std::size_t e = 0; e < in.size(); ++e) {
                const int32_t to = targets_[p][static_cast<std::size_t>(in.index[e])];
                if (to < 0) continue;
                scratch.mark(to);
                scratch.sums[static_cast<std::size_t>(to)] = in.at(e);
            }
        }
        take_sums(scratch, this->layout.size, out);
    }

public:
    // The marked sums as spikes; what is summed to 0 is none.
    static void take_sums(Scratch<V>& scratch, int32_t size, Events<V>& out) {
        scratch.collect(size, out.index);
        std::size_t kept = 0;
        out.value.resize(out.index.size());
        for (std::size_t e = 0; e < out.index.size(); ++e) {
            V& sum = scratch.sums[static_cast<std::size_t>(out.index[e])];
            out.index[kept] = out.index[e];
            out.value[kept] = sum;
            kept += sum != V{0};
            sum = V{0};
        }
        out.index.resize(kept);
        out.value.resize(kept);
        out.settle();
    }

private:
    std::vector<Shape> shapes_;
    std::vector<std::vector<int32_t>> targets_;
    int32_t highest_ = -1;
    bool sorted_ = true;
};

template <class V>
class PoolNode final : public Node<V> {
public:
    PoolNode(const std::string& name, const Shape& in, Layout out, std::array<int32_t, 2> kernel, std::array<int32_t, 2> stride)
        : Node<V>(name, std::move(out), 1), in_(in) {
        for (std::size_t axis = 0; axis < 2; ++axis) windows_[axis] = windows(in[1 + axis], this->layout.shape[1 + axis], kernel[axis], stride[axis]);
    }

    void check_source(std::size_t, const Layout& from) const override {
        require(from.shape == in_, this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override {
        return std::make_unique<Stateless<V, PoolNode>>(*this, context);
    }

    // Spikes come in the order (channel, y, x), so each window adds them in the order (window y, window x).
    void step(Step<V>& step, const Context<V>& context) const {
        const Events<V>& in = step.ports[0].value().events();
        Events<V>& out = step.out.write_events();
        if (in.size() == 0) return;
        Scratch<V>& scratch = context.scratch;
        const int32_t width = in_[2], pixels = in_[1] * width, out_height = this->layout.shape[1], out_width = this->layout.shape[2];
        for (std::size_t e = 0; e < in.size(); ++e) {
            const int32_t c = in.index[e] / pixels, pixel = in.index[e] - c * pixels, y = pixel / width;
            const Window& rows = windows_[0][static_cast<std::size_t>(y)];
            const Window& columns = windows_[1][static_cast<std::size_t>(pixel - y * width)];
            for (int32_t oy = rows.first; oy <= rows.last; ++oy)
                for (int32_t ox = columns.first; ox <= columns.last; ++ox) {
                    const int32_t to = (c * out_height + oy) * out_width + ox;
                    scratch.mark(to);
                    scratch.sums[static_cast<std::size_t>(to)] += in.at(e);
                }
        }
        MoveNode<V>::take_sums(scratch, this->layout.size, out);
    }

private:
    struct Window {
        int32_t first, last;     // windows that hold a position; none where last < first
    };
    static std::vector<Window> windows(int32_t size, int32_t count, int32_t kernel, int32_t stride) {
        std::vector<Window> found;
        for (int32_t p = 0; p < size; ++p)
            found.push_back({p < kernel ? 0 : (p - kernel) / stride + 1, std::min(p / stride, count - 1)});
        return found;
    }

    Shape in_;
    std::array<std::vector<Window>, 2> windows_;
};

template <class V>
class ScaleNode final : public Node<V> {
public:
    ScaleNode(const std::string& name, Layout layout, std::span<const WeightOf<V>> factor, int32_t exponent)
        : Node<V>(name, std::move(layout), 1), exponent_(exponent), factor_(factor.begin(), factor.end()) {}

    void check_source(std::size_t, const Layout& from) const override {
        require(from.shape == this->layout.shape, this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override {
        return std::make_unique<Stateless<V, ScaleNode>>(*this, context);
    }

    void step(Step<V>& step, const Context<V>&) const {
        const Events<V>& in = step.ports[0].value().events();
        count_operations(in, step.analog, step.counters, [](int32_t) { return int64_t{1}; });
        Events<V>& out = step.out.write_events();
        for (std::size_t e = 0; e < in.size(); ++e) {
            const V value = scaled(in.at(e), in.index[e]);
            if (value == V{0}) continue;
            out.index.push(in.index[e]);
            out.value.push(value);
        }
        out.settle();
    }

private:
    V scaled(V x, int32_t index) const {
        const V factor = static_cast<V>(factor_[factor_.size() == 1 ? 0 : static_cast<std::size_t>(index)]);
        if constexpr (std::is_floating_point_v<V>) return x * factor;
        else {
            const int64_t product = static_cast<int64_t>(x) * static_cast<int64_t>(factor);
            return static_cast<V>(exponent_ >= 0 ? product << exponent_ : product >> -exponent_);
        }
    }

    int32_t exponent_;
    std::vector<WeightOf<V>> factor_;
};

}  // namespace

template <class V>
std::unique_ptr<Node<V>> make_move(const std::string& name, const std::vector<Shape>& in, const Shape& out,
                                   std::span<const std::span<const int32_t>> targets) {
    return std::make_unique<MoveNode<V>>(name, in, Layout(out, name), targets);
}

template <class V>
std::unique_ptr<Node<V>> make_pool(const std::string& name, const Shape& in, const Shape& out,
                                   std::array<int32_t, 2> kernel, std::array<int32_t, 2> stride) {
    const Layout source(in, name), layout(out, name);
    require(in.size() == 3 && out.size() == 3 && in[0] == out[0], name, "a pool of a shape without channels, height and width");
    for (std::size_t axis = 0; axis < 2; ++axis) {
        require(kernel[axis] >= 1 && stride[axis] >= 1 && in[1 + axis] >= kernel[axis], name, "a kernel or stride out of range");
        require((in[1 + axis] - kernel[axis]) / stride[axis] + 1 == out[1 + axis], name, "an output of another size");
    }
    return std::make_unique<PoolNode<V>>(name, in, layout, kernel, stride);
}

template <class V>
std::unique_ptr<Node<V>> make_scale(const std::string& name, const Shape& shape, std::span<const WeightOf<V>> factor, int32_t exponent) {
    const Layout layout(shape, name);
    require(factor.size() == 1 || factor.size() == static_cast<std::size_t>(layout.size), name, "a factor of another size");
    require(std::abs(exponent) <= 62, name, "an exponent beyond 62");
    return std::make_unique<ScaleNode<V>>(name, layout, factor, exponent);
}

#define SF_MAKE(V)                                                                                                         \
    template std::unique_ptr<Node<V>> make_move<V>(const std::string&, const std::vector<Shape>&, const Shape&,            \
                                                   std::span<const std::span<const int32_t>>);                             \
    template std::unique_ptr<Node<V>> make_pool<V>(const std::string&, const Shape&, const Shape&, std::array<int32_t, 2>, \
                                                   std::array<int32_t, 2>);                                                \
    template std::unique_ptr<Node<V>> make_scale<V>(const std::string&, const Shape&, std::span<const WeightOf<V>>, int32_t);
SF_MAKE(float)
SF_MAKE(int32_t)
SF_MAKE(int64_t)

}  // namespace spikeflow
