"""choices: the spiking graph that thresholds and options make, and what others would have made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.passes.balance import balance
from spikeflow.convert.passes.coding import encoded
from spikeflow.convert.passes.observe import Stats
from spikeflow.convert.passes.pools import pooled
from spikeflow.convert.passes.thresholds import Thresholds, percentile_thresholds, with_own
from spikeflow.convert.report import ConversionReport
from spikeflow.convert.verify.answers import Alternatives, in_levels, later, longer
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.record import Network


def balanced(ann: Graph, thresholds: Thresholds, options: ConvertOptions, scale: float) -> Graph:
    """The graph of stage snn."""
    own = with_own(thresholds, ann)
    made = balance(encoded(ann, options.coding), own, options.reset, scale, options.alphabet)
    graph = pooled(made, options.max_pool)
    stages.check(graph, "snn")
    return graph


def made_for(
    ann: Graph, thresholds: Thresholds, report: ConversionReport, network: Network
) -> Callable[[int], Network] | None:
    """What makes the network for so many steps; None where that changes nothing but its end."""
    choose = thresholds.for_steps
    if choose is None:
        return None

    def made(steps: int) -> Network:
        graph = balanced(ann, choose(steps), report.options, report.scale)
        return Network(graph, replace(network.record, steps=steps))

    return made


def alternatives(
    converted: Network, ann: Graph, thresholds: Thresholds, report: ConversionReport, stats: Stats | None
) -> Alternatives:
    """Other choices that may answer better: reset by subtraction, a direct input, the usual percentile,
    the first half of the steps not read, more steps.
    """
    found: dict[str, Callable[[], Network]] = {}
    chosen, record = report.options, converted.record
    if chosen.reset != "subtract":
        other = replace(chosen, reset="subtract")
        found["--reset subtract"] = lambda: Network(balanced(ann, thresholds, other, report.scale), record)
    if chosen.coding != "direct":
        direct = replace(chosen, coding="direct")
        found["--input direct"] = lambda: Network(
            balanced(ann, thresholds, direct, 1.0), replace(record, coding="direct", scale=1.0)
        )
    usual = ConvertOptions().percentile
    if stats is not None and chosen.rule(True) == "percentile" and chosen.percentile < usual:
        found[f"--percentile {usual:g}"] = lambda: Network(
            balanced(ann, percentile_thresholds(stats, usual), chosen, report.scale), record
        )
    more = longer(converted, made_for(ann, thresholds, report, converted))
    return {**found, **in_levels(converted, ann), **later(converted), **more}
