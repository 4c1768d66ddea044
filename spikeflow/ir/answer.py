"""What the numbers of an output say: a class, a sign, a class at every place, or a value; predictions and
ties.

Outputs are `(N, *shape)`: one output of a network for N samples, as accumulators or as logits. What they say
follows from the shape of one sample's output:

| shape | kind | answer of a sample |
|---|---|---|
| one number | `sign` | 1 where it is above 0, else 0 |
| `(C,)`, also `(C, 1, 1)` | `class` | the largest, ties to the lowest index |
| `(C, *S)` | `map` | at every place of S the largest along the first axis; with C = 1 the sign |
| any | `value` | the numbers: a regression; only where the run record or labels with fractions say so |
"""

from __future__ import annotations

from math import prod

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError
from spikeflow.ir.nodes import Shape
from spikeflow.typing import Array

CLASS, SIGN, MAP, VALUE = KINDS = ("class", "sign", "map", "value")
CHOICES = ("", CLASS, VALUE)  # what may be recorded: by the shape and the labels, classes, values
# functions that keep the answer, so that a network may end before them; `other` is one that cannot be put
# back
FINAL = ("", "sigmoid", "tanh", "softmax", "log_softmax", "other")


def kind_of(shape: Shape, recorded: str = "", y: Array | None = None) -> str:
    """The kind of answer of an output, one of `KINDS`.

    Parameters
    ----------
    shape : of the output of one sample.
    recorded : what the run record says of this output, one of `CHOICES`.
    y : labels, where known: real numbers make the answer a value, unless the record says `class`.
    """
    if recorded not in CHOICES:
        raise DataError("answer", repr(recorded), f"one of {', '.join(c for c in CHOICES if c)}")
    if recorded == VALUE or (not recorded and y is not None and y.dtype.kind == "f"):
        return VALUE
    if prod(shape) == 1:
        return SIGN
    return CLASS if prod(shape) == shape[0] else MAP


def class_count(shape: Shape, kind: str) -> int:
    """The number of classes that an output tells apart.

    Raises
    ------
    DataError
        For a value, which has none.
    """
    _require_classes(kind)
    return max(2, shape[0])


def place_shape(shape: Shape, kind: str) -> Shape:
    """The shape of one sample's answer: () for a class or a sign, the places of a map, the whole for a
    value.
    """
    if kind == VALUE:
        return shape
    return shape[1:] if kind == MAP else ()


def predictions(outputs: Array, kind: str) -> npt.NDArray[np.int64]:
    """The class that each sample is answered with, ``(N,)``, or ``(N, *S)`` for a map; see the table above.

    Raises
    ------
    DataError
        For values, which are no classes, and outputs without a sample.
    """
    by_class = _by_class(outputs, kind)
    if by_class.shape[1] == 1:
        return (by_class[:, 0] > 0).astype(np.int64)
    return np.argmax(by_class, axis=1).astype(np.int64)


def tied(outputs: Array, kind: str) -> npt.NDArray[np.bool_]:
    """Where the answer was decided by the order of the classes alone, in the shape of `predictions`.

    That is where the largest number is there more than once, and where a sign is that of 0.
    """
    by_class = _by_class(outputs, kind)
    if by_class.shape[1] == 1:
        return np.asarray(by_class[:, 0] == 0)
    return np.asarray((by_class == by_class.max(axis=1, keepdims=True)).sum(axis=1) > 1)


def with_final(values: Array, name: str) -> Array:
    """Values ``(N, *shape)`` through the function of `FINAL` that was left off; softmax along the first
    axis of shape.
    """
    if name == "sigmoid":
        return 0.5 * (1 + np.tanh(0.5 * values))
    if name == "tanh":
        return np.tanh(values)
    if name in ("softmax", "log_softmax"):
        size = prod(values.shape[1:])
        classes = values.reshape(len(values), size) if size == max(values.shape[1:]) else values
        raised = classes - classes.max(axis=1, keepdims=True)
        logs = raised - np.log(np.exp(raised).sum(axis=1, keepdims=True))
        return (logs if name == "log_softmax" else np.exp(logs)).reshape(values.shape)
    if name:
        got = "the values before a function at the end of the network, which was left off"
        raise DataError("values", got, "those behind it", "a network that ends before that function")
    return values


def _by_class(outputs: Array, kind: str) -> Array:
    """``(N, C, *S)``: outputs with the classes along one axis."""
    _require_classes(kind)
    if outputs.ndim < 2:
        raise DataError("outputs", f"shape {outputs.shape}", "(samples, ...)")
    return outputs if kind == MAP else outputs.reshape(len(outputs), prod(outputs.shape[1:]))


def _require_classes(kind: str) -> None:
    if kind not in KINDS:
        raise DataError("answer", repr(kind), f"one of {', '.join(KINDS)}")
    if kind == VALUE:
        raise DataError(
            "answer", "values (a regression)", "classes", "the values themselves, Evaluation.values()"
        )
