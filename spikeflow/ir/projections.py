"""A rule of connectivity: which synapses join some sources with all targets, and their weights and delays.

A rule is a few numbers. Its synapses are drawn for each target from counters of (seed, number of the
projection, target), so whoever needs some targets draws these alone, and reference, engine and every rank
draw the same. Synapse k of a target uses the words 4 k (source), 4 k + 1 (weight) and 4 k + 2 (delay) of the
target's key. ``src/engine/rule.cpp`` mirrors `drawn`.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeflow.counters import Array, bits53, keys, words
from spikeflow.errors import GraphError, SpikeflowWarning
from spikeflow.ir import draw
from spikeflow.ir.limits import LONGEST_DELAY, MAX_ELEMENTS

LEAST_CHANCE = 2.0**-30
_AT_ONCE = 1 << 22  # numbers drawn at once


@dataclass(frozen=True)
class FixedInDegree:
    """Every target has `count` synapses, each from a source drawn alone; all sources differ without
    `multapses`.

    Without `autapses` target i never draws source i.
    """

    count: int
    autapses: bool = True
    multapses: bool = True


@dataclass(frozen=True)
class FixedTotal:
    """`count` synapses in all, each between a source and a target drawn alone; the same pair may come
    twice.
    """

    count: int
    autapses: bool = True


@dataclass(frozen=True)
class Probability:
    """Each pair of source and target is joined with chance `p`, at most once."""

    p: float
    autapses: bool = True


@dataclass(frozen=True)
class OneToOne:
    """Source i is joined with target i."""

    autapses = True


Rule = FixedInDegree | FixedTotal | Probability | OneToOne


@dataclass(frozen=True)
class Normal:
    """mean + deviation z, z standard normal, clipped to [low, high]; a delay is then rounded to whole
    steps (half to even).
    """

    mean: float
    deviation: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "deviation", "low", "high"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))


@dataclass(frozen=True)
class Projection:
    """Synapses by rule from a range of the sources to all targets.

    Parameters
    ----------
    first, sources : the range: the first source, in C order, and how many.
    weight : one number for all, or a distribution.
    delay : whole steps for all, or a distribution that states its lowest and highest.
    seed, number : the counters; two projections of one seed need different numbers, else they draw the same.
    """

    first: int
    sources: int
    rule: Rule
    weight: float | Normal
    delay: int | Normal = 0
    seed: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.weight, str):
            raise GraphError("projection", f"a weight of {self.weight!r}", "a number, or a Normal")
        if not isinstance(self.weight, Normal):
            object.__setattr__(self, "weight", _number("weight", self.weight))
        if not isinstance(self.delay, Normal):
            object.__setattr__(self, "delay", operator.index(self.delay))

    def check(self, name: str, sources: int, targets: int) -> None:
        """Raise GraphError for what cannot be drawn between so many sources and targets."""
        if not (self.first >= 0 and self.sources >= 1 and self.first + self.sources <= sources):
            raise GraphError(
                name,
                f"a projection from sources {self.first} to {self.first + self.sources - 1}, of {sources}",
            )
        if not (0 <= self.number < 2**63 and 0 <= self.seed < 2**63):
            raise GraphError(
                name, f"a projection of seed {self.seed} and number {self.number}", "0 to 2**63 - 1"
            )
        _check_rule(name, self.rule, self.sources, targets)
        _check_weight(name, self.weight)
        _check_delay(name, self.delay)
        if self.expected(targets) > MAX_ELEMENTS:
            raise GraphError(
                name,
                f"a projection of {self.expected(targets):,} synapses; at most {MAX_ELEMENTS:,} are possible",
            )

    def expected(self, targets: int) -> int:
        """How many synapses there are, or with `Probability` are expected."""
        match self.rule:
            case FixedInDegree():
                return self.rule.count * targets
            case FixedTotal():
                return self.rule.count
            case Probability():
                return round(self.rule.p * self.choices * targets)
            case OneToOne():
                return targets

    @property
    def choices(self) -> int:
        """Among how many sources a target chooses."""
        return self.sources - (not self.rule.autapses)

    @property
    def longest(self) -> int:
        """The longest delay that a synapse can have, in steps."""
        return self.delay if isinstance(self.delay, int) else int(self.delay.high or 0)

    @property
    def shortest(self) -> int:
        """The shortest delay that a synapse can have, in steps."""
        return self.delay if isinstance(self.delay, int) else int(self.delay.low or 0)

    @property
    def skip(self) -> float:
        """With `Probability`: 1 / log(1 - p), by which logarithms become gaps between joined sources."""
        if not isinstance(self.rule, Probability) or self.rule.p == 1:
            return 0.0
        return float(1.0 / draw.log(np.array([1.0 - self.rule.p]))[0])


def _number(what: str, given: object) -> float:
    if np.ndim(given):  # type: ignore[arg-type]
        raise GraphError("projection", f"a {what} of {given!r}", "a number, or a Normal; lists by `connect`")
    return float(given)  # type: ignore[arg-type]


def _check_rule(name: str, rule: Rule, sources: int, targets: int) -> None:
    if not isinstance(rule, Rule):
        raise GraphError(name, f"{rule!r} is no rule", "such as FixedInDegree(80) or Probability(0.1)")
    for flag in ("autapses", "multapses"):
        if not isinstance(getattr(rule, flag, True), bool | np.bool_):
            raise GraphError(name, f"{flag}={getattr(rule, flag)!r}", "True or False")
    if not rule.autapses and sources != targets:
        raise GraphError(
            name,
            f"no autapses between {sources} sources and {targets} targets",
            "autapses belong to one population",
        )
    if isinstance(rule, OneToOne) and sources != targets:
        raise GraphError(name, f"one to one between {sources} sources and {targets} targets")
    if isinstance(rule, Probability) and not LEAST_CHANCE <= rule.p <= 1:
        raise GraphError(
            name, f"a chance of {rule.p:g}", "2**-30 to 1; leave out a projection without synapses"
        )
    if isinstance(rule, FixedInDegree | FixedTotal):
        choices = sources - (not rule.autapses)
        distinct = isinstance(rule, FixedInDegree) and not rule.multapses
        if not isinstance(rule.count, int | np.integer):
            raise GraphError(name, f"{rule.count!r} synapses", "a whole number")
        if rule.count < 0 or (distinct and rule.count > choices) or (rule.count and choices < 1):
            raise GraphError(
                name, f"{rule.count} synapses chosen among {choices} sources", "fewer, or multapses"
            )


def tell_beyond(name: str, said: Mapping[str, float | Normal]) -> None:
    """Warn of distributions whose mean lies outside of their bounds: most of what is drawn is a bound."""
    for what, normal in said.items():
        if not isinstance(normal, Normal):
            continue
        low, high = (x if x is not None else normal.mean for x in (normal.low, normal.high))
        if not low <= normal.mean <= high:
            text = f"{name}: {what} of mean {normal.mean:g} between {normal.low} and {normal.high}: "
            text += "most become a bound"
            warnings.warn(f"{text}. Try: all three in one unit", SpikeflowWarning, stacklevel=3)


def _check_weight(name: str, weight: float | Normal) -> None:
    low, high = (weight.low, weight.high) if isinstance(weight, Normal) else (None, None)
    # |z| stays below 9, since its 53 bits do
    size = abs(weight.mean) + 9 * weight.deviation if isinstance(weight, Normal) else abs(weight)
    if not size < float(np.finfo(np.float32).max) or (isinstance(weight, Normal) and weight.deviation < 0):
        raise GraphError(name, f"a weight of {weight} is not a number of float32, or its deviation below 0")
    if low is not None and high is not None and low > high:
        raise GraphError(name, f"weights between {low:g} and {high:g}")


def _check_delay(name: str, delay: int | Normal) -> None:
    if isinstance(delay, int):
        if not 0 <= delay <= LONGEST_DELAY:
            raise GraphError(name, f"a delay of {delay} steps", f"0 to {LONGEST_DELAY}")
        return
    low, high = delay.low, delay.high
    if (
        low is None
        or high is None
        or not 0 <= low <= high <= LONGEST_DELAY
        or low != int(low)
        or high != int(high)
    ):
        raise GraphError(
            name, f"delays from {low} to {high}", f"whole steps `low` and `high`, 0 to {LONGEST_DELAY}"
        )
    if not (abs(delay.mean) < 1e9 and 0 <= delay.deviation < 1e9):
        raise GraphError(name, f"a delay of {delay}")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Synapses by target, in the order of drawing: columns of one length; sources count from the node's
    first.
    """

    target: Array
    source: Array
    weight: Array  # float64, clipped, before it is rounded to float32 or to a code
    delay: Array


