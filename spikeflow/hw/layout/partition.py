"""Cut every population into parts that fit a core, then let small parts of different populations share one.

Every part keeps within the core's neurons, input axons, output axons and memory, counted exactly. The
objective is the connectivity, sum over sources of spikes x (cores touched - 1); among parts of one population
it is lowered by `grow` and `refine`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from spikeflow.errors import HardwareError, Violation
from spikeflow.hw.chips.chip import Chip
from spikeflow.hw.layout.budget import Task, need_of, room_of
from spikeflow.hw.layout.connectivity import FanIn, fan_in, projections
from spikeflow.hw.layout.grow import FanInGroups, Growth, groups_of
from spikeflow.hw.layout.pack import Part, pack
from spikeflow.hw.layout.refine import connectivity, refine
from spikeflow.hw.tables.check import MAX_TILES
from spikeflow.hw.tables.records import Projection, TrafficRecord
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Population
from spikeflow.ir.show import connections
from spikeflow.typing import Array, Progress

SPLIT_ROUNDS = 32
COUNTED = 20_000_000  # connections up to which a network that does not fit is cut to count its cores
SLACKS = (1.01, 1.06, 1.15)  # room tried for even parts, in shares of the mean fill


@dataclass(frozen=True, eq=False)
class Partition:
    """Which neurons lie together, core by core, before any core has a place.

    Parameters
    ----------
    cores : for each core its parts, each of another population.
    spikes : messages a step of every neuron of every Input and Population, ``(size,)`` each.
    measured : whether these were given, or are 1 each.
    traffic : on what they were measured, where that is known.
    """

    projections: tuple[Projection, ...]
    cores: tuple[tuple[Part, ...], ...]
    spikes: Mapping[str, Array]
    measured: bool
    traffic: TrafficRecord | None = None

    def connectivity(self) -> float:
        """Sum over sources of spikes x (cores touched - 1), the source's own core among those touched."""
        own = {name: np.full(len(s), -1) for name, s in self.spikes.items()}
        touched = {name: np.zeros(len(s)) for name, s in self.spikes.items()}
        for index, core in enumerate(self.cores):
            for part in core:
                own[part.population][part.neurons] = index
        for index, core in enumerate(self.cores):
            for name, neurons in sources_of(core).items():
                touched[name][neurons[own[name][neurons] != index]] += 1
        inputs = [name for name in own if (own[name] < 0).all()]
        for name in inputs:
            touched[name] = np.maximum(touched[name] - 1, 0)
        return float(sum((self.spikes[name] * touched[name]).sum() for name in touched))


def sources_of(core: tuple[Part, ...]) -> dict[str, Array]:
    """The distinct neurons that a core hears, by Input or Population."""
    found: dict[str, list[Array]] = {}
    for part in core:
        for name, neurons in part.sources.items():
            found.setdefault(name, []).append(neurons)
    return {name: np.unique(np.concatenate(lists)) for name, lists in found.items()}


def partition(
    graph: Graph,
    chip: Chip,
    chips: int = 1,
    spikes: Mapping[str, Array] | None = None,
    progress: Progress | None = None,
) -> Partition:
    """The cores of a composed fixed graph on at most so many chips.

    Parameters
    ----------
    spikes : messages a step of each neuron, by the name of its Input or Population; 1 where not given.

    Raises
    ------
    HardwareError
        With every neuron that fits no core, and where there are too few cores.
    GraphError
        Where the graph is not composed or not at stage fixed.
    """
    edges = projections(graph)
    weights = _weights(graph, spikes)
    _check_size(graph, chip, chips)
    parts: list[Part] = []
    violations: list[Violation] = []
    names = graph.of_kind(Population)
    for done, name in enumerate(names):
        if progress:
            progress(done, len(names))
        found = _population(graph, name, edges, weights, chip)
        if isinstance(found, Violation):
            violations.append(found)
        else:
            parts += found
    if violations:
        raise HardwareError(chip.name, violations)
    cores = pack(_within_outputs(graph, chip, edges, parts), chip)
    _check_cores(len(cores), chip, chips)
    return Partition(edges, cores, weights, spikes is not None)


