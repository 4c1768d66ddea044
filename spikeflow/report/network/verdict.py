"""The verdict: one sentence or two that a person can repeat, each share with its samples and its interval."""

from __future__ import annotations

from spikeflow.report import words
from spikeflow.report.network.facts import ReportFacts


def verdict(facts: ReportFacts) -> str:
    """What the network answers, what mapping left of that, and what it costs against one dense pass."""
    return " ".join(part for part in (_answers(facts), _mapped(facts), energies(facts)) if part)


def _answers(facts: ReportFacts) -> str:
    run = facts.run
    who = f"After {words.ran(run)} the spiking network"
    if run.rmse is not None:
        return f"{who} answers with a {words.answered(run)}."
    if run.accuracy is None:
        many = f"{run.samples:,} sample{'' if run.samples == 1 else 's'}"
        return f"{who} was run on {many} without labels, so its accuracy is not known."
    ann = ""
    if facts.ann is not None:
        ann = f"; the ANN answers {words.percent(facts.ann.accuracy)} of the same samples right"
        ann = (
            ann
            if facts.ann.samples > 1
            else f"; the ANN answers {words.right(facts.ann.accuracy, 1)} of 1 right"
        )
    return f"{who} has an accuracy of {words.accuracy(run.accuracy, run.samples)}{ann}."


def _mapped(facts: ReportFacts) -> str:
    mapped = facts.mapped
    if mapped is None:
        return ""
    cores, chips = len(mapped.cores), mapped.report.chips
    own = (
        ""
        if mapped.run.accuracy is None
        else f", with an accuracy of {words.accuracy(mapped.run.accuracy, mapped.run.samples)}"
    )
    return (
        f"Mapped onto {mapped.report.title} it takes {cores:,} core{'' if cores == 1 else 's'} on {chips} "
        f"chip{'' if chips == 1 else 's'} and answers as before mapping in {words.agreement(mapped)}{own}."
    )


def energies(facts: ReportFacts) -> str:
    """The spiking network's arithmetic against that of one dense pass; empty where one of them is nothing."""
    spiking, dense = (cost.joule for cost in facts.cost)
    if not spiking or not dense:
        return ""
    more = spiking >= dense
    times = spiking / dense if more else dense / spiking
    return (
        f"By arithmetic alone at 45 nm the spiking network takes {words.times(times)} times "
        f"{'the' if more else 'less'} energy {'of' if more else 'than'} one dense pass over the same "
        f"connections ({words.energy(facts.cost[0])} against {words.energy(facts.cost[1])} a sample)."
    )
