"""What onnxruntime's tools leave in ONNX files: 8-bit operators, products quantised as they run, fused ones, float16.

Operators of its own domain are held to the same network of plain ones, which onnx's reference answers.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.convert.onnx_models import Model, TensorProto, agree, answered, helper, read, reference  # isort: skip

from spikeflow.convert import convert
from spikeflow.convert.load.tree import FileNetwork
from spikeflow.errors import FileError, UnsupportedLayer, UnsupportedLayers
from tests.convert.test_onnx import values

F32, I64 = np.float32, np.int64
MS = "com.microsoft"
STEP, ZERO = np.array(0.05, F32), np.array(120, np.uint8)  # -6 to 6.75
ENDS = (STEP, ZERO)


def _quantised(m: Model, x: str, *ends: np.ndarray) -> str:
    return m.add("QuantizeLinear", x, *(ends or ENDS))


def _real(m: Model, x: str, *ends: np.ndarray) -> str:
    return m.add("DequantizeLinear", x, *(ends or ENDS))


def _two(kind: str) -> tuple[Callable, Callable]:
    def eight(m: Model, x: str, other: np.ndarray) -> str:
        codes = np.clip(np.round(other / STEP) + 120, 0, 255).astype(np.uint8)
        return m.add(f"QLinear{kind}", x, *ENDS, codes, *ENDS, *ENDS, domain=MS)

    return eight, lambda m, x, other: m.add(kind, x, np.round(other / STEP) * STEP)


def _one(kind: str, **said: object) -> tuple[Callable, Callable]:
    plain = {key: value for key, value in said.items() if key != "opset"}
    return (lambda m, x, _: m.add(f"QLinear{kind}", x, *ENDS, *ENDS, domain=MS, **said)), (lambda m, x, _: m.add(kind, x, **plain))


def _gemm(turned: bool) -> tuple[Callable, Callable]:
    draw = random.Random(3)
    codes, scales = np.array(values(draw, 6, 4) * 40, np.int8), np.array([0.01, 0.02, 0.03, 0.04], F32)
    bias = np.array([10, -20, 30, 40], np.int32)

    def eight(m: Model, x: str, _: np.ndarray) -> str:
        flat = m.add("Flatten", m.add("Slice", x, np.array([0, 0], I64), np.array([3, 1], I64), np.array([1, 2], I64)))
        kept = codes.T.copy() if turned else codes
        return m.add("QGemm", flat, *ENDS, kept, scales, np.zeros(4, np.int8), bias, *ENDS, domain=MS, transB=int(turned))

    def plain(m: Model, x: str, _: np.ndarray) -> str:
        flat = m.add("Flatten", m.add("Slice", x, np.array([0, 0], I64), np.array([3, 1], I64), np.array([1, 2], I64)))
        return m.add("Gemm", flat, codes * scales, (bias * 0.05 * scales).astype(F32))

    return eight, plain


def _joined(m: Model, x: str, _: np.ndarray) -> str:
    other = m.add("QuantizeLinear", "x", np.array(0.1, F32), np.array(50, np.uint8))
    return m.add("QLinearConcat", *ENDS, x, *ENDS, other, np.array(0.1, F32), np.array(50, np.uint8), domain=MS, axis=1)


EIGHT: dict[str, tuple[Callable, Callable]] = {
    "add": _two("Add"),
    "mul": _two("Mul"),
    "sigmoid": _one("Sigmoid"),
    "leaky": _one("LeakyRelu", alpha=0.2),
    "softmax": _one("Softmax", axis=1, opset=13),
    "average": _one("AveragePool", kernel_shape=[2, 2]),
    "average of all": _one("GlobalAveragePool"),
    "gemm": _gemm(False),
    "gemm turned": _gemm(True),
    "matmul of two": (
        lambda m, x, _: m.add("QLinearMatMul", x, *ENDS, m.add("Transpose", x, perm=[0, 1, 3, 2]), *ENDS, *ENDS),
        lambda m, x, _: m.add("MatMul", x, m.add("Transpose", x, perm=[0, 1, 3, 2])),
    ),
    "concat": (_joined, lambda m, x, _: m.add("Concat", x, x, axis=1)),
    "pad": (
        lambda m, x, _: m.add("Pad", x, np.array([0, 0, 1, 0, 0, 0, 0, 2], I64), np.array(140, np.uint8)),
        lambda m, x, _: m.add("Pad", x, np.array([0, 0, 1, 0, 0, 0, 0, 2], I64), np.array(1.0, F32)),
    ),
    "turned and cut": (
        lambda m, x, _: m.add("Slice", m.add("Transpose", x, perm=[0, 2, 3, 1]), np.array([1], I64), np.array([2], I64), np.array([1], I64)),
        lambda m, x, _: m.add("Slice", m.add("Transpose", x, perm=[0, 2, 3, 1]), np.array([1], I64), np.array([2], I64), np.array([1], I64)),
    ),
}


@pytest.mark.parametrize("name", EIGHT)
def test_8_bit_operators_are_their_plain_ones_on_real_values(name: str, tmp_path: Path) -> None:
    eight, plain = EIGHT[name]
    draw, m, p = random.Random(7), Model(("n", 3, 4, 2), 21), Model(("n", 3, 4, 2), 21)
    x, other = np.clip(values(draw, 5, 3, 4, 2), -2, 2), np.clip(values(draw, 3, 1, 1), -2, 2)
    (found,) = answered(m, tmp_path / "net.onnx", x, _real(m, eight(m, _quantised(m, "x"), other)))
    (wanted,) = reference(p, x, plain(p, "x", other))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert any("they are not rounded" in text for text in read(tmp_path / "net.onnx").warnings)


def test_a_range_from_0_of_an_8_bit_sum_is_its_rectifier(tmp_path: Path) -> None:
    m, x = Model(("n", 6), 21), values(random.Random(1), 8, 6)
    ends = (np.array(0.01, F32), np.array(0, np.uint8))
    q = _quantised(m, "x")
    out = _real(m, m.add("QLinearAdd", q, *ENDS, q, *ENDS, *ends, domain=MS), *ends)
    (found,) = answered(m, tmp_path / "net.onnx", x, out)
    np.testing.assert_allclose(found, np.clip(2 * x, 0, 2.55), atol=1e-5)


@pytest.mark.parametrize("kind", ["MatMul", "Conv"])
@pytest.mark.parametrize("each", [False, True])
def test_products_that_are_quantised_as_they_run(kind: str, each: bool, tmp_path: Path) -> None:
    """The network in full precision differs from the file's by the rounding of the product's values alone."""
    draw, shape = random.Random(5), (6,) if kind == "MatMul" else (2, 5, 5)
    m = Model(("n", *shape), 21)
    codes = np.array(values(draw, *((6, 4) if kind == "MatMul" else (4, 2, 3, 3))) * 40, np.int8)
    scale = np.array([0.01, 0.02, 0.03, 0.04], F32) if each else np.array(0.02, F32)
    x, step, zero = m.add("DynamicQuantizeLinear", "x", outputs=3)
    factor = m.add("Mul", step, scale.reshape(-1, 1, 1) if each and kind == "Conv" else scale)
    h = m.add("Cast", m.add(f"{kind}Integer", x, codes, zero, np.array(3, np.int8)), to=1)
    out = m.add("Relu", m.add("Mul", h, factor))
    data = np.clip(values(draw, 4, *shape), -3, 3)
    (found,), (rounded,) = answered(m, tmp_path / "net.onnx", data, out), reference(m, data, out)
    network = read(tmp_path / "net.onnx")
    assert isinstance(network.network, FileNetwork)
    assert [o.kind for o in network.network.written.operators] == [kind, "Relu"]
    assert any("they are not rounded" in text for text in network.warnings)
    p = Model(("n", *shape), 21)
    real = (codes.astype(F32) - 3) * (scale.reshape(-1, 1, 1, 1) if each and kind == "Conv" else scale)
    (wanted,) = reference(p, data, p.add("Relu", p.add(kind, "x", real)))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert 0 < np.abs(found - rounded).max() < 0.03 * np.abs(real).sum() / 4


def test_products_that_onnxruntime_joined(tmp_path: Path) -> None:
    draw, data = random.Random(6), values(random.Random(8), 4, 6)
    codes, scale, zero, bias = np.array(values(draw, 6, 4) * 40, np.int8), np.array(0.02, F32), np.array(1, np.int8), values(draw, 4)
    p = Model(("n", 6), 21)
    (wanted,) = reference(p, data, p.add("Add", p.add("MatMul", "x", (codes.astype(F32) - 1) * scale), bias))
    m = Model(("n", 6), 21)
    out = m.add("DynamicQuantizeMatMul", "x", codes, scale, zero, bias, domain=MS)
    np.testing.assert_allclose(answered(m, tmp_path / "net.onnx", data, out)[0], wanted, atol=1e-4)
    m = Model(("n", 6), 21)
    x, step, at = m.add("DynamicQuantizeLinear", "x", outputs=3)
    out = m.add("MatMulIntegerToFloat", x, codes, step, scale, at, zero, bias, domain=MS)
    np.testing.assert_allclose(answered(m, tmp_path / "net.onnx", data, out)[0], wanted, atol=1e-4)


FUSED: dict[str, tuple[Callable, Callable]] = {
    "conv": (
        lambda m, w, b: m.add("FusedConv", "x", w, b, domain=MS, activation="Clip", activation_params=[0.0, 6.0], pads=[1, 1, 1, 1]),
        lambda m, w, b: m.add("Clip", m.add("Conv", "x", w, b, pads=[1, 1, 1, 1]), np.array(0, F32), np.array(6, F32)),
    ),
    "conv and a sum": (
        lambda m, w, b: m.add("FusedConv", "x", w, b, "x", domain=MS, activation="Relu", pads=[1, 1, 1, 1]),
        lambda m, w, b: m.add("Relu", m.add("Add", m.add("Conv", "x", w, b, pads=[1, 1, 1, 1]), "x")),
    ),
    "conv leaky": (
        lambda m, w, b: m.add("FusedConv", "x", w, b, domain=MS, activation="LeakyRelu", activation_params=[0.2]),
        lambda m, w, b: m.add("LeakyRelu", m.add("Conv", "x", w, b), alpha=0.2),
    ),
    "gemm": (
        lambda m, w, b: m.add("FusedGemm", m.add("Flatten", "x"), w.reshape(-1, 2)[:48], b[:2], domain=MS, activation="Relu", alpha=0.5),
        lambda m, w, b: m.add("Relu", m.add("Gemm", m.add("Flatten", "x"), w.reshape(-1, 2)[:48], b[:2], alpha=0.5)),
    ),
    "matmul": (
        lambda m, w, b: m.add("FusedMatMul", "x", w.reshape(-1)[:20].reshape(5, 4), domain=MS, alpha=0.5, transB=1),
        lambda m, w, b: m.add("Mul", m.add("MatMul", "x", w.reshape(-1)[:20].reshape(5, 4).T.copy()), np.array(0.5, F32)),
    ),
    "gelu of a sum": (
        lambda m, w, b: m.add("BiasGelu", "x", w.reshape(-1)[:4], domain=MS),
        lambda m, w, b: m.add("Gelu", m.add("Add", "x", w.reshape(-1)[:4])),
    ),
    "fast gelu": (
        lambda m, w, b: m.add("FastGelu", "x", domain=MS),
        lambda m, w, b: m.add("Gelu", "x", approximate="tanh"),
    ),
    "quick gelu": (
        lambda m, w, b: m.add("QuickGelu", "x", domain=MS, alpha=1.5),
        lambda m, w, b: m.add("Mul", "x", m.add("Sigmoid", m.add("Mul", "x", np.array(1.5, F32)))),
    ),
    "layer norm of a sum": (
        lambda m, w, b: m.add("SkipLayerNormalization", "x", m.add("Neg", m.add("Abs", "x")), w.reshape(-1)[:4], w.reshape(-1)[4:8], domain=MS, epsilon=1e-5),
        lambda m, w, b: m.add("LayerNormalization", m.add("Add", "x", m.add("Neg", m.add("Abs", "x"))), w.reshape(-1)[:4], w.reshape(-1)[4:8]),
    ),
}


@pytest.mark.parametrize("name", FUSED)
def test_fused_operators_are_several_plain_ones(name: str, tmp_path: Path) -> None:
    draw = random.Random(name)
    fused, plain = FUSED[name]
    m, p, x = Model(("n", 3, 4, 4), 20), Model(("n", 3, 4, 4), 20), values(draw, 4, 3, 4, 4)
    weight, bias = values(draw, 3, 3, 3, 3), values(draw, 3)
    if name == "gemm":
        weight = values(draw, 96)
    (found,) = answered(m, tmp_path / "net.onnx", x, fused(m, weight, bias))
    (wanted,) = reference(p, x, plain(p, weight, bias))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_an_unknown_activation_of_a_fused_operator_is_named(tmp_path: Path) -> None:
    m = Model(("n", 3, 4, 4), 20)
    out = m.add("FusedConv", "x", values(random.Random(0), 3, 3, 1, 1), domain=MS, activation="Cube")
    with pytest.raises((UnsupportedLayer, UnsupportedLayers), match="the activation 'Cube'"):
        read(m.save(tmp_path / "net.onnx", out))


def test_8_bit_values_are_read_by_the_scale_that_they_were_written_with(tmp_path: Path) -> None:
    """They were taken for the same values, whatever the scale said."""
    m = Model(("n", 6), 21)
    out = _real(m, _quantised(m, "x"), np.array(0.1, F32), ZERO)
    with pytest.raises((UnsupportedLayer, UnsupportedLayers), match="another scale than they were written with"):
        read(m.save(tmp_path / "net.onnx", out))
    m = Model(("n", 6), 21)
    out = m.add("Cast", _quantised(m, "x"), to=1)
    with pytest.raises((UnsupportedLayer, UnsupportedLayers), match="Cast on 8-bit values"):
        read(m.save(tmp_path / "net.onnx", out))


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_floats_of_another_width_are_float32(kind: type, tmp_path: Path) -> None:
    """A network in float16 ended in an error of torch."""
    draw, m, p = random.Random(2), Model(("n", 2, 5, 5), 17), Model(("n", 2, 5, 5), 17)
    m.input = helper.make_tensor_value_info("x", {np.float16: TensorProto.FLOAT16, np.float64: TensorProto.DOUBLE}[kind], ("n", 2, 5, 5))
    w, b, x = values(draw, 3, 2, 3, 3).astype(kind), values(draw, 3).astype(kind), values(draw, 4, 2, 5, 5)
    h = m.add("Relu", m.add("Conv", "x", w, b))
    sizes = m.add("Cast", np.array([1, 1, 2, 2], kind), to=1)
    out = m.add("Cast", m.add("Resize", h, "", sizes, mode="nearest"), to=1)
    (found,) = answered(m, tmp_path / "net.onnx", x, out)
    h = p.add("Relu", p.add("Conv", "x", w.astype(F32), b.astype(F32)))
    (wanted,) = reference(p, x, p.add("Resize", h, "", np.array([1, 1, 2, 2], F32), mode="nearest"))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert any("taken as float32" in text for text in read(tmp_path / "net.onnx").warnings)


def test_what_is_computed_of_constants_alone(tmp_path: Path) -> None:
    """As torch's exporter leaves it without its optimiser: a bias of zeros by the shape of its weight, bounds by CastLike."""
    draw, m = random.Random(4), Model(("n", 2, 5, 5), 20)
    weight = m.keep(values(draw, 3, 2, 3, 3), "weight")
    shape = m.add("Expand", m.add("Shape", weight, start=0, end=1), np.array([1], I64))
    bias = m.add("Expand", m.add("CastLike", np.array(0, F32), "x"), shape)
    h = m.add("Conv", "x", weight, bias)
    out = m.add("Clip", h, m.add("CastLike", np.array(-1, F32), h), m.add("CastLike", np.array(2, F32), h))
    agree(m, tmp_path / "net.onnx", values(draw, 4, 2, 5, 5), out)


