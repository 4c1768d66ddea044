"""What calibration samples say of a network in float, before any scale is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import HardwareError, Violation
from spikeflow.hw.chips.chip import Chip
from spikeflow.hw.integer import registers, weights
from spikeflow.hw.integer.choose import Bounds, Edge
from spikeflow.hw.integer.observe import Observed, joined, observe
from spikeflow.hw.integer.roundings import costs, drive_of
from spikeflow.hw.integer.translate import thresholds
from spikeflow.hw.passes.compose import Constants
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.nodes import LINEAR_KINDS, Conv2d, Input, Node, Population
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions
from spikeflow.sim.joined import parted
from spikeflow.typing import Array, Float

At = tuple[str, str]  # a population and one of its ports
FOLLOWED = 2**26  # neurons times steps times samples whose registers are followed; of larger runs, a share
SHARE = 8
# how much spikes that come too early count: all neurons err to the same side, and it adds up behind them
EARLY = 4.0
QUIET = 0.02  # how much a neuron that never spikes counts beside the average one
FRACS = range(-24, 32)


class Measured:
    """A network and its samples: what sources send, how far registers go, what each port allows and costs."""

    def __init__(self, network: Network, chip: Chip, x: Array, options: RunOptions) -> None:
        self.network, self.chip, self.x, self.options = network, chip, x, options
        self.graph, self.formats = network.graph, chip.formats
        names = self.graph.of_kind(Population)
        self.nodes = {n: self._node(n) for n in names}
        self.parts = parted(network, x)
        self.inputs = {
            n: self._input_format(n) for n in self.graph.inputs if _is_current(self.graph.nodes[n])
        }
        self.run = self._observed()
        constants = Constants(self.graph)
        self.biases = {(n, p): constants.at(n, p) for n in names for p in self.nodes[n].ports}
        self.bounds = {at: self._bounds(*at) for at in self.biases}
        self.edges = {at: self._edges(*at) for at in self.biases}

    def _node(self, name: str) -> Population:
        node = self.graph.nodes[name]
        assert isinstance(node, Population)
        return node

    def _observed(self) -> Observed:
        """The float network on all samples; how far registers go, on as many as there is time for."""
        wanted = {n: registers.followed(node) for n, node in self.nodes.items()}
        size = sum(prod(node.shape) for node in self.nodes.values()) * self.network.record.steps
        some = len(self.x) if size * len(self.x) <= FOLLOWED else -(-len(self.x) // SHARE)
        self.all_seen = some == len(self.x)
        parts = [observe(self.network, self.x[:some], self.options, wanted)]
        if some < len(self.x):
            parts.append(observe(self.network, self.x[some:], self.options, number=some))
        return joined(parts)

    def _input_format(self, name: str) -> Fixed:
        return best_format(self.parts[name], int(self.formats.input_bits.value))

    def groups(self, name: str) -> int:
        node = self.nodes[name]
        kernels = any(isinstance(self.graph.nodes[e.src], Conv2d) for e in self.graph.inputs_of(name))
        return weights.groups_of(node.shape, not node.spikes, kernels)

    def _edges(self, name: str, port: str) -> list[Edge]:
        found, groups = [], self.groups(name)
        for edge in self.graph.inputs_of(name, port):
            node = self.graph.nodes[edge.src]
            assert isinstance(node, LINEAR_KINDS)
            (into,) = self.graph.inputs_of(edge.src)
            raw = weights.incoming(edge.src, node, groups, self.formats)
            full = replace(raw, in_shape=self.graph.shapes[into.src], **self._source(into.src))
            found.append(Edge(full, costs(full, groups)))
        return found

    def _source(self, name: str) -> dict[str, Any]:
        if name in self.inputs:
            over = self.network.input(name).timed
            mean = np.mean(self.parts[name], axis=1) if over else self.parts[name]
            drive = drive_of(np.asarray(mean, np.float64).reshape(len(self.x), -1), np.inf)
            return {"source": 1.0 / self.inputs[name].step, "drive": drive}
        if name in self.nodes and not self.nodes[name].spikes:
            need, limit = "to hand on its state", "spikes, or whole numbers of an alphabet, between neurons"
            raise HardwareError(self.chip.name, [Violation(name, need, limit, "a spiking population there")])
        steps = self.run.steps
        return {"drive": drive_of(self.run.spikes[name].astype(np.float64) / steps, steps)}

    def _bounds(self, name: str, port: str) -> Bounds:
        node, a, groups = self.nodes[name], self.formats.arithmetic, self.groups(name)
        unit = 2.0 ** (a.state_shift - a.threshold_shift)
        levels = [np.broadcast_to(t, node.shape).reshape(-1) for t in thresholds(node, port, a)]
        lowest, highest = (pick(levels, axis=0) if levels else np.zeros(1) for pick in (np.min, np.max))
        own = np.broadcast_to(lowest, int(np.prod(node.shape))).astype(np.float64)
        bias = {p: self.biases[name, p] for p in node.ports}
        needs = registers.Needs(node, bias, self.run.reaches[name], a, self.all_seen)
        ceiling = np.minimum(needs.ceiling(port, np.maximum(own, 0.0)), _ratio(a.threshold / unit, highest))
        small = by_group(np.where(own > 0, own, np.inf), groups, np.min)
        even = np.isfinite(small) & (small == by_group(np.broadcast_to(highest, own.shape), groups, np.max))
        return Bounds(
            np.minimum(by_group(ceiling, groups, np.min), 2.0**40),
            np.where(np.isfinite(small), a.smallest_threshold / (small * unit), 0.0),
            np.where(np.isfinite(small), small, 1.0),
            np.where(even, small * unit, 0.0),
            *self._rates(name, groups),
            EARLY * a.strict,
            np.where(np.isfinite(small), small * unit, 0.0),
        )

    def _rates(self, name: str, groups: int) -> tuple[Float, Float]:
        """Spikes a step of each group, root mean square, and how much its errors count."""
        if name not in self.run.spikes:
            return np.zeros(groups), np.ones(groups)
        # values below 0 cost as much as those above
        spikes = np.abs(self.run.spikes[name].astype(np.float64)) / self.run.steps
        rate = by_group(spikes.mean(axis=0), groups, np.mean)
        return np.sqrt(by_group((spikes**2).mean(axis=0), groups, np.mean)), rate + (
            QUIET * rate.mean() or 1.0
        )


def _is_current(node: Node) -> bool:
    return isinstance(node, Input) and node.kind == "current"


def best_format(x: npt.ArrayLike, bits: int) -> Fixed:
    """The signed format of so many bits with the smallest mean square error on x; among equals the
    coarsest.
    """
    values = np.asarray(x, np.float64).reshape(-1)
    formats = [Fixed(bits, frac) for frac in FRACS]
    errors = [float(np.mean((f.quantise(values) * f.step - values) ** 2)) for f in formats]
    return formats[int(np.argmin(errors))]


def _ratio(limit: float, value: Float) -> Float:
    return np.divide(limit, value, out=np.full(value.shape, np.inf), where=value > 0)


def by_group(values: Float, groups: int, pick: Callable[..., Any]) -> Float:
    """One number for each group from one for each neuron, in C order."""
    return np.asarray(pick(values.reshape(groups, -1), axis=1), np.float64)
