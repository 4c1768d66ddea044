"""What may enter a layer of neurons: stretches of time, single moments, states; each checked where it enters.

States are float32, whatever autocast or a half-precision network around them does: a decay of 0.999 is 1 in
bfloat16. Double precision stays double.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from spikeflow.errors import DataError, ShapeError

Stretch = torch.Tensor | Mapping[str, torch.Tensor]


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Of the state that inputs of this type drive."""
    return torch.float64 if dtype is torch.float64 else torch.float32


def arriving(name: str, x: Stretch, ports: tuple[str, ...], timed: bool) -> tuple[torch.Tensor, ...]:
    """The inputs in the order of the ports, in the type of the state; ports that nothing reaches get zeros.

    Parameters
    ----------
    x : one tensor for the first port, or a dict by port; ``(T, B, *shape)`` if `timed`, else ``(B, *shape)``.
    """
    given = {ports[0]: x} if isinstance(x, torch.Tensor) else x
    if not isinstance(given, Mapping) or not given or not set(given) <= set(ports):
        got = sorted(map(str, given)) if isinstance(given, Mapping) else type(x).__name__
        raise ShapeError(name, f"inputs {got}", f"a tensor, or a dict of tensors by port, of {ports}")
    for value in given.values():
        check_stretch(name, value, timed)
    shapes = {port: tuple(value.shape) for port, value in given.items()}
    if len(set(shapes.values())) > 1:
        raise ShapeError(name, f"inputs of shapes {shapes}", "one shape for all ports")
    if len(devices := {str(value.device) for value in given.values()}) > 1:
        raise DataError(name, f"inputs on {', '.join(sorted(devices))}", "one device for all ports")
    dtype = torch.float64 if any(v.dtype is torch.float64 for v in given.values()) else torch.float32
    plain = {port: value.to(dtype) for port, value in given.items()}
    like = next(iter(plain.values()))
    return tuple(plain[p] if p in plain else like.new_zeros(()).expand(like.shape) for p in ports)


def check_stretch(name: str, x: Any, timed: bool = True) -> None:
    """Raise ShapeError or DataError unless x is a tensor of numbers ``(T, B, *shape)`` with at least one
    step.
    """
    axes = "(T, B, *shape)" if timed else "(B, *shape)"
    if not isinstance(x, torch.Tensor):
        raise DataError(name, f"an input of type {type(x).__name__}", f"a tensor {axes}", "torch.as_tensor")
    if x.dtype.is_complex:
        raise DataError(name, f"an input of {x.dtype}", "real numbers", "x.real, or two channels")
    if x.layout is not torch.strided:
        raise DataError(name, f"an input of layout {x.layout}", "a dense tensor", "x.to_dense()")
    if x.ndim < 1 + timed:
        raise ShapeError(name, f"an input of shape {tuple(x.shape)}", axes, "x[:, None] for a single sample")
    if timed and x.shape[0] == 0:
        raise ShapeError(name, "a stretch of 0 steps", "at least one step")


def check_state(name: str, state: Any, names: tuple[str, ...], like: torch.Tensor) -> None:
    """Raise unless `state` holds one tensor for each name, of the shape, type and device of `like`."""
    if not isinstance(state, Sequence) or len(state) != len(names):
        got = f"{len(state)} tensor(s)" if isinstance(state, Sequence) else type(state).__name__
        raise ShapeError(
            name, f"a state of {got}", f"{len(names)}: {', '.join(names)}", "state=None to start"
        )
    if (held := getattr(state, "_fields", names)) != names:
        got = f"a state of {', '.join(map(str, held))}"
        raise ShapeError(name, got, f"one of {', '.join(names)}", "the state of this layer, not another's")
    for part, value in zip(names, state, strict=True):
        check_tensor(f"{name}, state {part}", value, like)


def check_tensor(what: str, value: Any, like: torch.Tensor) -> None:
    """Raise unless `value` is a tensor of the shape, type and device of `like`."""
    if not isinstance(value, torch.Tensor):
        raise DataError(what, type(value).__name__, "a tensor", "state=None to start")
    if value.shape != like.shape:
        hint = "state=None to start a new sample; one row of the state for each sample of the batch"
        raise ShapeError(what, f"shape {tuple(value.shape)}", f"{tuple(like.shape)} as the input has", hint)
    if value.dtype != like.dtype or value.device != like.device:
        got, expected = f"{value.dtype} on {value.device}", f"{like.dtype} on {like.device}"
        raise DataError(what, got, expected, "state.to(...) of what the input has, or state=None to start")


def check_parameter(what: str, value: torch.Tensor, like: torch.Tensor) -> None:
    """Raise unless a parameter broadcasts to a population: to `like` ``(B, *shape)`` without its batch."""
    shape, population = tuple(value.shape), tuple(like.shape[1:])
    padded = (1,) * (len(population) - len(shape)) + shape
    if len(padded) != len(population) or any(
        p not in (1, n) for p, n in zip(padded, population, strict=True)
    ):
        raise ShapeError(what, f"shape {shape}", f"one that broadcasts to the neurons, {population}")
    if value.device != like.device:
        raise DataError(what, f"on {value.device}", f"on {like.device} like the input", "layer.to(x.device)")
