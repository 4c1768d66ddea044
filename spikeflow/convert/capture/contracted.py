"""Products with constants: linear layers on any axis, matrix products, einsum; and sums over axes.

Every one is a sum over some axes of a sample, with the same weights at each place along the axes that are
kept: the axes are put in order, a convolution of size 1 is the product, and the axes are put back.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.convert.capture.affine import affine
from spikeflow.convert.capture.arguments import Parameters, argument
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.nodes import Flatten, Linear, Permute, Reshape, Shape, convolution
from spikeflow.typing import Array

_TWO = "attention or a product of two values"
_CONSTANT = "a network without attention; or --approximate products"
_SAMPLES = "a product within each sample, the batch first"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Product:
    """Which axes meet: a letter for each axis of a sample, of the constant and of the result."""

    sample: str
    constant: str
    result: str


def linear(b: Builder, node: AtenNode) -> Value:
    """y = x W.T + bias on the last axis, whatever axes are before it."""
    weight = b.parameter(node, node.args[1])
    assert weight is not None
    x = b.value(node, node.args[0])
    kept = LETTERS[2 : 1 + len(x.shape)]
    if weight.ndim == 1:
        return _made(b, node, x, (weight, None), Product(f"{kept}b", "b", kept))
    bias = b.parameter(node, argument(node, 2, "bias"))
    return _made(b, node, x, (weight, bias), Product(f"{kept}b", "ab", f"{kept}a"))


def addmm(b: Builder, node: AtenNode) -> Value:
    """beta bias + alpha x W, of matrices (addmm) or of one for each sample (baddbmm)."""
    weight = b.constant(node.args[2])
    if weight is None:
        raise b.refuse(node, _TWO, _CONSTANT)
    bias = b.parameter(node, node.args[0])
    alpha, beta = float(node.kwargs.get("alpha", 1)), float(node.kwargs.get("beta", 1))
    whole: Array | None = None
    if bias is not None and beta:
        whole = np.broadcast_to(np.asarray(bias, np.float64) * beta, tuple(node.shape))
        if (whole != whole[:1]).any():
            raise b.refuse(node, "a bias that differs from sample to sample", _SAMPLES)
    x = node.args[1]
    if whole is not None and len(node.shape) == 2 and b.constant(x) is None:  # as a Linear has it
        w = np.asarray(weight, np.float64) * alpha
        return _made(b, node, b.value(node, x), (w, whole[0]), Product("a", "ab", "b"))
    value = _matrices(b, node, node.args[1:3], alpha)
    if whole is not None:
        value = b.chain(f"{b.title(node)}.bias", affine(value.shape, 1.0, whole[0]), value)
    b.decide(node, "synapses", value)
    return value


def matmul(b: Builder, node: AtenNode) -> Value:
    """x W or W x with a constant W, of as many axes as torch takes."""
    value = _matrices(b, node, node.args[:2], 1.0)
    b.decide(node, "synapses", value)
    return value


def _matrices(b: Builder, node: AtenNode, pair: tuple[object, ...], factor: float) -> Value:
    """A product as ``torch.matmul`` has it; of the constant no axis may follow the samples."""
    left = b.constant(pair[0])
    constant = b.constant(pair[1]) if left is None else left
    if constant is None or (left is not None and b.constant(pair[1]) is not None):
        raise b.refuse(node, _TWO, _CONSTANT)
    x = b.value(node, pair[0] if left is None else pair[1])
    own, others = "0" + LETTERS[: len(x.shape)], LETTERS[len(x.shape) :]  # "0" is the batch
    w = _one_for_all(b, node, np.asarray(constant, np.float64) * factor, len(own))
    if left is None:
        stack, summed = own[:-2], own[-1]
        tail, ends = (summed, own[-2]) if w.ndim == 1 else (summed + others[0], own[-2] + others[0])
    elif len(own) > 2:
        stack, summed = own[:-2], own[-2]
        tail, ends = (summed, own[-1]) if w.ndim == 1 else (others[0] + summed, others[0] + own[-1])
    else:
        raise b.refuse(node, "a product that adds up samples", _SAMPLES)
    lead, heads = "", list(stack)
    for axis, size in enumerate(w.shape[: w.ndim - len(tail)]):  # matrices stacked along axes of the sample
        at = len(stack) - (w.ndim - len(tail)) + axis
        if at < 1:
            raise b.refuse(node, "a product that puts other axes before the samples", _SAMPLES)
        same = x.shape[at - 1] == size
        lead += heads[at] if same else others[1 + axis]
        heads[at] = lead[-1]
    product = Product(own[1:], lead + tail, ("".join(heads) + ends).removeprefix("0"))
    return _product(b, node, x, (w, None), product)


def _one_for_all(b: Builder, node: AtenNode, w: Array, rank: int) -> Array:
    """A constant without the axis of the samples, where all have the same, and without axes of one matrix."""
    if w.ndim == rank and rank > 2:
        if w.shape[0] not in (1, b.batch) or (w != w[:1]).any():
            raise b.refuse(node, "a constant that differs from sample to sample", _SAMPLES)
        w = w[0]
    while w.ndim > 2 and w.shape[0] == 1:
        w = w[0]
    return w


def einsum(b: Builder, node: AtenNode) -> Value:
    """einsum of a value of the network, and of one constant at most."""
    operands = node.args[1]
    given = [b.constant(part) for part in operands]
    if len(operands) > 2 or sum(constant is None for constant in given) != 1:
        raise b.refuse(node, _TWO, _CONSTANT)
    at = next(i for i, constant in enumerate(given) if constant is None)
    x = b.value(node, operands[at])
    terms, result = _terms(str(node.args[0]), [len(x.shape) + 1 if g is None else g.ndim for g in given])
    own = terms[at]
    other = terms[1 - at] if len(terms) == 2 else ""
    repeated = any(len(set(term)) < len(term) for term in (*terms, result))
    if repeated or result[:1] != own[:1] or own[0] in other:
        raise b.refuse(node, f"einsum {node.args[0]!r}", _SAMPLES)
    w = np.ones(()) if len(terms) == 1 else np.asarray(given[1 - at], np.float64)
    return _made(b, node, x, (w, None), Product(own[1:], other, result[1:]))


def _terms(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each operand, and of the result, "..." written out."""
    left, _, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [c for c in LETTERS if c not in equation]
    longest = max(rank - len(t) + 3 if "..." in t else 0 for t, rank in zip(terms, ranks, strict=True))
    dots = "".join(free[:longest])
    if "->" not in equation:
        letters = left.replace(",", "").replace(".", "")
        right = ("..." if "." in left else "") + "".join(sorted(c for c in letters if letters.count(c) == 1))
    found = []
    for term, rank in zip(terms, ranks, strict=True):
        own = rank - len(term) + 3
        found.append(term.replace("...", dots[len(dots) - own :] if "..." in term and own else ""))
    return found, right.replace("...", dots)


