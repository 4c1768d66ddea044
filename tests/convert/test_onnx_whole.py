"""ONNX files of whole numbers: samples of 8 bits, weights that the file rounds as it runs; resizes by fractions."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.convert.onnx_models import Model, TensorProto, agree, answered, helper, read, reference  # isort: skip

import torch

from spikeflow.convert import convert
from spikeflow.convert.load.tree import FileNetwork
from spikeflow.errors import UnsupportedLayer, UnsupportedLayers
from tests.convert.test_onnx import values

F32, I64 = np.float32, np.int64


def _whole(kind: type, *shape: int) -> Model:
    m = Model(("n", *shape), 21)
    m.input = helper.make_tensor_value_info("x", {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}[kind], ("n", *shape))
    return m


def _real(m: Model, name: str, scale: float, zero: int, kind: type) -> str:
    return m.add("DequantizeLinear", name, np.array(scale, F32), np.array(zero, kind))


@pytest.mark.parametrize(("kind", "zero"), [(np.uint8, 0), (np.uint8, 117), (np.int8, -128), (np.int8, 5)])
@pytest.mark.parametrize("moved", [False, True])
def test_samples_of_8_bits_get_the_values_that_they_stand_for(kind: type, zero: int, moved: bool, tmp_path: Path) -> None:
    """They were taken for real values, 255 times too large, without a word."""
    draw, m = random.Random(str((zero, moved))), _whole(kind, 4, 6, 2)
    ends = np.iinfo(kind)
    x = np.random.default_rng(zero + 300).integers(ends.min, ends.max + 1, (5, 4, 6, 2)).astype(kind)
    h = m.add("Transpose", "x", perm=[0, 3, 1, 2]) if moved else m.add("Identity", "x")
    h = _real(m, h, 0.013, zero, kind)
    out = m.add("Conv", h, values(draw, 3, 2 if moved else 4, 1, 1))
    (found,), (wanted,) = answered(m, tmp_path / "net.onnx", x.astype(F32), out), reference(m, x, out)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_convolution_in_whole_numbers_takes_samples_of_8_bits(tmp_path: Path) -> None:
    draw, m = random.Random(9), _whole(np.uint8, 2, 5, 5)
    x = np.random.default_rng(8).integers(0, 256, (3, 2, 5, 5)).astype(np.uint8)
    codes, step, zero = np.array(values(draw, 3, 2, 2, 2) * 30, np.int8), np.array(0.02, F32), np.array(128, np.uint8)
    ends = (np.array(0.5, F32), np.array(128, np.uint8))
    h = m.add("QLinearConv", "x", step, zero, codes, np.array(0.01, F32), np.array(0, np.int8), *ends)
    out = m.add("DequantizeLinear", h, *ends)
    (found,) = answered(m, tmp_path / "net.onnx", x.astype(F32), out)
    plain = Model(("n", 2, 5, 5))
    real = (x.astype(F32) - 128) * F32(0.02)
    (wanted,) = reference(plain, real, plain.add("Conv", "x", codes * F32(0.01)))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_arithmetic_on_samples_of_8_bits_begins_again_at_its_ends(tmp_path: Path) -> None:
    m = _whole(np.uint8, 6)
    out = m.add("Cast", m.add("Sub", "x", np.array(128, np.uint8)), to=1)
    with pytest.raises((UnsupportedLayer, UnsupportedLayers), match="on samples of 8 or 16 bits.*a Cast to float before it"):
        read(m.save(tmp_path / "net.onnx", out))
    m = _whole(np.uint8, 6)
    out = m.add("Sub", m.add("Cast", "x", to=1), np.array(128, F32))
    x = np.arange(12, dtype=np.uint8).reshape(2, 6)
    (found,) = answered(m, tmp_path / "net.onnx", x.astype(F32), out)
    np.testing.assert_array_equal(found, x.astype(F32) - 128)


ROUNDED = {
    "one scale": (0.3, np.int8(0), 1),
    "from 0 on": (0.011, np.uint8(0), 1),
    "with a zero": (0.02, np.uint8(30), 1),
    "a scale for each output": ([0.3, 0.02, 0.4], np.array([0, 7, -3], np.int8), 1),
    "counted from the end": ([0.3, 0.02, 0.4], np.zeros(3, np.int8), -1),
    "a scale for each input": ([0.3, 0.2, 0.1, 0.4, 0.5], np.zeros(5, np.int8), 0),
}


@pytest.mark.parametrize("name", ROUNDED)
@pytest.mark.parametrize("turned", [False, True])
def test_weights_that_the_file_rounds_as_it_runs(name: str, turned: bool, tmp_path: Path) -> None:
    """They kept all digits, though a warning said that they had the values that they stand for."""
    scale, zero, axis = ROUNDED[name]
    m, weight = Model(("n", 5), 21), values(random.Random(name), 5, 3)
    kept = m.add("Transpose", weight.T.copy(), perm=[1, 0]) if turned else weight
    pair = (np.array(scale, F32), np.asarray(zero))
    real = m.add("DequantizeLinear", m.add("QuantizeLinear", kept, *pair, axis=axis), *pair, axis=axis)
    agree(m, tmp_path / "net.onnx", values(random.Random(1), 4, 5), m.add("MatMul", "x", real))
    assert read(tmp_path / "net.onnx").warnings == ()


def test_a_number_that_the_file_rounds_as_it_runs(tmp_path: Path) -> None:
    """It has no axes: a file with one was refused, of the shape of its samples."""
    m, pair = Model(("n", 5), 21), (np.array(0.02, F32), np.array(0, np.int8))
    factor = m.add("DequantizeLinear", m.add("QuantizeLinear", np.array(0.513, F32), *pair), *pair)
    agree(m, tmp_path / "net.onnx", values(random.Random(1), 4, 5), m.add("Mul", "x", factor))


def test_such_weights_convert(tmp_path: Path) -> None:
    m, pair = Model(("n", 5), 21), (np.array(0.1, F32), np.array(0, np.int8))
    weight = m.add("DequantizeLinear", m.add("QuantizeLinear", values(random.Random(2), 5, 8), *pair), *pair)
    out = m.add("MatMul", m.add("Relu", m.add("MatMul", "x", weight)), values(random.Random(3), 8, 3))
    found = convert(m.save(tmp_path / "net.onnx", out), values(random.Random(4), 40, 5), steps=16)
    assert found.report.difference < 1e-5


@pytest.mark.parametrize(("size", "factor"), [(14, 1.7), (40, 1.4), (45, 1.8), (21, 2.2), (31, 0.9), (10, 1.3)])
def test_a_resize_by_a_fraction_reads_the_pixels_that_torch_reads(size: int, factor: float, tmp_path: Path) -> None:
    """In float32: 1.4 makes 56 pixels of 40, where its float32, taken for exact, made 55."""
    m, x = Model(("n", 1, size)), np.arange(2 * size, dtype=F32).reshape(2, 1, size)
    said = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", "mode": "nearest"}
    (found,) = answered(m, tmp_path / "net.onnx", x, m.add("Resize", "x", "", np.array([1, 1, factor], F32), **said))
    wanted = torch.nn.functional.interpolate(torch.from_numpy(x), scale_factor=factor, mode="nearest")
    np.testing.assert_array_equal(found, wanted.numpy())


@pytest.mark.parametrize("how", ["half_pixel", "asymmetric", "align_corners"])
def test_sizes_that_torch_rounds_read_what_the_file_says(how: str, tmp_path: Path) -> None:
    """Torch's own form is taken only where it reads the same pixels."""
    for old, new in ((41, 47), (23, 28), (25, 33), (7, 49), (10, 6)):
        m, x = Model(("n", 1, old)), np.arange(old, dtype=F32)[None, None]
        out = m.add("Resize", "x", "", "", np.array([1, 1, new], I64), coordinate_transformation_mode=how, nearest_mode="floor")
        (found,) = answered(m, tmp_path / "net.onnx", x, out)
        i, scale = np.arange(new, dtype=F32), F32(new) / F32(old)
        at = {"half_pixel": (i + F32(0.5)) / scale - F32(0.5), "asymmetric": i / scale, "align_corners": i * F32(old - 1) / F32(new - 1)}[how]
        np.testing.assert_array_equal(found[0, 0], np.clip(np.floor(at), 0, old - 1))


