"""Law: nodes by rule whose rows lie together hand on what each would alone, bit for bit.

Networks are drawn: 2 or 3 sources (an Input of spikes or small integers, populations, one of them with channels) of 1 to 700
neurons, 2 to 5 nodes over concatenations of some of them in any order, read directly or 1 to 3 steps later; codes of 8 and 16
bits, one scale a node, delays of 1 to 9 steps, one weight a source or one a synapse; 1 to 3 threads, any set of instructions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import SimulationError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Flatten, Input, Output, Procedural
from spikeflow.ir.projections import FixedInDegree, FixedTotal, Normal, Probability, Projection, Rule
from spikeflow.neurons import LIF
from spikeflow.sim import coded, engine, process, reference
from spikeflow.sim.bundles import bundles
from spikeflow.sim.inputs import Dense
from tests.sim.test_cut import assert_equal, everything, from_states

STEPS = 30


def a_rule(rng: np.random.Generator) -> Rule:
    rules = FixedInDegree(int(rng.integers(0, 7))), FixedTotal(int(rng.integers(1, 900))), Probability(0.02)
    return rules[rng.integers(3)]


def projections(rng: np.random.Generator, sizes: list[int], number: int) -> tuple[Projection, ...]:
    """From each source, or from all at once."""
    whole, made, first = bool(rng.random() < 0.3), list[Projection](), 0
    for k, size in enumerate([sum(sizes)] if whole else sizes):
        mean = float(rng.choice([0.4, -0.3]))
        weight = mean if rng.random() < 0.6 else Normal(mean, 0.2)
        low = int(rng.integers(1, 4))
        delay = low if rng.random() < 0.4 else Normal(4.0, 2.0, low, low + int(rng.integers(0, 6)))
        made.append(Projection(first, size, a_rule(rng), weight, delay, 3, 10 * number + k))
        first += size
    return tuple(made)


def a_network(seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    bits = int(rng.choice([8, 16]))
    sizes = {"x": int(rng.integers(1, 60)), "a": int(rng.choice([1, 300, 700])), "b": 60}
    b_shape = (60,) if seed % 2 else (5, 12)
    nodes: dict[str, Any] = {
        "x": Input((sizes["x"],), "spikes"),
        "a": LIF(0.9, 0.8, "value").node((sizes["a"],)),
        "b": LIF(0.8, 0.6).node(b_shape),
        "b flat": Flatten(),
    }
    edges, lag = [Edge("b", "b flat")], int(rng.integers(1, 4))
    for k in range(rng.integers(2, 6)):
        post = ["a", "b"][k % 2]
        chosen = rng.permutation(["x", "a", "b flat"])[: rng.integers(1, 4)].tolist()
        drawn = projections(rng, [sizes[c[0]] for c in chosen], k)
        shape = b_shape if post == "b" else (sizes["a"],)
        bias = rng.normal(0, 0.1, sizes[post]).astype(np.float32) if rng.random() < 0.4 else None
        total = sum(sizes[c[0]] for c in chosen)
        nodes[f"s{k}"] = Procedural(drawn, (total,), shape, bias, bits, float(rng.choice([0.01, 0.02])))
        nodes[f"s{k} from"] = Concat(0, len(chosen))
        lags = [lag if rng.random() < 0.7 else 1 for _ in chosen]
        edges += [Edge(c, f"s{k} from", f"in{i}", lags[i]) for i, c in enumerate(chosen)]
        edges += [Edge(f"s{k} from", f"s{k}"), Edge(f"s{k}", post)]
    nodes |= {"out a": Output(), "out b": Output()}
    return Graph(nodes, (*edges, Edge("a", "out a"), Edge("b", "out b")))


def entering(graph: Graph, seed: int, samples: int) -> Dense:
    rng = np.random.default_rng([seed, 1])
    shape = (STEPS, samples, *graph.shapes["x"])
    return Dense(((rng.random(shape) < 0.2) * rng.choice([1, 1, 2, -3], shape)).astype(np.float32))


@pytest.mark.parametrize("seed", range(24))
def test_nodes_of_a_bundle_equal_the_reference(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "shares_of", lambda graph, threads: threads)
    rng, graph = np.random.default_rng([seed, 2]), a_network(seed)
    samples = int(rng.integers(1, 3))
    x, record = entering(graph, seed, samples), everything(graph) if seed % 3 else []
    fast = engine.prepare(graph, threads=int(rng.integers(1, 4)), isa=int(rng.integers(0, 3)))
    slow = reference.prepare(graph)
    wanted, at = slow(x, STEPS, record), [0, *sorted({int(c) for c in rng.integers(1, STEPS, 2)}), STEPS]
    assert_equal(fast(x, STEPS, record), wanted, record)
    got = from_states(lambda: (slow, fast, fast)[rng.integers(3)], {"x": x}, at, record)
    assert_equal(got, wanted, record)
    assert got.state == wanted.state


@pytest.mark.parametrize("seed", range(12))
def test_a_state_may_say_of_each_node_what_arrived(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all nodes read the same spikes, a state is taken at its word where it was changed for one."""
    monkeypatch.setattr(process, "shares_of", lambda graph, threads: threads)
    rng, graph = np.random.default_rng([seed, 3]), a_network(seed)
    x = entering(graph, seed, 1)
    slow, fast = reference.prepare(graph), engine.prepare(graph, threads=1 + seed % 3)
    state = slow(x, 12).state
    changed = {
        n: past * rng.integers(0, 2, past.shape).astype(np.float32) for n, past in state.arrived.items()
    }
    state = replace(state, arrived=changed)
    wanted = slow(x, 12, everything(graph), state=state)
    got = fast(x, 12, everything(graph), state=state)
    assert_equal(got, wanted, everything(graph))
    assert got.state == wanted.state


