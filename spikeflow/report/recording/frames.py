"""Frames of a recording: how many on and off events each pixel had in each step, kept sparse and within a
budget.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spikeflow.events import Events
from spikeflow.typing import Array

BUDGET = 2_400_000  # bytes of all frames once packed
ENTRY = 3  # bytes that an entry takes at least: of its gap, of its on and its off events
MOST = 255  # events of one sign, pixel and step that a packed frame can tell apart


@dataclass(frozen=True, eq=False)
class Frames:
    """Counts of every cell that saw an event.

    Parameters
    ----------
    width, height : in cells.
    cell : pixels along an edge of a cell; more than 1 where all pixels would have taken more than the budget.
    steps : number of frames.
    key : int64, ``(entries,)``, rising: ``(step * height + row) * width + column``.
    on, off : int64, ``(entries,)``, events.
    """

    width: int
    height: int
    cell: int
    steps: int
    key: Array
    on: Array
    off: Array

    def dense(self, step: int, steps: int = 1, shrunk: int = 1) -> Array:
        """Counts of some steps together, ``(2, height, width)``, off then on; `shrunk` by `shrunk` cells as
        one.
        """
        size = self.width * self.height
        first, last = np.searchsorted(self.key, [step * size, (step + steps) * size])
        row, column = np.divmod(self.key[first:last] % size, self.width)
        height, width = -(-self.height // shrunk), -(-self.width // shrunk)
        at = row // shrunk * width + column // shrunk
        # sums in float64 are exact below 2**53
        both = [np.bincount(at, n[first:last], height * width) for n in (self.off, self.on)]
        return np.stack(both).reshape(2, height, width).astype(np.int64)

    def packed(self) -> tuple[bytes, bytes]:
        """Gaps between keys, 7 bits a byte with the low ones first, and counts: a byte of on, a byte of off.

        A set top bit says that the gap goes on; the first gap counts from 0. Counts above `MOST` become it.
        """
        counts = np.minimum(np.column_stack([self.on, self.off]), MOST).astype(np.uint8)
        return _variable(np.diff(self.key, prepend=0)), counts.tobytes()

    def coarser(self) -> Frames:
        """Two by two cells as one."""
        step, at = np.divmod(self.key, self.width * self.height)
        row, column = np.divmod(at, self.width)
        width, height = -(-self.width // 2), -(-self.height // 2)
        key = (step * height + row // 2) * width + column // 2
        key, on, off = _summed(key, self.on, self.off)
        return Frames(width, height, self.cell * 2, self.steps, key, on, off)


@dataclass
class FrameStore:
    """Frames while a recording goes by, piece after piece; coarser as soon as they would not fit."""

    width: int
    height: int
    steps: int
    budget: int = BUDGET
    _cell: int = 1
    _held: list[Frames] = field(default_factory=list)

    def add(self, step: Array, part: Events) -> None:
        """Count these events; `step` is that of each."""
        width, height = self.width, self.height
        key = (step * height + part.y) * width + part.x
        on = part.p.astype(np.int64)
        frames = Frames(width, height, 1, self.steps, *_summed(key, on, 1 - on))
        while frames.cell < self._cell:
            frames = frames.coarser()
        self._held.append(frames)
        if sum(len(held.key) for held in self._held) * ENTRY > self.budget:
            self._held = [self._fitting(self._merged(), exactly=False)]

    def finish(self) -> Frames:
        """All frames, within the budget once packed."""
        return self._fitting(self._merged(), exactly=True)

    def _merged(self) -> Frames:
        first = self._held[0]
        parts = [np.concatenate([getattr(h, name) for h in self._held]) for name in ("key", "on", "off")]
        return Frames(first.width, first.height, first.cell, first.steps, *_summed(*parts))

    def _fitting(self, frames: Frames, exactly: bool) -> Frames:
        def size(frames: Frames) -> int:
            return sum(map(len, frames.packed())) if exactly else ENTRY * len(frames.key)

        while size(frames) > self.budget and frames.width * frames.height > 1:
            frames = frames.coarser()
        self._cell = frames.cell
        return frames


def _summed(key: Array, on: Array, off: Array) -> tuple[Array, Array, Array]:
    if not key.size:
        return key, on, off
    order = np.argsort(key, kind="stable")
    key, on, off = key[order], on[order], off[order]
    first = np.flatnonzero(np.diff(key, prepend=key[0] - 1))
    return key[first], np.add.reduceat(on, first), np.add.reduceat(off, first)


def _variable(gaps: Array) -> bytes:
    length = np.ones(len(gaps), np.int64)
    while (more := gaps >> (7 * length) > 0).any():
        length[more] += 1
    begin = np.cumsum(length) - length
    out = np.empty(int(length.sum()), np.uint8)
    for place in range(int(length.max(initial=0))):
        there = length > place
        byte = gaps[there] >> (7 * place) & 0x7F
        out[begin[there] + place] = byte | np.where(length[there] > place + 1, 0x80, 0)
    return out.tobytes()
