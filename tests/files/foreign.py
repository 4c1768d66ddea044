"""Good files of networks as other packages write them, each with what its reader knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_onnx(path: Path) -> None:
    """An ONNX network of a few operators: windows, a chain of shapes, constants, 8-bit weights.

    Raises
    ------
    ImportError
        Without the onnx package.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    draw = np.random.default_rng(0)
    stored = {
        "w": draw.normal(size=(4, 2, 3, 3)).astype(np.float32),
        "codes": draw.integers(-9, 9, (3, 4)).astype(np.int8),
        "scale": np.array(0.1, np.float32),
        "first": np.array([0], np.int64),
        "rest": np.array([-1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv", pads=[1, 1, 1, 1], auto_pad="NOTSET"),
        helper.make_node("Clip", ["a"], ["b"], "clip"),
        helper.make_node("GlobalAveragePool", ["b"], ["c"], "pool"),
        helper.make_node("Shape", ["c"], ["s"], "shape"),
        helper.make_node("Gather", ["s", "first"], ["n"], "gather"),
        helper.make_node("Concat", ["n", "rest"], ["t"], "concat", axis=0),
        helper.make_node("Reshape", ["c", "t"], ["d"], "reshape"),
        helper.make_node("DequantizeLinear", ["codes", "scale"], ["e"], "dequantise"),
        helper.make_node("Gemm", ["d", "e"], ["y"], "gemm", transB=1),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 2, 5, 5]), ("y", None))]
    kept = [numpy_helper.from_array(values, name) for name, values in stored.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], kept)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def write_tflite(path: Path) -> None:
    """A TFLite network of a few operators, some of its weights of 8 bits.

    Raises
    ------
    ImportError
        Without the tflite package.
    """
    import tflite  # noqa: F401

    from tests.convert.lite_models import Lite

    draw = np.random.default_rng(0)
    m = Lite(1, 6, 7, 2)
    weight = draw.normal(size=(4, 3, 3, 2)).astype(np.float32)
    h = m.add("CONV_2D", 0, weight, -1, shape=(1, 3, 4, 4), StrideH=2, StrideW=2, FusedActivationFunction=1)
    h = m.add("PAD", h, np.array([[0, 0], [0, 1], [1, 0], [0, 0]], np.int32), shape=(1, 4, 5, 4))
    h = m.add("MEAN", h, np.array([1, 2], np.int32), shape=(1, 4))
    codes = m.keep(draw.integers(-9, 9, (3, 4)).astype(np.int8), [0.1, 0.2, 0.3])
    h = m.add("FULLY_CONNECTED", h, codes, -1, shape=(1, 3))
    m.save(path, m.add("SOFTMAX", h, shape=(1, 3), Beta=1.0))


def write_safetensors(path: Path) -> None:
    """Tensors of several types.

    Raises
    ------
    ImportError
        Without the safetensors package.
    """
    from safetensors.numpy import save_file

    draw = np.random.default_rng(0)
    save_file({"a": draw.normal(size=(3, 4)).astype(np.float32), "b": np.arange(6), "c": np.ones(2, np.float16)}, path)
