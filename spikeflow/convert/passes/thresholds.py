"""Thresholds, one for a channel: of observed activations, or of batch norm alone.

A rule may also choose what neurons start with, and correct biases by what few steps get wrong on average.

Every rule keeps the same floor: no channel lies below 2^-10 of the largest of its layer, because a channel
that was never active would else get a threshold of 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from spikeflow.convert.passes.observe import Stats
from spikeflow.errors import ConversionError
from spikeflow.frozen import Frozen
from spikeflow.ir.activations import RELU, values
from spikeflow.ir.alphabet import BINARY, alphabet
from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, BatchNorm, Move, Node, Pool, Scale, Shape
from spikeflow.ir.record import Network
from spikeflow.typing import Array

FLOOR = 2.0**-10
SAMPLES = "calibration samples (--data, x=)"  # what to try: the option, and the argument in Python
_SHARES = ((2, 0.05), (8, 0.025), (32, 0.01), (128, 0.005), (2**62, 0.001))  # levels at most: share
DIFFERENTIAL_SHARE = 0.025  # of ResNet-20: with it 98.7 % at T = 8 answer as the ANN, with 0.001 96.0 %
_SPREAD = 3.0  # standard deviations above the mean that batch norm gives


@dataclass(frozen=True)
class Candidate:
    """What one choice came to on calibration samples kept apart for choosing.

    Parameters
    ----------
    name : the choice.
    agreement : with the ANN's answers, the fraction of these samples.
    error : of the outputs, relative to their size.
    chosen : whether it is the one that was taken.
    samples : on which it was run; those that do worst on the first run on no more.
    """

    name: str
    agreement: float
    error: float
    chosen: bool = False
    samples: int = 0


@dataclass(frozen=True, eq=False)
class Thresholds(Frozen):
    """What a rule chose for a graph of stage ann.

    Parameters
    ----------
    values : for each Activation a threshold per channel, float32 ``(channels,)``: the most that a step can
        hand on, in the ANN's units; the largest value of the alphabet stands for it.
    at_floor : for each Activation, how many of these are at the floor.
    initial : for some Activations the potential that its neurons start with, one per channel or one per
        neuron; the others start at half their threshold.
    bias : for some linear nodes what is added to their bias, one per channel (row), in the ANN's units.
    start : for some Activations the step in which their neurons wake; before it they hand on nothing and take
        nothing in. The others wake at once.
    read_from : the step from which answers are read; it counts among the steps of a run.
    decay : in differential code, what a step is worth as a share of the one before it; 0 as the alphabet has
        it.
    candidates : what was compared, where the rule is one that compares.
    for_steps : the same choice for another number of steps, where `decay` was chosen by it; else None.
    """

    values: Mapping[str, Array]
    at_floor: Mapping[str, int] = field(default_factory=dict[str, int])
    initial: Mapping[str, Array] = field(default_factory=dict[str, Array])
    bias: Mapping[str, Array] = field(default_factory=dict[str, Array])
    start: Mapping[str, int] = field(default_factory=dict[str, int])
    read_from: int = 0
    decay: float = 0.0
    candidates: tuple[Candidate, ...] = ()
    for_steps: Callable[[int], Thresholds] | None = None

    def __post_init__(self) -> None:
        for name in ("values", "at_floor", "initial", "bias", "start"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def times(self, factor: float) -> Thresholds:
        """The same with every threshold so many times as large."""
        values = {name: (theta * factor).astype(np.float32) for name, theta in self.values.items()}
        return replace(self, values=values)


@dataclass(frozen=True, eq=False)
class Basis:
    """What a rule may look at.

    Parameters
    ----------
    graph : of stage ann, with its batch norms.
    folded : the same without; names of activations and linear nodes are those of `graph`.
    stats : what activations came to on the calibration samples; None without samples.
    samples : the calibration samples that may set thresholds, ``(N, *shape)``; None without.
    percentile : the one asked for.
    steps : of a run, T.
    alphabet : what a spike may be.
    spiking : makes the spiking network of thresholds, as the options of the conversion say.
    """

    graph: Graph
    folded: Graph
    stats: Stats | None
    samples: Array | None
    percentile: float = 99.9
    steps: int = 64
    alphabet: str = BINARY
    spiking: Callable[[Thresholds], Network] | None = None

    def observed(self, method: str) -> Stats:
        """The statistics; ConversionError where there were no samples."""
        if self.stats is None:
            reason = f"the method {method} needs what activations come to"
            raise ConversionError("thresholds", reason, SAMPLES)
        return self.stats


def floored(name: str, raw: Array) -> tuple[Array, int]:
    """max(raw, 2^-10 times the largest), as float32, and how many channels that raised; 1 where no channel
    is ever active, whose neurons `silent` keeps from firing.
    """
    largest = float(raw.max(initial=0.0))
    if not np.isfinite(raw).all():
        reason = "its activations are not finite, so no threshold can be chosen"
        raise ConversionError(name, reason, "calibration data that the network can take")
    if not largest > 0:
        return np.ones(raw.shape, np.float32), raw.size
    floor = FLOOR * largest
    return np.maximum(raw, floor).astype(np.float32), int((raw < floor).sum())


def percentile_thresholds(
    stats: Stats, percentile: float = 99.9, *, zeros: bool = False, by_layer: bool = False
) -> Thresholds:
    """The percentile of each channel's activations above 0; of fewer than 20 of these, the largest.

    Parameters
    ----------
    zeros : of all activations, those that are 0 included; where that gives 0, of those above 0.
    by_layer : one threshold for all channels of a layer, the percentile of them all.

    Raises
    ------
    ConversionError
        For a layer that is never active, or a percentile outside (0, 100].
    """
    if not 0 < percentile <= 100:
        raise ConversionError("percentile", f"{percentile} lies outside (0, 100]", "99.9")
    found = {
        name: floored(name, s.percentile(percentile, zeros=zeros, by_layer=by_layer))
        for name, s in stats.activations.items()
    }
    return Thresholds({n: t for n, (t, _) in found.items()}, {n: count for n, (_, count) in found.items()})


def data_free_thresholds(graph: Graph) -> Thresholds:
    """beta + 3 |gamma| of the batch norm before each activation; of a graph that still holds its batch norms.

    After an addition the sum of its branches' bounds; a spiking branch counts with its own threshold.

    Raises
    ------
    ConversionError
        Where no batch norm determines a threshold; it names the layer and `--data`.
    """
    bounds = _Bounds(graph)
    for name in graph.order:
        if isinstance(graph.nodes[name], Activation):
            bounds.activation(name)
    return Thresholds(bounds.thresholds, bounds.at_floor)


def share_above(steps: int, name: str = BINARY) -> float:
    """The share of a channel's values above 0 that lie above its threshold, chosen for the levels that it has
    in the steps of a run: as many as steps, times the largest value of the alphabet.

    Fewer levels want a smaller threshold, which wastes none of them on values that hardly occur. Neurons that
    take back what they handed on need a step that is large enough to do so: of an alphabet with values below
    0 a fifth as much is clipped. In differential code later steps reach what the first could not, however
    many there are.
    """
    letters = alphabet(name)
    if letters.differential:
        return DIFFERENTIAL_SHARE
    found = next(share for most, share in _SHARES if steps * letters.high <= most)
    return found / 5 if letters.signed else found


def with_own(thresholds: Thresholds, graph: Graph) -> Thresholds:
    """The same, with the thresholds of activations in levels, which the network brought along."""
    own = {
        name: _own(node, graph.shapes[name])
        for name, node in graph.nodes.items()
        if isinstance(node, Activation) and node.levels
    }
    at_floor = {**thresholds.at_floor, **dict.fromkeys(own, 0)}
    return replace(thresholds, values={**thresholds.values, **own}, at_floor=at_floor)


def _own(node: Activation, shape: Shape) -> Array:
    """Its upper limit, for each channel."""
    high = np.broadcast_to(node.parameters["high"], shape)
    return high.reshape(shape[0], -1).max(axis=1).astype(np.float32)


class _Bounds:
    """The largest value expected at each node, as an array that broadcasts to its shape."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.thresholds: dict[str, Array] = {}
        self.at_floor: dict[str, int] = {}

    def activation(self, name: str) -> None:
        node, shape = self.graph.nodes[name], self.graph.shapes[name]
        if isinstance(node, Activation) and node.levels:
            self.thresholds[name], self.at_floor[name] = _own(node, shape), 0
            return
        bound = np.broadcast_to(self._port(name, "in", name), shape)
        raw = _largest(self.graph.nodes[name], bound).reshape(shape[0], -1).max(axis=1)
        self.thresholds[name], self.at_floor[name] = floored(name, raw)

    def _port(self, name: str, port: str, asked: str) -> Array:
        return np.sum(
            [
                np.broadcast_to(self._bound(e.src, asked), self.graph.shapes[e.src])
                for e in self.graph.inputs_of(name, port)
            ],
            axis=0,
        )

    def _bound(self, name: str, asked: str) -> Array:
        node, shape = self.graph.nodes[name], self.graph.shapes[name]
        column = (-1, *(1,) * (len(shape) - 1))
        if isinstance(node, Activation):
            return self.thresholds[name].astype(np.float64).reshape(column)
        if isinstance(node, BatchNorm):
            return (node.beta + _SPREAD * np.abs(node.gamma.astype(np.float64))).reshape(column)
        if not _bounded(node):
            raise ConversionError(
                asked,
                f"no batch norm determines its threshold (it reads {name})",
                SAMPLES,
            )
        return _through(node, [self._port(name, port, asked) for port in node.ports], shape)


def _largest(node: Node, bound: Array) -> Array:
    """The largest magnitude that an activation makes of values within a bound."""
    assert isinstance(node, Activation)
    if node.kind == RELU:
        return bound
    found = [np.abs(values(node.kind, node.parameters, bound * part)) for part in np.linspace(-1, 1, 33)]
    return np.maximum.reduce(found)


def _bounded(node: Node) -> bool:
    """Whether a bound of what arrives is one of what it hands on."""
    if isinstance(node, Scale):
        return bool(weight_values(node.factor).min() >= 0)
    return isinstance(node, Move | Pool)


def _through(node: Node, bounds: list[Array], shape: Shape) -> Array:
    x = bounds[0]
    if isinstance(node, Scale):
        return x * weight_values(node.factor)
    if isinstance(node, Pool):
        # the bound of a channel is one number, so a window makes at most so many times that
        most = x.reshape(shape[0], -1).max(axis=1) * node.growth
        return np.broadcast_to(most.reshape(-1, *(1,) * (len(shape) - 1)), shape)
    assert isinstance(node, Move)
    return node.moved(bounds, 0)
