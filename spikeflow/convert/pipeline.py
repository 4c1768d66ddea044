"""convert: a trained network to a spiking one, the passes in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np

from spikeflow.convert.capture.traced import Captured, capture
from spikeflow.convert.choices import alternatives, balanced, made_for
from spikeflow.convert.known import Known
from spikeflow.convert.load import several
from spikeflow.convert.load import source as sources
from spikeflow.convert.options import ConvertOptions, Settings
from spikeflow.convert.passes.balance import readout_of
from spikeflow.convert.passes.differences import ready
from spikeflow.convert.passes.fold import fold_batch_norm
from spikeflow.convert.passes.methods import METHODS
from spikeflow.convert.passes.observe import Progress, Stats, check_data, observe
from spikeflow.convert.passes.pools import behind_neurons
from spikeflow.convert.passes.silent import silenced, silent_layers
from spikeflow.convert.passes.thresholds import Basis, Thresholds, with_own
from spikeflow.convert.report import ConversionReport, final_verdicts, layer_reports, settled_report
from spikeflow.convert.rules import with_modules
from spikeflow.convert.trace.atengraph import AtenGraph
from spikeflow.convert.trace.forecast import expect_room
from spikeflow.convert.trace.usual import as_usual
from spikeflow.convert.verify.answers import Case, verify, warn
from spikeflow.convert.verify.calibrated import Calibration, calibrated
from spikeflow.convert.verify.compare import compare
from spikeflow.convert.verify.layer_errors import layer_errors
from spikeflow.errors import ConversionError, DataError
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.nodes import Activation, Shape
from spikeflow.ir.record import Network, RunRecord
from spikeflow.sim.fidelity import Fidelity
from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class Conversion:
    """A spiking network, what was done to make it, and the graph of stage ann that it came from."""

    network: Network
    report: ConversionReport
    ann: Graph

    @property
    def fidelity(self) -> Fidelity:
        """How the spiking network answers the held-back samples, against the ANN."""
        return self.report.fidelity

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was told."""
        return self.report.warnings


