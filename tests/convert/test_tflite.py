"""Each operator of TFLite against numpy, in the file's own layout (channels last), on values drawn at random.

By hand the same models are answered by TFLite itself: `python -m tests.convert.test_tflite FOLDER`, with ai-edge-litert.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.convert.lite_models import Lite, answered, read  # isort: skip

from spikeflow.convert import convert
from spikeflow.convert.load.tflite.moves import MOVES
from spikeflow.convert.load.tflite.node import LiteNode
from spikeflow.convert.load.tree import FileNetwork
from spikeflow.convert.passes.forward import forward
from spikeflow.errors import FileError, MissingPackage, SpikeflowWarning, UnsupportedLayer, UnsupportedLayers
from spikeflow.files.tflite_model import read_tflite
from tests.convert.pooled import pooled, same

F32, I32 = np.float32, np.int32
SAME, VALID = 0, 1


def values(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(F32)


def convolution(x: np.ndarray, w: np.ndarray, stride: int, padding: int, dilation: int = 1) -> np.ndarray:
    """A convolution written out; weights are height, width, inputs, outputs."""
    kh, kw = w.shape[:2]
    spans = [(k - 1) * dilation + 1 for k in (kh, kw)]
    pads = [same(n, s, stride) if padding == SAME else (0, 0) for n, s in zip(x.shape[1:3], spans, strict=True)]
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    sizes = [(n - s) // stride + 1 for n, s in zip(x.shape[1:3], spans, strict=True)]
    made = np.zeros((len(x), *sizes, w.shape[3]), F32)
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            rows = slice(i * stride, i * stride + spans[0], dilation)
            columns = slice(j * stride, j * stride + spans[1], dilation)
            made[:, i, j] = np.einsum("nhwc,hwco->no", x[:, rows, columns], w)
    return made


def pool(x: np.ndarray, how: str, kernel: int, stride: int, padding: int) -> np.ndarray:
    pads = [same(n, kernel, stride) if padding == SAME else (0, 0) for n in x.shape[1:3]]
    return pooled(x.transpose(0, 3, 1, 2), [kernel] * 2, [stride] * 2, pads, how).transpose(0, 2, 3, 1)


def sized(n: int, kernel: int, stride: int, padding: int) -> int:
    return -(-n // stride) if padding == SAME else (n - kernel) // stride + 1


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(("size", "kernel", "stride", "dilation"), [(8, 3, 2, 1), (7, 3, 2, 1), (8, 4, 1, 1), (9, 5, 3, 1), (9, 3, 1, 2), (6, 1, 2, 1)])
def test_convolutions(padding: int, size: int, kernel: int, stride: int, dilation: int, tmp_path: Path) -> None:
    x, w, b = values(1, 2, size, size, 3), values(2, kernel, kernel, 3, 4), values(3, 4)
    span = (kernel - 1) * dilation + 1
    n = sized(size, span, stride, padding)
    m = Lite(1, size, size, 3)
    said = {"StrideH": stride, "StrideW": stride, "Padding": padding, "DilationHFactor": dilation, "DilationWFactor": dilation}
    out = m.add("CONV_2D", 0, w.transpose(3, 0, 1, 2).copy(), b, shape=(1, n, n, 4), FusedActivationFunction=1, **said)
    (found,) = answered(m.save(tmp_path / "net.tflite", out), x)
    np.testing.assert_allclose(found, np.maximum(convolution(x, w, stride, padding, dilation) + b, 0), atol=1e-4)

    deep = values(4, 1, kernel, kernel, 6)  # two for each channel, the multiplier within the channel
    m = Lite(1, size, size, 3)
    out = m.add("DEPTHWISE_CONV_2D", 0, deep, values(5, 6), shape=(1, n, n, 6), DepthMultiplier=2, **said)
    (found,) = answered(m.save(tmp_path / "net.tflite", out), x)
    full = np.zeros((kernel, kernel, 3, 6), F32)
    for channel in range(6):
        full[:, :, channel // 2, channel] = deep[0, :, :, channel]
    np.testing.assert_allclose(found, convolution(x, full, stride, padding, dilation) + values(5, 6), atol=1e-4)


@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(("size", "kernel", "stride"), [(8, 2, 2), (7, 2, 2), (8, 3, 2), (9, 4, 3), (5, 3, 1), (6, 4, 1)])
def test_pools(kind: str, padding: int, size: int, kernel: int, stride: int, tmp_path: Path) -> None:
    x, n = values(1, 2, size, size, 3), sized(size, kernel, stride, padding)
    m = Lite(1, size, size, 3)
    said = {"FilterHeight": kernel, "FilterWidth": kernel, "StrideH": stride, "StrideW": stride, "Padding": padding}
    (found,) = answered(m.save(tmp_path / "net.tflite", m.add(kind, 0, shape=(1, n, n, 3), **said)), x)
    how = "max" if kind.startswith("MAX") else "mean"
    np.testing.assert_allclose(found, pool(x, how, kernel, stride, padding), atol=1e-5)


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_transposed_convolutions(padding: int, kernel: int, tmp_path: Path) -> None:
    """Each value adds its kernel to the result, of which SAME cuts the borders off."""
    x, w, b, stride = values(1, 2, 4, 4, 3), values(2, 5, kernel, kernel, 3), values(3, 5), 2
    n = 4 * stride if padding == SAME else 3 * stride + kernel
    m = Lite(1, 4, 4, 3)
    shape = np.array([1, n, n, 5], I32)
    out = m.add("TRANSPOSE_CONV", shape, w, 0, b, shape=(1, n, n, 5), StrideH=stride, StrideW=stride, Padding=padding)
    (found,) = answered(m.save(tmp_path / "net.tflite", out), x)
    full = np.zeros((2, 3 * stride + kernel, 3 * stride + kernel, 5), F32)
    for i in range(4):
        for j in range(4):
            full[:, i * stride : i * stride + kernel, j * stride : j * stride + kernel] += np.einsum("nc,ohwc->nhwo", x[:, i, j], w)
    cut = (full.shape[1] - n) // 2
    np.testing.assert_allclose(found, full[:, cut : cut + n, cut : cut + n] + b, atol=1e-4)


def _softmax(x: np.ndarray, beta: float = 1.0) -> np.ndarray:
    powers = np.exp(beta * (x - x.max(-1, keepdims=True)))
    return powers / powers.sum(-1, keepdims=True)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _between(x: np.ndarray, axis: int, new: int) -> np.ndarray:
    """An axis of space at new places, counted from the first pixel's own."""
    places = np.arange(new) * x.shape[axis] / new
    return np.apply_along_axis(lambda line: np.interp(places, np.arange(len(line)), line), axis, x)


