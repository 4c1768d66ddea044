"""`--approximate`: what is taken of running means, against torch; refused by name without, told in the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.convert.capture.refusals import APPROXIMATIONS
from spikeflow.convert.capture.traced import capture
from spikeflow.convert.passes.forward import forward
from spikeflow.convert.trace.aten import from_module
from spikeflow.errors import SpikeflowError
from spikeflow.sim import Constant, engine, reference
from tests.convert.networks import Calls, samples, settled

PICTURE, ROWS = (4, 6, 6), (5, 8)


def function(of: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    return Calls(lambda m, x: of(x))


# what: the module, the shape of a sample, the words that it needs
OPERATIONS: dict[str, tuple[nn.Module, tuple[int, ...], tuple[str, ...]]] = {
    "LayerNorm": (nn.LayerNorm(8), ROWS, ("norms",)),
    "LayerNorm of a picture": (nn.LayerNorm([4, 6, 6], elementwise_affine=False), PICTURE, ("norms",)),
    "RMSNorm": (nn.RMSNorm(8), ROWS, ("norms",)),
    "GroupNorm": (nn.GroupNorm(2, 4), PICTURE, ("norms",)),
    "InstanceNorm": (nn.InstanceNorm2d(4, affine=True), PICTURE, ("norms",)),
    "kept statistics": (nn.InstanceNorm2d(4, affine=True, track_running_stats=True), PICTURE, ()),
    "norm": (function(lambda x: x.norm(dim=(2, 3))), PICTURE, ("norms",)),
    "std": (function(lambda x: x.std(dim=-1)), ROWS, ("norms",)),
    "var": (function(lambda x: x.var(dim=(1, 2), unbiased=False, keepdim=True)), PICTURE, ("norms",)),
    "root": (function(lambda x: x.square().sqrt()), ROWS, ("norms", "products")),
    "gate": (function(lambda x: x[:, :2] * x[:, 2:]), PICTURE, ("products",)),
    "gate of channels": (function(lambda x: x * x[:, :, :1, :1]), PICTURE, ("products",)),
    "quotient": (function(lambda x: x / (x * x + 1)), ROWS, ("products",)),
    "one over": (function(lambda x: 2 / (x**2 + 1)), ROWS, ("products",)),
    "reciprocal": (function(lambda x: torch.reciprocal(x.pow(4) + 1)), ROWS, ("products",)),
    "rsqrt": (function(lambda x: torch.rsqrt(x.pow(2) + 1)), ROWS, ("norms", "products")),
    "powers": (function(lambda x: (x**2 + 1) ** -0.5 + x**3), ROWS, ("norms", "products")),
    "softmax": (function(lambda x: x.softmax(1) * 2), PICTURE, ("products",)),
    "softmin": (nn.Sequential(nn.Softmin(2), nn.Flatten()), ROWS, ("products",)),
    "matmul": (function(lambda x: x @ x.transpose(1, 2)), ROWS, ("products",)),
    "bmm": (function(lambda x: torch.bmm(x, x.mT)), ROWS, ("products",)),
    "einsum": (function(lambda x: torch.einsum("bchw,bdhw->bdc", x, x + 1)), PICTURE, ("products",)),
    "einsum by channel": (function(lambda x: torch.einsum("bchw,bcqw->bqch", x, x)), PICTURE, ("products",)),
    "cosine": (
        function(lambda x: F.cosine_similarity(x[:, :2], x[:, 2:], dim=1)),
        PICTURE,
        ("norms", "products"),
    ),
    "attention": (function(lambda x: F.scaled_dot_product_attention(x, x, x)), ROWS, ("products",)),
    "causal": (
        function(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)),
        ROWS,
        ("products",),
    ),
    "scaled": (
        function(lambda x: F.scaled_dot_product_attention(x, x, x, scale=0.2)),
        PICTURE,
        ("products",),
    ),
    "filled": (
        function(lambda x: (x @ x.mT).masked_fill(torch.ones(5, 5).triu(1) > 0, -torch.inf).softmax(-1) * 2),
        ROWS,
        ("products",),
    ),
    "normalize": (function(lambda x: F.normalize(x, dim=1)), PICTURE, ("norms", "products")),
    "row times all": (function(lambda x: x[:, :, :1] * x - x / (x.square()[:, :1] + 1)), ROWS, ("products",)),
    "masked": (
        function(lambda x: F.scaled_dot_product_attention(x, x, x, torch.eye(5, dtype=torch.bool))),
        ROWS,
        ("products",),
    ),
}


def taken(module: nn.Module, shape: tuple[int, ...], words: tuple[str, ...] = APPROXIMATIONS) -> Any:
    return capture(from_module(settled(module), torch.zeros(2, *shape)), words)


@pytest.mark.parametrize("what", OPERATIONS)
def test_an_operation_is_torchs_own_and_needs_its_words(what: str) -> None:
    """1e-5 of the largest value; with each word left out it is refused, and the refusal names the word."""
    module, shape, words = OPERATIONS[what]
    for part in module.modules():
        if isinstance(getattr(part, "weight", None), nn.Parameter):
            nn.init.normal_(part.weight, 1, 0.3)
            if getattr(part, "bias", None) is not None:
                nn.init.normal_(part.bias, 0, 0.3)
        if isinstance(getattr(part, "running_mean", None), torch.Tensor):
            part.running_mean.normal_(0, 0.3)
    module.eval()
    x = samples(shape, 4)
    found = capture(from_module(module, torch.zeros(2, *shape)), words)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    got = forward(found.graph, x).reshape(wanted.shape)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    verdicts = [v.word for v in found.verdicts]
    assert ("approximated" in verdicts) == bool(words)
    if not words:
        return
    steps = reference.simulate(found.graph, Constant(x), 3)
    np.testing.assert_array_equal(engine.prepare(found.graph)(Constant(x), 3).output, steps.output)
    # a constant input: the means are the input in every step, and what is handed on is f of it
    np.testing.assert_allclose(
        steps.output.mean(axis=0).reshape(wanted.shape), wanted, atol=1e-5 * np.abs(wanted).max()
    )
    for word in words:
        with pytest.raises(SpikeflowError, match=f"--approximate .*{word}"):
            capture(from_module(module, torch.zeros(2, *shape)), tuple(w for w in words if w != word))


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (lambda x: x.norm(p=1, dim=1), "order 1"),
        (lambda x: x**2.5, "power of 2.5"),
        (lambda x: x.softmax(0) + 1, "softmax over the samples"),
        (lambda x: x.var(0) + x, "over the samples"),
        (lambda x: torch.einsum("bij,bjk->ik", x, x.mT) + x.sum(), "einsum"),
        (lambda x: torch.outer(x[:, 0, 0], x[:, 0, 0])[:, 0], ""),
        (lambda x: x.log_softmax(1) + 1, "softmax inside"),
    ],
)
def test_what_is_not_taken_is_refused_by_name(of: Any, words: str) -> None:
    with pytest.raises(SpikeflowError, match=words):
        taken(function(of), ROWS)


def test_a_gated_linear_unit_is_a_product_with_neurons_that_follow_the_gate() -> None:
    x = samples(ROWS, 4)
    for module in (nn.GLU(), nn.Sequential(nn.Conv1d(5, 6, 1), nn.GLU(1))):
        found = taken(module, ROWS)
        with torch.no_grad():
            wanted = module(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(forward(found.graph, x), wanted, atol=1e-5 * np.abs(wanted).max())
        with pytest.raises(SpikeflowError, match="--approximate products"):
            taken(module, ROWS, ())
