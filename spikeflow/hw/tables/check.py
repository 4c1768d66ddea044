"""Whether the tables of a mapping agree with each other; files from strangers pass here too."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from spikeflow.errors import GraphError
from spikeflow.hw.tables.records import WORDS, CoreTable, MappingTables, Projection, RouteTable, SliceTable
from spikeflow.ir.limits import LONGEST_DELAY
from spikeflow.typing import Array

MAX_TILES = 2**20


def check_mapping(mapping: MappingTables) -> None:
    """Raise GraphError, naming the core or the table, where anything does not fit."""
    for where, problem in _problems(mapping):
        raise GraphError(where, problem, "map the network again")


def _problems(mapping: MappingTables) -> Iterator[tuple[str, str]]:
    yield from _layout(mapping)
    yield from _populations(mapping)
    yield from _projections(mapping)
    for index, core in enumerate(mapping.cores):
        for problem in _core(mapping, core):
            yield f"core {index}", problem
    yield from _routes(mapping)
    yield from _outputs(mapping)


def _layout(mapping: MappingTables) -> Iterator[tuple[str, str]]:
    grid = mapping.layout
    sizes = (grid.columns, grid.rows, grid.cores_per_tile, grid.chips, grid.chips_across)
    if min(sizes) < 1 or prod(sizes[:4]) > MAX_TILES or grid.chips_across > grid.chips:
        yield "layout", f"a mesh of {sizes}"
    places = {(c.chip, c.x, c.y, c.slot) for c in mapping.cores}
    if len(places) != len(mapping.cores):
        yield "layout", "two cores share a place"
    for chip, x, y, slot in places:
        if not (
            0 <= chip < grid.chips
            and 0 <= x < grid.columns
            and 0 <= y < grid.rows
            and 0 <= slot < grid.cores_per_tile
        ):
            yield "layout", f"the place {(chip, x, y, slot)} lies outside the mesh"


def slices_of(mapping: MappingTables) -> dict[str, list[tuple[int, SliceTable]]]:
    """The slices of each population with their cores, in the order of the cores."""
    found: dict[str, list[tuple[int, SliceTable]]] = {}
    for index, core in enumerate(mapping.cores):
        for table in core.slices:
            found.setdefault(table.population, []).append((index, table))
    return found


def _populations(mapping: MappingTables) -> Iterator[tuple[str, str]]:
    inputs = [table.name for table in mapping.inputs]
    for table in mapping.inputs:
        if inputs.count(table.name) != 1 or table.spikes.shape != (prod(table.shape),):
            yield table.name, "is there twice, or has not one rate of messages for each element"
    for name, slices in slices_of(mapping).items():
        if name in inputs:
            yield name, "is both an input and a population"
        for problem in _slices(mapping, [table for _, table in slices]):
            yield name, problem


def _slices(mapping: MappingTables, tables: list[SliceTable]) -> Iterator[str]:
    for table in tables:
        if table.neurons.ndim != 1 or not len(table.neurons) or (np.diff(table.neurons) <= 0).any():
            yield "a slice is empty or its neurons do not ascend"
        if not 0 <= table.kind < len(mapping.kinds):
            yield f"neuron kind {table.kind} does not exist"
        values = {**table.params, **table.initial}
        if any(a.shape not in ((1,), table.neurons.shape) for a in values.values()):
            yield "has params or initial states of a length that is not its slice's"
        if table.spikes.shape != table.neurons.shape or table.spikes.min(initial=0) < 0:
            yield "has not one rate of spikes for each neuron"
    if len({(t.kind, t.start, frozenset(t.params), frozenset(t.initial)) for t in tables}) > 1:
        yield "its slices differ in kind, start, params or initial states"
    together = np.sort(np.concatenate([t.neurons for t in tables]))
    if not np.array_equal(together, np.arange(len(together))):
        yield "a neuron is missing, or on two cores"


def _projections(mapping: MappingTables) -> Iterator[tuple[str, str]]:
    kinds = {name: found[0][1].kind for name, found in slices_of(mapping).items()}
    ports = {name: mapping.kinds[kind].program.inputs for name, kind in kinds.items()}
    sources = {*ports, *(table.name for table in mapping.inputs)}
    if len({edge.name for edge in mapping.projections}) != len(mapping.projections):
        yield "projections", "two have one name"
    for edge in mapping.projections:
        if edge.source not in sources or edge.port not in ports.get(edge.target, ()):
            yield edge.name, f"joins {edge.source} to {edge.target}.{edge.port}, which are not both there"
        if not 0 <= edge.delay <= LONGEST_DELAY or not -62 <= edge.exponent <= 62:
            yield edge.name, f"delay {edge.delay} or exponent {edge.exponent} out of range"


def _core(mapping: MappingTables, core: CoreTable) -> Iterator[str]:
    names = [table.population for table in core.slices]
    axons = core.axons
    count = len(axons.projection)
    if not names or len(set(names)) != len(names):
        yield "it holds no slice, or two of one population"
    if axons.projection.ndim != 1 or axons.delay.shape != (count,) or axons.indptr.shape != (count + 1,):
        yield "its axon arrays differ in length"
    elif axons.indptr[0] != 0 or (np.diff(axons.indptr) < 1).any() or axons.weight.dtype not in WORDS:
        yield "an axon reaches no synapse, or its pointers do not grow"
    elif axons.neuron.shape != (axons.indptr[-1],) or axons.weight.shape != axons.neuron.shape:
        yield f"{axons.neuron.shape} synapse words, {axons.weight.shape} weights for {axons.indptr[-1]}"
    elif count and not 0 <= axons.projection.min() <= axons.projection.max() < len(mapping.projections):
        yield "an axon names a projection that does not exist"
    else:
        yield from _words(mapping, core)


def _words(mapping: MappingTables, core: CoreTable) -> Iterator[str]:
    axons, word = core.axons, np.repeat(core.axons.projection, core.axons.lengths)
    ends = np.cumsum([0, *(len(s.neurons) for s in core.slices)])
    names = [s.population for s in core.slices]
    for index in np.unique(axons.projection):
        edge = mapping.projections[index]
        if edge.target not in names:
            yield f"{edge.name} reaches {edge.target}, which is not on it"
            continue
        slot, mine = names.index(edge.target), word == index
        neuron, weight = axons.neuron[mine], axons.weight[mine]
        if neuron.min() < ends[slot] or neuron.max() >= ends[slot + 1]:
            yield f"a synapse of {edge.name} reaches a neuron outside {edge.target}"
        if weight.min() < edge.format.low or weight.max() > edge.format.high:
            yield f"a weight of {edge.name} lies outside {edge.format.bits} bits"
        yield from _delays(edge, axons.delay[axons.projection == index])


def _delays(edge: Projection, delay: Array) -> Iterator[str]:
    low, high = delay.min(), delay.max()
    if low < edge.delay or high > LONGEST_DELAY or (not edge.delayed and high > edge.delay):
        yield f"axons of {edge.name} have a delay of {low} to {high}; the edge has {edge.delay}"


def _routes(mapping: MappingTables) -> Iterator[tuple[str, str]]:
    first = axon_offsets(mapping)
    reached = np.zeros(first[-1], np.int64)
    senders = [(f"core {i}", c.neurons, c.routes) for i, c in enumerate(mapping.cores)]
    senders += [(t.name, prod(t.shape), t.routes) for t in mapping.inputs]
    for where, size, routes in senders:
        problem = _route_table(mapping, routes, size, first)
        if problem:
            yield where, problem
            return
        reached += np.bincount(first[routes.core] + routes.axon, minlength=len(reached))
    if (reached != 1).any():
        axon = int(np.flatnonzero(reached != 1)[0])
        core = int(np.searchsorted(first, axon, side="right")) - 1
        yield f"core {core}", f"axon {axon - first[core]} is reached by {reached[axon]} routes instead of one"
        return
    yield from _sources(mapping, first)


def axon_offsets(mapping: MappingTables) -> Array:
    """Where the axons of each core begin when all are counted through, and their number at the end."""
    counts = [len(core.axons.projection) for core in mapping.cores]
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _route_table(mapping: MappingTables, routes: RouteTable, size: int, first: Array) -> str:
    count = len(routes.neuron)
    if routes.neuron.ndim != 1 or routes.core.shape != (count,) or routes.axon.shape != (count,):
        return "its route arrays differ in length"
    if not count:
        return ""
    if routes.neuron.min() < 0 or routes.neuron.max() >= size or (np.diff(routes.neuron) < 0).any():
        return "a route begins at a neuron that does not exist, or they are not in order"
    if routes.core.min() < 0 or routes.core.max() >= len(mapping.cores):
        return "a route leads to a core that does not exist"
    if routes.axon.min() < 0 or (routes.axon >= np.diff(first)[routes.core]).any():
        return "a route leads to an axon that does not exist"
    return ""


def _sources(mapping: MappingTables, first: Array) -> Iterator[tuple[str, str]]:
    """Every route begins where the projection of its axon says."""
    projection = np.concatenate([np.zeros(0, np.int32), *(core.axons.projection for core in mapping.cores)])
    number = {name: i for i, name in enumerate(dict.fromkeys(edge.source for edge in mapping.projections))}
    wanted = np.array([number[edge.source] for edge in mapping.projections], np.int64)
    senders = [
        (
            f"core {i}",
            c.routes,
            np.repeat([number.get(s.population, -1) for s in c.slices], [len(s.neurons) for s in c.slices]),
        )
        for i, c in enumerate(mapping.cores)
    ]
    senders += [(t.name, t.routes, np.full(prod(t.shape), number.get(t.name, -1))) for t in mapping.inputs]
    for where, routes, sender in senders:
        heard = projection[first[routes.core] + routes.axon]
        if len(heard) and (wanted[heard] != sender[routes.neuron]).any():
            yield where, "a route leads to an axon of another source's projection"


def _outputs(mapping: MappingTables) -> Iterator[tuple[str, str]]:
    sizes = np.array([core.neurons for core in mapping.cores])
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for table in mapping.outputs:
        size = prod(table.shape)
        shapes.setdefault(table.name, set()).add(table.shape)
        legal = 0 <= table.delay <= LONGEST_DELAY
        if table.core.shape != (size,) or table.neuron.shape != (size,) or not legal:
            yield table.name, f"{table.core.shape} addresses, delay {table.delay} for {size} elements"
        elif (
            table.core.min() < 0
            or table.core.max() >= len(sizes)
            or table.neuron.min() < 0
            or (table.neuron >= sizes[table.core]).any()
        ):
            yield table.name, "an address of a neuron that does not exist"
    for name, found in shapes.items():
        if len(found) > 1:
            yield name, f"is read in different shapes {sorted(found)}"