def test_what_the_drawn_networks_hold() -> None:
    """Bundles of several nodes, and what arrives and leaves in most networks."""
    several, changed, busy = 0, 0, 0
    for seed in range(24):
        graph = a_network(seed)
        found = bundles(graph, coded.exact(graph, 3))
        several += max((len(b.numbers) for b in found), default=0) > 1
        ran = reference.simulate(graph, entering(graph, seed, 1), STEPS)
        busy += ran.counts["a"].spikes > 0 and ran.counts["b"].spikes > 0
        changed += any((past != 0).any() for past in ran.state.arrived.values())
    assert several > 10 and busy > 10 and changed > 16, (several, busy, changed)


def test_more_targets_than_16_bits_tell_apart() -> None:
    rng = np.random.default_rng(5)
    rules = [
        (Projection(0, 30, FixedTotal(4000), Normal(0.0, 0.5), Normal(3, 2, 1, 5), 1, k),) for k in range(3)
    ]
    sizes = 40_000, 70_000, 100
    nodes: dict[str, Any] = {"x": Input((30,), "spikes")}
    edges = list[Edge]()
    for k, size in enumerate(sizes):
        nodes |= {f"s{k}": Procedural(rules[k], (30,), (size,), None, 8, 0.01), f"out{k}": Output()}
        edges += [Edge("x", f"s{k}"), Edge(f"s{k}", f"out{k}")]
    graph = Graph(nodes, tuple(edges))
    assert [len(b.numbers) for b in bundles(graph, coded.exact(graph, 1))] == [3]
    x = Dense((rng.random((9, 1, 30)) < 0.3).astype(np.float32))
    wanted = reference.simulate(graph, x, 9)
    for threads in (1, 3):
        assert_equal(engine.prepare(graph, threads)(x, 9), wanted, ())


def test_what_is_no_integer_is_named_where_it_arrives() -> None:
    """Also at a node that files nothing itself."""
    drawn = (Projection(0, 4, FixedInDegree(2), 0.5, 1, 1, 0),)
    nodes: dict[str, Any] = {"x": Input((4,), "spikes")}
    edges = list[Edge]()
    for k in range(2):
        nodes |= {f"s{k}": Procedural(drawn, (4,), (5,), None, 8, 0.01), f"out{k}": Output()}
        edges += [Edge("x", f"s{k}"), Edge(f"s{k}", f"out{k}")]
    graph = Graph(nodes, tuple(edges))
    half = Dense(np.full((3, 1, 4), 0.5, np.float32))
    for run in (reference.simulate, engine.simulate):
        with pytest.raises(SimulationError, match="s0.*no integer"):
            run(graph, half, 3)


def test_which_nodes_lie_together() -> None:
    """Codes of one width, sources in common, delays of one step at least, one edge in, no channels."""
    drawn = (Projection(0, 4, FixedInDegree(2), 0.5, 1, 1, 0),)
    at_once = (Projection(0, 4, FixedInDegree(2), 0.5, 0, 1, 0),)
    nodes: dict[str, Any] = {
        "x": Input((4,), "spikes"),
        "y": Input((4,), "spikes"),
        "p": Procedural(drawn, (4,), (6,), None, 8, 0.01),
        "q": Procedural(drawn, (4,), (7,), None, 8, 0.02),
        "wide": Procedural(drawn, (4,), (6,), None, 16, 0.01),
        "later": Procedural(drawn, (4,), (6,), None, 8, 0.01),
        "channels": Procedural(drawn, (4,), (2, 3), None, 8, 0.01),
        "floats": Procedural(drawn, (4,), (6,)),
        "at once": Procedural(at_once, (4,), (6,), None, 8, 0.01),
        "both": Procedural(drawn, (4,), (6,), None, 8, 0.01),
    }
    edges = [Edge("x", n, delay=2 if n == "later" else 0) for n in nodes if n not in ("x", "y")]
    names = [n for n in nodes if n not in ("x", "y")]
    edges += [Edge("y", "both"), *(Edge(n, f"{n} out") for n in names)]
    graph = Graph(nodes | {f"{n} out": Output() for n in names}, tuple(edges))
    found = bundles(graph, coded.exact(graph, 1))
    assert sorted(sorted(b.numbers) for b in found) == [["later"], ["p", "q"], ["wide"]]
