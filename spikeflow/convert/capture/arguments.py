"""Arguments of torch's operations: by position or name, and one number for each axis where one is given."""

from __future__ import annotations

from typing import Any

from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.nodes import Shape
from spikeflow.typing import Array

Parameters = tuple[Array, Array | None]  # weight and bias


def argument(node: AtenNode, index: int, name: str, default: Any = None) -> Any:
    """An argument by position, by name, or its default."""
    return node.args[index] if index < len(node.args) else node.kwargs.get(name, default)


def given(sizes: Any, axes: int) -> tuple[Any, ...]:
    """What was said for each axis; one number is said for all."""
    values = tuple(sizes) if isinstance(sizes, tuple | list) else (sizes,)
    return values * axes if len(values) == 1 else values


def each(sizes: Any, axes: int) -> Shape:
    """One whole number for each axis."""
    return tuple(int(n) for n in given(sizes, axes))


def axes_of(op: str) -> int:
    """How many axes of a channel an operation is for: 2 of ``aten.avg_pool2d.default``."""
    return next(axes for axes in (1, 2, 3) if f"{axes}d" in op)
