"""A module of torch, traced by torch.export into plain data; `archive` reads the same record from a file.

Both give the nodes as torch names them, and `normal.normalised` brings them to one form: operations that
change a value in place become ordinary ones, checks and size arithmetic go, sizes are numbers (those of the
example, batch included).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import sympy
import torch
from torch import nn
from torch._ops import OpOverload

from spikeflow.convert.trace.atengraph import (
    GETITEM,
    AtenGraph,
    AtenNode,
    Ref,
    as_array,
    base_name,
    class_name,
    module_path,
    refs,
    sized,
)
from spikeflow.convert.trace.normal import SIZE, normalised
from spikeflow.convert.trace.returned import names_of_spec
from spikeflow.errors import ConversionError, ModelError

__all__ = [
    "GETITEM",
    "AtenGraph",
    "AtenNode",
    "Ref",
    "as_array",
    "base_name",
    "from_module",
    "normalised",
    "refs",
]


def from_module(module: nn.Module, example: torch.Tensor) -> AtenGraph:
    """Trace a module in evaluation mode on an example with a batch dimension.

    The batch is left open where the module allows it; an example of one sample is doubled first, because
    torch takes a size of 1 for fixed. The module is left in evaluation mode.

    Raises
    ------
    ConversionError
        torch cannot trace the module.
    """
    if example.ndim > 0 and example.shape[0] == 1:
        example = torch.cat([example, example])
    with silent():
        program = _exported(module.eval(), example)
    _expect_any_batch(type(module).__name__, program)
    return normalised(_as_graph(program))


@contextmanager
def silent() -> Generator[None, None, None]:
    """Without torch's own log, tracebacks included, of what fails on shapes alone: our error says it in a
    line.
    """
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _exported(module: nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    name = type(module).__name__
    try:
        with torch.no_grad():
            shapes = ({0: torch.export.Dim.AUTO},)
            return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
    except ModelError:
        raise
    except Exception as open_batch:  # torch raises errors of many kinds, and the user's own code may too
        try:
            with torch.no_grad():
                return torch.export.export(module, (example,), strict=False)
        except Exception as fixed:
            words = (str(fixed).strip() or str(open_batch).strip() or type(fixed).__name__).splitlines()[0][
                :200
            ]
            hint = (
                "a forward() of one tensor, without branches on values; or an example of the shape it expects"
            )
            if "fake_quantize" in words:
                hint = "the network as it was before fake quantisation was put in, its weights copied"
            raise ConversionError(name, f"torch.export cannot trace it ({words})", hint) from fixed


def _expect_any_batch(name: str, program: torch.export.ExportedProgram) -> None:
    """Raise ConversionError where forward() takes another way for larger batches: one of them was traced."""
    inputs = {i for i in program.graph_signature.user_inputs if isinstance(i, str)}
    for node in program.graph.nodes:
        value = node.meta.get("val") if node.name in inputs else None
        if not isinstance(value, torch.Tensor) or not _is_open(value):
            continue
        batch = cast(torch.SymInt, value.shape[0])
        most = program.range_constraints.get(batch.node.expr)
        if most is not None and isinstance(most.upper, sympy.Integer):  # infinity is none of them
            reason = f"its forward() takes another way for batches of more than {most.upper}"
            hint = "a forward() that answers each sample alone, whatever the batch"
            raise ConversionError(name, reason, hint)


def _as_graph(program: torch.export.ExportedProgram) -> AtenGraph:
    """The exported program as it stands, values replaced by names."""
    signature = program.graph_signature
    if signature.buffers_to_mutate or signature.user_inputs_to_mutate:
        changed = next(iter({**signature.buffers_to_mutate, **signature.user_inputs_to_mutate}.values()))
        raise ConversionError(
            str(changed), "the network changes it while it runs", "a network without memory"
        )
    stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    stored |= signature.inputs_to_lifted_tensor_constants
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    inputs = tuple(name for name in signature.user_inputs if isinstance(values.get(str(name)), torch.Tensor))
    sources = {**dict(program.constants), **dict(program.state_dict)}
    tensors = {name: cast(torch.Tensor, sources[target]) for name, target in stored.items()}
    returned = list(_outputs(program))
    reading = _Reading()
    reading.take(program.graph_module)
    return AtenGraph(
        nodes=tuple(reading.nodes),
        inputs=cast("tuple[str, ...]", inputs),
        input_shapes=tuple(_shape(values[cast(str, name)]) for name in inputs),
        outputs=tuple(ref for ref, _ in returned),
        tensors={name: as_array(tensor) for name, tensor in tensors.items()},
        parameter_names=stored,
        dynamic_batch=bool(inputs) and _is_open(values[cast(str, inputs[0])]),
        bfloat16=frozenset(n for n, tensor in tensors.items() if tensor.dtype is torch.bfloat16),
        autocast=reading.autocast,
        output_names=tuple(name for _, name in returned),
    )


def _outputs(program: torch.export.ExportedProgram) -> Iterator[tuple[Ref, str]]:
    """Each output with its name; a None in a container is left out."""
    found = program.graph_signature.user_outputs
    spec = program.call_spec.out_spec
    names = names_of_spec(spec) if spec is not None else ()
    for name, way in zip(
        found, names if len(names) == len(found) else map(str, range(len(found))), strict=True
    ):
        if name is None:
            continue
        if not isinstance(name, str):
            title = f"the output {way}" if way else "the output"
            raise ConversionError(title, "it is a constant", "a forward() that returns tensors")
        yield Ref(name), way


def _is_open(value: torch.Tensor) -> bool:
    batch = value.shape[0] if value.ndim else 0
    return isinstance(batch, torch.SymInt) and batch.node.maybe_as_int() is None


def _shape(value: object) -> tuple[int, ...]:
    return tuple(_number(size) for size in value.shape) if isinstance(value, torch.Tensor) else ()


def _number(value: Any) -> Any:
    """The example's number for a size that torch left open."""
    return value.node.hint if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool) else value


