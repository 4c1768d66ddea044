"""Random drive: engine and reference draw the same, cut, batched and threaded; and the law is Poisson's."""

from __future__ import annotations

from math import exp, factorial
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import DataError, GraphError, HardwareError, ShapeError, StageError
from spikeflow.hw import map_network
from spikeflow.ir import file, stages
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Poisson, SumPool
from spikeflow.ir.nodes.poisson import thresholds
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF, Integrator
from spikeflow.sim import Constant, State, engine, prepare, reference, run
from spikeflow.sim.classify import RunOptions, classify


def driven(node: Poisson) -> Graph:
    """The drive into neurons and, pooled where it has channels, into others."""
    nodes: dict[str, Any] = {
        "drive": node,
        "cells": LIF(0.9).node(node.shape),
        "out": Output(),
        "seen": Output(),
    }
    edges = [Edge("drive", "cells", delay=2), Edge("cells", "out"), Edge("drive", "seen")]
    if len(node.shape) == 3:
        nodes |= {"pool": SumPool((1, 1), (1, 1)), "pooled": Output()}
        edges += [Edge("drive", "pool"), Edge("pool", "pooled")]
    return Graph(nodes, tuple(edges))


def drawn(seed: int) -> Poisson:
    """Shapes of 1 to 1,300 neurons with and without channels, means of 2**-20 to 1,000, of one or of each."""
    rng = np.random.default_rng(seed)
    shapes: tuple[tuple[int, ...], ...] = ((int(rng.integers(1, 1300)),), (3, 5, 7), (600, 2, 1), ())
    shape = shapes[seed % 4]
    mean: Any = float(np.exp(rng.uniform(np.log(2.0**-20), np.log(1000.0))))
    if seed % 3 == 0:
        mean = rng.choice([0.0, 0.001, 0.3, 2.5, 70.0], shape)
    weight = float(rng.choice([1.0, 1.0, -1.0, 0.25, -0.3]))
    return Poisson(shape, mean, int(rng.integers(2**62)), int(rng.integers(2**62)), weight)


@pytest.mark.parametrize("seed", range(24))
def test_engine_and_reference_draw_the_same(seed: int) -> None:
    graph = driven(drawn(seed))
    start = State.initial(graph, 3)
    wanted = reference.prepare(graph)({}, 9, state=start)
    for isa in range(3):
        for threads in (1, 2):
            got = engine.prepare(graph, threads, isa)({}, 9, state=start)
            for name, values in wanted.outputs.items():
                assert got.outputs[name].tobytes() == values.tobytes(), (name, isa)
            assert got.state == wanted.state
            for name, counts in wanted.counts.items():
                assert got.counts[name].semantic() == counts.semantic(), name


@pytest.mark.parametrize("mean", [0.02, 0.2, 0.7, 1.6, 2.3, 5.0, 9.0, 14.0])
def test_tables_of_every_length_are_searched_alike(mean: float) -> None:
    """Few thresholds, or more than a search by halves holds: the numbers beyond them come, too."""
    graph = driven(Poisson((4000,), mean, 5))
    wanted = reference.prepare(graph)({}, 20).outputs["seen"]
    for isa in range(3):
        assert engine.prepare(graph, 1, isa)({}, 20).outputs["seen"].tobytes() == wanted.tobytes(), isa


@pytest.mark.parametrize("name", ["cpp", "reference"])
def test_a_cut_and_a_row_alone_change_nothing(name: str) -> None:
    graph = driven(drawn(0))
    whole = prepare(graph, name)({}, 10, state=State.initial(graph, 3))
    live = prepare(graph, name).begin(3)
    parts = [live.advance({}, steps).outputs["seen"] for steps in (3, 7)]
    assert np.concatenate(parts).tobytes() == whole.outputs["seen"].tobytes()
    assert live.state() == whole.state
    alone = run(graph, {}, 10, engine=name, state=State.initial(graph, 3)[1])
    assert alone.outputs["seen"].tobytes() == whole.outputs["seen"][:, 1:2].tobytes()
    # rows of different age, joined
    young, old = State.initial(graph, 3)[2], prepare(graph, name)({}, 4, state=State.initial(graph, 3)).state
    mixed = run(graph, {}, 6, engine=name, state=State.joined([old, young])).outputs["seen"]
    assert mixed[:, 0].tobytes() == whole.outputs["seen"][4:, 0].tobytes()
    assert mixed[:, 3].tobytes() == whole.outputs["seen"][:6, 2].tobytes()
    assert run(graph, {}, 4, engine=name).outputs["seen"].shape[1] == 1  # without an Input: one sample


