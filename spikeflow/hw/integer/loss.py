"""Loss: what a network lost on its way into integers, layer by layer and in its answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spikeflow.calibration import Split
from spikeflow.errors import Agreement, LossError
from spikeflow.hw.integer.quantisation import LayerReport, Quantisation
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.nodes import Node, Population
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions, evaluate
from spikeflow.sim.fidelity import (
    LEAST,
    Fidelity,
    LayerFidelity,
    compare_layer,
    compare_outputs,
    fidelity_warnings,
    where_lost,
)
from spikeflow.sim.spike_counts import samples_counted, spike_counts
from spikeflow.typing import Array

REFERENCE = "the float network"
MEASURED = 200  # held-back samples that are run at most
ZEROED = 0.05  # share of a layer's weights that became 0, above which that is named as the cause


@dataclass(frozen=True)
class LayerLoss:
    """One population in integers.

    Parameters
    ----------
    weight_error : of its edges the largest root mean square error of the weights, relative to their own.
    zeroed, weights : weights that were not 0 and became 0, and all that were not 0.
    thresholds : smallest and largest as the chip stores them; none for a read-out.
    rate, rate_fixed : spikes a neuron and step in float and in integers, on the samples that set the scales.
    correlation : Pearson's, of the spike counts on held-back samples with those in float; None for a
        read-out, for a layer that is constant, and where nothing was held back.
    low_clips, overflows : values that a membrane's low end clipped, and those that any other overflow
        changed.
    """

    name: str
    weight_error: float
    zeroed: int
    weights: int
    thresholds: tuple[int, int] | None
    rate: float
    rate_fixed: float
    correlation: float | None
    low_clips: int
    overflows: int


@dataclass(frozen=True)
class Loss:
    """A network in integers against the same in floats.

    Parameters
    ----------
    fidelity : on samples that set neither thresholds nor scales.
    calibrated : samples that set scales.
    """

    fidelity: Fidelity
    layers: tuple[LayerLoss, ...]
    calibrated: int
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "fidelity": self.fidelity.to_json(),
            "layers": [asdict(layer) for layer in self.layers],
            "calibrated": self.calibrated,
            "warnings": list(self.warnings),
        }

    def to_text(self) -> str:
        """The same for people."""
        lines = [str(self.fidelity), f"layers in integers (scales from {self.calibrated} samples):"]
        return "\n".join([*lines, *map(_line, self.layers)])


def _line(layer: LayerLoss) -> str:
    theta = (
        "" if layer.thresholds is None else f", thresholds {layer.thresholds[0]:,} to {layer.thresholds[1]:,}"
    )
    # the values of a read-out are no spikes, so they have no rate
    rates = (
        ""
        if layer.thresholds is None
        else f", rate {layer.rate:.4f} in floats and {layer.rate_fixed:.4f} in integers"
    )
    alike = "" if layer.correlation is None else f", correlation {layer.correlation:.4f}"
    clips = f", {layer.low_clips:,} clips at the low end" if layer.low_clips else ""
    over = f", {layer.overflows:,} values changed by overflow" if layer.overflows else ""
    return (
        f"  {layer.name}: weight error {100 * layer.weight_error:.2f} %, {layer.zeroed:,} of "
        f"{layer.weights:,} weights became 0{theta}{rates}{alike}{clips}{over}"
    )


def measure_loss(network: Network, found: Quantisation, fixed: Network, x: Array, parts: Split) -> Loss:
    """Run both networks on the held-back samples.

    Parameters
    ----------
    network : the float network as the user gave it.
    found, fixed : its quantisation, and the integer network that is to be mapped.
    x, parts : the calibration samples, and which of them set the scales.
    """
    held = x[parts.held_back][:MEASURED]
    fidelity = _fidelity(network, fixed, held) if len(held) else Fidelity(REFERENCE, 0, network.record.steps)
    layers = tuple(_layer(report, found.network, fidelity) for report in found.layers)
    warnings = (*found.warnings, *fidelity_warnings(fidelity, _hint(fidelity, layers)))
    return Loss(fidelity, layers, len(parts.setting), tuple(dict.fromkeys(warnings)))


def _fidelity(network: Network, fixed: Network, x: Array) -> Fidelity:
    before, after = evaluate(network, x), evaluate(fixed, x)
    outputs = []
    for output in network.outputs:
        name = output.name
        ours, theirs = after.in_units(output=name), before.in_units(output=name)
        outputs.append(compare_outputs(name, ours, theirs, before.kind(name)))
    first = network.outputs[0].name
    over = {
        str(t): compare_outputs(
            "", after.in_units(t, first), before.in_units(t, first), before.kind(first)
        ).agreement
        for t in sorted({2**k for k in range(after.steps.bit_length())} | {after.steps})
    }
    return Fidelity(REFERENCE, len(x), after.steps, tuple(outputs), _layers(network, fixed, x), over)


def _layers(network: Network, fixed: Network, x: Array) -> tuple[LayerFidelity, ...]:
    """The spiking populations that both networks have, in order."""
    names = tuple(n for n in network.graph.of_kind(Population) if _spikes(network, n) and _spikes(fixed, n))
    few = x[: samples_counted(network, names, len(x))]
    before, after = (spike_counts(n, few, names, RunOptions()) for n in (network, fixed))
    return tuple(compare_layer(n, after[n], before[n], network.record.steps) for n in names)


def _spikes(network: Network, name: str) -> bool:
    node = network.graph.nodes.get(name)
    return isinstance(node, Population) and node.spikes


def _layer(report: LayerReport, fixed: Network, fidelity: Fidelity) -> LayerLoss:
    kept = sum(_nonzero(fixed.graph.nodes[edge.name]) for edge in report.edges)
    seen = {layer.name: layer.correlation for layer in fidelity.layers}
    return LayerLoss(
        report.name,
        report.error,
        report.zeroed,
        kept + report.zeroed,
        report.thresholds,
        report.rate,
        report.rate_fixed,
        seen.get(report.name),
        report.low_clips,
        report.overflows,
    )


def _nonzero(node: Node) -> int:
    weight = getattr(node, "weight", None)
    return int(np.count_nonzero(weight.values)) if isinstance(weight, Quantised) else 0


def refuse_loss(chip: str, loss: Loss, least: float) -> None:
    """Raise LossError where the interval of the agreement lies below `least`."""
    worst = loss.fidelity.worst
    if worst is None or worst.high >= least:
        return
    layer = loss.fidelity.first_lost()
    measured = Agreement(worst.agreement, worst.low, worst.high, loss.fidelity.samples)
    named = ("" if layer is None else layer.name, where_lost(loss.fidelity))
    raise LossError(chip, measured, least, named, _hint(loss.fidelity, loss.layers))


def _hint(fidelity: Fidelity, layers: tuple[LayerLoss, ...]) -> str:
    """What would help, from what was lost where."""
    lost = fidelity.first_lost()
    name = lost.name if lost is not None else ""
    layer = next((x for x in layers if x.name == name), None)
    if layer is None or (lost is not None and (lost.correlation or 0.0) >= LEAST):
        return (
            "more steps, or training that sets the classes further apart: every layer keeps its spikes, but "
            "the answers lie closer together than the chip's integers tell apart"
        )
    if layer.rate == 0:
        return f"calibration samples that make {name} spike"
    if layer.overflows:
        return f"fewer steps, or smaller weights into {name}: its registers overflow"
    if layer.zeroed > ZEROED * max(layer.weights, 1):
        return (
            f"training with weight decay: the weights into {name} differ too much in size for the chip's bits"
        )
    return "more steps, so that a spike more or less counts for less"
