"""Operations that move values and change none: flatten, slice, pad, concatenate; and those doing nothing."""

from __future__ import annotations

from math import prod

from spikeflow.convert.capture.affine import identity
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.synapses import argument
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.nodes import Flatten, Pad, Slice

_END = 2**62  # torch writes the largest integer for "to the end"


def erased(b: Builder, node: AtenNode) -> Value:
    """The argument itself."""
    value = b.value(node, node.args[0])
    b.decide(node, "erased: identity", value)
    return value


def cast(b: Builder, node: AtenNode) -> Value:
    """The argument itself in another floating type: stage ann computes in float32 whatever the type."""
    types = [
        a
        for a in (*node.args[1:], node.kwargs.get("dtype"))
        if isinstance(a, str) and a.rstrip("0123456789") in ("int", "uint", "bool", "complex")
    ]
    if types:
        raise b.refuse(node, f"a change of type to {types[0]}", "floating-point values throughout")
    return erased(b, node)


def dropout(b: Builder, node: AtenNode) -> Value:
    """The argument itself, in evaluation mode."""
    if bool(argument(node, 2, "train", False)):
        raise b.refuse(node, "dropout in training mode", "model.eval()")
    value = b.value(node, node.args[0])
    b.decide(node, "erased: dropout does nothing in evaluation", value)
    return value


def reshape(b: Builder, node: AtenNode) -> Value:
    """flatten, view, reshape, squeeze, unsqueeze: nothing, Flatten, or the same values under a new shape."""
    value, target = b.value(node, node.args[0]), tuple(node.shape[1:])
    if node.shape[:1] != (b.batch,) or prod(target) != prod(value.shape):
        raise b.refuse(
            node, f"a change of shape across samples, to {node.shape}", "a shape that keeps the batch first"
        )
    if target == value.shape or (not target and value.shape == (1,)):  # one number a sample keeps an axis
        b.decide(node, "erased: identity", value)
    elif len(target) == 1:
        value = b.chain(b.title(node), Flatten(), value)
        b.decide(node, "flatten", value)
    else:
        value = b.chain(b.title(node), identity(value.shape, target), value)
        b.decide(node, "synapses: the same values under another shape", value)
    return value


def select(b: Builder, node: AtenNode) -> Value:
    """x[..., i]: a slice of one, its axis gone; of one number a sample an axis stays."""
    x = b.value(node, node.args[0])
    dim, index = int(argument(node, 1, "dim", 0)) % (len(x.shape) + 1), int(argument(node, 2, "index"))
    if dim == 0:
        raise b.refuse(node, "one sample picked from the batch", "a forward() that treats all samples alike")
    size = x.shape[dim - 1]
    index %= size
    start = tuple(index if axis == dim - 1 else 0 for axis in range(len(x.shape)))
    stop = tuple(index + 1 if axis == dim - 1 else n for axis, n in enumerate(x.shape))
    value = b.chain(b.title(node), Slice(start, stop, (1,) * len(x.shape)), x) if size > 1 else x
    target = (*x.shape[: dim - 1], *x.shape[dim:]) or (1,)
    if target != value.shape:
        moved = Flatten() if len(target) == 1 else identity(value.shape, target)
        value = b.chain(b.title(node), moved, value)
    b.decide(node, "a slice of one", value)
    return value


def slice_(b: Builder, node: AtenNode) -> Value:
    """x[start:stop:step] along one dimension."""
    x = b.value(node, node.args[0])
    dim = int(argument(node, 1, "dim", 0)) % (len(x.shape) + 1)
    start, stop, step = (argument(node, i, name) for i, name in ((2, "start"), (3, "end"), (4, "step")))
    size = b.batch if dim == 0 else x.shape[dim - 1]
    cut = range(size)[slice(start, None if stop is None or stop > _END else stop, step or 1)]
    if len(cut) == size:
        b.decide(node, "erased: identity", x)
        return x
    if dim == 0 or not cut:
        raise b.refuse(node, "a slice across samples or an empty one", "a slice that keeps the batch")
    value = _cut(b, b.title(node), x, dim - 1, cut)
    b.decide(node, "slice", value)
    return value


def _cut(b: Builder, name: str, x: Value, axis: int, cut: range) -> Value:
    """A Slice along one axis; a slice of a slice along another axis becomes one node."""
    bounds = [(0, n, 1) for n in x.shape]
    before = b.nodes[x.terms[0]]
    if len(x.terms) == 1 and isinstance(before, Slice):
        whole = b.sources(x.terms[0])
        old = list(zip(before.start, before.stop, before.step, strict=True))
        if old[axis] == (0, whole.shape[axis], 1):
            x, bounds = whole, old
    bounds[axis] = (cut.start, cut[-1] + 1, cut.step)
    start, stop, step = zip(*bounds, strict=True)
    return b.chain(name, Slice(start, stop, step), x)


def parts(b: Builder, node: AtenNode) -> None:
    """split, chunk: slices one after the other along one dimension."""
    x = b.value(node, node.args[0])
    dim = int(argument(node, 2, "dim", 0)) % (len(x.shape) + 1)
    if dim == 0:
        raise b.refuse(node, "a split across samples", "a split that keeps the batch")
    size, given = x.shape[dim - 1], node.args[1]
    if "chunk" in node.op:
        given = -(-size // int(given))
    sizes = tuple(given) if isinstance(given, tuple) else (int(given),) * (-(-size // int(given)))
    values, at = [], 0
    for length in sizes:
        values.append(_cut(b, b.title(node), x, dim - 1, range(at, min(at + int(length), size))))
        at += int(length)
    b.lists[node.name] = tuple(values)
    b.decide(node, "slices", values[-1])


def getitem(b: Builder, node: AtenNode) -> Value:
    """One of several results."""
    source, index = node.args[0], int(node.args[1])
    if source.name in b.lists:
        value = b.lists[source.name][index]
    elif index == 0:
        value = b.value(node, source)
    else:
        raise b.refuse(node, "a second result of an operation", "the first result only")
    b.decide(node, "erased: one of several results", value)
    return value


def pad(b: Builder, node: AtenNode) -> Value:
    """Zeros around; torch lists the last dimension first."""
    x, widths = b.value(node, node.args[0]), tuple(int(n) for n in node.args[1])
    constant = "constant_pad" in node.op
    mode = "constant" if constant else argument(node, 2, "mode", "constant")
    filling = argument(node, 2 if constant else 3, "value") or 0
    if mode != "constant" or filling != 0:
        raise b.refuse(
            node, f"padding by {mode} {filling if mode == 'constant' else ''}".strip(), "padding with zeros"
        )
    rows = [(0, 0)] * len(x.shape)
    for i in range(len(widths) // 2):
        if i < len(rows):
            rows[-1 - i] = (widths[2 * i], widths[2 * i + 1])
    if len(widths) > 2 * len(rows) or min(widths) < 0:
        raise b.refuse(node, f"padding of {widths}", "padding of a sample's own dimensions, 0 or more")
    value = b.chain(b.title(node), Pad(tuple(a for a, _ in rows), tuple(z for _, z in rows)), x)
    b.decide(node, "padding", value)
    return value


def cat(b: Builder, node: AtenNode) -> Value:
    """Values one after the other along one dimension."""
    values = tuple(b.value(node, part) for part in node.args[0])
    dim = int(argument(node, 1, "dim", 0)) % (len(values[0].shape) + 1)
    if dim == 0:
        raise b.refuse(node, "concatenation across samples", "concatenation along the channels")
    value = b.concat(b.title(node), values, dim - 1)
    b.decide(node, "concatenation", value)
    return value
