"""Which scale each neuron gets, and which exponent each edge: those of the smallest error on calibration
data.

Costs are mean squares of a neuron's drive error in one step, as shares of its threshold. A neuron that cannot
have the scale it wants, because a register or a threshold does not allow it, takes the nearest that it can
have; its neighbours do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from spikeflow.hw.chips.chip import Formats
from spikeflow.hw.integer.incoming import Incoming
from spikeflow.hw.integer.roundings import PER_OCTAVE, Costs
from spikeflow.typing import Float

ROUNDS = 4
UNUSED = 256.0  # levels to the threshold of a neuron that nothing reaches
COARSER = 10 * PER_OCTAVE  # scales tried below the one at which the largest weight just fits
EXACT = 1.1  # exponents >= 0, whose sums are exact, may cost so much more
EQUAL = 1.02  # of those the smallest exponents, which leave membranes the most room, at so much more
NEAR, NEARER = 4, 12  # scales measured on either side of the best of the table, up to the next of the table
SMALL = 2**14  # weights of a port up to which there is time for more of them
FLOORED = 1 / 3  # mean square of what a floored sum loses in a step
LEFT_OUT = 0.1  # what a neuron has to lose that never spikes, so that its weights are not all rounded to 0
UNEVEN = 1 / 12  # of what rounding loses, where the thresholds of one scale are not all whole


@dataclass(frozen=True, eq=False)
class Bounds:
    """What limits a port's scales besides its weights, each ``(groups,)``.

    Parameters
    ----------
    ceiling : largest scale that biases and registers allow, and that leaves the membranes room.
    floor : scale at which the threshold is the smallest that the chip stores, below which it stays that: the
        neuron's true threshold grows.
    threshold : of the group, in real numbers; 1 where there is none.
    step : the threshold as stored, at scale 1; 0 where a group has several, or none.
    rate : spikes a step, root mean square: what a neuron with a larger threshold has to lose.
    weight : how much a group's error counts beside the others'.
    early : units by which a spike may come before its threshold.
    lowest : the smallest threshold of a group as stored, at scale 1; 0 where there is none.
    """

    ceiling: Float
    floor: Float
    threshold: Float
    step: Float
    rate: Float
    weight: Float
    early: float = 0.0
    lowest: Float = field(default_factory=lambda: np.zeros(1))


@dataclass(frozen=True, eq=False)
class Edge:
    """An edge of the port with its table of costs."""

    incoming: Incoming
    costs: Costs

    def start(self, exponent: int) -> Float:
        """The scales at which the largest weights just fit."""
        return self.costs.start * self.incoming.source * 2.0**exponent

    def cost(self, scale: Float, exponent: int) -> Float:
        """Mean square error of the drive."""
        return self.costs.at(scale / (self.incoming.source * 2.0**exponent))


@dataclass(frozen=True, eq=False)
class Choice:
    """The scales ``(groups,)`` of a port, and the exponent of each of its edges."""

    scale: Float
    exponents: tuple[int, ...]
    cost: float


def choose(edges: Sequence[Edge], bounds: Bounds, formats: Formats) -> Choice:
    """The scales and exponents of smallest error; exponents >= 0, which lose nothing, unless that costs much.

    The first edge's exponent runs over all that the chip has; the others follow it, then each is tried one up
    and one down until nothing improves.
    """
    legal = range(int(formats.exponent_low.value), int(formats.exponent_high.value) + 1)
    found = [_from(first, edges, bounds, legal) for first in (legal if edges else [0])]
    best = min(found, key=lambda c: c.cost)
    exact = [c for c in found if min(c.exponents, default=0) >= 0 and c.cost <= EXACT * best.cost]
    least = min((c.cost for c in exact), default=0.0)
    taken = min((c for c in exact if c.cost <= EQUAL * least), key=lambda c: sum(c.exponents), default=best)
    return _polished(taken, edges, bounds)


def _from(first: int, edges: Sequence[Edge], bounds: Bounds, legal: range) -> Choice:
    exponents = [int(np.clip(first + _apart(edges[0], e), legal[0], legal[-1])) for e in edges]
    best = _priced(exponents, edges, bounds)
    for _ in range(ROUNDS if len(edges) > 1 else 0):
        before = best
        for index in range(1, len(edges)):
            for step in (-1, 1):
                trial = list(best.exponents)
                trial[index] += step
                if trial[index] in legal:
                    best = min(best, _priced(trial, edges, bounds), key=lambda c: c.cost)
        if best is before:
            break
    return best


def _apart(a: Edge, b: Edge) -> int:
    """How many binary places the largest weights of two edges lie apart, in the middle of the groups."""
    first, second = a.start(0), b.start(0)
    both = np.isfinite(first) & np.isfinite(second)
    return int(np.rint(np.median(np.log2(first[both] / second[both])))) if both.any() else 0


def _priced(exponents: Sequence[int], edges: Sequence[Edge], bounds: Bounds) -> Choice:
    scales = _candidates(exponents, edges, bounds)
    cost = np.zeros_like(scales)
    for edge, exponent in zip(edges, exponents, strict=True):
        cost += edge.cost(scales, exponent)
    return _best(scales, cost, exponents, edges, bounds)


def _polished(choice: Choice, edges: Sequence[Edge], bounds: Bounds) -> Choice:
    """The scales beside the chosen ones, measured: rounding a given set of weights is better at some than at
    others.
    """
    count = NEARER if sum(e.incoming.weight.size for e in edges) <= SMALL else NEAR
    near = choice.scale * 2.0 ** (np.arange(-count, count + 1)[:, None] / count / PER_OCTAVE)
    scales = whole(np.minimum(near, bounds.ceiling), bounds)
    cost = np.zeros_like(scales)
    for edge, exponent in zip(edges, choice.exponents, strict=True):
        cost += [edge.costs.measure(s / (edge.incoming.source * 2.0**exponent)) for s in scales]
    return _best(scales, cost, choice.exponents, edges, bounds)


def _best(
    scales: Float, cost: Float, exponents: Sequence[int], edges: Sequence[Edge], bounds: Bounds
) -> Choice:
    """Of scales ``(candidates, groups)`` with the costs of their drives, the best for each group."""
    lost = FLOORED * (min(exponents, default=0) < 0) + UNEVEN * (bounds.step == 0)
    raised = np.maximum(1.0, bounds.floor / scales)
    off = np.sqrt(cost + lost / scales**2) / (bounds.threshold * raised)
    # a neuron that compares with > one unit lower may spike that much too early
    late = bounds.rate * (1 - 1 / raised + bounds.early / np.maximum(scales * bounds.lowest, 1.0))
    all_of_it = sum((e.costs.whole for e in edges), start=np.zeros(len(bounds.ceiling)))
    own = np.sqrt(cost / np.maximum(all_of_it, 1e-300))
    error = np.sqrt(off**2 + late**2 + (LEFT_OUT * own) ** 2)
    best, group = np.argmin(error, axis=0), np.arange(len(bounds.ceiling))
    # errors, not their squares, and large ones by their size only: a neuron that cannot do better does not
    # decide for all the others
    mean = np.average(np.log1p(error[best, group]), weights=bounds.weight)
    return Choice(scales[best, group], tuple(exponents), float(mean))


def _candidates(exponents: Sequence[int], edges: Sequence[Edge], bounds: Bounds) -> Float:
    """Scales to try, ``(candidates, groups)``, from coarse to fine, within bounds and with whole
    thresholds.
    """
    start = np.full(len(bounds.ceiling), np.inf)
    for edge, exponent in zip(edges, exponents, strict=True):
        start = np.minimum(start, edge.start(exponent))
    start = np.where(np.isfinite(start), start, UNUSED / bounds.threshold)
    finer = max((len(e.costs.table) for e in edges), default=1)
    scales = start * 2.0 ** (np.arange(-COARSER, finer)[:, None] / PER_OCTAVE)
    # below the floor weights lose bits and thresholds stay, so no lower than where no weight is clipped
    lowest = np.minimum(bounds.floor, start)
    return whole(np.minimum(np.maximum(scales, lowest), bounds.ceiling), bounds)


def whole(scale: Float, bounds: Bounds) -> Float:
    """The scales, lowered so far that thresholds are whole numbers: nothing is lost by rounding them."""
    levels = np.floor(scale * bounds.step + 1e-9)
    least = np.maximum(1.0, np.rint(bounds.floor * bounds.step))  # a smaller one is not stored
    return np.divide(levels, bounds.step, out=np.array(scale), where=levels >= least)
