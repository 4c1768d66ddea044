"""Each operator of ONNX answers as onnx's own reference evaluator, on shapes and attributes drawn at random.

Ranges: batches of 2, 1 to 3 dimensions of 5 to 9, kernels of 1 to 4, strides to 3, dilation to 2, padding to 1 each side.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.convert.onnx_models import Model, agree, answered, onnx, read, reference  # isort: skip

from spikeflow.convert import convert
from spikeflow.convert.passes.forward import forward
from spikeflow.errors import DataError, FileError, SpikeflowWarning, UnsupportedLayer, UnsupportedLayers
from tests.convert.pooled import pooled, same

I64 = np.int64
F32 = np.float32


def values(draw: random.Random, *shape: int) -> np.ndarray:
    return np.random.default_rng(draw.randrange(2**32)).normal(size=shape).astype(F32)


def windows(draw: random.Random, n: int, kernel: list[int], pool: bool = False) -> dict:
    """Attributes of windows: explicit padding of one kind, or one of the words."""
    said: dict = {"strides": [draw.randint(1, 3) for _ in range(n)]}
    if not pool and draw.random() < 0.4:
        said["dilations"] = [draw.randint(1, 2) for _ in range(n)]
    how = draw.random()
    if how < 0.25:
        said["auto_pad"] = draw.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
        said.pop("dilations", None)  # the reference pads as if there were none
    elif how < 0.8:
        most = [1 if k > 1 else 0 for k in kernel]
        said["pads"] = [draw.randint(0, most[i % n]) for i in range(2 * n)]
    return said


def conv(draw: random.Random, m: Model, n: int, channels: int) -> str:
    groups = draw.choice([1, channels])
    kernel = [draw.randint(1, 3) for _ in range(n)]
    out = groups * draw.randint(1, 2)
    weight = values(draw, out, channels // groups, *kernel)
    bias = [values(draw, out)] if draw.random() < 0.5 else []
    return m.add("Conv", "x", weight, *bias, group=groups, **windows(draw, n, kernel))


def conv_transpose(draw: random.Random, m: Model, n: int, channels: int) -> str:
    kernel = [draw.randint(2, 3) for _ in range(n)]
    stride = [draw.randint(1, 2) for _ in range(n)]
    said: dict = {"strides": stride, "pads": [draw.randint(0, 1) for _ in range(2 * n)]}
    if draw.random() < 0.4:
        said["output_padding"] = [s - 1 for s in stride]
    return m.add("ConvTranspose", "x", values(draw, channels, 3, *kernel), values(draw, 3), **said)


@pytest.mark.parametrize("make", [conv, conv_transpose])
@pytest.mark.parametrize("seed", range(12))
def test_windows(make: Callable, seed: int, tmp_path: Path) -> None:
    draw = random.Random(f"{make.__name__} {seed}")
    n = 1 + seed % 3
    shape = (2, 2, *(draw.randint(5, 9) for _ in range(n)))
    m = Model(("n", *shape[1:]))
    agree(m, tmp_path / "net.onnx", values(draw, *shape), make(draw, m, n, 2))


@pytest.mark.parametrize("how", ["max", "mean", "mean with zeros"])
@pytest.mark.parametrize("seed", range(16))
def test_pools(how: str, seed: int, tmp_path: Path) -> None:
    """Against windows written out, since onnx's reference pads SAME_LOWER and rounds up in its own way."""
    draw = random.Random(f"{how} {seed}")
    n = 1 + seed % 3
    shape = (2, 2, *(draw.randint(5, 9) for _ in range(n)))
    kernel = [draw.randint(2, 4) for _ in range(n)]
    said = windows(draw, n, kernel, pool=True) | {"kernel_shape": kernel}
    if "auto_pad" not in said and draw.random() < 0.5:
        said["ceil_mode"] = 1
    word, pads = said.get("auto_pad", ""), said.get("pads", [0] * 2 * n)
    placed = list(zip(pads[:n], pads[n:], strict=True))
    if word.startswith("SAME"):
        axes = zip(shape[2:], kernel, said["strides"], strict=True)
        placed = [same(*axis, word.endswith("LOWER")) for axis in axes]
    counted = {"count_include_pad": int("zeros" in how)} if "mean" in how else {}
    m = Model(("n", *shape[1:]))
    out = m.add("MaxPool" if how == "max" else "AveragePool", "x", **said, **counted)
    x = values(draw, *shape)
    (found,) = answered(m, tmp_path / "net.onnx", x, out)
    wanted = pooled(x, kernel, said["strides"], placed, how, bool(said.get("ceil_mode")))
    assert found.shape == wanted.shape, said
    np.testing.assert_allclose(found, wanted, atol=1e-5, err_msg=str(said))


