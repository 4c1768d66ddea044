"""Every kind of node: its fields, its ports, its shape rule, its checks.

Shapes are without batch and time. A kind is declared here only once its readers know it: ``sim.reference``,
``sim.lower``, ``convert`` and ``ir.file``; ``tests/ir/test_nodes.py`` names the missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.frozen import Frozen
from spikeflow.ir.arrays import Array, Weight, check_finite, check_weight, frozen, frozen_weight
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.program import Program

Shape = tuple[int, ...]
Pair = tuple[int, int]
MAX_ELEMENTS = 2**31 - 1  # indices are int32 in the engine


def _freeze(node: object, name: str, value: object) -> None:
    object.__setattr__(node, name, value)


def check_shape(name: str, shape: Shape) -> None:
    """Raise ShapeError for more dimensions or elements than anything here can index."""
    if len(shape) > 8 or any(n < 1 for n in shape) or prod(shape) > MAX_ELEMENTS:
        raise ShapeError(name, shape, f"at most 8 positive dimensions and {MAX_ELEMENTS} elements")


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
class Output(Frozen):
    """Where results leave: the value of its source is recorded at every step."""

    ports = ("in",)

    def check(self, name: str) -> None:
        pass

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return shapes[0]


def _check_bias(name: str, bias: Array | None, out: int) -> None:
    if bias is not None:
        if bias.shape != (out,):
            raise ShapeError(name, f"a bias of shape {bias.shape}", (out,))
        check_finite(name, "the bias", bias)


def _check_delays(name: str, delays: Array | None, allowed: tuple[Shape, ...]) -> None:
    if delays is not None and (delays.shape not in allowed or delays.min(initial=0) < 0):
        raise ShapeError(name, f"delays of shape {delays.shape}", f"whole steps >= 0 of a shape in {allowed}")


@dataclass(frozen=True, eq=False)
class Linear(Frozen):
    """y = W x + b, x read in C order.

    Parameters
    ----------
    weight : ``(out, in)``.
    bias : ``(out,)``, added last.
    delays : steps, one per source ``(in,)`` or per synapse ``(out, in)``; within the node, after the edge's.
    exponent : stage fixed: the whole sum is shifted by it (left if positive, floor to the right if negative),
        once for each delay slot.
    """

    weight: Weight
    bias: Array | None = None
    delays: Array | None = None
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        _freeze(self, "weight", frozen_weight(self.weight))
        _freeze(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))
        _freeze(self, "delays", None if self.delays is None else frozen(self.delays, np.int32))

    def check(self, name: str) -> None:
        if len(self.weight.shape) != 2:
            raise ShapeError(name, f"a weight of shape {self.weight.shape}", "(out, in)")
        check_weight(name, self.weight)
        _check_bias(name, self.bias, self.weight.shape[0])
        _check_delays(name, self.delays, (self.weight.shape[1:], self.weight.shape))

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if prod(shapes[0]) != self.weight.shape[1]:
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{self.weight.shape[1]} elements")
        return (self.weight.shape[0],)


@dataclass(frozen=True, eq=False)
class Conv2d(Frozen):
    """Two-dimensional correlation of ``(C, H, W)`` with a kernel, zeros outside, plus bias.

    Parameters
    ----------
    weight : ``(out, in / groups, kernel_y, kernel_x)``.
    padding : ``((top, bottom), (left, right))``.
    """

    weight: Weight
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        _freeze(self, "weight", frozen_weight(self.weight))
        _freeze(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))

    def check(self, name: str) -> None:
        if len(self.weight.shape) != 4:
            raise ShapeError(name, f"a weight of shape {self.weight.shape}", "(out, in / groups, y, x)")
        check_weight(name, self.weight)
        _check_bias(name, self.bias, self.weight.shape[0])
        bad = min(self.stride + self.dilation) < 1 or min(self.padding[0] + self.padding[1]) < 0
        if bad or self.groups < 1 or self.weight.shape[0] % self.groups:
            raise GraphError(
                name,
                "stride, dilation and groups are at least 1, padding at least 0, and groups divide the channels",
            )

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        shape, (out, per_group, ky, kx) = shapes[0], self.weight.shape
        if len(shape) != 3 or shape[0] != per_group * self.groups:
            raise ShapeError(
                name, f"an input of shape {shape}", f"({per_group * self.groups}, height, width)"
            )
        size = []
        for axis, kernel in enumerate((ky, kx)):
            free = shape[1 + axis] + sum(self.padding[axis]) - self.dilation[axis] * (kernel - 1) - 1
            if free < 0:
                raise ShapeError(name, f"an input of shape {shape}", f"at least the kernel {(ky, kx)}")
            size.append(free // self.stride[axis] + 1)
        return (out, size[0], size[1])


@dataclass(frozen=True, eq=False)
class Sparse(Frozen):
    """y[j] = sum over the rows of the sources: synapses listed by source, in stored order.

    Parameters
    ----------
    indptr : ``(sources + 1,)``; row i is the synapses indptr[i] to indptr[i + 1].
    targets : ``(synapses,)``, C-order index of the target.
    weight : ``(synapses,)``, or ``(1,)`` for one constant.
    in_shape, out_shape : shapes of source and target.
    delays : steps, one per source or one per synapse.
    """

    indptr: Array
    targets: Array
    weight: Weight
    in_shape: Shape
    out_shape: Shape
    bias: Array | None = None
    delays: Array | None = None
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        _freeze(self, "indptr", frozen(self.indptr, np.int64))
        _freeze(self, "targets", frozen(self.targets, np.int32))
        _freeze(self, "weight", frozen_weight(self.weight))
        _freeze(self, "bias", None if self.bias is None else frozen(self.bias, np.float32))
        _freeze(self, "delays", None if self.delays is None else frozen(self.delays, np.int32))

    def check(self, name: str) -> None:
        check_shape(name, self.in_shape)
        check_shape(name, self.out_shape)
        sources, out = prod(self.in_shape), prod(self.out_shape)
        if self.indptr.shape != (sources + 1,) or self.indptr[0] != 0 or (np.diff(self.indptr) < 0).any():
            raise GraphError(name, f"row pointers are not {sources + 1} growing numbers from 0")
        count = int(self.indptr[-1])
        if self.targets.shape != (count,) or self.weight.shape not in ((count,), (1,)):
            raise ShapeError(name, f"{self.targets.shape} targets, weights {self.weight.shape}", (count,))
        if count and (self.targets.min() < 0 or self.targets.max() >= out):
            raise GraphError(name, f"a target lies outside 0 to {out - 1}")
        check_weight(name, self.weight)
        _check_bias(name, self.bias, out)
        _check_delays(name, self.delays, ((sources,), (count,)))

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if shapes[0] != self.in_shape:
            raise ShapeError(name, f"an input of shape {shapes[0]}", self.in_shape)
        return self.out_shape


@dataclass(frozen=True, eq=False)
class SumPool(Frozen):
    """Sum over windows of ``(C, H, W)``; an average is this times 1 / (ky kx), folded into the next weights."""

    kernel: Pair
    stride: Pair
    ports = ("in",)

    def check(self, name: str) -> None:
        if min(self.kernel + self.stride) < 1:
            raise GraphError(name, "kernel and stride are at least 1")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        shape = shapes[0]
        if len(shape) != 3 or shape[1] < self.kernel[0] or shape[2] < self.kernel[1]:
            raise ShapeError(
                name, f"an input of shape {shape}", f"(channels, height, width) of at least {self.kernel}"
            )
        return (
            shape[0],
            (shape[1] - self.kernel[0]) // self.stride[0] + 1,
            (shape[2] - self.kernel[1]) // self.stride[1] + 1,
        )


@dataclass(frozen=True, eq=False)
class Flatten(Frozen):
    """All dimensions made one, in C order."""

    ports = ("in",)

    def check(self, name: str) -> None:
        pass

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return (prod(shapes[0]),)


@dataclass(frozen=True, eq=False)
class Slice(Frozen):
    """x[start:stop:step] along every axis; 0 <= start < stop, step >= 1."""

    start: Shape
    stop: Shape
    step: Shape
    ports = ("in",)

    def check(self, name: str) -> None:
        if not len(self.start) == len(self.stop) == len(self.step):
            raise GraphError(name, "start, stop and step differ in length")
        if any(not 0 <= a < b or s < 1 for a, b, s in zip(self.start, self.stop, self.step, strict=True)):
            raise GraphError(name, f"slice {self.start}:{self.stop}:{self.step} is empty or runs backwards")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if len(shapes[0]) != len(self.start) or any(b > n for b, n in zip(self.stop, shapes[0], strict=True)):
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"at least {self.stop}")
        return tuple(-(-(b - a) // s) for a, b, s in zip(self.start, self.stop, self.step, strict=True))


@dataclass(frozen=True, eq=False)
class Pad(Frozen):
    """Zeros before and after, along every axis."""

    before: Shape
    after: Shape
    ports = ("in",)

    def check(self, name: str) -> None:
        if len(self.before) != len(self.after) or min(self.before + self.after, default=0) < 0:
            raise GraphError(name, f"padding {self.before}, {self.after}")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if len(shapes[0]) != len(self.before):
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{len(self.before)} dimensions")
        shape = tuple(n + a + b for n, a, b in zip(shapes[0], self.before, self.after, strict=True))
        check_shape(name, shape)
        return shape


@dataclass(frozen=True, eq=False)
class Concat(Frozen):
    """Its ports ``in0``, ``in1``, ... one after the other along `axis`."""

    axis: int
    count: int

    @cached_property
    def ports(self) -> tuple[str, ...]:
        """The ports, in order."""
        return tuple(f"in{i}" for i in range(self.count))

    def check(self, name: str) -> None:
        if not 1 <= self.count <= 4096 or self.axis < 0:
            raise GraphError(name, f"concatenation of {self.count} along axis {self.axis}")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        axis, first = self.axis, shapes[0]
        rests = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
        if axis >= len(first) or len(rests) != 1 or len({len(s) for s in shapes}) != 1:
            raise ShapeError(name, shapes, f"shapes equal but for axis {axis}")
        return first[:axis] + (sum(s[axis] for s in shapes),) + first[axis + 1 :]


@dataclass(frozen=True, eq=False)
class Scale(Frozen):
    """y = factor x, elementwise; `factor` broadcasts to the source's shape."""

    factor: Weight
    exponent: int = 0
    ports = ("in",)

    def __post_init__(self) -> None:
        _freeze(self, "factor", frozen_weight(self.factor))

    def check(self, name: str) -> None:
        check_weight(name, self.factor)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        _check_broadcast(name, "the factor", self.factor.shape, shapes[0])
        return shapes[0]


