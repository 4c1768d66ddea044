#include "moves.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "fixed.hpp"

namespace spikeflow {
namespace {

constexpr std::size_t kAxes = 3;     // of a channel, at most, that a pool takes

template <class V>
class MoveNode final : public Node<V> {
public:
    MoveNode(const std::string& name, const std::vector<Shape>& in, Layout out, std::span<const int32_t> sources)
        : Node<V>(name, std::move(out), in.size()), shapes_(in) {
        require(!in.empty(), name, "a move without ports");
        int64_t total = 0;
        for (const Shape& shape : in) {
            first_.push_back(static_cast<std::size_t>(total));
            total += Layout(shape, name).size;
            require(total <= INT32_MAX, name, "more than 2**31 - 1 elements");
        }
        invert(sources, static_cast<std::size_t>(total));
        for (std::size_t p = 0; p < in.size() && start_.empty(); ++p) whole_.push_back(whole(p));
    }

    void check_source(std::size_t port, const Layout& from) const override {
        require(from.shape == shapes_[port], this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override {
        return std::make_unique<Stateless<V, MoveNode>>(*this, context);
    }

    void step(Step<V>& step, const Context<V>& context) const {
        if (!start_.empty()) spread(step, context.scratch);
        else if (sorted_) join(step);
        else merge(step, context.scratch);
    }

private:
    // From what each target takes to where each source goes.
    void invert(std::span<const int32_t> sources, std::size_t total) {
        require(sources.size() == static_cast<std::size_t>(this->layout.size), this->name, "a map of another size");
        std::vector<int32_t> count(total + 1, 0);
        for (const int32_t s : sources) {
            require(s >= -1 && s < static_cast<int64_t>(total), this->name, "a map to an element that does not exist");
            if (s >= 0) ++count[static_cast<std::size_t>(s) + 1];
        }
        const bool several = std::any_of(count.begin(), count.end(), [](int32_t n) { return n > 1; });
        if (several) {
            for (std::size_t i = 0; i < total; ++i) count[i + 1] += count[i];
            start_ = count;
        }
        targets_.assign(several ? static_cast<std::size_t>(start_.back()) : total, -1);
        for (std::size_t to = 0; to < sources.size(); ++to) {
            if (sources[to] < 0) continue;
            const auto from = static_cast<std::size_t>(sources[to]);
            targets_[several ? static_cast<std::size_t>(count[from]++) : from] = static_cast<int32_t>(to);
        }
        int32_t highest = -1;
        for (const int32_t to : targets_) {
            if (to < 0) continue;
            sorted_ = sorted_ && to > highest;
            highest = std::max(highest, to);
        }
    }

    // Where the elements of a port go one after the other, the first of them; it is not looked up where each goes, which would
    // be a wait for memory for each spike of a large network.
    std::optional<int32_t> whole(std::size_t port) const {
        const std::size_t last = port + 1 < first_.size() ? first_[port + 1] : targets_.size();
        const int32_t begin = targets_[first_[port]];
        if (begin < 0) return {};
        for (std::size_t i = first_[port]; i < last; ++i)
            if (targets_[i] != begin + static_cast<int32_t>(i - first_[port])) return {};
        return begin;
    }

    // The ports' targets follow each other: so do their spikes.
    void join(Step<V>& step) const {
        Events<V>& out = step.out.write_events();
        if (this->ports == 1 && whole_[0] == 0) return out.assign(step.ports[0].value().events());     // another shape alone
        for (std::size_t p = 0; p < this->ports; ++p) {
            const Events<V>& in = step.ports[p].value().events();
            const int32_t* targets = targets_.data() + first_[p];
            const std::optional<int32_t> begin = whole_[p];
            for (std::size_t e = 0; e < in.size(); ++e) {
                const int32_t to = begin ? *begin + in.index[e] : targets[in.index[e]];
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
            const int32_t* targets = targets_.data() + first_[p];
            for (std::size_t e = 0; e < in.size(); ++e) {
                const int32_t to = targets[in.index[e]];
                if (to < 0) continue;
                scratch.mark(to);
                scratch.sums[static_cast<std::size_t>(to)] = in.at(e);
            }
        }
        take_sums(scratch, this->layout.size, out);
    }

    // A source may go to several targets.
    void spread(Step<V>& step, Scratch<V>& scratch) const {
        for (Port<V>& port : step.ports) port.value().events();
        Events<V>& out = step.out.write_events();
        for (std::size_t p = 0; p < this->ports; ++p) {
            const Events<V>& in = step.ports[p].value().events();
            const int32_t* start = start_.data() + first_[p];
            for (std::size_t e = 0; e < in.size(); ++e)
                for (int32_t k = start[in.index[e]]; k < start[in.index[e] + 1]; ++k) {
                    const int32_t to = targets_[static_cast<std::size_t>(k)];
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
    std::vector<std::size_t> first_;     // number of the first element of each port
    std::vector<std::optional<int32_t>> whole_;      // of each port, where no source goes to several targets
    std::vector<int32_t> targets_;       // of each element, -1: nowhere; or of element i targets_[start_[i]] to start_[i + 1]
    std::vector<int32_t> start_;         // empty while no element goes to several targets
    bool sorted_ = true;                 // targets follow each other as their sources do
};

template <class V>
class PoolNode final : public Node<V> {
public:
    PoolNode(const std::string& name, const Shape& in, Layout out, const Shape& kernel, const Shape& stride)
        : Node<V>(name, std::move(out), 1), in_(in) {
        const Shape& to = this->layout.shape;
        const std::size_t first = kAxes - kernel.size();
        for (std::size_t axis = 0; axis < kAxes; ++axis) {
            const bool there = axis >= first;
            const std::size_t k = there ? axis - first : 0;
            from_[axis] = there ? in[1 + k] : 1;
            to_[axis] = there ? to[1 + k] : 1;
            windows_[axis] = there ? windows(from_[axis], to_[axis], kernel[k], stride[k]) : windows(1, 1, 1, 1);
        }
        find_only_targets();
        find_view(kernel, stride);
    }

    bool reads_whole(Isa) const override { return view_.channels > 1; }
    void check_source(std::size_t, const Layout& from) const override {
        require(from.shape == in_, this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override {
        return std::make_unique<Stateless<V, PoolNode>>(*this, context);
    }

    // Spikes come in C order, so each window adds them in the C order of its own places.
    void step(Step<V>& step, const Context<V>& context) const {
        Slot<V>& source = step.ports[0].value();
        if (view_.channels > 1 && !source.holds_events()) {
            const V* const from = source.dense();
            step.out.open_dense();
            kernels<V>(context.isa).pool(step.out.sums(), from, view_);
            return step.out.touch_all();
        }
        const Events<V>& in = source.events();
        Events<V>& out = step.out.write_events();
        if (in.size() == 0) return;
        if (only_target_.empty()) add_windows(in, context.scratch);
        else add_single(in, context.scratch);
        MoveNode<V>::take_sums(context.scratch, this->layout.size, out);
    }

private:
    // Where windows do not overlap, a pixel lies in one at most.
    void add_single(const Events<V>& in, Scratch<V>& scratch) const {
        const auto pixels = static_cast<int32_t>(only_target_.size());
        for (std::size_t e = 0; e < in.size(); ++e) {
            const int32_t c = by_pixels_.of(in.index[e]);
            const int32_t at = only_target_[static_cast<std::size_t>(in.index[e] - c * pixels)];
            if (at < 0) continue;
            const int32_t to = c * this->layout.pixels + at;
            scratch.mark(to);
            scratch.sums[static_cast<std::size_t>(to)] += in.at(e);
        }
    }

    void add_windows(const Events<V>& in, Scratch<V>& scratch) const {
        for (std::size_t e = 0; e < in.size(); ++e) {
            const int32_t line = in.index[e] / from_[2], plane = line / from_[1], c = plane / from_[0];
            const Window& slices = windows_[0][static_cast<std::size_t>(plane - c * from_[0])];
            const Window& rows = windows_[1][static_cast<std::size_t>(line - plane * from_[1])];
            const Window& columns = windows_[2][static_cast<std::size_t>(in.index[e] - line * from_[2])];
            for (int32_t oz = slices.first; oz <= slices.last; ++oz)
                for (int32_t oy = rows.first; oy <= rows.last; ++oy)
                    for (int32_t ox = columns.first; ox <= columns.last; ++ox) {
                        const int32_t to = ((c * to_[0] + oz) * to_[1] + oy) * to_[2] + ox;
                        scratch.mark(to);
                        scratch.sums[static_cast<std::size_t>(to)] += in.at(e);
                    }
        }
    }

    void find_only_targets() {
        for (const auto& axis : windows_)
            for (const Window& window : axis)
                if (window.first < window.last) return;
        for (const Window& z : windows_[0])
            for (const Window& y : windows_[1])
                for (const Window& x : windows_[2]) {
                    const bool inside = z.first <= z.last && y.first <= y.last && x.first <= x.last;
                    only_target_.push_back(inside ? (z.first * to_[1] + y.first) * to_[2] + x.first : -1);
                }
        by_pixels_ = Divisor(static_cast<int32_t>(only_target_.size()));
    }

    // The same over a dense value. One channel has nothing to gain from it.
    void find_view(const Shape& kernel, const Shape& stride) {
        view_.channels = in_[0];
        int64_t apart = in_[0];
        for (std::size_t axis = kAxes; axis-- > 0; apart *= from_[axis]) {
            const bool there = axis + kernel.size() >= kAxes;
            const std::size_t k = there ? axis + kernel.size() - kAxes : 0;
            view_.targets[axis] = to_[axis];
            view_.window[axis] = there ? kernel[k] : 1;
            view_.across[axis] = (there ? stride[k] : 1) * apart;
            view_.inside[axis] = apart;
        }
    }

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
    std::array<int32_t, kAxes> from_{}, to_{};     // sizes of a channel's axes, missing ones 1 before the others
    std::array<std::vector<Window>, kAxes> windows_;
    std::vector<int32_t> only_target_;             // of each pixel of the source, -1 for none; empty where windows overlap
    Divisor by_pixels_;
    PoolView view_{};
};

template <class V>
class ScaleNode final : public Node<V> {
public:
    ScaleNode(const std::string& name, Layout layout, std::span<const WeightOf<V>> factor, int32_t exponent)
        : Node<V>(name, std::move(layout), 1), exponent_(exponent), factor_(factor.begin(), factor.end()) {
        if constexpr (std::is_floating_point_v<V>) {
            // what is silent stays 0 only by factors that are numbers
            const bool finite = std::all_of(factor.begin(), factor.end(), [](V f) { return std::isfinite(f); });
            if (finite && this->layout.permuted) lay_out();
        }
    }

    bool reads_whole(Isa) const override { return !laid_out_.empty(); }

    void check_source(std::size_t, const Layout& from) const override {
        require(from.shape == this->layout.shape, this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override {
        return std::make_unique<Stateless<V, ScaleNode>>(*this, context);
    }

    void step(Step<V>& step, const Context<V>& context) const {
        Slot<V>& source = step.ports[0].value();
        if (!source.holds_events() && !laid_out_.empty()) return scale(source.dense(), step, kernels<V>(context.isa));
        const Events<V>& in = source.events();
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

    // A dense value, without making spikes of it.
    void scale(const V* from, Step<V>& step, const Kernels<V>& kernels) const {
        const Layout& layout = this->layout;
        const Tally found = kernels.tally(from, layout.size);
        step.counters.accumulates += step.analog ? 0 : found.ones;
        step.counters.multiplies += found.nonzero - (step.analog ? 0 : found.ones);
        step.out.open_dense();
        for (int32_t b = 0; b < layout.blocks; ++b) {
            const V* const factor = laid_out_.data() + (factor_.size() == 1 ? 0 : layout.first(b));
            kernels.scaled(step.out.sums() + layout.first(b), from + layout.first(b), factor, layout.length(b));
        }
        step.out.touch_all();
    }

    void lay_out() {
        const Layout& layout = this->layout;
        const bool one = factor_.size() == 1;
        laid_out_.resize(static_cast<std::size_t>(one ? layout.block : layout.size));
        for (std::size_t i = 0; i < laid_out_.size(); ++i)
            laid_out_[i] = static_cast<V>(factor_[one ? 0 : static_cast<std::size_t>(layout.logical(static_cast<int32_t>(i)))]);
    }

    int32_t exponent_;
    std::vector<WeightOf<V>> factor_;
    Buffer<V> laid_out_;                           // as the values lie, one or a block where all are one; empty: never dense
};

}  // namespace

template <class V>
std::unique_ptr<Node<V>> make_move(const std::string& name, const std::vector<Shape>& in, const Shape& out,
                                   std::span<const int32_t> sources) {
    return std::make_unique<MoveNode<V>>(name, in, Layout(out, name), sources);
}

template <class V>
std::unique_ptr<Node<V>> make_pool(const std::string& name, const Shape& in, const Shape& out, const Shape& kernel, const Shape& stride) {
    const Layout source(in, name), layout(out, name);
    const std::size_t axes = kernel.size();
    require(axes >= 1 && axes <= kAxes && in.size() == axes + 1 && out.size() == axes + 1 && stride.size() == axes && in[0] == out[0], name,
            "a pool of a shape of other axes or channels");
    for (std::size_t axis = 0; axis < axes; ++axis) {
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
                                                   std::span<const int32_t>);                                              \
    template std::unique_ptr<Node<V>> make_pool<V>(const std::string&, const Shape&, const Shape&, const Shape&,           \
                                                   const Shape&);                                                          \
    template std::unique_ptr<Node<V>> make_scale<V>(const std::string&, const Shape&, std::span<const WeightOf<V>>, int32_t);
SF_MAKE(float)
SF_MAKE(int32_t)
SF_MAKE(int64_t)

}  // namespace spikeflow
