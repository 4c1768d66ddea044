"""Operators of TFLite that move values, and reductions over axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from spikeflow.convert.load.blocks import blocks_to_pixels, pixels_to_blocks
from spikeflow.convert.load.interpolated import between
from spikeflow.convert.load.stretches import stretch
from spikeflow.convert.load.tflite.layout import axis_of, by_axis, here, in_file
from spikeflow.convert.load.tflite.node import Function, LiteNode
from spikeflow.convert.load.tree import with_batch


def shaped(node: LiteNode) -> Function:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the shape that the file declares for the result, for any batch."""
    declared = [int(n) for n in node.writes[0].shape]

    def run(x: torch.Tensor, *_: Any) -> torch.Tensor:
        x = in_file(x)
        target = declared
        if declared and declared[0] == -1:  # samples, or samples together with an axis of each
            rest, own = declared[1:], prod(int(n) for n in x.shape[1:])
            alone = min(rest, default=0) < 0 or prod(rest) == own
            target = [x.shape[0] if alone else -1, *declared[1:]]
        target = with_batch(x, target, node.batch)
        same = list(x.shape) == target
        return here(x if same else x.reshape(target))

    return run


def concat(node: LiteNode) -> Function:
    """Values one after the other."""
    axis = axis_of(int(node.get("Axis", 0)), len(node.writes[0].shape))
    return node.activated(lambda *values: torch.cat(values, axis))


def pad(node: LiteNode) -> Function:
    """Zeros or a constant around."""
    around = by_axis(node.constant(1).reshape(-1, 2).tolist(), node.rank())
    value = float(node.constant(2).reshape(-1)[0]) if len(node.reads) > 2 else 0.0
    if any(around[0]):
        raise node.refuse("along the samples", "padding of a sample's own axes")
    flat = [int(n) for pair in reversed(around[1:]) for n in pair]
    return lambda x, *_: F.pad(x, flat, value=value) if any(flat) else x


def mirror_pad(node: LiteNode) -> Function:
    """Values around, mirrored at the edge's own centre (mode 0), or behind it: the edge comes twice."""
    if int(node.get("Mode", 0)) != 0:
        return _mirrored_with_edge(node)
    around = by_axis(node.constant(1).reshape(-1, 2).tolist(), node.rank())
    if node.rank() > 4 or any(around[0]) or (node.rank() == 4 and any(around[1])):
        raise node.refuse("along samples, channels or depth", "padding of height and width")
    flat = [int(n) for pair in reversed(around[2:] if node.rank() == 4 else around[1:]) for n in pair]
    return lambda x, *_: F.pad(x, flat, "reflect")


def _mirrored_with_edge(node: LiteNode) -> Function:
    around = by_axis(node.constant(1).reshape(-1, 2).tolist(), node.rank())
    if any(around[0]):
        raise node.refuse("along the samples", "padding of a sample's own axes")

    def run(x: torch.Tensor, *_: Any) -> torch.Tensor:
        for axis, (begin, end) in enumerate(around):
            if begin or end:
                size = int(x.shape[axis])
                places = [*range(begin - 1, -1, -1), *range(size), *range(size - 1, size - 1 - end, -1)]
                x = torch.index_select(x, axis, torch.tensor(places))
        return x

    return run


def tile(node: LiteNode) -> Function:
    """Repeated whole, so often along each axis."""
    times = by_axis(node.whole(1), node.rank())
    if times[0] != 1:
        raise node.refuse("along the samples", "copies of a sample's own axes")
    return lambda x, *_: x.repeat(times)


def packed(node: LiteNode) -> Function:
    """Values one behind the other along an axis of their own."""
    axis = int(node.get("Axis", 0)) % len(node.writes[0].shape)
    if axis == 0 or any(t is None or t.values is not None for t in node.reads):
        raise node.refuse("of samples or of stored values", "values of one sample")
    return lambda *values: here(torch.stack([in_file(v) for v in values], axis))


def unpacked(node: LiteNode) -> Function:
    """The values at each place of an axis, which goes."""
    axis = int(node.get("Axis", 0)) % node.rank()
    if axis == 0:
        raise node.refuse("of samples", "an axis of a sample's own")
    return lambda x: tuple(here(part) for part in torch.unbind(in_file(x), axis))


