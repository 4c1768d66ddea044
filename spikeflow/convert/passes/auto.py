"""auto: the rule, the wake of layers by depth, and the step from which answers are read, chosen by
running them.

Candidates are run for the steps and with the alphabet of the conversion on calibration samples that are
kept apart for choosing; the one with the smallest sum of answers lost and error of the outputs is taken.
These samples are a part of those that may set thresholds: what is held back tests the result alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from spikeflow.convert.passes.by_depth import latest, staggered
from spikeflow.convert.passes.forward import outputs_of
from spikeflow.convert.passes.least_error import least_error_thresholds
from spikeflow.convert.passes.light import corrected
from spikeflow.convert.passes.local import local_thresholds
from spikeflow.convert.passes.thresholds import (
    Basis,
    Candidate,
    Thresholds,
    data_free_thresholds,
    percentile_thresholds,
    share_above,
)
from spikeflow.convert.passes.work import samples_tried
from spikeflow.ir import answer
from spikeflow.ir.alphabet import alphabet
from spikeflow.ir.record import Network
from spikeflow.sim.classify import evaluate
from spikeflow.sim.fidelity import compare_outputs
from spikeflow.typing import Array

# steps that a layer wakes behind the one before it
SLOPES = (0.0, 0.25, 0.5, 1.0)
FEWEST, MOST = 16, 64  # samples that candidates are run on
# times the largest step: a neuron that hands on its largest value in every step cannot catch up
ROOM = (1.25, 1.5)
_BATCH = 32


def auto_thresholds(basis: Basis) -> Thresholds:
    """The best of the candidates; without samples to choose on, thresholds from batch norm."""
    if basis.stats is None or basis.samples is None or basis.spiking is None:
        return data_free_thresholds(basis.graph)
    choosing, setting = _parts(basis)
    search = _Search(basis, basis.spiking, choosing)
    share = 100 * (1 - share_above(basis.steps, basis.alphabet))
    usual = percentile_thresholds(basis.stats, share)
    for slope in _slopes(basis):
        search.tries(f"percentile {share:g}, waking {slope:g} steps a layer", usual, slope)
    slope = search.best.slope
    for name, make in _rules(basis, share):
        search.tries(f"{name}, waking {slope:g} steps a layer", make(), slope)
    # of what is nearest before, and of all steps of the usual rule, which corrections may bring nearer yet
    for tried in (search.best, _Tried(f"percentile {share:g}", usual, 0.0, 0.0, 1.0)):
        light = corrected(tried.thresholds, basis, setting)
        search.tries(f"{tried.name}, biases corrected", light, None)
    return search.taken()


def _slopes(basis: Basis) -> tuple[float, ...]:
    """Values below 0 take back what the first steps got wrong, and layers that wake late lose steps for that;
    changes that arrive before they wake would be lost.
    """
    letters = alphabet(basis.alphabet)
    if basis.steps == 1 or letters.differential:
        return SLOPES[:1]
    return SLOPES[:2] if letters.signed else SLOPES


def _rules(basis: Basis, share: float) -> Iterator[tuple[str, Callable[[], Thresholds]]]:
    """Rules that are compared at the best wake."""
    stats = basis.observed("auto")
    for percentile in (100 - (100 - share) / 4, 100 - 2.5 * (100 - share)):
        yield f"percentile {percentile:g}", lambda p=percentile: percentile_thresholds(stats, p)
    yield "least-error", lambda: least_error_thresholds(basis)
    yield "local", lambda: local_thresholds(basis)
    for room in ROOM if alphabet(basis.alphabet).high > 1 else ():
        usual = percentile_thresholds(stats, share)
        yield f"percentile {share:g}, {room:g} times as large", lambda r=room, u=usual: u.times(r)


@dataclass(frozen=True, eq=False)
class _Tried:
    """A candidate, and what it came to."""

    name: str
    thresholds: Thresholds
    slope: float
    agreement: float
    error: float

    @property
    def loss(self) -> float:
        """Answers lost, and the error of the outputs, at most 1 each."""
        return 1 - self.agreement + min(self.error, 1.0)


@dataclass(eq=False)
class _Search:
    """Candidates run one after the other on the same samples."""

    basis: Basis
    spiking: Callable[[Thresholds], Network]
    x: Array
    tried: list[_Tried] = field(default_factory=list["_Tried"])
    answers: Mapping[str, Array] = field(default_factory=dict[str, Array])

    def __post_init__(self) -> None:
        parts = [outputs_of(self.basis.folded, self.x[i : i + _BATCH]) for i in range(0, len(self.x), _BATCH)]
        self.answers = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    @property
    def best(self) -> _Tried:
        """Of the smallest loss; of equals the first."""
        return min(self.tried, key=lambda t: t.loss)

    def tries(self, name: str, thresholds: Thresholds, slope: float | None) -> None:
        """Run a candidate; the step from which its answers are read is chosen from the same run."""
        if slope is not None:
            thresholds = staggered(thresholds, self.basis.folded, slope, self.basis.steps)
        network = self.spiking(replace(thresholds, read_from=0))
        run = evaluate(network, self.x)
        first = max(thresholds.start.values(), default=0)
        found: list[_Tried] = []
        for moment in _moments(first, run.steps):
            pairs = [
                (o.name, _read(run.outputs[o.name], moment), self.answers[o.node], o.answer)
                for o in network.outputs
            ]
            agreement, error = _compared(pairs)
            chosen = replace(thresholds, read_from=moment)
            found.append(_Tried(name, chosen, self.tried_slope(slope), agreement, error))
        self.tried.append(min(found, key=lambda t: t.loss))

    def tried_slope(self, slope: float | None) -> float:
        """The wake of a candidate, that of the best so far where it keeps it."""
        return self.best.slope if slope is None else slope

    def taken(self) -> Thresholds:
        """The best, with the table of all."""
        best = self.best
        table = tuple(
            Candidate(_told(t, self.basis.steps), t.agreement, t.error, t is best) for t in self.tried
        )
        return replace(best.thresholds, candidates=table)


def _told(tried: _Tried, steps: int) -> str:
    first = tried.thresholds.read_from
    return f"{tried.name}, the first {first} of {steps} steps not read" if first else tried.name


def _moments(first: int, steps: int) -> list[int]:
    """Steps from which answers may be read: eighths of the run, none before the last layer wakes."""
    last = max(latest(steps), first)
    return sorted({max(first, min(k * steps // 8, last)) for k in range(8)})


def _read(sums: Array, moment: int) -> Array:
    """The mean output of the steps from a moment on, of the sums after every step ``(T, N, *shape)``."""
    before = sums[moment - 1].astype(np.float64) if moment else 0.0
    return (sums[-1] - before) / (len(sums) - moment)


def _compared(pairs: list[tuple[str, Array, Array, str]]) -> tuple[float, float]:
    """The lowest agreement and the largest error of all outputs."""
    found = [
        compare_outputs(name, got.reshape(ref.shape), ref, answer.kind_of(ref.shape[1:], said))
        for name, got, ref, said in pairs
    ]
    return min(f.agreement for f in found), max(f.error or 0.0 for f in found)


def _parts(basis: Basis) -> tuple[Array, Array]:
    """Samples to choose on, and samples for corrections; the same where there are too few for both."""
    assert basis.samples is not None
    size = samples_tried(basis.folded, basis.steps, FEWEST, MOST)
    x = basis.samples
    if len(x) < 2 * FEWEST:
        return x[:size], x[:size]
    half = min(size, len(x) // 2)
    return x[:half], x[half : 2 * half]
