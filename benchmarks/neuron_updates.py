"""What a neuron's step costs: programs compiled (AVX-512) and interpreted (AVX2), and draws of random drive.

    python benchmarks/neuron_updates.py [--repeat 5] [--out benchmarks/records/neuron_updates.json]

Populations of 2,048 neurons under a constant current, or under random drive, run for 4,000 steps on one thread as a
live run after a first stretch that is not timed; both instruction sets in turn, medians of CPU time, in ns a neuron and
step. Spikes and states are compared first: both have the same.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
from record import Record

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Node, Output, Poisson
from spikeflow.neurons import ALIF, LIF, AdEx, CubaLIF, Izhikevich, NeuronModel
from spikeflow.sim import Constant, engine

NEURONS, STEPS = 2048, 4000
KINDS = {"interpreted, AVX2": 1, "compiled, AVX-512": 2}
MODELS: dict[str, tuple[NeuronModel, float]] = {
    "LIF, reset to zero": (LIF(0.9, reset="zero"), 0.12),
    "LIF, refractory period": (LIF(0.9, reset="zero", refractory=20), 0.12),
    "current-based LIF, refractory period": (CubaLIF(0.8, 0.9, reset="zero", refractory=20), 0.03),
    "ALIF": (ALIF(), 0.12),
    "Izhikevich": (Izhikevich(), 10.0),
    "AdEx": (AdEx(), 0.5),
}
MEANS = (0.1, 1.6, 100.0)


def under_current(model: NeuronModel) -> Graph:
    nodes: dict[str, Node] = {"x": Input((NEURONS,), "current"), "cells": model.node((NEURONS,))}
    return seen(nodes, Edge("x", "cells", model.inputs[0]))


def seen(nodes: dict[str, Node], edge: Edge) -> Graph:
    """A graph needs an output: one number a step, so that writing outputs is not what is timed."""
    nodes |= {"tick": Input((1,), "current"), "out": Output()}
    return Graph(nodes, (edge, Edge("tick", "out")))


def under_drive(mean: float) -> Graph:
    nodes: dict[str, Node] = {
        "drive": Poisson((NEURONS,), mean, seed=1, weight=0.1 / mean),
        "cells": LIF(0.9, reset="zero").node((NEURONS,)),
    }
    return seen(nodes, Edge("drive", "cells"))


def measured(graph: Graph, feeds: dict[str, Any], repeat: int) -> dict[str, Any]:
    """Median ns a neuron and step by instruction set, and the share of steps in which a neuron spikes."""
    runs = {kind: engine.prepare(graph, 1, isa).begin(1) for kind, isa in KINDS.items()}
    feeds = {**feeds, "tick": Constant(np.zeros((1, 1), np.float32))}
    first = [run.advance(feeds, STEPS).counts["cells"].spikes for run in runs.values()]
    states = [run.state() for run in runs.values()]
    if first[0] != first[1] or states[0] != states[1]:
        raise SystemExit("two instruction sets differ")
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(repeat):
        for kind, run in runs.items():
            begun = time.process_time()
            run.advance(feeds, STEPS)
            times[kind].append((time.process_time() - begun) / (NEURONS * STEPS) * 1e9)
    return {
        "active": first[0] / (NEURONS * STEPS),
        "ns": {kind: statistics.median(t) for kind, t in times.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--out", default="benchmarks/records/neuron_updates.json")
    args = parser.parse_args()
    if max(KINDS.values()) > engine.BEST_ISA:
        raise SystemExit("this processor has no AVX-512: nothing is compiled here")
    record = Record(args.out, {"neurons": NEURONS, "steps": STEPS, "repeat": args.repeat})
    work: dict[str, tuple[Graph, dict[str, Any]]] = {}
    for name, (model, current) in MODELS.items():
        spread = np.linspace(0.5, 1.5, NEURONS, dtype=np.float32) * np.float32(current)
        work[name] = under_current(model), {"x": Constant(spread[None])}
    for mean in MEANS:
        work[f"LIF, reset to zero, random drive of {mean:g} events a step"] = under_drive(mean), {}
    for name, (graph, feeds) in work.items():
        if name not in record:
            record.put(name, measured(graph, feeds, args.repeat))
        print(name, record[name])


if __name__ == "__main__":
    main()
