"""The layers of a mapped network, each joined from the parts of it that lie on many cores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population
from spikeflow.report.network.facts import LayerFacts, Spread
from spikeflow.report.network.layers import layer_facts, spread
from spikeflow.sim.classify import Evaluation


def joined_layers(mapping: Mapping, graph: Graph, evaluation: Evaluation) -> tuple[LayerFacts, ...]:
    """The populations and projections of the network, each over all the cores that hold a part of it."""
    parts: dict[str, list[LayerFacts]] = {}
    for facts in layer_facts(graph, evaluation):
        if facts.node in mapping.part_of:
            parts.setdefault(mapping.part_of[facts.node], []).append(facts)
    order = list(dict.fromkeys(name for edge in mapping.projections for name in (edge.name, edge.target)))
    rank = {name: index for index, name in enumerate(order)}
    return tuple(_joined(name, parts[name], graph) for name in sorted(parts, key=lambda n: rank.get(n, -1)))


def _joined(name: str, parts: Sequence[LayerFacts], graph: Graph) -> LayerFacts:
    neurons = sum(p.neurons for p in parts)
    rates = [(p.rate, p.neurons) for p in parts if p.rate is not None]
    overflow: dict[str, int] = {}
    for register, count in ((r, n) for p in parts for r, n in p.overflow.items()):
        overflow[register] = overflow.get(register, 0) + count
    size = neurons or sum(int(np.prod(p.shape)) for p in parts)
    return LayerFacts(
        name,
        parts[0].kind,
        (size,),
        neurons,
        sum(p.synapses for p in parts),
        sum(p.connections for p in parts),
        _thresholds(parts, graph),
        sum(r * n for r, n in rates) / neurons if rates else None,
        sum(p.spikes for p in parts),
        sum(p.accumulates for p in parts),
        sum(p.multiply_accumulates for p in parts),
        sum(p.neuron_updates for p in parts),
        overflow,
    )


def _thresholds(parts: Sequence[LayerFacts], graph: Graph) -> Spread | None:
    nodes = [graph.nodes[p.node] for p in parts]
    found = [
        n.params["threshold"].ravel() for n in nodes if isinstance(n, Population) and "threshold" in n.params
    ]
    return spread(np.concatenate(found)) if found else None
