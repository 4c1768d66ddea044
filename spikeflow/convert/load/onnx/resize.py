"""Resize and Upsample of ONNX: torch's interpolations where these read the same neighbours, else matrices.

::

    half_pixel            x = (i + 0.5) / scale - 0.5          asymmetric       x = i / scale
    pytorch_half_pixel    as half_pixel, 0 for one pixel       align_corners    x = i (in - 1) / (out - 1)

All in float32, as torch and ONNX's runtimes compute them: 1.4, which float32 holds as a little less, makes 56
pixels of 40, and the pixel on the edge between two falls to the side that they take.

Source: ONNX, operator Resize.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from spikeflow.convert.load.interpolated import between
from spikeflow.convert.load.numbers import Numbers, tensor
from spikeflow.convert.load.onnx.moves import listed
from spikeflow.convert.load.onnx.node import Function, Node
from spikeflow.typing import Array

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
F32 = np.float32
_ROUND: Mapping[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x.astype(np.float64) - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x.astype(np.float64) + 0.5),
}
_HINT = "mode='nearest' or 'linear' with half_pixel coordinates, as torch exports them"


def resize(node: Node) -> Function:
    """Another size of the axes of space, by factors or by the sizes themselves."""
    for key, plain in (("antialias", 0), ("exclude_outside", 0), ("keep_aspect_ratio_policy", "stretch")):
        if node.get(key, plain) != plain:
            raise node.refuse(f"with {key}", _HINT)

    def run(x: Any, *given: Any) -> torch.Tensor:
        x = tensor(x)
        scales, sizes = _asked(node, x, given)
        return resized(node, x, sizes, scales)

    return run


def _asked(node: Node, x: torch.Tensor, given: tuple[Any, ...]) -> tuple[list[float], list[int]]:
    """For each axis of space its factor and its new size."""
    at = 0 if node.kind == "Upsample" or node.opset < 11 else 1  # before opset 11 there is no region
    factors = node.get("scales")
    if factors is None:
        factors = _factors(node, at, given)
    sizes = given[at + 1] if len(given) > at + 1 else None
    old = [int(n) for n in x.shape[2:]]
    axes = [axis % x.ndim for axis in node.integers("axes") or range(x.ndim)]
    if sizes is not None:
        wanted = dict(zip(axes, listed(node, at + 2, sizes), strict=True))
        if int(wanted.get(1, x.shape[1])) != int(x.shape[1]):
            raise node.refuse("of samples or channels", "sizes that leave these as they are")
        found = [int(wanted.get(axis, n)) for axis, n in enumerate(old, 2)]
        return [float(F32(new) / F32(n)) for new, n in zip(found, old, strict=True)], found
    if factors is None:
        raise node.refuse("whose factors depend on values", "factors that are stored")
    spread = dict(zip(axes, (float(f) for f in factors), strict=True))
    if any(spread.get(axis, 1.0) != 1 for axis in (0, 1)):
        raise node.refuse("of samples or channels", "factors of 1 for these")
    scales = [spread.get(axis, 1.0) for axis in range(2, x.ndim)]
    return scales, [math.floor(F32(n) * F32(scale)) for n, scale in zip(old, scales, strict=True)]


def _factors(node: Node, at: int, given: tuple[Any, ...]) -> list[float] | None:
    if len(given) <= at or given[at] is None:
        return None
    if isinstance(given[at], Numbers):
        return [float(n) for n in given[at].listed] or None
    stored = node.stored(at + 1)
    return None if stored is None or stored.size == 0 else [float(n) for n in stored.reshape(-1)]


def resized(node: Node, x: torch.Tensor, sizes: list[int], scales: list[float]) -> torch.Tensor:
    """The value at its new size."""
    old = [int(n) for n in x.shape[2:]]
    if sizes == old:
        return x
    if min(sizes) < 1:
        raise node.refuse(f"to {sizes} pixels", "a larger factor")
    mode = str(node.get("mode", "nearest"))
    before = node.kind == "Upsample" or node.opset < 11
    how = "asymmetric" if before else str(node.get("coordinate_transformation_mode", "half_pixel"))
    if mode == "nearest":
        return _nearest(node, x, sizes, _places(node, (old, sizes, scales), how))
    whole = all(abs(n * s - new) < 1e-6 for n, s, new in zip(old, scales, sizes, strict=True))
    corners = how == "align_corners"
    plain = how in ("half_pixel", "pytorch_half_pixel", "align_corners") and (whole or corners)
    plain = plain and not (how == "pytorch_half_pixel" and 1 in sizes)
    if mode == "linear" and not plain:
        return between(x, _coordinates(node, (old, sizes, scales), how))
    if mode != "linear" and (mode != "cubic" or not plain):
        raise node.refuse(f"by {mode[:20]} interpolation of {how[:40]} coordinates", _HINT)
    word = _LINEAR[len(old)] if mode == "linear" else "bicubic"
    if mode == "cubic" and (len(old) != 2 or abs(float(node.get("cubic_coeff_a", -0.75)) + 0.75) > 1e-6):
        raise node.refuse("by this cubic interpolation", _HINT)
    return F.interpolate(x, size=sizes, mode=word, align_corners=corners)


def _coordinates(node: Node, sizes: tuple[list[int], list[int], list[float]], how: str) -> list[Array]:
    """For each axis, where each new pixel lies between the old ones."""
    found = list[Array]()
    for old, new, scale in zip(*sizes, strict=True):
        i = np.arange(new, dtype=F32)
        if how == "asymmetric":
            found.append(i / F32(scale))
        elif how == "align_corners":
            found.append(i * F32(old - 1) / F32(max(new - 1, 1)))
        elif how == "half_pixel" or (how == "pytorch_half_pixel" and new > 1):
            found.append((i + F32(0.5)) / F32(scale) - F32(0.5))
        elif how == "pytorch_half_pixel":
            found.append(np.zeros(1, F32))
        else:
            raise node.refuse(f"of {how[:40]} coordinates", _HINT)
    return found


def _places(node: Node, sizes: tuple[list[int], list[int], list[float]], how: str) -> list[Array]:
    """For each axis, the place that each new pixel is read from."""
    rounding = _ROUND.get(str(node.get("nearest_mode", "round_prefer_floor")))
    before = node.kind == "Upsample" or node.opset < 11
    if before:
        rounding = np.floor
    if rounding is None:
        raise node.refuse("by this nearest_mode", _HINT)
    found = list[Array]()
    for x, old, scale in zip(_coordinates(node, sizes, how), sizes[0], sizes[2], strict=True):
        if before and scale < 1 and not np.array_equal(np.floor(x), np.ceil(x)):
            raise node.refuse("to fewer pixels, between two neighbours", "an export of opset 11 or later")
        found.append(np.clip(rounding(x), 0, old - 1).astype(np.int64))
    return found


def _nearest(node: Node, x: torch.Tensor, sizes: list[int], places: list[Array]) -> torch.Tensor:
    """Torch's form of it that reads the same pixels, or pixels picked axis by axis."""
    old = [int(n) for n in x.shape[2:]]
    for mode in ("nearest", "nearest-exact"):
        theirs = (_read_by(mode, n, new) for n, new in zip(old, sizes, strict=True))
        if all(np.array_equal(a, b) for a, b in zip(theirs, places, strict=True)):
            return F.interpolate(x, size=sizes, mode=mode)
    for axis, picked in enumerate(places, 2):
        x = torch.index_select(x, axis, torch.tensor(picked.tolist()))
    return x


def _read_by(mode: str, old: int, new: int) -> Array:
    """The places that torch reads along an axis; -1 where that depends on how it rounds.

    Counted here, as a tensor has no values while it is traced.
    """
    i = np.arange(new, dtype=F32) + F32(0.5 if mode == "nearest-exact" else 0.0)
    found = [np.floor(i * (F32(old) / F32(new))), np.floor(i.astype(np.float64) * old / new)]
    return np.where(found[0] == found[1], np.minimum(found[0], old - 1), -1).astype(np.int64)


RESIZE: Mapping[str, Callable[[Node], Function]] = {"Resize": resize, "Upsample": resize}