def _made(b: Builder, node: AtenNode, x: Value, parameters: Parameters, product: Product) -> Value:
    value = _product(b, node, x, parameters, product)
    b.decide(node, "synapses", value)
    return value


def _product(b: Builder, node: AtenNode, x: Value, parameters: Parameters, product: Product) -> Value:
    value = contracted(b, b.title(node), x, parameters, product)
    if value.shape != (tuple(node.shape[1:]) or (1,)):
        raise b.refuse(node, f"a product of shape {tuple(node.shape)}", _SAMPLES)
    return value


def contracted(b: Builder, name: str, x: Value, parameters: Parameters, product: Product) -> Value:
    """The product of a value with a constant, ``(weight, bias)``; a bias is along the constant's own axes."""
    sizes = dict(zip(product.sample, x.shape, strict=False))
    weight, letters = _spread_over(parameters[0], product, sizes)
    groups = [c for c in product.result if c in letters and c in sizes]
    own = [c for c in product.result if c in letters and c not in sizes]
    summed = [c for c in product.sample if c in letters and c not in product.result]
    kept = [c for c in product.sample if c not in letters]
    weight = np.transpose(weight, [letters.index(c) for c in (*groups, *own, *summed)])
    shape = dict(zip((*groups, *own, *summed), weight.shape, strict=True)) | sizes
    count = [prod(shape[c] for c in part) for part in (groups, own, summed, kept)]
    order = (*groups, *summed, *kept)
    x = reordered(b, f"{name}.in", x, tuple(product.sample.index(c) for c in order))
    bias = None if parameters[1] is None else np.tile(parameters[1], count[0]).astype(np.float32)
    matrix = weight.reshape(count[0] * count[1], count[2]).astype(np.float32)
    if count[0] == count[3] == 1:
        value = b.chain(name, Linear(matrix, bias), x)
    else:
        x = reshaped(b, f"{name}.lines", x, (count[0] * count[2], count[3]))
        value = b.chain(name, convolution(matrix[..., None], bias, groups=count[0]), x)
    made = (*groups, *own, *kept)
    value = reshaped(b, f"{name}.shape", value, tuple(shape[c] for c in made) or (1,))
    return reordered(b, f"{name}.out", value, tuple(made.index(c) for c in product.result))


def _spread_over(weight: Array, product: Product, sizes: dict[str, int]) -> tuple[Array, str]:
    """The constant without axes that are added up in it alone, and with those that are added up in the
    sample alone.
    """
    letters = product.constant
    alone = [i for i, c in enumerate(letters) if c not in sizes and c not in product.result]
    weight = np.asarray(weight, np.float64).sum(axis=tuple(alone))
    letters = "".join(c for i, c in enumerate(letters) if i not in alone)
    for c in product.sample:
        if c not in letters and c not in product.result:
            weight, letters = np.broadcast_to(weight[..., None], (*weight.shape, sizes[c])), letters + c
    return weight, letters


def reordered(b: Builder, name: str, x: Value, axes: Shape) -> Value:
    """The axes of a value in another order."""
    return x if axes == tuple(range(len(x.shape))) or len(axes) < 2 else b.chain(name, Permute(axes), x)


def reshaped(b: Builder, name: str, x: Value, shape: Shape) -> Value:
    """A value under another shape."""
    if shape == x.shape:
        return x
    return b.chain(name, Flatten() if len(shape) == 1 else Reshape(shape), x)
