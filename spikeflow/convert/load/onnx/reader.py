"""An ONNX file to a network of torch modules: its nodes in order, each a function by its operator's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeflow.convert.load.onnx.constants import computed, constant
from spikeflow.convert.load.onnx.dynamic import Dynamic
from spikeflow.convert.load.onnx.functions import written_out
from spikeflow.convert.load.onnx.fused import Raw, fused
from spikeflow.convert.load.onnx.known import Known
from spikeflow.convert.load.onnx.node import Function, Node
from spikeflow.convert.load.onnx.operators import OURS, either, stored_value, taken
from spikeflow.convert.load.tree import (
    MISFIT,
    ROUNDING_LEFT_OUT,
    FileNetwork,
    Operator,
    Sizes,
    Written,
    expect_inputs,
)
from spikeflow.errors import FileError, ModelError, refused
from spikeflow.files.onnx_model import OnnxFile, read_onnx
from spikeflow.typing import Array

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto, TensorProto, ValueInfoProto

OPSETS = range(9, 23)


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
    found = next((int(o.version) for o in file.model.opset_import if o.domain in OURS), 0)
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
        if graph.sparse_initializer:
            raise FileError(self.file.path, "it holds sparse tensors", "an export with dense ones")
        self.told: list[str] = []
        self.known: dict[str, Array] = {self.text(t.name): self._values(t) for t in graph.initializer}
        self.inputs = [i for i in graph.input if i.name not in self.known]
        self.outputs = tuple(self.text(o.name) for o in graph.output)
        expect_inputs(self.file.path, [self.text(i.name) for i in self.inputs])
        self.sample, self.batch = _sizes(self.inputs[0])
        self.nodes = self._fused(self._nodes(written_out(self.file)))

    def _fused(self, nodes: list[Raw]) -> list[Raw]:
        try:
            return fused(nodes, self.known, self.outputs)
        except MISFIT as error:
            raise FileError(self.file.path, f"damaged attributes ({error})"[:300]) from None

    def written(self) -> Written:
        """What the file says."""
        asked = {name for node in self.nodes for name in node.reads} | set(self.outputs)
        operators, refusals = list[Operator](), list[ModelError]()
        known = Known(self.known, self.inputs)
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
        if known.rounds and ROUNDING_LEFT_OUT not in self.told:
            self.told.append(ROUNDING_LEFT_OUT)
        read = {name for operator in operators for name in operator.reads} | set(self.outputs)
        stored = {name: stored_value(values) for name, values in self.known.items() if name in read}
        names = tuple(i.name for i in self.inputs)
        ends = (names, self.outputs, self.sample)
        samples = tuple(_sizes(i)[0] for i in self.inputs)
        ends = (*ends, False, self.batch, names, samples)
        return Written(self.file.path, operators, stored, *ends)

    def _function(self, raw: Raw, asked: set[str], known: Known) -> Function:
        make, numbers = taken(raw)
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
        return either(node, make, numbers)

    def _nodes(self, nodes: Sequence[NodeProto]) -> list[Raw]:
        """The nodes, without those that hold a constant."""
        names = set[str]()
        dynamic = Dynamic(self.known, Counter(self.text(name) for node in nodes for name in node.input))
        for number, node in enumerate(nodes):
            reads, writes = tuple(map(self.text, node.input)), tuple(map(self.text, node.output))
            kind = self.text(node.op_type)
            name = self.text(node.name) or next((o for o in writes if o), "") or f"{kind} {number}"
            while name in names:
                name += "_"
            names.add(name)
            said = {self.text(a.name): self._attribute(a) for a in node.attribute}
            raw = Raw(name, kind, reads, writes, said, self.text(node.domain))
            if kind == "Constant" and len(writes) == 1:
                self.known[writes[0]] = constant(self.file.path, name, said)
            elif kind == "Identity" and len(reads) == len(writes) == 1 and reads[0] in self.known:
                self.known[writes[0]] = self.known[reads[0]]
            elif (values := computed(raw, self.known, self.opset)) is not None:
                self.known[writes[0]] = values
            elif not dynamic.take(raw):
                dynamic.found.append(raw)
        self.told += [ROUNDING_LEFT_OUT] if dynamic.any else []
        return dynamic.found

    def _values(self, tensor: TensorProto) -> Array:
        """What a tensor holds; floats of whatever width as float32, which a converted network computes in."""
        found = self.file.values(tensor)
        if found.dtype.kind != "f" or found.dtype == np.float32:
            return found
        told = f"its {found.dtype} values are taken as float32, in which all of it is computed"
        self.told += [told] if told not in self.told else []
        with np.errstate(over="ignore"):
            return found.astype(np.float32)

    def text(self, given: Any) -> str:
        """A name; the package gives bytes where one is no text."""
        if not isinstance(given, str):
            raise FileError(self.file.path, f"it has a name that is no text ({bytes(given)[:40]!r})")
        return given

    def _attribute(self, attribute: AttributeProto) -> Any:
        import onnx

        if attribute.type == onnx.AttributeProto.TENSOR:
            return self._values(attribute.t)
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            return None
        try:
            found = onnx.helper.get_attribute_value(attribute)
        except (ValueError, TypeError) as error:
            raise FileError(self.file.path, f"a damaged attribute ({str(error)[:100]})") from None
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else found

    def _check_names(self, operators: list[Operator]) -> None:
        """Every value that is read was made before."""
        made = {"", *(i.name for i in self.inputs), *self.known}
        for operator in operators:
            if lost := [name for name in operator.reads if name not in made]:
                reason = f"{operator.name[:80]} reads {lost[0][:80]!r}, which nothing before it makes"
                raise FileError(self.file.path, reason, "the file as it was exported")
            made |= set(operator.writes)
        if lost := [name for name in self.outputs if name not in made] or not self.outputs:
            raise FileError(self.file.path, f"nothing makes its output {lost}"[:200], "the file as exported")


def _sizes(given: ValueInfoProto) -> tuple[Sizes, int | None]:
    """The shape of a sample, and the number of samples that the file declares."""
    dims = given.type.tensor_type.shape.dim
    found = [int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims]
    return tuple(found[1:]), found[0] if found else None
