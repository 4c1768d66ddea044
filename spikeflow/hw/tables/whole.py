"""The rebuilt graph with its layers whole: what an engine runs in place of the parts on many cores.

Everything is read from the rebuilt graph and the neurons that its slices name, so from the tables alone. One
population stands for all slices of one, its neurons in their order; one set of synapses for all of a
projection: a convolution where every synapse proves it (`kernels`), dense rows where few are missing, else
the list. Sums of integers have no order, an exponent acts once on the whole sum of a target and delay, and
registers are narrowed neuron by neuron, so no value depends on who lies on which core.
"""

from __future__ import annotations

import warnings
from collections import Counter, abc
from math import prod

import numpy as np

from spikeflow.errors import GraphError, NotEnoughMemory, ShapeError, SpikeflowWarning
from spikeflow.files import memory
from spikeflow.hw.tables.joined import Apart, Heard, Joined, Slices, fans, joined
from spikeflow.hw.tables.kernels import Found, convolution_of
from spikeflow.hw.tables.names import Names
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.divided import NONE, Divided, Division, Elements, Part
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Concat,
    Gather,
    Input,
    Linear,
    Node,
    Output,
    Population,
    Reshape,
    Shape,
    Sparse,
)
from spikeflow.typing import Array

DENSE = 0.5  # of all pairs of neurons, from which on rows hold them all
BYTES = 16, 64  # that joining takes: of each synapse, and of each of the largest projection


def whole_layers(graph: Graph, slices: Slices) -> Divided | None:
    """The whole layers of a rebuilt graph; None where its parts make none, as of tables that were altered,
    and, with a warning, where memory has no room to join them: the parts need none of it.
    """
    needed = _needed(graph, slices)
    if needed > memory.SMALL and needed > (room := 2 * memory.room()):
        hint = f"{memory.VARIABLE}=32G, where the machine has that"
        short = NotEnoughMemory("joining the layers of a mapping", needed, room, hint)
        told = f"{short} Until then it runs core by core: the same answers, several times slower."
        warnings.warn(told, SpikeflowWarning, stacklevel=2)
        return None
    try:
        return _Whole(graph, slices).divided()
    except (Apart, GraphError, ShapeError):
        return None


def _needed(graph: Graph, slices: Slices) -> int:
    """Bytes that are taken for a while to join synapses and to prove kernels of them."""
    words: Counter[str] = Counter()
    for name, part in slices.part_of.items():
        node = graph.nodes[name]
        if isinstance(node, Sparse):
            words[part] += len(node.targets)
    each, largest = BYTES
    return each * words.total() + largest * max(words.values(), default=0)


