"""Rules of plasticity drawn at random: traces, events, eligibility, modulators, scaling, bounds; and networks that learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikeflow.ir.arrays import Codes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Sparse
from spikeflow.ir.ops import Recorder
from spikeflow.ir.plastic import Plastic
from spikeflow.ir.plasticity import MODULATOR, SUM, Plasticity
from spikeflow.ir.program import Program
from spikeflow.neurons import IF, LIF
from spikeflow.neurons.stdp import PairSTDP, RewardSTDP, ThreeFactor, TripletSTDP, homeostatic

_OPERATIONS: tuple[Any, ...] = (
    lambda ops, p, x, y, z: x + y * p.a,
    lambda ops, p, x, y, z: x - p.b * y,
    lambda ops, p, x, y, z: x * y,
    lambda ops, p, x, y, z: ops.minimum(x, y),
    lambda ops, p, x, y, z: ops.maximum(x, y),
    lambda ops, p, x, y, z: ops.where(x, y, z),
    lambda ops, p, x, y, z: ops.tanh(x),
    lambda ops, p, x, y, z: x / (1.0 + ops.abs(y)),
)


def program(rng: Any, inputs: Sequence[str], states: Sequence[str], keeps: float = 0.3) -> Program:
    """A few operations on what there is; a state is now and then handed on as it was."""
    recorder = Recorder(tuple(inputs), tuple(states), ("a", "b"))
    ops, p, s = recorder.ops, recorder.p, recorder.s
    known = [*recorder.x, *(getattr(s, name) for name in states), p.a, p.b]

    def draw() -> Any:
        return known[rng.integers(len(known))]

    for _ in range(rng.integers(1, 6)):
        x, y, z, which = draw(), draw(), draw(), rng.integers(8)
        made = _OPERATIONS[which](ops, p, x, y, z)
        known.append(made)
    after = [getattr(s, n) if rng.random() < keeps else 0.5 * getattr(s, n) + p.b * draw() for n in states]
    return recorder.program(after[0] if after else draw(), after)


def rule(rng: Any) -> Plasticity:
    """One of the known rules, or one of random programs."""
    bounds = sorted(rng.normal(0, 1.5, 2).tolist())
    if rng.random() < 0.5:
        low, high, pairing = *bounds, str(rng.choice(["all", "nearest"]))
        decays = {"decay_plus": rng.uniform(0, 1), "decay_minus": rng.uniform(0, 1), "low": low, "high": high}
        three = {"decay_plus": rng.uniform(0, 1), "decay": rng.uniform(0, 0.9), "low": low, "high": high}
        made: Any = (
            lambda: PairSTDP(0.05, 0.06, pairing=pairing, **decays),
            lambda: TripletSTDP(0.02, 0.05, 0.03, 0.01, low=low, high=high, pairing=pairing),
            lambda: RewardSTDP(0.05, 0.06, decay=rng.uniform(0.1, 0.99), pairing=pairing, **decays),
            lambda: ThreeFactor(0.1, pairing=pairing, **three),
        )[rng.integers(4)]().plasticity()
    else:
        sides = [tuple(f"{side}{k}" for k in range(rng.integers(0, 3))) for side in "xy"]
        eligible = {f"e{k}": float(rng.choice([0, 0.3, 0.9, 1])) for k in range(rng.integers(0, 3))}
        traces = [*(f"pre.{n}" for n in sides[0]), *(f"post.{n}" for n in sides[1])]
        states = ("w", *eligible)

        def some(more: Sequence[str] = ()) -> list[str]:
            return [*more, *(t for t in traces if rng.random() < 0.7)]

        made = Plasticity(
            program(rng, ["spike"], sides[0], 0.1),
            program(rng, ["spike"], sides[1], 0.1),
            program(rng, some(), states),
            program(rng, some(), states),
            program(rng, some([MODULATOR]), states) if rng.random() < 0.6 else None,
            {"a": float(rng.normal()), "b": float(rng.normal() / 4)},
            eligible,
            bounds=tuple(bounds) if rng.random() < 0.7 else None,  # type: ignore[arg-type]
        )
    if rng.random() < 0.4:
        made = homeostatic(made, float(rng.normal() * 2), int(rng.integers(1, 9)))
    elif rng.random() < 0.3 and "a" in made.params:
        read = [SUM, *(f"post.{n}" for n in made.post.states)]
        made = replace(made, scaling=program(rng, read, ()), every=int(rng.integers(1, 5)))
    return made


def synapses(rng: Any, plastic: Plastic, sources: int, out: tuple[int, ...]) -> Linear | Sparse:
    """All to all or listed, with delays or without, with a bias or without; weights of one scope or another."""
    targets = int(np.prod(out))
    bias = rng.normal(0, 0.3, targets).astype(np.float32) if rng.random() < 0.5 else None
    longest = int(rng.choice([0, 1, 6]))
    if rng.random() < 0.4 and len(out) == 1:
        weight: Any = rng.normal(0, 0.7, (targets, sources)).astype(np.float32)
        of = ((sources,), (targets, sources))[rng.integers(2)]
        delays = rng.integers(0, longest + 1, of) if longest else None
        node: Any = Linear(weight, bias, delays, plastic=plastic)
    else:
        fan = rng.integers(0, 2 * targets, sources)
        count = int(fan.sum())
        listed = rng.integers(0, targets, count)  # now and then twice
        delays = rng.integers(0, longest + 1, (count, 1, sources)[k := rng.integers(3)]) if longest else None
        scope = ("synapse", "one", "source")[k] if longest else ""
        weight = rng.normal(0, 0.7, count if rng.random() < 0.7 else 1).astype(np.float32)
        weights = "synapse" if len(weight) == count else "one"
        node = Sparse(np.concatenate([[0], np.cumsum(fan)]), listed, weight, (sources,), out, bias, delays,
                      weight_scope=weights, delay_scope=scope, plastic=plastic)  # fmt: skip
    if plastic.bits:
        scale = float(rng.uniform(0.01, 0.1))
        most = 127 if plastic.bits == 8 else 32767
        node = replace(
            node, weight=Codes(np.clip(np.rint(node.weight / np.float32(scale)), -most, most), scale)
        )
    return node


def taught(rng: Any, bits: int = 0) -> Graph:
    """Synapses between spikes that are given: the targets' and the modulator are inputs, too."""
    sources, out = int(rng.integers(1, 9)), ((int(rng.integers(1, 8)),), (2, 3))[rng.integers(2)]
    made = rule(rng)
    modulator = "signal" if made.at_modulator is not None else ""
    node = synapses(rng, Plastic(made, "teacher", modulator, bits), sources, out)
    nodes = {"x": Input((sources,), "spikes"), "teacher": Input(out, "spikes"), "node": node, "out": Output()}
    edges = [Edge("x", "node", delay=int(rng.integers(0, 2))), Edge("node", "out")]
    if modulator:
        nodes["signal"] = Input(out if rng.random() < 0.5 else (1,), "current")
    return Graph(nodes, tuple(edges))


