"""An ONNX file to a network of torch modules: its nodes in order, each a function by its operator's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spikeflow.convert.load.numbers import MOST, Numbers
from spikeflow.convert.load.onnx.elementwise import ELEMENTWISE
from spikeflow.convert.load.onnx.fused import Raw, fused
from spikeflow.convert.load.onnx.layers import LAYERS
from spikeflow.convert.load.onnx.moves import MOVES
from spikeflow.convert.load.onnx.node import Function, Node
from spikeflow.convert.load.onnx.quantised import QUANTISED, ROUNDING
from spikeflow.convert.load.onnx.resize import RESIZE
from spikeflow.convert.load.onnx.sizes import ON_NUMBERS, SIZES
from spikeflow.convert.load.tree import (
    MISFIT,
    ROUNDING_LEFT_OUT,
    FileNetwork,
    Operator,
    Sizes,
    Written,
    one_input,
)
from spikeflow.errors import FileError, ModelError, UnsupportedLayer, refused
from spikeflow.files.onnx_model import OnnxFile, read_onnx
from spikeflow.typing import Array

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ValueInfoProto

OPSETS = range(9, 23)
FEW = 16  # stored values that may be such numbers
OPERATORS: Mapping[str, Callable[[Node], Function]] = {
    **LAYERS,
    **ELEMENTWISE,
    **MOVES,
    **RESIZE,
    **SIZES,
    **QUANTISED,
}
_OURS = ("", "ai.onnx")
_SAME_ELSEWHERE = ("Gelu", "QuantizeLinear", "DequantizeLinear")  # of com.microsoft, with the same meaning
_NEVER_BELOW_ZERO = ("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Softplus")
_PASSING = ("MaxPool", "AveragePool", "GlobalAveragePool", "Reshape", "Flatten", "Transpose", "Concat")
_NARROW = (2, 3, 4, 5)  # ONNX's numbers of whole types of 8 and 16 bits
_TAKE_WHOLE = ("Cast", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "Shape", "Size")
_STAY_WHOLE = ("Identity", "MaxPool", *(name for name in MOVES if not name.startswith("Reduce")))
_REASONS = {
    "LRN": ("normalisation by the sample's own statistics", "batch norm in its place, after retraining"),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), ("a recurrent layer", "spikeflow.neurons, trained as it spikes")),
    **dict.fromkeys(("If", "Loop", "Scan"), ("a branch or a loop", "an export without branches on values")),
    "Attention": ("attention", "a network without attention"),
}
_KNOWN = "onnxsim (package onnxsim), which computes what can be known; or the part of the network before it"


def read(path: str, limit: int) -> tuple[FileNetwork, tuple[str, ...]]:
    """The network in an ONNX file, and what is to be told of it.

    Raises
    ------
    UnsupportedLayer
        For operators that are not taken; all at once.
    FileError
        Where the file is damaged, or of a version that is not read.
    """
    file = read_onnx(path, limit)
    opset = _opset(file)
    reading = _Reading(file, opset)
    network = FileNetwork(reading.written())
    return network.eval(), tuple(f"{path}: {text}" for text in reading.told)


def _opset(file: OnnxFile) -> int:
    found = next((int(o.version) for o in file.model.opset_import if o.domain in _OURS), 0)
    if found not in OPSETS:
        reason = f"it is of opset {found}; read are {OPSETS.start} to {OPSETS.stop - 1}"
        hint = "onnx.version_converter.convert_version(model, 17), or a new export"
        raise FileError(file.path, reason, hint)
    return found


@dataclass(eq=False)
class _Reading:
    """One graph on its way to operators."""

    file: OnnxFile
    opset: int

    def __post_init__(self) -> None:
        graph = self.file.model.graph
        if self.file.model.functions:
            hint = "onnx.inliner.inline_local_functions(model)"
            raise FileError(self.file.path, "it holds functions of its own", hint)
        if graph.sparse_initializer:
            raise FileError(self.file.path, "it holds sparse tensors", "an export with dense ones")
        self.told: list[str] = []
        self.known: dict[str, Array] = {self.text(t.name): self.file.values(t) for t in graph.initializer}
        self.inputs = [i for i in graph.input if i.name not in self.known]
        self.outputs = tuple(self.text(o.name) for o in graph.output)
        one_input(self.file.path, [self.text(i.name) for i in self.inputs])
        self.sample, self.batch = _sizes(self.inputs[0])
        self.nodes = self._fused(self._nodes(graph))

    def _fused(self, nodes: list[Raw]) -> list[Raw]:
        try:
            return fused(nodes, self.known, self.outputs)
        except MISFIT as error:
            raise FileError(self.file.path, f"damaged attributes ({error})"[:300]) from None

    def written(self) -> Written:
        """What the file says."""
        asked = {name for node in self.nodes for name in node.reads} | set(self.outputs)
        operators, refusals = list[Operator](), list[ModelError]()
        known = _Known(self.known, self.inputs[0])
        for node in self.nodes:
            try:
                function = self._function(node, asked, known)
            except ModelError as error:
                refusals.append(error)
                continue
            except MISFIT as error:
                reason = f"{node.name[:80]} has damaged attributes ({error})"[:300]
                raise FileError(self.file.path, reason) from None
            known.note(node)
            operators.append(Operator(node.name, node.kind, function, node.reads, node.writes))
        if refusals:
            raise refused(refusals)
        self._check_names(operators)
        if any(node.kind in ROUNDING and node.reads[0] not in known.constant for node in self.nodes):
            self.told.append(ROUNDING_LEFT_OUT)
        read = {name for operator in operators for name in operator.reads} | set(self.outputs)
        stored = {name: _stored(values) for name, values in self.known.items() if name in read}
        names = (self.inputs[0].name,)
        ends = (names, self.outputs, self.sample)
        return Written(self.file.path, operators, stored, *ends, batch=self.batch)

    def _function(self, raw: Raw, asked: set[str], known: _Known) -> Function:
        make = OPERATORS.get(raw.kind)
        elsewhere = raw.domain not in _OURS
        numbers = ON_NUMBERS.get(raw.kind)
        if (make is None and numbers is None) or (elsewhere and raw.kind not in _SAME_ELSEWHERE):
            where = f" of {raw.domain[:60]}" if elsewhere else ""
            kind, hint = _REASONS.get(raw.kind, ("", _KNOWN))
            what = f"the ONNX operator {raw.kind[:60]}{where}"
            raise UnsupportedLayer(raw.name, f"{what} ({kind})" if kind else what, hint)
        node = Node(
            raw.name,
            raw.kind,
            {**raw.attributes, **known.of(raw)},
            raw.reads,
            tuple(self.known.get(name) if name else None for name in raw.reads),
            tuple(name in asked for name in raw.writes),
            self.opset,
            self.batch,
        )
        return _either(node, make, numbers)

    def _nodes(self, graph: GraphProto) -> list[Raw]:
        """The nodes, without those that hold a constant."""
        found, names = list[Raw](), set[str]()
        for number, node in enumerate(graph.node):
            reads, writes = tuple(map(self.text, node.input)), tuple(map(self.text, node.output))
            kind = self.text(node.op_type)
            name = self.text(node.name) or next((o for o in writes if o), "") or f"{kind} {number}"
            while name in names:
                name += "_"
            names.add(name)
            said = {self.text(a.name): self._attribute(a) for a in node.attribute}
            if kind == "Constant" and len(writes) == 1:
                self.known[writes[0]] = _constant(self.file.path, name, said)
            elif kind == "Identity" and len(reads) == len(writes) == 1 and reads[0] in self.known:
                self.known[writes[0]] = self.known[reads[0]]
            else:
                found.append(Raw(name, kind, reads, writes, said, self.text(node.domain)))
        return found

    def text(self, given: Any) -> str:
        """A name; the package gives bytes where one is no text."""
        if not isinstance(given, str):
            raise FileError(self.file.path, f"it has a name that is no text ({bytes(given)[:40]!r})")
        return given

    def _attribute(self, attribute: AttributeProto) -> Any:
        import onnx

        if attribute.type == onnx.AttributeProto.TENSOR:
            return self.file.values(attribute.t)
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            return None
        try:
            found = onnx.helper.get_attribute_value(attribute)
        except (ValueError, TypeError) as error:
            raise FileError(self.file.path, f"a damaged attribute ({str(error)[:100]})") from None
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else found

    def _check_names(self, operators: list[Operator]) -> None:
        """Every value that is read was made before."""
        made = {"", self.inputs[0].name, *self.known}
        for operator in operators:
            if lost := [name for name in operator.reads if name not in made]:
                reason = f"{operator.name[:80]} reads {lost[0][:80]!r}, which nothing before it makes"
                raise FileError(self.file.path, reason, "the file as it was exported")
            made |= set(operator.writes)
        if lost := [name for name in self.outputs if name not in made] or not self.outputs:
            raise FileError(self.file.path, f"nothing makes its output {lost}"[:200], "the file as exported")


class _Known:
    """What is known of values: which never lie below 0, which are stored or made of stored ones alone, and
    which are samples that enter as whole numbers of few bits.
    """

    def __init__(self, stored: Mapping[str, Array], entry: ValueInfoProto) -> None:
        whole = entry.type.tensor_type.elem_type in _NARROW
        self.entry, self.whole = entry.name, {entry.name} if whole else set[str]()
        self.positive, self.constant = set[str](), {"", *stored}

    def note(self, node: Raw) -> None:
        """What follows of what a node writes."""
        below = node.kind in _PASSING and self.positive >= set(node.reads)
        self.positive |= set(node.writes) if below or node.kind in _NEVER_BELOW_ZERO else set()
        self.constant |= set(node.writes) if node.reads and self.constant >= set(node.reads) else set()
        stays = node.kind in _STAY_WHOLE and bool(self.whole & set(node.reads))
        self.whole |= set(node.writes) if stays else set()

    def of(self, raw: Raw) -> dict[str, bool]:
        """The same of what a node reads, for those that ask for it.

        Raises
        ------
        UnsupportedLayer
            For arithmetic on whole numbers of few bits, which begin again at their ends.
        """
        first, whole = raw.reads[0] if raw.reads else "", bool(self.whole & set(raw.reads))
        if whole and raw.kind not in _TAKE_WHOLE + _STAY_WHOLE:
            what = f"the ONNX operator {raw.kind[:60]} on samples of 8 or 16 bits"
            raise UnsupportedLayer(raw.name, what, "a Cast to float before it", raw.kind)
        if raw.kind != "QuantizeLinear":
            return {"whole": first in self.whole} if raw.kind in QUANTISED else {}
        # behind a rectifier, or of the data, no clip is needed
        rectified = first in self.positive or first == self.entry
        return {"rectified": rectified, "constant": first in self.constant}


def _either(
    node: Node, make: Callable[[Node], Function] | None, numbers: Callable[..., Any] | None
) -> Function:
    """The operator on values, or on numbers that say how values are moved."""
    function = None if make is None else make(node)
    if numbers is None:
        assert function is not None
        return function

    def run(*given: Any) -> Any:
        if any(isinstance(v, Numbers) for v in given):
            plain = [_few(node, n, v) for n, v in enumerate(given)]
            if all(v is None or isinstance(v, Numbers) for v in plain):
                return numbers(node, *plain)
        if function is None:
            raise node.refuse("on values", _KNOWN)
        return function(*given)

    return run


def _few(node: Node, index: int, value: Any) -> Any:
    """A stored number that meets numbers, as one of them."""
    stored = node.stored(index)
    if isinstance(value, torch.Tensor) and stored is not None and stored.ndim <= 1 and stored.size <= FEW:
        return Numbers.of(stored.tolist(), stored.dtype.kind in "iub")
    return value


def _sizes(given: ValueInfoProto) -> tuple[Sizes, int | None]:
    """The shape of a sample, and the number of samples that the file declares."""
    dims = given.type.tensor_type.shape.dim
    found = [int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims]
    return tuple(found[1:]), found[0] if found else None


def _constant(path: str, name: str, said: Mapping[str, Any]) -> Array:
    plain = ("value", "value_float", "value_floats", "value_int", "value_ints")
    found = next((said[key] for key in plain if said.get(key) is not None), None)
    if found is None:
        raise FileError(path, f"the constant {name[:80]!r} holds no numbers", "the file as it was exported")
    if isinstance(found, np.ndarray):
        return found
    try:
        return np.array(found, np.int64 if "int" in next(k for k in plain if k in said) else np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise FileError(path, f"the constant {name[:80]!r} is damaged ({error})"[:300]) from None


def _stored(values: Array) -> torch.Tensor | Numbers:
    """Numbers that may say how values are moved, or a tensor."""
    if values.ndim <= 1 and values.size <= MOST and values.dtype.kind in "iub":
        plain = np.empty(values.shape, object)
        plain[...] = values.tolist()
        return Numbers(plain)
    if values.dtype.kind == "u" and values.dtype.itemsize > 1:
        values = values.astype(np.int64)
    return torch.from_numpy(np.array(values, order="C"))
