"""map_network: the whole way, refusals with all reasons, seeds, chips, progress."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeflow.errors import DataError, HardwareError, StageError
from spikeflow.hw import map_network
from spikeflow.hw.chips.chip import load
from spikeflow.hw.cost import over_limits
from spikeflow.hw.layout.messages import count_messages
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir import stages
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import BatchNorm, Input, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF, TwoPointLIF
from spikeflow.sim.classify import RunOptions, classify
from tests.hw.fixed_nets import drawn, inputs_for, local, outputs, tiny_chip
from tests.hw.nets import layered, network, normal, residual


@pytest.mark.parametrize("seed", range(4))
def test_a_fixed_graph_is_mapped_as_it_is(seed: int) -> None:
    graph, chip = drawn(seed), tiny_chip()
    mapping = map_network(graph, chip, chips=4)
    x = inputs_for(graph, seed)
    before, after = outputs(graph, x), outputs(mapping.as_graph(), x)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert not over_limits(mapping, chip) and not mapping.measured and mapping.chip == "tiny"


def test_the_seed_decides() -> None:
    graph, chip = local(side=8), tiny_chip()
    first, second = (map_network(graph, chip, chips=4, seed=5) for _ in range(2))
    assert first.as_graph().digest == second.as_graph().digest
    places = [[(c.chip, c.x, c.y, c.slot) for c in m.cores] for m in (first, second)]
    assert places[0] == places[1]


def test_as_few_chips_as_needed() -> None:
    graph, chip = local(side=6), tiny_chip(tiles=(2, 2, 2))
    mapping = map_network(graph, chip, chips=50)
    assert mapping.chips == -(-mapping.cores_used // 8)
    with pytest.raises(HardwareError, match=f"--chips {mapping.chips}"):
        map_network(graph, chip, chips=mapping.chips - 1)


def test_delays_beyond_the_chip_are_refused_for_fixed_graphs_too() -> None:
    graph = local(layers=1, channels=1, side=4)
    late = replace(graph, edges=tuple(replace(e, delay=65) if e.src == "x" else e for e in graph.edges))
    with pytest.raises(HardwareError, match="65 delay"):
        map_network(late, load("loihi2"))


def test_every_broken_rule_at_once() -> None:
    refused = Network(residual(normal), RunRecord(8, "direct", readout="readout"))
    with pytest.raises(HardwareError) as caught:
        map_network(refused, "loihi1", normal(0, 4, 2, 8, 8))
    text = str(caught.value)
    assert "reset by subtraction" in text and "current" in text and len(caught.value.violations) >= 3


def test_missing_samples_unknown_chip_wrong_stage() -> None:
    net = Network(residual(normal), RunRecord(8, "direct", readout="readout"))
    with pytest.raises(DataError, match="--data"):
        map_network(net, "loihi2")
    with pytest.raises(HardwareError, match="loihi1, loihi2, spinnaker2"):
        map_network(net, "loihi9", normal(0, 4, 2, 8, 8))
    one = np.ones(2)
    ann = Graph(
        {"x": Input((2, 2, 2), "current"), "bn": BatchNorm(one, one, one, one), "out": Output()},
        (Edge("x", "bn"), Edge("bn", "out")),
    )
    with pytest.raises(StageError):
        map_network(ann, "loihi2", normal(0, 4, 2, 2, 2))


# --- from float to chip: these run the engine for calibration ---


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    pytest.importorskip("spikeflow.sim._engine")
    return map_network(_residual(), "loihi2", normal(7, 6, 2, 8, 8))


def _residual() -> Network:
    return Network(residual(normal), RunRecord(8, "direct", readout="readout", input_shape=(2, 8, 8)))


def test_residual_network_on_loihi2(mapping: Mapping) -> None:
    x = normal(7, 6, 2, 8, 8)
    assert mapping.measured and mapping.cores_used == 1 and mapping.record.readout == "readout"
    stages.check(mapping.as_graph(), "fixed")
    float_run = classify(_residual(), x)
    mapped_run = classify(mapping.as_network(), x)
    assert mapped_run.logits.shape == float_run.logits.shape
    assert (mapped_run.predictions() == float_run.predictions()).mean() >= 0.5


@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
@pytest.mark.parametrize("model", [LIF(), TwoPointLIF()])
def test_recurrent_networks(chip: str, model: LIF | TwoPointLIF) -> None:
    pytest.importorskip("spikeflow.sim._engine")
    x = (np.random.default_rng(0).random((5, 12, 12)) < 0.4).astype(np.float32)
    done: list[tuple[int, int]] = []
    mapping = map_network(
        network(layered(model), 12, "spikes"), chip, x, progress=lambda at, of: done.append((at, of))
    )
    small = replace(load(chip), name="small", neurons=replace(load(chip).neurons, value=5))
    pieces = map_network(network(layered(model), 12, "spikes"), small, x)
    assert pieces.cores_used > mapping.cores_used
    runs = [classify(m.as_network(), x).logits for m in (mapping, pieces)]
    assert np.array_equal(*runs)
    assert done[-1][0] == done[-1][1] and [at for at, _ in done] == sorted(at for at, _ in done)


def test_steps_can_be_changed() -> None:
    pytest.importorskip("spikeflow.sim._engine")
    assert map_network(_residual(), "loihi2", normal(7, 6, 2, 8, 8), steps=5).record.steps == 5


def test_messages_are_counted_on_samples() -> None:
    pytest.importorskip("spikeflow.sim._engine")
    graph = next(g for g in map(drawn, range(20)) if len(g.outputs) == 1)
    net = Network(graph, RunRecord(8, "direct", readout="c"))
    node = graph.nodes["x"]
    assert isinstance(node, Input)
    x = np.random.default_rng(0).integers(-3, 4, (3, *node.shape)).astype(float)
    counted = count_messages(net, x)
    found = counted.spikes
    run = classify(net, x, RunOptions(record=("a",)))
    moments = 3 * (run.steps + 3)
    assert found["a"].sum() * moments == pytest.approx(run.counts["a"].spikes)
    assert np.allclose(found["x"], (x != 0).mean(axis=0).ravel())
