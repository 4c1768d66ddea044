"""Delay: what arrives is handed on some steps later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikeflow.errors import GraphError
from spikeflow.ir.arrays import Array
from spikeflow.ir.limits import LONGEST_DELAY
from spikeflow.ir.nodes.base import Shape, as_int, set_frozen
from spikeflow.ir.nodes.families import Passing, Plain


@dataclass(frozen=True, eq=False)
class Delay(Plain, Passing):
    """y(t) = x(t - steps), and 0 before: as if each of its edges took so many steps more (``Graph.lag``).

    Not at stage ann, where nothing has a time.
    """

    steps: int
    ports = ("in",)

    def __post_init__(self) -> None:
        set_frozen(self, "steps", as_int(self.steps))

    def check(self, name: str) -> None:
        if type(self.steps) is not int or not 1 <= self.steps <= LONGEST_DELAY:
            hint = f"a whole number, 1 to {LONGEST_DELAY}"
            raise GraphError(name, f"a delay of {self.steps!r} steps", hint)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return shapes[0]

    @property
    def growth(self) -> int:
        return 1

    def value(self, arriving: Sequence[Array]) -> Array:
        return arriving[0]