@as_usual
def convert(
    source: sources.Source,
    x: object = None,
    y: object = None,
    options: ConvertOptions = ConvertOptions(),  # noqa: B008  frozen
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> Conversion:
    """Convert a trained network to a spiking one.

    Parameters
    ----------
    source : a torch module, the path of a file, or a traced graph.
    x, y : calibration samples ``(N, *shape)``, before `preprocessing`, and their labels if known; whatever
        ``samples.samples_of`` takes.
        Without samples the thresholds come from batch norm. A quarter, chosen by a hash of each sample, sets
        no threshold: on these the result is run and compared with the ANN.
    progress : called with (samples done, samples) while activations are observed.
    settings : fields of `ConvertOptions` by name; they come before `options`.

    Raises
    ------
    UnsupportedLayer, ConversionError
        For what cannot be converted; each names the module and what would help.
    DataError
        For calibration data that is empty, not finite or of the wrong shape.
    FileError, UnsafeFile
        For a file that cannot be opened safely.
    """
    options = replace(options, **settings)
    calibration = calibrated(x, y, InputRecord("", options.coding, preprocessing=options.preprocessing))
    network, opening = sources.opened_with_warnings(source, options.arch, _sample(calibration, options))
    captured, difference = _captured(several.joined(network, _parts(calibration)), calibration, options)
    ann = ready(captured.graph, options.alphabet)
    folded = fold_batch_norm(ann)
    stats = None if calibration is None else observe(folded.graph, calibration.setting, progress)
    known = Known.of(calibration, stats, captured.outputs, options)
    scale, quiet = _scale(options, stats), silenced(folded.graph, stats)
    thresholds = _thresholds(ann, folded.graph, known, options, scale)
    graph = balanced(quiet, thresholds, options, scale)
    report = ConversionReport(
        captured.verdicts,
        layer_reports(graph, thresholds, stats),
        options,
        0 if stats is None else stats.samples,
        known.ann_accuracy(),
        difference,
        scale,
    )
    case = Case(Network(graph, _record(graph, folded.graph, report, known)), folded.graph, known.held_back)
    case = replace(case, for_steps=made_for(quiet, thresholds, report, case.network))
    converted, report, thresholds = settled_report(case, report, thresholds, stats)
    others = alternatives(converted, quiet, thresholds, report, known.stats)
    fidelity, of_run = verify(replace(case, network=converted, alternatives=others), progress)
    errors = layer_errors(converted, folded.graph, known.held_back, options)
    of_run = (*opening, *known.warnings(captured, options), *report.read_out.warnings, *of_run)
    verdicts = final_verdicts(captured.verdicts, folded.into, converted.graph, silent_layers(stats))
    report = replace(report, verdicts=verdicts, fidelity=fidelity, errors=errors, warnings=of_run)
    warn(report.warnings)
    made = replace(converted, record=_record(graph, folded.graph, report, known))
    return Conversion(_parted(made, calibration), report, folded.graph)


def _parted(made: Network, calibration: Calibration | None) -> Network:
    """The finished network, checked, with an Input for each of several inputs."""
    made.check()
    return several.parted(made, _parts(calibration))


def _parts(calibration: Calibration | None) -> Mapping[str, Shape]:
    """The inputs of the samples by name, where they are of several."""
    return {} if calibration is None else calibration.samples.parts


def _sample(calibration: Calibration | None, options: ConvertOptions) -> Shape | None:
    """The shape of the samples that the network will get, where it is known."""
    return options.input_shape if calibration is None else calibration.samples.x.shape[1:]


def _captured(
    network: Any, calibration: Calibration | None, options: ConvertOptions
) -> tuple[Captured, float]:
    """The graph of stage ann, and how far its answers are from the network's."""
    data = None if calibration is None else calibration.samples.x
    aten = sources.traced(with_modules(network, options.rules), data, options.input_shape)
    expect_room(aten)
    captured = capture(aten, options.approximate, options.rules)
    stages.check(captured.graph, "ann")
    _check_activations(behind_neurons(captured.graph))
    return captured, _compared(network, aten, captured, data)


def _thresholds(ann: Graph, folded: Graph, known: Known, options: ConvertOptions, scale: float) -> Thresholds:
    quiet = silenced(folded, known.stats)

    def spiking(thresholds: Thresholds) -> Network:
        graph, shape = balanced(quiet, thresholds, options, scale), folded.shapes[folded.inputs[0]]
        coding, outputs = options.coding, known.outputs
        record = RunRecord(options.steps, coding, scale, options.seed, input_shape=shape, outputs=outputs)
        return Network(graph, record)

    setting = None if known.calibration is None else known.calibration.setting
    given = ann, folded, known.stats, setting, options.percentile, options.steps, options.alphabet
    found = with_own(METHODS[options.rule(known.stats is not None)](Basis(*given, spiking)), folded)
    # how answers are read is settled behind this where that was asked for
    asked = options.read_from or options.until or options.exit is not None
    return replace(found, read_from=0) if asked else found


def _check_activations(graph: Graph) -> None:
    if not graph.of_kind(Activation):
        raise ConversionError(
            "the network", "has no activation, so nothing in it would spike", "torch.nn.ReLU between layers"
        )


def _compared(network: Any, aten: AtenGraph, captured: Captured, data: Array | None) -> float:
    """How far the graph is from the network; on fixed random samples where no data is given."""
    shape = captured.graph.shapes[captured.graph.inputs[0]]
    samples = np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32) if data is None else data
    return compare(network, aten, captured, check_data(captured.graph, samples))


def _scale(options: ConvertOptions, stats: Stats | None) -> float:
    """The value of one input spike in every step: given, or the largest magnitude of the data, or 1."""
    if options.coding == "direct":
        return 1.0
    if stats is not None and options.coding == "rate" and stats.low < 0:
        raise DataError(
            "calibration data", f"a value of {stats.low:g} with rate coding", "values >= 0", "--input onoff"
        )
    if options.scale is not None:
        return options.scale
    largest = 1.0 if stats is None else max(stats.high, -stats.low)
    return float(np.float32(largest)) if largest > 0 else 1.0


def _record(graph: Graph, ann: Graph, report: ConversionReport, known: Known) -> RunRecord:
    options, stats, answering = report.options, known.stats, known.answering
    how = options.threshold_words(report.samples)
    notes = {"thresholds": how, "reset": options.reset, "conversion": report.to_note(), "ann": ann.digest}
    entry = ann.inputs[0]
    prepared = (InputRecord(entry, preprocessing=options.preprocessing),) if options.preprocessing else ()
    return RunRecord(
        options.steps,
        options.coding,
        report.scale,
        options.seed,
        "" if answering is None else readout_of(graph, answering.node),
        ann.shapes[entry],
        options.labels,
        notes,
        known.outputs,
        () if known.calibration is None else known.calibration.parts.digests,
        () if stats is None else (stats.low, stats.high),
        prepared,
        report.read_from,
        report.read_out.rule,
    )