class _Whole:
    """Layers, then what lies between them, then the graph."""

    def __init__(self, graph: Graph, slices: Slices) -> None:
        self.graph, self.slices = graph, slices
        self.heard = Heard(graph, slices)
        self.layers: dict[str, list[str]] = {}
        self.projections: dict[str, list[str]] = {}
        for name, part in slices.part_of.items():
            kind = self.layers if isinstance(graph.nodes[name], Population) else self.projections
            kind.setdefault(part, []).append(name)
        self.sizes = {name: sum(len(slices.neurons[p]) for p in parts) for name, parts in self.layers.items()}
        inputs = {n: node for n, node in graph.nodes.items() if isinstance(node, Input)}
        self.shapes: dict[str, Shape] = {n: node.shape for n, node in inputs.items()}
        self.names = Names((*graph.inputs, *graph.outputs))
        self.nodes: dict[str, Node] = dict(inputs)
        self.edges: list[Edge] = []
        self.parts: dict[str, Part] = {}
        self.divisions: dict[str, Division] = {}
        self.elements: dict[str, Elements] = {}

    def divided(self) -> Divided:
        """Everything; inputs first, outputs last."""
        between = [joined(self.heard, name, parts) for name, parts in self.projections.items()]
        found = self._convolutions(between)
        named = {name: self.names.new(name) for name in self.layers}
        for name, parts in self.layers.items():
            self._layer(named[name], name, parts)
        for one in between:
            self._synapses(one, found.get(one.name), named)
        for name in self.graph.outputs:
            self.nodes[name] = Output()
            for edge in self.graph.inputs_of(name):
                self._output(edge, named)
        whole = Graph(self.nodes, tuple(self.edges), self.graph.dt, self.graph.integers)
        for name in self.graph.of_kind(Input, Population, Concat):
            layer, numbers = self.heard.read(name)
            self.elements[name] = Elements(named.get(layer, layer), numbers)
        return Divided(whole, self.parts, self.divisions, self.slices.neurons, self.elements)

    def _convolutions(self, between: list[Joined]) -> dict[str, Found]:
        """Those projections that are convolutions; each tells the shape of its target to those behind it."""
        found: dict[str, Found] = {}
        waiting = [one for one in between if one.synapses.delay is None and not self._is_dense(one)]
        ready = [one for one in waiting if one.source in self.shapes]
        while ready:
            one = ready[0]
            waiting.remove(one)
            source, target = self.shapes[one.source], self.shapes.get(one.target)
            size, form = self.sizes[one.target], one.weight.format
            made = convolution_of(one.synapses, source, size, form, one.like.exponent, target)
            if made is not None:
                found[one.name] = made
                self.shapes[one.target] = made.shape
            ready = [one for one in waiting if one.source in self.shapes]
        return found

    def _is_dense(self, one: Joined) -> bool:
        pairs = self._size(one.source) * self.sizes[one.target]
        return len(one.synapses.source) >= DENSE * pairs

    def _size(self, source: str) -> int:
        return self.sizes[source] if source in self.sizes else prod(self.shapes[source])

    def _shape(self, name: str) -> Shape:
        return self.shapes[name] if name in self.shapes else (self.sizes[name],)

    def _layer(self, new: str, name: str, parts: list[str]) -> None:
        pieces = [self.graph.nodes[part] for part in parts]
        first, shape = pieces[0], self._shape(name)
        assert isinstance(first, Population)
        numbers = np.concatenate([self.slices.neurons[part] for part in parts])
        lengths = [len(self.slices.neurons[part]) for part in parts]

        def together(field: str, key: str) -> Array:
            each = [getattr(piece, field)[key] for piece in pieces]
            values = np.concatenate([np.broadcast_to(x, n) for x, n in zip(each, lengths, strict=True)])
            return _narrow(values[np.argsort(numbers)], shape)

        params = {key: together("params", key) for key in first.params}
        initial = {key: together("initial", key) for key in first.initial}
        head = first.model, first.program, params, shape, first.start, initial
        self.nodes[new] = Population(*head, first.formats, first.alphabet)
        owner = np.repeat(np.arange(len(parts), dtype=np.int32), lengths)[np.argsort(numbers)]
        self.divisions[new] = Division(len(parts), owner, NONE, NONE.astype(np.int32))
        self.parts |= {part: Part(new, number) for number, part in enumerate(parts)}

    def _synapses(self, one: Joined, found: Found | None, named: abc.Mapping[str, str]) -> None:
        name = self.names.new(one.name)
        source, target = self._shape(one.source), self._shape(one.target)
        node = found.node if found is not None else None
        self.nodes[name] = node or self._rows(one, source, target)
        self.edges.append(Edge(named.get(one.source, one.source), name, delay=one.delay))
        self.edges.append(Edge(name, named[one.target], one.port))
        self.divisions[name] = fans(self.heard, one, self._size(one.source))
        self.parts |= {part: Part(name, number) for number, part in enumerate(one.parts)}

    def _rows(self, one: Joined, source: Shape, target: Shape) -> Linear | Sparse:
        """Every pair, or the list in the order of its sources."""
        s, size, exponent = one.synapses, prod(target), one.like.exponent
        if len(target) == 1 and s.delay is None and self._is_dense(one):
            form, weight = one.weight.format, np.zeros((size, prod(source)), np.int64)
            np.add.at(weight, (s.target, s.source), s.weight)
            # two words from one source to one target may come to more than a word holds
            if form.low <= weight.min() and weight.max() <= form.high:
                return Linear(Quantised(weight, form), exponent=exponent)
        order = np.argsort(s.source, kind="stable")
        indptr = np.concatenate([[0], np.cumsum(np.bincount(s.source, minlength=prod(source)))])
        delays = None if s.delay is None else s.delay[order]
        weight = Quantised(s.weight[order], one.weight.format)
        return Sparse(
            indptr, s.target[order], weight, source, target, None, delays, exponent, "synapse", "synapse"
        )

    def _output(self, edge: Edge, named: abc.Mapping[str, str]) -> None:
        """Values in the order in which an output has them, moved as the parts were moved."""
        node = self.graph.nodes[edge.src]
        before = self.graph.inputs_of(edge.src)[0].src if isinstance(node, Sparse) else edge.src
        layer, numbers = self.heard.read(before)
        if layer not in named:
            raise Apart
        source, shape = named[layer], self._shape(layer)
        moved: Node | None = None
        if isinstance(node, Sparse):
            moved = _reordered(node, numbers, shape)
        elif not np.array_equal(numbers, np.arange(prod(shape))):
            moved = Gather(numbers, shape, self.graph.shapes[edge.dst])
        elif shape != self.graph.shapes[edge.dst]:
            moved = Reshape(self.graph.shapes[edge.dst])
        if moved is None:
            self.edges.append(Edge(source, edge.dst, delay=edge.delay))
            return
        name = self.names.new(f"{edge.dst}.order")
        self.nodes[name] = moved
        # what waits is kept where the parts keep it
        late = edge.delay if isinstance(node, Sparse) else 0
        self.edges += [Edge(source, name, delay=edge.delay - late), Edge(name, edge.dst, delay=late)]
        if isinstance(node, Sparse):
            self.parts[edge.src] = Part(name)
            self.elements[edge.src] = Elements(name, np.arange(prod(node.out_shape)))


def _reordered(node: Sparse, numbers: Array, shape: Shape) -> Sparse:
    """The same moves from a whole layer, of which the node read these neurons."""
    if node.scopes[0] != "one" and len(node.stored_weights) != 1:
        raise Apart
    source = numbers[np.repeat(np.arange(len(numbers)), np.diff(node.indptr.astype(np.int64)))]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=prod(shape)))])
    targets = node.targets[np.argsort(source, kind="stable")]
    return Sparse(indptr, targets, node.weight, shape, node.out_shape, weight_scope="one")


def _narrow(values: Array, shape: Shape) -> Array:
    """One number where all are equal, one for each channel where these are, else all."""
    if (values == values[0]).all():
        return values[:1]
    by_channel = values.reshape(shape[0], -1)
    if len(shape) > 1 and (by_channel == by_channel[:, :1]).all():
        return by_channel[:, 0].reshape(-1, *(1,) * (len(shape) - 1))
    return values.reshape(shape)
