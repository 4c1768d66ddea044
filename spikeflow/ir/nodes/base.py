"""What all kinds share: shapes, the checks of a bias, of delays and of what broadcasts."""

from __future__ import annotations

from math import prod

import numpy as np

from spikeflow.errors import ShapeError
from spikeflow.ir.arrays import Array, check_finite
from spikeflow.ir.limits import MAX_ELEMENTS

Shape = tuple[int, ...]
Pair = tuple[int, int]


def as_int(number: int) -> int:
    """numpy's whole numbers as Python's, which files hold; anything else as it is, for the checks."""
    return int(number) if isinstance(number, np.integer) else number


def set_frozen(node: object, name: str, value: object) -> None:
    object.__setattr__(node, name, value)


def check_shape(name: str, shape: Shape) -> None:
    """Raise ShapeError for more dimensions or elements than anything here can index."""
    if len(shape) > 8 or any(n < 1 for n in shape) or prod(shape) > MAX_ELEMENTS:
        raise ShapeError(name, shape, f"at most 8 positive dimensions and {MAX_ELEMENTS} elements")


def check_bias(name: str, bias: Array | None, out: int) -> None:
    if bias is not None:
        if bias.shape != (out,):
            raise ShapeError(name, f"a bias of shape {bias.shape}", (out,))
        check_finite(name, "the bias", bias)


def check_delays(name: str, delays: Array | None, allowed: tuple[Shape, ...]) -> None:
    if delays is not None and (delays.shape not in allowed or delays.min(initial=0) < 0):
        raise ShapeError(name, f"delays of shape {delays.shape}", f"whole steps >= 0 of a shape in {allowed}")


def check_broadcast(name: str, what: str, got: Shape, shape: Shape) -> None:
    padded = (1,) * (len(shape) - len(got)) + tuple(got)
    if len(padded) != len(shape) or any(g not in (1, n) for g, n in zip(padded, shape, strict=True)):
        raise ShapeError(name, f"{what} of shape {got}", f"one that broadcasts to {shape}")


def positions(count: int, stride: int, kernel: int, dilation: int, before: int) -> Array:
    """Where each place of a kernel lies on one axis of the source, for each target: ``(targets, kernel)``.

    Places beyond the source, in the padding, are below 0 or not below its size.
    """
    return np.arange(count)[:, None] * stride + np.arange(kernel) * dilation - before


def cut(at: Array, place: int, stride: int) -> slice:
    """The sources that one place of a kernel reads, for all targets of an axis in order."""
    return slice(int(at[0, place]), int(at[-1, place]) + 1, stride)
