"""Pass: stage snn to stage fixed, for one chip, with the ranges of calibration samples.

1. The float network runs on the samples: rates, and how far the read-out goes.
2. Inputs get a format; each port its scales and exponents (`weights`); each population its integer program
   (`translate`). A membrane gets room for half a threshold a step.
3. The integer network runs on the same samples. Where a register overflows, its population gets twice the room
   and the network is quantised again, until none does; a network for which that fails is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import HardwareError, Violation
from spikeflow.hw import weights
from spikeflow.hw.chip import Chip
from spikeflow.hw.compose import Constants
from spikeflow.hw.gains import fold_gains
from spikeflow.hw.quantisation import EdgeReport, LayerReport, Quantisation
from spikeflow.hw.translate import Port, thresholds
from spikeflow.hw.weights import Bounds, Choice, Float, Incoming
from spikeflow.ir import stages
from spikeflow.ir.arrays import Array, Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Node, Population
from spikeflow.ir.record import Network
from spikeflow.sim.classify import Evaluation, RunOptions, evaluate

MAX_ROUNDS = 24
SAMPLES = 64  # of the calibration samples, spread evenly, that are run
READOUT_ROOM = 2.0  # a read-out may go this much further than on the calibration samples
DRIFT = 0.5  # thresholds a step by which a membrane may fall at first, before halving
FRACS = range(-24, 32)


def quantise(
    network: Network,
    chip: Chip,
    x: npt.ArrayLike,
    options: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> Quantisation:
    """The network in the chip's integers.

    Parameters
    ----------
    network : composed and retimed, at stage snn.
    x : calibration samples ``(N, *shape)``, as `classify` takes them; at most 64 of them are run.
    options : engine and threads of the calibration runs; their steps are the run record's.

    Raises
    ------
    HardwareError
        Where a threshold, a bias or an overflowing register cannot be brought into the chip's range.
    """
    network = replace(network, graph=fold_gains(network.graph))
    array = np.asarray(x)
    if len(array) > SAMPLES:
        array = array[np.linspace(0, len(array) - 1, SAMPLES).astype(int)]
    job = _Job(network, chip, array, evaluate(network, array, options))
    halvings: dict[str, int] = {}
    over: dict[str, list[str]] = {}
    for _ in range(MAX_ROUNDS):
        fixed = job.fixed(halvings)
        run = evaluate(fixed, array, options)
        over = _overflowing(run)
        if not over:
            stages.check(fixed.graph, "fixed")
            return job.quantisation(fixed, run, halvings)
        halvings = {name: halvings.get(name, 0) + (name in over) for name in {*halvings, *over}}
    raise HardwareError(
        chip.name,
        [
            Violation(
                name,
                f"registers that hold its sums ({', '.join(registers)} overflowed)",
                f"{chip.title}'s widths, at the smallest scale",
                "smaller weights, or fewer steps",
            )
            for name, registers in sorted(over.items())
        ],
    )


def _overflowing(run: Evaluation) -> dict[str, list[str]]:
    found = {name: [r for r, n in counts.narrowed.items() if n] for name, counts in run.counts.items()}
    return {name: registers for name, registers in found.items() if registers}


class _Job:
    """One network on its way: what the calibration samples said of it in float, and the choices made so far."""

    def __init__(self, network: Network, chip: Chip, x: Array, run: Evaluation) -> None:
        self.network, self.chip, self.x, self.run = network, chip, x, run
        self.graph, self.formats = network.graph, chip.formats
        self.inputs = {n: self._input_format() for n in self.graph.inputs if _is_current(self.graph.nodes[n])}
        self.chosen: dict[tuple[str, str], Choice] = {}
        self.ports = {
            (n, p): self._edges(n, p) for n in self.graph.of_kind(Population) for p in self._node(n).ports
        }
        constants = Constants(self.graph)
        self.biases = {at: constants.at(*at) for at in self.ports}
        self.bounds = {at: self._bounds(*at) for at in self.ports}

    def _node(self, name: str) -> Population:
        node = self.graph.nodes[name]
        assert isinstance(node, Population)
        return node

    def _input_format(self) -> Fixed:
        return best_format(self.x, int(self.formats.input_bits.value))

    # --- what is known of a port before anything is chosen ---

    def _groups(self, name: str) -> int:
        node = self._node(name)
        return weights.groups_of(node.shape, shared=not node.program.spikes())

    def _edges(self, name: str, port: str) -> list[Incoming]:
        found = []
        for edge in self.graph.inputs_of(name, port):
            node = self.graph.nodes[edge.src]
            assert isinstance(node, weights.Synapses)
            (into,) = self.graph.inputs_of(edge.src)
            raw = weights.incoming(edge.src, node, self._node(name).shape, self._groups(name), self.formats)
            found.append(replace(raw, **self._source(into.src)))
        return found

    def _source(self, name: str) -> dict[str, float]:
        node = self.graph.nodes[name]
        if name in self.inputs:
            return {"source": 1.0 / self.inputs[name].step, "power": max(float(np.mean(self.x**2.0)), 1e-6)}
        if isinstance(node, Population) and not node.program.spikes():
            raise HardwareError(
                self.chip.name,
                [
                    Violation(
                        name,
                        "to hand on its state",
                        "spikes of 0 or 1 between neurons",
                        "a spiking population there",
                    )
                ],
            )
        return {"source": 1.0, "power": max(_rate(self.graph, name, self.run), 1e-6)}

    def _bounds(self, name: str, port: str) -> Bounds:
        """The largest scales that thresholds, biases and the read-out's register allow."""
        node, a, groups = self._node(name), self.formats.arithmetic, self._groups(name)
        shift = 2.0**a.state_shift
        ceiling = np.full(groups, 2.0**40)
        smallest, unit = np.full(groups, np.inf), 2.0 ** (a.state_shift - a.threshold_shift)
        room = min(
            a.threshold, 2.0 ** (a.state.bits - 1 - a.threshold_shift) / max(4.0, DRIFT * self.run.steps)
        )
        for value in thresholds(node, port, a):
            smallest = np.minimum(smallest, _by_group(value, node, groups, np.min))
            top = _by_group(np.abs(value), node, groups, np.max)
            ceiling = np.minimum(ceiling, _ratio(room, top * unit))
        bias = self.biases[name, port]
        if bias is not None:
            top = _by_group(np.abs(bias), node, groups, np.max)
            ceiling = np.minimum(ceiling, _ratio(float(a.bias_mantissa) * 2**a.bias_exponent, top * shift))
        if not node.program.spikes():
            reach = (
                float(np.abs(self.run.logits).max(initial=0.0))
                if name == self.network.record.readout
                else 1.0
            )
            limit = (2.0 ** (a.readout.bits - 1) - 1) / READOUT_ROOM
            ceiling = np.minimum(ceiling, _ratio(limit, np.array([reach * shift])))
        return Bounds(ceiling, np.where((smallest > 0) & np.isfinite(smallest), smallest, 1.0), unit)

    # --- the integer network ---

    def fixed(self, halvings: Mapping[str, int]) -> Network:
        """The network in integers, the scales of some populations halved so many times."""
        nodes: dict[str, Node] = {
            n: replace(node, format=self.inputs[n])
            for n, node in self.graph.nodes.items()
            if isinstance(node, Input) and n in self.inputs
        }
        for at, edges in self.ports.items():
            choice = self._choice(at, halvings.get(at[0], 0))
            self.chosen[at] = choice
            for edge, exponent in zip(edges, choice.exponents, strict=True):
                nodes[edge.name] = weights.quantised(edge, choice.scale, exponent)
        refused: list[Violation] = []
        for name in self.graph.of_kind(Population):
            try:
                nodes[name] = self._population(name)
            except HardwareError as error:
                refused += error.violations
        if refused:
            raise HardwareError(self.chip.name, refused)
        return replace(self.network, graph=self.graph.with_nodes(nodes))

    def _choice(self, at: tuple[str, str], halvings: int) -> Choice:
        bounds = self.bounds[at]
        if halvings:
            # the room of neurons with few levels to their threshold is large already, so all may be unaffected at first
            bounds = replace(bounds, ceiling=self._reached(at) * 2.0**-halvings)
        return weights.choose(self.ports[at], bounds, self.formats)

    def _reached(self, at: tuple[str, str]) -> Float:
        """The ceiling, no higher than what the scales would reach in thresholds without any halving."""
        bounds = self.bounds[at]
        scale = weights.choose(self.ports[at], bounds, self.formats).scale
        most = float((scale * bounds.threshold).max(initial=0.0))
        return np.minimum(bounds.ceiling, most / bounds.threshold)

    def _population(self, name: str) -> Population:
        node = self._node(name)
        ports = {
            p: Port(weights.per_neuron(self.chosen[name, p].scale, node.shape), self.biases[name, p])
            for p in node.ports
        }
        return self.formats.kernel(name, node, ports, self.formats.arithmetic)

    # --- the report ---

    def quantisation(self, fixed: Network, run: Evaluation, halvings: Mapping[str, int]) -> Quantisation:
        """The finished network with its report."""
        layers = tuple(
            self._layer(name, fixed.graph, run, halvings.get(name, 0))
            for name in self.graph.of_kind(Population)
        )
        agreement = float((run.predictions() == self.run.predictions()).mean())
        return Quantisation(fixed, layers, MappingProxyType(self.inputs), self.run.samples, agreement)

    def _layer(self, name: str, fixed: Graph, run: Evaluation, halvings: int) -> LayerReport:
        ports = self._node(name).ports
        edges = tuple(self._edge(e, fixed, self.chosen[name, p]) for p in ports for e in self.ports[name, p])
        shift = 2.0**self.formats.arithmetic.state_shift
        scale = {
            p: (float(s.min() * shift), float(s.max() * shift))
            for p in ports
            for s in [self.chosen[name, p].scale]
        }
        node = fixed.nodes[name]
        assert isinstance(node, Population)
        stored = node.params.get("threshold")
        return LayerReport(
            name,
            edges,
            scale,
            None if stored is None else (int(stored.min()), int(stored.max())),
            _rate(self.graph, name, self.run),
            _rate(fixed, name, run),
            halvings,
        )

    def _edge(self, edge: Incoming, fixed: Graph, choice: Choice) -> EdgeReport:
        node = fixed.nodes[edge.name]
        assert isinstance(node, weights.Synapses) and isinstance(node.weight, Quantised)
        return EdgeReport(
            edge.name, node.exponent, node.weight.format.bits, weights.weight_error(edge, node, choice.scale)
        )


def _is_current(node: Node) -> bool:
    return isinstance(node, Input) and node.kind == "current"


def _rate(graph: Graph, name: str, run: Evaluation) -> float:
    """Spikes a neuron and step."""
    return run.counts[name].spikes / (prod(graph.shapes[name]) * run.samples * run.steps)


def best_format(x: npt.ArrayLike, bits: int) -> Fixed:
    """The signed format of so many bits with the smallest mean square error on x; among equals the coarsest."""
    values = np.asarray(x, np.float64).reshape(-1)
    formats = [Fixed(bits, frac) for frac in FRACS]
    errors = [float(np.mean((f.quantise(values) * f.step - values) ** 2)) for f in formats]
    return formats[int(np.argmin(errors))]


def _ratio(limit: float, value: Float) -> Float:
    return np.divide(limit, value, out=np.full(value.shape, np.inf), where=value > 0)


def _by_group(values: Float, node: Population, groups: int, pick: Callable[..., Any]) -> Float:
    full = np.broadcast_to(values, node.shape).reshape(groups, -1)
    return np.asarray(pick(full, axis=1), np.float64)
