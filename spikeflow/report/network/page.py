"""The report as one HTML file that holds everything it shows and fetches nothing."""

from __future__ import annotations

from functools import cache
from pathlib import PurePath
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from spikeflow.report import template, words
from spikeflow.report.network import mesh, pictures, text
from spikeflow.report.network.facts import CoreFacts, ReportFacts
from spikeflow.report.network.verdict import energies, verdict
from spikeflow.report.network.verdicts import over_steps, tables

MAX_CORES = 1024  # rows of the table; the JSON holds all


def to_html(facts: ReportFacts) -> str:
    """The whole page. Names and notes in the facts come from files and are escaped wherever they stand."""
    path = PurePath(facts.made.sources.get("network", ""))
    return _environment().get_template("report.html").render(
        facts=facts,
        name=path.name or f"network {facts.network.digest[:12]}",
        record=tuple(text.record_lines(facts.network)),
        tables=tables(facts.conversion),
        style=Markup(template.piece("style.css")),
        pictures=_pictures(facts),
        cores=_fullest(facts),
        figures=_summary(facts),
        verdict=verdict(facts),
        energies=energies(facts),
    )


def _pictures(facts: ReportFacts) -> dict[str, object]:
    # SVG of our own making; matplotlib escapes the names in it
    found: dict[str, object] = {
        "accuracy": Markup(pictures.accuracy(facts.runs, facts.ann)),
        "fidelity": Markup(pictures.fidelity(over_steps(facts.conversion))),
        "rates": Markup(pictures.rates(facts.layers)),
        "thresholds": Markup(pictures.thresholds(facts.layers)),
        "raster": Markup(pictures.raster(facts.raster)),
        "heat": (),
        "traffic": "",
    }
    if facts.mapped is not None:
        found["heat"] = tuple(Markup(svg) for svg in mesh.heat_maps(facts.mapped))
        found["traffic"] = Markup(mesh.traffic(facts.mapped.mesh))
    return found


def _fullest(facts: ReportFacts) -> tuple[CoreFacts, ...]:
    cores = facts.mapped.cores if facts.mapped else ()
    if len(cores) <= MAX_CORES:
        return cores
    return tuple(sorted(cores, key=lambda c: -max(u.share for u in c.uses))[:MAX_CORES])


def _summary(facts: ReportFacts) -> tuple[tuple[str, str], ...]:
    """The figures at the top: a number, and what it is."""
    found = []
    if facts.ann is not None:
        found.append((_share(facts.ann.accuracy, facts.ann.samples), f"ANN; {_interval(facts.ann.interval)}"))
    for run in facts.runs:
        if run.accuracy is not None and run.interval is not None:
            what = f"{run.title}, {words.ran(run).rstrip(',')}; {_interval(run.interval)}"
            found.append((_share(run.accuracy, run.samples), what))
        elif run.rmse is not None:
            found.append((f"{run.rmse:.4g}", f"root mean squared error in the units of y, {run.title}"))
    found.append((words.count(facts.run.synaptic_operations), "synaptic operations a sample"))
    if facts.mapped is not None:
        cores, cost = len(facts.mapped.cores), facts.mapped.costs[0]
        found.append((f"{cores:,}", f"core{'s' if cores != 1 else ''} of {facts.mapped.report.title}"))
        if cost.joule is not None:
            found.append((words.energy(cost), "energy a sample, estimated"))
        if cost.second is not None:
            found.append((words.time(cost).replace("at least", "≥"), "time a sample, estimated"))
    return tuple(found)


def _share(share: float, samples: int) -> str:
    return f"{words.right(share, samples)} of {samples:,}"


def _interval(interval: tuple[float, float]) -> str:
    return f"accuracy with 95 % confidence between {100 * interval[0]:.1f} and {100 * interval[1]:.1f} %"


@cache
def _environment() -> Environment:
    made = template.environment().overlay()
    # jinja types its own filters, which take one value
    filters: dict[str, Any] = {
        "count": words.count,
        "percent": words.percent,
        "shape": words.shape,
        "spread": words.spread,
        "rate": words.rate,
        "quantity": words.quantity,
        "constant": words.constant,
        "overflow": words.overflow,
        "shown": words.shown,
        "energy": words.energy,
        "time": words.time,
        "answered": words.answered,
        "accuracy": words.accuracy,
        "agreement": words.agreement,
    }
    made.filters = {**made.filters, **filters}
    return made