CASES: dict[str, tuple[tuple[int, ...], int, Callable]] = {
    "relu": ((2, 5), 17, lambda m: m.add("Relu", "x")),
    "clip by attributes": ((2, 5), 9, lambda m: m.add("Clip", "x", min=0.0, max=6.0)),
    "clip by inputs": ((2, 5), 13, lambda m: m.add("Clip", "x", np.array(-0.5, F32), np.array(0.5, F32))),
    "clip below": ((2, 5), 13, lambda m: m.add("Clip", "x", np.array(-0.1, F32))),
    "clip above": ((2, 5), 13, lambda m: m.add("Clip", "x", "", np.array(0.1, F32))),
    "leaky": ((2, 5), 17, lambda m: m.add("LeakyRelu", "x", alpha=0.2)),
    "prelu": ((2, 3, 4, 4), 17, lambda m: m.add("PRelu", "x", np.array([[[0.1]], [[0.2]], [[-0.3]]], F32))),
    "prelu of one": ((2, 3, 4, 4), 17, lambda m: m.add("PRelu", "x", np.array([0.1], F32))),
    "elu": ((2, 5), 17, lambda m: m.add("Elu", "x", alpha=0.7)),
    "selu": ((2, 5), 17, lambda m: m.add("Selu", "x")),
    "selu of others": ((2, 5), 17, lambda m: m.add("Selu", "x", alpha=1.1, gamma=0.9)),
    "celu": ((2, 5), 17, lambda m: m.add("Celu", "x", alpha=0.7)),
    "sigmoid": ((2, 5), 17, lambda m: m.add("Sigmoid", "x")),
    "tanh": ((2, 5), 17, lambda m: m.add("Tanh", "x")),
    "softplus": ((2, 5), 17, lambda m: m.add("Softplus", "x")),
    "gelu": ((2, 5), 20, lambda m: m.add("Gelu", "x")),
    "gelu by tanh": ((2, 5), 20, lambda m: m.add("Gelu", "x", approximate="tanh")),
    "hard sigmoid": ((2, 5), 17, lambda m: m.add("HardSigmoid", "x")),
    "hard sigmoid of torch": ((2, 5), 17, lambda m: m.add("HardSigmoid", "x", alpha=1 / 6, beta=0.5)),
    "hard swish": ((2, 5), 17, lambda m: m.add("HardSwish", "x")),
    "mish": ((2, 5), 18, lambda m: m.add("Mish", "x")),
    "thresholded": ((2, 5), 17, lambda m: m.add("ThresholdedRelu", "x", alpha=0.3)),
    "softmax": ((2, 3, 4), 17, lambda m: m.add("Softmax", "x", axis=1)),
    "log softmax": ((2, 5), 17, lambda m: m.add("LogSoftmax", "x")),
    "gemm": ((2, 5), 17, lambda m: m.add("Gemm", "x", np.arange(15, dtype=F32).reshape(3, 5), np.arange(3, dtype=F32), transB=1)),
    "gemm scaled": ((2, 5), 17, lambda m: m.add("Gemm", "x", np.arange(15, dtype=F32).reshape(5, 3), np.ones((1, 3), F32), alpha=0.5, beta=2.0)),
    "gemm of a number": ((2, 5), 17, lambda m: m.add("Gemm", "x", np.arange(15, dtype=F32).reshape(5, 3), np.array(0.5, F32))),
    "matmul": ((2, 4, 5), 17, lambda m: m.add("MatMul", "x", np.arange(15, dtype=F32).reshape(5, 3))),
    "batch norm": ((2, 3, 4), 17, lambda m: m.add("BatchNormalization", "x", *(np.array([1, 2, 3], F32) / n for n in (1, 2, 3, 4)), epsilon=0.01)),
    "instance norm": ((2, 3, 4, 5), 17, lambda m: m.add("InstanceNormalization", "x", np.array([1, 2, 3], F32), np.array([0, 1, 2], F32))),
    "layer norm": ((2, 3, 4), 17, lambda m: m.add("LayerNormalization", "x", np.arange(4, dtype=F32), np.ones(4, F32))),
    "group norm 21": ((2, 4, 5), 21, lambda m: m.add("GroupNormalization", "x", np.arange(4, dtype=F32), np.ones(4, F32), num_groups=2)),
    "global average": ((2, 3, 4, 5), 17, lambda m: m.add("GlobalAveragePool", "x")),
    "global maximum": ((2, 3, 4, 5), 17, lambda m: m.add("GlobalMaxPool", "x")),
    "arithmetic": ((2, 3), 17, lambda m: m.add("Sub", m.add("Mul", m.add("Add", "x", np.ones(3, F32)), np.array(0.5, F32)), m.add("Div", "x", np.array([1, 2, 4], F32)))),
    "maximum and minimum": ((2, 3), 17, lambda m: m.add("Min", m.add("Max", "x", np.zeros(3, F32)), np.array([0.5, 1, 2], F32))),
    "sum": ((2, 3), 17, lambda m: m.add("Sum", "x", m.add("Neg", m.add("Abs", "x")), "x")),
    "mean of several": ((2, 3), 17, lambda m: m.add("Mean", "x", m.add("Abs", "x"))),
    "root and power": ((2, 3), 17, lambda m: m.add("Pow", m.add("Sqrt", m.add("Abs", "x")), np.array(3, F32))),
    "concat": ((2, 3, 4), 17, lambda m: m.add("Concat", "x", "x", axis=-1)),
    "split by attribute": ((2, 6), 11, lambda m: m.add("Split", "x", outputs=2, axis=1, split=[2, 4])[1]),
    "split by input": ((2, 6), 13, lambda m: m.add("Split", "x", np.array([1, 5], I64), outputs=2, axis=1)[1]),
    "split evenly": ((2, 6), 13, lambda m: m.add("Split", "x", outputs=3, axis=1)[2]),
    "split by number": ((2, 7), 18, lambda m: m.add("Split", "x", outputs=2, axis=1, num_outputs=2)[1]),
    "slice by attributes": ((2, 6, 7), 9, lambda m: m.add("Slice", "x", axes=[1, 2], starts=[1, -3], ends=[1000, 6])),
    "slice by inputs": ((2, 6, 7), 13, lambda m: m.add("Slice", "x", np.array([1, 0], I64), np.array([5, 2**62], I64), np.array([1, 2], I64), np.array([2, 3], I64))),
    "slice backwards": ((2, 6, 7), 13, lambda m: m.add("Slice", "x", np.array([-1], I64), np.array([-(2**62)], I64), np.array([2], I64), np.array([-2], I64))),
    "gather one": ((2, 6, 3), 13, lambda m: m.add("Gather", "x", np.array(-2, I64), axis=1)),
    "gather in order": ((2, 6, 3), 13, lambda m: m.add("Gather", "x", np.array([0, 2, 4], I64), axis=1)),
    "gather anyhow": ((2, 6, 3), 13, lambda m: m.add("Gather", "x", np.array([5, 0, 3], I64), axis=1)),
    "transpose": ((2, 3, 4, 5), 13, lambda m: m.add("Transpose", "x", perm=[0, 2, 3, 1])),
    "reshape": ((2, 3, 4), 13, lambda m: m.add("Reshape", "x", np.array([0, -1], I64))),
    "flatten": ((2, 3, 4), 13, lambda m: m.add("Flatten", "x")),
    "squeeze": ((2, 3, 1, 1), 11, lambda m: m.add("Squeeze", "x", axes=[2, 3])),
    "squeeze by input": ((2, 3, 1, 1), 13, lambda m: m.add("Squeeze", "x", np.array([-1], I64))),
    "unsqueeze": ((2, 3), 13, lambda m: m.add("Unsqueeze", "x", np.array([1, -1], I64))),
    "expand": ((2, 1, 3), 13, lambda m: m.add("Expand", "x", np.array([1, 4, 1], I64))),
    "pad by attribute": ((2, 3, 4), 9, lambda m: m.add("Pad", "x", pads=[0, 0, 1, 0, 1, 2])),
    "pad by input": ((2, 3, 4), 13, lambda m: m.add("Pad", "x", np.array([0, 0, 1, 0, 0, 2], I64), np.array(0.5, F32))),
    "pad along axes": ((2, 3, 4), 18, lambda m: m.add("Pad", "x", np.array([1, 2], I64), "", np.array([-1], I64))),
    "pad by reflection": ((2, 3, 4, 5), 13, lambda m: m.add("Pad", "x", np.array([0, 0, 1, 2, 0, 0, 2, 1], I64), mode="reflect")),
    "pad by the edge": ((2, 3, 4, 5), 13, lambda m: m.add("Pad", "x", np.array([0, 0, 1, 2, 0, 0, 2, 1], I64), mode="edge")),
    "pad round": ((2, 3, 4, 5), 19, lambda m: m.add("Pad", "x", np.array([0, 0, 1, 2, 0, 0, 2, 1], I64), mode="wrap")),
    "pad by reflection along one axis": ((2, 3, 4, 5), 13, lambda m: m.add("Pad", "x", np.array([0, 0, 0, 2, 0, 0, 0, 1], I64), mode="reflect")),
    "pad by the edge along two of three": ((2, 2, 3, 4, 5), 13, lambda m: m.add("Pad", "x", np.array([0, 0, 0, 1, 2, 0, 0, 0, 2, 1], I64), mode="edge")),
    "pad round along the last of three": ((2, 2, 3, 4, 5), 19, lambda m: m.add("Pad", "x", np.array([0, 0, 0, 0, 2, 0, 0, 0, 0, 1], I64), mode="wrap")),
    "depth to space": ((2, 8, 2, 3), 13, lambda m: m.add("DepthToSpace", "x", blocksize=2)),
    "depth to space by columns": ((2, 8, 2, 3), 13, lambda m: m.add("DepthToSpace", "x", blocksize=2, mode="CRD")),
    "space to depth": ((2, 2, 4, 6), 13, lambda m: m.add("SpaceToDepth", "x", blocksize=2)),
    "tile": ((2, 3), 13, lambda m: m.add("Tile", "x", np.array([1, 2], I64))),
    "mean over axes": ((2, 3, 4, 5), 13, lambda m: m.add("ReduceMean", "x", axes=[2, 3], keepdims=0)),
    "mean by input": ((2, 3, 4, 5), 18, lambda m: m.add("ReduceMean", "x", np.array([-1], I64))),
    "sum over axes": ((2, 3, 4, 5), 13, lambda m: m.add("ReduceSum", "x", np.array([2], I64), keepdims=0)),
    "sum by attribute": ((2, 3, 4, 5), 11, lambda m: m.add("ReduceSum", "x", axes=[1, 3])),
    "dropout": ((2, 3), 13, lambda m: m.add("Dropout", "x", np.array(0.5, F32))),
    "identity and cast": ((2, 3), 13, lambda m: m.add("Cast", m.add("Identity", "x"), to=1)),
    "constant of a shape": ((2, 3), 13, lambda m: m.add("Add", "x", m.add("ConstantOfShape", np.array([2, 3], I64), value=onnx.helper.make_tensor("v", 1, [1], [0.5])))),
    "upsample": ((2, 3, 4, 5), 9, lambda m: m.add("Upsample", "x", np.array([1, 1, 2, 3], F32))),
    "nearest by factors": ((2, 3, 4, 5), 13, lambda m: m.add("Resize", "x", "", np.array([1, 1, 2, 3], F32), coordinate_transformation_mode="asymmetric", nearest_mode="floor")),
    "nearest by default": ((2, 3, 4, 5), 13, lambda m: m.add("Resize", "x", "", np.array([1, 1, 2, 3], F32))),
    "nearest by sizes": ((2, 3, 4, 5), 13, lambda m: m.add("Resize", "x", "", "", np.array([2, 3, 7, 9], I64), coordinate_transformation_mode="asymmetric", nearest_mode="floor")),
    "nearest to fewer": ((2, 3, 6, 9), 13, lambda m: m.add("Resize", "x", "", np.array([1, 1, 0.5, 1 / 3], F32))),
    "linear": ((2, 3, 4, 5), 13, lambda m: m.add("Resize", "x", "", np.array([1, 1, 2, 3], F32), mode="linear")),
    "linear of corners": ((2, 3, 4, 5), 13, lambda m: m.add("Resize", "x", "", "", np.array([2, 3, 7, 11], I64), mode="linear", coordinate_transformation_mode="align_corners")),
    "linear of first pixels": ((2, 3, 4, 5), 13, lambda m: m.add("Resize", "x", "", np.array([1, 1, 2, 3], F32), mode="linear", coordinate_transformation_mode="asymmetric")),
    "linear to a part of a pixel": ((2, 3, 4, 5), 13, lambda m: m.add("Resize", "x", "", np.array([1, 1, 1.6, 0.7], F32), mode="linear")),
    "linear to one pixel": ((2, 3, 4, 5), 13, lambda m: m.add("Resize", "x", "", "", np.array([2, 3, 1, 7], I64), mode="linear", coordinate_transformation_mode="pytorch_half_pixel")),
    "linear along one axis": ((2, 3, 5), 13, lambda m: m.add("Resize", "x", "", np.array([1, 1, 2], F32), mode="linear", coordinate_transformation_mode="pytorch_half_pixel")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("declared", ["n", 2])
def test_operators(name: str, declared: object, tmp_path: Path) -> None:
    shape, opset, add = CASES[name]
    m = Model((declared, *shape[1:]), opset)  # type: ignore[arg-type]
    agree(m, tmp_path / "net.onnx", values(random.Random(name), *shape), add(m))


def test_group_norm_before_21_has_a_scale_for_each_group(tmp_path: Path) -> None:
    m = Model(("n", 4, 5), 18)
    out = m.add("GroupNormalization", "x", np.array([1, 3], F32), np.array([0, 2], F32), num_groups=2)
    x = values(random.Random(0), 2, 4, 5)
    (found,) = answered(m, tmp_path / "net.onnx", x, out)
    groups = x.reshape(2, 2, 10)
    plain = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
    wanted = plain * np.array([1, 3], F32)[:, None] + np.array([0, 2], F32)[:, None]
    np.testing.assert_allclose(found, wanted.reshape(2, 4, 5), atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 1), (2, 3, 4)])
