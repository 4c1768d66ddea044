"""Answers against labels: labels checked once for every door, then accuracy, or the error in the units of
y.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from spikeflow import intake
from spikeflow.errors import DataError
from spikeflow.ir.answer import CLASS, MAP, SIGN, VALUE, class_count, place_shape, predictions
from spikeflow.ir.interval import of_samples
from spikeflow.ir.nodes import Shape
from spikeflow.typing import Array


@dataclass(frozen=True)
class Score:
    """How well the answers fit the labels.

    Parameters
    ----------
    kind : of the answers: `class`, `sign`, `map` or `value`.
    samples : how many were answered.
    accuracy : fraction of labels answered right, of a map over all places; None for values.
    rmse : root of the mean squared error, in the units of y; None for classes.
    r2 : 1 - squared error / squared deviation of y from its mean, each output with a mean of its own; None
        for classes, and where y does not vary.
    """

    kind: str
    samples: int
    accuracy: float | None = None
    rmse: float | None = None
    r2: float | None = None

    def to_text(self) -> str:
        """In words."""
        if self.accuracy is not None:
            places = " over all places" if self.kind == MAP else ""
            return f"accuracy{places}: {of_samples(self.accuracy, self.samples)}"
        share = "not defined (y is constant)" if self.r2 is None else f"{self.r2:.4f}"
        return f"root mean squared error: {self.rmse:.6g} in the units of y; R2: {share}"


def checked_labels(y: npt.ArrayLike, samples: int, shape: Shape, kind: str) -> Array:
    """Labels in the shape of the answers: int64 classes ``(N, *S)``, or float64 values ``(N, *shape)``.

    Axes of length 1 beyond the first are taken as not there, so ``(N, 1)`` is ``(N,)``; nothing else is
    reshaped, and nothing is broadcast.

    Parameters
    ----------
    samples, shape, kind : number of answers, shape of one output, and what it says (`answer.kind_of`).

    Raises
    ------
    DataError
        For labels of another shape, of another kind of numbers, outside the classes or not finite.
    """
    array = intake.array_of("labels", y)
    wanted = (samples, *place_shape(shape, kind))
    if array.ndim == 0 or len(array) != samples or _without_ones(array.shape) != _without_ones(wanted):
        raise DataError(
            "labels", f"shape {array.shape}", f"shape {wanted}", _shape_hint(array, samples, shape, kind)
        )
    return _values(array, wanted) if kind == VALUE else _classes(array, wanted, class_count(shape, kind))


def score(outputs: npt.ArrayLike, y: npt.ArrayLike, kind: str) -> Score:
    """Outputs ``(N, *shape)`` against labels.

    Accuracy is the fraction of ``predictions == y``. For values ``rmse = sqrt(mean((outputs - y)^2))`` and
    ``r2 = 1 - sum((outputs - y)^2) / sum((y - mean of y)^2)``, the mean taken for each number of an output.

    Raises
    ------
    DataError
        Where the labels do not fit; see `checked_labels`.
    """
    array = np.asarray(outputs)
    labels = checked_labels(y, len(array), array.shape[1:], kind)
    if kind != VALUE:
        return Score(kind, len(array), float((predictions(array, kind) == labels).mean()))
    squared = (array.astype(np.float64) - labels) ** 2
    spread = float(((labels - labels.mean(axis=0)) ** 2).sum())
    r2 = None if spread == 0 else 1.0 - float(squared.sum()) / spread
    return Score(kind, len(array), None, float(np.sqrt(squared.mean())), r2)


def doubts(y: npt.ArrayLike, recorded: str = "") -> tuple[str, ...]:
    """What a user should know of labels that are taken as they are: real numbers that look like classes."""
    array = intake.array_of("labels", y)
    if recorded or array.dtype.kind != "f" or array.size == 0 or not np.isin(array, (0.0, 1.0)).all():
        return ()
    return (
        "labels are real numbers, so the answers are measured as values, but they hold only 0 and 1; "
        "for classes store them as whole numbers, y.astype(int)",
    )


def _classes(array: Array, wanted: Shape, classes: int) -> Array:
    # real numbers come here only where the run record says that they are classes
    if array.dtype.kind not in "iubf" or not np.array_equal(array, np.floor(array.astype(np.float64))):
        raise DataError("labels", f"{array.dtype}, not all whole", "whole numbers, the classes")
    if array.dtype.kind == "b" and classes > 2:
        hint = "y.astype(int), where they are the classes 0 and 1"
        raise DataError("labels", "true and false alone", f"numbers of {classes} classes", hint)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= classes:
        hint = "y - 1" if low == 1 and high == classes else "labels numbered as the network was trained"
        raise DataError(
            "labels", f"{low} to {high}", f"0 to {classes - 1}: the network has {classes} classes", hint
        )
    return array.reshape(wanted).astype(np.int64)


def _values(array: Array, wanted: Shape) -> Array:
    if array.dtype.kind not in "iubf":
        raise DataError("labels", f"type {array.dtype}", "numbers")
    if not np.isfinite(array).all():
        raise DataError("labels", "NaN or infinite values", "finite values")
    return array.reshape(wanted).astype(np.float64)


def _without_ones(shape: Shape) -> Shape:
    """A shape without the axes of length 1, the axis of samples kept."""
    return (*shape[:1], *(n for n in shape[1:] if n != 1))


def _shape_hint(array: Array, samples: int, shape: Shape, kind: str) -> str:
    if array.ndim == 0 or len(array) != samples:
        return "one label for each sample"
    if kind == CLASS and array.shape[1:] == shape:
        return "y.argmax(axis=1), if each row marks its class"
    if kind == VALUE and array.ndim == 1 and prod(shape) > 1:
        return "y.astype(int), if they are classes"
    if kind == SIGN:
        return "one class, 0 or 1, for each sample"
    return ""
