"""auto: the rule, the wake of layers by depth, and the step from which answers are read, chosen by
running them.

Candidates are run for the steps and with the alphabet of the conversion on calibration samples that are
kept apart for choosing: all on the first of these, the nearest few on all of them. The one with the smallest
sum of answers lost and error of the outputs is taken. These samples are a part of those that may set
thresholds: what is held back tests the result alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
from spikeflow.convert.passes.tracking import Pace, tracking_thresholds
from spikeflow.convert.passes.work import samples_tried
from spikeflow.ir import answer
from spikeflow.ir.alphabet import alphabet
from spikeflow.ir.record import Network
from spikeflow.sim.classify import evaluate
from spikeflow.sim.fidelity import compare_outputs
from spikeflow.typing import Array

# steps that a layer wakes behind the one before it
SLOPES = (0.0, 0.25, 0.5, 1.0)
FEWEST, MOST = 16, 64  # samples that the nearest candidates are run on; all of them on the fewest
FINALISTS = 3
# of differential code, from the one that is usual on
PACES = (Pace(), Pace(bits=7), Pace(sure=1.5, bits=7), Pace(bits=13))
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
    rules = _paces(basis) if alphabet(basis.alphabet).differential else _rules(basis, share)
    for name, make in rules:
        search.tries(f"{name}, waking {slope:g} steps a layer", make(), slope)
    # of what is nearest before, and of all steps of the usual rule, which corrections may bring nearer yet
    for tried in (search.best, _Tried(f"percentile {share:g}", usual, 0.0, 0.0, 1.0)):
        if not search.best.thresholds.decay:  # what follows closely has no mean error left to correct
            light = corrected(tried.thresholds, basis, setting)
            search.tries(f"{tried.name}, biases corrected", light, None)
    search.settles()
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


def _paces(basis: Basis) -> Iterator[tuple[str, Callable[[], Thresholds]]]:
    """In differential code: how sure neurons follow each other, and how fast steps grow finer."""
    known = set[tuple[float, float]]()
    for pace in PACES:
        decay = alphabet(basis.alphabet).decay or pace.decay(basis.steps)
        if (pace.sure, decay) not in known:
            known.add((pace.sure, decay))
            name = f"tracking {pace.sure:g} deviations, steps worth {decay:g}^(t - 1)"
            yield name, lambda p=pace: tracking_thresholds(basis, p)


@dataclass(frozen=True, eq=False)
class _Tried:
    """A candidate, and what it came to."""

    name: str
    thresholds: Thresholds
    slope: float
    agreement: float
    error: float
    samples: int = 0

    @property
    def loss(self) -> float:
        """Answers lost, and the error of the outputs, at most 1 each."""
        return 1 - self.agreement + min(self.error, 1.0)


@dataclass(eq=False)
class _Search:
    """Candidates run one after the other on the same first samples, then the best few on all."""

    basis: Basis
    spiking: Callable[[Thresholds], Network]
    x: Array
    tried: list[_Tried] = field(default_factory=list["_Tried"])
    settled: list[_Tried] = field(default_factory=list["_Tried"])
    answers: Mapping[str, Array] = field(default_factory=dict[str, Array])

    def __post_init__(self) -> None:
        self.few = self.x[:FEWEST]
        parts = [outputs_of(self.basis.folded, self.x[i : i + _BATCH]) for i in range(0, len(self.x), _BATCH)]
        self.answers = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    @property
    def best(self) -> _Tried:
        """Of the smallest loss on the most samples; of equals the first."""
        return min(self.settled or self.tried, key=lambda t: t.loss)

    def tries(self, name: str, thresholds: Thresholds, slope: float | None) -> None:
        """Run a candidate on the first samples; without a slope it wakes as it does."""
        if slope is not None:
            thresholds = staggered(thresholds, self.basis.folded, slope, self.basis.steps)
        self.tried.append(self._run(name, thresholds, self.best.slope if slope is None else slope, self.few))

    def settles(self) -> None:
        """Run the best few on all samples, where there are more."""
        if len(self.x) > len(self.few):
            best = sorted(self.tried, key=lambda t: t.loss)[:FINALISTS]
            self.settled = [self._run(t.name, t.thresholds, t.slope, self.x) for t in best]

    def _run(self, name: str, thresholds: Thresholds, slope: float, x: Array) -> _Tried:
        """The step from which answers are read is chosen from the same run."""
        network = self.spiking(replace(thresholds, read_from=0))
        run = evaluate(network, x)
        first = max(thresholds.start.values(), default=0)
        found: list[_Tried] = []
        for moment in _moments(first, run.steps):
            pairs = [
                (o.name, _read(run.outputs[o.name], moment), self.answers[o.node][: len(x)], o.answer)
                for o in network.outputs
            ]
            chosen = replace(thresholds, read_from=moment)
            found.append(_Tried(name, chosen, slope, *_compared(pairs), len(x)))
        return min(found, key=lambda t: t.loss)

    def taken(self) -> Thresholds:
        """The best, with the table of all, each by its run on the most samples."""
        best, again = self.best, {t.name: t for t in self.settled}
        shown: Iterable[_Tried] = (again.get(t.name, t) for t in self.tried)
        table = tuple(
            Candidate(_told(t, self.basis.steps), t.agreement, t.error, t is best, t.samples) for t in shown
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