def spread_out(node: LiteNode) -> Function:
    """Repeated along axes of size 1 to the shape that the file declares."""
    shape = by_axis(list(node.writes[0].shape), len(node.writes[0].shape))
    if node.rank() != len(shape):
        raise node.refuse("to more axes", "a reshape to as many axes before it")
    return lambda x, *_: x.expand([-1, *shape[1:]])


def reverse(node: LiteNode) -> Function:
    """Axes turned round."""
    axes = [axis_of(n, node.rank()) for n in node.whole(1)]
    if 0 in axes:
        raise node.refuse("of the samples", "an axis of a sample's own")
    return lambda x, *_: torch.flip(x, axes)


def reduced(
    function: Callable[[torch.Tensor, list[int], bool], torch.Tensor],
) -> Callable[[LiteNode], Function]:
    """A reduction over axes; a value of four axes that keeps only some of them is turned first."""

    def make(node: LiteNode) -> Function:
        rank, keep = node.rank(), bool(node.get("KeepDims", False))
        axes = sorted({n % rank for n in node.whole(1)})
        if 0 in axes:
            raise node.refuse("over samples", "a reduction within a sample")
        # without the axes taken away, what is left stands in the file's order where at most one of space does
        turned = rank == 4 and not keep and 3 not in axes and len(axes) < 2

        def run(x: torch.Tensor, *_: Any) -> torch.Tensor:
            if turned:
                return function(in_file(x), axes, False)
            return function(x, [axis_of(a, rank) for a in axes], keep)

        return run

    return make


def transpose(node: LiteNode) -> Function:
    """Axes in another order."""
    order = node.whole(1)
    if order[0] != 0:
        raise node.refuse("that moves the samples", "the samples first")
    return lambda x, *_: here(in_file(x).permute(order))


def resize(mode: str) -> Callable[[LiteNode], Function]:
    """Another height and width, where torch reads the same neighbours."""

    def make(node: LiteNode) -> Function:
        sizes = node.whole(1)
        corners, half = bool(node.get("AlignCorners", False)), bool(node.get("HalfPixelCenters", False))
        found = node.reads[0]
        assert found is not None
        old = list(found.shape[1:3])
        if mode == "bilinear" and not corners and not half and sizes != old:
            return lambda x, *_: _of_corners(x, sizes)
        if mode == "nearest" and corners:
            raise node.refuse("with AlignCorners", "align_corners=False")
        if mode == "bilinear":
            return lambda x, *_: F.interpolate(x, size=sizes, mode=mode, align_corners=corners)
        return lambda x, *_: _nearest(x, sizes, half)

    return make


