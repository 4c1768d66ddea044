"""Read-outs: outputs of every step ``(T, B, C)`` made one value a class ``(B, C)``; and masks of steps.

A mask ``(T, B)`` says which steps belong to a sample; without one all do. A sample without a step has no
answer and is refused.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from spikeflow.errors import DataError, ShapeError

Reading = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def check_outputs(what: str, outputs: torch.Tensor) -> None:
    """Raise unless outputs are ``(T, B, N)`` with a step and a sample."""
    if not isinstance(outputs, torch.Tensor) or outputs.ndim != 3 or 0 in outputs.shape:
        got = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        hint = "outputs.flatten(2)" if isinstance(outputs, torch.Tensor) and outputs.ndim > 3 else ""
        raise ShapeError(what, got, "(steps, samples, values), none of them 0", hint)


def steps_of(outputs: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The mask ``(T, B)``, 1 where a step counts, in the type in which outputs are added up: theirs, float32
    where that is of half precision, which counts no further than 256.

    Raises
    ------
    ShapeError, DataError
        For a mask of another shape or type, and a sample without a step.
    """
    narrow = outputs.dtype in (torch.float16, torch.bfloat16)
    dtype = torch.float32 if narrow else outputs.dtype
    if mask is None:
        return outputs.new_ones(outputs.shape[:2], dtype=dtype)
    if mask.shape != outputs.shape[:2] or mask.dtype is not torch.bool:
        got = f"{mask.dtype} of shape {tuple(mask.shape)}"
        raise ShapeError("mask", got, f"bools of shape {tuple(outputs.shape[:2])}, (steps, samples)")
    if not bool(mask.any(0).all()):
        empty = int((~mask.any(0)).nonzero()[0])
        raise DataError("mask", f"no step of sample {empty}", "at least one step of every sample")
    return mask.to(dtype)


def last(outputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The last step of each sample that counts."""
    steps = torch.arange(len(weight), device=weight.device)[:, None]
    at = torch.where(weight > 0, steps, torch.zeros_like(steps)).amax(0)
    return outputs[at, torch.arange(outputs.shape[1], device=outputs.device)]


def total(outputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The sum over the steps that count."""
    # what lies outside is replaced, not multiplied: 0 times an infinity is no number
    inside = torch.where(weight[..., None] > 0, outputs, torch.zeros_like(outputs))
    return inside.sum(0, dtype=weight.dtype)


def mean(outputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The mean over the steps that count."""
    return total(outputs, weight) / weight.sum(0)[:, None]


def largest(outputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The maximum over the steps that count."""
    return outputs.masked_fill(weight[..., None] == 0, float("-inf")).amax(0)


def summed_softmax(outputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The sum over steps of the softmax over classes."""
    return total(torch.softmax(outputs, -1), weight)


READINGS: dict[str, Reading] = {
    "last": last,
    "sum": total,
    "mean": mean,
    "max": largest,
    "summed_softmax": summed_softmax,
}


def read(outputs: torch.Tensor, how: str = "last", mask: torch.Tensor | None = None) -> torch.Tensor:
    """One value a class, ``(B, C)``.

    Parameters
    ----------
    outputs : of every step, ``(T, B, C)``.
    how : `last`, `sum` (of spikes: their count), `mean` (of spikes: their rate), `max`, `summed_softmax`.
    mask : bool ``(T, B)``; None where all steps count.

    Raises
    ------
    ShapeError, DataError
        For outputs of another shape, a mask that leaves a sample no step, an unknown word.
    """
    if how not in READINGS:
        raise DataError("reading", repr(how), f"one of {', '.join(READINGS)}")
    check_outputs("outputs", outputs)
    return READINGS[how](outputs, steps_of(outputs, mask))
