"""convert: a trained network to a spiking one, the passes in their order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from torch import nn

from spikeflow.convert import source as sources
from spikeflow.convert.balance import balance, readout_of
from spikeflow.convert.capture import capture
from spikeflow.convert.coding import encoded
from spikeflow.convert.fold import fold_batch_norm
from spikeflow.convert.observe import Progress, Stats, check_data, observe
from spikeflow.convert.options import ConvertOptions, Settings
from spikeflow.convert.report import ConversionReport, accuracy, final_verdicts, layer_reports
from spikeflow.convert.thresholds import data_free_thresholds, percentile_thresholds
from spikeflow.errors import ConversionError, DataError
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation
from spikeflow.ir.record import Network, RunRecord

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Conversion:
    """A spiking network, what was done to make it, and the graph of stage ann that it came from."""

    network: Network
    report: ConversionReport
    ann: Graph


def convert(
    source: sources.Source,
    x: npt.ArrayLike | None = None,
    y: npt.ArrayLike | None = None,
    options: ConvertOptions = ConvertOptions(),  # noqa: B008  frozen
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> Conversion:
    """Convert a trained network to a spiking one.

    Parameters
    ----------
    source : a torch module, the path of a file, or a traced graph.
    x, y : calibration samples ``(N, *shape)``, prepared as for the network, and their labels if known.
        Without samples the thresholds come from batch norm.
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
    data = None if x is None else _samples(x)
    network = sources.opened(source, options.arch)
    captured = capture(sources.traced(network, data, options.input_shape))
    stages.check(captured.graph, "ann")
    _check_activations(captured.graph)
    difference = _compared(network, captured, data)
    folded = fold_batch_norm(captured.graph)
    stats = None if data is None else observe(folded.graph, data, progress)
    labels = _labels(y, stats)
    thresholds = (
        data_free_thresholds(captured.graph)
        if stats is None
        else percentile_thresholds(stats, options.percentile)
    )
    scale = _scale(options, stats)
    graph = balance(encoded(folded.graph, options.coding), thresholds.values, options.reset, scale)
    stages.check(graph, "snn")
    report = ConversionReport(
        final_verdicts(captured.verdicts, folded.into, graph),
        layer_reports(graph, thresholds, stats),
        options,
        0 if stats is None else stats.samples,
        None if stats is None else accuracy(stats.logits, labels),
        difference,
        scale,
    )
    converted = Network(graph, _record(graph, folded.graph, report))
    converted.check()
    return Conversion(converted, report, folded.graph)


def _samples(x: npt.ArrayLike) -> Array:
    """Calibration samples as an array; what can be said before the network is known."""
    array = np.asarray(x)
    if array.ndim < 2 or len(array) == 0 or array.dtype.kind not in "fiub":
        raise DataError(
            "calibration data",
            f"shape {array.shape} of {array.dtype}",
            "(samples, ...) of numbers, with at least one sample",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError("calibration data", "NaN or infinite values", "finite values")
    return array


def _check_activations(graph: Graph) -> None:
    if not graph.of_kind(Activation):
        raise ConversionError(
            "the network", "has no activation, so nothing in it would spike", "torch.nn.ReLU between layers"
        )


def _compared(network: Any, captured: Any, data: Array | None) -> float | None:
    """How far the graph is from the module; on fixed random samples where no data is given."""
    if not isinstance(network, nn.Module):
        return None
    shape = captured.graph.shapes[captured.graph.inputs[0]]
    samples = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32) if data is None else data
    return sources.compare(network, captured, check_data(captured.graph, samples))


def _labels(y: npt.ArrayLike | None, stats: Stats | None) -> Array | None:
    if y is None:
        return None
    if stats is None:
        raise DataError("labels", "labels without samples", "both or neither")
    labels, classes = np.asarray(y), stats.logits[0].size
    if labels.shape != (stats.samples,) or labels.dtype.kind not in "iu":
        raise DataError(
            "labels", f"{labels.dtype} of shape {labels.shape}", f"whole numbers, {stats.samples} of them"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError("labels", f"{labels.min()} to {labels.max()}", f"0 to {classes - 1}")
    return labels


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


def _record(graph: Graph, ann: Graph, report: ConversionReport) -> RunRecord:
    options = report.options
    how = (
        "batch norm" if report.data_free else f"percentile {options.percentile:g} of {report.samples} samples"
    )
    notes = {"thresholds": how, "reset": options.reset, "conversion": report.to_note()}
    return RunRecord(
        options.steps,
        options.coding,
        report.scale,
        options.seed,
        readout_of(graph),
        ann.shapes[ann.inputs[0]],
        options.labels,
        notes,
    )
