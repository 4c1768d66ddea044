"""Archives of `torch.export.save` (.pt2), read without torch's loader, which can fall back to unpickling.

::

    <top>/archive_format                       "pt2"
    <top>/models/model.json                    operations, their arguments, shapes, the roles of the inputs
    <top>/data/weights/model_weights_config.json        user's name -> weight_<n>, type, sizes, strides
    <top>/data/weights/weight_<n>              raw values
    <top>/data/constants/...                   the same for constants
    <top>/data/sample_inputs/...               a pickle: never opened

The JSON is checked field by field; expressions of sizes are text that torch would evaluate, so only the
number beside each (its hint, the example's size) is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from spikeflow.convert.load.archive_arguments import Arguments
from spikeflow.convert.load.archive_fields import AGAIN
from spikeflow.convert.load.archive_tensors import Tensors
from spikeflow.convert.load.torchfile import Allowance
from spikeflow.convert.load.zipped import StoredZip
from spikeflow.convert.trace.atengraph import (
    GETITEM,
    AtenGraph,
    AtenNode,
    Ref,
    as_array,
    class_name,
    module_path,
)
from spikeflow.convert.trace.normal import SIZE, normalised
from spikeflow.convert.trace.returned import names_of_text
from spikeflow.errors import FileError, UnsafeFile

MAX_NODES = 20_000
MAJOR = 8
_EVAL = "call model.eval() before torch.export.export"


# role in the signature -> field with the user's name
_ROLES = {
    "parameter": "parameter_name",
    "buffer": "buffer_name",
    "tensor_constant": "tensor_constant_name",
}


def read_archive(archive: StoredZip, allowance: Allowance) -> AtenGraph:
    """The one network of an archive, its operations by name and its tensors as arrays.

    Raises
    ------
    UnsafeFile
        The archive holds pickled or compiled parts that the network needs.
    FileError
        It is damaged, or of a version that is not read.
    UnsupportedLayer
        An operation takes an argument that is not plain data.
    """
    try:
        return normalised(_Reader(archive, allowance).graph())
    except RecursionError:
        raise FileError(archive.path, "its graph is nested without reason", "export it again") from None


class _Reader(Arguments):
    """One archive being read; every method either returns a checked value or raises."""

    def __init__(self, archive: StoredZip, allowance: Allowance) -> None:
        super().__init__(archive)
        self.allowance = allowance
        self.sizes: dict[str, tuple[int, ...]] = {}
        self.unused = 0  # inputs that are no tensors

    def model_name(self) -> str:
        inside = [name.removeprefix(f"{self.top}/") for name in self.archive.entries]
        if any(name.startswith(("data/aotinductor/", "data/executorch/")) for name in inside):
            raise UnsafeFile(self.path, "it holds compiled code", AGAIN)
        models = [name for name in inside if name.startswith("models/") and name.endswith(".json")]
        if len(models) != 1:
            raise FileError(self.path, f"the archive holds {len(models)} networks, not one", AGAIN)
        return models[0].removeprefix("models/").removesuffix(".json")

    def graph(self) -> AtenGraph:
        name = self.model_name()
        model = self.json(f"models/{name}.json")
        major = self.member(self.member(model, "schema_version", dict), "major", int)
        if major != MAJOR:
            raise FileError(self.path, f"its format has version {major}; only {MAJOR} is read", AGAIN)
        module = self.member(model, "graph_module", dict)
        graph, signature = self.member(module, "graph", dict), self.member(module, "signature", dict)
        self._read_sizes(graph)
        stored, inputs = self._inputs(self.member(signature, "input_specs", list))
        self.known |= stored.keys() | set(inputs)
        if len(self.known) != len(self.member(signature, "input_specs", list)) - self.unused:
            self.bad("two inputs have one name")
        listed: list[Any] = self.member(graph, "nodes", list)
        if len(listed) > MAX_NODES:
            raise FileError(self.path, f"it has {len(listed)} operations; the limit is {MAX_NODES}")
        nodes = tuple(part for node in listed for part in self._nodes(node))
        returned = self._outputs(self.member(signature, "output_specs", list), self._output_names(module))
        tensors = Tensors(self.archive, self.allowance).read(name, stored)
        return AtenGraph(
            nodes=nodes,
            inputs=inputs,
            input_shapes=tuple(self.sizes.get(name, ()) for name in inputs),
            outputs=tuple(ref for ref, _ in returned),
            tensors={graph_name: as_array(tensor) for graph_name, tensor in tensors.items()},
            parameter_names={graph_name: user for graph_name, (_, user) in stored.items()},
            dynamic_batch=bool(inputs) and self._is_open(graph, inputs[0]),
            bfloat16=frozenset(n for n, tensor in tensors.items() if tensor.dtype is torch.bfloat16),
            output_names=tuple(name for _, name in returned),
        )

    def _read_sizes(self, graph: dict[str, Any]) -> None:
        for name, meta in self.member(graph, "tensor_values", dict).items():
            self.sizes[name] = tuple(self.size(size) for size in self.member(meta, "sizes", list))
        for field in ("sym_int_values", "sym_float_values", "sym_bool_values"):
            for name, value in self.optional(graph, field).items():
                self.symbols[name] = self.symbol(value)

    def _is_open(self, graph: dict[str, Any], name: str) -> bool:
        sizes = graph["tensor_values"].get(name, {}).get("sizes")
        return bool(sizes) and "as_expr" in sizes[0]

    def _inputs(self, specs: list[Any]) -> tuple[dict[str, tuple[str, str]], tuple[str, ...]]:
        """Graph name -> (role, user's name) of stored tensors, and the names of the user's inputs."""
        stored: dict[str, tuple[str, str]] = {}
        inputs: list[str] = []
        for spec in specs:
            role, record = self.one(spec)
            if role in _ROLES:
                name = self.name(self.member(record, "arg", dict))
                stored[name] = (role, self.user_name(record, _ROLES[role]))
            elif role == "user_input":
                kind, argument = self.one(self.member(record, "arg", dict))
                if kind == "as_tensor":
                    inputs.append(self.name(argument))
                    continue
                self.unused += 1
            elif role == "constant_input":
                self.unused += 1
            else:
                raise UnsafeFile(
                    self.path, f"its network takes a {role[:40]!r}, which is not plain data", AGAIN
                )
        return stored, tuple(inputs)

    def _output_names(self, module: dict[str, Any]) -> tuple[str, ...]:
        """The way to each output within a container; empty where the archive does not say it."""
        calls = module.get("module_call_graph")
        first = calls[0] if type(calls) is list and calls else None
        text = self.optional(first, "signature").get("out_spec") if type(first) is dict else None
        return names_of_text(text) if type(text) is str else ()

    def _outputs(self, specs: list[Any], names: tuple[str, ...]) -> list[tuple[Ref, str]]:
        """Each output with its name; a None in a container is left out."""
        if len(names) != len(specs):
            names = tuple(map(str, range(len(specs)))) if len(specs) > 1 else ("",)
        found = []
        for spec, way in zip(specs, names, strict=False):
            role, record = self.one(spec)
            if role != "user_output":
                raise FileError(self.path, f"its network changes its own values ({role[:40]!r})", _EVAL)
            value = self.argument(self.member(record, "arg", dict))
            if value is not None:
                found.append((value if isinstance(value, Ref) else self.bad("an output is no tensor"), way))
        return found

    def _nodes(self, node: Any) -> Iterable[AtenNode]:
        """The operation, and one `getitem` for each of several results."""
        target, outputs = self.name(node, "target"), self.member(node, "outputs", list)
        kinds = [self.one(output) for output in outputs]
        module, layer = self._module(node)
        args, kwargs = self.arguments(self.member(node, "inputs", list))
        op = target.removeprefix("torch.ops.")
        if kinds and all(kind.startswith("as_sym_") for kind, _ in kinds):
            op = op if op.startswith("aten.sym_size") else f"{SIZE}{target.rpartition('.')[2]}"
            yield from (AtenNode(self.size_name(value), op, args, kwargs) for _, value in kinds)
            return
        several = len(kinds) != 1 or kinds[0][0] != "as_tensor"
        results = self._results(kinds)
        name = f"{results[0]}.all" if several and results else results[0] if results else target
        shape = () if several else self.sizes.get(name, ())
        yield AtenNode(name, op, args, kwargs, module, shape, layer)
        for index, result in enumerate(results if several else ()):
            yield AtenNode(result, GETITEM, (Ref(name), index), {}, module, self.sizes.get(result, ()), layer)

    def size_name(self, value: Any) -> str:
        """The name of a size that an operation gives."""
        kind, name = self.one(value)
        known = kind == "as_name" and type(name) is str and name in self.symbols
        return name if known else self.bad("a size has no name")

    def _results(self, kinds: list[tuple[str, Any]]) -> list[str]:
        names: list[str] = []
        for kind, value in kinds:
            if kind == "as_tensor":
                names.append(self.name(value))
            elif kind == "as_tensors" and type(value) is list:
                names.extend(self.name(item) for item in value)
            elif kind != "as_none":
                self.bad(f"an operation gives {kind[:40]!r}")
        if len(set(names)) != len(names) or self.known & set(names):
            self.bad("a value is made twice")
        self.known |= set(names)
        return names

    def _module(self, node: Any) -> tuple[str, str]:
        """The user's module and its class, from the last "key,path,class" in the stack."""
        stack = self.optional(node, "metadata").get("nn_module_stack")
        if type(stack) is not str:
            return "", ""
        parts = stack.rpartition(";")[2].split(",")
        return (module_path(parts[1]), class_name(parts[2])) if len(parts) == 3 else ("", "")
