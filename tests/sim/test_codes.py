"""Weights as codes with one scale: exact sums of integers where the graph proves them, else the float weights.

Graphs are those of `random_graphs` with the weights of every linear node made codes of 8 or 16 bits (scales 2**-12 to 1),
inputs -9 to 9; the largest sums are drawn by hand below.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import SimulationError, StageError
from spikeflow.events import Spikes
from spikeflow.ir import stages
from spikeflow.ir.arrays import Codes, Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Input, Linear, Output, Population, Sparse, SumPool, Synaptic
from spikeflow.ir.ops import Recorder
from spikeflow.neurons import IF, LIF, Integrator
from spikeflow.sim import alphabets, coded, engine, reference
from spikeflow.sim.inputs import Dense
from tests.sim import random_graphs
from tests.sim.test_procedural import same


def with_codes(graph: Graph, rng: np.random.Generator) -> Graph:
    """The graph with codes for the weights of its linear nodes."""
    made: dict[str, Any] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Synaptic):
            top = int(rng.choice([3, 127, 32767]))
            values = rng.integers(-top, top + 1, node.weight.shape)
            made[name] = replace(node, weight=Codes(values, float(rng.choice([2.0**-12, 0.013, 1.0]))))  # type: ignore[call-arg]
    return graph.with_nodes(made)


def integer_inputs(rng: np.random.Generator, graph: Graph, steps: int, samples: int) -> dict[str, Any]:
    """Integers for each Input of spikes, anything for a current."""
    found: dict[str, Any] = {}
    for name in graph.inputs:
        node: Any = graph.nodes[name]
        shape = (steps, samples, *node.shape)
        on = rng.random(shape) < 0.3
        whole = on * rng.integers(-9, 10, shape) if rng.random() < 0.5 else on
        values = (whole if node.kind == "spikes" else on * rng.normal(0, 1, shape)).astype(np.float32)
        found[name] = Spikes.from_dense(values) if rng.random() < 0.5 else Dense(values)
    return found


@pytest.mark.parametrize("seed", range(150))
def test_engine_equals_reference_on_random_graphs(seed: int) -> None:
    rng = np.random.default_rng([seed, 7])
    graph = with_codes(random_graphs.graph(rng, False), rng)
    inputs = integer_inputs(rng, graph, 12, 3)
    expected = reference.simulate(graph, inputs, 12)
    same(engine.prepare(graph, int(rng.integers(1, 4)), int(rng.integers(0, 3)))(inputs, 12), expected)


def test_the_random_graphs_hold_both_kinds_of_sums() -> None:
    found = [0, 0]
    for seed in range(60):
        rng = np.random.default_rng([seed, 7])
        graph = with_codes(random_graphs.graph(rng, False), rng)
        exact = len(coded.exact(graph))
        found[0] += exact
        found[1] += (
            len(
                graph.of_kind(*{type(n) for n in graph.nodes.values() if isinstance(n, Synaptic)} or {Linear})
            )
            - exact
        )
    assert min(found) > 20


def chain(node: Any, source: Any, *, kind: str = "spikes", delay: int = 0) -> Graph:
    """Input, a population or None, the node, a read-out."""
    shape = node.output_shape("n", (source.shape if source else node.in_shape,)) if source else node.out_shape
    nodes: dict[str, Any] = {"x": Input(source.shape if source else node.in_shape, kind), "w": node}
    edges = [Edge("w", "read"), Edge("w", "sums"), Edge("read", "out")]
    nodes |= {"read": Integrator().node(shape), "out": Output(), "sums": Output()}
    if source is None:
        return Graph(nodes, (Edge("x", "w", delay=delay), *edges))
    return Graph(nodes | {"p": source}, (Edge("x", "p"), Edge("p", "w", delay=delay), *edges))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("payload", [1, 3, 1000, 2**20])
def test_an_exact_sum_is_converted_once_and_scaled_once(seed: int, payload: int) -> None:
    """Against Python's integers of any width; delays 0 to 5, so that one sum spans several slots."""
    rng = np.random.default_rng([seed, payload])
    sources, targets, count = 40, 6, 400
    source = np.sort(rng.integers(0, sources, count))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=sources))])
    codes, delays = rng.integers(-32768, 32768, count), rng.integers(0, 6, count)
    target, bias, scale = (
        rng.integers(0, targets, count),
        rng.normal(0, 1, targets).astype(np.float32),
        np.float32(0.0137),
    )
    node = Sparse(
        indptr,
        target,
        Codes(codes, float(scale)),
        (sources,),
        (targets,),
        bias,
        delays,
        delay_scope="synapse",
    )
    x = ((rng.random((10, 2, sources)) < 0.6) * rng.integers(-payload, payload + 1, (10, 2, sources))).astype(
        np.float32
    )
    expected = np.zeros((10, 2, targets), np.float32)
    for t, b, j in np.ndindex(10, 2, targets):
        on = [s for s in np.flatnonzero(target == j) if delays[s] <= t]
        total = sum(int(codes[s]) * int(x[t - delays[s], b, source[s]]) for s in on)
        expected[t, b, j] = np.float32(np.int64(total)) * scale + bias[j]
    graph = chain(node, None)
    for run in (reference.simulate, engine.simulate):
        np.testing.assert_array_equal(run(graph, Dense(x), 10).outputs["sums"], expected)


