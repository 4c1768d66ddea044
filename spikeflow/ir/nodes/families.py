"""Families of kinds: what a reader asks for, so that it need not know each kind by its name.

`Move`
    values at other places, none changed: one index map, one gather.
`Passing`
    those of any family that hand on what arrives, moved, late, summed or joined, so that whole numbers stay
    whole and grow by a known factor at most; `Pool` where each value is made of a window of one channel.
`LinearKind`
    sums of its input, as synapses: `Synaptic` kinds store weights (Linear, Conv2d, Sparse), SumPool and Scale
    do not.
`Plain`
    any other kind whose value follows from what arrives in this step.
`Joint`
    kinds that join values otherwise than by a sum, and may remember something of the steps before.

Input, Poisson and Population stand for themselves: a reader has to know what enters and what a neuron is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Self

import numpy as np

from spikeflow.errors import ShapeError
from spikeflow.frozen import Frozen
from spikeflow.ir.arrays import Array, Quantised, Weight, weight_values
from spikeflow.ir.nodes.base import Shape
from spikeflow.ir.plastic import Plastic

Past = Callable[[int], Array]  # what arrived at a node so many steps ago, (B, *in_shape)


class Passing(Frozen):
    """Family: what it hands on is made of what arrives alone; of whole numbers it makes whole numbers."""

    @property
    def growth(self) -> int:
        """What it hands on lies within so many times the interval of what arrives, 0 included."""
        raise NotImplementedError


class Pool(Passing):
    """Family: each value is made of a window of one channel's values."""

    def carries(self, factor: Array) -> bool:
        """Whether factors of what arrives, one a channel, are the same factors of what it hands on."""
        return False


class Move(Passing):
    """Family: values at other places, none changed; 0 where none lies. Each value handed on is one that
    arrived.
    """

    @property
    def growth(self) -> int:
        return 1

    def moved(self, arrays: Sequence[Array], fill: int | None) -> Array:
        """The arrays of all ports, moved: `fill` where no value lies, or where it is None what the edge
        holds.

        It is the meaning of the kind, on any arrays of the ports' shapes: indices, factors, bounds.
        """
        raise NotImplementedError

    def index_map(self, shapes: Sequence[Shape]) -> Array:
        """For each value handed on, in C order, which one it is; -1 where it is 0.

        Arriving values are numbered in C order, those of the first port first; int32, ``(elements,)``.
        """
        ends = np.cumsum([prod(shape) for shape in shapes]).tolist()
        places = [
            np.arange(end - prod(shape), end, dtype=np.int32).reshape(shape)
            for end, shape in zip(ends, shapes, strict=True)
        ]
        return np.ascontiguousarray(self.moved(places, -1)).reshape(-1)

    def keeps_order(self, shapes: Sequence[Shape]) -> bool:
        """Whether it hands on all that arrives in the order in which it arrives: nothing changes but the
        shape.
        """
        index = self.index_map(shapes)
        return len(index) == sum(map(prod, shapes)) and bool((index == np.arange(len(index))).all())


def gathered(arriving: Sequence[Array], index: Array) -> Array:
    """The values ``(B, elements)`` of an index map, from those of the ports ``(B, *shape)``."""
    flat = np.concatenate([x.reshape(len(x), -1) for x in arriving], axis=1)
    return np.where(index >= 0, flat[:, index], flat.dtype.type(0))


@dataclass(frozen=True, eq=False)
class Synapses:
    """Synapses one by one, in any order; those of weight 0 are left out.

    Parameters
    ----------
    source, target : int32, ``(synapses,)``, C-order indices.
    weight : float32 or int32, ``(synapses,)``.
    delay : int32, ``(synapses,)``, of the node itself, or None.
    """

    source: Array
    target: Array
    weight: Array
    delay: Array | None = None


class LinearKind(Frozen):
    """Family: each target is a sum of sources times weights, which are known before anything runs."""

    def synapses(self, in_shape: Shape, out_shape: Shape) -> Synapses:
        """All of them, without a bias."""
        raise NotImplementedError