@dataclass(frozen=True, eq=False)
class BatchNorm(Frozen):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta for each channel (axis 0). Stage ann only."""

    mean: Array
    variance: Array
    gamma: Array
    beta: Array
    epsilon: float = 1e-5
    ports = ("in",)

    def __post_init__(self) -> None:
        for name in ("mean", "variance", "gamma", "beta"):
            _freeze(self, name, frozen(getattr(self, name), np.float32))

    def check(self, name: str) -> None:
        for what in ("mean", "variance", "gamma", "beta"):
            array = getattr(self, what)
            if array.ndim != 1 or array.shape != self.mean.shape:
                raise ShapeError(name, f"{what} of shape {array.shape}", self.mean.shape)
            check_finite(name, what, array)
        if self.variance.min(initial=0) < 0 or not 0 < self.epsilon < 1e6:
            raise GraphError(name, "a variance below 0 or an epsilon that is not positive")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if shapes[0][:1] != self.mean.shape:
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"{self.mean.shape[0]} channels")
        return shapes[0]


@dataclass(frozen=True, eq=False)
class Activation(Frozen):
    """A non-linearity of stage ann: relu."""

    kind: str = "relu"
    ports = ("in",)

    def check(self, name: str) -> None:
        if self.kind != "relu":
            raise GraphError(name, f"activation {self.kind!r}", "relu is the one that spikes")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return shapes[0]


def _check_broadcast(name: str, what: str, got: Shape, shape: Shape) -> None:
    padded = (1,) * (len(shape) - len(got)) + tuple(got)
    if len(padded) != len(shape) or any(g not in (1, n) for g, n in zip(padded, shape, strict=True)):
        raise ShapeError(name, f"{what} of shape {got}", f"one that broadcasts to {shape}")


@dataclass(frozen=True, eq=False)
class Population(Frozen):
    """Neurons of one model, with the program that says what one of them does in one step.

    Parameters
    ----------
    model : name that people and exporters see.
    program : the step; its inputs are this node's ports.
    params : arrays that broadcast to `shape`, one for each of the program's params; float32, or int32 at
        stage fixed.
    shape : of the population, without batch.
    start : the first step in which the neurons are awake; before it they emit 0 and keep their initial state.
    initial : the state they wake with, arrays that broadcast to `shape`; 0 where not named.
    formats : stage fixed: the `Fixed` of each state, param and port that has one.
    """

    model: str
    program: Program
    params: Mapping[str, Array]
    shape: Shape
    start: int = 0
    initial: Mapping[str, Array] = field(default_factory=dict)
    formats: Mapping[str, Fixed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dtype = np.int32 if self.formats else np.float32
        for name in ("params", "initial"):
            arrays = {k: frozen(v, dtype) for k, v in getattr(self, name).items()}
            _freeze(self, name, MappingProxyType(arrays))
        _freeze(self, "formats", MappingProxyType(dict(self.formats)))

    @property
    def ports(self) -> tuple[str, ...]:
        """The program's inputs."""
        return self.program.inputs

    @property
    def fixed(self) -> bool:
        """Whether the population computes in integers (stage fixed)."""
        return bool(self.formats)

    def check(self, name: str) -> None:
        check_shape(name, self.shape)
        self.program.check(name)
        if set(self.params) != set(self.program.params) or not set(self.initial) <= set(self.program.states):
            raise GraphError(
                name,
                f"parameters {sorted(self.params)} or initial states {sorted(self.initial)} are not the program's",
            )
        if self.start < 0:
            raise GraphError(name, f"start {self.start} is before step 0")
        # a state may have the name of a param
        for what, array in (*self.params.items(), *self.initial.items()):
            _check_broadcast(name, what, array.shape, self.shape)
            check_finite(name, what, array)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        for shape in shapes:
            if shape != self.shape:
                raise ShapeError(name, f"an input of shape {shape}", self.shape)
        return self.shape


Node = (
    Input
    | Output
    | Linear
    | Conv2d
    | Sparse
    | SumPool
    | Flatten
    | Slice
    | Pad
    | Concat
    | Scale
    | BatchNorm
    | Activation
    | Population
)
KINDS: Mapping[str, Any] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            Input,
            Output,
            Linear,
            Conv2d,
            Sparse,
            SumPool,
            Flatten,
            Slice,
            Pad,
            Concat,
            Scale,
            BatchNorm,
            Activation,
            Population,
        )
    }
)
LINEAR_KINDS = (Linear, Conv2d, Sparse)  # nodes that hold synapses
