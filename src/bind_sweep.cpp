// Python meets the sweeps here: addresses of arrays in, nothing out; no logic. Whoever calls has checked the arrays.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "sweep/driven.hpp"
#include "sweep/product.hpp"
#include "sweep/recurrent.hpp"
#include "sweep/sweep.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace spikeflow;

namespace {

using Address = uintptr_t;
using Addresses = std::vector<Address>;
using Streams = std::vector<std::tuple<Address, int64_t>>;                 // address, number of values
using Parameters = std::vector<std::tuple<Address, int64_t, Address>>;     // and the owners' address, 0 for none
using Sizes = std::array<int64_t, 7>;                                      // as Stretch has them
using Code = nb::ndarray<const int64_t, nb::shape<-1, 7>, nb::c_contig, nb::device::cpu>;
template <class T>
using In = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
T* pointer(Address address) { return reinterpret_cast<T*>(address); }

template <class T>
std::vector<T*> pointers(const Addresses& addresses) {
    std::vector<T*> out;
    for (const Address address : addresses) out.push_back(pointer<T>(address));
    return out;
}

template <class R>
Stream<R> stream(const std::tuple<Address, int64_t>& given) { return {pointer<const R>(std::get<0>(given)), std::get<1>(given)}; }

template <class R>
std::vector<Stream<R>> streams(const Streams& given) {
    std::vector<Stream<R>> out;
    for (const auto& one : given) out.push_back(stream<R>(one));
    return out;
}

template <class R>
std::vector<Parameter<R>> parameters(const Parameters& given) {
    std::vector<Parameter<R>> out;
    for (const auto& [values, count, owner] : given) out.push_back({pointer<const R>(values), count, pointer<const int32_t>(owner)});
    return out;
}

Stretch stretch(const Sizes& sizes) {
    const auto [steps, elements, population, interval, threads, isa, chunk] = sizes;
    return {steps, elements, population, interval, static_cast<int32_t>(threads), static_cast<int32_t>(std::clamp<int64_t>(isa, 0, 2)), chunk};
}

using Into = std::array<Addresses, 3>;

// What a step read, by address.
struct Seen {
    const Streams& ports;
    const Parameters& params;
    const Addresses& state;
    Address kept;
};

template <class R>
BackwardText<R> back(const Sizes& sizes, const Seen& seen, const Streams& cotangents, const Into& into) {
    std::vector<Stream<R>> after = streams<R>(cotangents);
    const Stream<R> out = after.front();
    after.erase(after.begin());
    return {stretch(sizes), streams<R>(seen.ports), parameters<R>(seen.params), pointers<const R>(seen.state), pointer<const R>(seen.kept),
            out, after, pointers<R>(into[0]), pointers<R>(into[1]), pointers<R>(into[2])};
}

template <class R>
void bind_program(nb::module_& m, const char* name) {
    nb::class_<Program<R>> c(m, name, "A program of floats, compiled; sizes: steps, elements, population, interval, threads, isa, chunk.");
    c.def("__init__", [](Program<R>* made, const Code& code, const In<double>& constants, std::array<int64_t, 5> counts, const In<int64_t>& next_states) {
        static_assert(sizeof(Instruction) == 7 * sizeof(int64_t));
        ProgramText text;
        text.code = {reinterpret_cast<const Instruction*>(code.data()), code.shape(0)};
        text.constants = {constants.data(), constants.size()};
        text.inputs = counts[0];
        text.states = counts[1];
        text.params = counts[2];
        text.output = counts[3];
        text.carried = counts[4];
        text.next_states = {next_states.data(), next_states.size()};
        text.once = true;
        new (made) Program<R>("program", text);
    }, "code"_a, "constants"_a, "counts"_a, "next_states"_a);
    c.def("forward", [](const Program<R>& program, const Sizes& sizes, const Streams& ports, const Parameters& params, const Addresses& state,
                        Address out, const Addresses& after, Address kept) {
        const ForwardText<R> text{stretch(sizes), streams<R>(ports), parameters<R>(params), pointers<const R>(state),
                                  pointer<R>(out), pointers<R>(after), pointer<R>(kept)};
        const nb::gil_scoped_release released;
        return sweep_forward(program, text);
    }, "sizes"_a, "ports"_a, "params"_a, "state"_a, "out"_a, "after"_a, "kept"_a,
       "All steps of a stretch. Returns how many were settled in chunks of time.");
    c.def("backward", [](const Program<R>& again, const Program<R>& adjoint, const Program<R>* gathered, const Sizes& sizes, const std::array<std::vector<int32_t>, 2>& wanted,
                         const Streams& ports, const Parameters& params, const Addresses& state, Address kept, const Streams& cotangents,
                         const Into& into) {
        const BackwardText<R> text = back<R>(sizes, {ports, params, state, kept}, cotangents, into);
        const nb::gil_scoped_release released;
        sweep_backward<R>({again, adjoint, gathered}, {wanted[0], wanted[1]}, text);
    }, "adjoint"_a, "gathered"_a.none(), "sizes"_a, "wanted"_a, "ports"_a, "params"_a, "state"_a, "kept"_a, "cotangents"_a, "into"_a,
       "Back through a stretch. wanted: ports and parameters by number; cotangents: of the output, then of the states behind it; "
       "into: for the wanted ports, the states, the wanted parameters.");
    c.def("scan", [](const Program<R>& step, const Program<R>& jacobian, const Program<R>& adjoint, const Sizes& sizes, const std::array<std::vector<int32_t>, 2>& wanted,
                     const Streams& ports, const Parameters& params, const Addresses& state, Address kept, const Streams& cotangents, const Into& into) {
        const BackwardText<R> text = back<R>(sizes, {ports, params, state, kept}, cotangents, into);
        const nb::gil_scoped_release released;
        return step.states() <= kScanned && sweep_scan<R>({step, jacobian, adjoint}, {wanted[0], wanted[1]}, text);
    }, "jacobian"_a, "adjoint"_a, "sizes"_a, "wanted"_a, "ports"_a, "params"_a, "state"_a, "kept"_a, "cotangents"_a, "into"_a,
       "Back through a stretch, all steps side by side but for what is carried; whether that could be done.");
}

using Fed = std::tuple<Address, Address, Address, int64_t>;                // weight, bias, last outputs; the port's number

Feedback feedback(const Fed& given) {
    const auto& [weight, bias, last, port] = given;
    return {pointer<const float>(weight), pointer<const float>(bias), pointer<const float>(last), static_cast<std::size_t>(port)};
}

void bind_recurrent(nb::module_& m) {
    m.def("recurrent", [](const Program<float>& program, const Fed& fed, const Sizes& sizes, const Streams& ports, const Parameters& params,
                          const Addresses& state, const std::array<Address, 3>& into, const Addresses& after) {
        const auto [out, kept, currents] = into;
        const ForwardText<float> text{stretch(sizes), streams<float>(ports), parameters<float>(params), pointers<const float>(state),
                                      pointer<float>(out), pointers<float>(after), pointer<float>(kept)};
        const nb::gil_scoped_release released;
        recurrent_forward(program, feedback(fed), text, pointer<float>(currents));
    }, "program"_a, "fed"_a, "sizes"_a, "ports"_a, "params"_a, "state"_a, "into"_a, "after"_a,
       "A layer whose outputs come back. fed: weight, bias, last outputs, number of the port; into: outputs, states kept, currents.");
    m.def("recurrent_back", [](const Program<float>& program, const Program<float>& again, const Program<float>& adjoint, const Fed& fed,
                               const Sizes& sizes, const Streams& ports, const Parameters& params, const Addresses& state, Address kept,
                               const Streams& cotangents, Address total) {
        BackwardText<float> text;
        text.stretch = stretch(sizes);
        text.ports = streams<float>(ports);
        text.params = parameters<float>(params);
        text.state = pointers<const float>(state);
        text.kept = pointer<const float>(kept);
        text.after = streams<float>(cotangents);
        text.out = text.after.front();
        text.after.erase(text.after.begin());
        const nb::gil_scoped_release released;
        recurrent_backward({program, {again, adjoint, nullptr}}, feedback(fed), text, pointer<float>(total));
    }, "program"_a, "again"_a, "adjoint"_a, "fed"_a, "sizes"_a, "ports"_a, "params"_a, "state"_a, "kept"_a, "cotangents"_a, "total"_a,
       "Into `total` the cotangents of the outputs: those given, and what comes back through the feedback.");
}

using Driving = std::tuple<Address, Address, Address, int64_t, int64_t>;   // x, weight, bias; inputs, the port's number

Drive drive(const Driving& given) {
    const auto& [x, weight, bias, inputs, port] = given;
    return {pointer<const float>(x), pointer<const float>(weight), pointer<const float>(bias), inputs, static_cast<std::size_t>(port)};
}

void bind_driven(nb::module_& m) {
    m.def("driven", [](const Program<float>& program, const Driving& driving, const Sizes& sizes, const Streams& ports, const Parameters& params,
                       const Addresses& state, Address out, const Addresses& after, Address kept) {
        const ForwardText<float> text{stretch(sizes), streams<float>(ports), parameters<float>(params), pointers<const float>(state),
                                      pointer<float>(out), pointers<float>(after), pointer<float>(kept)};
        const nb::gil_scoped_release released;
        driven_forward(program, drive(driving), text);
    }, "program"_a, "drive"_a, "sizes"_a, "ports"_a, "params"_a, "state"_a, "out"_a, "after"_a, "kept"_a,
       "A product of spikes and the layer that it drives. drive: x, weight, bias, number of inputs, number of the port; "
       "kept: as many numbers for each state and element as the interval goes into the steps, rounded up.");
    m.def("driven_back", [](const std::tuple<const Program<float>*, const Program<float>*, const Program<float>*>& programs, const std::vector<int32_t>& wanted,
                            const Driving& driving, const Sizes& sizes, const std::tuple<Streams, Parameters, Addresses, Address>& seen,
                            const Streams& cotangents, const std::array<Address, 3>& to, const std::array<Addresses, 2>& into) {
        const auto& [ports, params, state, kept] = seen;
        const BackwardText<float> text = back<float>(sizes, {ports, params, state, kept}, cotangents, {Addresses{}, into[0], into[1]});
        const auto [again, adjoint, gathered] = programs;
        const nb::gil_scoped_release released;
        driven_backward({*again, *adjoint, gathered}, wanted, drive(driving), text, {pointer<float>(to[0]), pointer<float>(to[1]), pointer<float>(to[2])});
    }, "programs"_a, "wanted"_a, "drive"_a, "sizes"_a, "seen"_a, "cotangents"_a, "to"_a, "into"_a,
       "Back through both. wanted: parameters by number; seen: ports, params, state, kept; to: weight, bias, currents, 0 where not wanted; "
       "into: for the states, the wanted parameters.");
}

// sizes: rows, inputs, outputs, threads, isa
Product product(const std::array<int64_t, 5>& sizes) {
    const auto [rows, inputs, outputs, threads, isa] = sizes;
    return {rows, inputs, outputs, static_cast<int32_t>(threads), static_cast<int32_t>(std::clamp<int64_t>(isa, 0, 2))};
}

void bind_products(nb::module_& m) {
    m.def("active", [](Address values, int64_t count, int32_t threads) {
        const nb::gil_scoped_release released;
        return active(pointer<const float>(values), count, threads, 2);
    }, "values"_a, "count"_a, "threads"_a, "How many of float32 values are not 0.");
    m.def("product", [](const std::array<int64_t, 5>& sizes, Address s, Address weight, Address bias, Address y) {
        const nb::gil_scoped_release released;
        product_forward(product(sizes), pointer<const float>(s), pointer<const float>(weight), pointer<const float>(bias), pointer<float>(y));
    }, "sizes"_a, "s"_a, "weight"_a, "bias"_a, "y"_a, "y = s weight^T + bias, of what is active; sizes: rows, inputs, outputs, threads, isa.");
    m.def("product_weight", [](const std::array<int64_t, 5>& sizes, Address s, Address cotangent, Address to_weight) {
        const nb::gil_scoped_release released;
        product_weight(product(sizes), pointer<const float>(s), pointer<const float>(cotangent), pointer<float>(to_weight));
    }, "sizes"_a, "s"_a, "cotangent"_a, "to_weight"_a, "The gradient of the weight.");
}

}  // namespace

NB_MODULE(_sweep, m) {
    m.doc() = "Layers of neurons over a stretch of time; built from src/ and used by spikeflow.neurons.compiled alone.";
    nb::set_leak_warnings(false);           // layers that live until the end of Python hold programs
    m.def("isa", [] { return static_cast<int>(best_isa()); }, "The best set of kernels here: 0 plain, 1 AVX2, 2 AVX-512.");
    m.def("operations", [] {
        std::vector<const char*> words;
        for (const OperationFacts& row : kOperations) words.push_back(row.word);
        return words;
    }, "The operations by number.");
    bind_program<float>(m, "Program32");
    bind_program<double>(m, "Program64");
    bind_products(m);
    bind_recurrent(m);
    bind_driven(m);
}
