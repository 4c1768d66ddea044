"""Networks of several inputs: traced as one of a single input in which their values stand side by side."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import nn

from spikeflow.convert.load.tree import FileNetwork, Sizes
from spikeflow.convert.trace.atengraph import AtenGraph, AtenNode, Ref
from spikeflow.errors import ConversionError, DataError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.nodes import Concat, Flatten, Input, Node, Shape
from spikeflow.ir.record import Network

_INNER = "inner"


class SideBySide(nn.Module):
    """A network of several inputs as one of ``(N, values)``; `parts` names each input, in order."""

    def __init__(self, network: nn.Module, parts: Mapping[str, Shape]) -> None:
        super().__init__()
        self.inner, self.parts, self.order = network, dict(parts), tuple(parts)
        if isinstance(network, FileNetwork):
            written = network.written
            self.by, self.order = "position", _in_order(written.called, written.samples, parts)
        else:
            self.by = _way(network, tuple(parts))

    def forward(self, x: torch.Tensor) -> Any:
        """What the network returns for its inputs."""
        sizes = [prod(shape) for shape in self.parts.values()]
        values = x.split(sizes, 1)
        given = {
            name: value.reshape(-1, *shape)
            for (name, shape), value in zip(self.parts.items(), values, strict=True)
        }
        if self.by == "name":
            return self.inner(**given)
        if self.by == "position":
            return self.inner(*(given[name] for name in self.order))
        return self.inner(list(given.values()) if self.by == "list" else given)


def _in_order(called: Sequence[str], samples: Sequence[Sizes], parts: Mapping[str, Shape]) -> tuple[str, ...]:
    """The inputs that samples come in, in a file's own order; by its names, or by numbers.

    Raises
    ------
    DataError
        Where the names are others, or samples have another shape than the file says.
    """
    names = tuple(called)
    if set(parts) != set(names):
        names = tuple(map(str, range(len(called))))
    if set(parts) != set(names):
        hint = f"samples named {', '.join(called)}"
        raise DataError("calibration data", f"inputs {', '.join(parts)}", "those of the file", hint)
    for name, sizes in zip(names, samples, strict=True):
        shape = parts[name]
        if len(shape) != len(sizes) or any(w not in (None, n) for w, n in zip(sizes, shape, strict=True)):
            raise DataError("calibration data", f"{name} of shape {shape}", f"{tuple(sizes)}, as in the file")
    return names


def _way(network: nn.Module, names: tuple[str, ...]) -> str:
    """How forward() takes inputs of these names: by name, by position, or all in a dict or a list."""
    known = inspect.signature(network.forward).parameters.values()
    named = [p for p in known if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    needed = [p for p in named if p.default is p.empty]
    if {p.name for p in needed} <= set(names) <= {p.name for p in named}:
        return "name"
    numbered = names == tuple(map(str, range(len(names))))
    if len(needed) == 1:
        return "list" if numbered else "dict"
    if numbered and len(needed) <= len(names):
        return "position"
    hint = f"samples named {', '.join(p.name for p in named)}"
    raise DataError("calibration data", f"inputs {', '.join(names)}", "those of forward()", hint)


def joined(network: nn.Module | AtenGraph, parts: Mapping[str, Shape]) -> nn.Module | AtenGraph:
    """A network as one of a single input, where samples come in parts; else as it is."""
    if not parts:
        called = network.written.called if isinstance(network, FileNetwork) else ()
        if isinstance(network, AtenGraph):
            called = network.inputs
        if len(called) > 1:
            hint = f"samples with an array for each, of these names or numbers (x.npz: {', '.join(called)})"
            raise ConversionError("the network", f"has {len(called)} inputs", hint)
        return network
    return _beside(network, parts) if isinstance(network, AtenGraph) else SideBySide(network, parts)


def _beside(aten: AtenGraph, parts: Mapping[str, Shape]) -> AtenGraph:
    """A traced network of several inputs as one of ``(N, values)``, which are cut and shaped first."""
    samples = [tuple(shape[1:]) for shape in aten.input_shapes]
    order = _in_order(aten.inputs, samples, parts)
    inner = dict(zip(order, zip(aten.inputs, aten.input_shapes, strict=True), strict=True))
    begin, whole, nodes = 0, "side by side", list[AtenNode]()
    for name, shape in parts.items():
        (own, declared), end = inner[name], begin + prod(shape)
        cut, batch = f"{own} of all", declared[0]
        args = (Ref(whole), 1, begin, end)
        nodes.append(AtenNode(cut, "aten.slice.Tensor", args, {}, "", (batch, end - begin)))
        nodes.append(AtenNode(own, "aten.view.default", (Ref(cut), (-1, *shape)), {}, "", declared))
        begin = end
    entry = (aten.input_shapes[0][0], begin)
    return replace(aten, nodes=(*nodes, *aten.nodes), inputs=(whole,), input_shapes=(entry,))


def plain_names(aten: AtenGraph) -> AtenGraph:
    """The traced network with paths and parameters called as in the user's module."""

    def bare(path: str) -> str:
        return "" if path == _INNER else path.removeprefix(f"{_INNER}.")

    nodes = tuple(replace(node, module=bare(node.module)) for node in aten.nodes)
    names = {key: bare(name) for key, name in aten.parameter_names.items()}
    return replace(aten, nodes=nodes, parameter_names=names)


def parted(network: Network, parts: Mapping[str, Shape]) -> Network:
    """The converted network with an Input for each part in place of the one that holds them side by side."""
    if not parts:
        return network
    graph, (whole,) = network.graph, network.graph.inputs
    entry = graph.nodes[whole]
    assert isinstance(entry, Input)
    if network.record.coding == "onoff":
        raise DataError("--input", "onoff with several inputs", "direct or rate")
    taken = [name for name in parts if name in graph.nodes and name != whole]
    if taken:
        raise DataError("data", f"an input of the name {taken[0]}", "another name: a layer has it already")
    joint = f"{whole}.joined"
    nodes: dict[str, Node] = {name: replace(entry, shape=shape) for name, shape in parts.items()}
    nodes |= {f"{name}.flat": Flatten() for name in parts}
    nodes[joint] = Concat(0, len(parts))
    nodes |= {name: node for name, node in graph.nodes.items() if name != whole}
    edges = [Edge(name, f"{name}.flat") for name in parts]
    edges += [Edge(f"{name}.flat", joint, f"in{i}") for i, name in enumerate(parts)]
    edges += [replace(edge, src=joint) if edge.src == whole else edge for edge in graph.edges]
    record = replace(
        network.record,
        input_shape=(),
        inputs=tuple(InputRecord(name) for name in parts),
    )
    return Network(Graph(nodes, tuple(edges), graph.dt), record)
