// MaxPool: the largest value of each window, or the rise of the largest running sum of each window.

#include <algorithm>
#include <cmath>

#include "joint.hpp"

namespace spikeflow {
namespace {

// Windows are those of one channel, all channels alike: window w holds members[start[w]] to members[start[w + 1] - 1],
// numbers of the channel's own elements in C order.
struct Windows {
    std::span<const int32_t> start, members;
};

// Sums of whole numbers, as a state holds them; what float cannot hold ends the run.
template <class V>
using Sum = Stored<V>;
constexpr float kMostCounted = 16777216.0F;

// Some lists of numbers, one after the other.
struct Lists {
    std::vector<int32_t> start{0}, items;
    std::span<const int32_t> operator[](int32_t i) const {
        const auto at = static_cast<std::size_t>(i);
        return {items.data() + start[at], static_cast<std::size_t>(start[at + 1] - start[at])};
    }
};

template <class V>
class MaxPoolNode final : public Node<V> {
public:
    MaxPoolNode(const std::string& name, const Layout& in, Layout out, const Windows& windows, bool running)
        : Node<V>(name, std::move(out), 1), in(in), running(running), sources(in.size / in.shape[0]),
          targets(this->layout.size / in.shape[0]) {
        members.start.assign(windows.start.begin(), windows.start.end());
        members.items.assign(windows.members.begin(), windows.members.end());
        std::vector<int32_t> count(static_cast<std::size_t>(sources) + 1, 0);
        for (const int32_t m : members.items) ++count[static_cast<std::size_t>(m) + 1];
        for (std::size_t i = 1; i < count.size(); ++i) count[i] += count[i - 1];
        holding.start = count;
        holding.items.resize(members.items.size());
        for (int32_t w = 0; w < targets; ++w)
            for (const int32_t m : members[w]) holding.items[static_cast<std::size_t>(count[static_cast<std::size_t>(m)]++)] = w;
    }

