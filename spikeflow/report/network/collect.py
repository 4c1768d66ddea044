"""collect: run a network, and its mapping where there is one, and gather what a report says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from spikeflow.ir.answer import CLASS, SIGN
from spikeflow.ir.record import Network
from spikeflow.report.network.conventions import convention_costs
from spikeflow.report.network.facts import AnnFacts, MadeFacts, MappedFacts, ReportFacts
from spikeflow.report.network.layers import layer_facts, network_facts, run_facts
from spikeflow.report.network.raster import raster_facts
from spikeflow.report.network.verdicts import read_conversion
from spikeflow.samples import Samples
from spikeflow.sim import ENGINES
from spikeflow.sim.classify import Evaluation, RunOptions, classify
from spikeflow.sim.joined import taken
from spikeflow.typing import Progress
from spikeflow.version import __version__

if TYPE_CHECKING:
    from spikeflow.hw.chips.chip import Chip
    from spikeflow.hw.tables.mapping import Mapping as ChipMapping


@dataclass(frozen=True)
class ReportOptions:
    """How the runs are made, and what the report says of its own making.

    Parameters
    ----------
    steps : None takes the number in the run record.
    sources : what was read, by what it is: ``{"network": "net.h5"}``.
    date : of the report; None takes now.
    chip : of the mapping; needed only where it is none of ours.
    output : the output that answers, by name, where the network has several.
    """

    engine: str = ENGINES[0]
    threads: int = 0
    steps: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    date: str | None = None
    chip: Chip | None = None
    output: str = ""


def collect(
    network: Network,
    samples: Samples,
    mapping: ChipMapping | None = None,
    ann: AnnFacts | None = None,
    options: ReportOptions = ReportOptions(),
    progress: Progress | None = None,
) -> ReportFacts:
    """Run everything on the samples and gather the facts.

    Parameters
    ----------
    mapping : is run in integers on the same samples, rebuilt from its tables.
    ann : the accuracy of the network before conversion on these samples, where it was measured.

    Raises
    ------
    DataError
        Where samples do not fit the network, and where the mapping was made from another one.
    """
    if mapping is not None:
        from spikeflow.hw.tables.origin import check_origin

        check_origin(network, mapping)
    samples = taken(network, samples)
    run = RunOptions(options.engine, options.threads, steps=options.steps, output=options.output)
    evaluation = classify(network, samples, run, progress)
    layers = layer_facts(network.graph, evaluation)
    facts = run_facts("spiking network", network, evaluation, samples.y)
    conversion = read_conversion(network.record.notes)
    mapped = None
    if mapping is not None:
        from spikeflow.report.network.hardware import chip_of, mapped_facts

        chip = options.chip or chip_of(mapping)
        mapped = mapped_facts(mapping, chip, samples, run, evaluation, progress)
    return ReportFacts(
        _made(options),
        network_facts(network),
        layers,
        facts,
        ann,
        conversion,
        raster_facts(network, samples, options.engine, options.steps),
        _sample(network, samples, evaluation, facts.kind),
        convention_costs(layers),
        mapped,
        (*_other_ann(network, ann), *_warnings(evaluation, mapped)),
    )


def _other_ann(network: Network, ann: AnnFacts | None) -> tuple[str, ...]:
    """What is to be told where the ANN is not the one that the network was converted from."""
    noted = network.record.notes.get("ann", "")
    if ann is None or not ann.digest or not noted or ann.digest == noted:
        return ()
    return (
        "the ANN is not the network that this one was converted from, or was saved in another form, so their "
        "accuracies may be those of two networks. Try: --ann with the file that was converted",
    )


def _warnings(evaluation: Evaluation, mapped: MappedFacts | None) -> tuple[str, ...]:
    """Of both runs, and what was told when the network was mapped; each once."""
    found = [*evaluation.warnings]
    if mapped is not None:
        found += mapped.warnings
        loss = mapped.report.loss
        found += [f"when it was mapped: {text}" for text in (loss.warnings if loss else ())]
    return tuple(dict.fromkeys(found))


def _made(options: ReportOptions) -> MadeFacts:
    date = options.date or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return MadeFacts(__version__, date, options.engine, dict(options.sources))


def _sample(network: Network, samples: Samples, evaluation: Evaluation, kind: str) -> dict[str, str]:
    """The first sample in words: its number, and where one class answers it the answer and the label."""
    if kind not in (CLASS, SIGN):
        return {"sample": "0"}
    answer = {"sample": "0", "answer": _label(network, int(evaluation.predictions()[0]))}
    if samples.y is None:
        return answer
    return {**answer, "label": _label(network, int(np.ravel(samples.y[0])[0]))}


def _label(network: Network, number: int) -> str:
    labels = network.record.labels
    return f"{number} ({labels[number]})" if number < len(labels) else str(number)
