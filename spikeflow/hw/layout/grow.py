"""Parts of one population, grown one after the other by the overlap of their input axons.

A part takes in the fan-in group (neurons with equal sources) that shares most axons with it, as many of them
as the exact counts of neurons, axons and memory allow. Overlap-greedy growth on hypergraphs: Ronzani &
Silvano, arXiv:2601.16118.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikeflow.errors import Violation
from spikeflow.hw.layout.budget import Room, Tally, Task
from spikeflow.hw.layout.connectivity import FanIn
from spikeflow.typing import Array

WORK = 400_000_000  # score updates for one population; beyond, the rest goes in the order of the tensor
NEW = 0.25  # how much an axon new to the part counts against one shared with it
MISSES = 4  # groups tried that do not fit any more before a part is closed


@dataclass(frozen=True, eq=False)
class FanInGroups:
    """Groups of neurons with the same sources, and the axons of each group.

    Parameters
    ----------
    order, indptr : group g is the neurons order[indptr[g]:indptr[g + 1]], ascending.
    axon_ptr, axon : distinct axons of each group.
    group_ptr, group : groups of each axon.
    """

    order: Array
    indptr: Array
    axon_ptr: Array
    axon: Array
    group_ptr: Array
    group: Array

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.indptr) - 1

    def axons_of(self, group: int) -> Array:
        """Distinct axons of one group."""
        return self.axon[self.axon_ptr[group] : self.axon_ptr[group + 1]]


def groups_of(fan: FanIn) -> FanInGroups:
    """The groups of a population and the incidence between groups and axons."""
    groups = int(fan.group.max(initial=0)) + 1
    order = np.argsort(fan.group, kind="stable").astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(fan.group, minlength=groups))])
    owner = np.repeat(fan.group, np.diff(fan.indptr)).astype(np.int64)
    key = np.unique(owner * max(1, fan.axons) + fan.axon)
    group, axon = key // max(1, fan.axons), (key % max(1, fan.axons)).astype(np.int32)
    back = np.argsort(axon, kind="stable")
    return FanInGroups(order, indptr, _pointers(group, groups), axon, _pointers(axon, fan.axons), group[back])


def _pointers(owner: Array, count: int) -> Array:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))])


class Growth:
    """Greedy growth of part after part."""

    def __init__(self, task: Task, groups: FanInGroups, room: Room, weight: Array) -> None:
        self.task, self.groups, self.room, self.weight = task, groups, room, weight
        self.left = np.diff(groups.indptr).astype(np.int64)  # neurons not yet in a part
        self.taken = groups.indptr[:-1].copy()  # where each group's rest begins
        self.degree = _sums(weight[groups.axon], groups.axon_ptr)
        self.front = np.zeros(groups.count)  # shared with any part so far
        self.touched = np.zeros(task.fan.axons, bool)
        self.work = 0

    def run(self) -> list[Array] | Violation:
        """All parts, or the violation of a neuron that fits no core."""
        parts: list[Array] = []
        while self.left.any():
            part = self._grow()
            if isinstance(part, Violation):
                return part
            parts.append(np.sort(part))
        return parts

    def _grow(self) -> Array | Violation:
        tally, chosen = self.task.tally(), list[Array]()
        inside = np.zeros(self.task.fan.axons, bool)
        shared = np.zeros(self.groups.count)
        first = group = self._seed()
        misses, open_groups = 0, self.left > 0
        while group >= 0 and misses < MISSES:
            wanted = self._rest(group)
            some = self._fitting(tally, wanted)
            if some:
                chosen.append(wanted[:some])
                self.taken[group] += some
                self.left[group] -= some
                self._spread(shared, inside, self.groups.axons_of(group))
            misses = MISSES if 0 < some < len(wanted) else misses + (some == 0)
            open_groups[group] = False
            group = self._next(shared, open_groups)
        if not chosen:
            return self.task.too_big(int(self._rest(first)[0]))
        self._mark(np.flatnonzero(inside))
        return np.concatenate(chosen)

    def _rest(self, group: int) -> Array:
        """The neurons of a group that are in no part yet."""
        return self.groups.order[self.taken[group] : self.groups.indptr[group + 1]]

    def _seed(self) -> int:
        """The group that the parts so far surround most; at first, the first."""
        score = np.where(self.left > 0, self.front / np.maximum(self.degree, 1e-9), -1.0)
        return int(np.argmax(score))

    def _next(self, shared: Array, open_groups: Array) -> int:
        """The group with most shared and fewest new axons; -1 where none is left."""
        if not open_groups.any():
            return -1
        score = (1 + NEW) * shared - NEW * self.degree
        score = score + 1e-3 * self.front  # among equals the one that would be left alone later
        return int(np.argmax(np.where(open_groups, score, -np.inf)))

    def _spread(self, shared: Array, inside: Array, axons: Array) -> None:
        """Tell the groups that listen to axons new to the part how much they now share with it."""
        new = axons[~inside[axons]]
        inside[new] = True
        self._tell(shared, new)

    def _mark(self, axons: Array) -> None:
        new = axons[~self.touched[axons]]
        self.touched[new] = True
        self._tell(self.front, new)

    def _tell(self, score: Array, axons: Array) -> None:
        begin, length = self.groups.group_ptr[axons], np.diff(self.groups.group_ptr)[axons]
        self.work += int(length.sum())
        if self.work > WORK:
            return
        at = np.repeat(begin - np.cumsum(length) + length, length) + np.arange(int(length.sum()))
        score += np.bincount(self.groups.group[at], np.repeat(self.weight[axons], length), len(score))

    def _fitting(self, tally: Tally, wanted: Array) -> int:
        """How many of these neurons fit, from the first on; they are added."""

        def fits(count: int) -> bool:
            return tally.fits(*self.task.fan.axons_of(wanted[:count]), count, self.room)

        some = largest(fits, min(len(wanted), self.room.neurons - tally.neurons))
        if some:
            tally.add(*self.task.fan.axons_of(wanted[:some]), some)
        return some


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest count up to `most` that fits, 0 if none: all at once, or by halving."""
    if most < 1 or fits(most):
        return max(most, 0)
    low, high = 0, most - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _sums(values: Array, indptr: Array) -> Array:
    running = np.concatenate([[0.0], np.cumsum(values)])
    return running[indptr[1:]] - running[indptr[:-1]]