def test_an_unsqueezed_scale_stands_along_its_channels(tmp_path: Path) -> None:
    """Few stored values were taken for sizes, and stood along the last axis."""
    draw, m = random.Random(4), Model(("n", 3, 3, 3), 20)
    axes = m.add("Range", np.array(1), np.array(3), np.array(1))
    out = m.add("Mul", "x", m.add("Unsqueeze", values(draw, 3), axes))
    agree(m, tmp_path / "net.onnx", values(draw, 4, 3, 3, 3), out)


def test_sequences(tmp_path: Path) -> None:
    draw, m = random.Random(4), Model(("n", 6, 3), 18)
    parts = m.add("SplitToSequence", "x", np.array(2), axis=1)
    uneven = m.add("SplitToSequence", "x", np.array([1, 3, 2]), axis=1)
    a, b = m.add("SequenceAt", parts, np.array(1)), m.add("SequenceAt", uneven, np.array(-1))
    out = m.add("ConcatFromSequence", m.add("SequenceConstruct", a, b), axis=2)
    agree(m, tmp_path / "net.onnx", values(draw, 4, 6, 3), out)


@pytest.mark.parametrize(("equation", "linear"), [("btn,nm->btm", True), ("btn,mn->btm", True), ("btn, nm -> bmt", False)])
def test_einsum(equation: str, linear: bool, tmp_path: Path) -> None:
    draw, m = random.Random(4), Model(("n", 3, 4), 17)
    out = m.add("Einsum", "x", values(draw, 4, 5) if ",nm" in equation.replace(" ", "") else values(draw, 5, 4), equation=equation)
    x = values(draw, 6, 3, 4)
    agree(m, tmp_path / "net.onnx", x, out)
    found = convert(m.save(tmp_path / "net.onnx", m.add("Relu", out)), values(draw, 40, 3, 4), steps=16)
    assert found.network.graph.nodes


