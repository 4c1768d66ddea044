"""Events: what a sensor recorded, in microseconds. Spikes: sparse records of a batch, in steps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from mmap import mmap
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError
from spikeflow.typing import Array


def _record(x: npt.ArrayLike, dtype: npt.DTypeLike) -> Array:
    array = np.array(x, dtype=dtype, order="C")
    array.setflags(write=False)
    return array


def _numbered(name: str, x: npt.ArrayLike) -> Array:
    """A column of whole numbers; numpy would cut 2.5 to 2 and wrap 2**32 to 0 without a word."""
    given = np.asarray(x)
    with np.errstate(invalid="ignore"):
        column = _record(given, np.int32)
    if given.dtype != column.dtype and not np.array_equal(column, given):
        got = f"numbers of {given.dtype} that are no whole ones of 32 bits"
        raise DataError(f"spikes: {name}", got, "whole numbers", "np.rint(times / dt).astype(int)")
    return column


STRUCTURED = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
COLUMNS = (
    ("t", np.dtype(np.int64)),
    ("x", np.dtype(np.uint16)),
    ("y", np.dtype(np.uint16)),
    ("p", np.dtype(np.uint8)),
)


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one recording, as its file holds them: not shifted, not flipped.

    Arrays that can be written to are copied, so that what was checked stays as it is; read-only ones of the
    right type are taken as they are. Columns, not one structured array: a decoder fills them and every later
    step reads them one at a time (`structured` makes the other form).

    Parameters
    ----------
    t : int64, ``(events,)``, microseconds, never decreasing.
    x, y : uint16, ``(events,)``, pixels; a sensor without rows (a cochlea, a skin) has y = 0.
    p : uint8, ``(events,)``; 1 is on, 0 is off.
    width, height : of the sensor, or None where neither file nor user says it.
    dropped : for each reason, how many events a reader left out; empty where it kept all.

    Raises
    ------
    DataError
        Where lengths differ, times decrease, p is not 0 or 1, or a pixel lies outside the sensor.
    """

    t: Array
    x: Array
    y: Array
    p: Array
    width: int | None = None
    height: int | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, dtype in COLUMNS:
            object.__setattr__(self, name, _column(name, getattr(self, name), dtype))
        object.__setattr__(
            self, "dropped", MappingProxyType({k: int(v) for k, v in self.dropped.items() if v})
        )
        self._check()

    def _check(self) -> None:
        for name, _ in COLUMNS:
            if getattr(self, name).shape != self.t.shape or self.t.ndim != 1:
                raise DataError(f"events: {name}", getattr(self, name).shape, f"({self.t.size},) as t")
        if not self.t.size:
            return
        if (self.t[1:] < self.t[:-1]).any():
            raise DataError("events: t", "times that decrease", "times in order", "Events.sorted(...)")
        if self.p.max() > 1:
            raise DataError("events: p", int(self.p.max()), "0 or 1")
        for name, limit in (("x", self.width), ("y", self.height)):
            if limit is not None and (most := int(getattr(self, name).max())) >= limit:
                raise DataError(f"events: {name}", most, f"0 to {limit - 1} on this sensor")

    @staticmethod
    def of_decoder(
        columns: tuple[Array, Array, Array, Array],
        width: int | None,
        height: int | None,
        dropped: Mapping[str, int],
    ) -> Events:
        """Events of t, x, y, p as a compiled decoder gives them: it has checked all that `Events` checks."""
        events = object.__new__(Events)
        for (name, _), column in zip(COLUMNS, columns, strict=True):
            column.setflags(write=False)
            object.__setattr__(events, name, column)
        object.__setattr__(events, "width", width)
        object.__setattr__(events, "height", height)
        object.__setattr__(events, "dropped", MappingProxyType({k: int(v) for k, v in dropped.items() if v}))
        return events

    def __len__(self) -> int:
        return int(self.t.size)

    def __reduce__(self) -> tuple[type[Events], tuple[Any, ...]]:
        # a read-only view of `dropped` cannot be sent to another process; workers of a loader need it
        return Events, (self.t, self.x, self.y, self.p, self.width, self.height, dict(self.dropped))

    def __getitem__(self, chosen: slice | Array) -> Events:
        """The events of a slice or a mask, in order."""
        columns = ((name, getattr(self, name)[chosen]) for name, _ in COLUMNS)
        return replace(self, **{name: frozen(column) for name, column in columns})

    @staticmethod
    def sorted(t: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike, p: npt.ArrayLike, **rest: Any) -> Events:
        """Events of columns in any order of time; equal times keep their order."""
        order = np.argsort(np.asarray(t), kind="stable")
        t, x, y, p = (frozen(np.asarray(column)[order]) for column in (t, x, y, p))
        return Events(t, x, y, p, **rest)

    def between(self, start_us: int, stop_us: int) -> Events:
        """The events with ``start_us <= t < stop_us``."""
        first, last = np.searchsorted(self.t, [start_us, stop_us])
        return self[slice(int(first), int(last))]

    @property
    def duration_us(self) -> int:
        """Time from the first event to the last."""
        return int(self.t[-1] - self.t[0]) if len(self) else 0

    def structured(self) -> Array:
        """One array of records ``t, x, y, p``, the form that tonic's transforms take."""
        out = np.empty(len(self), STRUCTURED)
        for name, _ in COLUMNS:
            out[name] = getattr(self, name)
        return out

    @staticmethod
    def from_structured(array: Array, width: int | None = None, height: int | None = None) -> Events:
        """Events of an array with the fields t, x, p and, where the sensor has rows, y.

        Raises
        ------
        DataError
            Where a field is missing, or as `Events` does.
        """
        names = array.dtype.names or ()
        missing = [name for name in ("t", "x", "p") if name not in names]
        if missing:
            raise DataError("structured events", f"the fields {names}", f"also {', '.join(missing)}")
        y = array["y"] if "y" in names else np.zeros(array.shape, np.uint16)
        return Events(array["t"], array["x"], y, array["p"], width, height)

    @property
    def sha256(self) -> str:
        """Of all t (int64), then all x, all y (uint16), all p (uint8), little-endian: any reader can
        compare.
        """
        digest = hashlib.sha256()
        for name, dtype in COLUMNS:
            digest.update(getattr(self, name).astype(dtype.newbyteorder("<"), copy=False).data)
        return digest.hexdigest()


