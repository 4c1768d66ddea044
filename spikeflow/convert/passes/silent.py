"""Pass: channels that are never active on the calibration samples get no current, so that they never fire.

What they would add to their readers is exactly 0, whatever threshold a rule gave them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from spikeflow.convert.passes.observe import Stats
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Node, Scale
from spikeflow.typing import Array


def dead(stats: Stats) -> Mapping[str, Array]:
    """Of each activation that has some, which channels gave 0 alone, bool ``(channels,)``."""
    found = {name: seen.zeros >= seen.values for name, seen in stats.activations.items()}
    return {name: channels for name, channels in found.items() if channels.any()}


def silenced(graph: Graph, stats: Stats | None) -> Graph:
    """The graph of stage ann with a factor of 0 before every channel that is never active; folding takes it
    into the weights. Without samples nobody knows, and it stays as it is.
    """
    masks = {} if stats is None else {n: m for n, m in dead(stats).items() if _rests(graph, n)}
    nodes: dict[str, Node] = {}
    edges = list(graph.edges)
    for name, node in graph.nodes.items():
        if name in masks:
            mask, count = f"{name}.mask", 1
            while mask in graph.nodes:
                mask, count = f"{name}.mask_{count + 1}", count + 1
            alive = np.where(masks[name], 0, 1).reshape(-1, *(1,) * (len(graph.shapes[name]) - 1))
            nodes[mask] = Scale(alive.astype(np.float32))
            edges = [replace(e, dst=mask) if e.dst == name else e for e in edges]
            edges.append(Edge(mask, name))
        nodes[name] = node
    return Graph(nodes, tuple(edges), graph.dt)


def _rests(graph: Graph, name: str) -> bool:
    """Whether an activation hands on 0 where nothing arrives."""
    node = graph.nodes[name]
    return (
        isinstance(node, Activation)
        and not node.value([np.zeros((1, *graph.shapes[name]), np.float32)]).any()
    )


def silent_layers(stats: Stats | None) -> Iterator[str]:
    """The activations without an active channel."""
    if stats is not None:
        yield from (name for name, channels in dead(stats).items() if channels.all())
