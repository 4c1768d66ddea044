"""The fixed graph that a mapping's tables compute, from these alone.

One population node for each slice. For each projection and slice that it reaches, one Sparse, so that the
exponent acts once on the whole sum; its source is the slice that it hears, or the Concat of all those.
"""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spikeflow.hw.check import axon_offsets, slices_of
from spikeflow.hw.tables import CoreTable, OutputTable, Projection
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Input, Node, Output, Population, Shape, Sparse

if TYPE_CHECKING:
    from spikeflow.hw.mapping import Mapping

Array = npt.NDArray[Any]
WIDEST = 4096  # sources of one Concat
_ONE = Quantised(np.ones(1, np.int32), Fixed(2))


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """The graph, and the core of each of its populations and sets of synapses."""

    graph: Graph
    core_of: abc.Mapping[str, int]


def rebuild(mapping: Mapping) -> Rebuilt:
    """The graph of `Mapping.as_graph`."""
    made = _Rebuild(mapping)
    graph = made.graph()
    return Rebuilt(graph, MappingProxyType(made.core_of))


class _Rebuild:
    """Nodes and edges as they come, and the names given so far."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.core_of: dict[str, int] = {}
        self.joined: dict[tuple[str, ...], str] = {}
        self.taken = {t.name for t in (*mapping.inputs, *mapping.outputs)}
        self.slices = _slice_names(mapping, self.taken)
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
        return Graph(self.nodes, tuple(self.edges), self.mapping.dt)

    def _name(self, wanted: str) -> str:
        return _unused(wanted, self.taken)

    def _population(self, core: int, slot: int) -> None:
        table = self.mapping.cores[core].slices[slot]
        kind = self.mapping.kinds[table.kind]
        self.core_of[self.slices[core, slot]] = core
        shape = (len(table.neurons),)
        self.nodes[self.slices[core, slot]] = Population(
            kind.model, kind.program, table.params, shape, table.start, table.initial, kind.formats
        )

    def _projection(self, index: int, core: CoreTable, projection: int) -> None:
        edge = self.mapping.projections[projection]
        slot = [s.population for s in core.slices].index(edge.target)
        axon = np.flatnonzero(core.axons.projection == projection)
        source, shape, flat = self._heard(edge, self.offsets[index] + axon)
        target = self.slices[index, slot]
        name = self._name(edge.name + target[len(edge.target) :])
        first, size = self.start[index][slot], len(core.slices[slot].neurons)
        order = np.argsort(flat, kind="stable")
        self.nodes[name] = _sparse(edge, core, axon[order], (flat[order], shape, first, size))
        self.core_of[name] = index
        self.edges += [Edge(source, name, delay=edge.delay), Edge(name, target, edge.port)]

    def _heard(self, edge: Projection, axons: Array) -> tuple[str, Shape, Array]:
        """The node that a projection hears on one core, its shape, the place of each axon's source in it."""
        inputs = {t.name: t.shape for t in self.mapping.inputs}
        neuron = self.source_neuron[axons]
        if edge.source in inputs:
            return edge.source, inputs[edge.source], neuron
        cores = self.source_core[axons]
        heard = np.unique(cores)
        slots = [[s.population for s in self.mapping.cores[c].slices].index(edge.source) for c in heard]
        first = np.array([self.start[c][s] for c, s in zip(heard, slots, strict=True)])
        sizes = np.array([self.start[c][s + 1] for c, s in zip(heard, slots, strict=True)]) - first
        at = np.searchsorted(heard, cores)
        flat = neuron - first[at] + (np.cumsum(sizes) - sizes)[at]
        names = [self.slices[int(c), s] for c, s in zip(heard, slots, strict=True)]
        return self._join(names), (int(sizes.sum()),), flat

    def _join(self, names: list[str]) -> str:
        """One node with the values of all, one after the other; the same for the same names."""
        if len(names) == 1:
            return names[0]
        if len(names) > WIDEST:
            return self._join([self._join(names[i : i + WIDEST]) for i in range(0, len(names), WIDEST)])
        key = tuple(names)
        if key not in self.joined:
            name = self.joined[key] = self._name(f"{names[0]}..{names[-1]}")
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
            name = self._name(f"{table.name}.order")
            indptr = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=total))])
            self.nodes[name] = Sparse(indptr, np.argsort(flat, kind="stable"), _ONE, (total,), table.shape)
            self.edges.append(Edge(source, name))
            source = name
        self.edges.append(Edge(source, table.name, delay=table.delay))


def _slice_names(mapping: Mapping, taken: set[str]) -> dict[tuple[int, int], str]:
    """The name of every (core, slot): the population's own where it is whole, else with a number."""
    names: dict[tuple[int, int], str] = {}
    numbers: dict[str, int] = {}
    counts = {name: len(found) for name, found in slices_of(mapping).items()}
    for index, core in enumerate(mapping.cores):
        for slot, table in enumerate(core.slices):
            name = table.population
            number = numbers[name] = numbers.get(name, -1) + 1
            names[index, slot] = _unused(name if counts[name] == 1 else f"{name}[{number}]", taken)
    return names


def _unused(wanted: str, taken: set[str]) -> str:
    name = wanted
    while name in taken:
        name += "'"
    taken.add(name)
    return name


def _axon_sources(mapping: Mapping, first: Array) -> tuple[Array, Array]:
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
