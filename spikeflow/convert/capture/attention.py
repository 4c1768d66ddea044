"""Products of matrices that both depend on the input, softmax inside, attention: of running means."""

from __future__ import annotations

from math import prod

import numpy as np

from spikeflow.convert.capture import arithmetic
from spikeflow.convert.capture.affine import affine
from spikeflow.convert.capture.approximated import Handler, ask, settle, two
from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.refusals import PRODUCTS
from spikeflow.convert.trace.atengraph import AtenNode, base_name
from spikeflow.ir.nodes import Matmul, Permute, Reshape, Shape, Softmax
from spikeflow.typing import Array

_TWO = "a product of two values that both depend on the input (attention)"


def matmul(plain: Handler) -> Handler:
    """x y, matrices over the last two axes; `plain` takes one with a constant."""

    def handler(b: Builder, node: AtenNode) -> Value | None:
        if not two(b, node):
            return plain(b, node)
        ask(b, node, PRODUCTS, _TWO)
        x, y = (b.value(node, a) for a in node.args[:2])
        return settle(b, node, b.place(b.title(node), Matmul(), a=x, b=y))

    return handler


def baddbmm(plain: Handler) -> Handler:
    """beta c + alpha x y, with a constant c; `plain` takes one with a constant y."""

    def handler(b: Builder, node: AtenNode) -> Value | None:
        if any(b.constant(part) is not None for part in node.args[1:3]):
            return plain(b, node)
        ask(b, node, PRODUCTS, _TWO)
        return _added(b, node)

    return handler


def _added(b: Builder, node: AtenNode) -> Value:
    x, y = (b.value(node, a) for a in node.args[1:3])
    alpha, beta, term = node.kwargs.get("alpha", 1), node.kwargs.get("beta", 1), b.constant(node.args[0])
    if term is None:
        raise b.refuse(node, "baddbmm with a term that depends on the input", "an addition of its own")
    value = b.place(b.title(node), Matmul(), a=_times(b, node, x, float(alpha)), b=y)
    return settle(b, node, masked(b, node, value, term * float(beta)))


def softmax(b: Builder, node: AtenNode) -> Value:
    """softmax inside the network; at the very end it is left out."""
    if node.name in b.heads or "log" in base_name(node.op):
        return arithmetic.head(b, node)
    ask(b, node, PRODUCTS, "softmax inside the network", "softmax over the classes at the very end")
    x = b.value(node, node.args[0])
    axis = int(argument(node, 1, "dim")) % (len(x.shape) + 1) - 1
    if axis < 0:
        raise b.refuse(node, "softmax over the samples", "an axis of one sample")
    order = (*(i for i in range(len(x.shape)) if i != axis), axis)
    value = b.chain(b.title(node), Softmax(), _ordered(b, f"{b.title(node)}.last", x, order))
    back = tuple(int(i) for i in np.argsort(order))
    return settle(b, node, _ordered(b, f"{b.title(node)}.back", value, back))


def attention(b: Builder, node: AtenNode) -> Value:
    """scaled_dot_product_attention: softmax(q k^T scale + mask) v."""
    ask(b, node, PRODUCTS, "attention")
    q, k, v = (b.value(node, a) for a in node.args[:3])
    if argument(node, 7, "enable_gqa", False) or len({x.shape[:-2] for x in (q, k, v)}) > 1:
        raise b.refuse(
            node, "attention whose heads differ in number", "as many heads of queries, keys and values"
        )
    given, title = argument(node, 6, "scale"), b.title(node)
    scale = 1 / np.sqrt(q.shape[-1]) if given is None else float(given)
    scores = b.place(f"{title}.scores", Matmul(transposed=True), a=_times(b, node, q, scale), b=k)
    scores = masked(b, node, scores, _mask(b, node, scores.shape))
    weights = b.chain(f"{title}.weights", Softmax(), scores)
    return settle(b, node, b.place(title, Matmul(), a=weights, b=v))