@pytest.mark.parametrize("seed", range(10))
def test_elsewhere_a_code_is_its_float_weight(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = Codes(rng.integers(-128, 128, (7, 30)), 0.013)
    x = Dense(rng.normal(0, 1, (8, 2, 30)).astype(np.float32))
    graphs = [chain(Linear(w), IF().node((30,)), kind="current") for w in (codes, codes.floats)]
    graphs = [
        Graph({**g.nodes, "p": Integrator().node((30,))}, g.edges)
        for g in graphs  # it hands on its membrane: no integer
    ]
    assert not coded.exact(graphs[0])
    for run in (reference.simulate, engine.simulate):
        same(run(graphs[0], x, 8), reference.simulate(graphs[1], x, 8))


def test_the_graph_decides_and_not_the_values() -> None:
    """A fraction from an Input of spikes is refused where the sum is one of integers; so is more than float32 holds."""
    node = Sparse([0, 1], [0], Codes([3], 0.1), (1,), (1,))
    assert coded.exact(chain(node, None)) and not coded.exact(chain(node, None, kind="current"))
    for value in (0.5, -1.5, 2.0**24 + 2):
        x = Dense(np.full((3, 1, 1), value, np.float32))
        for run in (reference.simulate, engine.simulate):
            with pytest.raises(SimulationError, match="w: what arrives is no integer, or larger"):
                run(chain(node, None), x, 3)
            run(chain(node, None, kind="current"), x, 3)
    largest = Dense(np.full((3, 1, 1), 2.0**24, np.float32))
    same(engine.simulate(chain(node, None), largest, 3), reference.simulate(chain(node, None), largest, 3))


def levels(shape: tuple[int, ...]) -> Population:
    """Hands on min(max(floor(x), -4), 9): a whole number whatever arrives."""
    r = Recorder(("in",), (), ())
    out = r.ops.minimum(r.ops.maximum(r.ops.floor(r.x[0]), -4.0), 9.0)
    return Population("levels", r.program(out, ()), {}, shape)


@pytest.mark.parametrize(
    ("source", "size"), [(IF(), 1), (LIF(reset="subtract"), 1), (levels((6,)), 9), (Integrator(), None)]
)
def test_what_a_program_hands_on_is_proven(source: Any, size: int | None) -> None:
    node = source if isinstance(source, Population) else source.node((6,))
    graph = chain(Linear(Codes(np.arange(12).reshape(2, 6) - 5, 0.3)), node, kind="current")
    assert coded.exact(graph) == ({} if size is None else {"w": size})
    x = Dense(np.random.default_rng(1).normal(0, 8, (9, 2, 6)).astype(np.float32))
    same(engine.simulate(graph, x, 9), reference.simulate(graph, x, 9))


def test_moves_pools_and_sums_of_edges_hand_integers_on() -> None:
    nodes: dict[str, Any] = {
        "x": Input((1, 8, 2)),
        "y": Input((1, 8, 2), "current"),
        "c": Concat(0, 2),
        "p": SumPool((2, 2), (2, 2)),
        "w": Linear(Codes(np.ones((1, 8)), 1.0)),
        "f": IF().node((1, 8, 2)),
        "read": Integrator().node((1,)),
        "out": Output(),
    }
    edges = [Edge("x", "c", "in0"), Edge("f", "c", "in1"), Edge("y", "f")]
    edges += [Edge("c", "p"), Edge("p", "w"), Edge("w", "read"), Edge("read", "out")]
    graph = Graph(nodes, tuple(edges))
    assert coded.exact(graph) == {"w": 2**24} and coded.exact(graph, 3) == {"w": 12}


@pytest.mark.parametrize("number", [0.0, 1.0, -3.0, 0.5, 2.0**24, 2.0**25])
def test_alphabets_of_constants(number: float) -> None:
    found = alphabets.Alphabets().const(number)
    assert (found.low, found.high, found.whole) == (number, number, number != 0.5)
    assert alphabets.Alphabets().add(found, found).whole == (number != 0.5 and abs(number) < 2**24)


def test_codes_belong_to_float_graphs() -> None:
    node = Linear(Codes([[1]], 1.0))
    graph = chain(node, IF().node((1,)))
    assert stages.stage_of(graph) == "snn"
    fixed = graph.with_nodes({"w": Linear(Quantised([[1]], Fixed(8)))})
    with pytest.raises(StageError):
        stages.check(fixed, "snn")
    with pytest.raises(StageError, match="w"):
        stages.check(graph.with_nodes({}), "fixed")
