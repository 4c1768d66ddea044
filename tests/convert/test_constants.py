"""What depends on stored tensors alone is computed as torch computes it, in a module and in an archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.network_file import load
from spikeflow.convert.trace.aten import from_module
from tests.convert.networks import answers, apart, samples

TYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
Tensors = tuple[torch.Tensor, ...]
Weight = Callable[..., torch.Tensor]


class Stored(nn.Module):
    """A layer whose weight ``(8, 6)`` is a function of stored tensors."""

    def __init__(self, weight: Weight, *stored: torch.Tensor) -> None:
        super().__init__()
        for i, tensor in enumerate(stored):
            self.register_buffer(f"stored{i}", tensor)
        self.weight, self.count, self.out = weight, len(stored), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stored = [getattr(self, f"stored{i}") for i in range(self.count)]
        return self.out(F.relu(F.linear(x, self.weight(*stored))))


def both(module: nn.Module, path: Path) -> tuple[float, float]:
    """How far the graph of the module, and that of its archive, are from torch's own answers."""
    module.eval()
    torch.export.save(torch.export.export(module, (torch.zeros(2, 6),)), path)
    found: Any = load(path)
    x = samples((6,), 16)
    here = apart(capture(from_module(module, torch.zeros(2, 6))).graph, module, x)
    return here, apart(capture(found).graph, module, x)


def _drawn(kind: str, draw: np.random.Generator) -> torch.Tensor:
    """Values all over a type: -300 to 300 for numbers, so that a narrower integer wraps round or cuts."""
    return torch.from_numpy(draw.uniform(-300, 300, (8, 6))).to(getattr(torch, kind))


def _chain(kinds: list[str], divided: bool) -> Weight:
    def weight(w: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        for kind in kinds:
            w = w.to(getattr(torch, kind))
        w = w.type_as(z) + z if divided else w * 2 + z
        return w.to(torch.float32) * 0.01

    return weight


@pytest.mark.parametrize("seed", range(12))
def test_chains_of_casts(seed: int, tmp_path: Path) -> None:
    """One to three casts among ten types, then a sum or a product with a second stored tensor of any type."""
    draw = np.random.default_rng(seed)
    first, second, *kinds = (str(k) for k in draw.choice(TYPES, int(draw.integers(3, 6))))
    module = Stored(_chain(kinds, bool(seed % 2)), _drawn(first, draw), _drawn(second, draw))
    if not answers(module, samples((6,), 4)).any():
        pytest.fail("a network that answers 0 to everything proves nothing")
    assert max(both(module, tmp_path / "net.pt2")) < 1e-5


FUNCTIONS: dict[str, Weight] = {
    "sign": torch.sign,
    "round": lambda w: torch.round(w * 16) / 16,
    "clamp": lambda w: w.clamp(-0.3, 0.2),
    "where": lambda w: torch.where(w >= 0, 1.0, -1.0) * w.abs().mean(),
    "ternary": lambda w: torch.sign(w) * (w.abs() > 0.5 * w.abs().mean(1, keepdim=True)),
    "standardised": lambda w: (w - w.mean(1, keepdim=True)) / torch.sqrt(w.var(1, keepdim=True) + 1e-5),
    "var and mean": lambda w: (w - torch.var_mean(w)[1]) / torch.var_mean(w)[0].sqrt(),
    "by the norm": lambda w: w / w.norm(dim=1, keepdim=True),
    "top k": lambda w: w * (w.abs() >= w.abs().flatten().topk(20).values.min()),
    "softmax": lambda w: w.softmax(1),
    "low rank": lambda w: w + w[:, :2] @ torch.eye(6)[:2] * 3,
    "einsum": lambda w: torch.einsum("oi,ij->oj", w, torch.tril(torch.ones(6, 6))),
    "kron": lambda w: torch.kron(w[:2, :3], torch.tensor([[1.0, 2], [0, 1], [1, 1], [2, 0]])),
    "mirrored": lambda w: torch.cat([w[:, :3], w[:, :3].flip(1)], 1),
    "diagonal": lambda w: torch.diag_embed(torch.arange(6.0))[:, :6].repeat(2, 1)[:8] * w,
    "index": lambda w: w[torch.arange(7, -1, -1)],
    "masked fill": lambda w: w.masked_fill(w < -0.1, 0.25),
    "bits": lambda w: ((w * 100).to(torch.int32) & 0xF).float() - ((w * 100).to(torch.int32) >> 4).float(),
    "cayley": lambda w: torch.linalg.solve(torch.eye(8) + _skew(w), torch.eye(8) - _skew(w))[:, :6],
    "exponential": lambda w: torch.linalg.matrix_exp(_skew(w))[:, :6],
    "in place": lambda w: (w + 1).mul_(0.5).clamp_(min=0.1),
}  # fmt: skip


def _skew(w: torch.Tensor) -> torch.Tensor:
    square = F.pad(w, (0, 2))
    return square.tril(-1) - square.tril(-1).T


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_a_parameter(name: str, tmp_path: Path) -> None:
    stored = torch.randn(8, 6, generator=torch.Generator().manual_seed(len(name)))
    assert max(both(Stored(FUNCTIONS[name], stored), tmp_path / "net.pt2")) < 1e-5


def _parametrised(name: str) -> nn.Linear:
    p, layer = nn.utils.parametrizations, nn.Linear(6, 8)
    made: dict[str, Callable[[], nn.Module]] = {
        "weight norm": lambda: p.weight_norm(layer, dim=0),
        "weight norm of columns": lambda: p.weight_norm(layer, dim=1),
        "spectral norm": lambda: p.spectral_norm(layer),
        "householder": lambda: p.orthogonal(layer, orthogonal_map="householder"),
        "cayley": lambda: p.orthogonal(layer, orthogonal_map="cayley"),
        "exponential": lambda: p.orthogonal(layer, orthogonal_map="matrix_exp"),
        "weight norm by hook": lambda: nn.utils.weight_norm(layer),
        "spectral norm by hook": lambda: nn.utils.spectral_norm(layer),
        "pruned": lambda: prune.l1_unstructured(layer, "weight", 0.5),
    }
    made[name]()
    return layer


PARAMETRISED = (
    "weight norm", "weight norm of columns", "spectral norm", "householder", "cayley", "exponential", "weight norm by hook",
    "spectral norm by hook", "pruned",
)  # fmt: skip


@pytest.mark.parametrize("name", PARAMETRISED)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_parametrisations_of_torch(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = nn.Sequential(_parametrised(name), nn.ReLU(), nn.Linear(8, 4))
    assert max(both(module, tmp_path / "net.pt2")) < 1e-5


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_hooks_of_saved_modules(dim: int | None, tmp_path: Path) -> None:
    """Saved whole with weight norm, spectral norm or pruned once and twice: the weight is that of the last call."""
    torch.manual_seed(4)
    layers = [nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 5)]
    nn.utils.weight_norm(layers[0], dim=dim)
    nn.utils.spectral_norm(layers[1], dim=dim)
    prune.l1_unstructured(layers[2], "weight", 0.4)
    prune.random_unstructured(layers[3], "weight", 0.3)
    prune.l1_unstructured(layers[3], "weight", 0.2)
    prune.random_unstructured(layers[3], "bias", 2)
    module = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2], nn.ReLU(), layers[3])
    x = torch.from_numpy(samples((6,), 16))
    module(x)
    torch.save(module.eval(), tmp_path / "net.pt")
    found: Any = load(tmp_path / "net.pt")
    np.testing.assert_allclose(
        answers(found, samples((6,), 16)), answers(module, samples((6,), 16)), rtol=1e-5, atol=1e-6
    )
