"""What a transform is: a frozen callable with a name for everything that it depends on; and several in a
row.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

Step = Callable[[Any, int], Any]  # (events or what the step before made of them, draw)
STABLE = "a frozen dataclass, in a module, whose fields are numbers, words, tuples or such dataclasses"


class Transform(ABC):
    """A frozen dataclass that turns events into something else; the same input, fields and `draw` give the
    same result.

    ``draw`` names the sample and the epoch (any whole number from 0). A transform that draws nothing ignores
    it.
    """

    @abstractmethod
    def __call__(self, events: Events, draw: int = 0) -> Any:
        """What it makes of these events."""

    def key(self) -> str:
        """Its name and fields as text, the same in every process: equal keys mean equal results."""
        return transform_key(self)


class EventTransform(Transform):
    """Events to events. Time stays in order, pixels stay on the sensor, what a reader dropped stays counted.

    Where counting events in pixels and steps commutes with the transform there is a second form,
    ``dense(frames, draw=0, dt_us=1)``, for counts ``(T, P, H, W)`` in steps of `dt_us`: the counts of the
    events transformed are the transformed counts of the events, where both are counted from time 0
    (``Frames(start="zero")``; a transform may leave out the first event).
    """

    @abstractmethod
    def __call__(self, events: Events, draw: int = 0) -> Events:
        """The transformed events."""


@dataclass(frozen=True)
class Compose(Transform):
    """Transforms one after the other, each with the same draw.

    Their random numbers are independent, unless two of them are equal in everything, seed included: then both
    draw the same.
    """

    parts: tuple[Step, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        for part in self.parts:
            if not callable(part):
                raise DataError("compose", f"a {type(part).__name__}", "callables of (events, draw)")

    def __call__(self, events: Any, draw: int = 0) -> Any:
        for part in self.parts:
            events = part(events, draw)
        return events

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The dense forms one after the other.

        Raises
        ------
        DataError
            Where a part has none.
        """
        for part in self.parts:
            form = getattr(part, "dense", None)
            if form is None:
                raise DataError("compose", f"{type(part).__name__}, without a dense form", "parts with one")
            frames = form(frames, draw, dt_us)
        return frames


def transform_key(transform: object) -> str:
    """Name and fields of a transform as text: the same in every process, different for different transforms.

    Equal transforms have equal keys: ``1``, ``1.0`` and ``True`` are written alike.

    Raises
    ------
    DataError
        For what has no stable name: a lambda, a function, an object that is no frozen dataclass, or a class
        defined in a function or a script.
    """
    if not is_dataclass(transform) or isinstance(transform, type):
        raise DataError("key of a transform", _kind(transform), STABLE)
    cls = type(transform)
    if not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise DataError("key of a transform", f"{_kind(transform)}, which is not frozen", STABLE)
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        raise DataError("key of a transform", f"{_kind(transform)} of a script or a function", STABLE)
    said = ",".join(f"{f.name}={_word(getattr(transform, f.name))}" for f in fields(transform))
    return f"{cls.__module__}.{cls.__qualname__}({said})"


def _word(value: object) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return "none"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bool | int):
        return str(int(value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, tuple):
        return f"({','.join(map(_word, value))})"
    return transform_key(value)


def _number(value: float) -> str:
    if math.isnan(value):
        raise DataError("key of a transform", "a field that is not a number", STABLE)
    return str(int(value)) if value.is_integer() else repr(value)


def _kind(value: object) -> str:
    name = getattr(value, "__qualname__", None)
    return f"the function {name}" if name else f"a {type(value).__qualname__}"
