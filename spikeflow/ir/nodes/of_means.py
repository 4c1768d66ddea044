"""Functions of running means: products, quotients, attention, softmax and norms of values that come in steps.

A family of joint kinds. Such a function is not linear, so it cannot be taken of each step's values alone;
of the means of all steps so far it can, and what it hands on in each step makes their sum come out right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir import functions
from spikeflow.ir.arrays import Array
from spikeflow.ir.nodes.base import Shape
from spikeflow.ir.nodes.families import Joint

HELD, STEPS = "held", "steps"


class OfMeans(Joint):
    """Family: f of the running means of what arrives, handed on as its rise from step to step.

    ::

        S_p(t) = x_p(1) + ... + x_p(t)                           for each port p
        y(t) = t f(S_1(t) / t, ...) - (t - 1) f(S_1(t - 1) / (t - 1), ...)

    So y(1) + ... + y(T) = T f(means over T steps), up to the rounding of the differences: the mean that it
    hands on is f of the means that arrived ("expectation compensation", ECMT, 2024; temporal differences).
    In a run of one step it hands on f itself. float32 alone.
    """

    ports: tuple[str, ...]

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        """The shape of f; ShapeError where it cannot be taken of these."""
        raise NotImplementedError

    def of(self, means: Sequence[Array]) -> Array:
        """f of one value for each port, ``(B, *shape)``; each operation rounded, sums in C order."""
        raise NotImplementedError

    def operations(self, shapes: Sequence[Shape]) -> int:
        """How many products, quotients and powers f takes: multiply-accumulates of a step."""
        raise NotImplementedError

    def engine_form(self, shapes: Sequence[Shape]) -> tuple[tuple[Array, ...], tuple[int, ...]]:
        """Lists, the function's place in ``src/engine/of_means.cpp``, and its numbers."""
        raise NotImplementedError

    def check(self, name: str) -> None:
        pass

    def memory(self, shapes: Sequence[Shape]) -> Mapping[str, Shape]:
        sums = {f"sums_{port}": shape for port, shape in zip(self.ports, shapes, strict=True)}
        return {**sums, HELD: self.output_shape("memory", tuple(shapes)), STEPS: (1,)}

    def value(self, arriving: Sequence[Array], memory: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        names = [f"sums_{port}" for port in self.ports]
        sums = [memory[name] + x for name, x in zip(names, arriving, strict=True)]
        steps = memory[STEPS] + np.float32(1)

        def each(x: Array) -> Array:  # the step of each row, to go with its values
            return steps.reshape(-1, *(1,) * (x.ndim - 1))

        with np.errstate(all="ignore"):
            of_means = self.of([s / each(s) for s in sums])
            now = of_means * each(of_means)
            risen = now - memory[HELD] + np.float32(0)  # no -0
        return risen, {**dict(zip(names, sums, strict=True)), HELD: now, STEPS: steps}

    def links(self, shapes: Sequence[Shape]) -> int:
        return sum(len(numbers) for numbers in self.engine_form(shapes)[0])

    def lowered(self, shapes: Sequence[Shape]) -> tuple[str, tuple[Array, ...], tuple[int, ...]]:
        return "of_means", *self.engine_form(shapes)


def _bits(x: float) -> int:
    """A float32 as the engine takes it among whole numbers."""
    return int(np.float32(x).view(np.int32))


def _total(x: Array) -> Array:
    """The sum over the last axis, one value after the other; the axis stays, of length 1."""
    return np.add.accumulate(x, axis=-1)[..., -1:]


COMBINED = ("product", "quotient")


@dataclass(frozen=True, eq=False)
class Combined(OfMeans):
    """y = a b, or y = a / b and 0 where b is 0, of running means; axes of length 1 are repeated.

    Parameters
    ----------
    how : "product" or "quotient".
    """

    how: str = "product"
    ports = ("a", "b")

    def check(self, name: str) -> None:
        if self.how not in COMBINED:
            raise GraphError(name, f"two values combined by {self.how!r}", f"one of {', '.join(COMBINED)}")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        a, b = shapes
        if len(a) != len(b) or any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
            raise ShapeError(name, f"inputs of shape {a} and {b}", "equal axes, or axes of length 1")
        return np.broadcast_shapes(a, b)

    def of(self, means: Sequence[Array]) -> Array:
        a, b = means
        return a * b if self.how == "product" else np.where(b != 0, a / b, np.float32(0))

    def operations(self, shapes: Sequence[Shape]) -> int:
        return prod(np.broadcast_shapes(*shapes))

    def engine_form(self, shapes: Sequence[Shape]) -> tuple[tuple[Array, ...], tuple[int, ...]]:
        out = np.broadcast_shapes(*shapes)
        places = (np.arange(prod(shape), dtype=np.int32).reshape(shape) for shape in shapes)
        return tuple(np.ascontiguousarray(np.broadcast_to(at, out)).reshape(-1) for at in places), (
            COMBINED.index(self.how),
        )


@dataclass(frozen=True, eq=False)
class Root(OfMeans):
    """y = the larger of the square root of x and `least`, of running means; of x below 0 the root is 0."""

    least: float = 0.0
    ports = ("in",)

    def check(self, name: str) -> None:
        if not 0 <= self.least < 1e30:
            raise GraphError(name, f"a least root of {self.least}", "0 or more")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return shapes[0]

    def of(self, means: Sequence[Array]) -> Array:
        root = np.sqrt(np.where(means[0] > 0, means[0], np.float32(0)))
        return np.where(root > np.float32(self.least), root, np.float32(self.least))

    def operations(self, shapes: Sequence[Shape]) -> int:
        return prod(shapes[0])

    def engine_form(self, shapes: Sequence[Shape]) -> tuple[tuple[Array, ...], tuple[int, ...]]:
        return (), (2, _bits(self.least))


@dataclass(frozen=True, eq=False)
class Matmul(OfMeans):
    """y = a b, or a times b turned round, matrices over the last two axes, of running means.

    ::

        y_ij = sum over k of a_ik b_kj        transposed: b_jk

    Axes before the last two are equal: a matrix for each.
    """

    transposed: bool = False
    ports = ("a", "b")

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        a, b = shapes
        if len(a) < 2 or len(a) != len(b) or a[:-2] != b[:-2] or a[-1] != b[-1 if self.transposed else -2]:
            raise ShapeError(name, f"inputs of shape {a} and {b}", "matrices that can be multiplied")
        return (*a[:-1], b[-2 if self.transposed else -1])

    def of(self, means: Sequence[Array]) -> Array:
        a, b = means
        b = np.swapaxes(b, -1, -2) if self.transposed else b
        total = np.zeros((*a.shape[:-1], b.shape[-1]), np.float32)
        for k in range(a.shape[-1]):
            total = total + a[..., :, k, None] * b[..., None, k, :]
        return total

    def operations(self, shapes: Sequence[Shape]) -> int:
        return prod(self.output_shape("matmul", tuple(shapes))) * shapes[0][-1]

    def engine_form(self, shapes: Sequence[Shape]) -> tuple[tuple[Array, ...], tuple[int, ...]]:
        rows, inner = shapes[0][-2:]
        columns = self.output_shape("matmul", tuple(shapes))[-1]
        return (), (3, rows, inner, columns, int(self.transposed))


@dataclass(frozen=True, eq=False)
class Softmax(OfMeans):
    """y_i = exp(x_i - max x) / sum over j of exp(x_j - max x) along the last axis, of running means.

    The exponential is the fixed formula of ``ir/functions.py``.
    """

    ports = ("in",)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        return shapes[0]

    def of(self, means: Sequence[Array]) -> Array:
        x = means[0]
        powers = functions.exp(x - x.max(axis=-1, keepdims=True), functions.NumpyFloats(np.float32))
        return powers / _total(powers)

    def operations(self, shapes: Sequence[Shape]) -> int:
        return 2 * prod(shapes[0])

    def engine_form(self, shapes: Sequence[Shape]) -> tuple[tuple[Array, ...], tuple[int, ...]]:
        return (), (4, shapes[0][-1])


@dataclass(frozen=True, eq=False)
class Normalise(OfMeans):
    """Each group of `size` values, next to each other in C order, normalised by its own statistics.

    ::

        y = d / sqrt(mean of d d + epsilon),  d = x - mean of x;  d = x where not centred (RMS norm)

    of running means. Layer norm has a group for each position, group norm for each group of channels,
    instance norm for each channel; their factors and terms are weights behind it.
    """

    size: int
    epsilon: float = 1e-5
    centred: bool = True
    ports = ("in",)

    def check(self, name: str) -> None:
        if self.size < 1 or not 0 <= self.epsilon < 1e6:
            raise GraphError(
                name, f"groups of {self.size} and epsilon {self.epsilon}", "1 or more, and 0 or more"
            )

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        if prod(shapes[0]) % self.size:
            raise ShapeError(name, f"an input of shape {shapes[0]}", f"groups of {self.size}")
        return shapes[0]

    def of(self, means: Sequence[Array]) -> Array:
        count = np.float32(self.size)
        x = means[0].reshape(len(means[0]), -1, self.size)
        from_mean = x - _total(x) / count if self.centred else x
        spread = np.sqrt(_total(from_mean * from_mean) / count + np.float32(self.epsilon))
        return np.where(spread != 0, from_mean / spread, np.float32(0)).reshape(means[0].shape)

    def operations(self, shapes: Sequence[Shape]) -> int:
        return 2 * prod(shapes[0])

    def engine_form(self, shapes: Sequence[Shape]) -> tuple[tuple[Array, ...], tuple[int, ...]]:
        return (), (5, self.size, _bits(self.epsilon), int(self.centred))
