"""Losses: functions of the outputs of every step ``(T, B, C)`` and of labels, to one number to minimise.

Each is the mean over samples. A mask ``(T, B)`` names the steps that count, for samples of different lengths.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from spikeflow.errors import DataError, ShapeError
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
    _check_labels(outputs, labels, labels.shape == outputs.shape[1:2])
    return functional.cross_entropy(found, labels, label_smoothing=smoothing)


def summed_softmax(outputs: torch.Tensor, labels: torch.Tensor, mask: Mask = None) -> torch.Tensor:
    """-log softmax(sum over t of softmax(o[t]))[label]; `cross_entropy` with that reading."""
    return cross_entropy(outputs, labels, mask, "summed_softmax")


def per_step(
    outputs: torch.Tensor, labels: torch.Tensor, mask: Mask = None, smoothing: float = 0.0
) -> torch.Tensor:
    """The mean over the steps that count of -log softmax(o[t])[label].

    Parameters
    ----------
    labels : int64 ``(B,)``, or ``(T, B)`` where every step has its own.

    A step counts as much as any other, so a long sample weighs more than a short one.
    """
    check_outputs("outputs", outputs)
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
    if not 0 <= share <= 1:
        raise DataError("tet: share", share, "a number from 0 to 1")
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
    check_outputs("spikes", spikes)
    _check_labels(spikes, labels, labels.shape == spikes.shape[1:2], classes=1)
    found = mean(spikes, steps_of(spikes, mask))
    return (found - _targets(found, labels, correct, incorrect)).square().mean()


def count(
    spikes: torch.Tensor,
    labels: torch.Tensor,
    mask: Mask = None,
    correct: float = 10.0,
    incorrect: float = 1.0,
) -> torch.Tensor:
    """mean over samples and neurons of (n - n*)^2, n the number of spikes; otherwise as `rate`."""
    check_outputs("spikes", spikes)
    _check_labels(spikes, labels, labels.shape == spikes.shape[1:2], classes=1)
    found = total(spikes, steps_of(spikes, mask))
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
    """
    check_outputs("spikes", spikes)
    if targets.shape != spikes.shape:
        raise ShapeError("targets", tuple(targets.shape), tuple(spikes.shape))
    if not 0 <= decay < 1:
        raise DataError("van Rossum: decay", decay, "a number from 0 to below 1")
    weight, error = steps_of(spikes, mask), torch.zeros_like(spikes[0])
    found = torch.zeros_like(spikes[0])
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
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise ShapeError("contrastive", f"{tuple(a.shape)} and {tuple(b.shape)}", "two of one shape (B, D)")
    if len(a) < 2:
        raise DataError("contrastive", f"{len(a)} sample(s)", "at least 2: one is to be told from others")
    if not temperature > 0:
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
    """
    if student.ndim != 2 or student.shape != teacher.shape:
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ShapeError("distillation", shapes, "logits of one shape (samples, classes)")
    _check_several(student)
    if not temperature > 0:
        raise DataError("distillation: temperature", temperature, "a number above 0")
    wanted = torch.log_softmax(teacher.detach() / temperature, 1)
    found = torch.log_softmax(student / temperature, 1)
    return temperature**2 * functional.kl_div(found, wanted, reduction="batchmean", log_target=True)


def _targets(found: torch.Tensor, labels: torch.Tensor, correct: float, incorrect: float) -> torch.Tensor:
    wanted = torch.full_like(found, incorrect)
    return wanted.scatter(1, labels[:, None], correct)


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