    void check_source(std::size_t, const Layout& from) const override {
        require(from.shape == in.shape, this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override;
    bool repeats() const override { return !running; }

    Layout in;
    bool running;
    int32_t sources, targets;      // of one channel
    Lists members, holding;        // the sources of each window, the windows of each source
};

// The largest value of each window in this step.
template <class V>
class AnyRunner final : public Runner<V> {
public:
    AnyRunner(const MaxPoolNode<V>& node, const Context<V>& context) : node_(node), scratch_(context.scratch) {}

    void step(Step<V>& step) override {
        const Events<V>& in = step.ports[0].value().events();
        Events<V>& out = step.out.write_events();
        if (in.size() == 0) return;
        for (std::size_t e = 0; e < in.size(); ++e) {
            const int32_t channel = in.index[e] / node_.sources, first = channel * node_.targets;
            for (const int32_t w : node_.holding[in.index[e] - channel * node_.sources]) scratch_.mark(first + w);
        }
        scratch_.collect(node_.layout.size, out.index);
        if (!in.unit) take_largest(in, out);
    }

private:
    // Of the windows that hold a spike; the others hold zeros alone.
    void take_largest(const Events<V>& in, Events<V>& out) {
        for (std::size_t e = 0; e < in.size(); ++e) scratch_.sums[static_cast<std::size_t>(in.index[e])] = in.value[e];
        std::size_t kept = 0;
        out.value.resize(out.size());
        for (std::size_t k = 0; k < out.size(); ++k) {
            const int32_t channel = out.index[k] / node_.targets;
            const V* values = scratch_.sums.data() + static_cast<std::size_t>(channel) * static_cast<std::size_t>(node_.sources);
            const auto members = node_.members[out.index[k] - channel * node_.targets];
            V largest = values[members[0]];
            for (const int32_t m : members) largest = std::max(largest, values[m]);
            out.index[kept] = out.index[k];
            out.value[kept] = largest;
            kept += largest != V{0};
        }
        for (std::size_t e = 0; e < in.size(); ++e) scratch_.sums[static_cast<std::size_t>(in.index[e])] = V{0};
        out.index.resize(kept);
        out.value.resize(kept);
        out.settle();
    }

    const MaxPoolNode<V>& node_;
    Scratch<V>& scratch_;
};

// The rise of each window's largest running sum; both are kept in C order.
template <class V>
class RunningRunner final : public Runner<V> {
public:
    RunningRunner(const MaxPoolNode<V>& node, const Context<V>& context)
        : node_(node), scratch_(context.scratch), sums_(static_cast<std::size_t>(node.in.size)),
          largest_(static_cast<std::size_t>(node.layout.size)) {
        reset();
    }

    void reset() override {
        std::fill(sums_.begin(), sums_.end(), Sum<V>{0});
        std::fill(largest_.begin(), largest_.end(), Sum<V>{0});
    }

    void step(Step<V>& step) override {
        const Events<V>& in = step.ports[0].value().events();
        Events<V>& out = step.out.write_events();
        if (in.unit) count(in, out);
        else add(in, out);
    }

    std::size_t memories() const override { return 1; }
    void save(std::size_t, int64_t, std::span<Stored<V>> to) const override {
        check_size(to.size());
        std::copy(sums_.begin(), sums_.end(), to.begin());
    }
    void load(std::size_t, int64_t, std::span<const Stored<V>> from) override {
        check_size(from.size());
        sums_.assign(from);
        for (int32_t w = 0; w < node_.layout.size; ++w) largest_[static_cast<std::size_t>(w)] = largest_of(w);
    }

private:
    void check_size(std::size_t count) const {
        if (count != sums_.size()) throw Error(Fault::simulation, node_.name, "a state of another size");
    }

    // Spikes of 1: a window rises by 1 where a source overtakes the largest, and then for nobody else in this step.
    void count(const Events<V>& in, Events<V>& out) {
        for (std::size_t e = 0; e < in.size(); ++e) {
            const int32_t channel = in.index[e] / node_.sources, first = channel * node_.targets;
            const Sum<V> sum = added(sums_[static_cast<std::size_t>(in.index[e])], V{1});
            for (const int32_t w : node_.holding[in.index[e] - channel * node_.sources]) {
                Sum<V>& largest = largest_[static_cast<std::size_t>(first + w)];
                if (sum <= largest) continue;
                largest = sum;
                scratch_.mark(first + w);
            }
        }
        scratch_.collect(node_.layout.size, out.index);
    }

    void add(const Events<V>& in, Events<V>& out) {
        for (std::size_t e = 0; e < in.size(); ++e) {
            const int32_t channel = in.index[e] / node_.sources, first = channel * node_.targets;
            added(sums_[static_cast<std::size_t>(in.index[e])], in.value[e]);
            for (const int32_t w : node_.holding[in.index[e] - channel * node_.sources]) scratch_.mark(first + w);
        }
        scratch_.collect(node_.layout.size, out.index);
        std::size_t kept = 0;
        out.value.resize(out.size());
        for (std::size_t k = 0; k < out.size(); ++k) {
            Sum<V>& largest = largest_[static_cast<std::size_t>(out.index[k])];
            const Sum<V> now = largest_of(out.index[k]);
            const V rise = static_cast<V>(now - largest);
            largest = now;
            out.index[kept] = out.index[k];
            out.value[kept] = rise;
            kept += rise != V{0};
        }
        out.index.resize(kept);
        out.value.resize(kept);
        out.settle();
    }

    Sum<V> largest_of(int32_t window) const {
        const int32_t channel = window / node_.targets;
        const Sum<V>* sums = sums_.data() + static_cast<std::size_t>(channel) * static_cast<std::size_t>(node_.sources);
        const auto members = node_.members[window - channel * node_.targets];
        Sum<V> found = sums[members[0]];
        for (const int32_t m : members) found = std::max(found, sums[m]);
        return found;
    }

    // The sum with one value more.
    Sum<V> added(Sum<V>& sum, V value) const {
        sum += value;
        if constexpr (std::is_floating_point_v<V>) {
            if (!(std::abs(sum) <= kMostCounted)) throw Error(Fault::simulation, node_.name, "more than 2**24 spikes to count", "a shorter run");
        }
        return sum;
    }

    const MaxPoolNode<V>& node_;
    Scratch<V>& scratch_;
    Buffer<Sum<V>> sums_, largest_;
};

template <class V>
std::unique_ptr<Runner<V>> MaxPoolNode<V>::runner(const Context<V>& context) const {
    if (running) return std::make_unique<RunningRunner<V>>(*this, context);
    return std::make_unique<AnyRunner<V>>(*this, context);
}

}  // namespace

template <class V>
MadeJoint<V> make_max_pool(const JointText& text) {
    text.require_form(1, 2, 1);
    const std::string& name = text.name;
    const Shape& in = text.in[0];
    const Windows windows{text.lists[0], text.lists[1]};
    const Layout source(in, name), layout(text.out, name);
    require(!in.empty() && !text.out.empty() && in[0] == text.out[0], name, "a pool of a shape without channels, or of other channels");
    const auto count = static_cast<std::size_t>(layout.size / in[0]);
    require(windows.start.size() == count + 1 && windows.start[0] == 0 &&
            windows.start[count] == static_cast<int64_t>(windows.members.size()), name, "windows of another number");
    for (std::size_t w = 0; w < count; ++w)
        require(windows.start[w] < windows.start[w + 1], name, "a window that holds nothing");
    for (const int32_t m : windows.members)
        require(m >= 0 && m < source.size / in[0], name, "a window of an element that does not exist");
    return std::make_unique<MaxPoolNode<V>>(name, source, layout, windows, text.numbers[0] != 0);
}

SPIKEFLOW_INSTANTIATE_JOINT(max_pool)

}  // namespace spikeflow