def _bilinear(x: np.ndarray, size: int) -> np.ndarray:
    """Both axes of space, one after the other, with centres at halves."""
    for axis in (1, 2):
        n = x.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
        low = np.floor(at).astype(int)
        high, part = np.minimum(low + 1, n - 1), (at - low).astype(F32)
        part = part.reshape([-1 if a == axis else 1 for a in range(4)])
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


FOUR, TWO = (2, 4, 6, 3), (2, 5)
W = values(7, 4, 5)
CASES: dict[str, tuple[tuple[int, ...], Callable[[Lite], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "linear": (TWO, lambda m: m.add("FULLY_CONNECTED", 0, W, values(8, 4), shape=(1, 4), FusedActivationFunction=1), lambda x: np.maximum(x @ W.T + values(8, 4), 0)),
    "linear without bias": (TWO, lambda m: m.add("FULLY_CONNECTED", 0, W, -1, shape=(1, 4)), lambda x: x @ W.T),
    "linear on a picture": ((2, 2, 2, 3), lambda m: m.add("FULLY_CONNECTED", 0, values(9, 4, 12), values(8, 4), shape=(1, 4)), lambda x: x.reshape(2, -1) @ values(9, 4, 12).T + values(8, 4)),
    "linear along an axis": ((2, 3, 5), lambda m: m.add("FULLY_CONNECTED", 0, W, -1, shape=(1, 3, 4), KeepNumDims=True), lambda x: x @ W.T),
    "add a value for each channel": (FOUR, lambda m: m.add("ADD", 0, values(5, 3), shape=(1, 4, 6, 3), FusedActivationFunction=3), lambda x: np.clip(x + values(5, 3), 0, 6)),
    "multiply by a row": (FOUR, lambda m: m.add("MUL", values(5, 6, 1), 0, shape=(1, 4, 6, 3)), lambda x: x * values(5, 6, 1)),
    "subtract and divide": (TWO, lambda m: m.add("DIV", m.add("SUB", 0, values(5, 5), shape=(1, 5)), np.array(2, F32), shape=(1, 5)), lambda x: (x - values(5, 5)) / 2),
    "of two streams": (FOUR, lambda m: m.add("ADD", m.add("RELU", 0, shape=(1, 4, 6, 3)), 0, shape=(1, 4, 6, 3)), lambda x: x + np.maximum(x, 0)),
    "maximum and minimum": (TWO, lambda m: m.add("MINIMUM", m.add("MAXIMUM", 0, np.array(0, F32), shape=(1, 5)), np.array(1, F32), shape=(1, 5)), lambda x: np.clip(x, 0, 1)),
    "relu6": (TWO, lambda m: m.add("RELU6", 0, shape=(1, 5)), lambda x: np.clip(x, 0, 6)),
    "between -1 and 1": (TWO, lambda m: m.add("RELU_N1_TO_1", 0, shape=(1, 5)), lambda x: np.clip(x, -1, 1)),
    "logistic": (TWO, lambda m: m.add("LOGISTIC", 0, shape=(1, 5)), _sigmoid),
    "tanh": (TWO, lambda m: m.add("TANH", 0, shape=(1, 5)), np.tanh),
    "hard swish": (TWO, lambda m: m.add("HARD_SWISH", 0, shape=(1, 5)), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "silu": (TWO, lambda m: m.add("MUL", m.add("LOGISTIC", 0, shape=(1, 5)), 0, shape=(1, 5)), lambda x: x * _sigmoid(x)),
    "elu": (TWO, lambda m: m.add("ELU", 0, shape=(1, 5)), lambda x: np.where(x > 0, x, np.expm1(x))),
    "leaky": (TWO, lambda m: m.add("LEAKY_RELU", 0, shape=(1, 5), Alpha=0.2), lambda x: np.where(x > 0, x, F32(0.2) * x)),
    "prelu": (FOUR, lambda m: m.add("PRELU", 0, np.array([[[0.1, 0.2, -0.3]]], F32), shape=(1, 4, 6, 3)), lambda x: np.where(x > 0, x, np.array([0.1, 0.2, -0.3], F32) * x)),
    "softmax": (TWO, lambda m: m.add("SOFTMAX", 0, shape=(1, 5), Beta=2.0), lambda x: _softmax(x, 2)),
    "softmax of channels": (FOUR, lambda m: m.add("SOFTMAX", 0, shape=(1, 4, 6, 3), Beta=1.0), _softmax),
    "log softmax": (TWO, lambda m: m.add("LOG_SOFTMAX", 0, shape=(1, 5)), lambda x: np.log(_softmax(x))),
    "neg, abs": (TWO, lambda m: m.add("NEG", m.add("ABS", 0, shape=(1, 5)), shape=(1, 5)), lambda x: -np.abs(x)),
    "reshape of a picture": (FOUR, lambda m: m.add("RESHAPE", 0, np.array([1, 72], I32), shape=(1, 72)), lambda x: x.reshape(2, 72)),
    "reshape to a picture": ((2, 72), lambda m: m.add("RESHAPE", 0, np.array([1, 4, 6, 3], I32), shape=(1, 4, 6, 3)), lambda x: x.reshape(2, 4, 6, 3)),
    "reshape of pictures": (FOUR, lambda m: m.add("RESHAPE", 0, np.array([1, 2, 4, 9], I32), shape=(1, 2, 4, 9)), lambda x: x.reshape(2, 2, 4, 9)),
    "squeeze": ((2, 1, 1, 5), lambda m: m.add("SQUEEZE", 0, shape=(1, 5)), lambda x: x.reshape(2, 5)),
    "a further axis": ((2, 4, 5), lambda m: m.add("EXPAND_DIMS", 0, np.array(1, I32), shape=(1, 1, 4, 5)), lambda x: x[:, None]),
    "concatenation": (FOUR, lambda m: m.add("CONCATENATION", 0, 0, shape=(1, 4, 6, 6), Axis=3), lambda x: np.concatenate([x, x], 3)),
    "concatenation of rows": (FOUR, lambda m: m.add("CONCATENATION", 0, 0, shape=(1, 8, 6, 3), Axis=1), lambda x: np.concatenate([x, x], 1)),
    "pad": (FOUR, lambda m: m.add("PAD", 0, np.array([[0, 0], [1, 2], [0, 1], [0, 2]], I32), shape=(1, 7, 7, 5)), lambda x: np.pad(x, [(0, 0), (1, 2), (0, 1), (0, 2)])),
    "pad by a value": (TWO, lambda m: m.add("PADV2", 0, np.array([[0, 0], [1, 2]], I32), np.array(0.5, F32), shape=(1, 8)), lambda x: np.pad(x, [(0, 0), (1, 2)], constant_values=0.5)),
    "mirror": (FOUR, lambda m: m.add("MIRROR_PAD", 0, np.array([[0, 0], [1, 2], [2, 1], [0, 0]], I32), shape=(1, 7, 9, 3), Mode=0), lambda x: np.pad(x, [(0, 0), (1, 2), (2, 1), (0, 0)], "reflect")),
    "mean over space": (FOUR, lambda m: m.add("MEAN", 0, np.array([1, 2], I32), shape=(1, 3)), lambda x: x.mean((1, 2))),
    "mean over space, kept": (FOUR, lambda m: m.add("MEAN", 0, np.array([1, 2], I32), shape=(1, 1, 1, 3), KeepDims=True), lambda x: x.mean((1, 2), keepdims=True)),
    "mean over rows": (FOUR, lambda m: m.add("MEAN", 0, np.array([1], I32), shape=(1, 6, 3)), lambda x: x.mean(1)),
    "sum over channels": (FOUR, lambda m: m.add("SUM", 0, np.array([-1], I32), shape=(1, 4, 6)), lambda x: x.sum(-1)),
    "largest": (FOUR, lambda m: m.add("REDUCE_MAX", 0, np.array([2, 3], I32), shape=(1, 4)), lambda x: x.max((2, 3))),
    "transpose": (FOUR, lambda m: m.add("TRANSPOSE", 0, np.array([0, 3, 1, 2], I32), shape=(1, 3, 4, 6)), lambda x: x.transpose(0, 3, 1, 2)),
    "nearest": (FOUR, lambda m: m.add("RESIZE_NEAREST_NEIGHBOR", 0, np.array([8, 12], I32), shape=(1, 8, 12, 3)), lambda x: x.repeat(2, 1).repeat(2, 2)),
    "nearest of centres": (FOUR, lambda m: m.add("RESIZE_NEAREST_NEIGHBOR", 0, np.array([6, 9], I32), shape=(1, 6, 9, 3), HalfPixelCenters=True), lambda x: x[:, np.floor((np.arange(6) + 0.5) * 4 / 6).astype(int)][:, :, np.floor((np.arange(9) + 0.5) * 6 / 9).astype(int)]),
    "bilinear": ((2, 4, 4, 3), lambda m: m.add("RESIZE_BILINEAR", 0, np.array([7, 7], I32), shape=(1, 7, 7, 3), HalfPixelCenters=True), lambda x: _bilinear(x, 7)),
    "bilinear of corners": ((2, 4, 4, 3), lambda m: m.add("RESIZE_BILINEAR", 0, np.array([7, 6], I32), shape=(1, 7, 6, 3)), lambda x: _between(_between(x, 1, 7), 2, 6)),
    "strided slice": (FOUR, lambda m: m.add("STRIDED_SLICE", 0, np.array([0, 1, 0, 0], I32), np.array([1, 4, 0, 2], I32), np.array([1, 1, 2, 1], I32), shape=(1, 3, 3, 2), EndMask=5, BeginMask=1), lambda x: x[:, 1:4, ::2, :2]),
    "slice that shrinks": (FOUR, lambda m: m.add("STRIDED_SLICE", 0, np.array([0, -1], I32), np.array([1, 0], I32), np.array([1, 1], I32), shape=(1, 6, 3), EndMask=1, BeginMask=1, ShrinkAxisMask=2), lambda x: x[:, -1]),
    "slice": (FOUR, lambda m: m.add("SLICE", 0, np.array([0, 1, 0, 1], I32), np.array([1, 2, -1, 2], I32), shape=(1, 2, 6, 2)), lambda x: x[:, 1:3, :, 1:3]),
    "split": ((2, 4, 6, 4), lambda m: m.add("SPLIT", np.array(3, I32), 0, shape=(1, 4, 6, 2), outputs=2, NumSplits=2)[1], lambda x: x[..., 2:]),
    "split by sizes": (FOUR, lambda m: m.add("SPLIT_V", 0, np.array([1, -1], I32), np.array(2, I32), shape=(1, 4, 5, 3), outputs=2, NumSplits=2)[1], lambda x: x[:, :, 1:]),
    "gather": (FOUR, lambda m: m.add("GATHER", 0, np.array([2, 0], I32), shape=(1, 4, 6, 2), Axis=3), lambda x: x[..., [2, 0]]),
    "depth to space": ((2, 3, 4, 8), lambda m: m.add("DEPTH_TO_SPACE", 0, shape=(1, 6, 8, 2), BlockSize=2), lambda x: x.reshape(2, 3, 4, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(2, 6, 8, 2)),
    "space to depth": (FOUR, lambda m: m.add("SPACE_TO_DEPTH", 0, shape=(1, 2, 3, 12), BlockSize=2), lambda x: x.reshape(2, 2, 2, 3, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 2, 3, 12)),
    "tile": (FOUR, lambda m: m.add("TILE", 0, np.array([1, 2, 1, 3], I32), shape=(1, 8, 6, 9)), lambda x: np.tile(x, (1, 2, 1, 3))),
    "pack": (FOUR, lambda m: m.add("PACK", 0, m.add("NEG", 0, shape=(1, 4, 6, 3)), shape=(1, 4, 6, 2, 3), Axis=3, ValuesCount=2), lambda x: np.stack([x, -x], 3)),
    "pack to a picture": ((2, 4, 6), lambda m: m.add("PACK", 0, 0, shape=(1, 4, 6, 2), Axis=-1, ValuesCount=2), lambda x: np.stack([x, x], 3)),
    "unpack": (FOUR, lambda m: m.add("UNPACK", 0, shape=(1, 4, 6), outputs=3, Axis=3, Num=3)[1], lambda x: x[..., 1]),
    "unpack to pictures": ((2, 3, 4, 6, 2), lambda m: m.add("UNPACK", 0, shape=(1, 4, 6, 2), outputs=3, Axis=1, Num=3)[2], lambda x: x[:, 2]),
    "mirror with the edge": (FOUR, lambda m: m.add("MIRROR_PAD", 0, np.array([[0, 0], [1, 2], [2, 1], [0, 1]], I32), shape=(1, 7, 9, 4), Mode=1), lambda x: np.pad(x, [(0, 0), (1, 2), (2, 1), (0, 1)], "symmetric")),
    "slice backwards": (FOUR, lambda m: m.add("STRIDED_SLICE", 0, np.array([0, 3, 0, 0], I32), np.array([0, 0, 0, 0], I32), np.array([1, -2, 1, -1], I32), shape=(1, 2, 6, 3), BeginMask=13, EndMask=13), lambda x: x[:, 3:0:-2, :, ::-1]),
    "reverse": (FOUR, lambda m: m.add("REVERSE_V2", 0, np.array([2], I32), shape=(1, 4, 6, 3)), lambda x: x[:, :, ::-1]),
    "broadcast": ((2, 1, 6, 3), lambda m: m.add("BROADCAST_TO", 0, np.array([1, 4, 6, 3], I32), shape=(1, 4, 6, 3)), lambda x: np.broadcast_to(x, (2, 4, 6, 3))),
    "smallest": (FOUR, lambda m: m.add("REDUCE_MIN", 0, np.array([3], I32), shape=(1, 4, 6)), lambda x: x.min(3)),
    "linear along the channels": (FOUR, lambda m: m.add("FULLY_CONNECTED", 0, values(5, 7, 3), -1, shape=(1, 4, 6, 7), KeepNumDims=True), lambda x: x @ values(5, 7, 3).T),
    "a product of four axes": (FOUR, lambda m: m.add("BATCH_MATMUL", 0, 0, shape=(1, 4, 6, 6), AdjX=False, AdjY=True), lambda x: x @ x.transpose(0, 1, 3, 2)),
    "prelu of each value": (FOUR, lambda m: m.add("PRELU", 0, values(4, 4, 6, 3), shape=(1, 4, 6, 3)), lambda x: np.where(x > 0, x, values(4, 4, 6, 3) * x)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_operators(name: str, tmp_path: Path) -> None:
    shape, add, wanted = CASES[name]
    m = Lite(1, *shape[1:])
    (found,) = answered(m.save(tmp_path / "net.tflite", add(m)), values(1, *shape))
    np.testing.assert_allclose(found, wanted(values(1, *shape)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("crop", [0, 1])
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_dilated_convolutions_as_the_converter_writes_them(kind: str, crop: int, tmp_path: Path) -> None:
    """Each phase of the pixels was a sample of its own; they were refused."""
    weight = values(3, 4, 3, 2, 3) if kind == "CONV_2D" else values(3, 1, 3, 2, 3)
    m, block = Lite(1, 9, 10, 3), np.array([3, 2], I32)
    pads, crops = np.array([[1, 2 + 3 * crop], [0, 2]], I32), np.array([[0, 3 * crop], [crop, 0]], I32)
    n = 4 + crop
    h = m.add("SPACE_TO_BATCH_ND", 0, block, pads, shape=(6, n, 6, 3))
    h = m.add(kind, h, weight, values(4, len(weight[0, 0, 0]) if kind != "CONV_2D" else 4), shape=(6, n - 2, 5, 4), Padding=VALID, StrideH=1, StrideW=1)
    out = m.add("BATCH_TO_SPACE_ND", h, block, crops, shape=(1, 3 * (n - 2) - 3 * crop, 10 - crop, 4))
    x = values(1, 2, 9, 10, 3)
    (found,) = answered(m.save(tmp_path / "net.tflite", out), x)
    wide = np.pad(x, ((0, 0), *pads.tolist(), (0, 0)))
    full = np.zeros((3, 2, 3, 4 if kind == "CONV_2D" else 3), F32)
    full[:] = weight.transpose(1, 2, 3, 0) if kind == "CONV_2D" else np.einsum("hwc,cd->hwcd", weight[0], np.eye(3))
    wanted = np.zeros((2, wide.shape[1] - 6, wide.shape[2] - 2, full.shape[3]), F32)
    for i in range(3):
        for j in range(2):
            part = wide[:, 3 * i : 3 * i + wanted.shape[1], 2 * j : 2 * j + wanted.shape[2]]
            wanted += part @ full[i, j]
    wanted += values(4, full.shape[3])
    wanted = wanted[:, : wanted.shape[1] - 3 * crop, crop:]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_gate_of_its_own_value_is_silu(tmp_path: Path) -> None:
    """It was a product of two values, which needs an option."""
    m = Lite(1, 8)
    h = m.add("FULLY_CONNECTED", 0, values(2, 6, 8), -1, shape=(1, 6))
    out = m.add("MUL", h, m.add("LOGISTIC", h, shape=(1, 6)), shape=(1, 6))
    out = m.add("FULLY_CONNECTED", out, values(3, 3, 6), -1, shape=(1, 3))
    found = convert(m.save(tmp_path / "net.tflite", out), values(1, 60, 8), steps=32)
    assert found.fidelity.worst is not None and found.fidelity.worst.agreement > 0.8


def test_a_dilated_convolution_on_a_line(tmp_path: Path) -> None:
    """As Keras writes Conv1D with a dilation: the axis of height is put beside it within the phases."""
    m, weight, block = Lite(1, 8, 3), values(3, 4, 1, 3, 3), np.array([2], I32)
    h = m.add("SPACE_TO_BATCH_ND", 0, block, np.array([[2, 2]], I32), shape=(2, 6, 3))
    h = m.add("EXPAND_DIMS", h, np.array(1, I32), shape=(2, 1, 6, 3))
    h = m.add("CONV_2D", h, weight, -1, shape=(2, 1, 4, 4), Padding=VALID, StrideH=1, StrideW=1)
    h = m.add("RESHAPE", h, np.array([2, 4, 4], I32), shape=(2, 4, 4))
    out = m.add("BATCH_TO_SPACE_ND", h, block, np.array([[0, 0]], I32), shape=(1, 8, 4))
    x = values(1, 2, 8, 3)
    (found,) = answered(m.save(tmp_path / "net.tflite", out), x)
    wide = np.pad(x, ((0, 0), (2, 2), (0, 0)))
    wanted = sum(wide[:, 2 * j : 2 * j + 8] @ weight[:, 0, j].T for j in range(3))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_phases_that_something_else_reads_are_refused(tmp_path: Path) -> None:
    m, block = Lite(1, 8, 3), np.array([2], I32)
    out = m.add("SPACE_TO_BATCH_ND", 0, block, np.array([[0, 0]], I32), shape=(2, 4, 3))
    with pytest.raises(UnsupportedLayer, match="SPACE_TO_BATCH_ND"):
        read(m.save(tmp_path / "net.tflite", m.add("RELU", out, shape=(2, 4, 3))))


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_of_three_dimensions(padding: int, stride: int, tmp_path: Path) -> None:
    size, weight, bias = (4, 5, 6), values(2, 2, 3, 2, 3, 4), values(3, 4)
    m, x = Lite(1, *size, 3), values(1, 2, *size, 3)
    shape = [sized(n, k, stride, padding) for n, k in zip(size, weight.shape, strict=False)]
    steps = {f"Stride{a}": stride for a in "DHW"} | {f"Dilation{a}Factor": 1 for a in "DHW"}
    out = m.add("CONV_3D", 0, weight, bias, shape=(1, *shape, 4), Padding=padding, FusedActivationFunction=1, **steps)
    (found,) = answered(m.save(tmp_path / "net.tflite", out), x)
    pads = [same(n, k, stride) if padding == SAME else (0, 0) for n, k in zip(size, weight.shape, strict=False)]
    wide, wanted = np.pad(x, ((0, 0), *pads, (0, 0))), np.zeros((2, *shape, 4), F32)
    for place in np.ndindex(*weight.shape[:3]):
        cut = tuple(slice(p, p + (n - 1) * stride + 1, stride) for p, n in zip(place, shape, strict=True))
        wanted += wide[(slice(None), *cut)] @ weight[place]
    np.testing.assert_allclose(found, np.maximum(wanted + bias, 0), atol=1e-4)


def test_a_reshape_whose_shape_the_file_computes(tmp_path: Path) -> None:
    """As the converter writes Flatten for an open batch; it was called damaged."""
    m = Lite(1, 4, 6, 3)
    h = m.add("RELU", 0, shape=(1, 4, 6, 3))
    size = m.add("STRIDED_SLICE", m.add("SHAPE", h, shape=(4,)), *(np.array([n], I32) for n in (0, 1, 1)), shape=(), ShrinkAxisMask=1)
    flat = m.add("RESHAPE", h, m.add("PACK", size, np.array(72, I32), shape=(2,)), shape=(1, 72))
    out = m.add("FULLY_CONNECTED", flat, values(9, 4, 72), -1, shape=(1, 4))
    x = values(3, 5, 4, 6, 3)
    (found,) = answered(m.save(tmp_path / "net.tflite", out), x)
    np.testing.assert_allclose(found, np.maximum(x, 0).reshape(5, 72) @ values(9, 4, 72).T, atol=1e-5)


def test_a_reshape_that_leaves_samples_and_an_axis_open(tmp_path: Path) -> None:
    m = Lite(1, 4, 3)
    flat = m.add("RESHAPE", m.add("RELU", 0, shape=(-1, 4, 3)), shape=(-1, -1))
    x = values(3, 5, 4, 3)
    (found,) = answered(m.save(tmp_path / "net.tflite", m.add("FULLY_CONNECTED", flat, values(9, 2, 12), -1, shape=(-1, 2))), x)
    np.testing.assert_allclose(found, np.maximum(x, 0).reshape(5, 12) @ values(9, 2, 12).T, atol=1e-5)


def test_a_transposed_convolution_to_a_size_that_the_file_computes(tmp_path: Path) -> None:
    x, w = values(1, 3, 4, 5, 3), values(2, 2, 2, 2, 3)
    made = []
    for stored in (True, False):
        m = Lite(1, 4, 5, 3)
        size = m.add("STRIDED_SLICE", m.add("SHAPE", 0, shape=(4,)), *(np.array([n], I32) for n in (0, 1, 1)), shape=(), ShrinkAxisMask=1)
        target = np.array([1, 8, 10, 2], I32) if stored else m.add("PACK", size, *(np.array(n, I32) for n in (8, 10, 2)), shape=(4,))
        out = m.add("TRANSPOSE_CONV", target, w, 0, shape=(1, 8, 10, 2), StrideH=2, StrideW=2, Padding=VALID)
        made += answered(m.save(tmp_path / "net.tflite", out), x)
    np.testing.assert_array_equal(*made)
    assert made[0].any()


def test_a_linear_layer_along_an_axis_as_keras_writes_it(tmp_path: Path) -> None:
    """Samples and places in one axis, between two shapes that the file computes of operators that are not taken."""
    m, w = Lite(1, 6, 5), values(6, 4, 5)
    size = m.add("REDUCE_PROD", m.add("SHAPE", 0, shape=(3,)), np.array([0], I32), shape=())
    rows = m.add("RESHAPE", 0, m.add("PACK", size, np.array(5, I32), shape=(2,)), shape=(-1, 5))
    h = m.add("FULLY_CONNECTED", rows, w, values(7, 4), shape=(-1, 4), FusedActivationFunction=1)
    back = m.add("RESHAPE", h, m.add("PACK", size, np.array(6, I32), np.array(4, I32), shape=(3,)), shape=(-1, 6, 4))
    out = m.add("FULLY_CONNECTED", m.add("RESHAPE", back, shape=(-1, 24)), values(8, 3, 24), -1, shape=(-1, 3))
    path, x = m.save(tmp_path / "net.tflite", out), values(1, 7, 6, 5)
    wanted = np.maximum(x @ w.T + values(7, 4), 0).reshape(7, 24) @ values(8, 3, 24).T
    np.testing.assert_allclose(answered(path, x)[0], wanted, atol=1e-4)
    found = convert(path, values(2, 60, 6, 5), steps=8)
    np.testing.assert_allclose(forward(found.ann, x), wanted, atol=1e-4)


def _small(m: Lite) -> int:
    """A convolution, a depthwise one, a mean, a linear layer, a softmax."""
    h = m.add("CONV_2D", 0, values(2, 4, 3, 3, 2), values(3, 4), shape=(1, 3, 4, 4), StrideH=2, StrideW=2, Padding=SAME, FusedActivationFunction=1)
    h = m.add("DEPTHWISE_CONV_2D", h, values(4, 1, 3, 3, 4), values(5, 4), shape=(1, 3, 4, 4), StrideH=1, StrideW=1, DepthMultiplier=1, FusedActivationFunction=1)
    h = m.add("AVERAGE_POOL_2D", h, shape=(1, 1, 1, 4), FilterHeight=3, FilterWidth=4, StrideH=3, StrideW=4, Padding=VALID)
    h = m.add("FULLY_CONNECTED", m.add("RESHAPE", h, np.array([1, 4], I32), shape=(1, 4)), values(6, 3, 4), values(7, 3), shape=(1, 3))
    return m.add("SOFTMAX", h, shape=(1, 3), Beta=1.0)


def test_a_network_takes_samples_in_its_own_layout_and_in_ours(tmp_path: Path) -> None:
    m = Lite(1, 6, 7, 2)
    path, x = m.save(tmp_path / "net.tflite", _small(m)), values(1, 60, 6, 7, 2)
    own = convert(path, x, steps=64)
    assert own.report.difference < 1e-5
    with pytest.warns(SpikeflowWarning, match="the channels are taken where these have them"):
        moved = convert(path, x.transpose(0, 3, 1, 2).copy())
    with pytest.warns(SpikeflowWarning, match="in the order of the file's layout"):
        flat = convert(path, x.reshape(60, -1))
    wanted = forward(own.ann, x)
    np.testing.assert_allclose(forward(moved.ann, x.transpose(0, 3, 1, 2)), wanted, atol=1e-5)
    np.testing.assert_allclose(forward(flat.ann, x.reshape(60, -1)), wanted, atol=1e-5)


def test_a_layout_that_could_be_either_is_told(tmp_path: Path) -> None:
    m = Lite(1, 3, 3, 3)
    w = values(2, 2, 3, 3, 3)
    h = m.add("CONV_2D", 0, w, values(3, 2), shape=(1, 3, 3, 2), StrideH=1, StrideW=1, FusedActivationFunction=1)
    out = m.add("RESHAPE", h, np.array([1, 18], I32), shape=(1, 18))
    with pytest.warns(SpikeflowWarning, match="the last axis is taken for the channels"):
        convert(m.save(tmp_path / "net.tflite", out), values(1, 40, 3, 3, 3))


def test_8_bit_networks_have_real_weights(tmp_path: Path) -> None:
    """Weights by channel, bias, and a range from 0 where no activation is left."""
    codes, scales = np.array(values(2, 4, 5) * 40, np.int8), np.array([0.01, 0.02, 0.03, 0.04], F32)
    m = Lite(1, 5, kind=np.int8, scale=0.05, zero=3)
    w, b = m.keep(codes, scales), m.keep(np.array([100, -50, 7, 0], I32), 0.05 * scales)
    out = m.value(1, 4, kind=np.int8, scale=0.02, zero=-128)
    m.operators.append(("FULLY_CONNECTED", [0, w, b], [out], {}))
    end = m.value(1, 4)
    m.operators.append(("DEQUANTIZE", [out], [end], {}))
    path, x = m.save(tmp_path / "net.tflite", end), values(1, 20, 5)
    (found,) = answered(path, x)
    real = codes * scales[:, None]
    wanted = np.clip(x @ real.T + np.array([100, -50, 7, 0], F32) * 0.05 * scales, 0, 0.02 * 255)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    told = " ".join(read(path).warnings)
    assert "they are not rounded" in told and "-6.55 to 6.2" in told


def test_half_weights_and_weights_of_8_bits_alone(tmp_path: Path) -> None:
    half = values(2, 4, 5).astype(np.float16)
    m = Lite(1, 5)
    w = m.value(4, 5)
    m.operators.append(("DEQUANTIZE", [m.keep(half)], [w], {}))
    out = m.add("FULLY_CONNECTED", 0, w, -1, shape=(1, 4))
    (found,) = answered(m.save(tmp_path / "net.tflite", out), values(1, 3, 5))
    np.testing.assert_allclose(found, values(1, 3, 5) @ half.astype(F32).T, atol=1e-5)
    m = Lite(1, 5)
    out = m.add("FULLY_CONNECTED", 0, m.keep(np.array(values(2, 4, 5) * 40, np.int8), 0.02), -1, shape=(1, 4))
    assert "its weights are 8-bit numbers" in read(m.save(tmp_path / "net.tflite", out)).warnings[0]


def test_half_weights_of_a_convolution(tmp_path: Path) -> None:
    """Converters of float16 write each kernel and bias with an operator that widens it."""
    x, kernel, bias = values(1, 2, 6, 6, 3), values(2, 3, 3, 3, 4).astype(np.float16), values(3, 4).astype(np.float16)
    m = Lite(1, 6, 6, 3)
    w, b = m.value(4, 3, 3, 3), m.value(4)
    m.operators += [("DEQUANTIZE", [m.keep(kernel.transpose(3, 0, 1, 2).copy())], [w], {})]
    m.operators += [("DEQUANTIZE", [m.keep(bias)], [b], {})]
    out = m.add("CONV_2D", 0, w, b, shape=(1, 4, 4, 4), StrideH=1, StrideW=1, Padding=VALID)
    (found,) = answered(m.save(tmp_path / "net.tflite", out), x)
    np.testing.assert_allclose(found, convolution(x, kernel.astype(F32), 1, VALID) + bias.astype(F32), atol=1e-4)


def _cast(m: Lite) -> int:
    out = m.value(1, 4, 4, 3, kind=I32)
    m.operators.append(("CAST", [0], [out], {}))
    return out


def _no_scale(m: Lite) -> int:
    w = values(1, 2, 1, 1, 3)
    return m.add("CONV_2D", 0, w, np.array([5, 6], I32), shape=(1, 4, 4, 2), StrideH=1, StrideW=1)


_SLICE = tuple(np.array(n, I32) for n in ([0, 1, 0, 0], [1, 2, 4, 3], [1, 1, 1, 1]))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_cast, "makes whole numbers"),
        (_no_scale, "without a scale"),
        (lambda m: m.add("STRIDED_SLICE", 0, *_SLICE, shape=(1, 2, 4, 3), Offset=True), "count from their beginnings"),
    ],
)
def test_forms_that_are_not_taken(make: Callable, words: str, tmp_path: Path) -> None:
    m = Lite(1, 4, 4, 3)
    with pytest.raises(UnsupportedLayer, match=words):
        read(m.save(tmp_path / "net.tflite", make(m)))


@pytest.mark.parametrize(("old", "new"), [(4, 6), (4, 8), (6, 4)])
def test_a_nearest_pixel_of_a_size_left_open(old: int, new: int, tmp_path: Path) -> None:
    m, x = Lite(1, old, old, 2), values(1, 2, old, old, 2)
    out = m.add("RESIZE_NEAREST_NEIGHBOR", 0, np.array([new, new], I32), shape=(1, new, new, 2), HalfPixelCenters=True)
    model = read_tflite(str(m.save(tmp_path / "net.tflite", out)))
    entry = replace(model.tensors[0], shape=(1, -1, -1, 2))
    node = LiteNode("r", model.operators[0], (entry, model.tensors[1]), (model.tensors[2],), 1)
    found = MOVES["RESIZE_NEAREST_NEIGHBOR"](node)(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    places = np.floor((np.arange(new) + 0.5) * old / new).astype(int)
    np.testing.assert_array_equal(found.numpy().transpose(0, 2, 3, 1), x[:, places][:, :, places])


def test_every_operator_that_is_not_taken_is_named(tmp_path: Path) -> None:
    m = Lite(1, 5)
    h = m.add("L2_NORMALIZATION", 0, shape=(1, 5))
    out = m.add("ROUND", m.add("SIN", h, shape=(1, 5)), shape=(1, 5))
    with pytest.raises(UnsupportedLayers) as error:
        read(m.save(tmp_path / "net.tflite", out))
    for words in ("L2_NORMALIZATION (normalisation", "operator SIN", "operator ROUND"):
        assert words in str(error.value)
    m = Lite(1, 4, 4, 3)
    out = m.add("RESIZE_NEAREST_NEIGHBOR", 0, np.array([7, 7], I32), shape=(1, 7, 7, 3), AlignCorners=True)
    with pytest.raises(UnsupportedLayer, match="align_corners=False"):
        read(m.save(tmp_path / "net.tflite", out))


def test_damaged_files_and_a_missing_package_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    m = Lite(1, 6, 7, 2)
    good = m.save(tmp_path / "net.tflite", _small(m)).read_bytes()
    for at in range(9, len(good), 101):
        (tmp_path / "cut.tflite").write_bytes(good[:at])
        with pytest.raises(FileError):
            read(tmp_path / "cut.tflite")
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(MissingPackage, match="pip install 'tflite"):
        read(tmp_path / "net.tflite")


def test_names_of_nodes_are_those_of_their_results(tmp_path: Path) -> None:
    m = Lite(1, 6, 7, 2)
    network = read(m.save(tmp_path / "net.tflite", _small(m))).network
    assert isinstance(network, FileNetwork)
    assert [o.name for o in network.written.operators][0] == "value3"


def _by_hand(folder: Path) -> None:
    """Every case answered by TensorFlow Lite itself."""
    from ai_edge_litert.interpreter import Interpreter

    for name, (shape, add, _) in CASES.items():
        m = Lite(1, *shape[1:])
        path, x = m.save(folder / "net.tflite", add(m)), values(1, 1, *shape[1:])
        theirs = Interpreter(str(path))
        theirs.allocate_tensors()
        theirs.set_tensor(theirs.get_input_details()[0]["index"], x)
        theirs.invoke()
        wanted = theirs.get_tensor(theirs.get_output_details()[0]["index"])
        print(f"{name}: {np.abs(answered(path, x)[0] - wanted).max():.1e}")


if __name__ == "__main__":
    _by_hand(Path(sys.argv[1]))
