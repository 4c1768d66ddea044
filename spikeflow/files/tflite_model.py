"""TFLite: the tables of a model, read by the tflite package as plain records; nothing is run.

The package reads where a table's numbers lead and checks neither their lengths nor how often a table is
named, so both are counted here before anything is made of them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from spikeflow.errors import FileError, MissingPackage
from spikeflow.files.limits import HINT, Budget, of_parts
from spikeflow.files.opened import read_regular
from spikeflow.typing import Array

PACKAGE = "tflite>=2.18"
MAX_BYTES = 2**31 - 1
_TENSOR, _OPERATOR, _NUMBER = 3000, 8000, 32
_CUSTOM = 32
# what a damaged table runs into
_DAMAGED = (
    struct.error,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    KeyError,
    MemoryError,
)
_TYPES: Mapping[int, Any] = {
    0: np.float32,
    1: np.float16,
    2: np.int32,
    3: np.uint8,
    4: np.int64,
    6: np.bool_,
    7: np.int16,
    9: np.int8,
    10: np.float64,
}
_POOL = "FilterHeight FilterWidth StrideH StrideW Padding FusedActivationFunction"
_CONV = "StrideH StrideW Padding FusedActivationFunction"
_FIELDS: Mapping[str, str] = {
    "Conv2DOptions": f"{_CONV} DilationHFactor DilationWFactor",
    "Conv3DOptions": f"StrideD {_CONV} DilationDFactor DilationHFactor DilationWFactor",
    "DepthwiseConv2DOptions": f"{_CONV} DilationHFactor DilationWFactor",
    "TransposeConvOptions": _CONV,
    "FullyConnectedOptions": "FusedActivationFunction KeepNumDims WeightsFormat",
    "Pool2DOptions": _POOL,
    **dict.fromkeys(("AddOptions", "SubOptions", "MulOptions", "DivOptions"), "FusedActivationFunction"),
    "ConcatenationOptions": "Axis FusedActivationFunction",
    "SoftmaxOptions": "Beta",
    "SqueezeOptions": "SqueezeDimsAsNumpy",
    "MirrorPadOptions": "Mode",
    "ReducerOptions": "KeepDims",
    "LeakyReluOptions": "Alpha",
    "GeluOptions": "Approximate",
    **dict.fromkeys(
        ("ResizeBilinearOptions", "ResizeNearestNeighborOptions"), "AlignCorners HalfPixelCenters"
    ),
    "StridedSliceOptions": "BeginMask EndMask EllipsisMask NewAxisMask ShrinkAxisMask Offset",
    **dict.fromkeys(("SplitOptions", "SplitVOptions"), "NumSplits"),
    "GatherOptions": "Axis BatchDims",
    **dict.fromkeys(("DepthToSpaceOptions", "SpaceToDepthOptions"), "BlockSize"),
    "BatchMatMulOptions": "AdjX AdjY",
    "UnpackOptions": "Axis Num",
    "PackOptions": "Axis",
}


@dataclass(frozen=True, eq=False)
class LiteTensor:
    """One tensor: its values where they are stored, and how its whole numbers stand for real ones.

    Parameters
    ----------
    shape : as the file declares it; -1 where a size is left open.
    scales, zeros : real = scale (number - zero), one or one for each place along `axis`; none of real values.
    """

    name: str
    shape: tuple[int, ...]
    kind: Any
    values: Array | None
    scales: Array
    zeros: Array
    axis: int = 0

    @property
    def quantised(self) -> bool:
        """Whether its numbers stand for real ones."""
        return self.scales.size > 0 and np.dtype(self.kind).kind in "iu"

    @property
    def real(self) -> Array:
        """The stored values as real ones, float32; whole numbers that stand for themselves as they are."""
        assert self.values is not None
        if not self.quantised:
            return self.values.astype(np.float32) if self.values.dtype.kind == "f" else self.values
        scales, zeros = self.scales.astype(np.float32), self.zeros.astype(np.float32)
        if scales.size > 1:
            at = [1] * self.values.ndim
            at[self.axis] = -1
            scales, zeros = scales.reshape(at), zeros.reshape(at)
        return (self.values.astype(np.float32) - zeros) * scales


@dataclass(frozen=True, eq=False)
class LiteOperator:
    """One operator: its kind, the tensors that it reads (-1: left out) and writes, its options."""

    kind: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LiteModel:
    """What a file holds."""

    path: str
    tensors: tuple[LiteTensor, ...]
    operators: tuple[LiteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(path: str, limit: int = MAX_BYTES) -> LiteModel:
    """The model in a file.

    Raises
    ------
    FileError
        Where it is damaged or asks for more than its size explains.
    MissingPackage
        Without the tflite package.
    """
    try:
        import tflite
    except ImportError as error:
        raise MissingPackage(PACKAGE, "reading TFLite files", error) from error
    data = read_regular(path, min(limit, MAX_BYTES))
    reading = _Reading(path, data, of_parts(path, len(data)), tflite)
    try:
        return reading.model()
    except _DAMAGED as error:
        raise FileError(path, f"damaged: it is no TFLite model ({str(error)[:160]})", HINT) from None


@dataclass(frozen=True, eq=False)
class _Reading:
    path: str
    data: bytes
    budget: Budget
    tflite: Any

    def model(self) -> LiteModel:
        model = self.tflite.Model.GetRootAs(self.data, 0)
        if self._count(model.SubgraphsLength(), 0) != 1:
            count = model.SubgraphsLength()
            reason = f"it is a TFLite file and holds {count} graphs (branches, loops or several entries)"
            raise FileError(self.path, reason, "a network of one graph")
        graph = model.Subgraphs(0)
        tensors = self._count(graph.TensorsLength(), _TENSOR)
        operators = self._count(graph.OperatorsLength(), _OPERATOR)
        self._count(model.OperatorCodesLength(), 0)
        self._count(model.BuffersLength(), 0)
        found = LiteModel(
            self.path,
            tuple(self._tensor(model, graph.Tensors(n)) for n in range(tensors)),
            tuple(self._operator(model, graph.Operators(n)) for n in range(operators)),
            self._numbers(graph.InputsAsNumpy()),
            self._numbers(graph.OutputsAsNumpy()),
        )
        ends = [*found.inputs, *found.outputs, *(n for o in found.operators for n in (*o.reads, *o.writes))]
        if any(not -1 <= n < tensors for n in ends):
            raise ValueError("a tensor that is not there")
        return found

    def _count(self, count: int, each: int) -> int:
        """A number of parts, each of which has at least its place in the file."""
        if not 0 <= count <= len(self.data) // 4:
            raise ValueError(f"{count} parts")
        self.budget.spend(count * each)
        return count

    def _numbers(self, found: Any) -> tuple[int, ...]:
        """A list of whole numbers; the package gives 0 for one that is not there."""
        if not isinstance(found, np.ndarray):
            return ()
        self.budget.spend(_NUMBER * found.size)
        return tuple(int(n) for n in found)

    def _text(self, found: Any) -> str:
        self.budget.spend(len(found or b""))
        return (found or b"").decode("utf-8", "replace")

    def _tensor(self, model: Any, tensor: Any) -> LiteTensor:
        name = self._text(tensor.Name())
        if tensor.Sparsity() is not None:
            raise FileError(
                self.path, f"the tensor {name[:80]!r} is sparse", "a model without pruned weights"
            )
        if tensor.Type() not in _TYPES:
            reason = f"the tensor {name[:80]!r} is of the type {tensor.Type()}"
            raise FileError(self.path, reason, "a network of float32, float16 or 8-bit values")
        kind = _TYPES[tensor.Type()]
        shape = self._numbers(tensor.ShapeAsNumpy())
        said = tensor.Quantization()
        scales = np.zeros(0, np.float32) if said is None else self._array(said.ScaleAsNumpy())
        zeros = np.zeros(0, np.int64) if said is None else self._array(said.ZeroPointAsNumpy())
        zeros = np.zeros(scales.size, np.int64) if zeros.size == 0 else zeros
        axis = 0 if said is None else int(said.QuantizedDimension())
        values = self._values(model, tensor.Buffer(), kind, shape)
        if zeros.size != scales.size or (scales.size > 1 and not _along(shape, axis, scales.size)):
            raise ValueError("scales that do not fit their tensor")
        open_ = self._numbers(tensor.ShapeSignatureAsNumpy())
        declared = open_ if len(open_) == len(shape) else shape
        return LiteTensor(name, declared, kind, values, scales, zeros, axis)

    def _array(self, found: Any) -> Array:
        if not isinstance(found, np.ndarray):
            return np.zeros(0, np.float32)
        self.budget.spend(_NUMBER * found.size)
        return found

    def _values(self, model: Any, number: int, kind: Any, shape: tuple[int, ...]) -> Array | None:
        """The values of a tensor in its buffer; None where it has none, as an activation."""
        if not 0 <= number < model.BuffersLength():
            raise ValueError("a buffer that is not there")
        buffer = model.Buffers(number)
        if buffer.Offset() > 1:
            raise FileError(self.path, "its values lie behind the model's tables", "a model below 2 GB")
        held = buffer.DataAsNumpy()
        if not isinstance(held, np.ndarray) or held.size == 0:
            return None
        if held.size != prod(shape) * np.dtype(kind).itemsize:
            raise ValueError(f"{held.size} bytes for a tensor of shape {shape}")
        self.budget.spend(2 * held.size)  # several tensors may name one buffer
        return np.frombuffer(held.tobytes(), kind).reshape(shape)

    def _operator(self, model: Any, operator: Any) -> LiteOperator:
        if not 0 <= operator.OpcodeIndex() < model.OperatorCodesLength():
            raise ValueError("a kind of operator that is not there")
        code = model.OperatorCodes(operator.OpcodeIndex())
        number = max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))
        names = vars(self.tflite.BuiltinOperator)
        kind = next((k for k, v in names.items() if v == number and k.isupper()), f"number {number}")
        if number == _CUSTOM:
            kind = f"{self._text(code.CustomCode())[:60]} (custom)"
        reads, writes = self._numbers(operator.InputsAsNumpy()), self._numbers(operator.OutputsAsNumpy())
        return LiteOperator(kind, reads, writes, self._options(operator))

    def _options(self, operator: Any) -> dict[str, Any]:
        table, kinds = operator.BuiltinOptions(), vars(self.tflite.BuiltinOptions)
        number = operator.BuiltinOptionsType()
        name = next((k for k, v in kinds.items() if v == number and k in _FIELDS), "")
        if table is None or not name:
            return {}
        options = getattr(self.tflite, name)()
        options.Init(table.Bytes, table.Pos)
        found: dict[str, Any] = {}
        for key in _FIELDS[name].split():
            value = getattr(options, key)()
            listed = key.endswith("AsNumpy")
            found[key.removesuffix("AsNumpy")] = self._numbers(value) if listed else value
        return found


def _along(shape: tuple[int, ...], axis: int, count: int) -> bool:
    return 0 <= axis < len(shape) and shape[axis] == count
