"""Layers: what each node of a network is, and what it did in a run."""

from __future__ import annotations

from math import prod

import numpy as np

from spikeflow.ir.answer import VALUE
from spikeflow.ir.graph import Graph
from spikeflow.ir.interval import wilson
from spikeflow.ir.nodes import Input, Node, Poisson, Population
from spikeflow.ir.record import Network
from spikeflow.ir.stages import stage_of
from spikeflow.ir.synapses import connections, stored_synapses
from spikeflow.report.network.facts import LayerFacts, NetworkFacts, RunFacts, Spread
from spikeflow.sim.classify import Evaluation
from spikeflow.sim.overflow import narrowed
from spikeflow.sim.summary import ExitFacts

MAX_POINTS = 64  # of an accuracy curve


def network_facts(network: Network) -> NetworkFacts:
    """The network and its run record."""
    graph, record = network.graph, network.record
    nodes = graph.nodes
    return NetworkFacts(
        graph.digest,
        stage_of(graph),
        len(nodes),
        len(graph.edges),
        sum(_neurons(n) for n in nodes.values()),
        sum(stored_synapses(n) for n in nodes.values()),
        sum(connections(graph, n) for n in nodes),
        graph.dt,
        record.steps,
        "; ".join(dict.fromkeys(described.coding for described in network.inputs)) or record.coding,
        record.scale,
        record.seed,
        record.readout,
        record.input_shape,
        record.labels,
        dict(record.notes),
    )


def layer_facts(graph: Graph, evaluation: Evaluation) -> tuple[LayerFacts, ...]:
    """Each node in the order of the graph."""
    return tuple(_layer(graph, evaluation, name) for name in graph.nodes)


def run_facts(title: str, network: Network, evaluation: Evaluation, y: np.ndarray | None) -> RunFacts:
    """One run over all samples."""
    samples, counts, steps = evaluation.samples, evaluation.counts.values(), evaluation.steps
    over = {} if y is None else {t: evaluation.score(y, t) for t in curve_points(steps)}
    last = over.get(steps)
    kind = last.kind if last else _kind(evaluation)
    cached = sum(c.cached_operations for c in counts)
    total = evaluation.synaptic_operations
    return RunFacts(
        title,
        stage_of(network.graph),
        samples,
        steps,
        last.accuracy if last else None,
        {t: s.accuracy for t, s in over.items() if s.accuracy is not None},
        total / samples,
        (total - cached) / samples,
        sum(c.neuron_updates for c in counts) / samples,
        evaluation.seconds,
        wilson(last.accuracy, samples) if last and last.accuracy is not None else None,
        kind,
        last.rmse if last else None,
        last.r2 if last else None,
        {t: s.rmse for t, s in over.items() if s.rmse is not None},
        float(evaluation.tied().mean()) if kind not in ("", VALUE) else 0.0,
        ExitFacts.of(evaluation),
    )


def _kind(evaluation: Evaluation) -> str:
    """What the output says that answers; empty where none of several was chosen."""
    several = len(evaluation.outputs) > 1 and not evaluation.chosen
    return "" if several else evaluation.kind()


def curve_points(steps: int) -> tuple[int, ...]:
    """The numbers of steps at which accuracy is told: every one, or for long runs some that grow evenly."""
    if steps <= MAX_POINTS:
        return tuple(range(1, steps + 1))
    powers = {2**k for k in range(21) if 2**k < steps}
    grid = np.unique(np.geomspace(1, steps, MAX_POINTS).round().astype(int))
    return tuple(sorted(powers | set(grid.tolist()) | {steps}))


def spread(values: np.ndarray) -> Spread | None:
    """Smallest, median and largest."""
    if values.size == 0:
        return None
    return Spread(float(values.min()), float(np.median(values)), float(values.max()))


def _neurons(node: Node) -> int:
    return prod(node.shape) if isinstance(node, Population) else 0


def _layer(graph: Graph, evaluation: Evaluation, name: str) -> LayerFacts:
    node, count, samples = graph.nodes[name], evaluation.counts[name], evaluation.samples
    size = prod(node.shape) if isinstance(node, Population | Input | Poisson) else 0
    # a neuron that wakes later, a run lengthened by the read-out's level and one of samples that stop early
    # have other steps than are read
    moments = count.neuron_updates if isinstance(node, Population) else int(evaluation.entered.sum()) * size
    rate = count.spikes / max(1, moments) if fires(node) else None
    kind = node.model if isinstance(node, Population) else type(node).__name__
    threshold = node.params.get("threshold") if isinstance(node, Population) else None
    return LayerFacts(
        name,
        kind,
        graph.shapes[name],
        _neurons(node),
        stored_synapses(node),
        connections(graph, name),
        None if threshold is None else spread(threshold),
        rate,
        count.spikes / samples if fires(node) else 0.0,
        count.accumulates / samples,
        count.multiply_accumulates / samples,
        count.neuron_updates / samples,
        dict(narrowed(node, count).overflow),
    )


def fires(node: Node) -> bool:
    """Whether a node's values are spikes; those of a read-out and of a current are not."""
    if isinstance(node, Input):
        return node.kind == "spikes"
    if isinstance(node, Poisson):
        return node.whole
    return isinstance(node, Population) and node.spikes
