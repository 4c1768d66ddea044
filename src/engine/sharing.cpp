// Steps of a network whose neurons several threads share.
#include "worker.hpp"

namespace spikeflow {

// Phase after phase, the threads meeting before and after each that they share.
template <class V>
void Worker<V>::run_step(const Place& place, int32_t time) {
    for (const Phase& phase : network_.phases()) {
        if (!phase.shared) {
            for (const int32_t n : phase.nodes) run_alone(static_cast<std::size_t>(n), place.text, place.sample, time);
            continue;
        }
        for (const int32_t n : phase.nodes) open_shares(static_cast<std::size_t>(n));
        run_shares(phase.nodes, 1, nullptr);
        exchange_spikes(place.text.exchange, phase.nodes, 1);
        for (const int32_t n : phase.nodes) join_spikes(static_cast<std::size_t>(n));
    }
}

// Several steps of the shared nodes before the threads meet: what they emit meanwhile arrives when these steps are over.
template <class V>
void Worker<V>::run_period(const Place& place, RunResult<V>& result, int32_t steps) {
    const std::vector<Phase>& phases = network_.phases();
    const int64_t begin = now_, end = begin + steps;
    enter_until(place, begin + 1);
    now_ = begin;
    for (const int32_t n : phases[1].nodes)
        if (network_.entries()[static_cast<std::size_t>(n)].node->is_population()) open_shares(static_cast<std::size_t>(n));
    run_shares(phases[1].nodes, steps, &place);
    exchange_spikes(place.text.exchange, phases[1].nodes, steps);
    for (; now_ < end; ++now_) {
        const auto time = static_cast<int32_t>(now_ - place.first);
        for (const int32_t n : phases[1].nodes) join_spikes(static_cast<std::size_t>(n));
        if (phases.size() > 2)
            for (const int32_t n : phases[2].nodes) run_alone(static_cast<std::size_t>(n), place.text, place.sample, time);
        keep(place, result, false);
    }
    // what has arrived is part of the state
    if (end - place.first == place.text.steps) enter_until(place, end);
    now_ = end;
}

// Run what the shared nodes read, up to a step, and let them note it.
template <class V>
void Worker<V>::enter_until(const Place& place, int64_t end) {
    const std::vector<Phase>& phases = network_.phases();
    for (; entered_ < end; ++entered_) {
        now_ = entered_;
        for (const int32_t n : phases[0].nodes)
            run_alone(static_cast<std::size_t>(n), place.text, place.sample, static_cast<int32_t>(now_ - place.first));
        for (const int32_t n : phases[1].nodes)
            if (!network_.entries()[static_cast<std::size_t>(n)].node->is_population()) open_shares(static_cast<std::size_t>(n));
    }
}

// How many steps may be run without meeting: one where something is asked of each that is gone, or not there yet, by then.
template <class V>
int32_t Worker<V>::period_for(const RunText<V>& text) const {
    const std::vector<Phase>& phases = network_.phases();
    if (network_.period() == 1) return 1;
    const auto in = [](const Phase& phase, std::size_t node) {
        return std::find(phase.nodes.begin(), phase.nodes.end(), static_cast<int32_t>(node)) != phase.nodes.end();
    };
    for (const Trace<V>& one : text.traces)
        if (in(phases[0], static_cast<std::size_t>(one.node))) return 1;
    for (const Recorded& one : text.recorded) {
        const auto node = static_cast<std::size_t>(one.node);
        const bool last = phases.size() > 2 && in(phases[2], node), shared = in(phases[1], node);
        if (!last && !(shared && network_.entries()[node].node->is_population())) return 1;
    }
    for (const int32_t n : phases[1].nodes)
        for (const auto& edges : network_.entries()[static_cast<std::size_t>(n)].ports)
            for (const EdgeRef& edge : edges) {
                const auto source = static_cast<std::size_t>(edge.source);
                const bool fed = network_.entries()[static_cast<std::size_t>(n)].node->is_population() && network_.entries()[source].kind == NodeKind::input;
                if (fed && text.feeds[cells_[source].feed].kind != Feed<V>::Kind::constant) return 1;
            }
    return network_.period();
}

template <class V>
void Worker<V>::open_shares(std::size_t node) {
    point_ports(node);
    for (int32_t share = 0; share < cut_.own(); ++share) {
        Step<V> step = step_of(node, share, now_);
        runner_of(node, share).open(step);
    }
}

template <class V>
void Worker<V>::run_shares(const std::vector<int32_t>& nodes, int32_t steps, const Place* place) {
    team_->run([&](int32_t share) {
        for (int64_t time = now_; time < now_ + steps; ++time) {
            for (const int32_t n : nodes) {
                Step<V> step = step_of(static_cast<std::size_t>(n), share, time);
                runner_of(static_cast<std::size_t>(n), share).step(step);
            }
            if (place == nullptr) continue;
            for (const Trace<V>& one : place->text.traces) {
                if (!keeps_itself(static_cast<std::size_t>(one.node))) continue;
                const std::span<Stored<V>> to = row_of_trace(one, *place, time);
                if (!to.empty()) trace_share(one, to, share);
            }
        }
    });
}

// Whether a node's values are gone when the steps of a period are over, so that each thread keeps those of its neurons.
template <class V>
bool Worker<V>::keeps_itself(std::size_t node) const {
    const std::vector<int32_t>& shared = network_.phases()[1].nodes;
    return std::find(shared.begin(), shared.end(), static_cast<int32_t>(node)) != shared.end();
}

// The values of one thread's neurons, in a row of all; what arrives stands in sums of its own.
template <class V>
void Worker<V>::trace_share(const Trace<V>& one, std::span<Stored<V>> to, int32_t share) {
    const auto node = static_cast<std::size_t>(one.node);
    const Layout& layout = network_.entries()[node].layout;
    const Share part = cut_.share(share);
    const int32_t first = layout.first(part.first_block(layout)), last = std::min(layout.size, layout.first(part.last_block(layout)));
    const Runner<V>& runner = runner_of(node, share);
    if (one.state >= 0 && one.neurons.empty()) return runner.save(static_cast<std::size_t>(one.state), 0, to);
    if (one.state >= 0) return runner.pick(static_cast<std::size_t>(one.state), one.neurons, to);
    const Port<V>& port = cells_[node].ports[static_cast<std::size_t>(one.port)];
    if (one.neurons.empty()) {
        for (int32_t i = first; i < last; ++i) to[static_cast<std::size_t>(i)] = static_cast<Stored<V>>(port.at(i));
        return;
    }
    for (std::size_t k = 0; k < to.size(); ++k)
        if (one.neurons[k] >= first && one.neurons[k] < last) to[k] = static_cast<Stored<V>>(port.at(one.neurons[k]));
}

template <class V>
Step<V> Worker<V>::step_of(std::size_t node, int32_t share, int64_t time) {
    Cell& cell = cells_[node];
    Part* const part = share == 0 ? nullptr : &cell.parts[static_cast<std::size_t>(share) - 1];
    std::vector<Slot<V>>& spikes = part == nullptr ? cell.own_spikes : part->spikes;
    Slot<V>& out = spikes.empty() ? slot(node, time) : spikes[static_cast<std::size_t>(time) % spikes.size()];
    return {time, cell.ports, out, part == nullptr ? cell.counters : part->counters, network_.entries()[node].analog, number_};
}

template <class V>
Runner<V>& Worker<V>::runner_of(std::size_t node, int32_t share) {
    Cell& cell = cells_[node];
    return share == 0 ? *cell.runner : *cell.parts[static_cast<std::size_t>(share) - 1].runner;
}

// Say what the populations among these nodes emitted in so many steps, and hear what they did in other processes. One that
// has no spikes says so: the others wait for it.
template <class V>
void Worker<V>::exchange_spikes(const Exchange& exchange, const std::vector<int32_t>& nodes, int32_t steps) {
    if (cut_.whole()) return;
    if (!exchange) throw Error(Fault::simulation, "run", "nothing over which processes exchange spikes");
    const auto emits = [&](int32_t n) { return !cells_[static_cast<std::size_t>(n)].own_spikes.empty(); };
    if (std::none_of(nodes.begin(), nodes.end(), emits)) return;
    own_letter_.clear();
    for (int64_t time = now_; time < now_ + steps; ++time)
        for (const int32_t n : nodes) {
            if (!emits(n)) continue;
            Cell& cell = cells_[static_cast<std::size_t>(n)];
            const std::size_t which = static_cast<std::size_t>(time) % cell.own_spikes.size(), at = own_letter_.size();
            own_letter_.push(0);
            const auto say = [&](Slot<V>& spikes) { for (const int32_t index : spikes.events().index) own_letter_.push(index); };
            say(cell.own_spikes[which]);
            for (Part& part : cell.parts) say(part.spikes[which]);
            own_letter_[at] = static_cast<int32_t>(own_letter_.size() - at - 1);
        }
    letters_.clear();
    for (Buffer<int32_t>& words : exchange(own_letter_.span())) letters_.push_back({std::move(words), 0});
}

// The next population's spikes; what other processes say is believed as far as it makes sense.
template <class V>
void Worker<V>::read_letter(Letter& letter, uint32_t size, Buffer<int32_t>& to) {
    const auto words = static_cast<std::span<const int32_t>>(letter.words.span()).subspan(letter.read);
    const bool counted = !words.empty() && words[0] >= 0 && static_cast<std::size_t>(words[0]) < words.size();
    if (!counted) throw Error(Fault::simulation, "run", "spikes of another process that end too early");
    const auto spikes = words.subspan(1, static_cast<std::size_t>(words[0]));
    for (const int32_t index : spikes) {
        if (static_cast<uint32_t>(index) >= size) throw Error(Fault::simulation, "run", "a spike of another process's neuron that does not exist");
        to.push(index);
    }
    letter.read += 1 + spikes.size();
}

// The spikes of all shares, which follow each other.
template <class V>
void Worker<V>::join_spikes(std::size_t node) {
    Cell& cell = cells_[node];
    if (cell.own_spikes.empty()) return;
    const std::size_t which = static_cast<std::size_t>(now_) % cell.own_spikes.size();
    Events<V>& all = slot(node, now_).write_events();
    if (!cut_.whole()) {
        const auto size = static_cast<uint32_t>(network_.entries()[node].layout.size);
        for (Letter& letter : letters_) read_letter(letter, size, all.index);
        return;
    }
    all.assign(cell.own_spikes[which].events());
    for (Part& part : cell.parts)
        for (const int32_t index : part.spikes[which].events().index) all.index.push(index);
}

template class Worker<float>;
template class Worker<int32_t>;
template class Worker<int64_t>;

}  // namespace spikeflow
