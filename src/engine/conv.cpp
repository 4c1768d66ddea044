#include "conv.hpp"
#include "whole_image.hpp"

#include <algorithm>
#include <numeric>

namespace spikeflow {
namespace {

// One axis of a convolution, seen from the source: for each position the taps it reaches, targets rising.
struct Axis {
    std::vector<Run> runs;
    std::vector<int32_t> start{0};       // runs of position p: start[p] to start[p + 1]
    std::vector<int32_t> reached;        // taps that hit the target, for each position
    std::vector<int32_t> tap_order;      // tap_order[k]: the kernel tap stored in place k
};

struct AxisText {
    int32_t size, target, kernel, stride, dilation, before;
};

// Taps that one source position can hit together follow each other, from the last to the first: their targets rise.
std::vector<int32_t> order_taps(const AxisText& a) {
    const int32_t period = a.stride / std::gcd(a.stride, a.dilation);
    std::vector<int32_t> order;
    for (int32_t residue = 0; residue < std::min(period, a.kernel); ++residue)
        for (int32_t k = residue + (a.kernel - 1 - residue) / period * period; k >= residue; k -= period) order.push_back(k);
    return order;
}

Axis make_axis(const AxisText& a, bool join) {
    Axis axis;
    axis.tap_order = order_taps(a);
    for (int32_t p = 0; p < a.size; ++p) {
        int32_t hits = 0;
        for (int32_t place = 0; place < a.kernel; ++place) {
            const int64_t offset = int64_t{p} + a.before - int64_t{axis.tap_order[static_cast<std::size_t>(place)]} * a.dilation;
            if (offset < 0 || offset % a.stride != 0 || offset / a.stride >= a.target) continue;
            const auto target = static_cast<int32_t>(offset / a.stride);
            ++hits;
            const bool first = axis.runs.size() == static_cast<std::size_t>(axis.start.back());
            Run* last = first ? nullptr : &axis.runs.back();
            if (join && last && last->target + last->count == target && last->tap + last->count == place) ++last->count;
            else axis.runs.push_back({target, 1, place});
        }
        axis.reached.push_back(hits);
        axis.start.push_back(static_cast<int32_t>(axis.runs.size()));
    }
    return axis;
}

// Two axes as one of rows, the first the slower: places, targets and taps are numbered in C order.
Axis joined(const Axis& slow, const Axis& fast, const AxisText& a) {
    Axis axis;
    for (const int32_t k : slow.tap_order)
        for (const int32_t l : fast.tap_order) axis.tap_order.push_back(k * a.kernel + l);
    for (std::size_t p = 0; p < slow.reached.size(); ++p)
        for (std::size_t q = 0; q < fast.reached.size(); ++q) {
            for (int32_t i = slow.start[p]; i < slow.start[p + 1]; ++i)
                for (int32_t j = fast.start[q]; j < fast.start[q + 1]; ++j) {
                    const Run &one = slow.runs[static_cast<std::size_t>(i)], &two = fast.runs[static_cast<std::size_t>(j)];
                    axis.runs.push_back({one.target * a.target + two.target, 1, one.tap * a.kernel + two.tap});
                }
            axis.reached.push_back(slow.reached[p] * fast.reached[q]);
            axis.start.push_back(static_cast<int32_t>(axis.runs.size()));
        }
    return axis;
}

// All axes but the last as one of rows; a line has one row.
template <class V>
Axis make_rows(const Shape& in, const Shape& to, const ConvText<V>& text) {
    Axis rows = make_axis({1, 1, 1, 1, 1, 0}, false);
    for (std::size_t k = 0; k + 1 < text.kernel.size(); ++k) {
        const AxisText a{in[1 + k], to[1 + k], text.kernel[k], text.stride[k], text.dilation[k], text.padding[2 * k]};
        rows = joined(rows, make_axis(a, false), a);
    }
    return rows;
}

template <class V, class W>
class ConvNode;

template <class V>
using Element = typename WholeImage<V>::Element;

template <class V, class W>
class ConvRunner final : public Runner<V> {
public:
    ConvRunner(const ConvNode<V, W>& node, const Context<V>& context) : node_(node), context_(context) {}
    void step(Step<V>& step) override { node_.step(step, context_, image_); }

private:
    const ConvNode<V, W>& node_;
    Context<V> context_;
    Buffer<Element<V>> image_;
};

template <class V, class W>
class ConvNode final : public Node<V> {
public:
    ConvNode(const std::string& name, const Shape& in, Layout out, const ConvText<V>& text)
        : Node<V>(name, std::move(out), 1), source(in, name), exponent(text.exponent) {
        const Shape& to = this->layout.shape;
        const std::size_t last = text.kernel.size() - 1;
        rows = make_rows(in, to, text);
        columns = make_axis({in.back(), to.back(), text.kernel[last], text.stride[last], text.dilation[last], text.padding[2 * last]}, text.groups == 1);
        view.pixels = source.size / in[0];
        target_channels = to[0];
        group_in = in[0] / text.groups;
        view.group_out = to[0] / text.groups;
        view.by_pixels = Divisor(view.pixels);
        view.by_group = Divisor(group_in);
        kernel_rows = static_cast<int32_t>(rows.tap_order.size());
        kernel_columns = text.kernel[last];
        view.channel_weights = int64_t{kernel_rows} * kernel_columns * view.group_out;
        find_offsets();
        pack(text);
        find_reach();
        if constexpr (kImages) whole = WholeImage<V>(in, to, text);
        for (const int32_t down : rows.reached)
            for (const int32_t across : columns.reached) fan.push_back(int64_t{down} * across * view.group_out);
        join_fans();
        take_bias(text.bias);
        point();
    }

