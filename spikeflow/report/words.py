"""How numbers read, the same in the text and on the page."""

from __future__ import annotations

from spikeflow.ir.interval import of_samples
from spikeflow.ir.interval import shown as shown_share
from spikeflow.report.network.facts import (
    NOT_PUBLISHED,
    CostFacts,
    CostLine,
    MappedFacts,
    RasterFacts,
    RunFacts,
    Spread,
)

_PREFIXES = ((1e-12, "p"), (1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, ""), (1e3, "k"), (1e6, "M"))


def percent(fraction: float | None) -> str:
    """``97.40 %``."""
    return "no labels" if fraction is None else f"{100 * fraction:.2f} %"


def accuracy(fraction: float | None, samples: int) -> str:
    """``97.40 % of 1,000 samples (95 % interval 96.2 to 98.2 %)``."""
    return "no labels" if fraction is None else of_samples(fraction, samples)


def right(fraction: float, samples: int) -> str:
    """How many samples that are: ``389``; of maps, places counted as parts of their sample."""
    value = fraction * samples
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-6 else f"{value:,.1f}"


def answered(run: RunFacts) -> str:
    """How well a run answers: its accuracy with its interval, or the error of its values."""
    if run.rmse is not None:
        share = "not defined" if run.r2 is None else f"{run.r2:.4f}"
        return (
            f"root mean squared error {run.rmse:.6g} in the units of y, R2 {share}, on "
            f"{run.samples:,} samples"
        )
    return "no labels" if run.accuracy is None else f"accuracy {accuracy(run.accuracy, run.samples)}"


def ran(run: RunFacts) -> str:
    """``64 steps``, or how many where samples stop early."""
    steps = f"{run.steps} step{'' if run.steps == 1 else 's'}"
    return steps if run.exit is None else f"{run.exit.mean_steps:.1f} steps on average, at most {run.steps},"


def over_steps(run: RunFacts) -> str:
    """What is told for each number of steps."""
    return "root mean squared error" if run.rmse_over_steps else f"right of {run.samples:,}"


def at(run: RunFacts, steps: int) -> str:
    """How well a run answers after so many steps."""
    if steps in run.rmse_over_steps:
        return f"{run.rmse_over_steps[steps]:.6g}"
    return right(run.accuracy_over_steps[steps], run.samples)


def agreement(mapped: MappedFacts) -> str:
    """``99.00 % (95 % interval 94.6 to 99.8 %) of 100 samples``, and why it may be 0."""
    found = mapped.agreement
    why = ", as it gives one class to all of them" if found.constant else ""
    tied = f", {percent(found.tied)} of them left undecided" if found.tied else ""
    return (
        f"{shown_share(found.agreement, (found.low, found.high))} of {mapped.run.samples:,} "
        f"samples{why}{tied}"
    )


def count(value: float) -> str:
    """Whole numbers with separators; small ones that are not whole with digits."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def times(factor: float) -> str:
    """Two digits, or a whole number from 10 on."""
    return f"{factor:.2g}" if factor < 10 else f"{factor:,.0f}"


def rate(value: float | None) -> str:
    """Spikes per neuron and step."""
    return "" if value is None else f"{value:.4f}"


def shape(value: tuple[int, ...]) -> str:
    """``16×8×8``."""
    return "×".join(map(str, value)) if value else "scalar"


def spread(value: Spread | None) -> str:
    """``0.31 / 0.52 / 0.87``; one number where all are equal."""
    if value is None:
        return ""
    return " / ".join(number(v) for v in dict.fromkeys((value.low, value.median, value.high)))


def number(value: float) -> str:
    """Four digits, or all of a whole number."""
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def quantity(value: float | None, unit: str, mark: str = NOT_PUBLISHED) -> str:
    """``1.24 µJ``, or the mark where there is no value."""
    if value is None:
        return mark or NOT_PUBLISHED
    value = float(f"{value:.3g}")  # rounded first: 0.9999 s is 1 s, not 1e+03 ms
    if value == 0:
        return f"0 {unit}"
    factor, prefix = next(((f, p) for f, p in reversed(_PREFIXES) if abs(value) >= f), _PREFIXES[0])
    return f"{value / factor:.3g} {prefix}{unit}"


def constant(line: CostLine) -> str:
    """The energy or the time of one operation, as its source gives it."""
    return line.mark or NOT_PUBLISHED if line.each is None else f"{line.each:g} {line.unit}"


def energy(cost: CostFacts) -> str:
    """The energy of a sample."""
    return quantity(cost.joule, "J", cost.mark)


def time(cost: CostFacts) -> str:
    """The time of a sample, ``at least`` where it is a bound."""
    return ("at least " if cost.bound and cost.second is not None else "") + quantity(
        cost.second, "s", cost.mark
    )


def overflow(registers: dict[str, int]) -> str:
    """``v: 12, u: 3``, or ``none``."""
    return ", ".join(f"{name}: {n:,}" for name, n in sorted(registers.items())) or "none"


def shown(raster: RasterFacts) -> str:
    """Which neurons of a raster one sees."""
    return (
        f"{raster.node}: {len(raster.rows)} of the {raster.fired:,} that spiked, of "
        f"{raster.neurons:,} neurons"
    )
