// Python meets the engine here, and nowhere else: arrays in, arrays out, errors translated; no logic.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>

#include "bind_arrays.hpp"
#include "bind_bundle.hpp"
#include "bind_kept.hpp"
#include "bind_monitor.hpp"
#include "bind_plastic.hpp"
#include "bind_projections.hpp"
#include "engine/coded.hpp"
#include "engine/conv.hpp"
#include "engine/joint.hpp"
#include "engine/moves.hpp"
#include "engine/network.hpp"
#include "engine/poisson.hpp"
#include "engine/population.hpp"
#include "engine/sparse.hpp"
#include "engine/synapses.hpp"
#include "engine/worker.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace spikeflow;

namespace {

template <class V>
using FeedArrays = std::tuple<std::string, In<V>, In<int64_t>, In<int32_t>, In<int32_t>>;

template <class V>
SynapseText<V> synapses(const Network<V>& net, const In<WeightOf<V>>& weights, const std::optional<In<V>>& bias,
                        const std::optional<Whole>& delays, int32_t exponent, std::array<int32_t, 2> scopes = {2, 2}) {
    return {view<WeightOf<V>>(weights), view<V>(bias), whole(delays), exponent, static_cast<Scope>(scopes[0]), static_cast<Scope>(scopes[1]), net.cut()};
}

// What Python does with the spikes of this process: it gives them to the others and brings theirs. An error of Python goes
// through the engine as it is.
Exchange exchange_of(const nb::object& given) {
    if (given.is_none()) return {};
    return [given](std::span<const int32_t> own) {
        const nb::gil_scoped_acquire locked;
        auto [array, memory] = allocate<int32_t>({own.size()});
        std::copy(own.begin(), own.end(), memory.begin());
        std::vector<Buffer<int32_t>> all;
        for (const nb::handle one : given(array)) {
            const auto words = nb::cast<In<int32_t>>(one);
            all.emplace_back().assign(view<int32_t>(words));
        }
        return all;
    };
}

template <class V>
Feed<V> to_feed(const FeedArrays<V>& arrays) {
    const auto& [kind, values, start, step, neuron] = arrays;
    using Kind = typename Feed<V>::Kind;
    const Kind which = kind == "spikes" ? Kind::spikes : kind == "constant" ? Kind::constant : Kind::dense;
    return {which, view<V>(values), view<int64_t>(start), view<int32_t>(step), view<int32_t>(neuron)};
}

// sample, step, neuron and value of everything one node emitted, by sample.
template <class V>
nb::tuple to_arrays(const std::vector<Record<V>>& records) {
    std::size_t count = 0;
    for (const auto& record : records) count += record.step.size();
    auto [sample, samples] = allocate<int32_t>({count});
    auto [step, steps] = allocate<int32_t>({count});
    auto [neuron, neurons] = allocate<int32_t>({count});
    auto [value, values] = allocate<V>({count});
    std::size_t at = 0;
    for (std::size_t b = 0; b < records.size(); ++b) {
        const std::size_t n = records[b].step.size();
        std::fill_n(samples.begin() + static_cast<std::ptrdiff_t>(at), n, static_cast<int32_t>(b));
        std::copy_n(records[b].step.begin(), n, steps.begin() + static_cast<std::ptrdiff_t>(at));
        std::copy_n(records[b].neuron.begin(), n, neurons.begin() + static_cast<std::ptrdiff_t>(at));
        std::copy_n(records[b].value.begin(), n, values.begin() + static_cast<std::ptrdiff_t>(at));
        at += n;
    }
    return nb::make_tuple(sample, step, neuron, value);
}

// An array of Python's that the engine writes into.
template <class T>
using Into = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// (node, what it emitted, what it keeps itself) for each node that remembers something.
template <class Arrays>
using MemoryArrays = std::vector<std::tuple<int32_t, std::optional<Arrays>, std::vector<Arrays>>>;
template <class V>
using StartArrays = MemoryArrays<In<Stored<V>>>;
template <class V>
using EndArrays = MemoryArrays<Into<Stored<V>>>;
// (node, port or -1, state or -1, neurons, the steps between two that are kept, values)
template <class V>
using TraceArrays = std::vector<std::tuple<int32_t, int32_t, int32_t, In<int32_t>, int32_t, Into<Stored<V>>>>;
using RecordedArrays = std::vector<std::tuple<int32_t, In<int32_t>>>;

template <class S, class Arrays>
std::vector<Memory<S>> memories(const MemoryArrays<Arrays>& given) {
    const auto span = [](const Arrays& array) { return std::span<S>{array.data(), array.size()}; };
    std::vector<Memory<S>> out;
    for (const auto& [node, emitted, own] : given) {
        Memory<S> memory{node, emitted ? span(*emitted) : std::span<S>{}, {}};
        for (const auto& array : own) memory.own.push_back(span(array));
        out.push_back(std::move(memory));
    }
    return out;
}

template <class V>
Start<V> to_start(const In<int64_t>& steps, const In<int64_t>& numbers, const StartArrays<V>& arrays) {
    return {view<int64_t>(steps), view<int64_t>(numbers), memories<const Stored<V>>(arrays)};
}

// What a stretch of steps takes from Python and gives back to it.
template <class V>
class Stretch {
public:
    Stretch(const Network<V>& network, int32_t steps, int32_t samples, const std::vector<FeedArrays<V>>& feeds,
            const RecordedArrays& recorded, const TraceArrays<V>& traces, int32_t threads) {
        if (steps < 1 || samples < 1) throw Error(Fault::simulation, "run", "no steps or no samples");
        text.steps = steps;
        text.samples = samples;
        text.threads = threads;
        for (const auto& [node, neurons] : recorded) text.recorded.push_back({node, view<int32_t>(neurons)});
        for (const auto& feed : feeds) text.feeds.push_back(to_feed<V>(feed));
        for (const auto& [node, port, state, neurons, every, values] : traces)
            text.traces.push_back({node, port, state, view<int32_t>(neurons), every, {values.data(), values.size()}});
        for (const auto& entry : network.entries()) {
            if (entry.kind != NodeKind::output) continue;
            values_of(steps, samples, entry.layout.size, entry.name);      // which throws where they are too many
            std::vector<std::size_t> shape{static_cast<std::size_t>(steps), static_cast<std::size_t>(samples)};
            for (const int32_t n : entry.layout.shape) shape.push_back(static_cast<std::size_t>(n));
            auto [array, memory] = allocate<V>(shape);
            outputs_.append(array);
            text.outputs.push_back(memory);
        }
    }

