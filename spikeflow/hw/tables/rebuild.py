"""The fixed graph that a mapping's tables compute, from these alone.

One population node for each slice. For each projection and slice that it reaches, one Sparse, so that the
exponent acts once on the whole sum; its source is the slice that it hears, or a Concat: of all slices of the
source where it hears half of them or more, so that many cores share it, else of those it hears.

Names are for people. What a node is a part of, and where it lies, is told by `Rebuilt`, never read from a
name.
"""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np

from spikeflow.frozen import Frozen
from spikeflow.hw.tables.check import axon_offsets
from spikeflow.hw.tables.joined import Slices
from spikeflow.hw.tables.names import Names
from spikeflow.hw.tables.records import CoreTable, MappingTables, OutputTable, Projection
from spikeflow.hw.tables.whole import whole_layers
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.divided import in_parts
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import MAX_NAME, Edge, Graph
from spikeflow.ir.integers import Integers
from spikeflow.ir.nodes import Concat, Input, Node, Output, Population, Shape, Sparse
from spikeflow.typing import Array

WIDEST = 4096  # sources of one Concat
SHARED = 0.5  # share of a source's slices from which a core reads the Concat of all
_ONE = Quantised(np.ones(1, np.int32), Fixed(2))


@dataclass(frozen=True, eq=False)
class Rebuilt(Frozen):
    """The graph, and for each of its populations and sets of synapses where it lies and what it is a part of.

    Parameters
    ----------
    core_of : the core of a node.
    part_of : the population or projection of the network that a node holds a part of.
    slices : the nodes of each population of the network, in the order of the cores.
    """

    graph: Graph
    core_of: abc.Mapping[str, int]
    part_of: abc.Mapping[str, str]
    slices: abc.Mapping[str, tuple[str, ...]]


def rebuild(mapping: MappingTables) -> Rebuilt:
    """The graph of `Mapping.as_graph`."""
    made = _Rebuild(mapping)
    graph = made.graph()
    parts: dict[str, list[str]] = {}
    for (core, slot), name in made.slices.items():
        parts.setdefault(mapping.cores[core].slices[slot].population, []).append(name)
    slices = MappingProxyType({name: tuple(found) for name, found in parts.items()})
    neurons = {name: mapping.cores[core].slices[slot].neurons for (core, slot), name in made.slices.items()}
    known = Slices(MappingProxyType(made.part_of), neurons)
    in_parts(graph, lambda: whole_layers(graph, known))
    return Rebuilt(graph, MappingProxyType(made.core_of), known.part_of, slices)


class _Rebuild:
    """Nodes and edges as they come, and the names given so far."""

    def __init__(self, mapping: MappingTables) -> None:
        self.mapping = mapping
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.core_of: dict[str, int] = {}
        self.part_of: dict[str, str] = {}
        self.joined: dict[tuple[str, ...], str] = {}
        self.names = Names(t.name for t in (*mapping.inputs, *mapping.outputs))
        self.slices = _slice_names(mapping, self.names)
        self.homes = _homes(mapping)
        self.shapes = {t.name: t.shape for t in mapping.inputs}
        self.start = [np.cumsum([0, *(len(s.neurons) for s in core.slices)]) for core in mapping.cores]
        self.offsets = axon_offsets(mapping)
        self.source_core, self.source_neuron = _axon_sources(mapping, self.offsets)

    def graph(self) -> Graph:
        """Inputs, then core by core its slices and what reaches them, then outputs."""
        for table in self.mapping.inputs:
            self.nodes[table.name] = Input(table.shape, table.kind, table.format)
        for index, core in enumerate(self.mapping.cores):
            for slot in range(len(core.slices)):
                self._population(index, slot)
        for index, core in enumerate(self.mapping.cores):
            for projection in np.unique(core.axons.projection):
                self._projection(index, core, int(projection))
        for name in dict.fromkeys(t.name for t in self.mapping.outputs):
            self.nodes[name] = Output()
        for table in self.mapping.outputs:
            self._output(table)
        integers = Integers(self.mapping.chip, self.mapping.semantics, self.mapping.origin)
        return Graph(self.nodes, tuple(self.edges), self.mapping.dt, integers)

    def _population(self, core: int, slot: int) -> None:
        table = self.mapping.cores[core].slices[slot]
        kind = self.mapping.kinds[table.kind]
        self.core_of[self.slices[core, slot]] = core
        self.part_of[self.slices[core, slot]] = table.population
        shape = (len(table.neurons),)
        self.nodes[self.slices[core, slot]] = Population(
            kind.model,
            kind.program,
            table.params,
            shape,
            table.start,
            table.initial,
            kind.formats,
            kind.alphabet,
        )

    def _projection(self, index: int, core: CoreTable, projection: int) -> None:
        edge = self.mapping.projections[projection]
        slot = [s.population for s in core.slices].index(edge.target)
        axon = np.flatnonzero(core.axons.projection == projection)
        source, shape, flat = self._heard(edge, self.offsets[index] + axon)
        target = self.slices[index, slot]
        number = self.homes[edge.target].index((index, slot)) if len(self.homes[edge.target]) > 1 else None
        name = self.names.new(edge.name, "" if number is None else f"[{number}]")
        first, size = self.start[index][slot], len(core.slices[slot].neurons)
        order = np.argsort(flat, kind="stable")
        self.nodes[name] = _sparse(edge, core, axon[order], (flat[order], shape, first, size))
        self.core_of[name] = index
        self.part_of[name] = edge.name
        self.edges += [Edge(source, name, delay=edge.delay), Edge(name, target, edge.port)]

    def _heard(self, edge: Projection, axons: Array) -> tuple[str, Shape, Array]:
        """The node that a projection hears on one core, its shape, the place of each axon's source in it."""
        neuron = self.source_neuron[axons]
        if edge.source in self.shapes:
            return edge.source, self.shapes[edge.source], neuron
        cores, homes = self.source_core[axons], self.homes[edge.source]
        heard = np.unique(cores)
        if len(heard) > 1 and len(heard) >= SHARED * len(homes):
            heard = np.array([core for core, _ in homes])
        slots = dict(homes)
        first = np.array([self.start[c][slots[c]] for c in heard.tolist()])
        sizes = np.array([self.start[c][slots[c] + 1] for c in heard.tolist()]) - first
        at = np.searchsorted(heard, cores)
        flat = neuron - first[at] + (np.cumsum(sizes) - sizes)[at]
        return self._join([self.slices[c, slots[c]] for c in heard.tolist()]), (int(sizes.sum()),), flat

    def _join(self, names: list[str]) -> str:
        """One node with the values of all, one after the other; the same for the same names."""
        if len(names) == 1:
            return names[0]
        if len(names) > WIDEST:
            return self._join([self._join(names[i : i + WIDEST]) for i in range(0, len(names), WIDEST)])
        key = tuple(names)
        if key not in self.joined:
            name = self.joined[key] = self.names.new(names[0], f"..{names[-1]}"[-MAX_NAME // 2 :])
            self.nodes[name] = Concat(0, len(names))
            self.edges += [Edge(source, name, f"in{i}") for i, source in enumerate(names)]
        return self.joined[key]

    def _output(self, table: OutputTable) -> None:
        """Values in their original order, moved by weights of 1 where the slices do not have it already."""
        slot = [
            int(np.searchsorted(self.start[c], n, side="right")) - 1
            for c, n in zip(table.core, table.neuron, strict=True)
        ]
        heard = list(dict.fromkeys(zip(table.core.tolist(), slot, strict=True)))
        sizes = [len(self.mapping.cores[c].slices[s].neurons) for c, s in heard]
        begin = dict(zip(heard, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        flat = np.array(
            [
                begin[c, s] + n - self.start[c][s]
                for c, n, s in zip(table.core.tolist(), table.neuron.tolist(), slot, strict=True)
            ]
        )
        source, total = self._join([self.slices[key] for key in heard]), sum(sizes)
        if table.shape != (total,) or not np.array_equal(flat, np.arange(total)):
            name = self.names.new(table.name, ".order")
            indptr = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=total))])
            self.nodes[name] = Sparse(indptr, np.argsort(flat, kind="stable"), _ONE, (total,), table.shape)
            self.edges.append(Edge(source, name))
            source = name
        self.edges.append(Edge(source, table.name, delay=table.delay))


