"""Losses: functions of the outputs of every step ``(T, B, C)`` and of labels, to one number to minimise.

Each is the mean over samples. A mask ``(T, B)`` names the steps that count, for samples of different lengths.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import torch
from torch.nn import functional

from spikeflow.errors import DataError, ShapeError, SpikeflowWarning
from spikeflow.train.reading import check_outputs, mean, read, steps_of, total

Mask = torch.Tensor | None


def cross_entropy(
    outputs: torch.Tensor,
    labels: torch.Tensor,
    mask: Mask = None,
    reading: str = "last",
    smoothing: float = 0.0,
) -> torch.Tensor:
    """-log softmax(r)[label], r what is read of the membrane of the read-out.

    With `reading` summed_softmax it is the loss on r = sum over t of softmax(o[t]) (Bittar and Garner 2022,
    doi 10.3389/fnins.2022.865897; Hammouamri et al. 2023, arXiv 2306.17670).

    Parameters
    ----------
    outputs : membranes or spikes ``(T, B, C)``, C at least 2.
    labels : int64 ``(B,)``.
    reading : as `train.reading.read` has them.
    smoothing : of labels: this share is spread over all classes.

    Raises
    ------
    ShapeError, DataError
        For shapes and labels that do not fit, one class alone, a sample without a step.
    """
    found = read(outputs, reading, mask)
    _check_floats("outputs", outputs)
    _check_number("smoothing", smoothing, 0, 1)
    _check_labels(outputs, labels, labels.shape == outputs.shape[1:2])
    return functional.cross_entropy(found, labels, label_smoothing=smoothing)


def summed_softmax(outputs: torch.Tensor, labels: torch.Tensor, mask: Mask = None) -> torch.Tensor:
    """-log softmax(sum over t of softmax(o[t]))[label]; `cross_entropy` with that reading."""
    return cross_entropy(outputs, labels, mask, "summed_softmax")


def per_step(
    outputs: torch.Tensor, labels: torch.Tensor, mask: Mask = None, smoothing: float = 0.0
) -> torch.Tensor:
    """The mean over the steps that count of -log softmax(o[t])[label].

    A step counts as much as any other, so a long sample weighs more than a short one.

    Parameters
    ----------
    labels : int64 ``(B,)``, or ``(T, B)`` where every step has its own.

    Raises
    ------
    ShapeError, DataError
        For shapes, labels and numbers that do not fit, and a sample without a step.
    """
    check_outputs("outputs", outputs)
    _check_floats("outputs", outputs)
    _check_number("smoothing", smoothing, 0, 1)
    weight = steps_of(outputs, mask)
    _check_labels(outputs, labels, labels.shape in (outputs.shape[1:2], outputs.shape[:2]), weight)
    target = labels.expand(outputs.shape[:2]) if labels.ndim == 1 else labels
    inside = weight > 0
    return functional.cross_entropy(outputs[inside], target[inside], label_smoothing=smoothing)


def tet(
    outputs: torch.Tensor, labels: torch.Tensor, mask: Mask = None, share: float = 1e-3, level: float = 1.0
) -> torch.Tensor:
    """(1 - share) mean over t of CE(o[t], label) + share mean of (o - level)^2.

    Source: Deng, Li, Zhang, Gu, Temporal efficient training, ICLR 2022, arXiv 2202.11946.

    Parameters
    ----------
    share : of the second term, which keeps outputs near `level`.
    """
    _check_number("tet: share", share, 0, 1)
    _check_number("tet: level", level)
    entropy = per_step(outputs, labels, mask)
    inside = outputs[steps_of(outputs, mask) > 0]
    return (1 - share) * entropy + share * (inside - level).square().mean()


def rate(
    spikes: torch.Tensor,
    labels: torch.Tensor,
    mask: Mask = None,
    correct: float = 0.9,
    incorrect: float = 0.1,
) -> torch.Tensor:
    """mean over samples and neurons of (r - r*)^2, r the share of steps with a spike.

    r* is `correct` for the neuron of the label, `incorrect` for the others (after Shrestha and Orchard 2018,
    SLAYER, arXiv 1810.08646).
    """
    _check_spikes(spikes, labels, mask)
    _check_number("rate: correct", correct, 0)
    _check_number("rate: incorrect", incorrect, 0)
    found = mean(spikes, steps_of(spikes, mask))
    _tell_unreachable(spikes, max(correct, incorrect), 1)
    return (found - _targets(found, labels, correct, incorrect)).square().mean()


def count(
    spikes: torch.Tensor,
    labels: torch.Tensor,
    mask: Mask = None,
    correct: float = 10.0,
    incorrect: float = 1.0,
) -> torch.Tensor:
    """mean over samples and neurons of (n - n*)^2, n the number of spikes; otherwise as `rate`."""
    _check_spikes(spikes, labels, mask)
    _check_number("count: correct", correct, 0)
    _check_number("count: incorrect", incorrect, 0)
    found = total(spikes, steps_of(spikes, mask))
    _tell_unreachable(spikes, max(correct, incorrect), len(spikes))
    return (found - _targets(found, labels, correct, incorrect)).square().mean()


def van_rossum(spikes: torch.Tensor, targets: torch.Tensor, decay: float, mask: Mask = None) -> torch.Tensor:
    """(1 - decay^2) / 2 times the sum over t of e[t]^2, e[t] = decay e[t-1] + s[t] - s*[t].

    The mean over B and N of the distance of two spike trains; a lone spike in one costs 1/2 where time is
    long (van Rossum 2001, doi 10.1162/089976601300014321, with its integral as a sum; decay =
    exp(-dt / tau)).

    Parameters
    ----------
    spikes, targets : ``(T, B, N)``.
    decay : of the filter in a step, 0 to below 1.

    Raises
    ------
    ShapeError, DataError
        For spike trains of different shapes, and a decay outside 0 to below 1.
    """
    check_outputs("spikes", spikes)
    _check_floats("spikes", spikes)
    if targets.shape != spikes.shape:
        raise ShapeError("targets", tuple(targets.shape), tuple(spikes.shape))
    if not 0 <= decay < 1:
        raise DataError("van Rossum: decay", decay, "a number from 0 to below 1")
    weight = steps_of(spikes, mask)
    error = found = torch.zeros_like(spikes[0], dtype=weight.dtype)
    for now, wanted, inside in zip(spikes, targets, weight, strict=True):
        difference = torch.where(inside[:, None] > 0, now - wanted, torch.zeros_like(now))
        error = decay * error + difference
        found = found + inside[:, None] * error.square()
    return (1 - decay * decay) / 2 * found.mean()


def contrastive(a: torch.Tensor, b: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Mean of -log softmax_j(cos(a_i, b_j) / temperature)[i], and of the same with a and b exchanged.

    Source: Radford et al. 2021, arXiv 2103.00020, figure 3 (InfoNCE, both ways).

    Parameters
    ----------
    a, b : two views of the same samples, such as rates, ``(B, D)``, B at least 2.

    Raises
    ------
    ShapeError, DataError
        For views of different shapes, one sample alone, and a temperature that is not above 0.
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise ShapeError("contrastive", f"{tuple(a.shape)} and {tuple(b.shape)}", "two of one shape (B, D)")
    if len(a) < 2:
        raise DataError("contrastive", f"{len(a)} sample(s)", "at least 2: one is to be told from others")
    _check_floats("contrastive", a)
    if not 0 < temperature < math.inf:
        raise DataError("contrastive: temperature", temperature, "a number above 0")
    alike = functional.normalize(a, dim=1) @ functional.normalize(b, dim=1).T / temperature
    own = torch.arange(len(a), device=a.device)
    return (functional.cross_entropy(alike, own) + functional.cross_entropy(alike.T, own)) / 2


def distillation(student: torch.Tensor, teacher: torch.Tensor, temperature: float = 4.0) -> torch.Tensor:
    """K^2 times the mean over samples of KL(softmax(teacher / K) | softmax(student / K)), K the temperature.

    No gradient reaches the teacher, an ANN for example. Source: Hinton, Vinyals, Dean 2015, arXiv 1503.02531.

    Parameters
    ----------
    student, teacher : logits ``(B, C)``; of a network in time what is read of it.

    Raises
    ------
    ShapeError, DataError
        For logits of different shapes, one class alone, and a temperature that is not above 0.
    """
    if student.ndim != 2 or student.shape != teacher.shape:
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ShapeError("distillation", shapes, "logits of one shape (samples, classes)")
    _check_several(student)
    if not 0 < temperature < math.inf:
        raise DataError("distillation: temperature", temperature, "a number above 0")
    wanted = torch.log_softmax(teacher.detach() / temperature, 1)
    found = torch.log_softmax(student / temperature, 1)
    return temperature**2 * functional.kl_div(found, wanted, reduction="batchmean", log_target=True)


def layers(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The mean over samples and layers of |m - w|^2 / |w|^2, m the mean over steps of what a layer hands on.

    Where w is all zeros, its norm is taken as one.

    Parameters
    ----------
    found : by name ``(T, B, *shape)``.
    wanted : by name ``(B, *shape)``, an ANN's activations for example, in units of a spike in every step.

    Raises
    ------
    ShapeError, DataError
        For a layer that was not found, or has another shape, and where no layer is to follow.
    """
    if not wanted:
        raise DataError("layers", "none", "at least one layer that has something to follow")
    shares = []
    for name, target in wanted.items():
        if name not in found or found[name].shape[1:] != target.shape:
            got = f"{tuple(found[name].shape[1:])} a step" if name in found else "no such layer"
            raise ShapeError(f"layers: {name}", got, f"{tuple(target.shape)}, as what it follows")
        size, apart = (v.flatten(1).square().sum(1) for v in (target, found[name].mean(0) - target))
        shares.append((apart / torch.where(size > 0, size, torch.ones_like(size))).mean())
    return torch.stack(shares).mean()


