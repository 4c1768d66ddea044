"""Small networks for the tests of hw."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Flatten, Input, Linear, Node, Output, Pad, Population, Slice, SumPool
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, Integrator, NeuronModel


def whole(seed: int, *shape: int) -> Any:
    """Small whole numbers, whose sums are exact in any order."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


def normal(seed: int, *shape: int) -> Any:
    """Normal numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def residual(make: Any = whole, reset: str = "subtract") -> Graph:
    """A small residual network: two convolutions, a pool before one, a shortcut of slice and pad, a read-out."""
    nodes: dict[str, Node] = {
        "x": Input((2, 8, 8), "current"),
        "c1": Conv2d(make(1, 4, 2, 3, 3), make(2, 4), padding=((1, 1), (1, 1))),
        "p1": IF(4.0, reset).node((4, 8, 8)),
        "pool": SumPool((2, 2), (2, 2)),
        "c2": Conv2d(make(3, 8, 4, 3, 3), make(4, 8), padding=((1, 1), (1, 1))),
        "cut": Slice((0, 0, 0), (4, 8, 8), (1, 2, 2)),
        "pad": Pad((2, 0, 0), (2, 0, 0)),
        "p2": IF(8.0, reset).node((8, 4, 4)),
        "mean": SumPool((4, 4), (4, 4)),
        "flat": Flatten(),
        "fc": Linear(make(5, 10, 8), make(6, 10)),
        "readout": Integrator().node((10,)),
        "out": Output(),
    }
    chain = [
        ("x", "c1"),
        ("c1", "p1"),
        ("p1", "pool"),
        ("pool", "c2"),
        ("c2", "p2"),
        ("p1", "cut"),
        ("cut", "pad"),
        ("pad", "p2"),
        ("p2", "mean"),
        ("mean", "flat"),
        ("flat", "fc"),
        ("fc", "readout"),
        ("readout", "out"),
    ]
    return Graph(nodes, tuple(Edge(a, b) for a, b in chain))


def layered(model: NeuronModel, kind: str = "spikes", bias: bool = False, seed: int = 0) -> Graph:
    """Twelve inputs, sixteen neurons of a model that feed back on themselves after a step, a read-out."""
    first = model.inputs[0]
    nodes: dict[str, Node] = {
        "x": Input((12,), kind),
        "w": Linear(normal(seed, 16, 12) * 0.4 + 0.1, normal(seed + 1, 16) * 0.1 if bias else None),
        "back": Linear(normal(seed + 2, 16, 16) * 0.1),
        "cells": model.node((16,)),
        "v": Linear(normal(seed + 3, 3, 16)),
        "readout": Integrator().node((3,)),
        "out": Output(),
    }
    edges = [
        Edge("x", "w"),
        Edge("w", "cells", first),
        Edge("cells", "back", delay=1),
        Edge("back", "cells", model.inputs[-1]),
        Edge("cells", "v"),
        Edge("v", "readout"),
        Edge("readout", "out"),
    ]
    return Graph(nodes, tuple(edges))


def network(graph: Graph, steps: int, coding: str) -> Network:
    """The graph with a run record."""
    return Network(graph, RunRecord(steps, coding, readout="readout"))


def levels(graph: Graph) -> dict[str, int]:
    """When each population wakes."""
    return {n: p.start for n, p in graph.nodes.items() if isinstance(p, Population)}