def test_an_8_bit_residual_network_converts(tmp_path: Path) -> None:
    draw, m = random.Random(11), Model(("n", 2, 6, 6), 21)
    ends, zero = (np.array(0.03, F32), np.array(0, np.uint8)), np.array(0, np.int8)
    codes = [np.array(values(draw, *shape) * 30, np.int8) for shape in ((4, 2, 3, 3), (4, 4, 3, 3), (4, 3))]
    x = _quantised(m, "x")
    a = m.add("QLinearConv", x, *ENDS, codes[0], np.array(0.01, F32), zero, *ends, pads=[1, 1, 1, 1])
    b = m.add("QLinearConv", a, *ends, codes[1], np.array(0.01, F32), zero, *ENDS, pads=[1, 1, 1, 1])
    h = m.add("QLinearAdd", a, *ends, b, *ENDS, *ends, domain=MS)
    h = m.add("QLinearGlobalAveragePool", h, *ends, *ends, domain=MS)
    h = m.add("QGemm", m.add("Flatten", h), *ends, codes[2], np.array(0.01, F32), zero, np.zeros(3, np.int32), domain=MS)
    data = np.clip(values(draw, 100, 2, 6, 6), -3, 3)
    found = convert(m.save(tmp_path / "net.onnx", h), data, steps=64)
    assert found.fidelity.worst is not None and found.fidelity.worst.agreement > 0.8


