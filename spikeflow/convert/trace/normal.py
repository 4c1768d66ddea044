"""One form for every traced network: no operations in place, checks, identities or unused values."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast

from spikeflow.convert.trace.atengraph import (
    GETITEM,
    AtenGraph,
    AtenNode,
    Ref,
    base_name,
    read_by,
    refs,
    words,
)
from spikeflow.convert.trace.operations import IDENTITY, OPERATIONS, SAME, TRAINING, VIEWS
from spikeflow.errors import ConversionError

SIZE = "size."  # begins the name of arithmetic on sizes, which torch notes down as Python's own operators

_DROPPED = re.compile(r"_?assert.*|sym_(size|stride|numel|storage_offset|constrain_range.*)")
_INPLACE_HINT = "use the operation that returns a new value (inplace=False, no += on a slice)"


def normalised(graph: AtenGraph) -> AtenGraph:
    """The same network without operations in place, checks, identities and unused values.

    Operations outside the list stay as they are, read or not; capture refuses them together with all else.

    Raises
    ------
    ConversionError
        An operation in place changes a value that is also seen through a view, or one runs as in training.
    """
    flow = _Flow(graph)
    nodes = [kept for number, node in enumerate(graph.nodes) if (kept := flow.take(number, node)) is not None]
    outputs = tuple(cast(Ref, flow.current(ref)) for ref in graph.outputs)
    return _alive(replace(graph, nodes=tuple(nodes), outputs=outputs, sizes=flow.sizes))


def is_listed(node: AtenNode) -> bool:
    """Whether an operation is one that is known by name, in a form that gives new values."""
    return node.op == GETITEM or (
        base_name(node.op) in OPERATIONS and bool(words(node.op)[0]) and not words(node.op)[1].endswith("out")
    )


def is_size(node: AtenNode) -> bool:
    """Whether an operation computes a size, not values."""
    return node.op.startswith(SIZE) or base_name(node.op) == "sym_size"


class _Flow:
    """Which name a value goes by now, and which names may share its memory."""

    def __init__(self, graph: AtenGraph) -> None:
        self.stored = frozenset(graph.tensors)
        self.renamed: dict[str, Ref] = {}
        self.memory: dict[str, str] = {}  # name -> first name of the values it may share
        self.exact: dict[str, str] = {}  # name -> first name of exactly the same values
        self.sharing: dict[str, list[str]] = {}  # first name -> every name that may share it
        self.last_use: dict[str, int] = {}
        self.sizes: dict[str, AtenNode] = {}
        for number, node in enumerate(graph.nodes):
            for ref in refs((node.args, tuple(node.kwargs.values()))):
                self.last_use[ref.name] = number
        for ref in graph.outputs:
            self.last_use[ref.name] = len(graph.nodes)

    def current(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.renamed.get(value.name, value)
        return tuple(self.current(item) for item in value) if isinstance(value, tuple) else value

    def take(self, number: int, node: AtenNode) -> AtenNode | None:
        """The node in ordinary form, or None when nothing of it remains."""
        base = base_name(node.op)
        if is_size(node):
            self.sizes[node.name] = AtenNode(node.name, node.op, self.current(node.args))
            return None
        if _DROPPED.fullmatch(base):
            return None
        in_place = words(node.op)[0].endswith("_") and not words(node.op)[0].endswith("__")
        source = node.args[0].name if node.args and isinstance(node.args[0], Ref) else None
        if base in IDENTITY and source is not None:
            if base != "lift_fresh_copy":
                self._share(node.name, source, exactly=True)
            self.renamed[node.name] = self.current(node.args[0])
            return None
        if not is_listed(node):
            return replace(node, args=self.current(node.args))
        _check_evaluating(node, base)
        plain = replace(
            node,
            op=node.op.replace(f".{base}_.", f".{base}.") if in_place else node.op,
            args=self.current(node.args),
            kwargs={key: self.current(value) for key, value in node.kwargs.items()},
        )
        if source is not None and (in_place or base in VIEWS or base in SAME):
            self._share(node.name, source, exactly=in_place or base in SAME)
        if in_place and source is not None:
            self._overwrite(number, node, source)
        return plain

    def _share(self, name: str, source: str, exactly: bool) -> None:
        memory = self.memory.setdefault(source, source)
        self.memory[name] = memory
        self.exact.setdefault(source, source)
        self.exact[name] = self.exact[source] if exactly else name
        names = self.sharing.setdefault(memory, [memory])
        names.append(name)

    def _overwrite(self, number: int, node: AtenNode, source: str) -> None:
        """From here on, every name of the changed value means the new one; views of it cannot be followed."""
        if self.memory[source] in self.stored:
            hint = f"model.eval() before torch.export.export; or {_INPLACE_HINT}"
            raise ConversionError(node.module or node.name, "it changes a stored tensor while it runs", hint)
        for name in self.sharing[self.memory[source]]:
            if self.exact.get(name, name) == self.exact[source]:
                if name != node.name:
                    self.renamed[name] = Ref(node.name)
            elif self.last_use.get(name, -1) > number:
                reason = f"{node.op} changes values in place that are also read through a view"
                raise ConversionError(node.module or node.name, reason, _INPLACE_HINT)


def _check_evaluating(node: AtenNode, base: str) -> None:
    flag = TRAINING.get(base)
    if flag is None or len(node.args) <= flag or node.args[flag] is not True:
        return
    if base == "batch_norm" and node.args[3] is None:
        return  # no mode helps where no statistics were kept; capture says so
    reason = f"its {base} runs as in training"
    raise ConversionError(node.module or node.name, reason, "model.eval() before torch.export.export")


def _alive(graph: AtenGraph) -> AtenGraph:
    """Without nodes and tensors that no output needs."""
    needed = {ref.name for ref in graph.outputs}
    nodes: list[AtenNode] = []
    for node in reversed(graph.nodes):
        # what is not listed may change something that is read, so it stays until it is refused
        if node.name in needed or not is_listed(node):
            nodes.append(node)
            needed |= read_by(node)
    made = {node.name for node in nodes} | graph.tensors.keys() | set(graph.inputs)
    if lost := sorted(needed - made):
        raise ConversionError(
            lost[0], "its value is used and no listed operation makes it", "a plain forward()"
        )
    tensors = {name: array for name, array in graph.tensors.items() if name in needed}
    names = {name: graph.parameter_names[name] for name in tensors}
    return replace(graph, nodes=tuple(reversed(nodes)), tensors=tensors, parameter_names=names)
