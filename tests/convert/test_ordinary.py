"""Ordinary networks, as modules and as archives, answer as torch does: other sizes, strides, groups, shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.network_file import load
from spikeflow.convert.trace.atengraph import AtenGraph
from spikeflow.convert.verify.compare import compare
from tests.convert.networks import Calls, apart, samples, settled, traced

Drawn = np.random.Generator


def _dense(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    widths = [int(n) for n in draw.integers(3, 40, draw.integers(3, 6))]
    layers: list[nn.Module] = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(a, b, bias=bool(draw.integers(2))), nn.ReLU(), nn.Dropout(0.3)]
    return nn.Sequential(*layers[:-2]), (widths[0],)


def _strided(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    side, c = int(draw.integers(9, 16)), int(draw.integers(2, 5))
    kernel, stride, dilation = (int(draw.integers(low, high)) for low, high in ((1, 4), (1, 3), (1, 3)))
    conv = nn.Conv2d(c, 6, kernel, stride, padding=1, dilation=dilation)
    net = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(6, 4, 1, padding="same"), nn.ReLU(), nn.Flatten())
    width = net(torch.zeros(1, c, side, side + 1)).shape[1]
    return nn.Sequential(*net, nn.Linear(width, 3)), (c, side, side + 1)


def _grouped(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    groups = int(draw.choice([2, 3]))
    c = groups * int(draw.integers(1, 4))
    net = nn.Sequential(
        nn.Conv2d(c, 2 * c, 3, padding=1, groups=groups),
        nn.ReLU(),
        nn.Conv2d(2 * c, 2 * c, 3, padding=1, groups=2 * c, bias=False),
        nn.BatchNorm2d(2 * c),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * c, 5),
    )
    return net, (c, 7, 7)


def _residual(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    c = int(draw.integers(2, 6))

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(m.a(x))
        y = F.relu(m.b(y) + y)
        y = F.relu(torch.cat([m.d(y), x[:, :1]], 1))
        return m.out(y.mean((2, 3)))

    conv = {"a": nn.Conv2d(3, c, 3, padding=1), "b": nn.Conv2d(c, c, 3, padding=1), "d": nn.Conv2d(c, c, 1)}
    return Calls(forward, **conv, out=nn.Linear(c + 1, 4)), (3, 6, 8)


def _lines(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    length, pool = int(draw.integers(12, 30)), int(draw.integers(2, 4))
    net = nn.Sequential(
        nn.Conv1d(2, 4, 3, stride=int(draw.integers(1, 3)), padding=1),
        nn.ReLU(),
        nn.AvgPool1d(pool, ceil_mode=bool(draw.integers(2)), count_include_pad=False, padding=1),
        nn.Conv1d(4, 4, 3, padding="same", groups=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(3),
        nn.Flatten(),
        nn.Linear(12, 3),
    )
    return net, (2, length)


def _pooled(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    side = int(draw.integers(7, 13))
    pool = nn.AvgPool2d(
        3, int(draw.integers(1, 4)), 1, ceil_mode=True, count_include_pad=bool(draw.integers(2))
    )
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), pool, nn.Conv2d(3, 3, 2), nn.ReLU(), nn.Flatten()
    )
    width = net(torch.zeros(1, 1, side, side)).shape[1]
    return nn.Sequential(*net, nn.Linear(width, 4), nn.Softmax(1)), (1, side, side)


def _flattened(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    ways: list[Callable[[torch.Tensor], torch.Tensor]] = [
        lambda y: y.view(y.size(0), -1),
        lambda y: y.reshape(y.shape[0], 4 * 5 * 5),
        lambda y: torch.flatten(y, 1),
        lambda y: y.flatten(2).flatten(1),
        lambda y: y.reshape(-1, 100),
    ]
    way = ways[int(draw.integers(len(ways)))]
    parts = {"a": nn.Conv2d(2, 4, 3), "out": nn.Linear(100, 6)}
    return Calls(lambda m, x: torch.sigmoid(m.out(way(F.relu(m.a(x))))), **parts), (2, 7, 7)


def _normalised(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    mean = torch.tensor(draw.normal(size=3).astype(np.float32)).view(3, 1, 1)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(36, 3)
    )
    return Calls(lambda m, x: m.net((x - mean) / 0.25).log_softmax(-1), net=net), (3, 8, 8)


def _one_logit(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    width = int(draw.integers(4, 20))
    net = nn.Sequential(nn.Linear(width, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 1))
    return nn.Sequential(*net, nn.Sigmoid()), (width,)


def _masked(draw: Drawn) -> tuple[nn.Module, tuple[int, ...]]:
    mask = torch.from_numpy(draw.random((8, 10)) > 0.5)
    parts = {"a": nn.Linear(10, 8), "out": nn.Linear(8, 3)}
    return Calls(lambda m, x: m.out(F.relu(F.linear(x, m.a.weight * mask, m.a.bias))), **parts), (10,)


DRAWN = (_dense, _strided, _grouped, _residual, _lines, _pooled, _flattened, _normalised, _one_logit, _masked)


@pytest.mark.parametrize("make", DRAWN, ids=lambda make: make.__name__.strip("_"))
@pytest.mark.parametrize("seed", range(2))
def test_modules_and_archives_answer_as_torch(
    make: Callable[[Drawn], tuple[nn.Module, tuple[int, ...]]], seed: int, tmp_path: Path
) -> None:
    """Widths 3 to 40, depth 2 to 5, sides 6 to 16, kernels 1 to 3, strides 1 to 3, groups to depthwise."""
    module, shape = make(np.random.default_rng(seed))
    module, x = settled(module, seed), samples(shape, 8, seed)
    found = traced(module, shape)
    graph = capture(found)
    assert compare(module, found, graph, x) < 1e-4
    if not graph.heads:
        assert apart(graph.graph, module, x) < 1e-5
    shapes = ({0: torch.export.Dim.AUTO},) if seed else None
    torch.export.save(
        torch.export.export(module, (torch.zeros(2, *shape),), dynamic_shapes=shapes), tmp_path / "n.pt2"
    )
    archive = load(tmp_path / "n.pt2")
    assert isinstance(archive, AtenGraph)
    again = capture(archive)
    assert again.graph.digest == graph.graph.digest
    assert compare(archive, archive, again, x) < 1e-4


SHAPES: dict[str, Callable[[Any, torch.Tensor], Any]] = {
    "squeezed": lambda m, x: m.one(F.relu(m.a(x))).squeeze(),
    "squeezed logit": lambda m, x: torch.sigmoid(m.one(F.relu(m.a(x)))).squeeze(1),
    "in a dictionary": lambda m, x: {"y": m.out(F.relu(m.a(x)))},
    "constant for each sample": lambda m, x: m.out(F.relu(m.a(x) + torch.ones(x.size(0), 5))),
    "fake quantised": lambda m, x: m.out(
        F.relu(F.linear(x, torch.fake_quantize_per_tensor_affine(m.a.weight, 0.02, 0, -128, 127)))
    ),
    "half within": lambda m, x: m.out(F.relu(m.a(x)).half().float()),
}


@pytest.mark.parametrize("name", SHAPES)
def test_answers_in_other_shapes_and_types(name: str) -> None:
    torch.manual_seed(0)
    parts = {"a": nn.Linear(6, 5), "one": nn.Linear(5, 1), "out": nn.Linear(5, 3)}
    module, x = Calls(SHAPES[name], **parts).eval(), samples((6,), 8)
    found = traced(module, (6,))
    assert compare(module, found, capture(found), x) < 1e-4