def test_a_nearest_resize_converts(tmp_path: Path) -> None:
    """As it was traced, it ended in an error of torch."""
    draw, m = random.Random(4), Model(("n", 2, 5, 5), 17)
    h = m.add("Relu", m.add("Conv", "x", values(draw, 3, 2, 3, 3)))
    h = m.add("Resize", h, "", np.array([1, 1, 2, 2], F32), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    found = convert(m.save(tmp_path / "net.onnx", m.add("Flatten", h)), values(draw, 100, 2, 5, 5), steps=32)
    assert found.report.difference is not None and found.report.difference < 1e-5


def _with_functions(m: Model, out: str, *functions: object, path: Path) -> Path:
    proto = m.proto(out)
    proto.functions.extend(functions)
    proto.opset_import.append(helper.make_opsetid("own", 1))
    path.write_bytes(proto.SerializeToString())
    return path


def _function(name: str, reads: list[str], writes: list[str], nodes: list, **said: object) -> object:
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, reads, writes, nodes, versions, **said)


def _leaky() -> object:
    leaky = helper.make_node("LeakyRelu", ["a"], ["b"])
    attribute = leaky.attribute.add()
    attribute.name, attribute.ref_attr_name, attribute.type = "alpha", "slope", 1
    step = helper.make_node("Constant", [], ["a"], value_float=0.5)
    inner = helper.make_node("Mul", ["b", "a"], ["out"])
    step.output[0] = inner.input[1] = "step"
    leaky.input[0] = "x"
    defaults = {"attribute_protos": [helper.make_attribute("slope", 0.25)]}
    return _function("Leaky", ["x"], ["out"], [leaky, step, inner], **defaults)


