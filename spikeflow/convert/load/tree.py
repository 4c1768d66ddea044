"""A network of a file as a tree of torch modules, one for each of its operators, named as in the file.

Readers of formats without code (ONNX, TFLite) say for each operator a function of torch on its inputs; the
tree calls them in their order. It is traced, captured and compared as any module of the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from spikeflow.convert.load.numbers import Numbers
from spikeflow.errors import ConversionError, FileError

Sizes = tuple[int | None, ...]
MAX_NAME = 200
# what a damaged attribute may run into
MISFIT = (TypeError, ValueError, IndexError, KeyError, AttributeError, ArithmeticError, AssertionError)
ROUNDING_LEFT_OUT = (
    "its 8-bit activations are taken in full precision: they are not rounded, and their range cuts off only "
    "what no rectifier does; weights have exactly the values that they stand for"
)


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator: its name and kind in the file, its function, and the values that it reads and writes.

    Names of values that are empty stand for inputs that are left out, and outputs that nobody asked for.
    """

    name: str
    kind: str
    function: Callable[..., Any]
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Written:
    """What a file says: operators in order, stored values, and its ends.

    Parameters
    ----------
    sample : the shape of one sample; None where a size is left open.
    channels_last : whether its own layout has the channels last.
    batch : the number of samples at a time that it declares; None where it is left open.
    called, samples : the user's name and the shape of a sample of each of several inputs, in order.
    """

    path: str
    operators: Sequence[Operator]
    stored: Mapping[str, torch.Tensor | Numbers]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sample: Sizes
    channels_last: bool = False
    batch: int | None = None
    called: tuple[str, ...] = ()
    samples: tuple[Sizes, ...] = ()


class _Leaf(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *values: Any) -> Any:
        return self.function(*values)


