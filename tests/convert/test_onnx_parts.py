"""What exporters write in several operators is put together again; 8-bit networks; files that ask for too much."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.convert.onnx_models import Model, agree, answered, onnx, read, reference  # isort: skip

from spikeflow.convert import convert
from spikeflow.convert.load.tree import FileNetwork
from spikeflow.errors import FileError, MissingPackage, SpikeflowError
from tests.convert.test_onnx import values

F32 = np.float32
HALF, ROOT = np.array(0.5, F32), np.array(2**0.5, F32)


def _gate(m: Model) -> str:
    return m.add("Add", m.add("Erf", m.add("Div", "x", ROOT)), np.array(1, F32))


def _clip(m: Model) -> str:
    return m.add("Clip", m.add("Add", "x", np.array(3, F32)), np.array(0, F32), np.array(6, F32))


def _norm(m: Model, twice: bool) -> str:
    mean = m.add("ReduceMean", "x", axes=[-1])
    less = m.add("Sub", "x", mean)
    again = m.add("Sub", "x", mean) if twice else less
    squares = m.add("ReduceMean", m.add("Pow", again, np.array(2, F32)), axes=[-1])
    return m.add("Div", less, m.add("Sqrt", m.add("Add", squares, np.array(1e-5, F32))))


PARTS: dict[str, tuple[Callable, str]] = {
    "silu": (lambda m: m.add("Mul", "x", m.add("Sigmoid", "x")), "Swish"),
    "silu turned": (lambda m: m.add("Mul", m.add("Sigmoid", "x"), "x"), "Swish"),
    "hard swish": (lambda m: m.add("Mul", "x", m.add("HardSigmoid", "x", alpha=1 / 6, beta=0.5)), "HardSwish"),
    "hard swish by a clip": (lambda m: m.add("Div", m.add("Mul", "x", _clip(m)), np.array(6, F32)), "HardSwish"),
    "hard swish by a gate": (lambda m: m.add("Mul", m.add("Div", _clip(m), np.array(6, F32)), "x"), "HardSwish"),
    "hard swish by a sixth": (lambda m: m.add("Mul", m.add("Mul", np.array(1 / 6, F32), _clip(m)), "x"), "HardSwish"),
    "mish": (lambda m: m.add("Mul", "x", m.add("Tanh", m.add("Softplus", "x"))), "Mish"),
    "gelu of torch": (lambda m: m.add("Mul", m.add("Mul", "x", _gate(m)), HALF), "Gelu"),
    "gelu of tensorflow": (lambda m: m.add("Mul", m.add("Mul", "x", HALF), _gate(m)), "Gelu"),
    "gelu by halves": (lambda m: m.add("Mul", "x", m.add("Mul", _gate(m), HALF)), "Gelu"),
    "softplus of torch": (lambda m: m.add("Where", m.add("Greater", "x", np.array(20, F32)), "x", m.add("Softplus", "x")), "Softplus"),
    "layer norm": (lambda m: _norm(m, False), "LayerNormalization"),
    "layer norm of two differences": (lambda m: _norm(m, True), "LayerNormalization"),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_become_one(name: str, tmp_path: Path) -> None:
    add, kind = PARTS[name]
    m, x = Model(("n", 4, 5)), values(random.Random(name), 2, 4, 5)
    if kind == "LayerNormalization":  # without scale and shift, which torch leaves out
        m.stored.clear()
    out = add(m)
    agree(m, tmp_path / "net.onnx", x, out)
    network = read(tmp_path / "net.onnx").network
    assert isinstance(network, FileNetwork)
    assert [operator.kind for operator in network.written.operators] == [kind]


def test_parts_that_something_else_reads_stay(tmp_path: Path) -> None:
    m = Model(("n", 5))
    gate = m.add("Sigmoid", "x")
    out = m.add("Add", m.add("Mul", "x", gate), gate)
    agree(m, tmp_path / "net.onnx", values(random.Random(0), 2, 5), out)
    network = read(tmp_path / "net.onnx").network
    assert isinstance(network, FileNetwork)
    assert [operator.kind for operator in network.written.operators] == ["Sigmoid", "Mul", "Add"]


@pytest.mark.parametrize(("three", "six", "top"), [(2, 6, 6), (3, 5, 6), (3, 6, 5)])
def test_other_constants_are_no_hard_swish(three: int, six: int, top: int, tmp_path: Path) -> None:
    m = Model(("n", 5))
    clip = m.add("Clip", m.add("Add", "x", np.array(three, F32)), np.array(0, F32), np.array(top, F32))
    out = m.add("Div", m.add("Mul", "x", clip), np.array(six, F32))
    agree(m, tmp_path / "net.onnx", values(random.Random(0), 2, 5) * 4, out)
    network = read(tmp_path / "net.onnx").network
    assert isinstance(network, FileNetwork) and len(network.written.operators) == 4


def test_other_constants_are_no_gelu(tmp_path: Path) -> None:
    m = Model(("n", 5))
    gate = m.add("Add", m.add("Erf", m.add("Div", "x", np.array(1.5, F32))), np.array(1, F32))
    out = m.add("Mul", m.add("Mul", "x", gate), HALF)
    agree(m, tmp_path / "net.onnx", values(random.Random(0), 2, 5), out)


def _pair(m: Model, x: str, scale: float, zero: np.ndarray) -> str:
    q = m.add("QuantizeLinear", x, np.array(scale, F32), zero)
    return m.add("DequantizeLinear", q, np.array(scale, F32), zero)


def test_8_bit_weights_have_their_real_values_and_pairs_from_0_are_clips(tmp_path: Path) -> None:
    """The network in full precision differs from the 8-bit one by the rounding of its activations alone."""
    draw, m = random.Random(4), Model(("n", 2, 5, 5), 21)
    codes, scales = np.array(values(draw, 3, 2, 3, 3) * 40, np.int8), np.array([0.01, 0.02, 0.03], F32)
    weight = m.add("DequantizeLinear", codes, scales, np.zeros(3, np.int8), axis=0)
    h = m.add("Conv", _pair(m, "x", 0.05, np.array(100, np.uint8)), weight)
    out = _pair(m, h, 0.02, np.array(0, np.uint8))
    x = np.clip(values(draw, 4, 2, 5, 5), -3, 3)
    (found,) = answered(m, tmp_path / "net.onnx", x, out)
    real = codes.astype(F32) * scales[:, None, None, None]
    plain = Model(("n", 2, 5, 5))
    (wanted,) = reference(plain, x, plain.add("Relu", plain.add("Conv", "x", real)))
    np.testing.assert_allclose(found, np.minimum(wanted, 0.02 * 255), atol=1e-5)
    (rounded,) = reference(m, x, out)
    assert np.abs(found - rounded).max() < 0.05 * np.abs(real).sum((1, 2, 3)).max() / 2 + 0.02
    told = read(tmp_path / "net.onnx").warnings
    assert len(told) == 1 and "they are not rounded" in told[0]


def test_8_bit_convolutions_and_products(tmp_path: Path) -> None:
    draw, m = random.Random(5), Model(("n", 2, 5, 5), 21)
    one, zero = np.array(0.05, F32), np.array(0, np.int8)
    codes, bias = np.array(values(draw, 3, 2, 3, 3) * 40, np.int8), np.array([100, -50, 7], np.int32)
    x = m.add("QuantizeLinear", "x", one, zero)
    h = m.add("QLinearConv", x, one, zero, codes, np.array(0.02, F32), zero, np.array(0.2, F32), zero, bias)
    out = m.add("DequantizeLinear", h, np.array(0.2, F32), zero)
    data = np.clip(values(draw, 4, 2, 5, 5), -3, 3)
    (found,), (rounded,) = answered(m, tmp_path / "net.onnx", data, out), reference(m, data, out)
    assert np.abs(found - rounded).max() < 0.5 * 0.05 * 0.02 * np.abs(codes.astype(F32)).sum((1, 2, 3)).max() + 0.11

    m = Model(("n", 6), 21)
    codes = np.array(values(draw, 6, 3) * 40, np.int8)
    q = m.add("QuantizeLinear", "x", one, zero)
    h = m.add("QLinearMatMul", q, one, zero, codes, np.array(0.02, F32), zero, np.array(0.1, F32), zero)
    out = m.add("DequantizeLinear", h, np.array(0.1, F32), zero)
    data = np.clip(values(draw, 4, 6), -3, 3)
    (found,) = answered(m, tmp_path / "net.onnx", data, out)
    np.testing.assert_allclose(found, data @ (codes * F32(0.02)), atol=1e-4)


def _external(path: Path, location: str, offset: int = 0, length: int = 60) -> Path:
    m = Model(("n", 5))
    out = m.add("Gemm", "x", np.arange(15, dtype=F32).reshape(5, 3))
    proto = m.proto(out)
    (tensor,) = proto.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(proto.SerializeToString())
    return path


def test_values_beside_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    held = np.arange(20, dtype=F32)
    (folder / "values.bin").write_bytes(held.tobytes())
    (tmp_path / "outside.bin").write_bytes(held.tobytes())
    network = read(_external(folder / "net.onnx", "values.bin", 20)).network
    assert isinstance(network, FileNetwork)
    (weight,) = network.parameters()
    np.testing.assert_array_equal(weight.numpy(), held[5:].reshape(5, 3))
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    wrong = {
        "../outside.bin": "outside of its folder",
        str(tmp_path / "outside.bin"): "outside of its folder",
        "link.bin": "outside of its folder",
        "": "outside of its folder",
        "missing.bin": "no such file",
        ".": "outside of its folder",
        "values.bin\0": "outside of its folder",
    }
    for location, words in wrong.items():
        with pytest.raises(FileError, match=words):
            read(_external(folder / "net.onnx", location))
    for offset, length in ((24, 60), (-4, 60), (0, 64), (0, 2**62)):
        with pytest.raises(FileError):
            read(_external(folder / "net.onnx", "values.bin", offset, length))


def test_damaged_files_are_told(tmp_path: Path) -> None:
    m = Model(("n", 5))
    good = m.save(tmp_path / "net.onnx", m.add("Gemm", "x", np.ones((5, 3), F32))).read_bytes()
    for at in range(1, len(good), 7):
        (tmp_path / "cut.onnx").write_bytes(good[:at])
        with pytest.raises(FileError):
            read(tmp_path / "cut.onnx")
    proto = m.proto("v0_0")
    proto.graph.initializer[0].dims[0] = 6
    onnx.save(proto, tmp_path / "shape.onnx")
    with pytest.raises(FileError, match="'stored0' is damaged"):
        read(tmp_path / "shape.onnx")
    proto = m.proto("nowhere")
    onnx.save(proto, tmp_path / "output.onnx")
    with pytest.raises(FileError, match="nowhere"):
        read(tmp_path / "output.onnx")


@pytest.mark.parametrize("begin", [b"\x08\x08\x12\x07pytorch:\x0d\x12\x0bmain_graph1", b"\x08\x03\x12\x06tf2onnx"[:-1]])
def test_the_beginning_tells_the_kind(begin: bytes, tmp_path: Path) -> None:
    (tmp_path / "network.bin").write_bytes(begin)
    with pytest.raises(FileError, match="opset 0; read are 9 to 22|ends early|no ONNX model"):
        read(tmp_path / "network.bin")


def test_constants_without_end_are_refused_before_they_are_made(tmp_path: Path) -> None:
    m = Model(("n", 5))
    many = m.add("ConstantOfShape", np.array([2**20, 2**20], np.int64))
    out = m.add("Relu", m.add("Add", "x", m.add("ReduceMean", many, keepdims=0)))
    path = m.save(tmp_path / "net.onnx", out)
    with pytest.raises(SpikeflowError, match="memory|more than"):
        convert(path, values(random.Random(0), 8, 5))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    m = Model(("n", 5))
    path = m.save(tmp_path / "net.onnx", m.add("Relu", "x"))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackage, match="pip install 'onnx"):
        read(path)
