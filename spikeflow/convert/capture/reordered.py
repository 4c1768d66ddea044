"""Operations that hand the same values on in another order, or several times: permute, upsample."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.synapses import argument
from spikeflow.convert.trace.atengraph import AtenNode, base_name
from spikeflow.ir.nodes import Permute, Upsample

MOST = 2**20  # places along an axis, so far apart in float32 that none is mistaken
_WHOLE = "a whole factor for each axis (scale_factor=2), mode='nearest'"


def permute(b: Builder, node: AtenNode) -> Value:
    """permute, transpose, movedim and their other names: the axes of a sample in another order."""
    x = b.value(node, node.args[0])
    try:
        axes = _axes(node)
    except RuntimeError as error:  # of torch, for axes that are none
        raise b.refuse(node, f"an order of axes ({error})", "each axis once") from error
    if axes[:1] != (0,):
        raise b.refuse(node, "an order of axes that moves the samples", "an order that keeps the batch first")
    own = tuple(axis - 1 for axis in axes[1:])
    if own == tuple(range(len(own))):  # one number a sample, which keeps an axis, too
        b.decide(node, "erased: identity", x)
        return x
    value = b.chain(b.title(node), Permute(own), x)
    assert value.shape == tuple(node.shape[1:])
    b.decide(node, "axes in another order", value)
    return value


def _axes(node: AtenNode) -> tuple[int, ...]:
    """For each axis of the result the axis of the argument, the batch among them: torch itself names them."""
    word, rank = base_name(node.op), len(node.shape)
    named = torch.empty(tuple(range(2, 2 + rank)), device="meta")
    rest = {key: value for key, value in node.kwargs.items() if value is not None}
    moved = named.mT if word == "mT" else getattr(torch, word)(named, *node.args[1:], **rest)
    return tuple(n - 2 for n in moved.shape)


def upsample(b: Builder, node: AtenNode) -> Value:
    """interpolate and Upsample by the nearest neighbour: each value several times along each axis."""
    x, shape = b.value(node, node.args[0]), tuple(node.shape[1:])
    rank = len(x.shape) - 1
    vector = node.op.endswith(".vec")
    scales = (argument(node, 2, "scale_factors") or ()) if vector else node.args[2 : 2 + rank]
    factors = tuple(out // n for out, n in zip(shape[1:], x.shape[1:], strict=True))
    given = tuple(float(s) for s in scales if s is not None)
    whole = all(f * n == out for f, n, out in zip(factors, x.shape[1:], shape[1:], strict=True))
    if shape[:1] != x.shape[:1] or not whole or given not in ((), tuple(map(float, factors))):
        raise b.refuse(node, f"an interpolation from {x.shape} to {shape}", _WHOLE)
    if not all(_repeats(n, f) for n, f in zip(x.shape[1:], factors, strict=True)):
        raise b.refuse(node, f"an interpolation by {factors}, whose places torch rounds", _WHOLE)
    if set(factors) == {1}:
        b.decide(node, "erased: identity", x)
        return x
    value = b.chain(b.title(node), Upsample((1, *factors)), x)
    b.decide(node, "each value several times", value)
    return value


def _repeats(size: int, factor: int) -> bool:
    """Whether torch, whose places are float32, repeats each of so many values `factor` times exactly."""
    if size * factor > MOST:
        return False
    line = torch.arange(size, dtype=torch.float32)[None, None]
    wanted = line.repeat_interleave(factor, dim=2)
    found = (F.interpolate(line, size=size * factor), F.interpolate(line, scale_factor=float(factor)))
    return all(torch.equal(wanted, values) for values in found)
