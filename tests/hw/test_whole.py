"""A mapping runs as whole layers: every bit and every count is that of its parts on their cores."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.files import memory
from spikeflow.hw.tables.kernels import convolution_of
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir.arrays import Quantised, weight_values
from spikeflow.ir.divided import divided_of
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Input, Linear, Output, Population, Sparse, Synapses
from spikeflow.sim import Constant, Probe, prepare, run
from spikeflow.sim.divided import DividedEngine
from spikeflow.sim.engine import Engine
from spikeflow.sim.result import Result
from tests.hw.fixed_nets import (
    BYTE,
    Layers,
    cells,
    conv,
    drawn,
    inputs_for,
    local,
    mapped,
    read_out,
    tiny_chip,
    weights,
)
from tests.sim.test_cut import stretch

STEPS = 14


def _everything(graph: Graph) -> list[str]:
    """Spikes, states and ports of all parts, and what inputs and outputs hand on."""
    names = [*graph.inputs, *graph.outputs]
    for name in graph.of_kind(Population):
        node = graph.nodes[name]
        assert isinstance(node, Population)
        names += [name, *(f"{name}.{x}" for x in (*node.program.states, *node.ports))]
    return names


def _same(a: Result, b: Result) -> None:
    assert a.digest == b.digest
    assert list(a.counts) == list(b.counts)
    for name, counts in a.counts.items():
        assert counts.semantic() == b.counts[name].semantic(), name


def _both(graph: Graph, inputs: Any, steps: int = STEPS) -> Result:
    """The run of the parts, after that of the layers was seen to be the same."""
    whole = prepare(graph, threads=1)
    assert isinstance(whole, DividedEngine)
    parts = Engine(graph, 1)
    record = _everything(graph)
    wanted = parts(inputs, steps, record)
    _same(wanted, whole(inputs, steps, record))
    found = whole(inputs, steps)
    _same(parts(inputs, steps), found)
    assert found.state == wanted.state
    return wanted


def _kinds(graph: Graph) -> Counter[str]:
    assert divided_of(graph) is not None
    return Counter(type(node).__name__ for node in divided_of(graph).whole.nodes.values())


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["current", "spikes"]), st.sampled_from([0, 1, 2]))
def test_random_networks(seed: int, kind: str, isa: int) -> None:
    """Strides, groups, skips, delays, two ports, loops, exponents, outputs that are read late."""
    graph = drawn(seed, kind)
    rebuilt = mapped(graph, tiny_chip()).as_graph()
    inputs = inputs_for(graph, seed)
    wanted = _both(rebuilt, inputs)
    divided = divided_of(rebuilt)
    assert divided is not None
    _same(wanted, DividedEngine(rebuilt, divided, 1, isa)(inputs, STEPS, _everything(rebuilt)))


@pytest.mark.parametrize("neurons", [1, 5, 12, 40])
def test_however_many_cores(neurons: int) -> None:
    graph = local(layers=2, channels=3, side=6)
    chip = tiny_chip(neurons=neurons, axons_out=4000, tiles=(16, 16, 2))
    rebuilt = mapped(graph, chip).as_graph()
    assert _both(rebuilt, inputs_for(graph, 1)).synaptic_operations > 0
    assert _kinds(rebuilt)["Conv2d"] == sum(isinstance(n, Conv2d) for n in graph.nodes.values())


def test_several_chips() -> None:
    graph = local(layers=2, channels=3, side=6)
    mapping = mapped(graph, tiny_chip(tiles=(2, 2, 3)))
    assert mapping.chips >= 2
    _both(mapping.as_graph(), inputs_for(graph, 1))


def _narrowing(seed: int) -> Graph:
    """Weights so large that registers of 9 bits overflow at both ends, on many cores."""
    graph = local(layers=2, channels=3, side=6, seed=seed)
    nodes = dict(graph.nodes)
    for name in graph.of_kind(Population):
        node = nodes[name]
        assert isinstance(node, Population)
        code = tuple(replace(i, value=9) if i.op == "narrow" else i for i in node.program.code)
        nodes[name] = replace(node, program=replace(node.program, code=code))
    return replace(graph, nodes=nodes)


@pytest.mark.parametrize("seed", range(4))
def test_overflow_is_counted_where_it_happens(seed: int) -> None:
    graph = _narrowing(seed)
    mapping = mapped(graph, tiny_chip(neurons=7, axons_out=4000, tiles=(16, 16, 2)))
    rebuilt = mapping.as_graph()
    wanted = _both(rebuilt, inputs_for(graph, seed))
    narrowed = [sum(wanted.counts[n].narrowed.values()) for n in rebuilt.of_kind(Population)]
    assert sum(n > 0 for n in narrowed) > 2, "too little overflow to tell cores apart"
    unmapped = run(graph, inputs_for(graph, seed), STEPS, threads=1)
    assert sum(narrowed) == sum(sum(unmapped.counts[n].narrowed.values()) for n in graph.of_kind(Population))


# --- what is no convolution ---


def _altered(mapping: Mapping, change: Any) -> Mapping:
    """One word of the core with the most of them changed."""
    sizes = [len(core.axons.weight) for core in mapping.cores]
    index = int(np.argmax(sizes))
    core = mapping.cores[index]
    cores = list(mapping.cores)
    cores[index] = replace(core, axons=change(core.axons))
    return replace(mapping, cores=tuple(cores))


def _heavier(axons: Any) -> Any:
    weight = axons.weight.copy()
    at = len(weight) // 2
    weight[at] += 1 if weight[at] < 100 else -1
    return replace(axons, weight=weight)


def _silent(axons: Any) -> Any:
    weight = axons.weight.copy()
    weight[len(weight) // 2] = 0
    return replace(axons, weight=weight)


def _elsewhere(axons: Any) -> Any:
    """A word moved to its neighbour's target, which then has two from one source."""
    neuron = axons.neuron.copy()
    longest = int(np.argmax(axons.lengths))
    first = axons.indptr[longest]
    neuron[first] = neuron[first + 1]
    return replace(axons, neuron=neuron)