def test_softmax_before_13_is_over_all_axes_from_one_on(shape: tuple[int, ...], tmp_path: Path) -> None:
    m = Model(("n", *shape[1:]), 11)
    x = values(random.Random(1), *shape)
    (found,) = answered(m, tmp_path / "net.onnx", x, m.add("Softmax", "x"))
    powers = np.exp(x.reshape(2, -1))
    np.testing.assert_allclose(found, (powers / powers.sum(1, keepdims=True)).reshape(shape), atol=1e-6)


CHAINS: dict[str, Callable] = {
    "shape, gather, unsqueeze, concat": lambda m: m.add("Reshape", "x", m.add("Concat", m.add("Unsqueeze", m.add("Gather", m.add("Shape", "x"), np.array(0, I64)), np.array([0], I64)), np.array([-1], I64), axis=0)),
    "sizes divided": lambda m: m.add("Reshape", "x", m.add("Concat", m.add("Slice", m.add("Shape", "x"), np.array([0], I64), np.array([1], I64)), np.array([2], I64), m.add("Div", m.add("Slice", m.add("Shape", "x"), np.array([1], I64), np.array([2], I64)), np.array([2], I64)), np.array([-1], I64), axis=0)),
    "the declared batch": lambda m: m.add("Reshape", "x", np.array([1, 20 * 4], I64)),
    "the declared batch, the rest open": lambda m: m.add("Reshape", "x", np.array([1, 8, -1], I64)),
    "nothing of it is kept": lambda m: m.add("Reshape", m.add("Reshape", "x", np.array([0, 4, 20], I64)), np.array([-1, 80], I64)),
    "sizes of a resize": lambda m: m.add("Resize", "x", "", "", m.add("Concat", m.add("Slice", m.add("Shape", "x"), np.array([0], I64), np.array([2], I64)), m.add("Cast", m.add("Floor", m.add("Mul", m.add("Cast", m.add("Slice", m.add("Shape", "x"), np.array([2], I64), np.array([4], I64)), to=1), np.array(2.0, F32))), to=7), axis=0), mode="linear"),
    "expand by a chosen shape": lambda m: m.add("Expand", m.add("ReduceMean", "x", axes=[2, 3]), m.add("Where", m.add("Equal", np.array([-1, 4, 4, 5], I64), np.array([-1], I64)), m.add("ConstantOfShape", np.array([4], I64), value=onnx.helper.make_tensor("v", 7, [1], [1])), np.array([-1, 4, 4, 5], I64))),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("batch", [1, 3])
def test_shapes_are_computed_from_shapes(name: str, batch: int, tmp_path: Path) -> None:
    """Networks written for one sample at a time answer each of several as they answer it alone."""
    declared = 1 if "declared" in name else "n"
    m = Model((declared, 4, 4, 5), 13)
    out = CHAINS[name](m)
    x = values(random.Random(name), batch, 4, 4, 5)
    (found,) = answered(m, tmp_path / "net.onnx", x, out)
    wanted = np.concatenate([reference(m, row[None], out)[0] for row in x])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def _small(m: Model) -> str:
    """A convolution with batch norm and a rectifier, and a linear layer."""
    draw = random.Random(3)
    h = m.add("Conv", "x", values(draw, 4, 2, 3, 3), pads=[1, 1, 1, 1])
    h = m.add("BatchNormalization", h, *(np.abs(values(draw, 4)) + 0.5 for _ in range(4)))
    h = m.add("GlobalAveragePool", m.add("Relu", h))
    return m.add("Gemm", m.add("Flatten", h), values(draw, 4, 3), values(draw, 3))


def test_a_network_is_converted_under_the_names_of_its_nodes(tmp_path: Path) -> None:
    m = Model((1, 2, 6, 6))
    x = values(random.Random(0), 40, 2, 6, 6)
    path = m.save(tmp_path / "net.onnx", _small(m))
    found = convert(path, x, steps=64)
    assert found.report.difference < 1e-5
    assert {"Conv0", "Relu2"} <= set(found.network.graph.nodes)
    assert convert(path).network.graph.digest != found.network.graph.digest  # without data: thresholds of batch norm


def test_samples_in_another_layout_are_told(tmp_path: Path) -> None:
    m = Model((1, 2, 6, 6))
    x = values(random.Random(0), 40, 2, 6, 6)
    path = m.save(tmp_path / "net.onnx", _small(m))
    plain = convert(path, x)
    with pytest.warns(SpikeflowWarning, match=r"takes samples of shape \(2, 6, 6\), these have \(6, 6, 2\): the channels"):
        moved = convert(path, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    with pytest.warns(SpikeflowWarning, match="in the order of the file's layout"):
        flat = convert(path, x.reshape(40, 72))
    wanted = forward(plain.ann, x)
    np.testing.assert_allclose(forward(moved.ann, x.transpose(0, 2, 3, 1)), wanted, atol=1e-5)
    np.testing.assert_allclose(forward(flat.ann, x.reshape(40, 72)), wanted, atol=1e-5)
    with pytest.warns(SpikeflowWarning, match="it is tried on these"):
        convert(path, x[:, :, :5])
    with pytest.raises(DataError, match="a shape that the network takes"):
        convert(path, x[:, :1])


def test_every_operator_that_is_not_taken_is_named(tmp_path: Path) -> None:
    m = Model(("n", 4, 5))
    h = m.add("Det", m.add("LRN", "x", size=3))
    out = m.add("Relu", m.add("Fancy", h, domain="com.example"))
    with pytest.raises(UnsupportedLayers) as error:
        read(m.save(tmp_path / "net.onnx", out))
    assert [r.name for r in error.value.refusals] == ["Det1", "LRN0", "Fancy2"] or len(error.value.refusals) == 3
    for words in ("LRN0: the ONNX operator LRN (normalisation", "Det1: the ONNX operator Det", "Fancy of com.example"):
        assert words in str(error.value)


_EIGHT = (np.array(0.1, F32), np.array(0, np.uint8))
REFUSED: dict[str, tuple[Callable, str]] = {
    "indices of a pool": (lambda m: m.add("Gather", "x", m.add("MaxPool", "x", outputs=2, kernel_shape=[2])[1]), "second result"),
    "batch norm in training": (lambda m: m.add("BatchNormalization", "x", *(np.ones(4, F32),) * 4, training_mode=1), "training mode"),
    "dropout in training": (lambda m: m.add("Dropout", "x", np.array(0.5, F32), np.array(True)), "training mode"),
    "a slope for each value": (lambda m: m.add("PRelu", "x", np.ones((4, 5), F32)), "one for each channel"),
    "a reshape to what it sees": (lambda m: m.add("Reshape", "x", m.add("Cast", "x", to=7)), "depends on values"),
    "a clip by values": (lambda m: m.add("Clip", "x", m.add("ReduceMean", "x", keepdims=0)), "no stored value"),
    "a cubic resize of corners": (lambda m: m.add("Resize", "x", "", np.array([1, 1, 2], F32), mode="cubic"), "cubic"),
    "a nearest resize by an unknown rule": (lambda m: m.add("Resize", "x", "", np.array([1, 1, 2], F32), coordinate_transformation_mode="tf_crop_and_resize"), "tf_crop_and_resize"),
    "a range of parts": (lambda m: m.add("Add", "x", m.add("Range", *(np.array(n, F32) for n in (0, 5, 1.25)))), "no whole number"),
    "a resize of the channels": (lambda m: m.add("Resize", "x", "", "", np.array([8, 5]), axes=[1, 2]), "channels"),
    "a convolution of two 8-bit values": (lambda m: m.add("QLinearConv", "x", *_EIGHT, "x", *_EIGHT, *_EIGHT), "of two values"),
    "a rounding of each channel": (lambda m: m.add("QuantizeLinear", "x", np.ones(4, F32), np.zeros(4, np.uint8)), "scale for each channel"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_forms_that_are_not_taken(name: str, tmp_path: Path) -> None:
    m = Model(("n", 4, 5))
    add, words = REFUSED[name]
    path = m.save(tmp_path / "net.onnx", add(m))
    with pytest.raises(UnsupportedLayer, match=words):
        convert(path, values(random.Random(0), 8, 4, 5))


@pytest.mark.parametrize("axes", [[-1, -2], [3, 2], [-2], [2, 3]])
def test_a_resize_of_named_axes(axes: list[int], tmp_path: Path) -> None:
    """Axes counted from the end, in any order, by factors or sizes."""
    x = values(random.Random(1), 2, 3, 4, 5)
    given = {-1: 15, 3: 15, -2: 8, 2: 8}  # the reference knows no axis counted from the end
    factors = {n: size / x.shape[n] for n, size in given.items()}
    for reads in (
        ("", np.array([factors[n] for n in axes], F32)),
        ("", "", np.array([given[n] for n in axes], I64)),
    ):
        m = Model(("n", 3, 4, 5), 18)
        (found,) = answered(m, tmp_path / "net.onnx", x, m.add("Resize", "x", *reads, axes=axes, mode="nearest"))
        wanted = x
        for axis in {n % 4 for n in axes}:
            wanted = np.repeat(wanted, given[axis] // x.shape[axis], axis)
        np.testing.assert_array_equal(found, wanted)


def test_a_result_that_nobody_asked_for_is_no_left_out_input(tmp_path: Path) -> None:
    m, draw = Model(("n", 6, 5)), random.Random(2)
    m.nodes.append(onnx.helper.make_node("Split", ["x"], ["a", "", "b"], "split", axis=1))
    out = m.add("Conv", m.add("Add", "a", "b"), values(draw, 3, 2, 2), "")
    x, w = values(draw, 2, 6, 5), onnx.numpy_helper.to_array(m.stored[0])
    (found,) = answered(m, tmp_path / "net.onnx", x, out)
    sums = x[:, :2] + x[:, 4:]
    wanted = sum(np.einsum("bci,oc->boi", sums[:, :, k : k + 4], w[:, :, k]) for k in (0, 1))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_rounding_to_int8_without_a_zero_has_values_below_0(tmp_path: Path) -> None:
    m, x = Model(("n", 5), 21), values(random.Random(3), 4, 5)
    h = m.add("QuantizeLinear", m.add("Tanh", "x"), np.array(0.01, F32), output_dtype=3)
    (found,) = answered(m, tmp_path / "net.onnx", x, m.add("DequantizeLinear", h, np.array(0.01, F32)))
    np.testing.assert_allclose(found, np.tanh(x), atol=1e-6)


@pytest.mark.parametrize("opset", [8, 23])
def test_other_opsets_are_named(opset: int, tmp_path: Path) -> None:
    m = Model(("n", 4), opset)
    with pytest.raises(FileError, match=f"opset {opset}; read are 9 to 22"):
        read(m.save(tmp_path / "net.onnx", m.add("Relu", "x")))
