#include "worker.hpp"

#include <algorithm>
#include <limits>

namespace spikeflow {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// Without a way out, so that the compiler makes vectors of it.
template <class V>
bool all_one(std::span<const V> values) {
    int32_t other = 0;
    for (const V value : values) other |= value != V{1};
    return other == 0;
}

// The row of one sample in an array of all.
template <class S>
std::span<S> row_of(std::span<S> values, int32_t sample, int32_t samples) {
    const std::size_t size = values.size() / static_cast<std::size_t>(samples);
    return values.subspan(size * static_cast<std::size_t>(sample), size);
}

}  // namespace

template <class V>
Worker<V>::Worker(const Network<V>& network, const Cut& cut)
    : network_(network), cut_(cut), scratch_(network.largest(), kernels<V>(network.isa())), cells_(network.entries().size()) {
    for (int32_t k = 1; k < cut.own(); ++k) scratches_.push_back(std::make_unique<Scratch<V>>(network.largest(), kernels<V>(network.isa())));
    const Kernels<V>& kernels_of_isa = kernels<V>(network.isa());
    std::size_t inputs = 0, outputs = 0;
    for (std::size_t n = 0; n < cells_.size(); ++n) {
        const Entry<V>& entry = network.entries()[n];
        Cell& cell = cells_[n];
        cell.divided = entry.divided.has_value();
        // what others read later outlasts the steps that a team runs without meeting
        const int32_t longer = shared() && entry.ring > 1 ? network.period() - 1 : 0;
        for (int32_t r = 0; r < entry.ring + longer; ++r) cell.ring.emplace_back(entry.layout, scratch_, kernels_of_isa).whole = entry.whole;
        for (const auto& edges : entry.ports) {
            Port<V> port;
            port.kernels = &kernels_of_isa;
            port.terms.resize(edges.size(), nullptr);
            if (edges.size() > 1) {
                const Layout& source = network.entries()[static_cast<std::size_t>(edges[0].source)].layout;
                port.sum = std::make_unique<Slot<V>>(source, scratch_, kernels_of_isa);
            }
            cell.ports.push_back(std::move(port));
        }
        if (shared() && entry.shared) share(n);
        else if (entry.node) cell.runner = entry.node->runner({scratch_, network.isa()});
        if (entry.kind == NodeKind::input) cell.feed = inputs++;
        if (entry.kind == NodeKind::output) cell.feed = outputs++;
    }
    join();
}

template <class V>
void Worker<V>::share(std::size_t node) {
    const Entry<V>& entry = network_.entries()[node];
    Cell& cell = cells_[node];
    const auto spikes = [&](Scratch<V>& scratch) {
        std::vector<Slot<V>> each;
        for (int32_t t = 0; entry.node->is_population() && t < network_.period(); ++t) each.emplace_back(entry.layout, scratch, kernels<V>(network_.isa()));
        return each;
    };
    cell.runner = entry.node->runner({scratch_, network_.isa(), cut_.share(0)});
    cell.own_spikes = spikes(scratch_);
    for (int32_t k = 1; k < cut_.own(); ++k) {
        Scratch<V>& scratch = *scratches_[static_cast<std::size_t>(k - 1)];
        cell.parts.push_back({entry.node->runner({scratch, network_.isa(), cut_.share(k)}), {}, spikes(scratch)});
    }
}

// Edges whose source keeps no past read the same slot in every step.
template <class V>
void Worker<V>::join() {
    for (std::size_t n = 0; n < cells_.size(); ++n)
        for (std::size_t p = 0; p < cells_[n].ports.size(); ++p)
            for (std::size_t e = 0; e < cells_[n].ports[p].terms.size(); ++e) {
                const EdgeRef& edge = network_.entries()[n].ports[p][e];
                auto& ring = cells_[static_cast<std::size_t>(edge.source)].ring;
                Slot<V>*& term = cells_[n].ports[p].terms[e];
                if (ring.size() > 1) cells_[n].late.push_back({&term, ring, edge.delay});
                term = ring.data();
            }
}