    void check_source(std::size_t, const Layout& from) const override {
        require(from.shape == source.shape, this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override {
        return std::make_unique<ConvRunner<V, W>>(*this, context);
    }

    bool has_synapses() const override { return true; }
    bool reads_whole(Isa isa) const override {
        if constexpr (kImages) return whole.possible(image_kernel<V>(isa));
        return false;
    }

    // `image` : where there is a form over whole images, room for one.
    void step(Step<V>& step, const Context<V>& context, Buffer<Element<V>>& image) const {
        Slot<V>& in = step.ports[0].value();
        if (!in.holds_events() && add_dense(in.dense(), step, context, image)) return finish(step.out, context);
        const Events<V>& events = in.events();
        const int64_t before = step.counters.operations();
        count_operations(events, step.analog, step.counters, [this](int32_t i) { return fan_out(i); });
        if (events.size() == 0 && bias.empty()) return step.out.clear();
        V* to = step.out.write_dense();
        if (!add_image(to, events, step.counters.operations() - before, context.isa, image)) {
            const RowKernels<V, W>& kernel = row_kernels<V, W>(context.isa);
            kernel.conv(to, step.out.active_blocks(), weights.data(), view, events.index.data(),
                        events.unit ? nullptr : events.value.data(), static_cast<int64_t>(events.size()));
        } else {
            step.out.touch_all();
        }
        finish(step.out, context);
    }

private:
    // Of codes bytes summed in 32 bits alone: dot products take no others.
    static constexpr bool kImages = std::is_same_v<V, float> || (std::is_same_v<V, int32_t> && std::is_same_v<W, int8_t>);

    bool add_image(V* to, const Events<V>& events, int64_t additions, Isa isa, Buffer<Element<V>>& image) const {
        if constexpr (kImages)
            return whole.pays(image_kernel<V>(isa), additions, static_cast<int64_t>(events.size())) && whole.add(to, events, isa, image);
        return false;
    }

    // The same of a dense value, without making spikes of it, and its operations counted.
    bool add_dense(const V* values, Step<V>& step, const Context<V>& context, Buffer<Element<V>>& image) const {
        if constexpr (kImages) {
            if (!reads_whole(context.isa)) return false;
            int64_t spikes = 0, unit = 0, all = 0;
            for (const Fans& some : fans) {
                const Tally found = kernels<V>(context.isa).tally(values + some.first * source.channels, some.count * source.channels);
                spikes += found.nonzero;
                all += found.nonzero * some.each;
                unit += step.analog ? 0 : found.ones * some.each;
            }
            if (spikes == 0 || !whole.pays(image_kernel<V>(context.isa), all, spikes)) return false;
            step.out.open_dense();
            if (!whole.add(step.out.sums(), values, context.isa, image)) return false;
            step.out.touch_all();
            step.counters.accumulates += unit;
            step.counters.multiplies += all - unit;
            return true;
        }
        return false;
    }

    void finish(Slot<V>& out, const Context<V>& context) const {
        if (exponent != 0) shift(out, kernels<V>(context.isa));
        if (!bias.empty()) out.set_bias(bias.span(), bias_step);
    }

    int64_t fan_out(int32_t index) const { return fan[static_cast<std::size_t>(index - view.by_pixels.of(index) * view.pixels)]; }

    void shift(Slot<V>& out, const Kernels<V>& kernels) const {
        for (int32_t b = 0; b < this->layout.blocks; ++b)
            if (out.active(b)) kernels.shift(const_cast<V*>(out.block(b)), this->layout.length(b), exponent);
    }

    // weights[in channel][kernel row][column place][out channel of the group]
    void pack(const ConvText<V>& text) {
        weights.resize(text.weights.size());
        const int32_t ky = kernel_rows, kx = kernel_columns;
        std::size_t at = 0;
        for (int32_t c = 0; c < source.shape[0]; ++c)
            for (int32_t row = 0; row < ky; ++row)
                for (int32_t place = 0; place < kx; ++place)
                    for (int32_t o = 0; o < view.group_out; ++o) {
                        const int64_t out = int64_t{c / group_in} * view.group_out + o;
                        const int64_t tap = rows.tap_order[static_cast<std::size_t>(row)];
                        const int64_t from = ((out * group_in + c % group_in) * ky + tap) * kx + columns.tap_order[static_cast<std::size_t>(place)];
                        weights[at++] = static_cast<W>(text.weights[static_cast<std::size_t>(from)]);
                    }
    }

    void find_offsets() {
        for (Run& run : columns.runs) {
            run.to = run.target * target_channels;
            run.from = run.tap * view.group_out;
            run.length = run.count * view.group_out;
        }
        for (Run& run : rows.runs) {
            run.to = run.target * this->layout.shape.back() * target_channels;
            run.from = run.tap * kernel_columns * view.group_out;
        }
    }

    // Neighbouring pixels whose sources have equally many synapses.
    struct Fans {
        int64_t first, count, each;
    };
    void join_fans() {
        for (std::size_t p = 0; p < fan.size(); ++p)
            if (!fans.empty() && fans.back().each == fan[p]) ++fans.back().count;
            else fans.push_back({static_cast<int64_t>(p), 1, fan[p]});
    }

    // From the first target to the last: what lies between them in a row counts as reached.
    void find_reach() {
        const int32_t block = this->layout.block;
        for (std::size_t y = 0; y < rows.reached.size(); ++y)
            for (std::size_t x = 0; x < columns.reached.size(); ++x) {
                Reach found{rows.start[y], rows.start[y + 1] - rows.start[y], columns.start[x], columns.start[x + 1] - columns.start[x], 0, -1};
                if (found.rows != 0 && found.columns != 0) {
                    const auto [top, bottom] = std::minmax_element(rows.runs.begin() + rows.start[y], rows.runs.begin() + rows.start[y + 1], below);
                    const auto [left, right] = std::minmax_element(columns.runs.begin() + columns.start[x], columns.runs.begin() + columns.start[x + 1], below);
                    found.first_block = (top->to + left->to) / block;
                    found.last_block = (bottom->to + right->to + right->count * target_channels - 1) / block;
                }
                reach.push_back(found);
            }
    }
    static bool below(const Run& a, const Run& b) { return a.target < b.target; }

    // A block of whole pixels needs one period only; otherwise the bias is written out.
    void take_bias(std::span<const V> per_channel) {
        if (per_channel.empty()) return;
        const Layout& to = this->layout;
        require(per_channel.size() == static_cast<std::size_t>(target_channels), this->name, "a bias of another size");
        const bool repeats = to.block % target_channels == 0;
        bias.resize(static_cast<std::size_t>(repeats ? to.block : to.size));
        bias_step = repeats ? 0 : to.block;
        const auto channels = static_cast<std::size_t>(target_channels);
        for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = per_channel[i % channels] + V{0};
    }

    void point() {
        view.columns = columns.runs.data();
        view.rows = rows.runs.data();
        view.reach = reach.data();
    }

    Layout source;
    Axis rows, columns;
    WholeImage<V> whole;
    std::vector<Reach> reach;            // of each source pixel
    std::vector<int64_t> fan;            // synapses of a source at each pixel
    std::vector<Fans> fans;
    Buffer<W> weights;
    Buffer<V> bias;
    int32_t target_channels = 1, group_in = 1;
    int32_t bias_step = 0, exponent = 0, kernel_rows = 0, kernel_columns = 0;
    ConvView view{};
};

template <class V>
void check_conv(const std::string& name, const Layout& in, const Layout& out, const ConvText<V>& t) {
    const std::size_t axes = t.kernel.size();
    require(axes >= 1 && in.shape.size() == axes + 1 && out.shape.size() == axes + 1, name, "a convolution of a shape of other axes than its kernel");
    require(t.stride.size() == axes && t.dilation.size() == axes && t.padding.size() == 2 * axes, name, "a stride, dilation or padding of other axes");
    require(t.groups >= 1 && in.shape[0] % t.groups == 0 && out.shape[0] % t.groups == 0, name, "groups that do not divide the channels");
    int64_t weights = int64_t{out.shape[0]} * (in.shape[0] / t.groups);
    for (std::size_t axis = 0; axis < axes; ++axis) {
        const int32_t kernel = t.kernel[axis], stride = t.stride[axis], dilation = t.dilation[axis];
        const int32_t before = t.padding[2 * axis], after = t.padding[2 * axis + 1];
        require(kernel >= 1 && stride >= 1 && dilation >= 1 && before >= 0 && after >= 0, name, "a kernel, stride, dilation or padding out of range");
        const int64_t room = int64_t{in.shape[1 + axis]} + before + after - int64_t{dilation} * (kernel - 1) - 1;
        require(room >= 0 && room / stride + 1 == out.shape[1 + axis], name, "an output of another size");
        weights *= kernel;
        require(weights < INT32_MAX, name, "too many weights");
    }
    require(t.weights.size() == static_cast<std::size_t>(weights), name, "a weight of another size");
    require(std::abs(t.exponent) <= 62, name, "an exponent beyond 62");
}

}  // namespace

template <class V>
std::unique_ptr<Node<V>> make_conv(const std::string& name, const Shape& in, const Shape& out, const ConvText<V>& text) {
    const Layout layout(out, name);
    check_conv(name, Layout(in, name), layout, text);
    return with_weight_type<V>(text.weights, [&](auto kind) -> std::unique_ptr<Node<V>> {
        return std::make_unique<ConvNode<V, decltype(kind)>>(name, in, layout, text);
    });
}

template std::unique_ptr<Node<float>> make_conv<float>(const std::string&, const Shape&, const Shape&, const ConvText<float>&);
template std::unique_ptr<Node<int32_t>> make_conv<int32_t>(const std::string&, const Shape&, const Shape&, const ConvText<int32_t>&);
template std::unique_ptr<Node<int64_t>> make_conv<int64_t>(const std::string&, const Shape&, const Shape&, const ConvText<int64_t>&);

}  // namespace spikeflow