class _Reading:
    """Operations as records. A block under `no_grad` or `autocast` is a graph of its own to torch; its
    operations
    are written where it is called, and a block of autocast is taken in the types of its inputs."""

    def __init__(self) -> None:
        self.nodes: list[AtenNode] = []
        self.autocast = ""
        self.named: dict[torch.fx.Node, Ref] = {}
        self.several: dict[torch.fx.Node, list[Any]] = {}

    def take(self, inside: torch.fx.GraphModule, prefix: str = "") -> None:
        """All operations of a graph, in their order."""
        for node in inside.graph.nodes:
            if node.op == "placeholder":
                self.named.setdefault(node, Ref(node.name))
            elif node.op == "call_function":
                self.named[node] = Ref(prefix + node.name)
                self._call(inside, node)

    def _call(self, inside: torch.fx.GraphModule, node: torch.fx.Node) -> None:
        name = getattr(node.target, "__name__", "")
        block = _BLOCKS.get(name)
        if block is not None:
            if name == "wrap_with_autocast" and node.args[2] is True:
                self.autocast = str(node.args[1]).removeprefix("torch.")
            self._block(inside, node, block)
        elif name == GETITEM and node.args[0] in self.several:
            source = self.several[node.args[0]][cast(int, node.args[1])]
            self.nodes.append(
                replace(self._record(node), op="aten.alias.default", args=(self.argument(source),))
            )
        else:
            self.nodes.append(self._record(node))

    def _block(self, outside: torch.fx.GraphModule, node: torch.fx.Node, at: int) -> None:
        inside = getattr(outside, cast(Any, node.args[at]).target)
        placeholders = [n for n in inside.graph.nodes if n.op == "placeholder"]
        for inner, outer in zip(placeholders, node.args[at + 1 :], strict=True):
            self.named[inner] = self.argument(outer)
        self.take(inside, f"{self.named[node].name}_")
        (result,) = inside.graph.output_node().args
        self.several[node] = list(result) if isinstance(result, tuple | list) else [result]

    def _record(self, node: torch.fx.Node) -> AtenNode:
        target, known = node.target, node.meta.get("val")
        word = getattr(target, "__name__", "")
        if isinstance(target, OpOverload):
            op = str(target)
        elif word == GETITEM:
            op = GETITEM
        else:
            op = f"{SIZE}{word}" if isinstance(_number(known), int | float) else f"torch.{word}"
        kwargs = {key: self.argument(value) for key, value in node.kwargs.items()}
        args = tuple(self.argument(value) for value in node.args)
        return AtenNode(self.named[node].name, op, args, kwargs, *_place(node, _shape(known)))

    def argument(self, value: Any) -> Any:
        """A value of the record for one of torch's."""
        if isinstance(value, torch.fx.Node):
            return self._value(value)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(self.argument(item) for item in value)
        for kind, words in _PLAIN:
            if isinstance(value, kind):
                return words(value)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        number = _number(value)
        return number if isinstance(number, bool | int | float) else str(value)[:100]

    def _value(self, node: torch.fx.Node) -> Any:
        known = node.meta.get("val")
        if node.op == "get_attr":
            return f"the graph {node.target}"
        if isinstance(known, torch.Tensor | list | tuple) or known is None:
            return self.named[node]
        number = _number(known)
        return sized(number, self.named[node].name)


# where a block's graph stands among the arguments; what follows are its inputs
_BLOCKS = {"wrap_with_set_grad_enabled": 1, "wrap_with_autocast": 4}


def _place(node: torch.fx.Node, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...], str]:
    """Path of the innermost module, the result's shape, and the module's class."""
    stack = node.meta.get("nn_module_stack") or {}
    path, kind = next(reversed(list(stack.values())), ("", ""))
    full = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return module_path(str(path)), shape, class_name(full)


_PLAIN: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (torch.dtype, lambda value: str(value).removeprefix("torch.")),
    (torch.layout, lambda value: str(value).removeprefix("torch.")),
    (torch.memory_format, lambda value: str(value).removeprefix("torch.")),
    (torch.device, lambda value: value.type),
)