template <class V>
void Worker<V>::prepare(const RunText<V>& text) {
    if (shared() && !team_) team_ = std::make_unique<Team>(cut_.own());
    period_ = shared() ? period_for(text) : 1;
    for (const Trace<V>& one : text.traces)
        if (one.state >= 0) remembering(static_cast<std::size_t>(one.node), static_cast<std::size_t>(one.state));
    for (std::size_t n = 0; n < cells_.size(); ++n) {
        const Entry<V>& entry = network_.entries()[n];
        Cell& cell = cells_[n];
        cell.counters = {};
        cell.counters.parts.resize(static_cast<std::size_t>(entry.parts));
        for (Part& part : cell.parts) part.counters = {};
        cell.steady = kNever;
        if (entry.kind == NodeKind::input && text.feeds[cell.feed].kind == Feed<V>::Kind::constant) cell.steady = 0;
        if (entry.kind != NodeKind::inner || !entry.node->repeats() || (shared() && entry.shared)) continue;
        int64_t steady = 0;
        for (const auto& edges : entry.ports)
            for (const EdgeRef& edge : edges) {
                // a source that runs later has not been looked at: then nothing is known of it
                const int64_t from = static_cast<std::size_t>(edge.source) < n ? cells_[static_cast<std::size_t>(edge.source)].steady : kNever;
                steady = from == kNever || steady == kNever ? kNever : std::max(steady, from + edge.delay);
            }
        cell.steady = steady;
    }
}

template <class V>
void Worker<V>::begin(const Start<V>& start, int32_t sample) {
    for (Cell& cell : cells_) {
        for (Slot<V>& slot : cell.ring) slot.clear();
        if (cell.runner) cell.runner->reset();
        for (Part& part : cell.parts) part.runner->reset();
    }
    now_ = start.steps.empty() ? 0 : start.steps[static_cast<std::size_t>(sample)];
    number_ = start.numbers.empty() ? sample : start.numbers[static_cast<std::size_t>(sample)];
    entered_ = now_;
    for (const auto& memory : start.memories) load(memory, sample, static_cast<int32_t>(start.steps.size()));
}

template <class V>
void Worker<V>::enter(const RunText<V>& text, int32_t sample) {
    for (std::size_t n = 0; n < cells_.size(); ++n) {
        if (network_.entries()[n].kind != NodeKind::input) continue;
        const Feed<V>& feed = text.feeds[cells_[n].feed];
        if (feed.kind != Feed<V>::Kind::spikes) continue;
        const auto first = static_cast<std::size_t>(feed.sample_start[static_cast<std::size_t>(sample)]);
        const auto last = static_cast<std::size_t>(feed.sample_start[static_cast<std::size_t>(sample) + 1]);
        cells_[n].next_spike = first;
        cells_[n].unit = all_one(feed.values.subspan(first, last - first));
    }
}

// The runner of a node that has a memory of this number.
template <class V>
Runner<V>& Worker<V>::remembering(std::size_t node, std::size_t memory) const {
    Runner<V>* const runner = cells_[node].runner.get();
    if (runner == nullptr || memory >= runner->memories())
        throw Error(Fault::simulation, network_.entries()[node].name, "a state that it does not have");
    return *runner;
}

template <class V>
void Worker<V>::save_memory(std::size_t node, std::size_t memory, int64_t time, std::span<Stored<V>> to) const {
    remembering(node, memory).save(memory, time, to);
    for (const Part& part : cells_[node].parts) part.runner->save(memory, time, to);
}

template <class V>
Counters Worker<V>::counters(std::size_t node) const {
    Counters total = cells_[node].counters;
    for (const Part& part : cells_[node].parts) total.add(part.counters);
    return total;
}

