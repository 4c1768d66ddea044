"""What a mapping lost: measured on samples that set no scale, kept with it, and refused where it is too much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.calibration import digest, split
from spikeflow.errors import DataError, LossError, SpikeflowWarning
from spikeflow.hw import map_network
from spikeflow.hw.report import mapping_report
from spikeflow.hw.tables.file import read_mapping, write_mapping
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir.codec import encode_record
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, Integrator

STEPS = 16


def chained(*layers: Any) -> Network:
    """Layers one after another between an input of spikes and an output, the last of them read out."""
    nodes = {"x": layers[0], **{f"n{i}": layer for i, layer in enumerate(layers[1:])}, "out": Output()}
    names = list(nodes)
    edges = tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False))
    return Network(Graph(nodes, edges), RunRecord(STEPS, "spikes", readout=names[-2]))


def spikes(seed: int, samples: int, inputs: int, rate: float = 0.3) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(seed).random((samples, STEPS, inputs)) < rate).astype(np.float32)


def sorting(seed: int = 0, inputs: int = 12, hidden: int = 20) -> Network:
    """A network of two random layers, which tells its samples apart."""
    draw = np.random.default_rng(seed)
    first, last = (
        draw.normal(0.1, 0.5, shape).astype(np.float32) for shape in ((hidden, inputs), (4, hidden))
    )
    return chained(
        Input((inputs,), "spikes"),
        Linear(first),
        IF(np.float32(1.0)).node((hidden,)),
        Linear(last),
        Integrator().node((4,)),
    )


def equal_classes() -> Network:
    """Four classes whose weights differ by less than any 8 bits tell apart."""
    weight = (0.05 + 2e-6 * np.random.default_rng(3).normal(size=(4, 12))).astype(np.float32)
    return chained(
        Input((12,), "spikes"),
        Linear(np.eye(12, dtype=np.float32)),
        IF(np.float32(1.0)).node((12,)),
        Linear(weight),
        Integrator().node((4,)),
    )


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return map_network(sorting(), "loihi2", spikes(1, 200, 12))


def test_it_is_measured_on_samples_that_set_no_scale(mapping: Mapping) -> None:
    x = spikes(1, 200, 12)
    parts = split(x)
    assert mapping.loss is not None
    assert (mapping.loss.calibrated, mapping.loss.fidelity.samples) == (
        len(parts.setting),
        len(parts.held_back),
    )
    held = {digest(x[i]) for i in parts.held_back}
    assert (
        held
        and held.isdisjoint(mapping.record.calibration)
        and set(parts.digests) <= set(mapping.record.calibration)
    )
    assert mapping.record.seen == (0.0, 1.0)


def test_every_layer_has_its_facts(mapping: Mapping) -> None:
    assert mapping.loss is not None
    hidden, readout = mapping.loss.layers
    assert hidden.name == "n1" and 230 < hidden.weights <= 240 and 0 < hidden.weight_error < 0.05
    assert hidden.thresholds is not None and hidden.thresholds[0] >= 1
    assert (
        hidden.correlation is not None
        and hidden.correlation > 0.95
        and abs(hidden.rate - hidden.rate_fixed) < 0.02
    )
    assert (readout.correlation, readout.thresholds) == (None, None)
    worst = mapping.loss.fidelity.worst
    assert worst is not None and worst.low < worst.agreement <= worst.high and worst.error is not None


def test_file_report_and_text_say_the_same(mapping: Mapping, tmp_path: Path) -> None:
    write_mapping(tmp_path / "net.map.h5", mapping)
    again = read_mapping(tmp_path / "net.map.h5")
    assert again.loss == mapping.loss and again.loss is not None
    report = mapping_report(again)
    facts, text = report.to_json()["loss"], report.to_text()
    assert facts["fidelity"]["agreement"] == again.loss.fidelity.worst.agreement  # type: ignore[union-attr]
    assert {"weight_error", "zeroed", "thresholds", "rate", "correlation"} <= facts["layers"][0].keys()
    assert "held-back samples" in text and "95 % interval" in text and "n1: weight error" in text


def test_a_mapping_of_the_first_version_has_no_loss(mapping: Mapping) -> None:
    text = encode_record(replace(mapping, loss=None), [])
    assert "loss" not in text
    assert "not known" in mapping_report(replace(mapping, loss=None)).to_text()


def test_integers_that_answer_otherwise_are_refused() -> None:
    with pytest.raises(LossError, match="held-back samples") as caught:
        map_network(equal_classes(), "loihi2", spikes(0, 60, 12))
    error = caught.value
    assert error.agreement.high < error.least == 0.95 and error.agreement.samples == len(
        split(spikes(0, 60, 12)).held_back
    )
    assert error.layer == "n1" and "--accept-loss" in str(error)


def test_a_loss_can_be_accepted_and_is_told() -> None:
    with pytest.warns(SpikeflowWarning, match="agreement with the float network is 0"):
        found = map_network(equal_classes(), "loihi2", spikes(0, 60, 12), accept_loss=True)
    assert found.loss is not None and found.loss.fidelity.worst is not None
    assert found.loss.fidelity.worst.agreement == 0.0


def test_the_gate_takes_the_upper_end_of_the_interval() -> None:
    # 1 of 1 sample: the interval reaches from 21 % to 1, which nobody can refuse
    x = spikes(1, 200, 12)
    parts = split(x)
    few = np.concatenate([x[parts.setting], x[parts.held_back[:2]]])
    with pytest.warns(SpikeflowWarning, match="2 held-back samples only"):
        map_network(sorting(), "loihi2", few, min_agreement=1.0)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(DataError, match="min-agreement"):
        map_network(sorting(), "loihi2", spikes(1, 20, 12), min_agreement=share)


@pytest.mark.parametrize("seed", range(6))
def test_two_silent_networks_do_not_agree(seed: int) -> None:
    """Drawn: 4 to 20 inputs, 2 to 12 neurons, weights too small for any spike in 16 steps, 40 to 80 samples."""
    draw = np.random.default_rng(seed)
    inputs, hidden = int(draw.integers(4, 21)), int(draw.integers(2, 13))
    net = chained(
        Input((inputs,), "spikes"),
        Linear(draw.uniform(0, 1e-3, (hidden, inputs)).astype(np.float32)),
        IF(np.float32(1.0)).node((hidden,)),
        Linear(draw.normal(size=(3, hidden)).astype(np.float32)),
        Integrator().node((3,)),
    )
    with pytest.raises(LossError) as caught:
        map_network(net, "spinnaker2", spikes(seed, int(draw.integers(40, 81)), inputs))
    assert caught.value.agreement.share == 0.0 and caught.value.layer == "n1"


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_samples_changes_nothing(seed: int) -> None:
    x = spikes(seed, 60, 12)
    order = np.random.default_rng(seed).permutation(len(x))
    one, other = (
        map_network(sorting(seed), "spinnaker2", samples, accept_loss=True) for samples in (x, x[order])
    )
    assert one.as_graph().digest == other.as_graph().digest and one.loss == other.loss
