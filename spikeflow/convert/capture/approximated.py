"""Products, quotients, powers and roots of values of the network, taken of running means: `--approximate`.

Such an operation is not linear, so it has no form in neurons and synapses; with the option it becomes a
function of running means (`ir.nodes.of_means`), without it is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.convert.capture.activations import placed
from spikeflow.convert.capture.affine import affine
from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import APPROXIMATED, Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.refusals import NORMS, PRODUCTS
from spikeflow.convert.trace.atengraph import AtenNode, base_name
from spikeflow.ir.nodes import Combined, Gather, Reshape, Root, Shape, Slice, Synapses
from spikeflow.ir.synapses import listed

Handler = Callable[[Builder, AtenNode], Value | None]
_HOW = f"{APPROXIMATED} (2 T + 1 roundings of float32): of running means, analog"
_MOST = 8  # as a power, products one after the other


def ask(b: Builder, node: AtenNode, word: str, kind: str, otherwise: str = "") -> None:
    """Refuse an operation unless `--approximate` names its kind; `otherwise` is another thing to try."""
    if word not in b.approximate:
        given = (*b.approximate, word)
        hint = f"--approximate {','.join(given)} (approximate={given}), which takes it of running means"
        raise b.refuse(node, kind, f"{hint}; or {otherwise}" if otherwise else hint)


def settle(b: Builder, node: AtenNode, value: Value) -> Value:
    """The verdict of an operation taken of running means."""
    b.decide(node, _HOW, value)
    return value


def two(b: Builder, node: AtenNode) -> bool:
    """Whether both arguments of an operation depend on the input."""
    return all(b.constant(a) is None for a in node.args[:2])


def constant_of(b: Builder, name: str, like: Value, number: npt.ArrayLike) -> Value:
    """A constant as a value of the network: a bias behind weights of 0."""
    return b.chain(f"{name}.constant", affine(like.shape, 0.0, number), like)


def combined(b: Builder, node: AtenNode, how: str, x: Value, y: Value) -> Value:
    """A product or quotient; shapes broadcast as torch does it, the samples apart."""
    if len(x.shape) != len(y.shape):
        reason = f"a {how} of samples of shape {x.shape} and {y.shape}"
        raise b.refuse(node, reason, "values of as many axes (unsqueeze)")
    return b.place(b.title(node), Combined(how), a=x, b=y)


def mul(plain: Handler) -> Handler:
    """x y; `plain` takes one with a constant."""

    def handler(b: Builder, node: AtenNode) -> Value | None:
        if not two(b, node):
            return plain(b, node)
        ask(b, node, PRODUCTS, "a product of two values that both depend on the input")
        x, y = (b.value(node, a) for a in node.args[:2])
        return settle(b, node, combined(b, node, "product", x, y))

    return handler


def div(plain: Handler) -> Handler:
    """x / y; `plain` takes one by a constant."""

    def handler(b: Builder, node: AtenNode) -> Value | None:
        if b.constant(node.args[1]) is not None or node.kwargs.get("rounding_mode") is not None:
            return plain(b, node)
        ask(b, node, PRODUCTS, "a division by a value of the network")
        y = b.value(node, node.args[1])
        number = b.constant(node.args[0])
        if number is None:
            x = b.value(node, node.args[0])
        elif number.size == 1:
            x = constant_of(b, b.title(node), y, number.reshape(()))
        else:
            raise b.refuse(node, "a constant array divided by a value of the network", "one number over it")
        return settle(b, node, combined(b, node, "quotient", x, y))

    return handler


def glu(b: Builder, node: AtenNode) -> Value:
    """glu: the first half along an axis times the sigmoid of the second, which neurons follow."""
    x = b.value(node, node.args[0])
    axis = int(argument(node, 1, "dim", -1)) % (len(x.shape) + 1) - 1
    if axis < 0:
        raise b.refuse(node, "a gate over the samples", "an axis of one sample")
    ask(b, node, PRODUCTS, "a product of two values that both depend on the input (a gate)")
    half, whole = x.shape[axis] // 2, range(len(x.shape))
    start = tuple(half if i == axis else 0 for i in whole)
    middle = tuple(half if i == axis else x.shape[i] for i in whole)
    ones = (1,) * len(x.shape)
    left = b.chain(f"{b.title(node)}.value", Slice((0,) * len(x.shape), middle, ones), x)
    right = b.chain(f"{b.title(node)}.gate", Slice(start, x.shape, ones), x)
    return settle(b, node, combined(b, node, "product", left, placed(b, node, right, "sigmoid")))


def reciprocal(b: Builder, node: AtenNode) -> Value:
    """1 / x."""
    ask(b, node, PRODUCTS, "a division by a value of the network")
    return settle(b, node, _inverse(b, node, b.value(node, node.args[0])))


def _inverse(b: Builder, node: AtenNode, x: Value) -> Value:
    return combined(b, node, "quotient", constant_of(b, b.title(node), x, 1.0), x)


def root(b: Builder, node: AtenNode) -> Value:
    """sqrt(x) and rsqrt(x)."""
    ask(b, node, NORMS, "a square root inside the network")
    value = b.chain(b.title(node), Root(), b.value(node, node.args[0]))
    return settle(b, node, value if base_name(node.op) == "sqrt" else _inverse(b, node, value))


def power(b: Builder, node: AtenNode) -> Value:
    """x to a power that is a small whole number, a half, or one of these below 0; and the square."""
    x, exponent = b.value(node, node.args[0]), 2 if base_name(node.op) == "square" else node.args[1]
    number = b.constant(exponent)
    exact = None if number is None or number.size != 1 else float(number)
    if exact is None or abs(exact) not in (0.5, *range(1, _MOST + 1)):
        raise b.refuse(node, f"a power of {exact}", f"a whole number to {_MOST}, or 0.5")
    half = abs(exact) == 0.5
    ask(b, node, NORMS if half else PRODUCTS, "a power of a value of the network")
    value = b.chain(b.title(node), Root(), x) if half else x
    for _ in range(int(abs(exact)) - 1):
        value = combined(b, node, "product", value, x)
    return settle(b, node, value if exact > 0 else _inverse(b, node, value))


def clamp_min(plain: Handler) -> Handler:
    """A root held at a least value, as `normalize` does; `plain` takes any other clamp."""

    def handler(b: Builder, node: AtenNode) -> Value | None:
        low, high = argument(node, 1, "min", None), argument(node, 2, "max", None)
        value = b.values.get(getattr(node.args[0], "name", ""))
        made = b.nodes[value.terms[0]] if value is not None and len(value.terms) == 1 else None
        if (
            value is None
            or not isinstance(made, Root)
            or high is not None
            or not isinstance(low, int | float)
        ):
            return plain(b, node)
        held = Root(max(float(low), made.least))
        return settle(b, node, b.chain(b.title(node), held, b.sources(value.terms[0])))

    return handler


# --- over axes ---


def summed(b: Builder, name: str, x: Value, axes: tuple[int, ...], factor: float = 1.0) -> Value:
    """The sum over axes of a sample times a factor; the axes stay, of length 1."""
    count = int(np.prod(x.shape))
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    target = np.broadcast_to(np.arange(np.prod(shape)).reshape(shape), x.shape).reshape(-1)
    made = Synapses(np.arange(count), target, np.full(count, factor, np.float32))
    return b.chain(f"{name}.sum", listed(made, x.shape, shape), x)


def repeated(b: Builder, name: str, x: Value, shape: Shape) -> Value:
    """A value whose axes of length 1 are repeated."""
    if x.shape == shape:
        return x
    at = np.broadcast_to(np.arange(np.prod(x.shape)).reshape(x.shape), shape)
    return b.chain(f"{name}.repeated", Gather(at.reshape(-1), x.shape, shape), x)


def own_axes(b: Builder, node: AtenNode, x: Value, given: Any) -> tuple[int, ...]:
    """Axes of a sample from those that torch names, the batch not among them; all where it names none."""
    rank = len(x.shape) + 1
    axes = range(1, rank) if given in (None, ()) else (given,) if isinstance(given, int) else given
    found = tuple(sorted(int(axis) % rank - 1 for axis in axes))
    if -1 in found or given in (None, ()):
        raise b.refuse(node, f"{base_name(node.op)} over the samples", "axes of one sample alone")
    return found


def without_axes(b: Builder, node: AtenNode, value: Value, axes: tuple[int, ...]) -> Value:
    """A value of axes of length 1 as torch hands it on: kept, or gone."""
    shape = tuple(node.shape[1:]) or (1,)
    return value if value.shape == shape else b.chain(f"{b.title(node)}.shape", Reshape(shape), value)


def norm(b: Builder, node: AtenNode) -> Value:
    """The square root of the sum of squares over axes (linalg_vector_norm and norm of order 2)."""
    x, order = b.value(node, node.args[0]), argument(node, 1, "ord", 2)
    if order not in (None, 2):
        raise b.refuse(node, f"a norm of order {order}", "order 2")
    ask(b, node, NORMS, "the norm of values of the network")
    axes = own_axes(b, node, x, argument(node, 2, "dim"))
    squares = b.place(f"{b.title(node)}.squares", Combined(), a=x, b=x)
    found = b.chain(b.title(node), Root(), summed(b, b.title(node), squares, axes))
    return settle(b, node, without_axes(b, node, found, axes))


def variance(b: Builder, node: AtenNode) -> Value:
    """var and std over axes."""
    x, title, word = b.value(node, node.args[0]), b.title(node), base_name(node.op)
    ask(b, node, NORMS, "statistics of the sample's own values")
    axes = own_axes(b, node, x, argument(node, 1, "dim"))
    count = int(np.prod([x.shape[axis] for axis in axes]))
    given = argument(node, 2, "unbiased", node.kwargs.get("correction", 1))
    less = int(given) if given is not None else 1
    if less >= count:
        raise b.refuse(node, f"{word} of {count} values with the correction {less}", "correction=0")
    mean = repeated(b, title, summed(b, f"{title}.mean", x, axes, -1.0 / count), x.shape)
    away = b.sum(title, x, mean)
    squares = b.place(f"{title}.squares", Combined(), a=away, b=away)
    found = summed(b, title, squares, axes, 1.0 / (count - less))
    if word == "std":
        found = b.chain(f"{title}.root", Root(), found)
    return settle(b, node, without_axes(b, node, found, axes))


def cosine(b: Builder, node: AtenNode) -> Value:
    """cosine_similarity: the sum of products over both norms, none of which is below epsilon."""
    for word, kind in ((NORMS, "the norm of values of the network"), (PRODUCTS, "a product of two values")):
        ask(b, node, word, kind)
    x, y = (b.value(node, a) for a in node.args[:2])
    least, title = float(argument(node, 3, "eps", 1e-8)), b.title(node)
    axes = own_axes(b, node, x, argument(node, 2, "dim", 1))

    def along(name: str, left: Value, right: Value) -> Value:
        return summed(b, name, b.place(name, Combined(), a=left, b=right), axes)

    norms = [b.chain(f"{title}.norm", Root(least), along(f"{title}.squares", v, v)) for v in (x, y)]
    over = combined(b, node, "product", *norms)
    found = combined(b, node, "quotient", along(f"{title}.products", x, y), over)
    return settle(b, node, without_axes(b, node, found, axes))