@pytest.mark.parametrize("mean", [2.0**-20, 0.013, 0.7, 1.6, 12.0, 400.0])
def test_each_chance_is_poissons(mean: float) -> None:
    table = thresholds(mean).astype(np.float64) / 2**32
    most = min(table.size, 100)
    chances = [exp(-mean) * mean**k / factorial(k) for k in range(most)]
    np.testing.assert_allclose(np.diff(table[:most], prepend=0), chances, atol=2.0**-32, rtol=0)
    assert table[-1] >= 0 and (np.diff(thresholds(mean).astype(np.int64)) >= 0).all()
    if table.size < 100:  # what lies beyond the last is never drawn, and hardly ever comes
        assert 1 - sum(chances) - exp(-mean) * mean**most / factorial(most) < 2.0**-31


@pytest.mark.parametrize("mean", [0.05, 1.6, 30.0])
def test_means_variances_and_correlations(mean: float) -> None:
    """2 million draws: neighbours in neuron, step, sample, seed and number are independent."""
    n, steps = 20_000, 50
    graph = Graph(
        {f"d{i}": Poisson((n,), mean, i // 2, i % 2) for i in range(4)}
        | {f"o{i}": Output() for i in range(4)},
        tuple(Edge(f"d{i}", f"o{i}") for i in range(4)),
    )
    found = run(_with_cells(graph), {}, steps, state=State.initial(_with_cells(graph), 2)).outputs
    x = found["o0"]
    error = np.sqrt(mean / x.size)
    assert abs(x.mean() - mean) < 5 * error
    assert abs(x.var() / mean - 1) < 5 * np.sqrt((2 + 1 / mean) / x.size)
    others = [x[1:], x[:, ::-1], x[:, :, 1:], *(found[f"o{i}"] for i in (1, 2, 3))]
    firsts = [x[:-1], x, x[:, :, :-1], x, x, x]
    for a, b in zip(firsts, others, strict=True):
        assert abs(np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1]) < 5 / np.sqrt(a.size / 2)


def _with_cells(graph: Graph) -> Graph:
    """The engine runs networks of neurons."""
    nodes = {**graph.nodes, "cells": LIF(0.9).node((1,))}
    return Graph(nodes, graph.edges)


def test_in_files_text_and_batches(tmp_path: Any) -> None:
    nodes = {
        "x": Input((6,)),
        "drive": Poisson((6,), 0.5, 3),
        "w": Linear(np.ones((3, 6), np.float32)),
        "sum": Integrator().node((3,)),
        "out": Output(),
    }
    chain = ("drive", "w"), ("x", "w"), ("w", "sum"), ("sum", "out")
    network = Network(
        Graph(nodes, tuple(Edge(*pair) for pair in chain)), RunRecord(6, "spikes", readout="sum")
    )
    file.write(tmp_path / "net.h5", network)
    again = file.read(tmp_path / "net.h5")
    assert again.graph.digest == network.graph.digest
    x = np.zeros((7, 6, 6), np.float32)
    wanted = classify(network, x).accumulated()
    assert len(np.unique(wanted[:, 0])) > 1
    for batch in (1, 3):  # a sample draws by its number, whatever runs beside it
        np.testing.assert_array_equal(classify(again, x, RunOptions(batch=batch)).accumulated(), wanted)
    other = Graph({**nodes, "drive": Poisson((6,), 0.5, 4)}, network.graph.edges)
    assert other.digest != network.graph.digest
    for chip in ("loihi1", "loihi2", "spinnaker2"):
        with pytest.raises(HardwareError, match="drive: needs random drive"):
            map_network(network, chip, x)
    assert run(network.graph, Constant(np.zeros((2, 6))), 3).samples == 2


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (Poisson((3,), 2000.0), "2000 events a step"),
        (Poisson((3,), -0.5), "-0.5 events"),
        (Poisson((3,), 1e-9), "1e-09 events"),
        (Poisson((3,), np.nan), "nan events"),
        (Poisson((3,), 1.0, -1), "seed -1"),
        (Poisson((3,), 1.0, weight=np.inf), "weight of inf"),
    ],
)
def test_what_is_refused(node: Poisson, told: str) -> None:
    with pytest.raises(GraphError, match=told):
        driven(node)


def test_equal_means_are_one() -> None:
    one, listed = Poisson((2, 3), 0.7, seed=3), Poisson((2, 3), np.full((2, 3), 0.7), seed=3)
    assert listed.mean.shape == one.mean.shape == (1,)
    with pytest.raises(ShapeError, match="the mean of shape"):  # as many, but not of the shape
        Poisson((2, 3), np.full(6, 0.7), seed=3).check("drive")


def test_drive_needs_steps_and_a_network_without_inputs_takes_no_samples() -> None:
    graph = Graph({"drive": Poisson((3,), 1.0), "out": Output()}, (Edge("drive", "out"),))
    with pytest.raises(StageError, match="drive"):
        stages.check(graph, "ann")
    network = Network(driven(Poisson((3,), 1.0)), RunRecord(4, "spikes"))
    with pytest.raises(DataError, match="no Input"):
        classify(network, np.zeros((2, 4, 3)))