class Synaptic(LinearKind):
    """Family: kinds that store weights and whose synapses are counted.

    Weights are stored in rows and columns: a row serves a target, or all targets of a channel; a column a
    source, or all sources of a channel. A bias is one number for each row.
    """

    weight: Weight
    bias: Array | None
    exponent: int
    delays: Array | None = None  # of kinds that have any
    plastic: Plastic | None = None  # of kinds that can learn

    @property
    def rows(self) -> int:
        """Targets, or channels of them."""
        raise NotImplementedError

    @property
    def columns(self) -> int:
        """Sources, or channels of them."""
        raise NotImplementedError

    def sums(self, past: Past, out_shape: Shape) -> Array:
        """What it hands on, ``(B, *out_shape)``, in the normative order.

        A sum starts from +0 and adds value x weight, each product rounded before it is added, over the
        sources in C order (channel, y, x), oldest emission first; the bias comes last. Sources that are 0 in
        the whole batch are passed over, which changes no bit. Integer sums are exact in any order.
        """
        raise NotImplementedError

    def fan_out(self, in_shape: Shape, out_shape: Shape) -> Array:
        """The number of synapses of each source, ``in_shape``; weights of 0 count."""
        raise NotImplementedError

    def connections(self, in_shape: Shape, out_shape: Shape) -> int:
        """The pairs of source and target that it joins; weights of 0 count."""
        return self.stored

    @property
    def stored(self) -> int:
        """How many synapses it stores; a kernel's once."""
        return prod(self.weight.shape)

    def over_rows(self, values: Array) -> Array:
        """One number a row, ``(rows,)``, as an array that broadcasts to the stored weights."""
        raise NotImplementedError

    def over_columns(self, values: Array) -> Array:
        """One number a column, ``(columns,)``, as an array that broadcasts to the stored weights."""
        raise NotImplementedError

    @property
    def stored_weights(self) -> Array:
        """One number for each stored synapse, also where all are the same."""
        return weight_values(self.weight)

    def row_sums(self, values: Array) -> Array:
        """The sum over each row, ``(rows,)``, of one number for each stored weight."""
        return values.reshape(self.rows, -1).sum(axis=1)

    def packed(self, values: Array) -> Array:
        """One number for each stored synapse, in order, as `weight` holds them."""
        return values.reshape(self.weight.shape)

    def with_weights(self, weight: Weight, **changed: Any) -> Self:
        """The node with other stored weights: one for each synapse, as `packed` gives them."""
        return replace(self, weight=weight, **changed)  # type: ignore[type-var]

    def alike(self, out_shape: Shape) -> Array | None:
        """Targets of one number listen to the same sources, int32 ``(targets,)``; None where the kind
        cannot tell.
        """
        return None

    @property
    def reach(self) -> int:
        """How many steps back it reads what arrives."""
        return 0 if self.delays is None else int(self.delays.max(initial=0))

    def reach_of_sources(self) -> Array:
        """For how many steps the value of each source is still read, ``(columns,)``; asked where `reach`
        is above 0.
        """
        raise NotImplementedError

    def zeros(self, x: Array, shape: Shape) -> Array:
        """Sums of 0 for a batch like x, in the numbers of the weights."""
        return np.zeros((len(x), *shape), np.int64 if isinstance(self.weight, Quantised) else np.float32)

    def with_bias(self, total: Array) -> Array:
        """The sums ``(B, *out_shape)`` with the bias added last."""
        if self.bias is None:
            return total
        shape = total.shape[1:]
        return total + self.bias.reshape(
            shape if prod(shape) == self.rows else (-1, *(1,) * (len(shape) - 1))
        )


class Joining(Synaptic):
    """Kinds of synapses between any source and any target, whose shapes they say themselves."""

    in_shape: Shape
    out_shape: Shape

    @property
    def rows(self) -> int:
        """Targets."""
        return prod(self.out_shape)

    @property
    def columns(self) -> int:
        """Sources."""
        return prod(self.in_shape)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        """`out_shape`; ShapeError where the source has another one than `in_shape`."""
        if shapes[0] != self.in_shape:
            raise ShapeError(name, f"an input of shape {shapes[0]}", self.in_shape)
        return self.out_shape


class Plain(Frozen):
    """Family: the value follows from what arrives in this step, elementwise or joining neighbours; no
    weights.
    """

    def value(self, arriving: Sequence[Array]) -> Array:
        """What it hands on, from what arrives at each port, ``(B, *shape)``."""
        raise NotImplementedError


class Joint(Frozen):
    """Family: values joined otherwise than by a sum; it may remember something of the steps before."""

    @property
    def counts(self) -> bool:
        """Whether it adds up what arrives over the steps, so that only whole numbers will do."""
        return False

    def memory(self, shapes: Sequence[Shape]) -> Mapping[str, Shape]:
        """What it remembers from step to step, by name, with its shape; 0 before the first step."""
        raise NotImplementedError

    def value(self, arriving: Sequence[Array], memory: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """What it hands on, from what arrives at each port, ``(B, *shape)``; and what it remembers then."""
        raise NotImplementedError

    def links(self, shapes: Sequence[Shape]) -> int:
        """The numbers that say which values it joins: what it takes to keep them."""
        raise NotImplementedError

    def lowered(self, shapes: Sequence[Shape]) -> tuple[str, tuple[Array, ...], tuple[int, ...]]:
        """Its word in ``src/engine/joint.hpp``, and the lists (int32) and numbers that its function takes."""
        raise NotImplementedError
