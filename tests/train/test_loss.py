"""Losses against numpy written out by hand, against finite differences, and at their edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from spikeflow.errors import DataError, ShapeError
from spikeflow.train import loss, regularise
from spikeflow.train.reading import READINGS, read

Array = NDArray[np.float64]
T, B, C = 7, 5, 4  # outputs are normal numbers of deviation 2; lengths 1 to 7


def _drawn(seed: int, steps: int = T) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(seed)
    outputs = torch.tensor(draw.normal(0, 2, (steps, B, C)), requires_grad=True)
    lengths = draw.integers(1, steps + 1, B)
    mask = torch.tensor(np.arange(steps)[:, None] < lengths)
    return outputs, torch.tensor(draw.integers(0, C, B)), mask


def _log_softmax(x: Array) -> Array:
    raised = x - x.max(-1, keepdims=True)
    return raised - np.log(np.exp(raised).sum(-1, keepdims=True))


def _read(o: Array, m: NDArray[np.bool_], how: str) -> Array:
    found = []
    for b in range(o.shape[1]):
        own = o[m[:, b], b]
        soft = np.exp(_log_softmax(own)).sum(0)
        found.append(
            {"last": own[-1], "sum": own.sum(0), "mean": own.mean(0), "max": own.max(0), "summed_softmax": soft}[how]
        )
    return np.stack(found)


def _entropy(logits: Array, y: NDArray[np.int64]) -> float:
    return float(-_log_softmax(logits)[np.arange(len(y)), y].mean())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("how", READINGS)
def test_cross_entropy_of_every_reading(how: str, seed: int) -> None:
    outputs, labels, mask = _drawn(seed)
    o, y, m = outputs.detach().numpy(), labels.numpy(), mask.numpy()
    assert np.allclose(read(outputs, how, mask).detach().numpy(), _read(o, m, how), rtol=1e-12)
    assert loss.cross_entropy(outputs, labels, mask, how).item() == pytest.approx(_entropy(_read(o, m, how), y))
    every = np.ones_like(m)
    assert loss.cross_entropy(outputs, labels, None, how).item() == pytest.approx(_entropy(_read(o, every, how), y))


@pytest.mark.parametrize("seed", range(3))
def test_per_step_and_tet(seed: int) -> None:
    outputs, labels, mask = _drawn(seed)
    o, y, m = outputs.detach().numpy(), labels.numpy(), mask.numpy()
    each = -np.take_along_axis(_log_softmax(o), np.broadcast_to(y, (T, B))[..., None], 2)[..., 0]
    assert float(loss.per_step(outputs, labels, mask)) == pytest.approx(each[m].mean())
    wanted = 0.7 * each[m].mean() + 0.3 * ((o[m] - 0.5) ** 2).mean()
    assert float(loss.tet(outputs, labels, mask, 0.3, 0.5)) == pytest.approx(wanted)
    of_steps = torch.tensor(np.random.default_rng(seed + 9).integers(0, C, (T, B)))
    each = -np.take_along_axis(_log_softmax(o), of_steps.numpy()[..., None], 2)[..., 0]
    assert float(loss.per_step(outputs, of_steps, mask)) == pytest.approx(each[m].mean())
    # labels of steps that do not count may be anything
    hidden = torch.where(mask, of_steps, torch.full_like(of_steps, -1))
    assert float(loss.per_step(outputs, hidden, mask)) == pytest.approx(each[m].mean())


@pytest.mark.parametrize("seed", range(3))
def test_rate_and_count(seed: int) -> None:
    draw = np.random.default_rng(seed)
    s, (_, labels, mask) = (draw.random((T, B, C)) < 0.4).astype(float), _drawn(seed)
    m, hot = mask.numpy(), np.eye(C)[labels.numpy()]
    counts = (s * m[..., None]).sum(0)
    wanted = ((counts / m.sum(0)[:, None] - np.where(hot > 0, 0.8, 0.05)) ** 2).mean()
    assert float(loss.rate(torch.tensor(s), labels, mask, 0.8, 0.05)) == pytest.approx(wanted)
    wanted = ((counts - np.where(hot > 0, 5, 1)) ** 2).mean()
    assert float(loss.count(torch.tensor(s), labels, mask, 5, 1)) == pytest.approx(wanted)


@pytest.mark.parametrize("decay", (0.0, 0.5, 0.9))
def test_van_rossum(decay: float) -> None:
    draw = np.random.default_rng(1)
    s, target = ((draw.random((T, B, C)) < 0.4).astype(float) for _ in range(2))
    mask = _drawn(1)[2]
    found = np.zeros((B, C))
    for b in range(B):
        for t in range(T):
            kernel = decay ** np.arange(t, -1, -1)
            difference = (s - target)[: t + 1, b] * mask.numpy()[: t + 1, b, None]
            found[b] += mask.numpy()[t, b] * (kernel[:, None] * difference).sum(0) ** 2
    wanted = (1 - decay**2) / 2 * found.mean()
    assert float(loss.van_rossum(torch.tensor(s), torch.tensor(target), decay, mask)) == pytest.approx(wanted)
    lone = torch.zeros(400, 1, 1, dtype=torch.double)
    lone[0] = 1
    assert float(loss.van_rossum(lone, torch.zeros_like(lone), decay)) == pytest.approx(0.5)


def test_contrastive_and_distillation() -> None:
    draw = np.random.default_rng(2)
    a, b = draw.normal(size=(2, B, 6))
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b)]
    alike, own = unit[0] @ unit[1].T / 0.2, np.arange(B)
    wanted = (_entropy(alike, own) + _entropy(alike.T, own)) / 2
    assert float(loss.contrastive(torch.tensor(a), torch.tensor(b), 0.2)) == pytest.approx(wanted)
    p, q = (np.exp(_log_softmax(v / 3)) for v in (a, b))
    wanted = 9 * (p * np.log(p / q)).sum(1).mean()
    assert float(loss.distillation(torch.tensor(b), torch.tensor(a), 3.0)) == pytest.approx(wanted)
    teacher = torch.tensor(a, requires_grad=True)
    loss.distillation(torch.tensor(b, requires_grad=True), teacher).backward()
    assert teacher.grad is None
    assert float(loss.distillation(torch.tensor(a), torch.tensor(a))) == pytest.approx(0, abs=1e-12)


def test_layers_that_follow() -> None:
    """By hand: squared distances of the means, each sample and layer relative to what is wanted of it."""
    draw = np.random.default_rng(5)
    found = {"a": draw.normal(size=(T, B, 3, 2)), "b": draw.normal(size=(T, B, 4))}
    wanted = {"a": draw.normal(size=(B, 3, 2)), "b": draw.normal(size=(B, 4))}
    wanted["b"][0] = 0
    each = []
    for name, target in wanted.items():
        for i in range(B):
            apart, size = ((found[name].mean(0)[i] - target[i]) ** 2).sum(), (target[i] ** 2).sum()
            each.append(apart / (size if size else 1))
    made = {n: torch.tensor(v) for n, v in found.items()}, {n: torch.tensor(v) for n, v in wanted.items()}
    assert float(loss.layers(*made)) == pytest.approx(np.mean(each))
    with pytest.raises(DataError, match="layers"):
        loss.layers(made[0], {})


LABELS = torch.tensor([0, 3, 1, 1, 2])
DIFFERENTIABLE: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    **{how: lambda o, m, how=how: loss.cross_entropy(o, LABELS, m, how, 0.1) for how in READINGS},
    "per_step": lambda o, m: loss.per_step(o, LABELS, m),
    "tet": lambda o, m: loss.tet(o, LABELS, m, 0.3),
    "rate": lambda o, m: loss.rate(o, LABELS, m),
    "count": lambda o, m: loss.count(o, LABELS, m),
    "van_rossum": lambda o, m: loss.van_rossum(o, o.detach() * 0.5 + 1, 0.8, m),
    "contrastive": lambda o, m: loss.contrastive(read(o, "mean", m), read(o, "max", m)),
    "distillation": lambda o, m: loss.distillation(read(o, "mean", m), torch.ones(B, C, dtype=o.dtype).cumsum(1)),
    "rates": lambda o, m: regularise.rate(o, 0.9, 0.95),
    "silence": lambda o, m: regularise.silence(o, 50.0),
    "operations": lambda o, m: regularise.synaptic_operations({"a": o}, {"a": torch.arange(4.0).double()}),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_by_finite_differences(name: str) -> None:
    outputs, _, mask = _drawn(5)
    fixed = outputs.detach()
    function = DIFFERENTIABLE[name]
    if name == "van_rossum":
        target = fixed * 0.5 + 1
        function = lambda o, m: loss.van_rossum(o, target, 0.8, m)  # noqa: E731  targets do not move along
    assert torch.autograd.gradcheck(lambda o: function(o, mask), (outputs,))


@pytest.mark.parametrize("how", READINGS)
def test_one_step_and_what_lies_behind_the_mask(how: str) -> None:
    outputs, labels, _ = _drawn(4, steps=1)
    once = loss.cross_entropy(outputs, labels, None, how)
    assert float(once) == float(loss.cross_entropy(outputs, labels, torch.ones(1, B, dtype=torch.bool), how))
    outputs, labels, mask = _drawn(6)
    spoiled = outputs.detach().masked_fill(~mask[..., None], float("inf"))
    if how != "summed_softmax":  # the softmax of infinities is none, wherever it is left out afterwards
        assert torch.equal(read(spoiled, how, mask), read(outputs, how, mask))


def test_edges_are_refused_by_name() -> None:
    outputs, labels, mask = _drawn(0)
    empty = mask.clone()
    empty[:, 2] = False
    for function in (loss.cross_entropy, loss.per_step, loss.tet, loss.rate, loss.count):
        with pytest.raises(DataError, match="no step of sample 2"):
            function(outputs, labels, empty)
        with pytest.raises(ShapeError, match="mask"):
            function(outputs, labels, mask[:-1])
        with pytest.raises(ShapeError, match="steps, samples"):
            function(outputs[0], labels)
        with pytest.raises(ShapeError, match="labels"):
            function(outputs, labels[:-1])
        with pytest.raises(ShapeError, match="int64"):
            function(outputs, labels.float())
        with pytest.raises(DataError, match="0 to 3"):
            function(outputs, labels + 4)
    for function in (loss.cross_entropy, loss.per_step, loss.tet):
        with pytest.raises(DataError, match="one class"):
            function(outputs[..., :1], labels * 0)
    assert torch.isfinite(loss.rate(outputs[..., :1], labels * 0))  # one neuron has a rate
    with pytest.raises(DataError, match="one of last"):
        loss.cross_entropy(outputs, labels, reading="latest")
    with pytest.raises(DataError, match="at least 2"):
        loss.contrastive(outputs[0, :1], outputs[0, :1])
    with pytest.raises(ShapeError, match="steps, samples"):
        read(outputs[:0])


def test_regularisers() -> None:
    s = (np.random.default_rng(3).random((T, B, 2, 3)) < 0.3).astype(float)
    rates = s.mean((0, 1)).ravel()
    wanted = np.maximum(0, 0.35 - rates) ** 2
    assert float(regularise.rate(torch.tensor(s), 0.35, 0.4)) == pytest.approx(wanted.mean())
    assert float(regularise.rate(torch.tensor(s), 0, 0.1)) == pytest.approx((rates.mean() - 0.1) ** 2)
    silent = torch.zeros(T, B, 4)
    silent[3, 1, 0] = 1
    assert float(regularise.silence(silent, 2.0)) == pytest.approx((0.25 + 3) / 4)
    with pytest.raises(DataError, match="bounds"):
        regularise.rate(silent, 0.5, 0.2)
