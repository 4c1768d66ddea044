"""finetune: a converted network trained on at its few steps, the ANN that it came from as its teacher."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from spikeflow.convert import capture_trained
from spikeflow.convert.passes.units import rescaled, thresholds_of, unit_thresholds
from spikeflow.convert.pipeline import Conversion
from spikeflow.convert.verify.answers import Case, verify, warn
from spikeflow.convert.verify.calibrated import Calibration, calibrated
from spikeflow.convert.verify.layer_errors import layer_errors
from spikeflow.convert.verify.read_out import settled
from spikeflow.errors import ConversionError, DataError
from spikeflow.flows.by_rates import ByRates, goes_by_rates
from spikeflow.flows.taught import Taught, Teaching, counted_steps, parted
from spikeflow.ir.graph import Graph
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.record import Network
from spikeflow.neurons.graph_net import GraphNet
from spikeflow.neurons.surrogate import Triangle
from spikeflow.train.augment import Augment
from spikeflow.train.batches import Splits
from spikeflow.train.history import Epoch
from spikeflow.train.inside import neurons
from spikeflow.train.loop import Session, fit
from spikeflow.train.recipe import Distillation, Loss, Optimiser, Recipe, Schedule

RATES, STEPS = GRADIENTS = ("rates", "steps")


@dataclass(frozen=True)
class Finetune:
    """How a converted network is trained on.

    Parameters
    ----------
    epochs : over nine tenths of the calibration samples that set thresholds; the others select the epoch.
    rate : of Adam, at its highest; it rises and falls once (one cycle).
    temperature : of the teacher's answers, in units of its logits.
    labels : share of the loss that labels have, where the samples have any; the rest is the teacher's.
    augment : what is done to training samples, `train.augment`; the ANN answers to what came of it.
    layers : how much it counts that layers spike as often as the ANN's are active, `train.loss.layers`.
    gradient : "rates", through the mean over the steps (`flows.by_rates`), or "steps", through each of them,
        which takes twice as long. Networks whose layers wake late, and neurons that reset to zero, are
        trained by steps in any case.
    """

    epochs: int = 10
    rate: float = 1e-3
    batch_size: int = 32
    seed: int = 0
    temperature: float = 2.0
    labels: float = 0.0
    augment: Augment = Augment()
    layers: float = 1.0
    gradient: str = "rates"

    @property
    def teaching(self) -> Teaching:
        """What batches are made for."""
        return Teaching(self.batch_size, self.seed, self.augment, bool(self.labels), bool(self.layers))

    def __post_init__(self) -> None:
        if self.gradient not in GRADIENTS:
            raise DataError("fine-tuning: gradient", repr(self.gradient), f"one of {', '.join(GRADIENTS)}")


@dataclass(frozen=True, eq=False)
class Finetuned:
    """What came of it: the conversion with its new network, every epoch, and which one was selected.

    Parameters
    ----------
    before : share of the selecting samples that were answered rightly before; where no epoch does as well,
        the network is the one that was given.
    samples : how many were trained on, and how many selected the epoch.
    """

    conversion: Conversion
    history: tuple[Epoch, ...]
    best: int
    before: float
    samples: tuple[int, int]

    @property
    def after(self) -> float:
        """The same share with the selected epoch."""
        return self.history[self.best - 1].valid_accuracy

    def to_json(self) -> dict[str, Any]:
        """Facts for machines."""
        trained, selecting = self.samples
        facts = {
            "epochs": len(self.history),
            "selected": self.best,
            "before": self.before,
            "after": self.after,
        }
        return {**facts, "samples": trained, "selecting": selecting}

    def to_text(self) -> str:
        """In words."""
        trained, selecting = self.samples
        return (
            f"fine-tuned: {len(self.history)} epochs of {trained} samples; of {selecting} others "
            f"{100 * self.before:.2f} % were answered rightly before, {100 * self.after:.2f} % after epoch "
            f"{self.best}"
        )


def finetune(
    conversion: Conversion,
    x: object,
    y: object = None,
    options: Finetune = Finetune(),
    session: Session = Session(),  # noqa: B008  frozen
    forecast: Callable[[float], None] | None = None,
) -> Finetuned:
    """Train a converted network at its own number of steps to answer as its ANN does, layer by layer.

    Loss: K^2 KL(softmax(ANN / K) | softmax(SNN / K)) of the mean outputs, K the temperature, and over layers
    the mean of |r - clip(a / theta, 0, 1)|^2 relative to the size of the second, r the share of steps with a
    spike, a the ANN's activation. By back-propagation through the mean over the steps (`flows.by_rates`), or
    through all steps with triangular surrogates as wide as a threshold. Trained are weights and biases, with
    all potentials counted in thresholds; so thresholds are trained, too.

    Sources: distillation, Hinton, Vinyals, Dean 2015, arXiv 1503.02531; layers that follow, Romero et al.,
    ICLR 2015, arXiv 1412.6550; training what was converted, Rathi et al., ICLR 2020.

    Parameters
    ----------
    conversion : of binary neurons, read directly, one output of classes.
    x, y : the calibration samples of the conversion, whatever ``samples.samples_of`` takes. The quarter that
        is held back from thresholds is held back here, too: on it the result is compared with the ANN.
    session : where checkpoints are written, and whether to go on from them, as `train.loop.fit` says.
    forecast : called once with the seconds that all epochs are expected to take, from one batch.

    Raises
    ------
    ConversionError
        For a conversion that cannot be trained: other neurons, other codings than direct, outputs that are no
        classes.
    DataError
        For fewer samples than can be trained on and selected by.
    TrainingError, FileError
        As `fit`.
    """
    network = conversion.network
    _check(conversion)
    steps_first = conversion.report.options.preprocessing
    calibration = calibrated(x, y, InputRecord("", network.record.coding, preprocessing=steps_first))
    if calibration is None:
        raise DataError("calibration data", "none", "the samples of the conversion")
    thetas = thresholds_of(network.graph)
    recipe = _recipe(options, counted_steps(network), calibration.y is not None)
    splits = parted(conversion, calibration, options.teaching)
    torch.manual_seed(options.seed)
    net = _trainable(unit_thresholds(network.graph), options)
    if forecast is not None:
        forecast(_seconds(net, splits.train, options.epochs))
    same = {"graph": network.graph.digest, "train": splits.train.digest, "valid": splits.valid.digest}
    same["gradient"] = RATES if isinstance(net, ByRates) else STEPS
    fitted = fit(net, Splits(splits.train, splits.valid), recipe, replace(session, same=same))
    before, after = splits.valid.right(network), fitted.history[fitted.best - 1].valid_accuracy
    chosen, kept = network.graph, before > after
    if not kept:
        plain = GraphNet(unit_thresholds(network.graph))
        plain.load_state_dict(fitted.net.state_dict())
        trained = capture_trained(plain, steps=network.record.steps).graph
        chosen = rescaled(trained, {n: theta.astype(np.float64) for n, theta in thetas.items()})
    made = _verified(conversion, chosen, calibration, _told(before, after) if kept else ())
    return Finetuned(
        made, fitted.history, fitted.best, before, (len(splits.train.arrays.x), len(splits.valid.arrays.x))
    )


def _trainable(graph: Graph, options: Finetune) -> GraphNet:
    """The network with thresholds of 1, its gradient that of rates where it has them."""
    if options.gradient == RATES and goes_by_rates(graph):
        return ByRates(graph)
    net = GraphNet(graph)
    for layer in neurons(net).values():
        layer.derivative = Triangle()
    return net


def _check(conversion: Conversion) -> None:
    network = conversion.network
    record = network.record
    if record.coding != "direct":
        raise ConversionError("--finetune", f"inputs of {record.coding} coding", "--input direct")
    if len(network.graph.inputs) != 1:
        raise ConversionError("--finetune", "a network of several inputs", "a network of one input")
    if record.read_from:
        reason = f"answers that are read from step {record.read_from} on, and it trains on all"
        raise ConversionError("--finetune", reason, "--read-from 0, and a --method other than auto")
    if len(network.outputs) != 1 or len(network.graph.shapes[network.graph.outputs[0]]) != 1:
        raise ConversionError(
            "--finetune", "the network has no single output of classes", "a network that classifies"
        )
    if network.graph.shapes[network.graph.outputs[0]][0] < 2:
        raise ConversionError(
            "--finetune", "the network answers with one number", "a network of two classes or more"
        )


def _recipe(options: Finetune, counted: int, labelled: bool) -> Recipe:
    """The read-out adds up so many steps: a temperature counts as often, and a loss as its square."""
    if options.labels and not labelled:
        raise DataError("--finetune-labels", options.labels, "0 where samples have no labels", "labels (y)")
    size = float(counted**2)
    teacher = Distillation(
        "the ANN", 1 - options.labels, options.temperature * counted, options.layers * size
    )
    return Recipe(
        options.epochs,
        options.seed,
        loss=Loss(reading="last"),
        optimiser=Optimiser(rate=options.rate, clip=size),
        schedule=Schedule("one_cycle"),
        distillation=teacher,
    )


def _seconds(net: GraphNet, batches: Taught, epochs: int) -> float:
    """What all epochs are expected to take: the second batch taught, forwards and back, times all batches."""
    coming = batches.epoch(0)
    spent, start = 0.0, time.perf_counter()
    for _ in range(min(2, len(batches))):
        start = time.perf_counter()
        batch = next(coming)
        found, _ = net(batch.x, record=tuple(batch.layers))
        outputs = next(iter(found.values())) if batch.layers else found
        outputs[-1].sum().backward()
        spent = time.perf_counter() - start
    net.zero_grad(set_to_none=True)
    return spent * len(batches) * epochs


def _told(before: float, after: float) -> tuple[str, ...]:
    return (
        f"no epoch of fine-tuning does as well as the network before ({100 * after:.2f} against "
        f"{100 * before:.2f} % of the samples that select); it is left as it was. Try: another rate, or more "
        "epochs",
    )


def _verified(
    conversion: Conversion, graph: Graph, calibration: Calibration, told: tuple[str, ...]
) -> Conversion:
    """The conversion with another network: its exit, errors and agreement, all measured anew on the samples
    held back.
    """
    report, ann, held = conversion.report, conversion.ann, calibration.held_back
    case = Case(Network(graph, replace(conversion.network.record, exit=None)), ann, held, {})
    made, read = settled(case, replace(report.options, until="", read_from=0))
    fidelity, of_run = verify(replace(case, network=made))
    report = replace(
        report,
        fidelity=fidelity,
        read_out=replace(report.read_out, exit=read.exit, identity=read.identity),
        errors=layer_errors(made, ann, held, report.options),
        warnings=(*told, *of_run),
    )
    warn(report.warnings)
    notes = {**made.record.notes, "conversion": report.to_note()}
    made = replace(made, record=replace(made.record, notes=notes))
    made.check()
    return replace(conversion, network=made, report=report)