def test_functions_of_a_models_own_are_written_out(tmp_path: Path) -> None:
    """One calls another; an attribute is the call's, or the function's default; two calls have one name."""
    twice = _function("Twice", ["v", "w"], ["y"], [
        helper.make_node("Leaky", ["v"], ["c"], "inner", domain="own", slope=0.1),
        helper.make_node("MatMul", ["c", "w"], ["d"]),
        helper.make_node("Leaky", ["d"], ["y"], "inner", domain="own"),
    ])  # fmt: skip
    draw, m = random.Random(4), Model(("n", 4), 17)
    first, second = values(draw, 4, 5), values(draw, 5, 3)
    out = m.add("Twice", m.add("Twice", "x", first, domain="own"), second, domain="own")
    for node in m.nodes:
        node.name = "same"
    path, x = _with_functions(m, out, _leaky(), twice, path=tmp_path / "net.onnx"), values(draw, 6, 4)
    network = read(path).network
    assert isinstance(network, FileNetwork)
    wanted = x
    for weight in (first, second):
        wanted = np.where(wanted > 0, wanted, 0.1 * wanted) * 0.5 @ weight
        wanted = np.where(wanted > 0, wanted, 0.25 * wanted) * 0.5
    np.testing.assert_allclose(network(torch.from_numpy(x)).numpy(), wanted, atol=1e-5)
    convert(path, values(draw, 40, 4), steps=16)


def test_functions_that_ask_for_too_much_are_refused(tmp_path: Path) -> None:
    m = Model(("n", 4), 17)
    out = m.add("F0", "x", domain="own")
    itself = _function("F0", ["x"], ["y"], [helper.make_node("F0", ["x"], ["y"], domain="own")])
    with pytest.raises(FileError, match="call themselves"):
        read(_with_functions(m, out, itself, path=tmp_path / "net.onnx"))
    grown = []
    for n in range(30):
        kind = {"domain": "own"} if n < 29 else {}
        names = ["x", *(f"v{i}" for i in range(9)), "y"]
        nodes = [helper.make_node(f"F{n + 1}" if n < 29 else "Relu", [a], [b], **kind) for a, b in itertools.pairwise(names)]
        grown.append(_function(f"F{n}", ["x"], ["y"], nodes))
    with pytest.raises(FileError):
        read(_with_functions(m, out, *grown, path=tmp_path / "net.onnx"))
