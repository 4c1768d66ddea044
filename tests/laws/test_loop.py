"""Programs as compiled loops: on every set of instructions the bits of the reference, for any program of floats.

Drawn: 1 to 30 operations of add, sub, mul, div, minimum, maximum, abs, floor, round, where, spike, tanh,
sigmoid and exp, copies of states among
them; 0 to 3 ports, 1 to 4 states, parameters of one, of each channel and of each neuron; 1 to 1,300 neurons, with and without
channels; values of 0, -0, below 2**-100, beyond float32 and no numbers; spikes and values as outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Population, Shape
from spikeflow.ir.ops import Recorder
from spikeflow.neurons.model import NeuronModel
from spikeflow.neurons.models import MODELS
from spikeflow.sim import Dense, engine, reference

SHAPES: tuple[Shape, ...] = (
    (1,),
    (15,),
    (16,),
    (17,),
    (511,),
    (513,),
    (1300,),
    (3, 5, 7),
    (600, 2),
    (2, 9, 1),
)
INITIAL = np.array([0.0, -0.0, 1e-31, -1e-38, 1.5, -0.3, 7.0, 3e38], np.float32)


def program(rng: np.random.Generator, ports: int, states: int) -> Any:
    names = tuple(f"s{i}" for i in range(states))
    r = Recorder(tuple(f"in{i}" for i in range(ports)), names, ("a", "b", "c"))
    ops = r.ops
    held = [getattr(r.s, name) for name in names]
    pool = [*held, *r.x, r.p.a, r.p.b, r.p.c, ops.const(1.0), ops.const(-0.4), ops.const(0.0)]
    one = [
        ops.abs,
        ops.floor,
        ops.round,
        ops.spike,
        ops.tanh,
        ops.sigmoid,
        ops.exp,
        lambda x: x * 0.9,
        lambda x: x - 1.0,
    ]
    two = [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        ops.minimum,
        ops.maximum,
    ]
    for _ in range(rng.integers(1, 31)):
        a, b, c = (
            pool[-1 - min(int(rng.geometric(0.2)) - 1, len(pool) - 1)]
            if rng.random() < 0.6
            else pool[rng.integers(len(pool))]
            for _ in range(3)
        )
        kind = rng.integers(5)
        made = (
            one[rng.integers(len(one))](a)
            if kind == 0
            else ops.where(a, b, c)
            if kind == 1
            else two[rng.integers(len(two))](a, b)
        )
        pool.append(made)
    ends = [pool[-1 - int(i)] for i in rng.integers(0, min(8, len(pool)), states)]
    if rng.random() < 0.7:
        ends = [ops.minimum(ops.maximum(x, -100.0), 100.0) for x in ends]
    if rng.random() < 0.2:
        ends = [*held[1:], held[0]]
    last = pool[-1]
    return r.program(
        ops.spike(last - r.p.a) if rng.random() < 0.7 else ops.minimum(ops.maximum(last, -9.0), 9.0), ends
    )


def network(rng: np.random.Generator, shape: Shape) -> Graph:
    ports, states = int(rng.integers(0, 4)), int(rng.integers(1, 5))
    made = program(rng, ports, states)
    kinds = ((), (shape[0], *(1,) * (len(shape) - 1)), shape)
    params = {p: rng.uniform(-0.2, 1.2, kinds[rng.integers(3)]).astype(np.float32) for p in "abc"}
    initial = {s: rng.choice(INITIAL, shape) for s in made.states}
    nodes: dict[str, Any] = {
        "cells": Population("test", made, params, shape, int(rng.integers(0, 3)), initial),
        "out": Output(),
    }
    nodes |= {f"x{i}": Input(shape, "current") for i in range(max(ports, 1))}
    edges = [Edge(f"x{i}", "cells", f"in{i}") for i in range(ports)]
    return Graph(nodes, (*edges, Edge("cells", "out")))


def expect_alike(graph: Graph, inputs: dict[str, Any], steps: int) -> int:
    wanted, skipped = reference.simulate(graph, inputs, steps), set[int]()
    for isa in range(3):
        got = engine.prepare(graph, 1, isa)(inputs, steps)
        skipped.add(got.counts["cells"].updates_skipped)  # blocks come to rest in the same step
        for name, values in wanted.outputs.items():
            np.testing.assert_array_equal(got.outputs[name], values)
        assert got.state == wanted.state, isa
        for name, counts in wanted.counts.items():
            assert got.counts[name].semantic() == counts.semantic(), (name, isa)
    assert len(skipped) == 1
    return wanted.counts["cells"].spikes


@pytest.mark.parametrize("part", range(6))
def test_any_program(part: int) -> None:
    """120 programs, 8 steps of 2 samples each; half of the inputs are 0 in half of the steps."""
    spikes = 0
    for seed in range(20 * part, 20 * part + 20):
        rng = np.random.default_rng(seed)
        graph = network(rng, SHAPES[seed % len(SHAPES)])
        shape = graph.shapes["cells"]
        inputs = {
            n: Dense(rng.normal(0.2, 1, (8, 2, *shape)) * (rng.random((8, 2, *shape)) < 0.4))
            for n in graph.inputs
        }
        spikes += expect_alike(graph, inputs, 8)
    assert spikes > 1000


@pytest.mark.parametrize("seed", range(40))
def test_few_neurons_are_awake(seed: int) -> None:
    """Vectors of 16 sleep within a block: a hundredth of the neurons hears something, each in a fifth of the steps, the
    others never, or all in one step; any program, models among them.
    """
    rng = np.random.default_rng([seed, 7])
    shape = [(1300,), (513,), (40, 33), (511,), (600, 2)][seed % 5]
    if seed % 2:
        node = MODELS[seed % len(MODELS)]().node(shape)
        nodes: dict[str, Any] = {"cells": node, "out": Output()} | {
            f"x {p}": Input(shape, "current") for p in node.ports
        }
        graph = Graph(nodes, (*(Edge(f"x {p}", "cells", p) for p in node.ports), Edge("cells", "out")))
    else:
        graph = network(rng, shape)
    some = rng.random(shape) < 0.01
    some.reshape(-1)[-1] |= seed % 3 == 0
    inputs = dict[str, Any]()
    for name in graph.inputs:
        x = rng.exponential(0.8, (50, 2, *shape)) * (rng.random((50, 2, *shape)) < 0.2) * some
        if seed % 4 == 0:
            x[20, 0] = 0.7
        inputs[name] = Dense(x)
    expect_alike(graph, inputs, 50)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model(model: type[NeuronModel]) -> None:
    """700 neurons over 60 steps, and silence behind."""
    node = model().node((700,))
    rng = np.random.default_rng(5)
    nodes: dict[str, Any] = {"cells": node, "out": Output()} | {
        f"x {p}": Input((700,), "current") for p in node.ports
    }
    graph = Graph(nodes, (*(Edge(f"x {p}", "cells", p) for p in node.ports), Edge("cells", "out")))
    values = {
        n: rng.exponential(0.4, (90, 1, 700)) * (np.arange(90) < 60)[:, None, None] for n in graph.inputs
    }
    expect_alike(graph, {n: Dense(x) for n, x in values.items()}, 90)