def _column(name: str, x: npt.ArrayLike, dtype: np.dtype[Any]) -> Array:
    array = np.asarray(x)
    if array.dtype != dtype:
        if array.dtype.kind not in "iub":
            raise DataError(f"events: {name}", f"type {array.dtype}", "whole numbers")
        info = np.iinfo(dtype)
        if array.size and (int(array.min()) < info.min or int(array.max()) > info.max):
            raise DataError(f"events: {name}", f"{array.min()} to {array.max()}", f"{info.min} to {info.max}")
        array = array.astype(dtype)
        array.setflags(write=False)
    array = np.ascontiguousarray(array) if _cannot_change(array) else np.array(array, order="C")
    array = array.view()
    array.setflags(write=False)
    return array


def frozen(array: Array) -> Array:
    """An array that no one else holds, made read-only, so that `Events` takes it without a copy."""
    array.setflags(write=False)
    return array


def _cannot_change(array: Array) -> bool:
    """Whether an array and all that it is a view of are read-only, and no file lies behind it."""
    held: Any = array
    while isinstance(held, np.ndarray):
        if held.flags.writeable:
            return False
        held = held.base
    behind = held.obj if isinstance(held, memoryview) else held  # a decoder's columns are views of its memory
    return not isinstance(behind, (mmap, bytearray))


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of a batch, sorted by (sample, step, neuron).

    Parameters
    ----------
    sample, step, neuron : int32, ``(spikes,)``; neuron is the C-order index into `shape`.
    value : float32, ``(spikes,)``; 1 unless the source is graded.
    samples, steps : extents; a step counts from 0.
    shape : of one sample's neurons.
    integers : values are int64 instead, so that those of stage fixed stay exact.

    Raises
    ------
    DataError
        Where a record lies outside the extents, is not sorted, or a value is not finite, or an integer beyond
        float32.
    """

    sample: Array
    step: Array
    neuron: Array
    value: Array
    samples: int
    steps: int
    shape: tuple[int, ...]
    integers: bool = False

    def __post_init__(self) -> None:
        given = np.asarray(self.value)
        for name in ("sample", "step", "neuron"):
            object.__setattr__(self, name, _numbered(name, getattr(self, name)))
        object.__setattr__(self, "value", _record(given, np.int64 if self.integers else np.float32))
        if (given.dtype.kind in "iu" or self.integers) and (self.value != given).any():
            raise DataError("spikes: value", "numbers that change their value", "int64", "integers=True")
        self._check()

    def _check(self) -> None:
        limits = (("sample", self.samples), ("step", self.steps), ("neuron", prod(self.shape)))
        for name, limit in limits:
            array = getattr(self, name)
            if array.shape != self.value.shape or array.ndim != 1:
                raise DataError(f"spikes: {name}", array.shape, self.value.shape)
            if array.size and (array.min() < 0 or array.max() >= limit):
                raise DataError(f"spikes: {name}", f"{array.min()} to {array.max()}", f"0 to {limit - 1}")
        if not np.isfinite(self.value).all():
            raise DataError("spikes: value", "NaN or infinity", "finite values")
        order = self._position()
        if (np.diff(order) <= 0).any():
            raise DataError(
                "spikes", "records out of order or twice", "sorted by (sample, step, neuron), each once"
            )

    def _position(self) -> Array:
        at = self.sample.astype(np.int64) * self.steps + self.step
        return at * prod(self.shape) + self.neuron

    @property
    def count(self) -> int:
        """Number of records."""
        return int(self.value.size)

    def dense(self) -> Array:
        """The values, float32 (or int64), of shape ``(T, B, *shape)``."""
        out = np.zeros((self.steps, self.samples, prod(self.shape)), self.value.dtype)
        out[self.step, self.sample, self.neuron] = self.value
        return out.reshape((self.steps, self.samples, *self.shape))

    @staticmethod
    def from_dense(x: npt.ArrayLike, integers: bool = False) -> Spikes:
        """The non-zero values of a dense ``(T, B, *shape)`` array; with `integers` they stay int64."""
        array = np.asarray(x)
        steps, samples = array.shape[:2]
        flat = array.reshape(steps, samples, prod(array.shape[2:])).transpose(1, 0, 2)
        sample, step, neuron = np.nonzero(flat)
        values, shape = flat[sample, step, neuron], tuple(array.shape[2:])
        return Spikes(sample, step, neuron, values, samples, steps, shape, integers)