def _targets(found: torch.Tensor, labels: torch.Tensor, correct: float, incorrect: float) -> torch.Tensor:
    wanted = torch.full_like(found, incorrect)
    return wanted.scatter(1, labels[:, None], correct)


def _check_floats(what: str, values: torch.Tensor) -> None:
    if not values.is_floating_point():
        raise DataError(what, f"{values.dtype}", "floats, which have a gradient", "values.float()")


def _check_number(what: str, value: float, low: float = -math.inf, high: float = math.inf) -> None:
    if not (low <= value <= high and math.isfinite(value)):
        ends = f"from {low:g} to {high:g}" if high < math.inf else f"from {low:g}" if low == 0 else ""
        raise DataError(what, value, f"a finite number {ends}".rstrip())


def _check_spikes(spikes: torch.Tensor, labels: torch.Tensor, mask: Mask) -> None:
    """Raise for shapes and labels that do not fit; tell of values that are no spikes, which have no rate."""
    check_outputs("spikes", spikes)
    _check_labels(spikes, labels, labels.shape == spikes.shape[1:2], classes=1)
    counted = spikes[steps_of(spikes.float(), mask) > 0]
    if spikes.is_floating_point() and bool((counted != counted.round()).any()):
        text = "a loss of spikes is taken of values that are none, such as the membrane of a read-out"
        hint = "loss cross_entropy, or a network that ends in neurons that spike"
        warnings.warn(f"{text}. Try: {hint}", SpikeflowWarning, stacklevel=3)