def test_a_resize_to_nothing_is_named(tmp_path: Path) -> None:
    m = Model(("n", 1, 2))
    network = read(m.save(tmp_path / "net.onnx", m.add("Resize", "x", "", np.array([1, 1, 0.3], F32)))).network
    assert isinstance(network, FileNetwork)
    with pytest.raises(UnsupportedLayer, match="a larger factor"):
        network(torch.zeros(2, 1, 2))


@pytest.mark.parametrize(("factor", "taken"), [(0.5, True), (1 / 3, True), (0.6, False), (1.5, True)])
def test_fewer_pixels_before_opset_11_are_told_apart_only_where_they_are_one(factor: float, taken: bool, tmp_path: Path) -> None:
    """Which of two neighbours is read was not said then: torch took the one before, onnxruntime the one behind."""
    m, x = Model(("n", 1, 10), 10), np.arange(20, dtype=F32).reshape(2, 1, 10)
    network = read(m.save(tmp_path / "net.onnx", m.add("Resize", "x", np.array([1, 1, factor], F32)))).network
    assert isinstance(network, FileNetwork)
    if not taken:
        with pytest.raises(UnsupportedLayer, match="between two neighbours"):
            network(torch.from_numpy(x))
        return
    i = np.arange(int(10 * factor), dtype=F32)
    np.testing.assert_array_equal(network(torch.from_numpy(x)).numpy(), x[..., np.floor(i / F32(factor)).astype(int)])
