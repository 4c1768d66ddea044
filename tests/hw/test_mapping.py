"""The mapped network is the network, rebuilt from the tables alone; and no table can be missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.errors import GraphError
from spikeflow.hw.cost import over_limits
from spikeflow.hw.tables import rebuild
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.hw.tables.records import AxonTable, CoreTable, RouteTable
from spikeflow.ir import stages
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Input, Linear, Output, Population, Sparse
from spikeflow.ir.record import RunRecord
from spikeflow.sim import run
from tests.hw.fixed_nets import BYTE, drawn, inputs_for, local, mapped, outputs, read_out, tiny_chip


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(["current", "spikes"]))
def test_mapped_is_unmapped(seed: int, kind: str) -> None:
    graph, chip = drawn(seed, kind), tiny_chip()
    mapping = mapped(graph, chip)
    rebuilt = mapping.as_graph()
    stages.check(rebuilt, "fixed")
    assert not over_limits(mapping, chip)
    x = inputs_for(graph, seed)
    before, after = outputs(graph, x), outputs(rebuilt, x)
    assert set(before) == set(after)
    for name, values in before.items():
        assert np.array_equal(values, after[name]), name


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_engine_runs_the_mapped_network_alike(seed: int) -> None:
    pytest.importorskip("spikeflow.sim._engine")
    graph = drawn(seed)
    x = inputs_for(graph, seed)
    rebuilt = mapped(graph, tiny_chip()).as_graph()
    before, after = outputs(graph, x, engine="cpp"), outputs(rebuilt, x, engine="cpp")
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_exponent_acts_once_on_the_whole_sum() -> None:
    """40 sources on four cores add 1 each; 40 >> 3 is 5, but (10 >> 3) of each core would be 4."""
    hold = drawn(0).nodes["a"]
    assert isinstance(hold, Population)
    cells = Population(
        "IF", hold.program, {"bias": np.array(1), "threshold": np.array(1)}, (40,), 0, {}, hold.formats
    )
    nodes = {
        "x": Input((1,), "current", BYTE),
        "w": Linear(Quantised(np.zeros((40, 1), int), BYTE)),
        "a": cells,
        "s": Linear(Quantised(np.ones((1, 40), int), BYTE), exponent=-3),
        "c": read_out(1, 1),
        "out": Output(),
    }
    edges = (
        Edge("x", "w", delay=1),
        Edge("w", "a"),
        Edge("a", "s", delay=1),
        Edge("s", "c"),
        Edge("c", "out"),
    )
    mapping = mapped(Graph(nodes, edges), tiny_chip(neurons=10))
    assert len([c for c in mapping.cores if c.slices[0].population == "a"]) == 4
    x = inputs_for(Graph(nodes, edges), 0)
    assert outputs(mapping.as_graph(), x)["out"][:3, 0, 0].tolist() == [0, 5, 10]


def test_outputs_keep_their_order_and_shape() -> None:
    graph = local(layers=1, channels=3, side=4)
    mapping = mapped(graph, tiny_chip())
    x = inputs_for(graph, 5)
    assert len(mapping.cores) >= 4 and mapping.outputs[0].shape == (3, 4, 4)
    assert np.array_equal(outputs(graph, x)["out"], outputs(mapping.as_graph(), x)["out"])


def test_same_seed_same_mapping() -> None:
    graph = drawn(11)
    first, second = (mapped(graph, tiny_chip(), seed=4) for _ in range(2))
    assert first.as_graph().digest == second.as_graph().digest
    assert [(c.chip, c.x, c.y, c.slot) for c in first.cores] == [
        (c.chip, c.x, c.y, c.slot) for c in second.cores
    ]


def test_two_chips() -> None:
    graph, chip = local(layers=2, channels=3, side=6), tiny_chip(tiles=(2, 2, 3))
    mapping = mapped(graph, chip)
    assert mapping.chips >= 2 and mapping.layout.chips == mapping.chips
    x = inputs_for(graph, 1)
    assert np.array_equal(outputs(graph, x)["out"], outputs(mapping.as_graph(), x)["out"])
    assert not over_limits(mapping, chip)


def test_one_sparse_for_each_projection_and_slice() -> None:
    mapping = mapped(drawn(3), tiny_chip())
    rebuilt = mapping.as_graph()
    wanted = sum(len(np.unique(core.axons.projection)) for core in mapping.cores)
    assert sum(not name.endswith(".order") for name in rebuilt.of_kind(Sparse)) == wanted
    assert len(rebuilt.of_kind(Population)) == sum(len(core.slices) for core in mapping.cores)
    assert set(mapping.core_of.values()) == set(range(mapping.cores_used))


def test_network_for_running() -> None:
    graph = drawn(3)
    network = mapped(graph, tiny_chip(neurons=20)).as_network()
    assert network.record.readout == "c" and network.graph.nodes["c"].start == 3
    cut = mapped(graph, tiny_chip(neurons=1, axons_out=1000), chips=100).as_network()
    assert cut.record.readout == "c[0]" and cut.graph.nodes["c[0]"].start == 3


# --- what is missing is noticed ---


def _with_core(mapping: Mapping, index: int, core: CoreTable) -> Mapping:
    cores = list(mapping.cores)
    cores[index] = core
    return replace(mapping, cores=tuple(cores))


def _without(table: AxonTable, axon: int) -> AxonTable:
    word = np.repeat(np.arange(len(table.projection)), table.lengths) != axon
    rest = np.arange(len(table.projection)) != axon
    return AxonTable(
        table.projection[rest],
        table.delay[rest],
        np.concatenate([[0], np.cumsum(table.lengths[rest])]),
        table.neuron[word],
        table.weight[word],
    )


def _without_entries(routes: RouteTable, core: int, axon: int) -> RouteTable:
    kept = (routes.core != core) | (routes.axon != axon)
    later = (routes.core[kept] == core) & (routes.axon[kept] > axon)
    return RouteTable(routes.neuron[kept], routes.core[kept], routes.axon[kept] - later)


def _drop_axon_and_its_route(mapping: Mapping, core: int, axon: int) -> Mapping:
    cores = tuple(
        replace(
            c,
            routes=_without_entries(c.routes, core, axon),
            axons=_without(c.axons, axon) if i == core else c.axons,
        )
        for i, c in enumerate(mapping.cores)
    )
    inputs = tuple(replace(t, routes=_without_entries(t.routes, core, axon)) for t in mapping.inputs)
    return replace(mapping, cores=cores, inputs=inputs)


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return mapped(drawn(2), tiny_chip())


def test_a_dropped_route_is_an_error(mapping: Mapping) -> None:
    index = next(i for i, c in enumerate(mapping.cores) if len(c.routes.neuron))
    core = mapping.cores[index]
    short = RouteTable(core.routes.neuron[1:], core.routes.core[1:], core.routes.axon[1:])
    with pytest.raises(GraphError, match="reached by 0 routes"):
        _with_core(mapping, index, replace(core, routes=short))
    table = mapping.inputs[0]
    short = RouteTable(table.routes.neuron[1:], table.routes.core[1:], table.routes.axon[1:])
    with pytest.raises(GraphError, match="reached by 0 routes"):
        replace(mapping, inputs=(replace(table, routes=short),))


def test_a_dropped_axon_is_an_error(mapping: Mapping) -> None:
    core = mapping.cores[0]
    with pytest.raises(GraphError, match="route"):
        _with_core(mapping, 0, replace(core, axons=_without(core.axons, 0)))


def test_a_dropped_axon_with_its_route_changes_the_digest(mapping: Mapping) -> None:
    changed = _drop_axon_and_its_route(mapping, 0, 1)
    assert changed.as_graph().digest != mapping.as_graph().digest


def test_a_dropped_synapse_word_changes_the_digest(mapping: Mapping) -> None:
    core = mapping.cores[0]
    long = int(np.argmax(core.axons.lengths))
    assert core.axons.lengths[long] > 1
    word = np.arange(len(core.axons.weight)) != core.axons.indptr[long]
    less = core.axons.indptr - (np.arange(len(core.axons.indptr)) > long)
    axons = replace(core.axons, indptr=less, neuron=core.axons.neuron[word], weight=core.axons.weight[word])
    changed = _with_core(mapping, 0, replace(core, axons=axons))
    assert changed.as_graph().digest != mapping.as_graph().digest


def test_without_its_busiest_axon_the_sums_differ() -> None:
    graph = drawn(4)
    mapping = mapped(graph, tiny_chip())
    x = inputs_for(graph, 4)
    node = graph.nodes["x"]
    assert isinstance(node, Input)
    carried = np.abs(x.values).reshape(-1, int(np.prod(node.shape))).sum(axis=0)
    routes = mapping.inputs[0].routes
    entry = max(range(len(routes.neuron)), key=lambda i: (carried[routes.neuron[i]], -i))
    changed = _drop_axon_and_its_route(mapping, int(routes.core[entry]), int(routes.axon[entry]))
    core, axon = int(routes.core[entry]), int(routes.axon[entry])
    edge = mapping.projections[mapping.cores[core].axons.projection[axon]].name
    node_name = next(n for n, c in mapping.core_of.items() if c == core and n.startswith(edge))
    before, after = (
        run(m.as_graph(), x, 14, engine="reference", record=[node_name]).recorded[node_name].dense()
        for m in (mapping, changed)
    )
    assert (before != after).any()


def test_a_missing_neuron_is_an_error(mapping: Mapping) -> None:
    index = next(i for i, c in enumerate(mapping.cores) if len(c.slices) == 1 and c.neurons > 1)
    core = mapping.cores[index]
    table = core.slices[0]
    neurons = table.neurons.copy()
    neurons[0] = neurons[-1] + 1000
    with pytest.raises(GraphError):
        _with_core(mapping, index, replace(core, slices=(replace(table, neurons=np.sort(neurons)),)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delay": lambda a: a.delay + 1}, "delay"),
        ({"projection": lambda a: a.projection + 99}, "projection"),
        ({"neuron": lambda a: a.neuron + 1000}, "outside"),
        ({"weight": lambda a: a.weight.astype(np.int16) + 300}, "outside 8 bits"),
        ({"indptr": lambda a: a.indptr[::-1]}, "pointers"),
        ({"delay": lambda a: a.delay[1:]}, "length"),
    ],
)
def test_wrong_axons_are_an_error(mapping: Mapping, change: dict, message: str) -> None:
    plain = [n for n, e in enumerate(mapping.projections) if not e.delayed]
    index = next(i for i, c in enumerate(mapping.cores) if set(c.axons.projection) <= set(plain))
    core = mapping.cores[index]
    axons = replace(core.axons, **{name: make(core.axons) for name, make in change.items()})
    with pytest.raises(GraphError, match=message):
        _with_core(mapping, index, replace(core, axons=axons))


def test_two_cores_in_one_place_are_an_error(mapping: Mapping) -> None:
    first, core = mapping.cores[0], mapping.cores[1]
    with pytest.raises(GraphError, match="share a place"):
        _with_core(mapping, 1, replace(core, chip=first.chip, x=first.x, y=first.y, slot=first.slot))


def test_an_address_of_no_neuron_is_an_error(mapping: Mapping) -> None:
    table = mapping.outputs[0]
    with pytest.raises(GraphError, match="does not exist"):
        replace(mapping, outputs=(replace(table, neuron=table.neuron + 50),))


def test_as_many_delayed_synapses_as_sources() -> None:
    """Two synapses of one source with different delays, one source without: not to be read as one delay a source."""
    cells = drawn(0).nodes["a"]
    assert isinstance(cells, Population)
    cells = Population(
        "IF", cells.program, {"bias": np.array(0), "threshold": np.array(5)}, (2,), 0, {}, cells.formats
    )
    node = Sparse(np.array([0, 2, 2]), np.array([0, 1]), Quantised(np.array([3, 4]), BYTE), (2,), (2,))
    delayed = Linear(Quantised(np.array([[3, 0], [4, 0]]), BYTE), delays=np.array([[0, 0], [2, 0]]))
    assert node.delays is None
    nodes = {"x": Input((2,), "current", BYTE), "w": delayed, "a": cells, "out": Output()}
    graph = Graph(nodes, (Edge("x", "w", delay=1), Edge("w", "a"), Edge("a", "out")))
    mapping = mapped(graph, tiny_chip())
    x = inputs_for(graph, 3)
    assert np.array_equal(outputs(graph, x)["out"], outputs(mapping.as_graph(), x)["out"])


def test_record_travels() -> None:
    record = RunRecord(5, "direct", labels=("a", "b"))
    mapping = replace(mapped(drawn(1), tiny_chip()), record=record)
    assert mapping.as_network().record.labels == ("a", "b")
    assert Fixed(8) == mapping.projections[0].format


def test_very_wide_sources_are_joined_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Concat has a limit; beyond it Concats are joined. Here the limit is 2."""
    graph = local(layers=2, channels=2, side=5)
    monkeypatch.setattr(rebuild, "WIDEST", 2)
    mapping = mapped(graph, tiny_chip(neurons=6))
    x = inputs_for(graph, 2)
    assert max(mapping.as_graph().nodes[n].count for n in mapping.as_graph().of_kind(Concat)) == 2
    assert np.array_equal(outputs(graph, x)["out"], outputs(mapping.as_graph(), x)["out"])