def drawn(projection: Projection, targets: int) -> Drawn:
    """The synapses of all targets, int32, int32, float64 and int32."""
    target, k, source = _pairs(projection, targets)
    key = keys(projection.seed, projection.number, target)
    base = k.astype(np.uint64) * np.uint64(4)
    weight = _values(projection.weight, key, base + np.uint64(1))
    delay = np.rint(_values(projection.delay, key, base + np.uint64(2))).astype(np.int32)
    return Drawn(target.astype(np.int32), (projection.first + source).astype(np.int32), weight, delay)


def _values(what: float | Normal, key: Array, index: Array) -> Array:
    if not isinstance(what, Normal):
        return np.full(key.size, float(what))
    low = -np.inf if what.low is None else what.low
    high = np.inf if what.high is None else what.high
    if what.deviation == 0:
        return np.full(key.size, min(max(what.mean, low), high))
    value = what.mean + what.deviation * draw.normal(draw.uniform(bits53(key, index)))
    return np.minimum(np.maximum(value, low), high)


def _pairs(projection: Projection, targets: int) -> tuple[Array, Array, Array]:
    """For each synapse its target, its number at the target, and its source within the range; by target,
    then number.
    """
    rule, choices = projection.rule, projection.choices
    every = np.arange(targets)
    if isinstance(rule, OneToOne):
        return every, np.zeros_like(every), every
    if isinstance(rule, Probability):
        return _shifted(rule, *_by_chance(projection, every))
    if isinstance(rule, FixedInDegree) and not rule.multapses:
        return _shifted(rule, *_distinct(projection, every, rule.count))
    total = isinstance(rule, FixedTotal)
    counts = draw.shares(projection.seed, projection.number, rule.count, targets) if total else rule.count
    target = np.repeat(every, counts)
    k = np.arange(target.size) - np.repeat(np.cumsum(np.broadcast_to(counts, targets)) - counts, counts)
    source = _below(keys(projection.seed, projection.number, target), 4 * k, choices)
    return _shifted(rule, target, k, source)


