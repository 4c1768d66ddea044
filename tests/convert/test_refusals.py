"""Everything that cannot be taken is told at once, by path and class, with advice that applies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.network_file import load
from spikeflow.convert.passes.forward import forward
from spikeflow.errors import ConversionError, SpikeflowWarning, UnsupportedLayer, UnsupportedLayers
from tests.convert.networks import Calls, answers, captured, samples, settled

TAKEN: list[Callable[[], nn.Module]] = [
    lambda: nn.Conv2d(4, 4, 3, padding=1), lambda: nn.Conv2d(4, 4, 1, groups=4), nn.ReLU, lambda: nn.BatchNorm2d(4), nn.Dropout2d,
    lambda: nn.AvgPool2d(3, 1, 1), lambda: nn.MaxPool2d(3, 1, 1), nn.Identity, lambda: nn.Hardtanh(0, float("inf")),
    nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.ELU, nn.ReLU6, nn.Hardswish, nn.Mish, nn.Softplus, nn.LeakyReLU, nn.PReLU, nn.CELU,
]  # fmt: skip
NOT_TAKEN: list[Callable[[], nn.Module]] = [
    lambda: nn.GroupNorm(2, 4), lambda: nn.LocalResponseNorm(2), lambda: nn.LayerNorm(6),
    lambda: nn.InstanceNorm2d(4), lambda: nn.Softmax(1), lambda: nn.LPPool2d(2, 1),
    lambda: nn.BatchNorm2d(4, track_running_stats=False),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_all_refusals_are_told_at_once(seed: int, tmp_path: Path) -> None:
    """5 to 12 layers in any order, of which 2 to 5 cannot be taken, in one or two containers; module and archive."""
    draw = np.random.default_rng(seed)
    bad = {int(i) for i in draw.choice(12, int(draw.integers(2, 6)), replace=False)}
    count = max(max(bad) + 1, int(draw.integers(5, 13)))
    layers = [(NOT_TAKEN if i in bad else TAKEN) for i in range(count)]
    made = [kinds[int(draw.integers(len(kinds)))]() for kinds in layers]
    cut = int(draw.integers(1, count))
    net = nn.Sequential(
        OrderedDict(
            body=nn.Sequential(*made[:cut]),
            head=nn.Sequential(*made[cut:], nn.Flatten(), nn.Linear(144, 3)),
        )
    ).eval()
    paths = {f"body.{i}" if i < cut else f"head.{i - cut}": type(made[i]).__name__ for i in bad}
    torch.export.save(torch.export.export(net, (torch.zeros(2, 4, 6, 6),)), tmp_path / "n.pt2")
    archive: Any = load(tmp_path / "n.pt2")
    for refused in (lambda: convert(net, samples((4, 6, 6), 20)), lambda: capture(archive)):
        with pytest.raises(UnsupportedLayers) as error:
            refused()
        told = {
            refusal.name: refusal.layer
            for refusal in error.value.refusals
            if isinstance(refusal, UnsupportedLayer)
        }
        assert told == paths
        assert all(f"{name}: " in str(error.value) for name in paths)


def test_a_value_after_a_refused_one_is_still_looked_at() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        a, b = torch.split(torch.softmax(x, 1), 2, 1)
        return m.out((torch.cos(a) + m.soft(b)).flatten(1))

    with pytest.raises(UnsupportedLayers) as error:
        captured(Calls(forward, soft=nn.Softmax(1), out=nn.Linear(8, 2)), (4, 2, 2))
    assert [r.name for r in error.value.refusals if isinstance(r, UnsupportedLayer)] == [
        "softmax",
        "cos",
        "soft",
    ]


def test_one_refusal_is_its_own_error() -> None:
    with pytest.raises(UnsupportedLayer, match="1: softmax") as error:
        captured(nn.Sequential(nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 2)), (4,))
    assert type(error.value) is UnsupportedLayer and error.value.layer == "Softmax"


def test_all_broken_parameters_are_named() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        net[0].weight[0, 0], net[2].bias[1] = float("nan"), float("inf")
    with pytest.raises(ConversionError, match=r"0\.weight.*2\.bias"):
        captured(net, (4,))


HEADS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "sigmoid": (nn.Sigmoid, 5), "one sigmoid": (nn.Sigmoid, 1), "tanh": (nn.Tanh, 4), "leaky relu": (nn.LeakyReLU, 4),
    "softmax": (lambda: nn.Softmax(1), 5), "log softmax": (lambda: nn.LogSoftmax(-1), 5), "argmax": (lambda: Calls(lambda m, x: x.argmax(1)), 5),
    "softmax of sigmoid": (lambda: nn.Sequential(nn.Sigmoid(), nn.Softmax(1)), 5),
    "sigmoid squeezed": (lambda: Calls(lambda m, x: torch.sigmoid(x).unsqueeze(2).squeeze(2)), 3),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_activations_at_the_end_that_keep_the_order_are_left_out(name: str) -> None:
    head, classes = HEADS[name]
    torch.manual_seed(1)
    inner = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, classes)).eval()
    x = samples((6,), 60)
    with pytest.warns(SpikeflowWarning) as told:
        made = convert(nn.Sequential(inner, head()).eval(), x)
    wanted = answers(inner, x)
    assert np.abs(forward(made.ann, x) - wanted).max() <= 1e-5 * np.abs(wanted).max()
    changes_values = name not in ("softmax", "log softmax", "argmax")
    assert any("left out" in str(w.message) for w in told) == changes_values
    assert not any("retrain" in str(w.message) for w in told)


ADVICE: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "a pooling of powers": (nn.LPPool2d(2, 2), (1, 4, 4), "LPPool"),
    "argmax inside": (
        Calls(lambda m, x: m.a(x.argmax(1, keepdim=True).float()), a=nn.Linear(1, 2)),
        (4,),
        "argmin",
    ),
}


@pytest.mark.parametrize("name", ADVICE)
def test_advice_is_never_what_was_refused(name: str) -> None:
    module, shape, word = ADVICE[name]
    with pytest.raises(UnsupportedLayer) as error:
        captured(settled(module), shape)
    assert error.value.hint and word not in error.value.hint


class Batched(nn.Module):
    """Answers that depend on how many samples come together."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.a, self.b = way, nn.Linear(6, 8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.a(x))
        if self.way == "divided":
            y = y / x.size(0)
        elif self.way == "shifted":
            y = y + (x.shape[0] - 2)
        elif self.way == "scaled":
            y = y * (2 * x.size(0) - 3)
        elif self.way == "by a root":
            y = y / x.shape[0] ** 0.5
        elif self.way == "by a quotient":
            y = y * (3 / x.shape[0])
        return self.b(y)


