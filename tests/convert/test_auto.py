"""Every method on ordinary networks of few and many layers, with few, equal and silent samples: right, or told.

Drawn: seeds written at each network; 60 normal samples unless said otherwise.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.convert.passes import work
from spikeflow.convert.passes.auto import FEWEST, FINALISTS
from spikeflow.convert.passes.methods import METHODS
from spikeflow.convert.passes.thresholds import Thresholds
from spikeflow.errors import ConversionError, SpikeflowWarning
from spikeflow.neurons import MultiThresholdIF
from spikeflow.neurons.read_model import Cells
from spikeflow.sim.classify import classify

Array = np.ndarray[Any, Any]


def dense(*sizes: int, norm: bool = False) -> nn.Sequential:
    torch.manual_seed(len(sizes))
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        layers.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            layers += [nn.BatchNorm1d(b)] * norm + [nn.ReLU()]
    return nn.Sequential(*layers).eval()


def dead() -> nn.Module:
    net = dense(6, 10, 8, 3)
    first = net[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight[2:5] = 0
        first.bias[2:5] = -1
    return net


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.a(x))
        return self.c(torch.relu(h + self.b(h)))


def pooled() -> nn.Module:
    torch.manual_seed(6)
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 2), nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6, 3)).eval()


def normal(count: int = 60, shape: tuple[int, ...] = (6,), seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


CASES: dict[str, tuple[Callable[[], nn.Module], Array]] = {
    "one hidden layer": (lambda: dense(6, 12, 3), normal()),
    "no batch norm": (lambda: dense(6, 12, 12, 3), normal()),
    "twelve layers": (lambda: dense(6, *[16] * 12, 3), normal()),
    "dead units": (dead, normal()),
    "residual": (Residual, normal()),
    "pools": (pooled, normal(24, (1, 8, 8))),
    "four samples": (lambda: dense(6, 12, 3), normal(4)),
    "equal samples": (lambda: dense(6, 12, 3), np.repeat(normal(1), 40, axis=0)),
    "one output": (lambda: dense(6, 12, 1), normal()),
    "wide values": (lambda: dense(6, 12, 12, 3), 1000 * normal()),
}


@pytest.mark.parametrize("case", CASES)
def test_every_method_is_right_or_told(case: str) -> None:
    make, x = CASES[case]
    net = make()
    with torch.no_grad():
        wanted = net(torch.from_numpy(x)).numpy()
    for method in METHODS:
        if method in ("batch-norm", "tracking"):
            with pytest.raises(ConversionError, match=r"batch norm|--alphabet differential:3"):
                convert(net, x, steps=32, method=method)
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = convert(net, x, steps=32, method=method, check_identity=method in ("local", "auto"))
        values = classify(made.network, x).values().reshape(wanted.shape)
        error = float(np.abs(values - wanted).sum() / np.abs(wanted).sum())
        told = any(issubclass(w.category, SpikeflowWarning) and "agreement" in str(w.message) for w in caught)
        assert error < 0.2 or told, (method, error)
        assert made.network.record.steps == 32


def test_auto_says_what_it_compared_and_holds_the_held_back_samples_apart() -> None:
    net, x = dense(6, 16, 16, 16, 3), normal(300)
    made = convert(net, x, steps=8, method="auto")
    report = made.report
    (taken,) = [c for c in report.candidates if c.chosen]
    losses = {c.name: 1 - c.agreement + min(c.error, 1) for c in report.candidates if c.samples == taken.samples}
    assert losses[taken.name] == min(losses.values()) and len(report.candidates) >= 9
    # all on few samples, the nearest on all that choose
    counts = [c.samples for c in report.candidates]
    assert taken.samples == max(counts) == 64 and counts.count(64) == FINALISTS and set(counts) == {FEWEST, 64}
    text, facts = report.to_text(), json.loads(json.dumps(report.to_json()))
    assert all(c.name in text for c in report.candidates)
    assert [c["name"] for c in facts["candidates"]] == [c.name for c in report.candidates]
    assert f"the first {report.read_from} are not read" in text or report.read_from == 0
    # the samples that answer for the result are not among those that chose it
    assert report.samples + made.fidelity.samples == 300
    plain = convert(net, x, steps=8)
    ours, usual = made.fidelity.worst, plain.fidelity.worst
    assert ours is not None and usual is not None and ours.agreement >= usual.agreement
    assert not plain.report.candidates


@pytest.mark.parametrize(("alphabet", "rooms"), [("binary", 0), ("signed", 0), ("burst:4", 2), ("burst:1", 0)])
def test_auto_tries_room_for_payloads(alphabet: str, rooms: int) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU6(), torch.nn.Linear(16, 3)).eval()
    found = convert(net, normal(), steps=8, method="auto", alphabet=alphabet).report.candidates
    assert sum("times as large, waking" in c.name and "corrected" not in c.name for c in found) == rooms


@pytest.mark.parametrize(("room", "behind"), [(1.0, 24.0), (1.25, 6.0), (1.5, 0.0)])
def test_a_neuron_at_its_cap_catches_up_with_room_alone(room: float, behind: float) -> None:
    """Nothing for 4 steps, then 8 for 12: the mean is the cap, 6, which 12 steps of 6 do not make up for."""
    node = MultiThresholdIF(threshold=6 / 4 * room, function="clamp", low=0.0, high=6.0).node((1,))
    x = torch.zeros(16, 1, 1)
    x[4:] = 8
    handed_on, _ = Cells(node)({"in": x})
    assert 16 * 6 - handed_on.sum().item() * 6 / 4 * room == pytest.approx(behind, abs=6 / 4 * room)


def test_thresholds_times_a_factor_keep_the_rest() -> None:
    one = Thresholds({"a": np.array([1, 2], np.float32)}, start={"a": 3}, read_from=4)
    other = one.times(1.5)
    assert other.values["a"].tolist() == [1.5, 3] and other.values["a"].dtype == np.float32
    assert (other.start, other.read_from) == (one.start, one.read_from)


def test_large_networks_are_tried_on_few_samples() -> None:
    graph = convert(dense(6, 16, 3), normal(), steps=8).ann
    assert work.products(graph) == 6 * 16 + 16 * 3 + 16 * work.NEURON
    assert work.samples_tried(graph, 8, 16, 64) == 64
    assert work.samples_tried(graph, 2**30, 16, 64) == 16


def test_advice_for_large_networks_is_tried_on_few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says on how many."""
    net, x = dense(6, *[16] * 6, 3), normal(300)
    with torch.no_grad():
        for values in net.parameters():
            values.mul_(2.5 if values.dim() > 1 else 0)
    monkeypatch.setattr(work, "WORK", 1.0)
    with pytest.warns(SpikeflowWarning, match=r"--steps 16, which agrees in [\d.]+ % of the first 8 with"):
        made = convert(net, x, steps=4)
    assert made.fidelity.samples > 50


def test_a_later_read_out_counts_in_the_steps() -> None:
    """With 10 layers of 16 and 16 steps the network runs 16 steps in all, whatever part of them is read."""
    made = convert(dense(6, *[16] * 10, 3), normal(), steps=16, method="local")
    assert made.report.read_from > 0 and made.fidelity.steps == 16
    assert made.report.options.steps == 16
    assert made.network.record.steps == 16 and made.network.record.read_from == made.report.read_from
    assert classify(made.network, normal(5)).steps == 16


def test_auto_without_samples_is_batch_norm() -> None:
    net = dense(6, 12, 12, 3, norm=True)
    one, other = (convert(net, None, input_shape=(6,), method=m) for m in ("auto", "batch-norm"))
    assert one.network.graph.digest == other.network.graph.digest and one.report.data_free


def test_the_former_name_still_works_and_says_so() -> None:
    with pytest.warns(DeprecationWarning, match="method="):
        old = convert(dense(6, 12, 3), normal(), thresholds="largest")
    new = convert(dense(6, 12, 3), normal(), method="largest")
    assert old.network.graph.digest == new.network.graph.digest
    assert old.report.options == new.report.options
