"""Runs are forecast: what there is no room for is refused with the figure; long runs keep what the answer needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeflow.errors import DataError, NotEnoughMemory
from spikeflow.files import memory
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Pad
from spikeflow.ir.projections import FixedInDegree, Normal
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF
from spikeflow.populations import Populations
from spikeflow.sim import Constant, engine, forecast, keep_lowered, prepare, run
from spikeflow.sim.classify import RunOptions, classify
from spikeflow.sim.summary import reading_points
from tests.cli.conftest import small_network
from tests.files.measured import measure


def _chain(*middle: tuple[str, object], shape: tuple[int, ...] = (4,), delay: int = 0) -> Graph:
    nodes = {"in": Input(shape, "current"), **dict(middle), "out": Output()}
    names = list(nodes)
    edges = [Edge(a, b, delay=delay if b == "out" else 0) for a, b in zip(names, names[1:], strict=False)]
    return Graph(nodes, tuple(edges))  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["cpp", "reference"])
def test_a_shape_that_there_is_no_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setenv(memory.VARIABLE, "1G")
    graph = _chain(("pad", Pad((0, 5500, 5500), (0, 5500, 5500))), shape=(1, 8, 8))
    x = Constant(np.ones((2, 1, 8, 8), np.float32))

    def reader(_: Path) -> object:
        return run(graph, x, 4, engine=engine)

    outcome = measure(reader, tmp_path)
    assert outcome.ended == "refused" and "GB" in outcome.said and outcome.peak < 64 << 20


@pytest.mark.parametrize("seed", range(4))
def test_long_delays_take_no_more_than_the_run(tmp_path: Path, seed: int) -> None:
    """Delays of 2^10 to 2^20 - 1 steps, runs of 1 to 200: what arrives is what arrives in the reference."""
    drawn = np.random.default_rng(seed)
    delay, steps = int(drawn.integers(2**10, 2**20)), int(drawn.integers(1, 200))
    graph = _chain(delay=delay)
    x = Constant(drawn.normal(size=(2, 4)).astype(np.float32))
    outcome = measure(lambda _: run(graph, x, steps), tmp_path)
    assert outcome.ended == "read" and outcome.peak < 32 << 20
    shorter = _chain(delay=int(drawn.integers(1, 100)))
    for one in (graph, shorter):
        wanted = run(one, x, steps, engine="reference").output
        np.testing.assert_array_equal(run(one, x, steps).output, wanted)


def test_synapses_of_long_delays() -> None:
    """Delays of single synapses up to 2^19 steps, in one linear node."""
    delays = np.array([[0, 3], [70, 2**19]], np.int32)
    weight = np.array([[1, 2], [4, 8]], np.float32)
    graph = _chain(("sum", Linear(weight, delays=delays)), shape=(2,))
    x = Constant(np.ones((1, 2), np.float32))
    for steps in (1, 5, 80, 200):
        wanted = run(graph, x, steps, engine="reference").output
        np.testing.assert_array_equal(run(graph, x, steps).output, wanted)


def test_steps_that_there_is_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "100M")
    network = small_network()
    x = np.random.default_rng(0).random((200, *network.record.input_shape), np.float32)
    with pytest.raises(NotEnoughMemory, match=r"needs about .* there is room for") as caught:
        classify(network, x, RunOptions(steps=2**20))
    assert caught.value.needed > caught.value.room


@pytest.mark.parametrize("coding", ["direct", "rate"])
@pytest.mark.parametrize("steps", [1, 7, 64, 100])
def test_kept_steps_answer_as_all_steps(coding: str, steps: int) -> None:
    network = small_network()
    network = _coded(network, coding)
    x = np.random.default_rng(steps).random((9, *network.record.input_shape), np.float32)
    y = np.arange(9) % 3
    every = classify(network, x, RunOptions(steps=steps, batch=4))
    kept = classify(network, x, RunOptions(steps=steps, batch=3, kept=reading_points(steps)))
    assert kept.steps == every.steps and kept.logits.shape[0] == len(reading_points(steps))
    for at in reading_points(steps):
        np.testing.assert_array_equal(kept.accumulated(at), every.accumulated(at))
        assert kept.accuracy(y, at) == every.accuracy(y, at)
    if steps > 4:
        with pytest.raises(DataError, match="kept"):
            kept.predictions(3)


def _coded(network: Network, coding: str) -> Network:
    kind = "current" if coding == "direct" else "spikes"
    inputs = {n: replace(network.graph.nodes[n], kind=kind) for n in network.graph.inputs}  # type: ignore[type-var]
    record: RunRecord = replace(network.record, coding=coding)
    return Network(network.graph.with_nodes(inputs), record)


def test_a_variable_says_how_much_room_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, wanted in (("3G", 3 << 30), ("500M", 500 << 20), ("1 TiB", 1 << 40), ("4096", 4096)):
        monkeypatch.setenv(memory.VARIABLE, said)
        assert memory.room() == wanted
    monkeypatch.delenv(memory.VARIABLE)
    assert 0 < memory.room() < 1 << 50


def test_synapses_by_rule_that_there_is_no_room_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Refused with both figures before any is drawn; not where they lie in a file, and not a rank's part of them."""

    def net(bits: int, count: int) -> Graph:
        made = Populations(1e-3, bits=bits, scale=0.01 if bits else 1.0)
        made.add("n", LIF(0.9, 1.0), 100_000)
        made.project("n", "n", FixedInDegree(count), Normal(0.1, 0.1), Normal(3e-3, 1e-3, 1e-3, 9e-3))
        return made.graph(["n"])

    monkeypatch.setenv("SPIKEFLOW_MEMORY", "4G")
    with pytest.raises(NotEnoughMemory, match="synapses of the network") as caught:
        engine.prepare(net(0, 15_000))
    assert caught.value.needed > 1_500_000_000 * 7 > caught.value.room and "bits=8" in str(caught.value)
    small = net(8, 200)  # 20 million synapses, 4 bytes each, rows, and where sources begin
    monkeypatch.setenv("SPIKEFLOW_MEMORY", "16M")
    assert forecast.needs(small).rows == 20_000_000 * 4 + 4 * 100_000 * 9 + 8 * 100_000
    with pytest.raises(NotEnoughMemory):
        engine.prepare(small)
    monkeypatch.setenv("SPIKEFLOW_MEMORY", "1G")
    keep_lowered(small, tmp_path / "net.lowered", 1)
    monkeypatch.setenv("SPIKEFLOW_MEMORY", "16M")
    assert prepare(small, threads=1, lowered=tmp_path / "net.lowered")
