"""Rules of connectivity: numpy and C++ draw the same bits, and a drawn node is the list that it stands for.

Rules, sizes (1 to 60 sources and targets), weights, delays (0 to 300 steps), codes, biases and seeds are drawn at random.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import GraphError
from spikeflow.ir import file
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Procedural
from spikeflow.ir.projections import (
    FixedInDegree,
    FixedTotal,
    Normal,
    OneToOne,
    Probability,
    Projection,
    Rule,
)
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF
from spikeflow.sim import engine, reference
from spikeflow.sim.inputs import Dense


def net(node: Any, kind: str = "current") -> Graph:
    nodes: dict[str, Any] = {
        "in": Input(node.in_shape, kind),
        "s": node,
        "n": LIF().node(node.out_shape),
        "out": Output(),
        "sums": Output(),
    }
    return Graph(nodes, (Edge("in", "s"), Edge("s", "n"), Edge("n", "out"), Edge("s", "sums")))


def a_rule(rng: np.random.Generator, sources: int, targets: int) -> Rule:
    same = sources == targets
    autapses = not same or bool(rng.random() < 0.5)
    choices = sources - (not autapses)
    rules: list[Rule] = [
        FixedInDegree(int(rng.integers(0, 9)) if choices else 0, autapses),
        FixedInDegree(int(rng.integers(0, choices + 1)), autapses, multapses=False),
        FixedTotal(int(rng.integers(0, 300)) if choices else 0, autapses),
        Probability(float(rng.choice([1e-6, 0.03, 0.4, 1.0])), autapses),
        *([OneToOne()] if same else []),
    ]
    return rules[rng.integers(len(rules))]


def a_weight(rng: np.random.Generator) -> float | Normal:
    mean = float(rng.normal(0, 1))
    low, high = (None, None) if rng.random() < 0.5 else (mean - 0.3, mean + 0.1)
    return mean if rng.random() < 0.4 else Normal(mean, float(rng.choice([0.0, 0.5])), low, high)


def a_delay(rng: np.random.Generator) -> int | Normal:
    longest = int(rng.choice([0, 3, 9, 300]))
    if rng.random() < 0.4:
        return longest
    return Normal(float(rng.normal(longest / 2, 1)), float(rng.choice([0.0, 3.0])), min(1, longest), longest)


def a_node(rng: np.random.Generator, bits: int) -> Procedural:
    sources, targets = int(rng.integers(1, 60)), [(5, 2, 3), (17,), (60,)][rng.integers(3)]
    if rng.random() < 0.4:
        sources = int(np.prod(targets))
    projections = []
    for number in range(rng.integers(1, 4)):
        first = 0 if rng.random() < 0.5 else int(rng.integers(0, sources))
        count = sources - first if first == 0 else int(rng.integers(1, sources - first + 1))
        rule = a_rule(rng, count, int(np.prod(targets)))
        seed = int(rng.choice([0, 1, 2**62]))
        projections.append(Projection(first, count, rule, a_weight(rng), a_delay(rng), seed, number))
    bias = rng.normal(0, 1, int(np.prod(targets))) if rng.random() < 0.5 else None
    return Procedural(tuple(projections), (sources,), targets, bias, bits, 0.013 if bits else 1.0)


def same(a: Any, b: Any) -> None:
    for name in a.outputs:
        np.testing.assert_array_equal(a.outputs[name], b.outputs[name])
    for name in a.counts:
        for what in ("spikes", "accumulates", "multiply_accumulates"):
            assert getattr(a.counts[name], what) == getattr(b.counts[name], what), (name, what)


@pytest.mark.parametrize("bits", [0, 8, 16])
@pytest.mark.parametrize("seed", range(30))
def test_the_engine_draws_what_numpy_draws(seed: int, bits: int) -> None:
    """Each source alone emits a power of two at step 0, so that every synapse, its delay and weight come to light."""
    rng = np.random.default_rng([seed, bits])
    node = a_node(rng, bits)
    sources, steps = node.columns, node.reach + 1
    x = np.zeros((steps, sources, sources), np.float32)
    x[0] = np.diag(2.0 ** rng.integers(0, 3, sources))
    for kind in ("spikes", "current"):
        graph = net(node, kind)
        expected = reference.simulate(graph, Dense(x), steps)
        same(engine.simulate(graph, Dense(x), steps), expected)
        same(engine.simulate(net(node.listed, kind), Dense(x), steps), expected)


@pytest.mark.parametrize("bits", [0, 8])
@pytest.mark.parametrize("seed", range(20))
def test_neither_threads_nor_batch_nor_processor_matter(seed: int, bits: int) -> None:
    rng = np.random.default_rng([seed, bits, 1])
    node = a_node(rng, bits)
    shape = (40, 5, node.columns)
    x = ((rng.random(shape) < 0.3) * rng.integers(-3, 4, shape)).astype(np.float32)
    graph = net(node, "spikes")
    expected = reference.simulate(graph, Dense(x), 40)
    for threads, isa in ((1, 2), (3, 2), (2, 0), (2, 1)):
        same(engine.prepare(graph, threads, isa)(Dense(x), 40), expected)
    alone = [engine.simulate(graph, Dense(x[:, b : b + 1]), 40).outputs["out"] for b in range(5)]
    np.testing.assert_array_equal(np.concatenate(alone, axis=1), expected.outputs["out"])


@pytest.mark.parametrize("bits", [0, 16])
@pytest.mark.parametrize("seed", range(20))
def test_a_run_by_rule_is_cut_like_any_other(seed: int, bits: int) -> None:
    """States of engine, reference and list are equal, and each goes on from the other's; payloads grow or shrink meanwhile."""
    rng = np.random.default_rng([seed, bits, 3])
    node = a_node(rng, bits)
    shape = (30, 2, node.columns)
    x = ((rng.random(shape) < 0.4) * rng.integers(-3, 4, shape)).astype(np.float32)
    x[slice(20, None) if seed % 2 else slice(0, 10)] *= 50
    graph, cut = net(node, "spikes"), int(rng.integers(1, 29))
    whole = reference.simulate(graph, Dense(x), 30).outputs["out"]
    runs = reference.prepare(graph), engine.prepare(graph)
    first = [run(Dense(x[:cut]), cut) for run in runs]
    states = [found.state.arrays() for found in first]
    assert states[0].keys() == states[1].keys()
    for name in states[0]:
        np.testing.assert_array_equal(states[0][name], states[1][name])
    for run, other in zip(runs, reversed(first), strict=True):
        rest = run(Dense(x[cut:]), 30 - cut, state=other.state)
        np.testing.assert_array_equal(np.concatenate([other.outputs["out"], rest.outputs["out"]]), whole)
    live = runs[1].begin(2)
    parts = [live.advance(Dense(x[a:b]), b - a).outputs["out"] for a, b in ((0, cut), (cut, 30))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("seed", range(15))
def test_a_file_holds_the_rule_alone(seed: int, tmp_path: Path) -> None:
    node = a_node(np.random.default_rng([seed, 2]), (0, 8, 16)[seed % 3])
    graph = net(node)
    file.write(tmp_path / "net.h5", Network(graph, RunRecord(4, "direct")))
    again = file.read(tmp_path / "net.h5").graph
    assert again.digest == graph.digest == pickle.loads(pickle.dumps(graph)).digest
    back = again.nodes["s"]
    assert isinstance(back, Procedural) and back.projections == node.projections
    assert net(back.listed).digest == net(node.listed).digest


def test_order_of_drawing_is_kept_where_a_pair_is_joined_twice() -> None:
    """1 + 2**-30 - 1 in float32 depends on the order of its terms."""
    parts = [Projection(0, 1, OneToOne(), w, 0, 0, i) for i, w in enumerate((1.0, 2.0**-30, -1.0))]
    for order, total in (((0, 1, 2), 0.0), ((0, 2, 1), 2.0**-30)):
        node = Procedural(tuple(parts[i] for i in order), (1,), (1,))
        x = Dense(np.ones((1, 1, 1), np.float32))
        for run in (reference.simulate, engine.simulate):
            assert run(net(node), x, 1).outputs["sums"].item() == total


def test_codes_are_rounded_to_even_and_clipped() -> None:
    node = Procedural((Projection(0, 1, OneToOne(), 1.0),), (1,), (1,), bits=8, scale=0.5)
    weights = np.array([0.25, 0.75, -0.25, 1000, -1000, 0.6])
    assert node.codes(weights).tolist() == [0, 2, 0, 127, -128, 1]


def test_a_rule_of_too_many_synapses_is_run_but_not_listed() -> None:
    node = Procedural((Projection(0, 20000, Probability(1.0), 1.0),), (20000,), (20000,))
    graph = net(node)
    assert node.expected == 400_000_000 and graph.digest
    with pytest.raises(GraphError, match="400,000,000 synapses by rule cannot be listed"):
        _ = node.listed


@pytest.mark.parametrize(
    "changed", [{"bits": 4}, {"bits": 8, "scale": 0.0}, {"projections": ()}, {"bias": np.ones(3)}]
)
def test_what_a_rule_refuses(changed: dict[str, Any]) -> None:
    given = {
        "projections": (Projection(0, 4, OneToOne(), 1.0),),
        "in_shape": (4,),
        "out_shape": (4,),
    } | changed
    with pytest.raises(Exception, match="^n: "):
        Procedural(**given).check("n")
