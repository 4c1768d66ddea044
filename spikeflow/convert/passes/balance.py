"""balance: activations to neurons. A graph of stage ann and thresholds give a graph of stage snn.

A rectifier of threshold theta becomes an integrate-and-fire neuron whose spikes stand for theta each:
theta N = sum of currents + v(0) - v(T), exactly. Spikes are 0 or 1; theta is folded into the weights that
read them (input axis), and neurons wake at theta / 2, so that counts round to the nearest instead of down.
Other functions, and other alphabets, are followed by the neurons that `followers` chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spikeflow.convert.passes.differences import differential
from spikeflow.convert.passes.followers import alphabet_of, follower
from spikeflow.convert.passes.pools import counting
from spikeflow.convert.passes.scales import fold_scales
from spikeflow.convert.passes.thresholds import Thresholds
from spikeflow.errors import ConversionError
from spikeflow.ir.alphabet import BINARY, decaying
from spikeflow.ir.alphabet import alphabet as letters
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Node, Shape, Synaptic
from spikeflow.ir.synapses import times_rows
from spikeflow.neurons.integrator import Integrator
from spikeflow.typing import Array

READOUT = "readout"


def balance(
    graph: Graph,
    thresholds: Thresholds | Mapping[str, Array],
    reset: str = "subtract",
    scale: float = 1.0,
    alphabet: str = BINARY,
) -> Graph:
    """The spiking network.

    Parameters
    ----------
    graph : at stage ann, without batch norm.
    thresholds : for each Activation one per channel, ``(channels,)``, above 0: the most that a step can hand
        on, in the ANN's units. The largest value of the alphabet stands for it; or `Thresholds`, which may
        also say what neurons start with and correct biases.
    reset : "subtract" or "zero".
    scale : the value that one input spike stands for; 1 for direct input.
    alphabet : what a neuron may hand on in a step, a name of `ir.alphabet`.

    Raises
    ------
    ConversionError
        Where a threshold is missing or not above 0, for max pooling of what are no spikes, and for neurons of
        differential code that wake late or start with a potential, which they do not have.
    GraphError
        For an alphabet that there is not.
    """
    given = thresholds if isinstance(thresholds, Thresholds) else Thresholds(thresholds)
    alphabet = decaying(alphabet, given.decay)
    factors: dict[str, Array] = {name: np.asarray(scale, np.float64) for name in graph.inputs if scale != 1}
    changed: dict[str, Node] = {name: _shifted(graph, name, given.bias[name]) for name in given.bias}
    for name in graph.of_kind(Activation):
        node, shape = graph.nodes[name], graph.shapes[name]
        assert isinstance(node, Activation)
        most = np.float32(alphabet_of(node, alphabet).high)
        theta = _threshold(name, given.values, shape) / most
        initial = _initial(name, given, shape)
        if letters(alphabet).differential and (given.start.get(name) or initial is not None):
            reason = f"neurons of {alphabet} have no potential, and take in changes from the first step on"
            raise ConversionError(name, reason, "a rule without start and initial, or --alphabet signed")
        made = follower(name, node, theta, shape, alphabet, reset, initial)
        changed[name] = replace(made, start=given.start.get(name, 0))
        factors[name] = theta.astype(np.float64)
    made = counting(fold_scales(with_readout(graph.with_nodes(changed)), factors))
    return differential(made, letters(alphabet).decay) if letters(alphabet).differential else made


def readout_of(graph: Graph, output: str = "") -> str:
    """The name of the population that accumulates an output, by default the first."""
    return graph.inputs_of(output or graph.outputs[0])[0].src


def _initial(name: str, given: Thresholds, shape: Shape) -> Array | None:
    """What the neurons of an activation start with, ready to broadcast; None where nothing was chosen."""
    if name not in given.initial:
        return None
    start = np.asarray(given.initial[name], np.float32)
    if not np.isfinite(start).all() or start.shape not in (shape, shape[:1]):
        reason = f"what its neurons start with, of shape {start.shape}, is not one finite number a channel"
        raise ConversionError(name, reason, f"shape {shape[:1]} or {shape}")
    return start if start.shape == shape else start.reshape(-1, *(1,) * (len(shape) - 1))


def _shifted(graph: Graph, name: str, shift: Array) -> Node:
    """A linear node with a correction added to its bias: a float64 sum, rounded once."""
    node = graph.nodes.get(name)
    if not isinstance(node, Synaptic) or np.shape(shift) != (node.rows,) or not np.isfinite(shift).all():
        reason = f"a correction of shape {np.shape(shift)} is not one finite number for each row of a bias"
        raise ConversionError(name, reason, "a linear node, and as many numbers as it has rows")
    return times_rows(node, np.ones(node.rows), np.asarray(shift, np.float64))


def _threshold(name: str, thresholds: Mapping[str, Array], shape: Shape) -> Array:
    if name not in thresholds:
        raise ConversionError(name, "has no threshold", "calibration samples (--data, x=)")
    theta = np.asarray(thresholds[name], np.float32)
    if theta.shape != shape[:1] or not np.isfinite(theta).all() or theta.min() <= 0:
        raise ConversionError(
            name,
            f"its thresholds of shape {theta.shape} are not one number above 0 a channel",
            f"{shape[0]} of them",
        )
    return theta.reshape(-1, *(1,) * (len(shape) - 1))


def with_readout(graph: Graph) -> Graph:
    """A population without threshold in front of every Output: it adds up the logits of every step."""
    for output in graph.outputs:
        graph = read_out(graph, output)
    return graph


def read_out(graph: Graph, output: str) -> Graph:
    """A population without threshold in front of one Output."""
    name = READOUT if len(graph.outputs) == 1 else f"{READOUT}.{output}"
    while name in graph.nodes:
        name += "_"
    nodes: dict[str, Node] = {}
    for key, node in graph.nodes.items():
        if key == output:
            nodes[name] = Integrator().node(graph.shapes[output])
        nodes[key] = node
    edges = tuple(replace(edge, dst=name) if edge.dst == output else edge for edge in graph.edges)
    return Graph(nodes, (*edges, Edge(name, output)), graph.dt)
