// What a run is given: every size, number and order is looked at before anything runs.
#include "network.hpp"

#include <algorithm>

namespace spikeflow {

std::size_t values_of(int64_t steps, int64_t samples, int64_t size, const std::string& node) {
    int64_t count = 0;
    const bool over = __builtin_mul_overflow(steps, samples, &count) || __builtin_mul_overflow(count, size, &count);
    if (over || count > (INT64_MAX >> 4)) throw Error(Fault::simulation, node, "more values than any memory holds", "fewer steps or samples");
    return static_cast<std::size_t>(count);
}

namespace {

bool exist(std::span<const int32_t> neurons, int32_t size) {
    return std::all_of(neurons.begin(), neurons.end(), [size](int32_t i) { return i >= 0 && i < size; });
}

}  // namespace

template <class V>
void Network<V>::check_run(const RunText<V>& text) const {
    const auto fault = [](bool holds, const std::string& node, const char* reason) {
        if (!holds) throw Error(Fault::simulation, node, reason);
    };
    fault(sealed_, "run", "the network is not finished");
    fault(text.steps >= 1 && text.samples >= 1, "run", "no steps or no samples");
    std::size_t inputs = 0, outputs = 0;
    for (const Entry<V>& entry : entries_) {
        const std::size_t whole = values_of(text.steps, text.samples, entry.layout.size, entry.name);
        if (entry.kind == NodeKind::input) {
            fault(inputs < text.feeds.size(), entry.name, "no input given");
            check_feed(entry, text.feeds[inputs++], text);
        } else if (entry.kind == NodeKind::output) {
            fault(outputs < text.outputs.size() && text.outputs[outputs].size() == whole, entry.name, "no room for its values");
            ++outputs;
        }
    }
    fault(inputs == text.feeds.size() && outputs == text.outputs.size(), "run", "more inputs or outputs than the network has");
    for (const Recorded& r : text.recorded) {
        fault(r.node >= 0 && static_cast<std::size_t>(r.node) < entries_.size(), "run", "a node to record that does not exist");
        fault(exist(r.neurons, entries_[static_cast<std::size_t>(r.node)].layout.size) && std::is_sorted(r.neurons.begin(), r.neurons.end()), "run", "neurons to record that do not exist, or out of order");
    }
    check_traces(text);
    check_start(text);
}

template <class V>
void Network<V>::check_traces(const RunText<V>& text) const {
    for (const Trace<V>& trace : text.traces) {
        bool holds = trace.node >= 0 && static_cast<std::size_t>(trace.node) < entries_.size();
        if (holds) {
            const Entry<V>& entry = entries_[static_cast<std::size_t>(trace.node)];
            holds = entry.node && entry.node->is_population() && trace.every >= 1 && exist(trace.neurons, entry.layout.size)
                && (trace.state >= 0 || (trace.port >= 0 && static_cast<std::size_t>(trace.port) < entry.ports.size()));
        }
        if (!holds) throw Error(Fault::simulation, "run", "a value to record that does not exist");
    }
}

template <class V>
void Network<V>::check_start(const RunText<V>& text) const {
    const auto samples = static_cast<std::size_t>(text.samples);
    const bool given = !text.start.steps.empty();
    const bool numbered = text.start.numbers.empty() || text.start.numbers.size() == samples;
    if (given ? text.start.steps.size() != samples || !numbered : !text.start.memories.empty()) throw Error(Fault::simulation, "run", "a state of another number of samples");
    for (const int64_t steps : text.start.steps)
        if (steps < 0 || steps > (INT64_MAX >> 1)) throw Error(Fault::simulation, "run", "a state of negative steps, or of too many");
    for (const auto& memory : text.start.memories) check_memory(memory, text.samples);
    for (const auto& memory : text.end) {
        Memory<const Stored<V>> seen{memory.node, memory.emitted, {}};
        for (const auto& own : memory.own) seen.own.push_back(own);
        check_memory(seen, text.samples);
    }
}

template <class V>
void Network<V>::check_memory(const Memory<const Stored<V>>& memory, int32_t samples) const {
    const auto fault = [](bool holds, const std::string& node, const char* reason) {
        if (!holds) throw Error(Fault::simulation, node, reason);
    };
    fault(memory.node >= 0 && static_cast<std::size_t>(memory.node) < entries_.size(), "run", "a state of a node that does not exist");
    const Entry<V>& entry = entries_[static_cast<std::size_t>(memory.node)];
    const std::size_t row = static_cast<std::size_t>(samples) * static_cast<std::size_t>(entry.layout.size);
    const bool whole = memory.emitted.size() % row == 0 && memory.emitted.size() / row < static_cast<std::size_t>(entry.ring);
    fault(whole || memory.emitted.empty(), entry.name, "a past of another size");
    fault(memory.own.empty() || entry.node, entry.name, "a state of a node that has none");
    for (const auto& own : memory.own) fault(own.size() % static_cast<std::size_t>(samples) == 0, entry.name, "a state of another size");
}

namespace {

// Written without branches, so that the compiler makes vectors of them: every spike of every run passes here.
bool exist(std::span<const int32_t> step, std::span<const int32_t> neuron, int32_t size) {
    int32_t outside = 0;
    for (std::size_t k = 0; k < step.size(); ++k) outside |= step[k] | neuron[k] | (size - 1 - neuron[k]);    // below 0
    return outside >= 0;
}

bool rising(std::span<const int32_t> step, std::span<const int32_t> neuron) {
    int32_t falls = 0;
    for (std::size_t k = 1; k < step.size(); ++k) {
        const int32_t later = step[k] > step[k - 1], same = step[k] == step[k - 1], above = neuron[k] > neuron[k - 1];
        falls |= 1 - (later | (same & above));
    }
    return falls == 0;
}

}  // namespace

template <class V>
void Network<V>::check_feed(const Entry<V>& entry, const Feed<V>& feed, const RunText<V>& text) const {
    const auto fault = [&](bool holds, const char* reason) {
        if (!holds) throw Error(Fault::simulation, entry.name, reason);
    };
    const auto steps = static_cast<std::size_t>(text.steps), samples = static_cast<std::size_t>(text.samples);
    const auto size = static_cast<std::size_t>(entry.layout.size);
    if (feed.kind == Feed<V>::Kind::dense) return fault(feed.values.size() == steps * samples * size, "an input of another size");
    if (feed.kind == Feed<V>::Kind::constant) return fault(feed.values.size() == samples * size, "an input of another size");
    const std::size_t count = feed.step.size();
    fault(feed.neuron.size() == count && feed.values.size() == count && feed.sample_start.size() == samples + 1, "spikes of different lengths");
    fault(feed.sample_start[0] >= 0 && feed.sample_start[samples] <= static_cast<int64_t>(count), "samples that do not lie within its spikes");
    for (std::size_t b = 0; b < samples; ++b) fault(feed.sample_start[b] <= feed.sample_start[b + 1], "samples out of order");
    for (std::size_t b = 0; b < samples; ++b) {
        const auto first = static_cast<std::size_t>(feed.sample_start[b]), number = static_cast<std::size_t>(feed.sample_start[b + 1]) - first;
        const auto step = feed.step.subspan(first, number), neuron = feed.neuron.subspan(first, number);
        fault(exist(step, neuron, entry.layout.size), "a spike of a step or neuron that does not exist");
        fault(rising(step, neuron), "spikes out of order");
    }
}

#define SF_MAKE(V)                                                                                                         \
    template void Network<V>::check_run(const RunText<V>&) const;                                                          \
    template void Network<V>::check_memory(const Memory<const Stored<V>>&, int32_t) const;
SF_MAKE(float)
SF_MAKE(int32_t)
SF_MAKE(int64_t)

}  // namespace spikeflow
