"""agreement: a converted network against the one it came from, on samples: answers, rates, correlation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

from spikeflow.convert.outputs import ann_accuracy
from spikeflow.convert.passes.observe import Progress, check_data
from spikeflow.convert.pipeline import Conversion
from spikeflow.convert.trace.usual import as_usual
from spikeflow.convert.verify.answers import alike, ann_outputs, layers_against, moments
from spikeflow.errors import DataError
from spikeflow.ir.graph import Graph
from spikeflow.ir.interval import of_samples, shown, wilson
from spikeflow.ir.record import Network
from spikeflow.samples import samples_of
from spikeflow.sim.classify import Evaluation, RunOptions, classify
from spikeflow.sim.joined import taken
from spikeflow.typing import Array

COMPARED = 16  # samples whose every spike is compared with the activations
_BATCH = 100


@dataclass(frozen=True)
class LayerAgreement:
    """One spiking layer: spikes per neuron and step, and Pearson's correlation with the activations.

    The correlation is over all neurons of a few samples; None where one side is constant.
    """

    name: str
    rate: float
    correlation: float | None


@dataclass(frozen=True)
class Agreement:
    """Answers of both networks.

    Parameters
    ----------
    over_steps : for each number of steps the fraction of samples answered as by the ANN (`sim.fidelity`); of
        several outputs the lowest.
    accuracy_over_steps : for each number of steps the accuracy; empty without labels, and for values.
    """

    samples: int
    ann_accuracy: float | None
    over_steps: Mapping[int, float]
    accuracy_over_steps: Mapping[int, float]
    layers: tuple[LayerAgreement, ...]

    def to_json(self) -> dict[str, Any]:
        """The same facts as plain values."""
        return asdict(self)

    def to_text(self) -> str:
        """The same facts as text for people."""
        n = self.samples
        ann = "" if self.ann_accuracy is None else f"; accuracy of the ANN {of_samples(self.ann_accuracy, n)}"
        lines = [f"{n} samples{ann}"]
        for steps, same in self.over_steps.items():
            known = self.accuracy_over_steps.get(steps)
            right = "" if known is None else f", accuracy {shown(known, wilson(known, n))}"
            when, share = f"after {steps} step{'s' * (steps != 1)}", shown(same, wilson(same, n))
            lines.append(f"{when}: {share} answered as by the ANN{right}")
        for layer in self.layers:
            value = "-" if layer.correlation is None else f"{layer.correlation:.3f}"
            lines.append(f"  {layer.name}: {layer.rate:.4f} spikes per neuron and step, correlation {value}")
        return "\n".join(lines)


@as_usual
def agreement(
    conversion: Conversion,
    x: object,
    y: object = None,
    options: RunOptions = RunOptions(),  # noqa: B008  frozen
    progress: Progress | None = None,
) -> Agreement:
    """Run the spiking network and the graph it came from on samples and compare them.

    Parameters
    ----------
    options : how to run; engine, threads, batch, steps.
    progress : called with (samples done, samples).

    Raises
    ------
    DataError
        Where samples or labels do not fit.
    """
    if not isinstance(conversion, Conversion):
        raise DataError("the conversion", f"a {type(conversion).__name__}", "a Conversion", "convert(...)")
    network, ann = conversion.network, conversion.ann
    given = taken(network, samples_of(x, y))
    data, labels = check_data(ann, given), given.y
    logits = ann_outputs(ann, data)
    found = classify(network, replace(given, x=data), replace(options, record=(), exit=False), progress)
    answering = next((o for o in network.outputs if o.name == found.chosen), None)
    right = ann_accuracy(logits, labels, answering)
    return Agreement(
        len(data),
        right,
        {
            t: min(alike(found, o, logits[o.node], t).agreement for o in network.outputs)
            for t in moments(found)
        },
        {} if labels is None or right is None else {t: found.accuracy(labels, t) for t in moments(found)},
        _layers(network, ann, data[:COMPARED], found, options),
    )


def _layers(
    network: Network, ann: Graph, few: Array, found: Evaluation, options: RunOptions
) -> tuple[LayerAgreement, ...]:
    graph = network.graph
    seen = layers_against(network, ann, few, options)
    slots = found.samples * found.steps
    return tuple(
        LayerAgreement(
            layer.name,
            found.counts[layer.name].spikes / (slots * prod(graph.shapes[layer.name])),
            layer.correlation,
        )
        for layer in seen
    )
