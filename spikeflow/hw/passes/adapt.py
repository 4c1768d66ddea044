"""Pass: neurons that a chip lacks become neurons that it has, where the two are equal bit for bit.

A `LIF` is a `CubaLIF` whose current does not last; an `IF` is a `LIF` without leak; a `TwoPointLIF` whose
apical point nothing reaches is a `LIF`. Nothing is approximated: what has no equal stays, and the rules
refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from spikeflow.hw.chips.chip import Chip
from spikeflow.ir.arrays import Array
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Node, Population
from spikeflow.neurons.cuba_lif import CubaLIF
from spikeflow.neurons.iaf import IF
from spikeflow.neurons.lif import LIF
from spikeflow.neurons.model import RESETS, NeuronModel
from spikeflow.neurons.two_point import TwoPointLIF

PORTS = {"basal": "in"}  # of a two-point cell, as a cell with one port calls it


def adapt(graph: Graph, chip: Chip) -> Graph:
    """The graph in neurons of the chip as far as they are equal; for a programmable chip the graph as it
    is.
    """
    if chip.operations:
        return graph
    changed: dict[str, Node] = {}
    for name in graph.of_kind(Population):
        node = graph.nodes[name]
        assert isinstance(node, Population)
        changed[name] = _adapted(graph, name, node, chip)
    edges = tuple(
        replace(e, port=PORTS[e.port]) if e.dst in changed and e.port not in changed[e.dst].ports else e
        for e in graph.edges
    )
    nodes = {n: changed.get(n, node) for n, node in graph.nodes.items()}
    return replace(graph, nodes=nodes, edges=edges)


def reset_of(node: Population) -> str | None:
    """The kind of reset, "zero" or "subtract", of a population of a known model; None for any other
    program.
    """
    variants = VARIANTS.get(node.model, {})
    return next((kind for kind, model in variants.items() if model.program() == node.program), None)


def _adapted(graph: Graph, name: str, node: Population, chip: Chip) -> Population:
    while node.model not in chip.models and node.model in _REWRITES:
        changed = _REWRITES[node.model](graph, name, node)
        if changed is None:
            return node
        node = changed
    return node


def _isolated(graph: Graph, name: str, node: Population) -> Population | None:
    kind = reset_of(node)
    reached = bool(graph.inputs_of(name, "apical")) or bool(np.any(node.initial.get("a", 0)))
    if kind is None or reached:
        return None
    model = LIF(node.params["decay"], node.params["threshold"], kind)
    return _like(node, model, {"v": node.initial["u"]} if "u" in node.initial else {})


def _leaking(graph: Graph, name: str, node: Population) -> Population | None:
    kind = reset_of(node)
    return None if kind is None else _like(node, LIF(1.0, node.params["threshold"], kind), node.initial)


def _with_current(graph: Graph, name: str, node: Population) -> Population | None:
    kind = reset_of(node)
    model = CubaLIF(0.0, node.params["decay"], node.params["threshold"], kind or "zero")
    return None if kind is None else _like(node, model, node.initial)


def _like(node: Population, model: NeuronModel, initial: Mapping[str, Array]) -> Population:
    return replace(model.node(node.shape, initial), start=node.start)


_REWRITES: Mapping[str, Callable[[Graph, str, Population], Population | None]] = {
    "TwoPointLIF": _isolated,
    "IF": _leaking,
    "LIF": _with_current,
}
VARIANTS: Mapping[str, Mapping[str, NeuronModel]] = {
    "IF": {k: IF(reset=k) for k in RESETS},
    "LIF": {k: LIF(reset=k) for k in RESETS},
    "CubaLIF": {k: CubaLIF(reset=k) for k in RESETS},
    "TwoPointLIF": {k: TwoPointLIF(reset=k) for k in RESETS},
}
