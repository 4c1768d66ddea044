"""Activations in levels (QCFS) bring their thresholds and starts along."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from spikeflow.convert import convert, explain
from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.source import traced
from spikeflow.convert.verify.answers import in_levels
from spikeflow.convert.verify.compare import EDGES, TOLERANCE, _Compared, compare
from spikeflow.errors import ConversionError, UnsupportedLayer
from spikeflow.ir.nodes import Activation, Population
from spikeflow.sim.classify import classify, evaluate

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")


class GradFloor(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.floor()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad


class QCFS(nn.Module):
    """As published: lambda clip(floor(z L / lambda + 1/2) / L, 0, 1), one lambda a layer or a channel."""

    def __init__(self, levels: int, threshold: Any = 2.0) -> None:
        super().__init__()
        self.levels, self.thresh = levels, nn.Parameter(torch.as_tensor(threshold, dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.clamp(x / self.thresh, 0, 1)
        return GradFloor.apply(x * self.levels + 0.5) / self.levels * self.thresh  # type: ignore[no-any-return]


def digits() -> tuple[np.ndarray, np.ndarray]:
    held = load_digits()
    return (held.data / 16).astype(np.float32), held.target


@lru_cache
def trained(levels: int, hidden: tuple[int, ...]) -> nn.Module:
    """A few epochs on the first 1,200 digits."""
    x, y = map(torch.from_numpy, digits())
    torch.manual_seed(0)
    sizes = (64, *hidden)
    parts: list[nn.Module] = []
    for n, m in zip(sizes, sizes[1:], strict=False):
        parts += [nn.Linear(n, m), nn.BatchNorm1d(m), QCFS(levels)]
    net = nn.Sequential(*parts, nn.Linear(sizes[-1], 10))
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(10):
        for at in torch.randperm(1200).split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[at]), y[at]).backward()
            optimiser.step()
    return net.eval()


def answers(net: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize("levels", [4, 8])
def test_one_hidden_layer_equals_the_ann_at_as_many_steps_as_levels(levels: int) -> None:
    """Its input is constant, so that the identity is exact: all answers of 597 digits that set nothing, but where
    a float lies on a level's edge (2 of them at most)."""
    net, (x, y) = trained(levels, (48,)), digits()
    wanted = answers(net, x[1200:])
    assert (wanted.argmax(1) == y[1200:]).mean() > 0.85
    for data in (x[:1200], None):  # with samples and without, thresholds are the network's own
        made = convert(net, data, steps=levels, input_shape=(64,))
        got = evaluate(made.network, x[1200:]).accumulated() / levels
        off = np.abs(got - wanted).max(1) > 1e-4 * np.abs(wanted).max()
        assert off.sum() <= 2
        (name,) = made.ann.of_kind(Activation)
        node = made.network.graph.nodes[name]
        assert isinstance(node, Population) and node.model == "IF"
        np.testing.assert_array_equal(node.params["threshold"], 1)  # x / lambda is what arrives
        np.testing.assert_array_equal(node.initial["v"], 0.5)


def test_two_hidden_layers_come_as_near_as_the_order_of_spikes_lets_them() -> None:
    """At T = L = 8 binary spikes lose some answers by their order; signed ones take them back."""
    net, (x, _) = trained(8, (48, 32)), digits()
    wanted = answers(net, x[1200:]).argmax(1)
    alike = {}
    for alphabet in ("binary", "signed", "differential:1"):
        made = convert(net, x[:1200], steps=8, alphabet=alphabet)
        alike[alphabet] = float((classify(made.network, x[1200:]).predictions() == wanted).mean())
    assert alike["binary"] > 0.85 and alike["signed"] > 0.95 and alike["differential:1"] > 0.9


