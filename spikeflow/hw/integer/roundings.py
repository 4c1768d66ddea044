"""What rounding and clipping the weights of an edge costs at every scale, measured on calibration data.

At r integers for the real value 1, a weight w becomes ``clip(round(w r), -high, high) / r``. Its neuron's
drive is then off by the sum of these errors times what the sources send: that sum, squared and averaged over
the samples, is the cost. A weight of a source that is silent costs next to nothing, whatever its size; so one
that is larger than all others is clipped where that leaves the others more levels, and kept where that
matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
from scipy import sparse

from spikeflow.hw.integer.incoming import Drive, Float, Incoming, mantissas
from spikeflow.ir.nodes import Sparse

PER_OCTAVE = 4  # scales tried between one and its double
PATIENCE = 2 * PER_OCTAVE  # scales in a row that are worse: a clip that did not pay by then never does
WORSE = 1.1
LOST = 0.1  # share of the cost of leaving out all weights, above which nearly all still round to 0 or to 1
KEPT = 2**18  # means of an edge's sources
LONGEST = 30 * PER_OCTAVE
ALONE = (
    0.5  # share of the cost that counts each weight by itself, so that errors do not only happen to cancel
)
ORDINARY = (
    0.5  # share of the error that rounding makes on average: a scale at which less is measured was lucky
)
# what a silent source counts, as a share of the average one: among equals the smaller clip
SILENT = 1e-12


@dataclass(frozen=True, eq=False)
class Costs:
    """The cost of each group of neurons at each scale.

    Parameters
    ----------
    start : scales ``(groups,)`` at which the largest weight just fits; infinite for a group without weights.
    table : ``(scales, groups)``, mean square error of the drive a step, from `start` on upwards in quarter
        octaves.
    whole : ``(groups,)``, the cost of leaving out all weights.
    rows : the weights that were measured.
    """

    start: Float
    table: Float
    whole: Float
    rows: _Rows

    def measure(self, scale: Float) -> Float:
        """The cost of each group at its scale, ``(groups,)``, measured."""
        return self.rows.cost(scale, np.isfinite(self.start))

    def at(self, scale: Float) -> Float:
        """The cost at these scales, ``(..., groups)``, between the table's by their logarithms."""
        place = PER_OCTAVE * np.log2(np.maximum(scale / self.start, 1e-30))
        last = len(self.table) - 1
        low = np.clip(np.floor(place), 0, max(last - 1, 0)).astype(int)
        share = np.clip(place - low, 0, 1)
        logs, group = np.log(np.maximum(self.table, 1e-300)), np.arange(self.table.shape[1])
        inside = np.exp(logs[low, group] * (1 - share) + logs[np.minimum(low + 1, last), group] * share)
        # below the start nothing is clipped and the steps grow; above the end everything is
        coarser = np.minimum(inside * 4.0 ** (-np.minimum(place, 0) / PER_OCTAVE), self.whole)
        found = np.where(place < 0, coarser, np.where(place > last, np.maximum(inside, self.whole), inside))
        return np.where(np.isfinite(self.start), found, 0.0)