@pytest.mark.parametrize("change", [_heavier, _silent, _elsewhere])
def test_one_word_altered_is_no_convolution(change: Any) -> None:
    graph = local(layers=2, channels=3, side=8)
    mapping = mapped(graph, tiny_chip(neurons=30, axons_in=400, axons_out=4000, tiles=(16, 16, 2)))
    before = _kinds(mapping.as_graph())
    changed = _altered(mapping, change).as_graph()
    assert _kinds(changed)["Conv2d"] < before["Conv2d"]
    wanted = _both(changed, inputs_for(graph, 2))
    assert wanted.digest != _both(mapping.as_graph(), inputs_for(graph, 2)).digest


def _one_layer(node: Conv2d, shape: tuple[int, ...]) -> Graph:
    rng = np.random.default_rng(3)
    net = Layers({"x": Input(shape, "current", BYTE)}, [])
    out = node.output_shape("x>a.in", (shape,))
    net.nodes["a"] = cells(out, rng)
    net.join("x", node, "a")
    size = int(np.prod(out))
    net.nodes["c"] = read_out(5, 2)
    net.join("a", Linear(weights((5, size), rng)), "c")
    net.nodes["out"] = Output()
    net.edges.append(Edge("c", "out"))
    return net.graph()


CASES = {
    "padding": ((4, 9, 9), {"padding": ((1, 1), (1, 1))}),
    "none": ((4, 9, 9), {"padding": ((0, 0), (0, 0))}),
    "uneven padding": ((4, 9, 9), {"padding": ((2, 0), (0, 1))}),
    "stride": ((4, 9, 9), {"stride": (2, 2), "padding": ((1, 1), (1, 1))}),
    "strides": ((4, 12, 9), {"stride": (3, 1), "padding": ((1, 0), (1, 1))}),
    "groups": ((4, 9, 9), {"groups": 2, "padding": ((1, 1), (1, 1))}),
    "depthwise": ((4, 9, 9), {"groups": 4, "padding": ((1, 1), (1, 1))}),
    "dilation": ((4, 11, 11), {"dilation": (2, 2), "padding": ((2, 2), (2, 2))}),
    "exponent": ((4, 9, 9), {"exponent": -2, "padding": ((1, 1), (1, 1))}),
}


