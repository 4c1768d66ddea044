"""How numbers read, the same in the text and on the page."""

from __future__ import annotations

from spikeflow.report.facts import NOT_PUBLISHED, CostFacts, CostLine, RasterFacts, Spread

_PREFIXES = ((1e-12, "p"), (1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, ""), (1e3, "k"), (1e6, "M"))


def percent(fraction: float | None) -> str:
    """``97.40 %``."""
    return "no labels" if fraction is None else f"{100 * fraction:.2f} %"


def count(value: float) -> str:
    """Whole numbers with separators; small ones that are not whole with digits."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


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
    return f"{raster.node}: {len(raster.rows)} of the {raster.fired:,} that spiked, of {raster.neurons:,} neurons"
