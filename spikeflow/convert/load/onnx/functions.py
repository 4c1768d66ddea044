"""Functions of a model's own (onnx 1.10 and later), written out where they are called.

Each call becomes the function's nodes, with the names of its values and nodes behind the caller's. Attributes
that refer to the call's get what it says, or the function's default. Functions may call others, not
themselves; what this makes is counted before it is done, as a few bytes may name a great deal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from spikeflow.errors import FileError

if TYPE_CHECKING:
    from onnx import AttributeProto, FunctionProto, ModelProto, NodeProto

    from spikeflow.files.onnx_model import OnnxFile

NODE = 8000  # bytes of a node in memory, and as a part of the network that is made of it
DEEPEST = 50
_MOST = 2**50
_HINT = "onnx.inliner.inline_local_functions(model)"

Key = tuple[str, str, str]
Functions = Mapping[Key, "FunctionProto"]


def written_out(file: OnnxFile) -> list[NodeProto]:
    """The nodes of a model's graph, without calls of its own functions.

    Raises
    ------
    FileError
        Where a function calls itself, its calls make more than the file's size explains, or it is of another
        opset than the graph.
    """
    model = file.model
    functions = {_key(f.domain, f.name, f): f for f in model.functions}
    if not functions:
        return list(model.graph.node)
    _expect_one_opset(file.path, model)
    file.budget.spend(_cost(file.path, model.graph.node, functions, {}, 0))
    try:
        return list(_nodes(model.graph.node, functions, set()))
    except (ValueError, TypeError) as error:
        raise FileError(file.path, f"a damaged function ({str(error)[:100]})") from None


def _key(domain: str, name: str, message: object) -> Key:
    return domain, name, getattr(message, "overload", "")


def _expect_one_opset(path: str, model: ModelProto) -> None:
    """Operators mean the same in functions as in the graph: the versions that they are written in are one."""
    own = {o.domain: o.version for o in model.opset_import}
    for function in model.functions:
        for said in function.opset_import:
            if said.domain in ("", "ai.onnx") and own.get(said.domain, said.version) != said.version:
                reason = f"its function {function.name[:60]!r} is of opset {said.version}, its graph is not"
                raise FileError(path, reason, _HINT)


def _cost(
    path: str, nodes: Iterable[NodeProto], functions: Functions, costs: dict[Key, int], depth: int
) -> int:
    """Bytes of the nodes with each call written out."""
    if depth > DEEPEST:
        raise FileError(path, "its functions call themselves, or are nested without reason", _HINT)
    total = 0
    for node in nodes:
        key = _key(node.domain, node.op_type, node)
        if key in functions and key not in costs:
            costs[key] = _cost(path, functions[key].node, functions, costs, depth + 1)
        total = min(total + costs.get(key, NODE + node.ByteSize()), _MOST)
    return total


def _nodes(nodes: Iterable[NodeProto], functions: Functions, labels: set[str]) -> Iterable[NodeProto]:
    for node in nodes:
        function = functions.get(_key(node.domain, node.op_type, node))
        if function is None:
            yield node
            continue
        label = str(node.name or node.op_type)
        while label in labels:
            label += "_"
        labels.add(label)
        yield from _nodes(_called(node, function, label), functions, labels)


def _called(call: NodeProto, function: FunctionProto, label: str) -> list[NodeProto]:
    """The nodes of a function as if they stood in the place of a call."""
    import onnx

    names = dict.fromkeys(function.input, "")  # inputs that the call leaves out
    names |= dict(zip(function.input, call.input, strict=False))
    names |= dict(zip(function.output, call.output, strict=False))
    said = {a.name: a for a in function.attribute_proto} | {a.name: a for a in call.attribute}
    made: list[NodeProto] = []
    for inner in function.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(inner)
        copy.name = f"{label}/{inner.name or inner.op_type}"
        for values in (copy.input, copy.output):
            values[:] = [names.get(n, f"{label}/{n}") if n else "" for n in values]
        del copy.attribute[:]
        copy.attribute.extend(_attributes(inner.attribute, said))
        made.append(copy)
    return made


def _attributes(
    given: Iterable[AttributeProto], said: Mapping[str, AttributeProto]
) -> Iterable[AttributeProto]:
    """Attributes with what the call says where they refer to it; what it leaves out is left out."""
    import onnx

    for attribute in given:
        if not attribute.ref_attr_name:
            yield attribute
        elif attribute.ref_attr_name in said:
            found = onnx.AttributeProto()
            found.CopyFrom(said[attribute.ref_attr_name])
            found.name = attribute.name
            yield found