def _of_corners(x: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Between pixels seen from the corner of each, as TensorFlow had it first."""
    axes = zip(x.shape[2:], sizes, strict=True)
    return between(x, [np.arange(new, dtype=np.float32) * np.float32(int(old) / new) for old, new in axes])


def _nearest(x: torch.Tensor, sizes: list[int], half: bool) -> torch.Tensor:
    """The nearest pixel, seen from the middle of each (half) or its corner: the same for whole factors."""
    whole = all(new % int(old) == 0 for new, old in zip(sizes, x.shape[2:], strict=True))
    return F.interpolate(x, size=sizes, mode="nearest-exact" if half and not whole else "nearest")


def strided_slice(node: LiteNode) -> Function:
    """Stretches along axes; a shrunk axis goes."""
    begin, end, step = node.whole(1), node.whole(2), node.whole(3)
    if node.get("EllipsisMask", 0) or node.get("NewAxisMask", 0):
        raise node.refuse("with an ellipsis or a new axis", "begin and end for each axis")
    if node.get("Offset", False):
        raise node.refuse("whose ends count from their beginnings", "ends that count from 0")
    masks = [int(node.get(f"{key}Mask", 0)) for key in ("Begin", "End", "ShrinkAxis")]

    def run(x: torch.Tensor, *_: Any) -> torch.Tensor:
        x = in_file(x)
        gone = list[int]()
        for axis, (first, last, by) in enumerate(zip(begin, end, step, strict=True)):
            size, bit = int(x.shape[axis]), 1 << axis
            if axis == 0:
                continue  # all samples
            where = range(size)[
                slice(None if masks[0] & bit else first, None if masks[1] & bit else last, by)
            ]
            if masks[2] & bit:
                where, gone = range(first % size, first % size + 1), [axis, *gone]
            if where != range(size):
                x = stretch(x, axis, where)
        for axis in gone:
            x = x.squeeze(axis)
        return here(x)

    whole = masks[0] & 1 and masks[1] & 1 and not masks[2] & 1
    if (
        step[0] != 1
        or not (whole or (begin[0] == 0 and end[0] in (0, node.batch, 2**31 - 1)))
        or masks[2] & 1
    ):
        raise node.refuse("across samples", "a slice of a sample's own axes")
    return run


def slice_(node: LiteNode) -> Function:
    """Stretches of given lengths."""
    begin, length = (by_axis(node.whole(n), node.rank()) for n in (1, 2))

    def run(x: torch.Tensor, *_: Any) -> torch.Tensor:
        for axis, (first, count) in enumerate(zip(begin, length, strict=True)):
            rest = int(x.shape[axis]) - first
            if axis and (first or (count != -1 and count != rest)):
                x = x.narrow(axis, first, rest if count == -1 else count)
        return x

    if begin[0] != 0 or length[0] not in (-1, node.batch):
        raise node.refuse("across samples", "a slice of a sample's own axes")
    return run


def split(node: LiteNode) -> Function:
    """Equal stretches along an axis: inputs are the axis and the values."""
    axis = axis_of(node.whole(0)[0], node.rank(1))
    return lambda _, x: tuple(torch.split(x, int(x.shape[axis]) // len(node.writes), axis))


def split_v(node: LiteNode) -> Function:
    """Stretches of given sizes along an axis: inputs are the values, the sizes, the axis."""
    sizes, axis = node.whole(1), axis_of(node.whole(2)[0], node.rank(0))

    def run(x: torch.Tensor, *_: Any) -> Any:
        rest = int(x.shape[axis]) - sum(n for n in sizes if n >= 0)
        return tuple(torch.split(x, [rest if n < 0 else n for n in sizes], axis))

    return run


def gather(node: LiteNode) -> Function:
    """Places along an axis."""
    index, axis = node.constant(1), int(node.get("Axis", 0)) % node.rank()
    if axis == 0 or node.get("BatchDims", 0) or index.ndim > 1:
        raise node.refuse("across samples or with a table of places", "places along one axis")
    places = [int(n) for n in index.reshape(-1)]

    def run(x: torch.Tensor, *_: Any) -> torch.Tensor:
        x = in_file(x)
        if index.ndim == 0:
            return here(torch.select(x, axis, places[0]))
        return here(torch.index_select(x, axis, torch.tensor(places)))

    return run


def blocks(function: Callable[[torch.Tensor, int], torch.Tensor]) -> Callable[[LiteNode], Function]:
    """Channels become blocks of pixels, or these become channels."""
    return lambda node: lambda x: function(x, int(node.get("BlockSize", 1)))


MOVES: Mapping[str, Callable[[LiteNode], Function]] = {
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), shaped),
    "CONCATENATION": concat,
    **dict.fromkeys(("PAD", "PADV2"), pad),
    "MIRROR_PAD": mirror_pad,
    "TILE": tile,
    "PACK": packed,
    "UNPACK": unpacked,
    "BROADCAST_TO": spread_out,
    "REVERSE_V2": reverse,
    "MEAN": reduced(lambda x, axes, keep: torch.mean(x, axes, keep)),
    "SUM": reduced(lambda x, axes, keep: torch.sum(x, axes, keep)),
    "REDUCE_MAX": reduced(lambda x, axes, keep: torch.amax(x, axes, keep)),
    "REDUCE_MIN": reduced(lambda x, axes, keep: -torch.amax(-x, axes, keep)),
    "TRANSPOSE": transpose,
    "RESIZE_BILINEAR": resize("bilinear"),
    "RESIZE_NEAREST_NEIGHBOR": resize("nearest"),
    "STRIDED_SLICE": strided_slice,
    "SLICE": slice_,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "GATHER": gather,
    "DEPTH_TO_SPACE": blocks(blocks_to_pixels),
    "SPACE_TO_DEPTH": blocks(pixels_to_blocks),
}