def _tell_unreachable(spikes: torch.Tensor, wanted: float, most: int) -> None:
    """Tell of a target that neurons of at most one spike a step do not reach."""
    if wanted > most and float(spikes.detach().max()) <= 1:
        unit = "a spike in every step" if most == 1 else f"{most} spikes, one in every step"
        text = f"the loss asks for {wanted:g}, and {unit} is the most there can be"
        warnings.warn(f"{text}. Try: a smaller loss.correct", SpikeflowWarning, stacklevel=3)


def _check_several(outputs: torch.Tensor, least: int = 2) -> None:
    if outputs.shape[-1] < least:
        hint = "loss.rate, or two outputs"
        raise DataError("outputs", "one class, of which nothing can be learned", "at least 2 classes", hint)


def _check_labels(
    outputs: torch.Tensor,
    labels: torch.Tensor,
    fits: bool,
    weight: Mask = None,
    classes: int = 2,
) -> None:
    """Raise unless labels are classes of the outputs, where steps count."""
    _check_several(outputs, classes)
    if not fits or labels.dtype is not torch.int64:
        got = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise ShapeError("labels", got, f"int64 of shape ({outputs.shape[1]},), one a sample")
    counted = labels[weight > 0] if weight is not None and labels.ndim == 2 else labels
    low, high = int(counted.min()), int(counted.max())
    if low < 0 or high >= outputs.shape[-1]:
        raise DataError("labels", f"{low} to {high}", f"0 to {outputs.shape[-1] - 1}, the classes")