def _weights(graph: Graph, spikes: Mapping[str, Array] | None) -> dict[str, Array]:
    names = graph.of_kind(Input, Population)
    given = spikes or {}
    return {n: np.asarray(given.get(n, np.ones(prod(graph.shapes[n]))), np.float64).ravel() for n in names}


def countable(graph: Graph) -> bool:
    """Whether a network that needs too many chips is cut all the same, to tell how many it needs."""
    return sum(connections(graph, name) for name in graph.nodes) <= COUNTED


def _check_size(graph: Graph, chip: Chip, chips: int) -> None:
    """Refuse early what no partition can fit and is too large to be cut for the advice alone."""
    neurons = sum(prod(graph.shapes[n]) for n in graph.of_kind(Population))
    cores, there = -(-neurons // int(chip.neurons.value)), chips * chip.grid.cores
    if cores > there and not countable(graph):
        need = f"{cores} cores or more, by its neurons alone"
        raise HardwareError(chip.name, [Violation("network", need, f"{there} cores on {chips} chip(s)")])


def _check_cores(cores: int, chip: Chip, chips: int) -> None:
    """Every limit has been counted by now, so this number of chips is enough: the cut does not depend on
    it.
    """
    there = chips * chip.grid.cores
    if cores > there:
        needed = -(-cores // chip.grid.cores)
        hint = f"--chips {needed}, or a smaller network" if needed * chip.grid.cores <= MAX_TILES else ""
        limit = f"{there} cores on {chips} chip(s)"
        raise HardwareError(chip.name, [Violation("network", f"{cores} cores", limit, hint)])


def task_of(graph: Graph, name: str, edges: tuple[Projection, ...], chip: Chip) -> Task:
    """One population with its synapses expanded and its needs."""
    fan = fan_in(graph, name, edges)
    longest = {
        e.name: int(fan.delay[fan.projection == i].max(initial=e.delay))
        for i, e in enumerate(edges)
        if e.target == name
    }
    return Task(name, fan, need_of(graph, name, edges, longest, chip), chip)


def _population(
    graph: Graph, name: str, edges: tuple[Projection, ...], weights: Mapping[str, Array], chip: Chip
) -> list[Part] | Violation:
    task = task_of(graph, name, edges, chip)
    weight = np.zeros(task.fan.axons)
    for index, edge in enumerate(edges):
        mine = task.fan.projection == index
        weight[mine] = weights[edge.source][task.fan.source[mine]]
    found = parts_of(task, weight)
    if isinstance(found, Violation):
        return found
    return [part_of(task, neurons, edges) for neurons in found]


def part_of(task: Task, neurons: Array, edges: tuple[Projection, ...]) -> Part:
    """A part with what the packing needs to know of its synapses."""
    axons, lengths = task.fan.axons_of(neurons)
    sources: dict[str, list[Array]] = {}
    for index in np.unique(task.fan.projection[axons]):
        mine = axons[task.fan.projection[axons] == index]
        sources.setdefault(edges[index].source, []).append(task.fan.source[mine])
    heard = {name: np.concatenate(found) for name, found in sources.items()}
    return Part(task.name, neurons.astype(np.int32), task.need, lengths.astype(np.int32), heard)


def parts_of(task: Task, weight: Array) -> list[Array] | Violation:
    """The parts of a population, each an ascending array of neurons; or why one neuron fits no core.

    Parameters
    ----------
    weight : ``(axons,)``, messages a step of each axon's source.
    """
    groups, room = groups_of(task.fan), room_of(task.chip)
    grown = Growth(task, groups, room, weight).run()
    if isinstance(grown, Violation):
        return grown
    tried = [refine(task, room, weight, parts) for parts in (grown, *_evened(task, groups, weight, grown))]
    return min(tried, key=lambda parts: (len(parts), _crumb(task, parts), connectivity(task, weight, parts)))


def _crumb(task: Task, parts: list[Array]) -> bool:
    """Whether a part is filled less than half as much as the fullest."""
    fills = [task.tally(part).fill(room_of(task.chip)) for part in parts]
    return min(fills) < 0.5 * max(fills)


def _evened(task: Task, groups: FanInGroups, weight: Array, parts: list[Array]) -> list[list[Array]]:
    """As many parts, filled more alike: cut again with less room, where that needs no more parts."""
    room = room_of(task.chip)
    fills = [task.tally(part).fill(room) for part in parts]
    fixed = int(task.chip.memory.overhead.value) + task.need.tables
    found = []
    for slack in SLACKS:
        share = float(np.mean(fills)) * slack
        if share < 1 and min(fills) < 0.9 * share:
            again = Growth(task, groups, room.scaled(share, fixed), weight).run()
            if not isinstance(again, Violation) and len(again) <= len(parts):
                found.append(again)
    return found


def _within_outputs(graph: Graph, chip: Chip, edges: tuple[Projection, ...], parts: list[Part]) -> list[Part]:
    """The parts, split until none sends to more axons than a core can address.

    A split gives each source of the part one more axon to reach, so it is repeated until nothing changes.
    """
    limit = int(chip.axons_out.value)
    for _ in range(SPLIT_ROUNDS):
        entries = _entries(graph, parts)
        sent = [int(entries[p.population][p.neurons].sum()) for p in parts]
        if max(sent, default=0) <= limit:
            return [replace(p, sent=s) for p, s in zip(parts, sent, strict=True)]
        parts = _split_all(graph, chip, edges, parts, entries)
    raise HardwareError(
        chip.name,
        [
            Violation(
                "network",
                "output axons that no split brings down",
                f"{limit} output axons of a core",
            )
        ],
    )


def _entries(graph: Graph, parts: list[Part]) -> dict[str, Array]:
    """Axons that each neuron reaches, over all parts."""
    entries = {n: np.zeros(prod(graph.shapes[n]), np.int64) for n in graph.of_kind(Input, Population)}
    for part in parts:
        for name, neurons in part.sources.items():
            entries[name] += np.bincount(neurons, minlength=len(entries[name]))
    return entries


def _split_all(
    graph: Graph, chip: Chip, edges: tuple[Projection, ...], parts: list[Part], entries: Mapping[str, Array]
) -> list[Part]:
    limit, split, tasks = int(chip.axons_out.value), [], dict[str, Task]()
    for part in parts:
        each = entries[part.population][part.neurons]
        if each.sum() <= limit:
            split.append(part)
            continue
        if each.max() > limit:
            need, there = f"{each.max()} output axons for one neuron", f"{limit} output axons of a core"
            raise HardwareError(chip.name, [Violation(part.population, need, there)])
        if part.population not in tasks:
            tasks[part.population] = task_of(graph, part.population, edges, chip)
        task = tasks[part.population]
        pieces = _pieces(task.fan, part.neurons, each, limit)
        split += [part_of(task, np.sort(piece), edges) for piece in pieces]
    return split


def _pieces(fan: FanIn, neurons: Array, each: Array, limit: int) -> list[Array]:
    """Runs of fan-in groups, each sending to about equally many axons, none to more than the limit."""
    order = np.argsort(fan.group[neurons], kind="stable")
    even = each.sum() / -(-int(each.sum()) // limit)
    pieces: list[list[int]] = [[]]
    sent = 0
    for index in order:
        if pieces[-1] and (sent + each[index] > limit or sent >= even):
            pieces.append([])
            sent = 0
        pieces[-1].append(int(neurons[index]))
        sent += int(each[index])
    return [np.array(piece, np.int32) for piece in pieces]