template <class V>
void Worker<V>::load(const Memory<const Stored<V>>& memory, int32_t sample, int32_t samples) {
    const auto node = static_cast<std::size_t>(memory.node);
    const auto size = static_cast<std::size_t>(network_.entries()[node].layout.size);
    const auto past = row_of(memory.emitted, sample, samples);
    for (std::size_t age = 0; age < past.size() / size; ++age) {
        if (static_cast<int64_t>(age) >= now_) break;       // before step 0
        Events<V>& events = slot(node, now_ - 1 - static_cast<int64_t>(age)).write_events();
        for (std::size_t i = 0; i < size; ++i) {
            const auto value = static_cast<V>(past[age * size + i]);
            if (value == V{0}) continue;
            events.index.push(static_cast<int32_t>(i));
            events.value.push(value);
        }
        events.settle();
    }
    for (std::size_t m = 0; m < memory.own.size(); ++m) {
        const auto own = row_of(memory.own[m], sample, samples);
        remembering(node, m).load(m, now_, own);
        for (Part& part : cells_[node].parts) part.runner->load(m, now_, own);
    }
}

template <class V>
void Worker<V>::save(std::vector<Memory<Stored<V>>>& memories, int32_t sample, int32_t samples) {
    for (auto& memory : memories) {
        const auto node = static_cast<std::size_t>(memory.node);
        const auto size = static_cast<std::size_t>(network_.entries()[node].layout.size);
        const auto past = row_of(memory.emitted, sample, samples);
        std::fill(past.begin(), past.end(), Stored<V>{0});
        for (std::size_t age = 0; age < past.size() / size && static_cast<int64_t>(age) < now_; ++age) {
            const Events<V>& events = slot(node, now_ - 1 - static_cast<int64_t>(age)).events();
            for (std::size_t e = 0; e < events.size(); ++e)
                past[age * size + static_cast<std::size_t>(events.index[e])] = static_cast<Stored<V>>(events.at(e));
        }
        for (std::size_t m = 0; m < memory.own.size(); ++m) save_memory(node, m, now_, row_of(memory.own[m], sample, samples));
    }
}

template <class V>
void Worker<V>::finish(int32_t sample) {
    for (Cell& cell : cells_)
        for (std::size_t m = 0; cell.runner && m < cell.runner->memories(); ++m) {
            int64_t count = cell.runner->unbounded(m);
            for (const Part& part : cell.parts) count += part.runner->unbounded(m);
            if (count != 0) cell.counters.unbounded.push_back({static_cast<int64_t>(m), sample, count});
        }
}

template <class V>
void Worker<V>::point_ports(std::size_t node) {
    for (Port<V>& port : cells_[node].ports) port.summed = false;
    for (const Late& late : cells_[node].late) {
        const std::size_t size = late.ring.size();
        *late.term = &late.ring[(static_cast<std::size_t>(now_) + size - static_cast<std::size_t>(late.delay)) % size];
    }
}

template <class V>
int32_t Worker<V>::advance(const RunText<V>& text, RunResult<V>& result, int32_t sample, int32_t time) {
    const Place place{text, sample, now_ - time};
    if (period_ > 1) {
        const int32_t steps = std::min(period_, text.steps - time);
        run_period(place, result, steps);
        return steps;
    }
    if (shared()) run_step(place, time);
    else
        for (std::size_t n = 0; n < cells_.size(); ++n) run_alone(n, text, sample, time);
    for (const Learner& one : network_.learners()) {
        Slot<V>* const modulator = one.modulator < 0 ? nullptr : &slot(static_cast<std::size_t>(one.modulator), now_);
        if (auto* const runner = dynamic_cast<Learns<V>*>(cells_[one.node].runner.get()))
            runner->learn({now_, slot(static_cast<std::size_t>(one.post), now_), modulator});
    }
    keep(place, result, true);
    entered_ = ++now_;
    return 1;
}

