"""Numbers of a file that say how values are moved (sizes, axes, factors), kept beside the values themselves.

Exporters write the shape of a reshape as a network of its own: the shape of a value, a number picked from it,
joined to others. Such chains are computed here as they are traced, on numbers of Python and sizes of torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spikeflow.typing import Array

MOST = 4096  # numbers; more are values


@dataclass(frozen=True, eq=False)
class Numbers:
    """A few numbers, or one where `values` has no dimension; elements are Python's, or sizes of torch."""

    values: Array
    whole: bool = True

    @classmethod
    def of(cls, given: Any, whole: bool = True) -> Numbers:
        """From a list, a number or an array; elements stay what they are."""
        if isinstance(given, np.ndarray):
            return cls(given.astype(object), whole)
        made = np.empty(len(given) if isinstance(given, list | tuple) else (), object)
        made[...] = given
        return cls(made, whole)

    @property
    def listed(self) -> list[Any]:
        """All of them in order."""
        return list(self.values.reshape(-1))

    def tensor(self) -> torch.Tensor:
        """The same as values of a network."""
        kind = torch.int64 if self.whole else torch.float32
        return torch.tensor(self.listed, dtype=kind).reshape(self.values.shape)


def tensor(value: Any) -> Any:
    """A value of the network, whichever way it was kept."""
    return value.tensor() if isinstance(value, Numbers) else value


def _divided(a: Numbers, b: Numbers) -> Numbers:
    if a.whole and b.whole:
        return Numbers(_elements(lambda x, y: x // y if x * y >= 0 else -(-x // y), a.values, b.values))
    return Numbers(_elements(lambda x, y: x / y, a.values, b.values), False)


def _elements(function: Callable[..., Any], *arrays: Array) -> Array:
    """A function of each element, of arrays that are broadcast against each other."""
    spread = np.broadcast_arrays(*arrays)
    made = np.empty(spread[0].shape, object)
    for at in np.ndindex(made.shape):
        made[at] = function(*(array[at] for array in spread))
    return made


def _each(function: Callable[..., Any], whole: bool | None = None) -> Callable[..., Numbers]:
    def apply(*given: Numbers) -> Numbers:
        kept = all(g.whole for g in given) if whole is None else whole
        return Numbers(_elements(function, *(g.values for g in given)), kept)

    return apply


ARITHMETIC: Mapping[str, Callable[..., Numbers]] = {
    "Identity": lambda a: a,
    "Add": _each(lambda a, b: a + b),
    "Sub": _each(lambda a, b: a - b),
    "Mul": _each(lambda a, b: a * b),
    "Div": _divided,
    "Mod": _each(lambda a, b: a % b),
    "Neg": _each(lambda a: -a),
    "Abs": _each(abs),
    "Min": _each(min),
    "Max": _each(max),
    "Floor": _each(math.floor, False),
    "Ceil": _each(math.ceil, False),
    "Equal": _each(lambda a, b: int(bool(a == b)), True),
    "Greater": _each(lambda a, b: int(bool(a > b)), True),
    "Less": _each(lambda a, b: int(bool(a < b)), True),
    "Not": _each(lambda a: int(not a), True),
    "And": _each(lambda a, b: int(bool(a and b)), True),
    "Or": _each(lambda a, b: int(bool(a or b)), True),
    "Where": _each(lambda c, a, b: a if c else b),
}


truncated = _each(math.trunc, True)


def joined(*parts: Numbers, axis: int = 0) -> Numbers:
    """One after the other."""
    found = np.concatenate([np.atleast_1d(p.values) for p in parts], axis)
    return Numbers(found, all(p.whole for p in parts))


def picked(numbers: Numbers, index: Numbers, axis: int = 0) -> Numbers:
    """Some of them, by their places along an axis."""
    where = index.values.astype(np.int64)
    return Numbers.of(np.take(numbers.values, where, axis), numbers.whole)


def cut(numbers: Numbers, axis: int, where: slice) -> Numbers:
    """A stretch of them along an axis."""
    inside = tuple(where if n == axis else slice(None) for n in range(numbers.values.ndim))
    return Numbers(numbers.values[inside], numbers.whole)


def turned(numbers: Numbers, order: Sequence[int] | None) -> Numbers:
    """The same numbers with their axes in another order."""
    return Numbers(numbers.values.transpose(order), numbers.whole)


def shaped(numbers: Numbers, shape: Sequence[int]) -> Numbers:
    """The same numbers under another shape."""
    return Numbers(numbers.values.reshape(tuple(shape)), numbers.whole)


def filled(shape: Sequence[Any], value: Any, whole: bool) -> Numbers | None:
    """So many equal numbers; None where there are too many to be numbers."""
    if len(shape) > 1 or math.prod(int(n) for n in shape) > MOST:
        return None
    made = np.empty(tuple(int(n) for n in shape), object)
    made[...] = value
    return Numbers(made, whole)