class FileNetwork(nn.Module):
    """The network of a file; see `Written`."""

    def __init__(self, written: Written) -> None:
        super().__init__()
        self.written = written
        self.entry: Callable[[torch.Tensor], torch.Tensor] | None = None
        if written.channels_last:
            self.entry = channels_first
        self.numbers = {name: v for name, v in written.stored.items() if isinstance(v, Numbers)}
        self.places: dict[str, tuple[nn.Module, str]] = {}
        for name, value in written.stored.items():
            if isinstance(value, torch.Tensor):
                self._store(name, value)
        self.leaves = [(self._place(operator), operator) for operator in written.operators]

    def forward(self, *given: torch.Tensor) -> Any:
        """The outputs: a tensor, or by name where there are several."""
        values: dict[str, Any] = {"": None, **self.numbers}
        for name, x in zip(self.written.inputs, given, strict=True):
            values[name] = x if self.entry is None else self.entry(x)
        for leaf, operator in self.leaves:
            try:
                found = leaf(*(self._value(values, name) for name in operator.reads))
            except RuntimeError as error:
                raise self._failed(operator, given[0], error) from error
            made = found if isinstance(found, tuple) else (found,)
            named = zip(operator.writes, made, strict=False)  # what nobody asked for may not be made
            values |= {name: value for name, value in named if name}
        found = {name: self._value(values, name) for name in self.written.outputs}
        return next(iter(found.values())) if len(found) == 1 else found

    def _value(self, values: Mapping[str, Any], name: str) -> Any:
        if name in values:
            return values[name]
        holder, key = self.places[name]
        return getattr(holder, key)

    def _failed(self, operator: Operator, x: torch.Tensor, error: RuntimeError) -> Exception:
        """The error of an operator; where the file is for another batch, with that as its reason."""
        batch = self.written.batch
        declared = self.sample
        other = declared is not None and prod(declared) != prod(int(n) for n in x.shape[1:])
        if batch is None or x.ndim == 0 or x.shape[0] == batch or other:
            return error
        words = str(error).splitlines()[0][:120]
        reason = f"{operator.kind} is written for {batch} at a time ({words})"
        hint = "an export whose batch is open (dynamic_axes, dynamic_shapes)"
        return ConversionError(operator.name, reason, hint)

    def enter(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Take samples of this shape, and say so where they are laid out in another way than the file's.

        Values keep their order, but where a sample has the channels at the other end.
        """
        wanted, last = self.written.sample, self.written.channels_last
        if len(self.written.inputs) > 1:
            return ()  # each has a shape of its own, and is taken as the file lays it out
        inside = channels_first if last else _as_is
        self.entry = inside
        size = tuple(n for n in wanted if n is not None)
        moved = _moved(size, last)
        if _fits(shape, wanted) or None in wanted:
            both = last and len(size) > 1 and size[-1] > 1 and shape == size == moved
            return (self._told(shape, "the last axis is taken for the channels"),) if both else ()
        if len(size) == len(shape) > 1 and shape == moved:
            order = (0, len(size), *range(1, len(size)))
            self.entry = _as_is if last else lambda x: x.permute(order)
            return (self._told(shape, "the channels are taken where these have them"),)
        if prod(size) != prod(shape):
            return (self._told(shape, "it is tried on these"),)
        self.entry = lambda x: inside(x.reshape(x.shape[0], *size))
        plain = [n for n in shape if n > 1] == [n for n in size if n > 1]
        how = "their values are taken in the order of the file's layout"
        return () if plain else (self._told(shape, how),)

    @property
    def sample(self) -> tuple[int, ...] | None:
        """The shape of one sample, where the file says it."""
        if len(self.written.inputs) > 1:
            return None
        known = tuple(n for n in self.written.sample if n is not None)
        return known if len(known) == len(self.written.sample) > 0 else None

    def _told(self, shape: tuple[int, ...], how: str) -> str:
        return f"{self.written.path} takes samples of shape {self.written.sample}, these have {shape}: {how}"

    def _store(self, name: str, value: torch.Tensor) -> None:
        holder, key = self._way(name)
        while key in holder._buffers or hasattr(holder, key):
            key += "_"
        if value.is_floating_point():
            holder.register_parameter(key, nn.Parameter(value, requires_grad=False))
        else:
            holder.register_buffer(key, value)
        self.places[name] = (holder, key)

    def _place(self, operator: Operator) -> nn.Module:
        holder, key = self._way(operator.name)
        while key in holder._modules or hasattr(holder, key):
            key += "_"
        leaf = type(operator.kind, (_Leaf,), {})(operator.function)
        holder.add_module(key, leaf)
        return leaf

    def _way(self, name: str) -> tuple[nn.Module, str]:
        """The module in which what has this name stands, and its last word: `layer1.0.conv` as in torch."""
        words = [word if word.isprintable() and word else "_" for word in name[:MAX_NAME].split(".")]
        holder: nn.Module = self
        for word in words[:-1]:
            while not isinstance(holder._modules.get(word), nn.Module) and hasattr(holder, word):
                word += "_"
            if word not in holder._modules:
                holder.add_module(word, nn.Module())
            holder = holder._modules[word]  # type: ignore[assignment]
        return holder, words[-1]


def _fits(shape: tuple[int, ...], wanted: Sizes) -> bool:
    return len(shape) == len(wanted) and all(w in (None, n) for n, w in zip(shape, wanted, strict=True))


def _moved(size: tuple[int, ...], last: bool) -> tuple[int, ...]:
    """The shape with the channels at its other end."""
    return (size[-1], *size[:-1]) if last else (*size[1:], size[0])


def _as_is(x: torch.Tensor) -> torch.Tensor:
    return x


def channels_first(x: torch.Tensor) -> torch.Tensor:
    """Samples of (height, width, channels) as (channels, height, width)."""
    if x.ndim != 4:
        return x
    b, h, w, c = x.shape
    if int(c) == 1 or int(h) * int(w) == 1:  # the same order of values
        return x.reshape(b, c, h, w)
    return x.permute(0, 3, 1, 2)


def with_batch(x: torch.Tensor, target: list[Any], declared: int | None) -> list[Any]:
    """A shape with the number of samples at hand in place of the declared one, which stands first."""
    first = target[0] if target and isinstance(target[0], int) else None
    if declared is None or first != declared or x.ndim == 0:
        return target
    rest = [int(n) for n in target[1:]]
    each = prod(int(n) for n in x.shape[1:])
    return [x.shape[0], *rest] if -1 in rest or prod(rest) == each else target


def expect_inputs(path: str, inputs: Sequence[str]) -> None:
    """Refuse a network without an input."""
    if not inputs:
        raise FileError(path, "it has no input", "a network that computes something of its samples")