template <class V>
void Worker<V>::keep(const Place& place, RunResult<V>& result, bool shared) {
    const RunText<V>& text = place.text;
    for (std::size_t r = 0; r < text.recorded.size(); ++r)
        record(text.recorded[r], result.records[r][static_cast<std::size_t>(place.sample)], static_cast<int32_t>(now_ - place.first));
    for (const Trace<V>& one : text.traces) {
        if (!shared && keeps_itself(static_cast<std::size_t>(one.node))) continue;
        const std::span<Stored<V>> to = row_of_trace(one, place, now_);
        if (!to.empty()) trace(one, to);
    }
}

template <class V>
void Worker<V>::run_alone(std::size_t node, const RunText<V>& text, int32_t sample, int32_t time) {
    Cell& cell = cells_[node];
    if (cell.steady == kNever) {
        run_node(node, text, sample, time);
        return divide(node, false);
    }
    // once every slot of the ring holds the value that stays, there is nothing left to compute
    if (time >= cell.steady + static_cast<int64_t>(cell.ring.size())) {
        cell.counters.spikes += cell.spikes;
        cell.counters.accumulates += cell.accumulates;
        cell.counters.multiplies += cell.multiplies;
        cell.counters.cached += cell.accumulates + cell.multiplies;
        return divide(node, true);
    }
    const Counters& c = cell.counters;
    const int64_t spikes = c.spikes, accumulates = c.accumulates, multiplies = c.multiplies;
    run_node(node, text, sample, time);
    cell.spikes = c.spikes - spikes;
    cell.accumulates = c.accumulates - accumulates;
    cell.multiplies = c.multiplies - multiplies;
    divide(node, false);
    // what stays has its bias added once, not by its readers in every step
    if (Slot<V>& value = slot(node, now_); time >= cell.steady && value.holds_dense()) value.dense();
}

template <class V>
void Worker<V>::run_node(std::size_t node, const RunText<V>& text, int32_t sample, int32_t time) {
    const Entry<V>& entry = network_.entries()[node];
    Cell& cell = cells_[node];
    if (entry.kind == NodeKind::input) return read_input(node, text, sample, time);
    point_ports(node);
    if (entry.kind == NodeKind::output) return write_output(cell, entry.layout, text, sample, time);
    Step<V> step{now_, cell.ports, slot(node, now_), cell.counters, entry.analog, number_};
    cell.runner->step(step);
}

template <class V>
void Worker<V>::read_input(std::size_t node, const RunText<V>& text, int32_t sample, int32_t time) {
    Cell& cell = cells_[node];
    const Layout& layout = network_.entries()[node].layout;
    const Feed<V>& feed = text.feeds[cell.feed];
    Events<V>& events = slot(node, now_).write_events();
    if (feed.kind == Feed<V>::Kind::spikes) {
        const std::size_t first = cell.next_spike;
        const auto end = static_cast<std::size_t>(feed.sample_start[static_cast<std::size_t>(sample) + 1]);
        std::size_t last = first;
        while (last < end && feed.step[last] <= time) ++last;
        cell.next_spike = last;
        if (cell.unit) {
            events.index.assign(feed.neuron.subspan(first, last - first));
            cell.counters.spikes += static_cast<int64_t>(events.size());
            return;
        }
        for (std::size_t k = first; k < last; ++k) {
            if (feed.values[k] == V{0}) continue;
            events.index.push(feed.neuron[k]);
            events.value.push(feed.values[k]);
        }
    } else {
        const std::size_t row = feed.kind == Feed<V>::Kind::constant ? static_cast<std::size_t>(sample)
            : static_cast<std::size_t>(time) * static_cast<std::size_t>(text.samples) + static_cast<std::size_t>(sample);
        const V* values = feed.values.data() + row * static_cast<std::size_t>(layout.size);
        const Kernels<V>& k = kernels<V>(network_.isa());
        for (int32_t first = 0; first < layout.size; first += kBlock) {
            const int32_t n = std::min(kBlock, layout.size - first);
            if (k.nonzero(values + first, n, scratch_.masks) == 0) continue;
            for (const int32_t place : scratch_.masked(n)) {
                events.index.push(first + place);
                events.value.push(values[first + place]);
            }
        }
    }
    events.settle();
    cell.counters.spikes += static_cast<int64_t>(events.size());
}