def recurrent(rng: Any, bits: int = 0) -> Graph:
    """Neurons that learn from an input and from each other, by two rules at random."""
    sources, size = int(rng.integers(1, 9)), int(rng.integers(2, 7))
    first, second = rule(rng), rule(rng)
    names = ["signal" if r.at_modulator is not None else "" for r in (first, second)]
    into = synapses(rng, Plastic(first, "cells", names[0], bits), sources, (size,))
    back = synapses(rng, Plastic(second, "cells", names[1]), size, (size,))
    cells = (LIF(0.8, 0.7), IF(0.9, "subtract"))[rng.integers(2)].node((size,))
    nodes = {"x": Input((sources,), "spikes"), "into": into, "back": back, "cells": cells, "out": Output()}
    edges = (
        Edge("x", "into"),
        Edge("into", "cells"),
        Edge("cells", "back", delay=1),
        Edge("back", "cells"),
        Edge("cells", "out"),
    )
    if any(names):
        nodes["signal"] = Input((size,) if rng.random() < 0.5 else (1,), "current")
    return Graph(nodes, edges)


def inputs(rng: Any, graph: Graph, steps: int, samples: int) -> dict[str, np.ndarray]:
    """Spikes at 5 to 60 %, and signals that are mostly 0."""
    made = {}
    for name in graph.inputs:
        shape = (steps, samples, *graph.shapes[name])
        on = rng.random(shape) < rng.uniform(0.05, 0.6)
        made[name] = (
            on.astype(np.float32)
            if name != "signal"
            else np.where(on, rng.normal(size=shape), 0).astype(np.float32)
        )
    return made