def _shifted(rule: Rule, target: Array, k: Array, source: Array) -> tuple[Array, Array, Array]:
    """Without autapses a target's own number is passed over."""
    return target, k, source if rule.autapses else source + (source >= target)


def _below(key: Array, index: npt.ArrayLike, choices: int | Array) -> Array:
    """Whole numbers from 0 to choices - 1: 32 bits times choices; each chance is right to 2**-32."""
    high = words(key, index) >> np.uint64(32)
    return ((high * np.asarray(choices, np.uint64)) >> np.uint64(32)).astype(np.int64)


def _by_chance(projection: Projection, every: Array) -> tuple[Array, Array, Array]:
    """Gaps between joined sources are geometric: floor(log(u) / log(1 - p))."""
    found, at, alive, k = [], np.full(every.size, -1.0), every, 0
    key = keys(projection.seed, projection.number, every)
    while alive.size:
        u = draw.uniform(bits53(key[alive], np.uint64(4 * k)))
        at[alive] += 1.0 + np.floor(draw.log(u) * projection.skip)
        alive = alive[at[alive] < projection.choices]
        found.append((alive, np.full(alive.size, k), at[alive].astype(np.int64)))
        k += 1
    target, number, source = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(target, kind="stable")
    return target[order], number[order], source[order]


def _distinct(projection: Projection, every: Array, count: int) -> tuple[Array, Array, Array]:
    """`count` different sources each (Floyd's algorithm): a number that is taken already gives way to the
    newest one.
    """
    choices = projection.choices
    source = np.empty((every.size, count), np.int64)
    block = max(1, _AT_ONCE // choices)
    for first in range(0, every.size, block):
        some = every[first : first + block]
        key, row = keys(projection.seed, projection.number, some), np.arange(some.size)
        taken = np.zeros((some.size, choices), bool)
        for k in range(count):
            newest = choices - count + k
            guess = _below(key, np.uint64(4 * k), newest + 1)
            guess = np.where(taken[row, guess], newest, guess)
            taken[row, guess] = True
            source[some, k] = guess
    return np.repeat(every, count), np.tile(np.arange(count), every.size), source.reshape(-1)
