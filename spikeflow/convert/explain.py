"""explain: what a conversion would do with every operation, and what it would take, without converting."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any, Unpack

import numpy as np

from spikeflow.convert.capture.builder import REFUSED, Captured, Verdict, refusal_of
from spikeflow.convert.capture.traced import capture, surveyed
from spikeflow.convert.load import several
from spikeflow.convert.load import source as sources
from spikeflow.convert.options import ConvertOptions, Settings
from spikeflow.convert.outputs import described
from spikeflow.convert.passes.balance import balance, readout_of
from spikeflow.convert.passes.coding import encoded
from spikeflow.convert.passes.differences import ready
from spikeflow.convert.passes.fold import Folded, fold_batch_norm
from spikeflow.convert.passes.observe import BINS, batch_size, observe
from spikeflow.convert.passes.pools import pooled
from spikeflow.convert.passes.thresholds import data_free_thresholds, percentile_thresholds
from spikeflow.convert.report import final_verdicts, verdict_table
from spikeflow.convert.rules import with_modules
from spikeflow.convert.trace.atengraph import AtenGraph
from spikeflow.convert.trace.usual import as_usual
from spikeflow.convert.verify.answers import VERIFIED
from spikeflow.convert.verify.calibrated import Calibration, calibrated
from spikeflow.errors import ConversionError, SpikeflowError
from spikeflow.ir.graph import Graph
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.nodes import Activation
from spikeflow.ir.record import Network, RunRecord
from spikeflow.sim import forecast
from spikeflow.sim.classify import RunOptions, evaluate
from spikeflow.typing import Array

TRIED, MANY = 8, 64  # samples on which the forecast is measured: those that are run, those only observed
LONG_ENOUGH_S = 0.2
_VALUE, _COUNT = 4, 8  # bytes
_COPIES = 3  # of the values of a batch that are held at once: a layer's own, what it reads, its statistics


@dataclass(frozen=True)
class Forecast:
    """What a conversion and a run would take, from a trial on a few samples; seconds and bytes.

    Parameters
    ----------
    convert_s, convert_bytes : of the conversion with the rule for thresholds that takes percentiles; a
        search (`--method auto`, advice where answers differ) takes a few times as long.
    run_s, run_bytes : of one sample over all steps; samples on several cores run beside each other.
    steps, samples : of a run, and calibration samples, which these figures are for.
    """

    convert_s: float
    convert_bytes: int
    run_s: float
    run_bytes: int
    steps: int
    samples: int

    def __str__(self) -> str:
        return (
            f"forecast (measured on {TRIED} samples): the conversion takes about {self.convert_s:.1f} s and "
            f"{self.convert_bytes / 1e6:,.0f} MB for {self.samples} calibration samples; a run of "
            f"{self.steps} steps {1000 * self.run_s:.3g} ms and {self.run_bytes / 1e6:,.1f} MB a sample"
        )


@dataclass(frozen=True)
class Explanation:
    """What would become of every operation.

    Parameters
    ----------
    verdicts : in the order of the user's operations; what concerns the network as a whole comes last.
    forecast : None where something is refused.
    """

    verdicts: tuple[Verdict, ...]
    forecast: Forecast | None

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """Those that would stop the conversion."""
        return tuple(verdict for verdict in self.verdicts if verdict.word == REFUSED)

    def to_json(self) -> dict[str, Any]:
        """The same facts as plain values."""
        return {
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "refused": len(self.refused),
            "forecast": None if self.forecast is None else asdict(self.forecast),
        }

    def to_text(self) -> str:
        """The same facts as text for people."""
        count = len(self.refused)
        stops = f"{count} of {len(self.verdicts)} operations refused: nothing would be converted"
        end = stops if count else "nothing is refused"
        told = [] if self.forecast is None else [str(self.forecast)]
        return "\n".join([*verdict_table(self.verdicts), "", end, *told])


@as_usual
def explain(
    source: sources.Source,
    x: object = None,
    options: ConvertOptions = ConvertOptions(),  # noqa: B008  frozen
    **settings: Unpack[Settings],
) -> Explanation:
    """Look at every operation of a trained network as `convert` would, and forecast what it takes.

    All refusals are told in one table. Nothing is calibrated and nothing compared; a few samples (of `x`, or
    random ones) are run to measure the forecast.

    Parameters
    ----------
    source, x, options, settings : as for `convert`.

    Raises
    ------
    FileError, UnsafeFile, DataError, ConversionError
        For a file, samples or options that cannot be read at all.
    """
    options = replace(options, **settings)
    entering = InputRecord("", options.coding, preprocessing=options.preprocessing)
    calibration = calibrated(x, None, entering)
    data = None if calibration is None else calibration.samples.x
    shape = options.input_shape if data is None else data.shape[1:]
    network, _ = sources.opened_with_warnings(source, options.arch, shape)
    network = several.joined(network, {} if calibration is None else calibration.samples.parts)
    aten = sources.traced(with_modules(network, options.rules), data, options.input_shape)
    verdicts, captured = _looked_at(aten, options)
    if captured is None:
        return Explanation(verdicts, None)
    graph = ready(captured.graph, options.alphabet)
    try:
        described(captured.outputs, options, None)
        folded, made = _tried(graph, options)
        if options.rule(calibration is not None) == "batch-norm":
            data_free_thresholds(graph)
        verdicts = final_verdicts(captured.verdicts, folded.into, made)
        found = _measured(folded.graph, calibration, options)
    except SpikeflowError as error:
        return Explanation(_with(verdicts, error), None)
    return Explanation(verdicts, found)


def _looked_at(aten: AtenGraph, options: ConvertOptions) -> tuple[tuple[Verdict, ...], Captured | None]:
    """The verdict of every operation, and the graph where none is refused."""
    try:
        survey = surveyed(aten, options.approximate, options.rules)
        if survey.refusals:
            return survey.told(), None
        captured = capture(aten, options.approximate, options.rules)
    except SpikeflowError as error:
        return _with((), error), None
    return captured.verdicts, captured


def _with(verdicts: tuple[Verdict, ...], *errors: SpikeflowError) -> tuple[Verdict, ...]:
    """The verdicts with refusals that came later: of an operation in its place, of the whole at the end."""
    for error in errors:
        name = getattr(error, "layer", "") or getattr(error, "node", "") or "the network"
        refusal = Verdict(name, "", refusal_of(error, name))
        at = next((i for i, verdict in enumerate(verdicts) if name in (verdict.node, verdict.module)), None)
        if at is None:
            verdicts = (*verdicts, refusal)
        else:
            own = replace(verdicts[at], verdict=refusal.verdict)
            verdicts = (*verdicts[:at], own, *verdicts[at + 1 :])
    return verdicts


def _tried(graph: Graph, options: ConvertOptions) -> tuple[Folded, Graph]:
    """The passes that may still refuse, on thresholds of 1."""
    folded = fold_batch_norm(graph)
    names = folded.graph.of_kind(Activation)
    if not names:
        reason = "has no activation, so nothing in it would spike"
        raise ConversionError("the network", reason, "torch.nn.ReLU between layers")
    ones = {name: np.ones(folded.graph.shapes[name][0], np.float32) for name in names}
    ready = encoded(folded.graph, options.coding)
    made = balance(ready, ones, options.reset, alphabet=options.alphabet)
    return folded, pooled(made, options.max_pool)


def _measured(ann: Graph, calibration: Calibration | None, options: ConvertOptions) -> Forecast:
    """The forecast, from what a few samples and steps take."""
    shape = ann.shapes[ann.inputs[0]]
    x = np.random.default_rng(0).random((TRIED, *shape), np.float32)
    x = x if calibration is None else np.resize(calibration.samples.x[:TRIED], x.shape)
    setting, held = (0, 0) if calibration is None else map(len, (calibration.setting, calibration.held_back))
    several = np.resize(x, (max(1, min(setting, MANY, batch_size(ann, MANY))), *shape))
    observed = observe(ann, x)  # the first time torch makes itself ready
    _, seconds = _timed(lambda: observe(ann, several))
    graph = balance(encoded(ann, "direct"), percentile_thresholds(observed))
    network = Network(graph, RunRecord(options.steps, readout=readout_of(graph), input_shape=shape))
    step_s = _step_s(network, x, options.steps)
    needs = forecast.needs(graph)
    return Forecast(
        seconds * setting / len(several) + step_s * options.steps * min(held, VERIFIED),
        _bytes(ann, setting) + (0 if calibration is None else calibration.samples.x.nbytes),
        step_s * options.steps * min(len(os.sched_getaffinity(0)), TRIED),
        needs.ready + needs.under_way(options.steps),
        options.steps,
        setting + held,
    )


def _step_s(network: Network, x: Array, steps: int) -> float:
    """Seconds that a step of a sample takes, from a run that is long enough to be timed."""
    tried = 1
    while True:
        _, seconds = _timed(lambda now=tried: evaluate(network, x, RunOptions(steps=now)))
        if seconds >= LONG_ENOUGH_S or tried >= steps:
            return seconds / tried / len(x)
        tried = min(4 * tried, steps)


def _bytes(ann: Graph, samples: int) -> int:
    """Of the weights, of a batch's largest layers while they are observed, and of their counts."""
    names = ann.of_kind(Activation)
    at_once = batch_size(ann, samples)
    largest = max(prod(ann.shapes[name]) for name in ann.nodes)
    counts = 2 * _COUNT * BINS * sum(ann.shapes[name][0] for name in names)
    weights = sum(array.nbytes for array in _arrays(ann))
    return _COPIES * (weights + _VALUE * at_once * largest) + counts


def _arrays(graph: Graph) -> Iterator[Array]:
    for node in graph.nodes.values():
        for value in vars(node).values():
            if isinstance(value, np.ndarray):
                yield value


def _timed(work: Any) -> tuple[Any, float]:
    begun = time.perf_counter()
    return work(), time.perf_counter() - begun