@pytest.mark.parametrize("case", CASES)
def test_convolutions_are_found(case: str) -> None:
    shape, more = CASES[case]
    rng = np.random.default_rng(7)
    kernel = weights((8, shape[0] // more.get("groups", 1), 3, 3), rng)
    graph = _one_layer(Conv2d(kernel, **more), shape)
    rebuilt = mapped(
        graph, tiny_chip(neurons=50, axons_in=900, axons_out=9000, bits=400_000, tiles=(8, 8, 2))
    ).as_graph()
    assert divided_of(rebuilt) is not None
    found = [n for n in divided_of(rebuilt).whole.nodes.values() if isinstance(n, Conv2d)]
    assert len(found) == 1
    assert found[0].groups == more.get("groups", 1) and found[0].stride == more.get("stride", (1, 1))
    assert np.count_nonzero(weight_values(found[0].weight)) == np.count_nonzero(weight_values(kernel))
    _both(rebuilt, inputs_for(graph, 3))


def test_what_repeats_or_lacks_a_synapse_is_no_convolution() -> None:
    node = conv(4, 3, np.random.default_rng(1))
    s = node.synapses((3, 8, 8), (4, 8, 8))

    def found(chosen: Any) -> bool:
        some = Synapses(s.source[chosen], s.target[chosen], s.weight[chosen])
        return convolution_of(some, (3, 8, 8), 256, Fixed(8), 0) is not None

    every = np.arange(len(s.source))
    assert found(every) and found(np.random.default_rng(2).permutation(every))
    for at in (0, len(every) // 2, len(every) - 1):
        assert not found(np.delete(every, at))
        assert not found(np.append(every, at))
        assert not found(np.append(np.delete(every, at), (at + 1) % len(every)))


@pytest.mark.parametrize("weight", [100, 2**30 - 1])
def test_words_of_one_pair_that_come_to_more_than_a_word(weight: int) -> None:
    """Five words of 31 bits from one source to one target would come to one of 31 bits in 32."""
    words = np.tile([0, 1, 2, 2, 2, 2, 2], 6)
    form = BYTE if weight < 128 else Fixed(31)
    node = Sparse(np.arange(7) * 7, words, Quantised(np.full(42, weight), form), (6,), (3,))
    net = Layers({"x": Input((6,), "current", BYTE), "c": read_out(3, 1), "out": Output()}, [])
    net.join("x", node, "c")
    net.edges.append(Edge("c", "out"))
    graph = net.graph()
    rebuilt = mapped(graph, tiny_chip(neurons=2, bits=400_000)).as_graph()
    inputs = Constant(np.array([[1, 0, 0, 0, 0, -1], [1, 1, 0, 0, 0, 0]]))
    wanted = _both(rebuilt, inputs)
    assert np.array_equal(wanted.output, run(graph, inputs, STEPS, engine="reference").output)


# --- what layers do not offer ---


def test_records_of_some_neurons() -> None:
    graph = drawn(5)
    rebuilt = mapped(graph, tiny_chip()).as_graph()
    inputs = inputs_for(graph, 5)
    name = next(n for n in rebuilt.of_kind(Population) if rebuilt.shapes[n][0] > 2)
    probes = [
        Probe(name, [2, 0], label="some"),
        Probe(f"{name}.v", slice(0, 2), every=3, label="now and then"),
        Probe(f"{name}.in", [1], label="port"),
    ]
    _same(Engine(rebuilt, 1)(inputs, STEPS, probes), prepare(rebuilt, threads=1)(inputs, STEPS, probes))


def test_sums_of_one_core_are_of_the_parts() -> None:
    graph = drawn(5)
    rebuilt = mapped(graph, tiny_chip()).as_graph()
    inputs = inputs_for(graph, 5)
    names = [rebuilt.of_kind(Sparse)[0]]
    wanted = Engine(rebuilt, 1)(inputs, STEPS, names)
    _same(wanted, prepare(rebuilt, threads=1)(inputs, STEPS, names))
    _same(wanted, prepare(rebuilt, threads=2)(inputs, STEPS, names))
    live = prepare(rebuilt, threads=1).begin(3)
    first, rest = (stretch({"x": inputs}, *ends) for ends in ((0, 5), (5, STEPS)))
    found = live.advance(first, 5).followed_by(live.advance(rest, STEPS - 5, names))
    assert np.array_equal(
        found.output if len(found.outputs) == 1 else found.outputs["out"], wanted.outputs["out"]
    )
    assert live.state() == wanted.state


# --- states ---


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from(["current", "spikes"]), st.integers(1, STEPS - 1))
def test_a_run_may_be_cut_anywhere(seed: int, kind: str, cut: int) -> None:
    """A state of either form goes on in either, and is the same; live as well."""
    graph = drawn(seed, kind)
    rebuilt = mapped(graph, tiny_chip()).as_graph()
    inputs = {"x": inputs_for(graph, seed)}
    first, rest = stretch(inputs, 0, cut), stretch(inputs, cut, STEPS)
    whole, parts = prepare(rebuilt, threads=1), Engine(rebuilt, 1)
    assert isinstance(whole, DividedEngine)
    record = _everything(rebuilt)
    states = whole(first, cut).state, parts(first, cut).state
    assert states[0] == states[1]
    wanted = parts(rest, STEPS - cut, record, state=states[1])
    found = whole(rest, STEPS - cut, record, state=states[0])
    _same(wanted, found)
    assert found.state == wanted.state == parts(inputs, STEPS).state
    live, other = whole.begin(3), whole.begin(states[1])
    live.advance(first, cut)
    assert live.state() == states[1] == other.state()
    for one in (live, other):
        _same(wanted, one.advance(rest, STEPS - cut, record))
        assert one.state() == wanted.state
    assert live.latency.steps == STEPS


def test_a_state_of_another_graph_is_refused() -> None:
    graphs = [mapped(drawn(seed), tiny_chip()).as_graph() for seed in (5, 6)]
    state = prepare(graphs[0], threads=1)(inputs_for(drawn(5), 5), STEPS).state
    other = prepare(graphs[1], threads=1)
    with pytest.raises(DataError, match="a state of the graph"):
        other(inputs_for(drawn(6), 6), STEPS, state=state)
    with pytest.raises(DataError, match="a state of the graph"):
        other.begin(state)


def test_layers_are_joined_only_where_memory_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    rebuilt = mapped(drawn(5), tiny_chip()).as_graph()
    assert divided_of(rebuilt) is not None
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setenv(memory.VARIABLE, "1K")
    in_parts = mapped(drawn(5), tiny_chip()).as_graph()
    told = r"joining the layers.* needs about .* room for .*SPIKEFLOW_MEMORY=32G.* runs core by core"
    with pytest.warns(SpikeflowWarning, match=told):
        assert divided_of(in_parts) is None
    assert divided_of(in_parts) is None  # said once


def test_a_changed_graph_does_not_know_layers() -> None:
    rebuilt = mapped(drawn(5), tiny_chip()).as_graph()
    assert divided_of(rebuilt) is not None
    assert divided_of(rebuilt.with_nodes({})) is None and divided_of(replace(rebuilt, dt=2e-3)) is None