template <class V>
void Worker<V>::write_output(Cell& cell, const Layout& layout, const RunText<V>& text, int32_t sample, int32_t time) {
    const auto size = static_cast<std::size_t>(layout.size);
    const std::size_t row = static_cast<std::size_t>(time) * static_cast<std::size_t>(text.samples) + static_cast<std::size_t>(sample);
    V* to = text.outputs[cell.feed].data() + row * size;
    Slot<V>& value = cell.ports[0].value();
    if (value.silent() || !value.holds_dense()) {
        std::fill_n(to, size, V{0});
        const Events<V>& events = value.events();
        for (std::size_t e = 0; e < events.size(); ++e) to[events.index[e]] = events.at(e);
    } else {
        layout.to_logical(value.dense(), to);
    }
}

template <class V>
void Worker<V>::record(const Recorded& one, Record<V>& to, int32_t time) {
    const auto node = static_cast<std::size_t>(one.node);
    Cell& cell = cells_[node];
    const bool output = network_.entries()[node].kind == NodeKind::output;
    const Events<V>& events = (output ? cell.ports[0].value() : slot(node, now_)).events();
    for (std::size_t e = 0; e < events.size(); ++e) {
        int32_t neuron = events.index[e];
        if (!one.neurons.empty()) {
            const auto found = std::lower_bound(one.neurons.begin(), one.neurons.end(), neuron);
            if (found == one.neurons.end() || *found != neuron) continue;
            neuron = static_cast<int32_t>(found - one.neurons.begin());
        }
        to.step.push(time);
        to.neuron.push(neuron);
        to.value.push(events.at(e));
    }
}

// Where the values of a step belong; nowhere where none are kept of it.
template <class V>
std::span<Stored<V>> Worker<V>::row_of_trace(const Trace<V>& one, const Place& place, int64_t time) const {
    if (time % one.every != 0) return {};
    const std::size_t all = static_cast<std::size_t>(network_.entries()[static_cast<std::size_t>(one.node)].layout.size);
    const std::size_t size = one.neurons.empty() ? all : one.neurons.size();
    const int64_t step = time / one.every - (place.first + one.every - 1) / one.every;
    const std::size_t row = static_cast<std::size_t>(step) * static_cast<std::size_t>(place.text.samples) + static_cast<std::size_t>(place.sample);
    if ((row + 1) * size > one.values.size()) throw Error(Fault::simulation, "run", "no room for a value to record");
    return one.values.subspan(row * size, size);
}

template <class V>
void Worker<V>::trace(const Trace<V>& one, std::span<Stored<V>> to) {
    const auto node = static_cast<std::size_t>(one.node);
    Cell& cell = cells_[node];
    if (one.state >= 0 && one.neurons.empty()) return save_memory(node, static_cast<std::size_t>(one.state), now_ + 1, to);
    if (one.state >= 0) {
        remembering(node, static_cast<std::size_t>(one.state)).pick(static_cast<std::size_t>(one.state), one.neurons, to);
        for (const Part& part : cell.parts) part.runner->pick(static_cast<std::size_t>(one.state), one.neurons, to);
        return;
    }
    Port<V>& port = cell.ports[static_cast<std::size_t>(one.port)];
    port.prepare();
    const Layout& layout = network_.entries()[node].layout;
    for (std::size_t k = 0; k < to.size(); ++k)
        to[k] = static_cast<Stored<V>>(port.at(layout.physical(one.neurons.empty() ? static_cast<int32_t>(k) : one.neurons[k])));
}

template class Worker<float>;
template class Worker<int32_t>;
template class Worker<int64_t>;

}  // namespace spikeflow
