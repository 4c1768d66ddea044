"""Networks of several inputs: traced as one of a single input in which their values stand side by side."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import nn

from spikeflow.convert.trace.atengraph import AtenGraph
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
        self.inner, self.parts, self.by = network, dict(parts), _way(network, tuple(parts))

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
            return self.inner(*given.values())
        return self.inner(list(given.values()) if self.by == "list" else given)


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
        return network
    if isinstance(network, AtenGraph):
        hint = "the module itself"
        raise ConversionError("the network", "an archive of several inputs, which are not told apart", hint)
    return SideBySide(network, parts)


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
