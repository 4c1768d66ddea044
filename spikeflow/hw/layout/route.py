"""Multicast routes on the mesh: which links the messages of each core take, and how busy each link becomes.

A message goes along its row first, then along columns (XY). The route of a group of neurons with the same
destinations is the union of these paths: a message crosses each of its links once, however many cores lie
behind. Loads are messages a step, by the spikes in the mapping's tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.hw.layout.place import mesh_position
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.hw.tables.records import RouteTable
from spikeflow.ir.arrays import frozen
from spikeflow.typing import Array

EAST, WEST, SOUTH, NORTH = range(4)  # y grows to the south
HOST = -1


@dataclass(frozen=True, eq=False)
class Route:
    """The route of all neurons of one core, or of one input, that share their destinations.

    Parameters
    ----------
    core : that sends; -1 for the host, which injects at the corner (0, 0) of chip 0 (assumed).
    neurons : int32, indices on the core or into the input.
    destinations : int32, cores, ascending.
    messages : a step.
    links : int16, ``(links, 3)``: x and y of the tile that a link leaves, and its direction.
    longest : hops to the farthest destination.
    """

    core: int
    source: str
    neurons: Array
    destinations: Array
    messages: float
    links: Array
    longest: int

    def __post_init__(self) -> None:
        for name, dtype in (("neurons", np.int32), ("destinations", np.int32), ("links", np.int16)):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype))


@dataclass(frozen=True, eq=False)
class Routes:
    """All routes and what they add up to.

    Parameters
    ----------
    loads : ``(4, height, width)``, messages a step on the link that leaves each tile of the joint mesh to the
        east, west, south and north.
    crossing : of the same shape: whether the link leads to another chip.
    """

    routes: tuple[Route, ...]
    loads: Array
    crossing: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "loads", frozen(self.loads, np.float64))
        object.__setattr__(self, "crossing", frozen(self.crossing, np.bool_))

    @property
    def messages(self) -> float:
        """Messages sent a step, each counted once."""
        return float(sum(r.messages for r in self.routes))

    @property
    def hops(self) -> float:
        """Links crossed a step, over all messages."""
        return float(self.loads.sum())

    @property
    def between_chips(self) -> float:
        """Of these, links from chip to chip."""
        return float(self.loads[self.crossing].sum())

    @property
    def busiest(self) -> float:
        """Messages a step on the busiest link within a chip."""
        return float(self.loads[~self.crossing].max(initial=0))

    @property
    def busiest_between_chips(self) -> float:
        """Messages a step on the busiest link between chips."""
        return float(self.loads[self.crossing].max(initial=0))

    @property
    def longest(self) -> int:
        """Hops of the longest route."""
        return max((r.longest for r in self.routes), default=0)


def routes_of(mapping: Mapping) -> Routes:
    """The routes of a mapping, from its tables."""
    places = np.array([(c.chip, c.x, c.y, c.slot) for c in mapping.cores])
    tiles = np.stack(mesh_position(mapping.layout, places), axis=1)
    routes = []
    for index, core in enumerate(mapping.cores):
        spikes = np.concatenate([s.spikes for s in core.slices])
        routes += _grouped(core.routes, spikes, (index, ""), tiles)
    for table in mapping.inputs:
        routes += _grouped(table.routes, table.spikes, (HOST, table.name), tiles)
    crossing = _crossing(mapping)
    loads = np.zeros(crossing.shape)
    for route in routes:
        np.add.at(loads, (route.links[:, 2], route.links[:, 1], route.links[:, 0]), route.messages)
    return Routes(tuple(routes), loads, crossing)


def unicast_hops(mapping: Mapping, routes: Routes) -> tuple[float, float]:
    """Links crossed a step, (east-west, north-south), if each core that hears a spike got a message of its
    own.

    Messages between cores only; what the host injects is left out.
    """
    places = np.array([(c.chip, c.x, c.y, c.slot) for c in mapping.cores])
    tiles = np.stack(mesh_position(mapping.layout, places), axis=1)
    total = np.zeros(2)
    for route in routes.routes:
        if route.core != HOST:
            away = np.abs(tiles[route.destinations] - tiles[route.core])
            total += route.messages * away.sum(axis=0)
    return float(total[0]), float(total[1])


def _crossing(mapping: Mapping) -> Array:
    grid = mapping.layout
    down = -(-grid.chips // grid.chips_across)
    x, y = np.arange(grid.chips_across * grid.columns), np.arange(down * grid.rows)
    crossing = np.zeros((4, len(y), len(x)), bool)
    crossing[EAST][:, x % grid.columns == grid.columns - 1] = True
    crossing[WEST][:, x % grid.columns == 0] = True
    crossing[SOUTH][y % grid.rows == grid.rows - 1] = True
    crossing[NORTH][y % grid.rows == 0] = True
    return crossing


def _grouped(table: RouteTable, spikes: Array, sender: tuple[int, str], tiles: Array) -> list[Route]:
    """Neurons with equal sets of destination cores share a route."""
    if not len(table.neuron):
        return []
    pairs = np.unique(np.stack([table.neuron, table.core], axis=1), axis=0)
    neurons, first = np.unique(pairs[:, 0], return_index=True)
    found: dict[bytes, list[int]] = {}
    for neuron, heard in zip(neurons, np.split(pairs[:, 1], first[1:]), strict=True):
        found.setdefault(heard.astype(np.int32).tobytes(), []).append(int(neuron))
    start = tiles[sender[0]] if sender[0] != HOST else np.zeros(2, np.int64)
    routes = []
    for key, members in found.items():
        cores, group = np.frombuffer(key, np.int32), np.array(members, np.int32)
        links = multicast(start, tiles[cores])
        longest = int(np.abs(tiles[cores] - start).sum(axis=1).max())
        routes.append(Route(*sender, group, cores, float(spikes[group].sum()), links, longest))
    return routes


def multicast(start: Array, ends: Array) -> Array:
    """The union of XY paths from one tile to others, ``(links, 3)``: x, y and direction of each link."""
    x, y = int(start[0]), int(start[1])
    links = _line(x, int(ends[:, 0].max()), int(ends[:, 0].min()))
    found = [(at, y, EAST if forward else WEST) for at, forward in links]
    for column in np.unique(ends[:, 0]):
        rows = ends[ends[:, 0] == column, 1]
        found += [
            (int(column), at, SOUTH if forward else NORTH)
            for at, forward in _line(y, int(rows.max()), int(rows.min()))
        ]
    return np.array(found, np.int16).reshape(-1, 3)


def _line(start: int, high: int, low: int) -> list[tuple[int, bool]]:
    """Links along one axis: those left upwards from start to high, and downwards to low."""
    return [(at, True) for at in range(start, high)] + [(at, False) for at in range(start, low, -1)]