class Channels(nn.Module):
    """A threshold for each channel, without shift, and with the activation written out in forward()."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, 3, 3), nn.Linear(48, 4)
        self.up = nn.Parameter(torch.tensor([0.5, 1.0, 2.0]).reshape(1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = torch.clamp(self.conv(x) / self.up, min=0.0, max=1.0)
        z = torch.floor(4 * z) / 4 * self.up
        return self.last(nn.functional.avg_pool2d(z, 1).flatten(1))


@pytest.mark.parametrize("alphabet", ["binary", "signed"])
def test_a_threshold_a_channel_and_no_shift(alphabet: str) -> None:
    """Without shift values fall to the level below: neurons that take the nearest read half a level less."""
    torch.manual_seed(3)
    net, x = Channels().eval(), np.random.default_rng(3).normal(size=(200, 1, 6, 6)).astype(np.float32)
    made = convert(net, x, steps=4, alphabet=alphabet)
    (name,) = made.ann.of_kind(Activation)
    ann, node = made.ann.nodes[name], made.network.graph.nodes[name]
    assert isinstance(ann, Activation) and ann.levels == 4
    assert isinstance(node, Population)
    if alphabet == "binary":
        np.testing.assert_array_equal(node.initial["v"], node.params["threshold"] / 2)
    wanted = answers(net, x)
    off = np.abs(evaluate(made.network, x).accumulated() / 4 - wanted).max(1) > 1e-4 * np.abs(wanted).max()
    assert off.mean() < 0.02
    longer = evaluate(convert(net, x, steps=64, alphabet=alphabet).network, x).accumulated() / 64
    assert np.abs((longer - wanted).mean(0)).max() < 0.1 * wanted.std()  # of chance alone; half a level were more
    told = [v for v in explain(net, x).verdicts if "floor" in v.operation]
    assert [v.word for v in told] == ["spiking"] and "4 levels" in told[0].verdict


def normal() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


class Floored(nn.Module):
    def __init__(self, form: Any) -> None:
        super().__init__()
        self.first, self.last, self.form = nn.Linear(6, 6), nn.Linear(6, 3), form

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.form(self.first(x)))


@pytest.mark.parametrize(
    "form",
    [
        torch.floor,
        lambda x: torch.floor(torch.relu(x) * 4 + 0.5) / 4,
        lambda x: torch.floor(x.clamp(0, 1) * 3.5 + 0.5) / 3.5,
        lambda x: torch.floor(x.clamp(-1, 1) * 4 + 0.5) / 4,
        lambda x: torch.floor(x.clamp(0, 1) * 4 + 1.5) / 4,
        lambda x: torch.floor(x.clamp(0, 1) * -4 + 0.5) / 4,
        lambda x: torch.round(x.clamp(0, 1) * 4) / 4,
    ],
)
def test_other_roundings_are_refused_by_name(form: Any) -> None:
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    with pytest.raises(UnsupportedLayer, match="floor|round"):
        convert(Floored(form).eval(), x)


def test_a_wrong_graph_with_levels_is_found_behind_its_edges() -> None:
    """A weight that is wrong by 2 % moves answers by less than the edges of levels are allowed to."""
    net, x = Floored(lambda v: torch.floor(v.clamp(0, 1) * 4 + 0.5) / 4).eval(), normal()
    aten = traced(net, x, None)
    found = capture(aten)
    assert compare(net, aten, found, x) < 0.05
    graph = found.graph
    name = graph.inputs_of(graph.outputs[0])[0].src
    node = graph.nodes[name]
    wrong = replace(found, graph=graph.with_nodes({name: replace(node, weight=node.weight * 1.02)}))
    with pytest.raises(ConversionError, match=r"its operations .*allowed 1e-04"):
        compare(net, aten, wrong, x)


def test_an_output_before_the_levels_is_compared_strictly() -> None:
    class Two(Floored):
        def forward(self, x: torch.Tensor) -> Any:
            h = self.first(x)
            return torch.relu(h), self.last(torch.floor(h.clamp(0, 1) * 4 + 0.5) / 4)

    net, x = Two(None).eval(), normal()
    aten = traced(net, x, None)
    found = _Compared(aten, capture(aten))
    assert [found._tolerance(k) for k in (0, 1)] == [TOLERANCE, EDGES]


def test_as_many_steps_as_levels_are_tried_as_advice() -> None:
    net, x = trained(4, (32, 32)), digits()[0][1200:1500]
    made = convert(net, x, steps=4)
    assert in_levels(made.network, made.ann) == {}
    assert list(in_levels(convert(net, x, steps=64).network, made.ann)) == ["--steps 4"]


@pytest.mark.parametrize(
    ("form", "hint"),
    [
        (torch.round, r"floor\(clamp\(x / a, 0, 1\)"),
        (lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 15), "before fake quantisation"),
    ],
)
def test_refused_roundings_say_what_to_do(form: Any, hint: str) -> None:
    with pytest.raises((ConversionError, UnsupportedLayer), match=hint):
        convert(Floored(form).eval(), normal())


def test_a_value_that_others_read_too_is_no_part_of_the_levels() -> None:
    class Both(Floored):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            c = self.first(x).clamp(0, 1)
            return self.last(torch.floor(c * 4 + 0.5) / 4 + c)

    with pytest.raises(UnsupportedLayer, match="floor"):
        convert(Both(None).eval(), np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32))