    template <class Run>
    nb::tuple run(nb::object progress, const nb::object& exchange, const Run& run) {
        Monitor monitor{std::move(progress), text.samples};
        text.monitor = [&monitor](int64_t done) { return monitor(done); };
        text.exchange = exchange_of(exchange);
        RunResult<V> result;
        {
            const nb::gil_scoped_release unlocked;
            result = run(text);
        }
        if (monitor.failure) throw std::move(*monitor.failure);
        nb::list records;
        for (const auto& record : result.records) records.append(to_arrays<V>(record));
        return nb::make_tuple(outputs_, nb::cast(std::move(result.counters)), records);
    }

    RunText<V> text;

private:
    nb::list outputs_;
};

template <class V>
nb::tuple run(Network<V>& network, int32_t steps, int32_t samples, const std::vector<FeedArrays<V>>& feeds,
              const RecordedArrays& recorded, const TraceArrays<V>& traces, int32_t threads, nb::object progress,
              const In<int64_t>& begun, const In<int64_t>& numbers, const StartArrays<V>& start, const EndArrays<V>& end, const nb::object& exchange) {
    Stretch<V> stretch(network, steps, samples, feeds, recorded, traces, threads);
    stretch.text.start = to_start<V>(begun, numbers, start);
    stretch.text.end = memories<Stored<V>>(end);
    return stretch.run(std::move(progress), exchange, [&](const RunText<V>& text) { return network.run(text); });
}

// A live run beside the network that it needs.
template <class V>
struct LiveRun {
    Network<V>& network;
    Live<V> live;
};

template <class V, class R, class Class>
void bind_population(Class& c, const char* method) {
    c.def(method, [](Network<V>& net, const std::string& name, const Shape& shape, const Code& code, const In<double>& constants,
                     std::array<int64_t, 4> counts, const In<int64_t>& next_states, const std::vector<In<int64_t>>& tables,
                     const std::vector<In<R>>& params, const std::vector<In<R>>& initial, int32_t start) {
        return net.add(make_population<V, R>(name, shape, population<R>(code, constants, counts, next_states, tables, params, initial, start)));
    }, "name"_a, "shape"_a, "code"_a, "constants"_a, "counts"_a, "next_states"_a, "tables"_a, "params"_a, "initial"_a, "start"_a);
}

template <class S, class Class>
void bind_coded(Class& c) {
    c.def("coded", [](Network<float>& net, Network<S>& sums, float scale, int64_t largest, int64_t most, const std::optional<In<float>>& bias) {
        return net.add(make_coded<S>(sums.take(), {scale, largest, most}, view<float>(bias)));
    }, "sums"_a, "scale"_a, "largest"_a, "most"_a, "bias"_a.none(), nb::keep_alive<1, 2>(), "The one node of a network of integers, its sums times a scale.");
}

template <class V, class Class>
void bind_nodes(Class& c) {
    using W = WeightOf<V>;
    c.def("input", &Network<V>::add_input, "name"_a, "shape"_a, "current"_a);
    c.def("output", &Network<V>::add_output, "name"_a, "shape"_a);
    c.def("poisson", [](Network<V>& net, const std::string& name, const Shape& shape, const In<uint32_t>& thresholds, const In<int32_t>& starts,
                        const In<int32_t>& table, int64_t seed, int64_t number, float weight, bool analog) {
        return net.add(make_poisson<V>(name, shape, {view<uint32_t>(thresholds), view<int32_t>(starts), view<int32_t>(table), seed, number, weight, analog}));
    }, "name"_a, "shape"_a, "thresholds"_a, "starts"_a, "table"_a, "seed"_a, "number"_a, "weight"_a, "analog"_a);
    c.def("linear", [](Network<V>& net, const std::string& name, int32_t sources, const Shape& out, const In<W>& weights,
                       const std::optional<In<V>>& bias, const std::optional<Whole>& delays, int32_t exponent) {
        auto text = synapses<V>(net, weights, bias, delays, exponent);
        return net.add(interruptible([&](const GoOn& go_on) {
            text.go_on = go_on;
            return make_linear<V>(name, sources, out, text);
        }));
    }, "name"_a, "sources"_a, "out"_a, "weights"_a, "bias"_a.none(), "delays"_a.none(), "exponent"_a);
    c.def("sparse", [](Network<V>& net, const std::string& name, const Shape& in, const Shape& out, const Whole& indptr,
                       const Whole& targets, const In<W>& weights, const std::optional<In<V>>& bias,
                       const std::optional<Whole>& delays, int32_t exponent, std::array<int32_t, 2> scopes) {
        auto text = synapses<V>(net, weights, bias, delays, exponent, scopes);
        const Integers pointers = whole(indptr), numbers = whole(targets);
        return net.add(interruptible([&](const GoOn& go_on) {
            text.go_on = go_on;
            return make_sparse<V>(name, in, out, pointers, numbers, text);
        }));
    }, "name"_a, "inputs"_a, "out"_a, "indptr"_a, "targets"_a, "weights"_a, "bias"_a.none(), "delays"_a.none(), "exponent"_a, "scopes"_a);
    c.def("by_rule", [](Network<V>& net, const std::string& name, const Shape& in, const Shape& out, const std::vector<ProjectionNumbers>& projections,
                        const std::optional<In<V>>& bias, int32_t bits, float scale) {
        RuleText<V> text{projections_of(projections), view<V>(bias), bits, scale, net.cut()};
        return net.add(interruptible([&](const GoOn& go_on) {
            text.go_on = go_on;
            return make_by_rule<V>(name, in, out, text);
        }));
    }, "name"_a, "inputs"_a, "out"_a, "projections"_a, "bias"_a.none(), "bits"_a, "scale"_a);
    c.def("conv", [](Network<V>& net, const std::string& name, const Shape& in, const Shape& out, const In<W>& weights,
                     const std::optional<In<V>>& bias, const Shape& kernel, const Shape& stride,
                     const Shape& padding, const Shape& dilation, int32_t groups, int32_t exponent) {
        return net.add(make_conv<V>(name, in, out, {view<W>(weights), view<V>(bias), kernel, stride, dilation, padding, groups, exponent}));
    }, "name"_a, "inputs"_a, "out"_a, "weights"_a, "bias"_a.none(), "kernel"_a, "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "exponent"_a);
    c.def("move", [](Network<V>& net, const std::string& name, const std::vector<Shape>& in, const Shape& out, const In<int32_t>& sources) {
        return net.add(make_move<V>(name, in, out, view<int32_t>(sources)));
    }, "name"_a, "inputs"_a, "out"_a, "sources"_a);
    c.def("pool", [](Network<V>& net, const std::string& name, const Shape& in, const Shape& out, const Shape& kernel, const Shape& stride) {
        return net.add(make_pool<V>(name, in, out, kernel, stride));
    }, "name"_a, "inputs"_a, "out"_a, "kernel"_a, "stride"_a);
    c.def("joint", [](Network<V>& net, const std::string& kind, const std::string& name, const std::vector<Shape>& in, const Shape& out,
                      const std::vector<In<int32_t>>& lists, const std::vector<int64_t>& numbers) {
        return net.add(make_joint<V>(kind, {name, in, out, views<int32_t>(lists), numbers}));
    }, "kind"_a, "name"_a, "inputs"_a, "out"_a, "lists"_a, "numbers"_a);
    c.def("scale", [](Network<V>& net, const std::string& name, const Shape& shape, const In<W>& factor, int32_t exponent) {
        return net.add(make_scale<V>(name, shape, view<W>(factor), exponent));
    }, "name"_a, "shape"_a, "factor"_a, "exponent"_a);
}

template <class V>
auto bind_network(nb::module_& m, const char* name, const char* doc) {
    nb::class_<Network<V>> c(m, name, doc);
    c.def("__init__", [](Network<V>* net, int32_t isa, int32_t shares, std::optional<std::array<int32_t, 2>> own) {
        const Cut cut = own ? Cut{shares, (*own)[0], (*own)[1]} : Cut::among_threads(std::clamp(shares, 1, 1024));
        new (net) Network<V>(static_cast<Isa>(std::clamp(isa, 0, 2)), cut);
    }, "isa"_a = 2, "shares"_a = 1, "own"_a.none() = nb::none(),
       "isa: 0 plain, 1 AVX2, 2 AVX-512; never more than the processor has. shares: into how many a sample's neurons are cut; "
          "own: which of them this process holds, first to before last, where it is not all.");
    c.def_prop_ro("shares", [](const Network<V>& net) { return net.cut().shares; });
    c.def_prop_ro("own", [](const Network<V>& net) { return std::make_tuple(net.cut().first, net.cut().last); }, "The shares that this process holds.");
    c.def_prop_ro("period", &Network<V>::period, "Steps that shares run between two meetings.");
    c.def("held", [](const Network<V>& net, int32_t node, int32_t first, int32_t last) {
        const Targets held = net.held(node, first, last);
        return std::make_tuple(held.first, held.last);
    }, "node"_a, "first"_a, "last"_a, "The neurons of a node that these shares hold; all, where it is not cut.");
    bind_nodes<V>(c);
    bind_population<V, V>(c, "population");
    bind_kept<V>(c);
    c.def("connect", &Network<V>::connect, "source"_a, "target"_a, "port"_a, "delay"_a);
    c.def("divide", [](Network<V>& net, int32_t node, int32_t parts, const In<int64_t>& indptr, const In<int32_t>& part, const In<int32_t>& count) {
        net.divide(node, {parts, view<int64_t>(indptr), view<int32_t>(part), view<int32_t>(count)});
    }, "node"_a, "parts"_a, "indptr"_a, "part"_a, "count"_a, "Count what a node does by parts: of a population the part of each neuron, of synapses what each source reaches.");
    c.def("seal", &Network<V>::seal, "No more nodes or edges: check that nothing is missing.");
    c.def("run", &run<V>, "steps"_a, "samples"_a, "feeds"_a, "recorded"_a, "traces"_a.noconvert(), "threads"_a, "progress"_a.none(),
          "begun"_a, "numbers"_a, "start"_a, "end"_a.noconvert(),        // which is written: a copy would be lost
          "exchange"_a.none() = nb::none(),
          "Outputs, counters of each node, and (sample, step, neuron, value) of each recorded node.");
    c.def("live", [](Network<V>& net, int32_t samples, const In<int64_t>& begun, const In<int64_t>& numbers, const StartArrays<V>& start) {
        return new LiveRun<V>{net, {net, samples, to_start<V>(begun, numbers, start)}};
    }, "samples"_a, "begun"_a, "numbers"_a, "start"_a, nb::rv_policy::take_ownership, nb::keep_alive<0, 1>(), "A batch that keeps its state between stretches of steps.");
    return c;
}

template <class V>
void bind_live(nb::module_& m, const char* name) {
    nb::class_<LiveRun<V>> c(m, name, "A batch under way.");
    c.def("advance", [](LiveRun<V>& run, int32_t steps, int32_t samples, const std::vector<FeedArrays<V>>& feeds, const RecordedArrays& recorded,
                        const TraceArrays<V>& traces, int32_t threads, nb::object progress, const nb::object& exchange) {
        Stretch<V> stretch(run.network, steps, samples, feeds, recorded, traces, threads);
        return stretch.run(std::move(progress), exchange, [&](const RunText<V>& text) { return run.live.advance(text); });
    }, "steps"_a, "samples"_a, "feeds"_a, "recorded"_a, "traces"_a.noconvert(), "threads"_a, "progress"_a.none(), "exchange"_a.none() = nb::none());
    c.def("save", [](LiveRun<V>& run, const EndArrays<V>& end) {
        auto into = memories<Stored<V>>(end);
        run.live.save(into);
    }, "end"_a.noconvert(), "Write the state into the arrays given.");
}

void translate(const std::exception_ptr& caught, void*) {
    try {
        std::rethrow_exception(caught);
    } catch (const Error& error) {
        const nb::object kind = nb::module_::import_("spikeflow.errors").attr(error.fault == Fault::graph ? "GraphError" : "SimulationError");
        const nb::object raised = kind(error.node, error.reason, error.hint);
        PyErr_SetObject(kind.ptr(), raised.ptr());
    }
}

const char* const BUILD =
#if defined(__clang__)
    "clang " __clang_version__
#else
    "GCC " __VERSION__
#endif
#if defined(__SANITIZE_ADDRESS__)
    ", with sanitizers"
#elif !defined(__OPTIMIZE__)
    ", not optimised"
#endif
#if defined(SPIKEFLOW_X86)
    ", kernels plain, AVX2 and AVX-512"
#else
    ", kernels plain"
#endif
#if defined(Py_LIMITED_API)
    ", for Python 3.12 and later"
#endif
    ;

}  // namespace

NB_MODULE(_engine, m) {
    m.doc() = "The event-driven engine; built from src/ and used by spikeflow.sim.engine alone.";
    nb::register_exception_translator(translate);
    m.def("isa", [] { return static_cast<int>(best_isa()); }, "The best set of kernels here: 0 plain, 1 AVX2, 2 AVX-512.");
    m.def("build", [] { return BUILD; }, "How the engine was compiled.");
    m.def("rows_layout", &rows_layout, "How kept rows lie in memory, in one line.");
    m.def("operations", [] {
        std::vector<std::tuple<std::string, int, bool, bool>> rows;
        for (const OperationFacts& row : kOperations) rows.emplace_back(row.word, row.arguments, row.legal<float>(), row.legal<int64_t>());
        return rows;
    }, "The operations by number: name, arguments, whether they take real numbers and whole ones.");
    m.def("reach_of_sources", [](const std::string& name, int32_t sources, int32_t targets, const std::vector<ProjectionNumbers>& projections, int32_t first, int32_t last) {
        const std::vector<int32_t> found = reach_of_sources(name, sources, targets, projections_of(projections), {first, last});
        auto [array, memory] = allocate<int32_t>({found.size()});
        std::copy(found.begin(), found.end(), memory.begin());
        return array;
    }, "name"_a, "sources"_a, "targets"_a, "projections"_a, "first"_a, "last"_a, "The longest delay of each source's synapses by rule onto some of the targets.");
    nb::class_<Counters>(m, "Counters", "What one node did, summed over samples and steps.")
        .def_ro("spikes", &Counters::spikes)
        .def_ro("accumulates", &Counters::accumulates)
        .def_ro("multiplies", &Counters::multiplies)
        .def_ro("cached", &Counters::cached)
        .def_ro("updates", &Counters::updates)
        .def_ro("idle", &Counters::idle)
        .def_ro("skipped", &Counters::skipped)
        .def_ro("narrowed", &Counters::narrowed)
        .def_ro("parts", &Counters::parts)
        .def_ro("unbounded", &Counters::unbounded);
    bind_live<float>(m, "FloatLive");
    bind_live<int32_t>(m, "Int32Live");
    bind_live<int64_t>(m, "Int64Live");
    auto floats = bind_network<float>(m, "FloatNetwork", "A network in float32.");
    auto narrow = bind_network<int32_t>(m, "Int32Network", "A network of integers that all fit 32 bits.");
    bind_population<int32_t, int64_t>(narrow, "population_wide");
    bind_network<int64_t>(m, "Int64Network", "A network of integers.");
    bind_coded<int32_t>(floats);
    bind_coded<int64_t>(floats);
    bind_bundle(m, floats);
    bind_plastic(floats);
}