def _homes(mapping: MappingTables) -> dict[str, list[tuple[int, int]]]:
    """The (core, slot) of each slice of each population, in the order of the cores."""
    found: dict[str, list[tuple[int, int]]] = {}
    for index, core in enumerate(mapping.cores):
        for slot, table in enumerate(core.slices):
            found.setdefault(table.population, []).append((index, slot))
    return found


def _slice_names(mapping: MappingTables, names: Names) -> dict[tuple[int, int], str]:
    """The name of every (core, slot): the population's own where it is whole, else with a number."""
    homes = _homes(mapping).items()
    whole = {homes_[0]: names.new(name) for name, homes_ in homes if len(homes_) == 1}
    cut = {
        home: names.new(name, f"[{i}]")
        for name, homes_ in homes
        if len(homes_) > 1
        for i, home in enumerate(homes_)
    }
    return {**whole, **cut}


def _axon_sources(mapping: MappingTables, first: Array) -> tuple[Array, Array]:
    """(core, index) of the source of every axon, by the routes; for an input the core is -1."""
    core, neuron = np.full(first[-1], -1), np.full(first[-1], -1)
    for index, table in enumerate(mapping.cores):
        at = first[table.routes.core] + table.routes.axon
        core[at], neuron[at] = index, table.routes.neuron
    for inputs in mapping.inputs:
        neuron[first[inputs.routes.core] + inputs.routes.axon] = inputs.routes.neuron
    return core, neuron


def _sparse(edge: Projection, core: CoreTable, axons: Array, place: tuple[Array, Shape, int, int]) -> Sparse:
    """The rows of some axons, in the order of their sources; `place` is (sources, shape, first, size)."""
    source, shape, first, size = place
    table, lengths = core.axons, core.axons.lengths[axons]
    ends = np.cumsum(lengths)
    word = np.repeat(table.indptr[axons] - ends + lengths, lengths) + np.arange(int(lengths.sum()))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, lengths, prod(shape)).astype(np.int64))])
    target, weight = table.neuron[word].astype(np.int32) - first, table.weight[word]
    delays = np.repeat(table.delay[axons] - edge.delay, lengths) if edge.delayed else None
    if delays is not None and len(delays) == prod(shape):
        # so many delays would be read as one a source; a synapse of weight 0 more makes them one a synapse
        indptr[-1] += 1
        target, weight, delays = np.append(target, 0), np.append(weight, 0), np.append(delays, 0)
    return Sparse(indptr, target, Quantised(weight, edge.format), shape, (size,), None, delays, edge.exponent)
