"""Where a conversion loses: for each spiking layer its error in parts, and the change that would help most.

All parts are sums over a layer's neurons and a few held-back samples, relative to the sum of |activation| of
the ANN. With a the activation, z the mean of what arrived at the neuron, N what it emitted in T steps, theta
what 1 stands for, m the most that a step can hand on, and v(0) its first membrane:

    clipping    |a - min(a, m theta)|
    rounding    |theta c(a) / T - min(a, m theta)|,   c(x) = clip(floor(x T / theta + v(0) / theta), 0, m T)
    unevenness  theta |N - c(z)| / T     the same mean input, spread evenly, would have given c(z)
    inherited   |clip(z, 0, m theta) - min(a, m theta)|       what the layers before did to the input
    error       |theta N / T - a|

N and z are exact: theta N = T z + v(0) - v(T) (`verify.identity`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.passes.forward import forward
from spikeflow.convert.verify.identity import spiking
from spikeflow.ir.alphabet import alphabet
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions, evaluate
from spikeflow.typing import Array

SAMPLES = 16
VALUES = 2**24  # neurons x samples x steps whose spikes are held at once
LITTLE = 0.01  # of the activations: a part below it needs no change


@dataclass(frozen=True)
class LayerErrors:
    """One spiking layer; shares of the sum of its activations, rates in spikes a neuron and step.

    Parameters
    ----------
    expected, observed : rate that the ANN's activations ask for, and that of the run.
    clipping, rounding, unevenness, inherited, error : see above; 0 for a layer that is all 0 in both.
    growth : the error, over that of the spiking layer before; None for the first, and behind an error of 0.
    """

    name: str
    expected: float
    observed: float
    clipping: float
    rounding: float
    unevenness: float
    inherited: float
    error: float
    growth: float | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """The facts of one layer that its errors follow from; arrays ``(samples, neurons)`` or ``(neurons,)``.

    Parameters
    ----------
    activation : of the ANN.
    emitted : sum of what each neuron handed on.
    first, last : its membrane before the first and after the last step.
    theta, most : what 1 stands for, and the most that a step can hand on.
    """

    activation: Array
    emitted: Array
    first: Array
    last: Array
    theta: Array
    most: int
    steps: int

    @property
    def mean_input(self) -> Array:
        """What arrived in a step, on average: exact, by the identity."""
        return (self.theta * self.emitted - self.first + self.last) / self.steps

    def counted(self, value: Array) -> Array:
        """What a neuron emits whose input is this in every step."""
        exact = np.floor(value * self.steps / self.theta + self.first / self.theta)
        return np.clip(exact, 0, self.most * self.steps)

    def errors(self, name: str, before: float | None) -> LayerErrors:
        """The parts of the error; `before` is that of the layer before."""
        a, theta, steps = self.activation, self.theta, self.steps
        whole = float(np.abs(a).sum())
        kept, arrived = np.minimum(a, self.most * theta), self.mean_input

        def share(difference: Array) -> float:
            return float(np.abs(difference).sum()) / whole if whole > 0 else 0.0

        error = share(theta * self.emitted / steps - a)
        return LayerErrors(
            name,
            float((np.clip(kept, 0, None) / theta).mean()),
            float(self.emitted.mean()) / steps,
            share(a - kept),
            share(theta * self.counted(a) / steps - kept),
            share(theta * (self.emitted - self.counted(arrived)) / steps),
            share(np.clip(arrived, 0, self.most * theta) - kept),
            error,
            error / before if before else None,
        )


def layer_errors(network: Network, ann: Graph, x: Array, options: ConvertOptions) -> tuple[LayerErrors, ...]:
    """The errors of every spiking layer that stands for an activation of the ANN, in the graph's order.

    None are known without samples, and with a reset to 0, which breaks the identity.
    """
    if options.reset != "subtract":
        return ()
    most = alphabet(options.alphabet).high
    names = tuple(n for n in spiking(network) if isinstance(ann.nodes.get(n), Activation))
    size = network.record.steps * sum(prod(network.graph.shapes[name]) for name in names)
    few = x[: max(1, min(SAMPLES, VALUES // max(size, 1)))]
    if not names or not len(few):
        return ()
    run = evaluate(network, few, RunOptions(record=names, keep_state=True, batch=len(few)))
    assert run.checkpoint is not None
    activations: dict[str, Array] = {}

    def keep(name: str, value: Any) -> None:
        if name in names:
            activations[name] = value.numpy().reshape(len(few), -1).astype(np.float64)

    forward(ann, few, keep)
    found: list[LayerErrors] = []
    for name in names:
        spikes, last = run.recorded[name][0], run.checkpoint.state.memory[name]["v"]
        facts = _facts(network, name, spikes, last)
        layer = Layer(activations[name], *facts, most, run.steps)
        found.append(layer.errors(name, found[-1].error if found else None))
    return tuple(found)


def _facts(network: Network, name: str, spikes: Any, last: Array) -> tuple[Array, Array, Array, Array]:
    """What was emitted, the membrane before and after, and what 1 stands for."""
    node: Any = network.graph.nodes[name]
    neurons = prod(node.shape)
    at = spikes.sample.astype(np.int64) * neurons + spikes.neuron
    emitted = np.bincount(at, spikes.value, spikes.samples * neurons).reshape(-1, neurons)
    start = np.broadcast_to(node.initial.get("v", np.zeros((), np.float32)), node.shape)
    theta = np.broadcast_to(node.params["threshold"], node.shape)
    first, unit = (values.reshape(-1).astype(np.float64) for values in (start, theta))
    return emitted, first, last.reshape(spikes.samples, neurons).astype(np.float64), unit


def advice(layers: Sequence[LayerErrors], steps: int) -> str:
    """The change that would help most, from the largest part of an error that a layer makes itself."""
    causes: Mapping[str, str] = {
        "clipping": "clipping; a higher threshold there (--percentile, --method largest) helps most",
        "rounding": f"rounding to 1/{steps} of the threshold; more --steps or a lower threshold help most",
        "unevenness": "the uneven arrival of spikes; more --steps or a later --read-from help most",
    }
    parts = [(getattr(layer, cause), layer.name, cause) for layer in layers for cause in causes]
    share, name, cause = max(parts, default=(0.0, "", "clipping"))
    if share < LITTLE:
        return "no layer adds as much as 1 % of its activations in error: nothing stands out to change"
    return f"most is lost at {name}, {100 * share:.1f} % of its activations by {causes[cause]}"
