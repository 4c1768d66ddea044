"""Moves and swaps between the parts of a population that lower their connectivity and keep every limit.

What moves is a unit: what of a fan-in group lies in one part. A unit leaves with the axons that only it used,
and brings to its new part those that were not there. Bounded by counts, not by time, so that the result is
the same on every machine.
"""

from __future__ import annotations

import numpy as np

from spikeflow.hw.layout.budget import Room, Task
from spikeflow.typing import Array

ROUNDS = 6
TRIES = 3000  # moves and swaps tried in one round
PARTNERS = 6  # partners tried for one swap
WORK = 100_000_000  # (axon of a unit, part) pairs of a round; larger populations keep the greedy parts
LEAST = 1e-9


def refine(task: Task, room: Room, weight: Array, parts: list[Array]) -> list[Array]:
    """The parts after all rounds; never of higher connectivity, never beyond the room."""
    if len(parts) < 2 or int(task.fan.group.max(initial=0)) == 0:
        return parts
    units = _Units(task, room, weight, parts)
    if len(units.axon) * len(parts) > WORK:
        return parts
    for _ in range(ROUNDS):
        if not units.improve():
            break
    return units.parts()


def connectivity(task: Task, weight: Array, parts: list[Array]) -> float:
    """Sum over axons of weight x (parts touched - 1), of one population."""
    touched = np.zeros(task.fan.axons, np.int64)
    for part in parts:
        touched[task.fan.axons_of(part)[0]] += 1
    return float((weight * np.maximum(touched - 1, 0)).sum())


class _Units:
    """Units, where they lie, and the exact use of every part."""

    def __init__(self, task: Task, room: Room, weight: Array, parts: list[Array]) -> None:
        self.task, self.room, self.weight = task, room, weight
        self.tallies = [task.tally(part) for part in parts]
        self.neurons = [
            np.sort(part[task.fan.group[part] == k])
            for part in parts
            for k in np.unique(task.fan.group[part])
        ]
        self.part = np.repeat(np.arange(len(parts)), [len(np.unique(task.fan.group[p])) for p in parts])
        found = [task.fan.axons_of(neurons) for neurons in self.neurons]
        self.pointers = np.concatenate([[0], np.cumsum([len(a) for a, _ in found])])
        self.axon = np.concatenate([a for a, _ in found]).astype(np.int64)
        self.count = np.concatenate([c for _, c in found]).astype(np.int64)

    def parts(self) -> list[Array]:
        """The neurons of each part, ascending; parts that became empty are gone."""
        gathered = [
            [n for n, at in zip(self.neurons, self.part, strict=True) if at == p]
            for p in range(len(self.tallies))
        ]
        return [np.sort(np.concatenate(g)) for g in gathered if g]

    def improve(self) -> bool:
        """One round: the most promising units first, each checked exactly; whether anything changed."""
        gain = self._gains()
        target = np.argmax(gain, axis=1)
        promise = gain[np.arange(len(gain)), target]
        hope = np.array([gain[self.part == q].max(axis=0, initial=-np.inf) for q in range(gain.shape[1])])
        with_partner = promise + np.maximum(hope[target, self.part], 0)
        changed = False
        for unit in np.argsort(-with_partner, kind="stable")[:TRIES]:
            if with_partner[unit] <= LEAST:
                break
            changed |= self._try(int(unit), int(target[unit]), gain)
        return changed

    def _gains(self) -> Array:
        """What moving each unit to each part would save, ``(units, parts)``; its own part is -inf."""
        value = self.weight[self.axon]
        alone = np.empty(len(self.axon), bool)
        cost = np.empty((len(self.part), len(self.tallies)))
        owner = np.repeat(self.part, np.diff(self.pointers))
        for p, tally in enumerate(self.tallies):
            here = tally.counts[self.axon]
            mine = owner == p
            alone[mine] = here[mine] == self.count[mine]
            cost[:, p] = self._total(value * (here == 0))
        gain = self._total(value * alone)[:, None] - cost
        gain[np.arange(len(gain)), self.part] = -np.inf
        return gain

    def _total(self, values: Array) -> Array:
        running = np.concatenate([[0.0], np.cumsum(values)])
        return running[self.pointers[1:]] - running[self.pointers[:-1]]

    def _try(self, unit: int, target: int, gain: Array) -> bool:
        """Move a unit, alone or in exchange for one of the target's; False where nothing helps."""
        home = int(self.part[unit])
        if home == target:
            return False
        saved = self._move(unit, target)
        if saved > LEAST and self.tallies[target].within(self.room):
            return True
        others = np.flatnonzero(self.part == target)
        others = others[others != unit]
        best = others[np.argsort(-gain[others, home], kind="stable")[:PARTNERS]]
        for other in best:
            more = self._move(int(other), home)
            if (
                saved + more > LEAST
                and self.tallies[target].within(self.room)
                and self.tallies[home].within(self.room)
            ):
                return True
            self._move(int(other), target)
        self._move(unit, home)
        return False

    def _move(self, unit: int, target: int) -> float:
        """Move a unit, limits or not; what it saves exactly."""
        where = slice(self.pointers[unit], self.pointers[unit + 1])
        axons, counts, size = self.axon[where], self.count[where], len(self.neurons[unit])
        home = self.tallies[self.part[unit]]
        value = self.weight[axons]
        saved = float(value[home.counts[axons] == counts].sum())
        home.add(axons, -counts, -size)
        saved -= float(value[self.tallies[target].counts[axons] == 0].sum())
        self.tallies[target].add(axons, counts, size)
        self.part[unit] = target
        return saved
