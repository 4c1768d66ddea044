"""Every reader that needs torch or a chip, on an example of every kind: it gives what the reference says, or refuses.

Reference, engine, states, files and text are in ``tests/ir/test_nodes.py``.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest

from spikeflow.convert.passes.balance import balance
from spikeflow.convert.passes.coding import encoded
from spikeflow.convert.passes.fold import fold
from spikeflow.convert.passes.observe import observe
from spikeflow.convert.passes.scales import fold_scales
from spikeflow.convert.passes.thresholds import data_free_thresholds, percentile_thresholds
from spikeflow.errors import (
    ConversionError,
    GraphError,
    HardwareError,
    SpikeflowError,
    SpikeflowWarning,
    StageError,
)
from spikeflow.hw import map_network
from spikeflow.hw.chips.chip import load
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose, is_composed
from spikeflow.hw.passes.pools import without_pools
from spikeflow.hw.passes.retime import output_level, retime
from spikeflow.hw.passes.rules import check_rules
from spikeflow.hw.report import mapping_report
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    KINDS,
    Activation,
    BatchNorm,
    Delay,
    Joint,
    Linear,
    Move,
    OfMeans,
    Output,
    Poisson,
    Population,
    Scale,
    Synaptic,
)
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons.joints import STRETCHES
from spikeflow.report import collect
from spikeflow.report.network.text import to_text
from spikeflow.samples import Samples
from spikeflow.sim import Constant, Dense, reference
from spikeflow.sim.classify import RunOptions, classify
from tests.ir.kinds import EXAMPLES, spiking, stateless

STEPS = 8
CHIPS = ("loihi1", "loihi2", "spinnaker2")
OF_ANN = ("BatchNorm", "Activation")
# those that nobody gave a form in torch and on chips, which refuse them
BARE = [k for k, e in EXAMPLES.items() if isinstance(e.node, Joint) and type(e.node) not in STRETCHES]
# functions of running means run in floats, and have no bound that batch norm gives
OF_MEANS = [k for k, e in EXAMPLES.items() if isinstance(e.node, OfMeans)]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_chip = pytest.mark.parametrize("chip", CHIPS)


def moments(kind: str, samples: int = 12) -> Any:
    """Spikes ``(N, T, *shape)``."""
    rng = np.random.default_rng(0)
    return (rng.random((samples, STEPS, *EXAMPLES[kind].arriving)) < 0.5).astype(np.float32)


def outputs(graph: Graph, x: Any, steps: int = STEPS) -> Any:
    """What a graph hands on in every step, for samples as above."""
    return reference.simulate(graph, Dense(np.moveaxis(x, 1, 0)), steps).outputs["out"]


def network(kind: str, graph: Graph | None = None) -> Network:
    return Network(graph or spiking(kind, "zero"), RunRecord(STEPS, "spikes", readout="readout"))


# --- convert ---


def whole(kind: str) -> Graph:
    """At stage ann: Input, the kind, scaled, weights, a ReLU, weights, Output; synapses without delays."""
    graph = stateless(kind)
    node = graph.nodes["node"]
    if kind in ("Linear", "Sparse"):
        node = replace(node, delays=None)
    count = prod(graph.shapes["node"])
    rng = np.random.default_rng(1)
    nodes = {
        "x": graph.nodes["x"],
        "node": node,
        "scaled": Scale(np.full(1, 0.5, np.float32)),
        "a": Linear(rng.normal(0, 1, (6, count)).astype(np.float32), np.ones(6, np.float32)),
        "relu": Activation(),
        "b": Linear(rng.normal(0, 1, (3, 6)).astype(np.float32)),
        "out": Output(),
    }
    chain = ("node", "scaled", "a", "relu", "b", "out")
    edges = [Edge("x", "node", port) for port in node.ports]
    return Graph(nodes, (*edges, *(Edge(a, b) for a, b in zip(chain, chain[1:], strict=False))))


@each_kind
def test_passes_of_convert(kind: str) -> None:
    """Folding changes no value but by rounding; factors given to a source reach whoever reads it."""
    graph = whole(kind)
    x = np.random.default_rng(0).integers(0, 3, (5, *EXAMPLES[kind].arriving)).astype(np.float32)
    if kind in ("Population", "Delay", "MaxPool", "Procedural", "Poisson", *BARE):  # the rule draws delays
        with pytest.raises((StageError, ConversionError), match="node"):
            observe(fold(graph), x)
        return
    wanted = reference.simulate(graph, Constant(x), 1).output[0]
    folded = fold(graph)
    got = reference.simulate(folded, Constant(x), 1).output[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    given = np.linspace(0.5, 2, prod(graph.shapes["x"])).reshape(graph.shapes["x"])
    times = fold_scales(folded, {"x": given})
    got = reference.simulate(times, Constant((x / given).astype(np.float32)), 1).output[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    stats = observe(folded, x)
    made = balance(folded, percentile_thresholds(stats).values)
    assert np.isfinite(reference.simulate(made, Constant(x), 4).output).all()
    for coding in ("direct", "rate", "onoff"):
        encoded(made, coding)
    with pytest.raises(ConversionError, match="no batch norm determines"):
        data_free_thresholds(graph)


@each_kind
def test_thresholds_without_data_pass_through(kind: str) -> None:
    graph = whole(kind)
    norm = BatchNorm(*(np.ones(graph.shapes["x"][0], np.float32) for _ in range(4)))
    nodes = {"x": graph.nodes["x"], "norm": norm, "first": Activation(), "node": graph.nodes["node"]}
    nodes |= {"again": Activation(), "out": Output()}
    edges = [Edge("x", "norm"), Edge("norm", "first"), Edge("node", "again"), Edge("again", "out")]
    edges += [Edge("first", "node", port) for port in graph.nodes["node"].ports]
    if kind == "MaxPool":  # counts, which no value of stage ann may be
        with pytest.raises(GraphError, match="node"):
            Graph(nodes, tuple(edges))
        return
    made = Graph(nodes, tuple(edges))
    if isinstance(graph.nodes["node"], Synaptic | Delay | Population | Poisson) or kind in (*BARE, *OF_MEANS):
        with pytest.raises(ConversionError, match="again: no batch norm determines"):
            data_free_thresholds(made)
        return
    found = data_free_thresholds(made).values
    assert found["first"].shape == (made.shapes["first"][0],) and (found["again"] > 0).all()


# --- chips ---


@each_kind
@each_chip
def test_passes_of_a_chip(kind: str, chip: str) -> None:
    """Composed, the network gives the same numbers; retimed, the same numbers later."""
    graph, x, table = spiking(kind, "zero"), moments(kind, 3), load(chip)
    if kind in OF_ANN:
        with pytest.raises(StageError, match="node"):
            map_network(network(kind), chip, moments(kind))
        return
    try:
        pooled = without_pools(graph, table)
    except HardwareError as error:
        assert (kind, chip) == ("MaxPool", "loihi1") or kind in (*BARE, *OF_MEANS)
        assert error.violations[0].node == "node"
        return
    if kind == "Poisson":
        with pytest.raises(GraphError, match="node"):
            compose(pooled)
        return
    made = adapt(compose(pooled), table)
    assert is_composed(made)
    if kind != "MaxPool":  # its tournament takes steps
        np.testing.assert_array_equal(outputs(made, x), outputs(graph, x))
        assert not check_rules(made, table)
        later = retime(made, table)
        level = output_level(later, "out")
        longer = np.concatenate([x, np.zeros_like(x[:, :level])], axis=1)
        np.testing.assert_array_equal(outputs(later, longer, STEPS + level)[level:], outputs(graph, x))


@each_kind
@each_chip
def test_mapping_of_every_kind(kind: str, chip: str) -> None:
    """Engine and reference run what the tables say; what is only moved is answered as the float network does."""
    if kind in (*OF_ANN, *BARE, *OF_MEANS, "Poisson") or (kind, chip) == ("MaxPool", "loihi1"):
        with pytest.raises(SpikeflowError, match="node"):
            map_network(network(kind), chip, moments(kind))
        return
    x = moments(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpikeflowWarning)
        mapping = map_network(network(kind), chip, x, accept_loss=True)
        found = mapping.as_network()
        got = classify(found, x).accumulated()
        np.testing.assert_array_equal(got, classify(found, x, RunOptions("reference")).accumulated())
        again = map_network(found.graph, chip).as_network()
        assert again.graph.nodes.keys() and mapping_report(mapping).cores
        # spikes are handed on as they are; what is left is the rounding of the read-out's weights
        alike = isinstance(EXAMPLES[kind].node, Move | Delay)
        if alike and chip == "spinnaker2":  # whose neurons spike at equality, as the float ones
            wanted = classify(network(kind), x).accumulated()
            scale = got.astype(np.float64).sum() / wanted.sum()
            np.testing.assert_allclose(got / scale, wanted, atol=0.01 * np.abs(wanted).max())
        facts = collect(network(kind), Samples(x, np.zeros(len(x), np.int64)), mapping)
    assert "node" in to_text(facts)


@each_kind
def test_report_of_every_kind(kind: str) -> None:
    x = Samples(moments(kind), np.zeros(12, np.int64))
    if kind in OF_ANN:
        with pytest.raises(StageError, match="node"):
            collect(network(kind), x)
        return
    assert "second" in to_text(collect(network(kind), x))
