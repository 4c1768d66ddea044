"""Places for the cores on the meshes of the chips, so that messages travel few hops.

cost = sum over pairs of cores of messages a step x distance, and of messages from the host; the distance is
the Manhattan distance of the tiles, and for every border between chips `CHIP_BORDER` hops more. Cores are
laid along a Hilbert curve, in the order of the network and in spectral order; the better is refined by
swaps, small meshes from random orders too. Hilbert order and swaps: Jin et al., ASPLOS 2023; spectral order:
Ronzani & Silvano, arXiv:2601.16118.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, sqrt

import numpy as np

from spikeflow.hw.chips.chip import Chip
from spikeflow.hw.layout.partition import Partition, sources_of
from spikeflow.hw.tables.records import Layout
from spikeflow.typing import Array

CHIP_BORDER = 8  # assumed: no source gives the cost of a link between chips in hops
SWEEPS = 20
STARTS = ((64, 32), (256, 6))  # meshes of at most so many places are refined from random orders too
SPECTRAL = 1200  # cores up to which the eigenvectors are computed
LEAST = 1e-9


@dataclass(frozen=True)
class Placement:
    """Where each core lies.

    Parameters
    ----------
    places : (chip, x, y, slot) of each core.
    cost : messages a step x distance; `begun` before the swaps.
    """

    layout: Layout
    places: tuple[tuple[int, int, int, int], ...]
    cost: float
    begun: float


@dataclass(frozen=True, eq=False)
class Traffic:
    """Messages a step from core (row) to core (column), ``(cores, cores)``; from the host, ``(cores,)``."""

    between: Array
    host: Array


def traffic_of(cut: Partition) -> Traffic:
    """One message for each spike and core that hears it."""
    own = {name: np.full(len(s), -1) for name, s in cut.spikes.items()}
    for index, core in enumerate(cut.cores):
        for part in core:
            own[part.population][part.neurons] = index
    count = len(cut.cores)
    between, host = np.zeros((count, count)), np.zeros(count)
    for index, core in enumerate(cut.cores):
        for name, neurons in sources_of(core).items():
            home, spikes = own[name][neurons], cut.spikes[name][neurons]
            host[index] += spikes[home < 0].sum()
            between[:, index] += np.bincount(home[home >= 0], spikes[home >= 0], count)
    return Traffic(between, host)


def place(cut: Partition, chip: Chip, seed: int = 0) -> Placement:
    """Places on as few chips as hold the cores; the same for the same seed."""
    return arrange(traffic_of(cut), layout_of(chip, len(cut.cores)), seed)


def layout_of(chip: Chip, cores: int) -> Layout:
    """The mesh of the fewest chips that hold so many cores, side by side in a near square."""
    chips = max(1, ceil(cores / chip.grid.cores))
    grid = chip.grid
    return Layout(
        int(grid.columns.value),
        int(grid.rows.value),
        int(grid.cores_per_tile.value),
        chips,
        ceil(sqrt(chips)),
    )


def arrange(traffic: Traffic, layout: Layout, seed: int = 0) -> Placement:
    """The cores of a traffic on a mesh."""
    curve = places_along(layout)
    swaps = _Swaps(traffic, distances(layout, curve), host_distance(layout, curve))
    cores, total = len(traffic.host), len(curve)
    starts = [np.arange(total)]
    if 2 < cores <= SPECTRAL:
        starts.append(_filled(spectral_order(traffic), total))
    starts = [min(starts, key=swaps.cost)]
    rng = np.random.default_rng(seed)
    more = next((count for size, count in STARTS if total <= size), 0)
    starts += [rng.permutation(total) for _ in range(more)]
    begun = swaps.cost(starts[0])
    found = [swaps.refine(start, rng) for start in starts]
    best = min(found, key=swaps.cost)
    places = tuple(tuple(int(v) for v in curve[p]) for p in best[:cores])
    return Placement(layout, places, swaps.cost(best), begun)  # type: ignore[arg-type]


def places_along(layout: Layout) -> Array:
    """All places (chip, x, y, slot), chip after chip, the tiles of each along a Hilbert curve."""
    side = 1 << (max(layout.columns, layout.rows) - 1).bit_length()
    square = [_hilbert(i, side) for i in range(side * side)]
    ways = [
        [t for t in turned if t[0] < layout.columns and t[1] < layout.rows]
        for turned in (square, [(y, x) for x, y in square])
    ]
    tiles = min(ways, key=_jumps)
    return np.array(
        [
            (chip, x, y, slot)
            for chip in _snake(layout)
            for x, y in tiles
            for slot in range(layout.cores_per_tile)
        ]
    )


def _jumps(tiles: list[tuple[int, int]]) -> int:
    """Length of a way over tiles: a curve that leaves the chip and comes back is longer."""
    return sum(abs(x - u) + abs(y - v) for (x, y), (u, v) in pairwise(tiles))


def _snake(layout: Layout) -> list[int]:
    """The chips so that each lies beside the one before."""
    rows = [
        list(range(i, min(i + layout.chips_across, layout.chips)))
        for i in range(0, layout.chips, layout.chips_across)
    ]
    return [chip for i, row in enumerate(rows) for chip in (row if i % 2 == 0 else row[::-1])]


def _hilbert(index: int, side: int) -> tuple[int, int]:
    """Point of the Hilbert curve that fills a square of `side` (a power of two)."""
    x = y = 0
    size = 1
    while size < side:
        right = 1 & (index // 2)
        up = 1 & (index ^ right)
        if not up:
            if right:
                x, y = size - 1 - x, size - 1 - y
            x, y = y, x
        x, y = x + size * right, y + size * up
        index //= 4
        size *= 2
    return x, y


def mesh_position(layout: Layout, places: Array) -> tuple[Array, Array]:
    """(x, y) of tiles on the joint mesh of all chips, from places (chip, x, y, slot)."""
    chip = places[:, 0]
    return (
        chip % layout.chips_across * layout.columns + places[:, 1],
        chip // layout.chips_across * layout.rows + places[:, 2],
    )


def distances(layout: Layout, places: Array) -> Array:
    """Hops between every two places, with `CHIP_BORDER` for each border between chips."""
    x, y = mesh_position(layout, places)
    hops = np.abs(x[:, None] - x) + np.abs(y[:, None] - y)
    across, down = places[:, 0] % layout.chips_across, places[:, 0] // layout.chips_across
    borders = np.abs(across[:, None] - across) + np.abs(down[:, None] - down)
    return (hops + CHIP_BORDER * borders).astype(np.float64)


def host_distance(layout: Layout, places: Array) -> Array:
    """Hops of each place from where the host injects: the corner (0, 0) of chip 0 (assumed)."""
    x, y = mesh_position(layout, places)
    borders = places[:, 0] % layout.chips_across + places[:, 0] // layout.chips_across
    return (x + y + CHIP_BORDER * borders).astype(np.float64)


def spectral_order(traffic: Traffic) -> Array:
    """The cores by the second eigenvector of the Laplacian of their traffic."""
    both = traffic.between + traffic.between.T
    np.fill_diagonal(both, 0)
    vector = np.linalg.eigh(np.diag(both.sum(axis=1)) - both)[1][:, 1]
    return np.argsort(vector * (1 if vector[np.argmax(np.abs(vector))] > 0 else -1), kind="stable")


def _filled(order: Array, total: int) -> Array:
    """place[core] for cores in this order along the curve, the empty places last."""
    place = np.arange(total)
    place[order] = np.arange(len(order))
    return place


class _Swaps:
    """Swaps of two places, one of them perhaps empty, that lower the cost."""

    def __init__(self, traffic: Traffic, distance: Array, host_distance: Array) -> None:
        cores, total = len(traffic.host), len(distance)
        self.both = np.zeros((total, total))
        self.both[:cores, :cores] = traffic.between + traffic.between.T
        np.fill_diagonal(self.both, 0)
        host = np.zeros(total)
        host[:cores] = traffic.host
        self.distance, self.host = distance, host[:, None] * host_distance

    def cost(self, place: Array) -> float:
        """Messages x distance of an arrangement."""
        pairs = (self.both * self.distance[np.ix_(place, place)]).sum() / 2
        return float(pairs + self.host[np.arange(len(place)), place].sum())

    def refine(self, start: Array, rng: np.random.Generator) -> Array:
        """Each core in turn makes its best swap, in an order drawn anew, until a whole sweep makes none."""
        place = start.copy()
        # pull[i, p]: what core i would pay at place p, all others where they are
        pull = self.both @ self.distance[place] + self.host
        for _ in range(SWEEPS):
            if not sum(self._swap(int(i), place, pull) for i in rng.permutation(len(place))):
                break
        return place

    def _swap(self, core: int, place: Array, pull: Array) -> bool:
        here, index = int(place[core]), np.arange(len(place))
        change = (
            pull[core, place]
            + pull[:, here]
            - pull[core, here]
            - pull[index, place]
            + 2 * self.both[core] * self.distance[here, place]
        )
        other = int(np.argmin(change))
        if change[other] >= -LEAST * (1 + abs(float(pull[core, here]))):
            return False
        there = int(place[other])
        step = self.distance[there] - self.distance[here]
        weight = self.both[:, core] - self.both[:, other]
        moved = np.flatnonzero(weight)
        pull[moved] += weight[moved, None] * step
        place[core], place[other] = there, here
        return True
