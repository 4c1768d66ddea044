"""From a fixed graph, its partition and the places of its cores to the tables of a Mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from spikeflow.hw.layout.connectivity import FanIn, fan_in
from spikeflow.hw.layout.pack import Part
from spikeflow.hw.layout.partition import Partition
from spikeflow.hw.layout.place import Placement
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.hw.tables.records import (
    AxonTable,
    CoreTable,
    InputTable,
    NeuronKind,
    OutputTable,
    Projection,
    RouteTable,
    SliceTable,
)
from spikeflow.ir.graph import Graph
from spikeflow.ir.integers import Integers
from spikeflow.ir.nodes import Input, Output, Population
from spikeflow.ir.record import RunRecord
from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class _Axons:
    """Axons of one part, before those of a core are joined; `source` is an index into its population."""

    projection: Array
    source: Array
    delay: Array
    lengths: Array
    neuron: Array
    weight: Array


def build(graph: Graph, cut: Partition, placement: Placement, record: RunRecord, chip: str) -> Mapping:
    """The Mapping of a composed fixed graph onto the chip of this name."""
    integers = graph.integers or Integers(chip)
    address = _addresses(graph, cut)
    pieces = _pieces(graph, cut)
    axons = [_axon_table(core) for core in pieces]
    entries = _entries(cut.projections, pieces, address)
    kinds, kind_of = _kinds(graph)
    routes = _routes(entries, len(cut.cores))
    cores = tuple(
        CoreTable(
            *placement.places[i],
            tuple(_slice(graph, cut, part, kind_of) for part in core),
            axons[i],
            routes[i],
        )
        for i, core in enumerate(cut.cores)
    )
    inputs = tuple(_input(graph, name, cut, entries) for name in graph.inputs)
    outputs = tuple(_output(graph, name, address) for name in graph.outputs)
    return Mapping(
        chip,
        placement.layout,
        graph.dt,
        record,
        kinds,
        cut.projections,
        inputs,
        cores,
        tuple(o for found in outputs for o in found),
        cut.measured,
        origin=integers.origin or graph.digest,
        semantics=integers.semantics,
        traffic=cut.traffic,
    )


def _addresses(graph: Graph, cut: Partition) -> dict[str, tuple[Array, Array]]:
    """(core, index on the core) of every neuron of every population."""
    found = {
        n: (np.full(prod(graph.shapes[n]), -1), np.full(prod(graph.shapes[n]), -1))
        for n in graph.of_kind(Population)
    }
    for index, core in enumerate(cut.cores):
        first = 0
        for part in core:
            found[part.population][0][part.neurons] = index
            found[part.population][1][part.neurons] = first + np.arange(len(part.neurons))
            first += len(part.neurons)
    return found


def _pieces(graph: Graph, cut: Partition) -> list[list[_Axons]]:
    """The axons of every part, expanded population by population."""
    pieces: list[list[_Axons | None]] = [[None] * len(core) for core in cut.cores]
    for name in graph.of_kind(Population):
        fan = fan_in(graph, name, cut.projections)
        for index, core in enumerate(cut.cores):
            first = 0
            for slot, part in enumerate(core):
                if part.population == name:
                    pieces[index][slot] = _axons(fan, part.neurons, first)
                first += len(part.neurons)
    return [[piece for piece in core if piece is not None] for core in pieces]


def _axons(fan: FanIn, neurons: Array, first: int) -> _Axons:
    owner, synapse = fan.rows(neurons)
    axon = fan.axon[synapse]
    order = np.argsort(axon, kind="stable")
    distinct, lengths = fan.axons_of(neurons)
    return _Axons(
        fan.projection[distinct],
        fan.source[distinct],
        fan.delay[distinct],
        lengths,
        (owner[order] + first).astype(np.uint16),
        fan.weight[synapse[order]],
    )


def _axon_table(pieces: Sequence[_Axons]) -> AxonTable:
    lengths = _joined([p.lengths for p in pieces])
    weight = _joined([p.weight for p in pieces], np.int16)
    neuron = _joined([p.neuron for p in pieces], np.uint16)
    return AxonTable(
        _joined([p.projection for p in pieces]),
        _joined([p.delay for p in pieces]),
        np.concatenate([[0], np.cumsum(lengths)]),
        neuron,
        weight.astype(_narrowest(weight)),
    )


def _joined(arrays: list[Array], dtype: npt.DTypeLike = np.int32) -> Array:
    return np.concatenate([np.zeros(0, dtype), *arrays])


def _narrowest(weight: Array) -> npt.DTypeLike:
    low, high = weight.min(initial=0), weight.max(initial=0)
    types = (np.int8, np.int16, np.int32)
    return next(t for t in types if np.iinfo(t).min <= low and high <= np.iinfo(t).max)


def _entries(
    edges: tuple[Projection, ...], pieces: list[list[_Axons]], address: dict[str, tuple[Array, Array]]
) -> dict[str, Array]:
    """For each input, and for all cores under "", rows (source core, neuron, core, axon), sorted."""
    found: dict[str, list[Array]] = {}
    for core, parts in enumerate(pieces):
        projection = _joined([p.projection for p in parts])
        source = _joined([p.source for p in parts])
        for index in np.unique(projection):
            axon = np.flatnonzero(projection == index)
            name, neuron = edges[index].source, source[axon]
            home, local = np.zeros_like(axon), neuron
            if name in address:
                home, local = (a[neuron] for a in address[name])
            rows = np.stack([home, local, np.full(len(axon), core), axon], axis=1).astype(np.int32)
            found.setdefault("" if name in address else name, []).append(rows)
    return {name: _sorted(np.concatenate(rows)) for name, rows in found.items()}


def _sorted(rows: Array) -> Array:
    return rows[np.lexsort(rows.T[::-1])]


def _routes(entries: dict[str, Array], cores: int) -> list[RouteTable]:
    rows = entries.get("", np.zeros((0, 4), np.int32))
    ends = np.searchsorted(rows[:, 0], np.arange(cores + 1))
    return [RouteTable(*rows[a:b, 1:].T) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _kinds(graph: Graph) -> tuple[tuple[NeuronKind, ...], dict[str, int]]:
    kinds: list[NeuronKind] = []
    kind_of: dict[str, int] = {}
    for name in graph.of_kind(Population):
        node = graph.nodes[name]
        assert isinstance(node, Population)
        same = [
            i
            for i, k in enumerate(kinds)
            if (k.model, k.program, k.alphabet) == (node.model, node.program, node.alphabet)
            and dict(k.formats) == dict(node.formats)
        ]
        kind_of[name] = same[0] if same else len(kinds)
        if not same:
            kinds.append(NeuronKind(node.model, node.program, node.formats, node.alphabet))
    return tuple(kinds), kind_of


def _slice(graph: Graph, cut: Partition, part: Part, kind_of: dict[str, int]) -> SliceTable:
    node = graph.nodes[part.population]
    assert isinstance(node, Population)
    params = {k: _own(a, node.shape, part.neurons) for k, a in node.params.items()}
    initial = {k: _own(a, node.shape, part.neurons) for k, a in node.initial.items()}
    return SliceTable(
        part.population,
        part.neurons,
        kind_of[part.population],
        node.start,
        params,
        initial,
        cut.spikes[part.population][part.neurons],
    )


def _own(array: Array, shape: tuple[int, ...], neurons: Array) -> Array:
    """The values of some neurons; one where all are equal."""
    values = np.broadcast_to(array, shape).reshape(-1)[neurons]
    return values[:1] if (values == values[0]).all() else values


def _input(graph: Graph, name: str, cut: Partition, entries: dict[str, Array]) -> InputTable:
    node = graph.nodes[name]
    assert isinstance(node, Input)
    rows = entries.get(name, np.zeros((0, 4), np.int32))
    return InputTable(name, node.shape, node.kind, node.format, RouteTable(*rows[:, 1:].T), cut.spikes[name])


def _output(graph: Graph, name: str, address: dict[str, tuple[Array, Array]]) -> list[OutputTable]:
    assert isinstance(graph.nodes[name], Output)
    shape = graph.shapes[name]
    return [OutputTable(name, shape, edge.delay, *address[edge.src]) for edge in graph.inputs_of(name)]
