"""Where values enter and leave a graph: Input, Output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikeflow.errors import GraphError
from spikeflow.frozen import Frozen
from spikeflow.ir.arrays import Array
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.nodes.base import Shape, check_shape
from spikeflow.ir.nodes.families import Passing, Plain


@dataclass(frozen=True, eq=False)
class Input(Frozen):
    """Where data enters: `spikes`, or a `current` for each step.

    At stage fixed a current is an integer of `format` (signed 8 bits on the chips).
    """

    shape: Shape
    kind: str = "spikes"
    format: Fixed | None = None
    ports = ()

    def check(self, name: str) -> None:
        check_shape(name, self.shape)
        if self.kind not in ("spikes", "current"):
            raise GraphError(name, f"input kind {self.kind!r} is neither 'spikes' nor 'current'")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return self.shape


@dataclass(frozen=True, eq=False)
class Output(Plain, Passing):
    """Where results leave: the value of its source is recorded at every step."""

    ports = ("in",)

    def check(self, name: str) -> None:
        pass

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return shapes[0]

    @property
    def growth(self) -> int:
        return 1

    def value(self, arriving: Sequence[Array]) -> Array:
        return arriving[0]
