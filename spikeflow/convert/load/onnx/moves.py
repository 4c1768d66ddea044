"""Operators of ONNX that move values: joined, cut, turned, shaped, padded; and reductions over axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from spikeflow.convert.load.blocks import blocks_to_pixels, pixels_to_blocks
from spikeflow.convert.load.numbers import Numbers, tensor
from spikeflow.convert.load.onnx.node import Function, Node
from spikeflow.convert.load.stretches import stretch
from spikeflow.convert.load.tree import with_batch

_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def listed(node: Node, index: int, value: Any) -> list[Any]:
    """Whole numbers that say how values are moved: computed from shapes, or stored."""
    stored = node.stored(index)
    if not isinstance(value, Numbers) and stored is None:
        raise node.refuse(f"whose input {index} depends on values", "shapes that are known before a run")
    found = value.listed if isinstance(value, Numbers) else np.asarray(stored).reshape(-1).tolist()
    if any(isinstance(n, float) and not n.is_integer() for n in found):
        raise node.refuse(f"whose input {index} is no whole number", "whole numbers")
    return [int(n) if isinstance(n, float) else n for n in found]


def axes_of(node: Node, index: int, value: Any = None) -> list[int] | None:
    """Axes as an attribute, or from opset 13 (18) on as an input; None where all are meant."""
    found = node.integers("axes")
    if found is None and value is not None:
        found = tuple(int(n) for n in listed(node, index, value))
    return list(found) if found else None


def concat(node: Node) -> Function:
    """Values one after the other along an axis."""
    axis = int(node.get("axis", 1))

    def run(*given: Any) -> torch.Tensor:
        values = [tensor(v) for v in given]
        if node.batch == 1 and axis % values[0].ndim:
            # what is stored for the one sample that the file declares is the same for any
            many = next((v.shape[0] for v in values if v.shape[0] != 1), 1)
            values = [v.expand(many, *v.shape[1:]) if v.shape[0] == 1 else v for v in values]
        return torch.cat(values, axis)

    return run


def split(node: Node) -> Function:
    """Stretches along an axis, of given sizes or of equal ones."""
    axis, count = int(node.get("axis", 0)), int(node.get("num_outputs", len(node.asked)))

    def run(x: Any, sizes: Any = None) -> Any:
        x = tensor(x)
        given = node.integers("split") or (None if sizes is None else listed(node, 1, sizes))
        if given is None:
            each = -(-int(x.shape[axis]) // count)
            given = [min(each, int(x.shape[axis]) - n * each) for n in range(count)]
        return tuple(torch.split(x, [int(n) for n in given], axis))

    return run


def split_to_list(node: Node) -> Function:
    """Stretches along an axis as a list, of given sizes or of one; without axes of 1 where that is said."""
    axis, stored = int(node.get("axis", 0)), node.stored(1)

    def run(x: Any, sizes: Any = None) -> Any:
        x = tensor(x)
        given = [1] if sizes is None else [int(n) for n in listed(node, 1, sizes)]
        one = sizes is None or (stored is not None and stored.ndim == 0)
        parts = torch.split(x, given[0] if one else given, axis)
        bare = sizes is None and not node.get("keepdims", 1)
        return [part.squeeze(axis) if bare else part for part in parts]

    return run


def slice_(node: Node) -> Function:
    """Stretches along axes, with steps; a step of -1 turns an axis round."""

    def run(x: Any, *given: Any) -> Any:
        x = tensor(x)
        starts, ends, axes, steps = bounds(node, given)
        for start, end, axis, step in zip(starts, ends, axes or range(len(starts)), steps, strict=True):
            x = _cut(x, int(axis) % x.ndim, slice(start, end, step))
        return x

    return run


def bounds(node: Node, given: tuple[Any, ...]) -> tuple[list[Any], list[Any], list[Any] | None, list[int]]:
    """Starts, ends, axes and steps of a slice: attributes before opset 10, inputs from it on."""
    if node.opset < 10:
        starts, ends = list(node.integers("starts") or ()), list(node.integers("ends") or ())
        axes = node.integers("axes")
        return starts, ends, None if axes is None else list(axes), [1] * len(starts)
    found = [None if v is None else listed(node, n, v) for n, v in enumerate(given, 1)]
    found += [None] * (4 - len(found))
    starts, ends, axes, steps = found
    assert starts is not None and ends is not None
    return starts, ends, axes, [int(n) for n in steps or [1] * len(starts)]


def _cut(x: torch.Tensor, axis: int, where: slice) -> torch.Tensor:
    if axis == 0:
        return x[where]
    return stretch(x, axis, range(int(x.shape[axis]))[where])


def gather(node: Node) -> Function:
    """One place along an axis, or several in a given order."""
    axis = int(node.get("axis", 0))

    def run(x: Any, index: Any) -> Any:
        x = tensor(x)
        places = [int(n) for n in listed(node, 1, index)]
        stored = node.stored(1)
        ndim = index.values.ndim if isinstance(index, Numbers) else 0 if stored is None else stored.ndim
        at, size = axis % x.ndim, int(x.shape[axis])
        places = [n % size for n in places]
        if ndim == 0:
            return torch.select(x, at, places[0])
        if ndim > 1:
            raise node.refuse("with a table of places", "places along one axis")
        step = places[1] - places[0] if len(places) > 1 else 1
        if step > 0 and places == list(range(places[0], places[0] + step * len(places), step)):
            return torch.ops.aten.slice.Tensor(x, at, places[0], places[-1] + 1, step)
        return torch.index_select(x, at, torch.tensor(places))

    return run


def transpose(node: Node) -> Function:
    """Axes in another order; the reverse one where none is said."""
    order = node.integers("perm")

    def run(x: Any) -> torch.Tensor:
        x = tensor(x)
        return x.permute(order or tuple(reversed(range(x.ndim))))

    return run


def reshape(node: Node) -> Function:
    """Another shape; the number of samples that the file declares stands for any."""
    keep_zero = bool(node.get("allowzero", 0))

    def run(x: Any, shape: Any = None) -> torch.Tensor:
        x = tensor(x)
        given = listed(node, 1, shape)
        target = [x.shape[n] if size == 0 and not keep_zero else size for n, size in enumerate(given)]
        return x.reshape(with_batch(x, target, node.batch))

    return run


def flatten(node: Node) -> Function:
    """All axes from one on as one."""
    axis = int(node.get("axis", 1))

    def run(x: Any) -> torch.Tensor:
        x = tensor(x)
        if axis == 1 or (axis < 0 and axis % x.ndim == 1):
            return torch.flatten(x, 1)
        at = axis % x.ndim if axis < 0 else axis
        return x.reshape(prod(x.shape[:at]), -1)

    return run


def squeeze(node: Node) -> Function:
    """Without axes of size 1."""

    def run(x: Any, given: Any = None) -> torch.Tensor:
        x, axes = tensor(x), axes_of(node, 1, given)
        if axes is None:
            axes = [n for n in range(1, x.ndim) if int(x.shape[n]) == 1]
        for axis in sorted((a % x.ndim for a in axes), reverse=True):
            x = x.squeeze(axis)
        return x

    return run


def unsqueeze(node: Node) -> Function:
    """With axes of size 1."""

    def run(x: Any, given: Any = None) -> torch.Tensor:
        x, axes = tensor(x), axes_of(node, 1, given) or []
        for axis in sorted(a % (x.ndim + len(axes)) for a in axes):
            x = x.unsqueeze(axis)
        return x

    return run


def expand(node: Node) -> Function:
    """Repeated along axes of size 1, by the rules of broadcasting."""

    def run(x: Any, shape: Any) -> torch.Tensor:
        x, target = tensor(x), listed(node, 1, shape)
        target = [1] * (x.ndim - len(target)) + target
        own = [1] * (len(target) - x.ndim) + list(x.shape)
        if len(target) == x.ndim and node.batch is not None and target[0] == node.batch:
            target[0] = own[0]  # the number of samples that the file declares stands for any
        return x.expand([o if isinstance(t, int) and t == 1 else t for o, t in zip(own, target, strict=True)])

    return run


def pad(node: Node) -> Function:
    """Values around, by one of four modes."""
    mode = str(node.get("mode", "constant"))
    if mode not in _MODES:
        raise node.refuse(f"by the mode {mode[:20]!r}", f"one of {', '.join(_MODES)}")
    scale, zero = node.get("codes") or (1.0, 0.0)  # of whole numbers of the file, which are real values here

    def run(x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> torch.Tensor:
        x = tensor(x)
        widths = list(node.integers("pads") or listed(node, 1, pads))
        filling = float(node.get("value", 0.0)) if value is None else node.number(2, 0.0)
        filling = (filling - zero) * scale
        chosen = range(x.ndim) if axes is None else [int(a) % x.ndim for a in listed(node, 3, axes)]
        half = len(widths) // 2
        around = {axis: (int(widths[n]), int(widths[half + n])) for n, axis in enumerate(chosen)}
        return _around(x, around, _MODES[mode], filling)

    return run


def _around(x: torch.Tensor, around: dict[int, tuple[int, int]], mode: str, value: float) -> torch.Tensor:
    used = [axis for axis, pair in around.items() if any(pair)]
    if not used:
        return x
    first = min(used)
    if mode != "constant":  # of these torch wants the widths of all spatial axes
        first = min(first, 2)
    flat = [n for axis in range(x.ndim - 1, first - 1, -1) for n in around.get(axis, (0, 0))]
    return F.pad(x, flat, value=value) if mode == "constant" else F.pad(x, flat, mode)


def depth_to_space(node: Node) -> Function:
    """Channels become blocks of pixels, in one of two orders."""
    size = int(node.get("blocksize", 1))
    how = blocks_to_pixels if str(node.get("mode", "DCR")) == "DCR" else F.pixel_shuffle
    return lambda x: how(tensor(x), size)


def space_to_depth(node: Node) -> Function:
    """Blocks of pixels become channels."""
    return lambda x: pixels_to_blocks(tensor(x), int(node.get("blocksize", 1)))


def tile(node: Node) -> Function:
    """Repeated whole."""
    return lambda x, times: tensor(x).repeat([int(n) for n in listed(node, 1, times)])


def reduced(function: Callable[[torch.Tensor, list[int], bool], torch.Tensor]) -> Callable[[Node], Function]:
    """A reduction over axes."""

    def make(node: Node) -> Function:
        keep = bool(node.get("keepdims", 1))

        def run(x: Any, given: Any = None) -> torch.Tensor:
            x, axes = tensor(x), axes_of(node, 1, given)
            if axes is None:
                if node.get("noop_with_empty_axes", 0):
                    return x
                axes = list(range(x.ndim))
            return function(x, [a % x.ndim for a in axes], keep)

        return run

    return make


MOVES: Mapping[str, Callable[[Node], Function]] = {
    "Concat": concat,
    "Split": split,
    "SplitToSequence": split_to_list,
    "Slice": slice_,
    "Gather": gather,
    "Transpose": transpose,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Pad": pad,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Tile": tile,
    "ReduceMean": reduced(lambda x, axes, keep: torch.mean(x, axes, keep)),
    "ReduceSum": reduced(lambda x, axes, keep: torch.sum(x, axes, keep)),
    "ReduceMax": reduced(lambda x, axes, keep: torch.amax(x, axes, keep)),
    "ReduceMin": reduced(lambda x, axes, keep: -torch.amax(-x, axes, keep)),
    "ReduceL2": reduced(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep)),
}
