"""A TFLite file to a network of torch modules: its operators in order, each a function by its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from spikeflow.convert.load.clips import clipped
from spikeflow.convert.load.tflite.dilated import dilated
from spikeflow.convert.load.tflite.elementwise import ELEMENTWISE
from spikeflow.convert.load.tflite.joined import joined
from spikeflow.convert.load.tflite.layers import LAYERS
from spikeflow.convert.load.tflite.layout import spread
from spikeflow.convert.load.tflite.moves import MOVES
from spikeflow.convert.load.tflite.node import Function, LiteNode
from spikeflow.convert.load.tree import (
    MISFIT,
    ROUNDING_LEFT_OUT,
    FileNetwork,
    Operator,
    Written,
    expect_inputs,
)
from spikeflow.errors import FileError, ModelError, UnsupportedLayer, refused
from spikeflow.files.tflite_model import LiteModel, LiteOperator, LiteTensor, read_tflite

OPERATORS: Mapping[str, Callable[[LiteNode], Function]] = {**LAYERS, **ELEMENTWISE, **MOVES}
_BROADCAST = frozenset(ELEMENTWISE) - {"PRELU"} | {"CONCATENATION"}
_CUTTING = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "CONV_3D",
    "FULLY_CONNECTED",
    "TRANSPOSE_CONV",
    "ADD",
    "SUB",
    "MUL",
)
_REASONS = {
    **dict.fromkeys(
        ("L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION"), "normalisation by the sample's own statistics"
    ),
    **dict.fromkeys(("WHILE", "IF"), "a branch or a loop"),
    **dict.fromkeys(
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN"), "a recurrent layer"
    ),
}
_HINT = "a network of the operators that docs/how-to/networks_in_files.md lists"
_WEIGHTS = (
    "its weights are 8-bit numbers, taken at exactly the values that they stand for; TFLite also rounds what "
    "they are multiplied with, as it runs, which is left out"
)


def read(path: str, limit: int) -> tuple[FileNetwork, tuple[str, ...]]:
    """The network in a TFLite file, and what is to be told of it.

    Raises
    ------
    UnsupportedLayer
        For operators that are not taken; all at once.
    FileError
        Where the file is damaged.
    """
    model = joined(dilated(_widened(read_tflite(path, limit))))
    reading = _Reading(model)
    network = FileNetwork(reading.written())
    return network.eval(), tuple(f"{path}: {text}" for text in reading.told())


def _widened(model: LiteModel) -> LiteModel:
    """The model with stored values as the real ones that it makes of them as it runs (float16 to float32)."""
    tensors, operators = list(model.tensors), list[LiteOperator]()
    for operator in model.operators:
        ends = (*operator.reads, *operator.writes)
        widens = operator.kind == "DEQUANTIZE" and len(ends) == 2 and min(ends) >= 0
        source = tensors[ends[0]] if widens else None
        if source is None or source.values is None:
            operators.append(operator)
            continue
        none = np.zeros(0, np.float32)
        made = replace(source, kind=np.float32, values=source.real, scales=none, zeros=none)
        tensors[ends[1]] = replace(made, name=tensors[ends[1]].name)
    return replace(model, tensors=tuple(tensors), operators=tuple(operators))


@dataclass(frozen=True, eq=False)
class _Reading:
    """One model on its way to operators; the value of tensor 7 is called ``t7``, and stored, for broadcasting
    against four axes, ``t7 of 4``."""

    model: LiteModel

    def told(self) -> list[str]:
        """What is to be told of whole numbers that stand for real ones."""
        entry = self._entry
        if not any(t.quantised and t.values is None for t in self.model.tensors):
            return [_WEIGHTS] if any(t.quantised for t in self.model.tensors) else []
        if not entry.quantised:
            return [ROUNDING_LEFT_OUT]
        ends, scale, zero = np.iinfo(entry.kind), float(entry.scales[0]), int(entry.zeros[0])
        low, high = (scale * (n - zero) for n in (int(ends.min), int(ends.max)))
        taken = f"samples are taken as real values, {low:g} to {high:g} in the range of its 8-bit input"
        return [ROUNDING_LEFT_OUT, f"{taken} ({scale:g} times a number less {zero})"]

    @property
    def _entry(self) -> LiteTensor:
        expect_inputs(self.model.path, [self.model.tensors[n].name for n in self.model.inputs])
        return self.model.tensors[self.model.inputs[0]]

    def written(self) -> Written:
        """What the file says."""
        entry, tensors = self._entry, self.model.tensors
        used = self._used()
        refusals, operators = list[ModelError](), list[Operator]()
        stored: dict[str, torch.Tensor] = {}
        for number, operator in enumerate(used):
            try:
                operators.append(self._operator(number, operator, stored))
            except ModelError as error:
                refusals.append(error)
            except MISFIT as error:
                reason = f"damaged: {operator.kind} does not fit its tensors ({error})"[:300]
                raise FileError(self.model.path, reason) from None
        if refusals:
            raise refused(refusals)
        self._check(operators, stored)
        outputs = tuple(f"t{n}" for n in self.model.outputs)
        entries = [tensors[n] for n in self.model.inputs]
        samples = tuple(tuple(None if n < 0 else n for n in t.shape[1:]) for t in entries)
        names = tuple(f"t{n}" for n in self.model.inputs)
        if any(tensors[n].values is not None for n in self.model.outputs):
            raise FileError(
                self.model.path, "an output of it is a constant", "a network that computes something"
            )
        batch = entry.shape[0] if entry.shape and entry.shape[0] > 0 else None
        last = any(len(t.shape) == 4 for t in entries)
        ends = (names, outputs, samples[0], last, batch, tuple(t.name for t in entries), samples)
        return Written(self.model.path, operators, stored, *ends)

    def _used(self) -> list[LiteOperator]:
        """The operators whose results are read: shapes, which the file declares, are not computed."""
        needed, kept = set(self.model.outputs), list[LiteOperator]()
        for operator in reversed(self.model.operators):
            if needed & set(operator.writes):
                kept.append(operator)
                needed |= set(_values(operator)) - {-1}
        return kept[::-1]

    def _operator(self, number: int, operator: LiteOperator, stored: dict[str, torch.Tensor]) -> Operator:
        tensors = self.model.tensors
        writes = tuple(tensors[n] for n in operator.writes if n >= 0)
        # where TFLite joined several layers of Keras, it joined their names; the first tells the activation
        name = (writes[0].name.split(";")[0] if writes else "") or f"{operator.kind} {number}"
        make = OPERATORS.get(operator.kind)
        if make is None:
            reason = _REASONS.get(operator.kind, "")
            what = f"the TFLite operator {operator.kind}"
            raise UnsupportedLayer(name, f"{what} ({reason})" if reason else what, _HINT)
        reads = tuple(tensors[n] if n >= 0 else None for n in operator.reads)
        batch = tensors[self.model.inputs[0]].shape[0] if tensors[self.model.inputs[0]].shape else 1
        node = LiteNode(name, operator, reads, writes, batch)
        _expect_scales(node)
        names = [self._read(n, operator, writes, stored) for n in _values(operator)]
        function = _cut(node, make(node))
        return Operator(name, operator.kind, function, tuple(names), tuple(f"t{n}" for n in operator.writes))

    def _read(
        self,
        number: int,
        operator: LiteOperator,
        writes: tuple[LiteTensor, ...],
        stored: dict[str, torch.Tensor],
    ) -> str:
        """The name of what an operator reads; none for whole numbers that say how values are moved."""
        if number < 0:
            return ""
        tensor = self.model.tensors[number]
        if tensor.values is None:
            return f"t{number}"
        values = tensor.real
        if values.dtype.kind != "f":
            return ""
        rank = len(writes[0].shape) if operator.kind in _BROADCAST and writes else 0
        name = f"{tensor.name or f't{number}'}{f' of {rank}' if rank == 4 else ''}"
        if name not in stored:
            stored[name] = torch.from_numpy(np.array(spread(values, rank), order="C"))
        return name

    def _check(self, operators: list[Operator], stored: Mapping[str, torch.Tensor]) -> None:
        """Every value that is read was made before."""
        made = {"", *(f"t{n}" for n in self.model.inputs), *stored}
        for operator in operators:
            if any(name not in made for name in operator.reads):
                reason = f"{operator.name[:80]} reads what nothing before it makes"
                raise FileError(self.model.path, reason)
            made |= set(operator.writes)
        if any(f"t{n}" not in made for n in self.model.outputs) or not self.model.outputs:
            raise FileError(self.model.path, "nothing makes an output of it")


def _values(operator: LiteOperator) -> tuple[int, ...]:
    """What an operator reads, but for shapes, which are taken as the file declares the result's: it may
    compute them for batches that it leaves open.
    """
    if operator.kind in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
        return operator.reads[:1]
    return (-1, *operator.reads[1:]) if operator.kind == "TRANSPOSE_CONV" else operator.reads


def _expect_scales(node: LiteNode) -> None:
    """Refuse weights of whole numbers that do not say what they stand for."""
    if node.kind in MOVES:
        return
    for index, tensor in enumerate(node.reads):
        size = node.kind == "TRANSPOSE_CONV" and index == 0
        if tensor is None or tensor.values is None or size:
            continue
        if tensor.real.dtype.kind != "f":
            what = f"whose input {index} is stored as whole numbers without a scale"
            raise node.refuse(what, "the file as its converter wrote it")


def _cut(node: LiteNode, function: Function) -> Function:
    """A function, and the clip that a quantised range from 0 stands for where it has no activation."""
    if node.kind not in _CUTTING or node.get("FusedActivationFunction", 0) or not node.writes:
        return function
    (result,) = node.writes
    if not result.quantised or result.scales.size != 1:
        return function
    ends, zero = np.iinfo(result.kind), int(result.zeros[0])
    if zero != ends.min:
        return function
    top = float(result.scales[0]) * (int(ends.max) - int(ends.min))
    return lambda *values: clipped(function(*values), 0.0, top)
