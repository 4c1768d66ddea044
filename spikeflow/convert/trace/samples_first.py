"""Samples first: a network that moves its samples to another axis for a while, as torch's attention does.

A graph node knows one sample alone, so a value has to have its samples as the first axis. Each value is
followed here as axes made of factors, the samples among them; what happens while they stand elsewhere, or are
one axis with the heads, is written anew with them in front: the same operations on the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import prod
from typing import Any

import torch

from spikeflow.convert.trace.atengraph import AtenGraph, AtenNode, Ref, base_name, read_by
from spikeflow.convert.trace.evaluate import constants, tensors_of

Factor = tuple[int, int]  # its number and its size; the samples have the number 0
Axes = tuple[tuple[Factor, ...], ...]

_ORDERS = frozenset(["permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims", "mT"])
_SHAPES = frozenset(["view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze"])
_ELEMENTWISE = frozenset(
    ["contiguous", "clone", "alias", "dropout", "relu", "gelu", "silu", "sigmoid", "tanh"]
    + ["add", "sub", "mul", "div", "neg", "to", "float"]
)


class _Elsewhere(Exception):
    """An operation that cannot be written with its samples in front."""


def samples_first(graph: AtenGraph) -> AtenGraph:
    """The same network with the samples as the first axis of every value; as it was where that cannot be."""
    try:
        flow = _Flow(graph)
        nodes = tuple(flow.take(node) for node in graph.nodes)
        if not flow.moved or any(flow.elsewhere(ref.name) for ref in graph.outputs):
            return graph
        return replace(graph, nodes=nodes)
    except (_Elsewhere, RuntimeError, TypeError, ValueError, IndexError, KeyError):
        return graph  # whose capture says by name what it does not take


@dataclass
class _Flow:
    """The axes of every value so far that depends on the input."""

    graph: AtenGraph

    def __post_init__(self) -> None:
        self.numbers = count(1)
        self.batch = (0, self.graph.input_shapes[0][0])
        shapes = zip(self.graph.inputs, self.graph.input_shapes, strict=True)
        self.axes = {name: self._plain(tuple(shape)) for name, shape in shapes}
        self.moved = False

    def _plain(self, shape: Sequence[int]) -> Axes:
        return ((self.batch,), *(((next(self.numbers), int(n)),) for n in shape[1:]))

    def elsewhere(self, name: str) -> bool:
        """Whether a value has its samples elsewhere than in front."""
        axes = self.axes.get(name)
        return axes is not None and (axes[:1] != ((self.batch,),) or self.batch in sum(axes[1:], ()))

    def own(self, axes: Axes) -> tuple[int, ...]:
        """The shape with the samples in front: an axis of samples alone is gone from its place."""
        kept = (prod(size for number, size in axis if number) for axis in axes if axis != (self.batch,))
        return (self.batch[1], *kept)

    def place(self, axes: Axes, axis: int) -> int:
        """Where an axis stands once the samples are in front."""
        return 1 + sum(a != (self.batch,) for a in axes[:axis])

    def at(self, axes: Axes, axis: int) -> int:
        """The same of an axis that holds no samples, which may be counted from the end."""
        if self.batch in axes[axis]:
            raise _Elsewhere
        return self.place(axes, axis % len(axes))

    def take(self, node: AtenNode) -> AtenNode:
        """The operation, written anew where samples stand elsewhere in what it reads."""
        read = [name for name in read_by(node) if name in self.axes]
        if not read:
            return node
        word = base_name(node.op)
        if not any(map(self.elsewhere, read)):
            self.axes[node.name] = self._of_plain(node, word)
            if not self.elsewhere(node.name):
                return node
        self.moved = True
        for words, write in _WRITERS:
            if word in words:
                return write(self, node)
        raise _Elsewhere

    def _of_plain(self, node: AtenNode, word: str) -> Axes:
        first = node.args[0] if node.args else None
        if isinstance(first, Ref) and first.name in self.axes and word in _ORDERS | _SHAPES:
            axes = self.axes[first.name]
            return self.ordered(node, axes)[0] if word in _ORDERS else self.shaped(node, axes)
        return self._plain(node.shape)

    def ordered(self, node: AtenNode, axes: Axes) -> tuple[Axes, tuple[int, ...]]:
        """The axes in the order that torch gives them, and that order."""
        word, rank = base_name(node.op), len(axes)
        named = torch.empty(tuple(range(2, 2 + rank)), device="meta")
        given = {key: value for key, value in node.kwargs.items() if value is not None}
        turned = named.mT if word == "mT" else getattr(torch, word)(named, *node.args[1:], **given)
        order = tuple(n - 2 for n in turned.shape)
        return tuple(axes[i] for i in order), order

    def shaped(self, node: AtenNode, axes: Axes) -> Axes:
        """The factors under another shape; the samples are never cut."""
        left = [factor for axis in axes for factor in axis if factor[1] != 1 or factor == self.batch]
        made: list[tuple[Factor, ...]] = []
        for size in node.shape:
            axis: list[Factor] = []
            if left[:1] == [self.batch] and size == self.batch[1] == 1:
                axis.append(left.pop(0))
            while prod(n for _, n in axis) < size:
                number, n = left.pop(0)
                room = size // prod(m for _, m in axis)
                if n > room:
                    if number == 0 or room == 1 or n % room:
                        raise _Elsewhere
                    left.insert(0, (next(self.numbers), n // room))
                    number, n = next(self.numbers), room
                axis.append((number, n))
            if prod(n for _, n in axis) != size:
                raise _Elsewhere
            made.append(tuple(axis) or ((next(self.numbers), 1),))
        if left:
            raise _Elsewhere
        return tuple(made)

    # --- operations written anew ---

    def written(self, node: AtenNode, op: str, args: tuple[Any, ...], axes: Axes) -> AtenNode:
        """The operation on values with their samples in front."""
        self.axes[node.name] = axes
        return replace(node, op=op, args=args, kwargs={}, shape=self.own(axes))

    def order(self, node: AtenNode) -> AtenNode:
        axes, order = self.ordered(node, before := self._first(node))
        kept = tuple(self.place(before, i) for i in order if before[i] != (self.batch,))
        return self.written(node, "aten.permute.default", (node.args[0], (0, *kept)), axes)

    def shape(self, node: AtenNode) -> AtenNode:
        axes = self.shaped(node, self._first(node))
        return self.written(node, "aten.reshape.default", (node.args[0], self.own(axes)), axes)

    def select(self, node: AtenNode) -> AtenNode:
        axes, axis = self._first(node), int(node.args[1]) % len(self._first(node))
        args = (node.args[0], self.at(axes, axis), node.args[2])
        return self.written(node, node.op, args, (*axes[:axis], *axes[axis + 1 :]))

    def linear(self, node: AtenNode) -> AtenNode:
        axes = self._first(node)
        if self.batch in axes[-1]:
            raise _Elsewhere
        return self.written(node, node.op, node.args, (*axes[:-1], ((next(self.numbers), node.shape[-1]),)))

    def softmax(self, node: AtenNode) -> AtenNode:
        axes = self._first(node)
        args = (node.args[0], self.at(axes, int(node.args[1])), *node.args[2:])
        return self.written(node, node.op, args, axes)

    def elementwise(self, node: AtenNode) -> AtenNode:
        values = [a for a in node.args if isinstance(a, Ref)]
        moving = [self.axes[a.name] for a in values if a.name in self.axes]
        alike = [[tuple((n == 0, m) for n, m in axis) for axis in axes] for axes in moving]
        if any(other != alike[0] for other in alike) or len(moving) < len(values):
            raise _Elsewhere  # an array beside it may be meant for the axis of the samples
        made = self.written(node, node.op, node.args, moving[0])
        return replace(made, kwargs=node.kwargs)

    def product(self, node: AtenNode) -> AtenNode:
        at = 1 if base_name(node.op) == "baddbmm" else 0
        x, y = (self.axes[a.name] for a in node.args[at : at + 2])
        if len(x) != 3 or [(n == 0, m) for n, m in x[0]] != [(n == 0, m) for n, m in y[0]]:
            raise _Elsewhere
        if any(self.batch in axis for axis in (*x[1:], *y[1:])):
            raise _Elsewhere
        if at and self._constant_shape(node.args[0])[:1] != (1,):
            raise _Elsewhere  # a mask for each sample
        made = self.written(node, node.op, node.args, (x[0], x[1], y[2]))
        return replace(made, op=node.op if at else "aten.matmul.default", kwargs=node.kwargs)

    def matrix(self, node: AtenNode) -> AtenNode:
        """mm and addmm with a constant, as torch takes a linear layer on several axes apart."""
        at = 1 if base_name(node.op) == "addmm" else 0
        x, weight = node.args[at : at + 2]
        axes = self.axes.get(x.name, ()) if isinstance(x, Ref) else ()
        if not axes or self.batch in axes[-1] or not isinstance(weight, Ref) or weight.name in self.axes:
            raise _Elsewhere
        made = self.written(node, node.op, node.args, (*axes[:-1], ((next(self.numbers), node.shape[-1]),)))
        return replace(made, kwargs=node.kwargs)

    def _constant_shape(self, argument: Ref) -> tuple[int, ...]:
        found = {**tensors_of(self.graph), **constants(self.graph)[0]}.get(argument.name)
        return tuple(found.shape) if isinstance(found, torch.Tensor) else ()

    def _first(self, node: AtenNode) -> Axes:
        return self.axes[node.args[0].name]


Writer = Callable[[_Flow, AtenNode], AtenNode]
_WRITERS: Sequence[tuple[frozenset[str], Writer]] = (
    (_ORDERS, _Flow.order),
    (_SHAPES, _Flow.shape),
    (_ELEMENTWISE, _Flow.elementwise),
    (frozenset({"select"}), _Flow.select),
    (frozenset({"linear"}), _Flow.linear),
    (frozenset({"softmax", "_softmax"}), _Flow.softmax),
    (frozenset({"bmm", "baddbmm"}), _Flow.product),
    (frozenset({"mm", "addmm"}), _Flow.matrix),
)