def drive_of(mean: Float, steps: float) -> Drive:
    """From the means ``(samples, sources)`` over so many steps, infinitely many where a source is constant.

    Of many sources the means of some samples are kept.
    """
    power = (mean**2).mean(axis=0) + np.abs(mean).mean(axis=0) / steps
    average = float(power.mean()) if power.size else 0.0
    kept = mean[:: -(-mean.size // KEPT)] if mean.size > KEPT else mean
    return Drive(kept.astype(np.float32), power + (SILENT * average if average > 0 else 1.0))


def costs(edge: Incoming, groups: int) -> Costs:
    """The table of an edge."""
    rows = _rows(edge, groups)
    top = np.zeros(groups)
    np.maximum.at(top, edge.group, np.abs(edge.weight))
    start = np.divide(float(edge.high), top, out=np.full(groups, np.inf), where=top > 0)
    whole = rows.by_group(rows.whole, groups)
    found, best, since = [], np.full(groups, np.inf), np.where(top > 0, 0, PATIENCE)
    while len(found) < LONGEST and (since < PATIENCE).any():
        active = since < PATIENCE
        scale = np.where(active, start, 1.0) * 2.0 ** (len(found) / PER_OCTAVE)
        cost = rows.cost(scale, active)
        cost = np.where(active, cost, found[-1] if found else 0.0)
        since = np.where((cost < WORSE * best) | (best > LOST * whole), 0, since + 1)
        since = np.where(active, since, PATIENCE)
        best = np.minimum(best, cost)
        found.append(cost)
    return Costs(start, np.asarray(found or [np.zeros(groups)]), whole, rows)


class _Rows:
    """The weights of an edge as rows, one for each target or kernel, and what comes to each of their
    columns.
    """

    def __init__(self, edge: Incoming, rows: int, group: npt.NDArray[np.int64]) -> None:
        self.edge, self.group = edge, group
        self.count = rows
        self.spread, self.whole = np.zeros(rows), np.zeros(rows)

    def measured(self) -> _Rows:
        """With what rounding costs at scale 1 on average, and what leaving out all weights costs."""
        every, ones = np.ones(self.count, bool), np.ones(int(self.group.max(initial=0)) + 1)
        self.spread = self._weighed(self.edge.weight != 0)
        self.whole = self._errors(1e-300 * ones, every)
        return self

    def cost(self, scale: Float, active: npt.NDArray[np.bool_]) -> Float:
        """The mean cost of a row of each group that is active, at the groups' scales; 0 for the others."""
        on = active[self.group]
        each = np.zeros(self.count)
        ordinary = ORDINARY / 12 * self.spread[on] * np.minimum(scale[self.group[on]], 1e150) ** -2.0
        each[on] = np.maximum(self._errors(scale, on), np.minimum(ordinary, self.whole[on]))
        return self.by_group(each, len(scale))

    def by_group(self, each: Float, groups: int) -> Float:
        """The mean over the rows of each group."""
        return np.bincount(self.group, each, groups) / np.maximum(
            np.bincount(self.group, minlength=groups), 1
        )

    def _errors(self, scale: Float, on: npt.NDArray[np.bool_]) -> Float:
        raise NotImplementedError

    def _weighed(self, values: npt.NDArray[np.bool_]) -> Float:
        """The sum over each row of values, one a weight, times what their sources send."""
        raise NotImplementedError

    def _off(self, weight: Float, scale: Float) -> Float:
        return mantissas(self.edge, weight, scale) / scale - weight


class _Dense(_Rows):
    """A Linear, or the kernels of a Conv2d, in parts that read different channels."""

    def __init__(self, edge: Incoming) -> None:
        weight = edge.node.weight
        rows = weight.shape[0]
        super().__init__(edge, rows, edge.group.reshape(rows, -1)[:, 0])
        self.weight = edge.weight.reshape(rows, -1)
        samples, columns, taps = len(edge.drive.mean), edge.node.columns, prod(weight.shape[2:])
        self.parts = columns // weight.shape[1]
        mean = edge.drive.mean.reshape(samples, columns, -1).mean(axis=2)
        self.mean = np.repeat(mean, taps, axis=1)
        self.power = np.repeat(edge.drive.power.reshape(columns, -1).mean(axis=1), taps)

    def _errors(self, scale: Float, on: npt.NDArray[np.bool_]) -> Float:
        found, rows, columns = [], self.count // self.parts, self.weight.shape[1]
        for part in range(self.parts):
            mine = slice(part * rows, (part + 1) * rows)
            reads = slice(part * columns, (part + 1) * columns)
            chosen = on[mine]
            off = self._off(self.weight[mine][chosen], scale[self.group[mine][chosen]][:, None])
            # sums over many sources need no more than float32, and take half the time; runaway weights would
            # leave it, so they are counted in a power of 2, which changes no bit
            unit = 2.0 ** max(0, int(np.frexp(np.abs(off).max(initial=0.0))[1]) - 64)
            drive = (off / unit).astype(np.float32) @ self.mean[:, reads].T
            square = np.square(drive, dtype=np.float64).mean(axis=1) * unit**2
            found.append(square + ALONE * (off**2 @ self.power[reads]))
        return np.concatenate(found)

    def _weighed(self, values: npt.NDArray[np.bool_]) -> Float:
        parts = values.reshape(self.parts, self.count // self.parts, -1).astype(np.float64)
        return (parts @ self.power.reshape(self.parts, -1, 1)).reshape(-1)


class _Listed(_Rows):
    """A Sparse: its synapses by source, then target."""

    def __init__(self, edge: Incoming, node: Sparse, groups: int) -> None:
        targets = prod(node.out_shape)
        group = np.arange(targets) * groups // targets
        super().__init__(edge, targets, group)
        self.node = node

    def _errors(self, scale: Float, on: npt.NDArray[np.bool_]) -> Float:
        node, edge = self.node, self.edge
        off = self._off(edge.weight, scale[edge.group])
        size = (self.count, prod(node.in_shape))
        rows = node.targets.astype(np.int64), node.indptr.astype(np.int64)
        matrix = sparse.csc_array((off, *rows), shape=size)
        squares = sparse.csc_array((off**2, *rows), shape=size)
        drive = ((matrix @ edge.drive.mean.T) ** 2).mean(axis=1)
        return (drive + ALONE * (squares @ edge.drive.power))[on]

    def _weighed(self, values: npt.NDArray[np.bool_]) -> Float:
        each = values * self.node.over_columns(self.edge.drive.power)
        return np.bincount(self.node.targets, each, self.count).astype(np.float64)


def _rows(edge: Incoming, groups: int) -> _Rows:
    rows = _Listed(edge, edge.node, groups) if isinstance(edge.node, Sparse) else _Dense(edge)
    return rows.measured()