def _mask(b: Builder, node: AtenNode, shape: Shape) -> Array:
    """What is added to the scores before their softmax."""
    given = argument(node, 3, "attn_mask")
    if argument(node, 5, "is_causal", False):
        return np.where(np.tril(np.ones(shape[-2:], bool)), 0.0, -np.inf)
    if given is None:
        return np.zeros(())
    mask = b.constant(given)
    if mask is None:
        raise b.refuse(node, "attention with a mask that depends on the input", "a constant mask")
    return np.where(mask, 0.0, -np.inf) if mask.dtype == bool else mask


def masked(b: Builder, node: AtenNode, scores: Value, mask: Array) -> Value:
    """Scores with a constant added, the same for all samples; minus infinity as a number."""
    own = np.maximum(np.asarray(mask, np.float64), arithmetic.MASKED)
    if own.ndim == len(scores.shape) + 1 and (own == own[:1]).all():
        own = own[0]
    if own.ndim > len(scores.shape):
        raise b.refuse(node, "a mask that differs from sample to sample", "one mask for all samples")
    if not own.any():
        return scores
    return b.chain(f"{b.title(node)}.mask", affine(scores.shape, 1.0, own), scores)


def einsum(plain: Handler) -> Handler:
    """A sum of products of two values, as a product of matrices with their axes in order; `plain` takes one
    value, alone or with a constant.
    """

    def handler(b: Builder, node: AtenNode) -> Value | None:
        varying = sum(b.constant(part) is None for part in node.args[1])
        return plain(b, node) if varying == 1 else _einsum(b, node)

    return handler


def _einsum(b: Builder, node: AtenNode) -> Value:
    text, parts = str(node.args[0]).replace(" ", ""), node.args[1]
    inputs, _, out = text.partition("->")
    words = inputs.split(",")
    if len(parts) != 2 or any(b.constant(p) is not None for p in parts) or "." in text or not out:
        raise b.refuse(node, f"einsum {text}", "one of two values of the network, with all axes named")
    if len({w[:1] for w in (*words, out)}) > 1 or any(len(set(w)) < len(w) for w in (*words, out)):
        raise b.refuse(node, f"einsum {text}", "the samples first in both and in the result, each axis once")
    ask(b, node, PRODUCTS, _TWO)
    (left, right), last = (w[1:] for w in words), out[1:]
    common, inner = (
        [c for c in left if c in right and c in last],
        [c for c in left if c in right and c not in last],
    )
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]
    if set(rows + columns + common) != set(last):
        raise b.refuse(node, f"einsum {text}, which sums over an axis of one value", "a sum of its own")
    x, y = (b.value(node, p) for p in parts)
    size = {**dict(zip(left, x.shape, strict=True)), **dict(zip(right, y.shape, strict=True))}

    def matrix(value: Value, word: str, own: list[str]) -> Value:
        turned = _ordered(
            b, f"{b.title(node)}.axes", value, tuple(word.index(c) for c in (*common, *own, *inner))
        )
        shape = tuple(prod(size[c] for c in axes) for axes in (common, own, inner))
        return b.chain(f"{b.title(node)}.matrix", Reshape(shape), turned)

    value = b.place(
        b.title(node), Matmul(transposed=True), a=matrix(x, left, rows), b=matrix(y, right, columns)
    )
    order = [*common, *rows, *columns]
    value = b.chain(f"{b.title(node)}.shape", Reshape(tuple(size[c] for c in order) or (1,)), value)
    return settle(b, node, _ordered(b, f"{b.title(node)}.back", value, tuple(order.index(c) for c in last)))


def _ordered(b: Builder, name: str, value: Value, order: tuple[int, ...]) -> Value:
    return value if order == tuple(range(len(order))) else b.chain(name, Permute(order), value)


def _times(b: Builder, node: AtenNode, value: Value, factor: float) -> Value:
    return value if factor == 1 else b.scale(f"{b.title(node)}.factor", value, factor)
