"""The estimates of a mapping as costs of one sample, every constant with its source and its mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spikeflow.hw.cost import Estimate, Term
from spikeflow.report.network.facts import ASSUMED, NOT_PUBLISHED, CostFacts, CostLine


def cost_facts(estimate: Estimate, steps: float) -> CostFacts:
    """One model's estimate, from one step to a sample of so many, on average where samples stop early."""
    lines = (*_lines(estimate.energy_terms, "pJ", steps), *_lines(estimate.time_terms, "ns", steps))
    energy, time = estimate.picojoule, estimate.nanosecond
    return CostFacts(
        f"on the chip, by {estimate.model}",
        None if energy is None else 1e-12 * steps * energy,
        None if time is None else 1e-9 * steps * time,
        tuple(lines),
        (
            f"{steps:.4g} steps a sample",
            *estimate.notes,
        ),
        NOT_PUBLISHED if energy is None or time is None else "",
        estimate.bound,
    )


def _lines(terms: Sequence[Term], unit: str, steps: float) -> Iterator[CostLine]:
    for term in terms:
        mark = NOT_PUBLISHED if term.each is None else ASSUMED if term.assumed else ""
        source = "" if term.each is None else term.source
        yield CostLine(term.name.replace("_", " "), term.count * steps, term.each, unit, source, mark)