@pytest.mark.parametrize("way", ["divided", "shifted", "scaled", "by a root", "by a quotient"])
def test_answers_that_depend_on_the_batch_are_refused(way: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = Batched(way).eval(), samples((6,), 40)
    shapes = ({0: torch.export.Dim.AUTO},)
    torch.export.save(
        torch.export.export(net, (torch.zeros(2, 6),), dynamic_shapes=shapes), tmp_path / "n.pt2"
    )
    for source in (net, tmp_path / "n.pt2"):
        for data in (x, x[:2]):
            with pytest.raises(ConversionError, match="batch"):
                convert(source, data)


class OtherForMany(nn.Module):
    """Answers a batch of more than 32 by another way; no batch that is tried is as large."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        return self.b(torch.relu(y if x.shape[0] > 32 else -y))


def test_another_way_for_large_batches_is_refused() -> None:
    with pytest.raises(ConversionError, match="another way for batches of more than 32"):
        convert(OtherForMany().eval(), samples((6,), 40))


class Remembering(nn.Module):
    """Puts another tensor in the place of a buffer each time."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 5)
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.a(x))
        self.mean = 0.9 * self.mean + 0.1 * y.mean(0).detach()
        return self.b(y - self.mean)


def test_a_buffer_that_is_replaced_is_refused_and_comes_back() -> None:
    """torch.export leaves a tensor without values in its place, and the module was damaged."""
    net = Remembering().eval()
    mean = net.mean
    with pytest.raises(ConversionError, match="changes a stored tensor while it runs"):
        convert(net, samples((6,), 40))
    assert net.mean is mean and not mean.any()
