"""TFLite models of a few operators, written table by table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite", reason="the extra `tflite` is not installed")
import flatbuffers
import tflite

from spikeflow.convert.load.network_file import read
from spikeflow.convert.load.tree import FileNetwork

TYPES = {np.dtype(k): n for k, n in ((np.float32, 0), (np.float16, 1), (np.int32, 2), (np.uint8, 3), (np.int64, 4), (np.int8, 9))}
# operator -> the table of its options
TABLES = {
    "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "TRANSPOSE_CONV": "TransposeConvOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions", "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions",
    "ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions", "SOFTMAX": "SoftmaxOptions",
    "CONCATENATION": "ConcatenationOptions", "MEAN": "ReducerOptions", "SUM": "ReducerOptions", "REDUCE_MAX": "ReducerOptions",
    "LEAKY_RELU": "LeakyReluOptions", "GELU": "GeluOptions", "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions", "STRIDED_SLICE": "StridedSliceOptions", "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions", "GATHER": "GatherOptions", "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions", "MIRROR_PAD": "MirrorPadOptions", "BATCH_MATMUL": "BatchMatMulOptions",
    "CONV_3D": "Conv3DOptions", "PACK": "PackOptions", "UNPACK": "UnpackOptions",
}  # fmt: skip


class Lite:
    """A model that grows operator by operator; tensors go by their number. Tensor 0 is the input."""

    def __init__(self, *shape: int, kind: Any = np.float32, scale: float = 0.0, zero: int = 0) -> None:
        self.tensors: list[tuple[str, tuple[int, ...], Any, Any, Any, Any]] = []
        self.operators: list[tuple[str, list[int], list[int], dict[str, Any]]] = []
        self.value(*shape, kind=kind, scale=scale, zero=zero)

    def value(self, *shape: int, kind: Any = np.float32, scale: Any = 0.0, zero: Any = 0) -> int:
        """A tensor that an operator writes."""
        self.tensors.append((f"value{len(self.tensors)}", shape, kind, None, scale, zero))
        return len(self.tensors) - 1

    def keep(self, values: Any, scale: Any = 0.0, zero: Any = 0) -> int:
        """A stored tensor."""
        values = np.asarray(values)
        self.tensors.append((f"stored{len(self.tensors)}", values.shape, values.dtype, values, scale, zero))
        return len(self.tensors) - 1

    def add(self, kind: str, *reads: Any, shape: Any = (), outputs: int = 1, **options: Any) -> Any:
        """An operator whose result has this shape; arrays among what it reads are stored."""
        numbers = [self.keep(r) if isinstance(r, np.ndarray) else r for r in reads]
        writes = [self.value(*shape) for _ in range(outputs)]
        self.operators.append((kind, numbers, writes, options))
        return writes[0] if outputs == 1 else writes

    def save(self, path: Path, *outputs: int) -> Path:
        """The file of the model."""
        b = flatbuffers.Builder(1024)
        buffers = [_table(b, "Buffer")]
        made = []
        for name, shape, kind, values, scale, zero in self.tensors:
            number = 0
            if values is not None:
                number = len(buffers)
                data = b.CreateByteVector(np.ascontiguousarray(values).tobytes())
                buffers.append(_table(b, "Buffer", Data=data))
            said = {"Name": b.CreateString(name), "Shape": _numbers(b, shape)}
            if np.any(np.asarray(scale)):
                scales, zeros = np.atleast_1d(np.float32(scale)), np.atleast_1d(np.int64(zero))
                zeros = np.broadcast_to(zeros, scales.shape).copy()
                said["Quantization"] = _table(
                    b, "QuantizationParameters", Scale=b.CreateNumpyVector(scales), ZeroPoint=b.CreateNumpyVector(zeros)
                )
            made.append(_table(b, "Tensor", Type=TYPES[np.dtype(kind)], Buffer=number, **said))
        kinds = sorted({kind for kind, *_ in self.operators})
        codes = [_table(b, "OperatorCode", BuiltinCode=getattr(tflite.BuiltinOperator, k), DeprecatedBuiltinCode=min(getattr(tflite.BuiltinOperator, k), 127), Version=1) for k in kinds]
        operators = []
        for kind, reads, writes, options in self.operators:
            said = {"Inputs": _numbers(b, reads), "Outputs": _numbers(b, writes), "OpcodeIndex": kinds.index(kind)}
            if kind in TABLES:
                said["BuiltinOptions"] = _table(b, TABLES[kind], **options)
                said["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, TABLES[kind])
            operators.append(_table(b, "Operator", **said))
        graph = _table(
            b, "SubGraph", Tensors=_tables(b, made), Inputs=_numbers(b, [0]), Outputs=_numbers(b, outputs), Operators=_tables(b, operators)
        )
        model = _table(
            b, "Model", Version=3, OperatorCodes=_tables(b, codes), Subgraphs=_tables(b, [graph]), Buffers=_tables(b, buffers)
        )
        b.Finish(model, b"TFL3")
        path.write_bytes(bytes(b.Output()))
        return path


def _table(b: Any, kind: str, **fields: Any) -> int:
    getattr(tflite, f"{kind}Start")(b)
    for key, value in fields.items():
        getattr(tflite, f"{kind}Add{key}")(b, value)
    return getattr(tflite, f"{kind}End")(b)


def _numbers(b: Any, given: Any) -> int:
    return b.CreateNumpyVector(np.asarray(list(given), np.int32))


def _tables(b: Any, given: list[int]) -> int:
    b.StartVector(4, len(given), 4)
    for place in reversed(given):
        b.PrependUOffsetTRelative(place)
    return b.EndVector()


def answered(path: Path, x: np.ndarray) -> list[np.ndarray]:
    """What the network that is read from the file answers to samples in the file's layout, in that layout."""
    import torch

    network = read(path).network
    assert isinstance(network, FileNetwork)
    with torch.no_grad():
        found = network(torch.from_numpy(x))
    several = list(found.values()) if isinstance(found, dict) else [found]
    return [v.numpy().transpose(0, 2, 3, 1) if v.ndim == 4 else v.numpy() for v in several]
