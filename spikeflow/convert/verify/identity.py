"""The exact identity of integrate-and-fire neurons with reset by subtraction, held for every neuron.

    theta * (sum of what a neuron emits) = sum over steps of z[t] + v[0] - v[T]

with z what arrives at its port and v its membrane. It holds for any input, whatever the order of arrival,
so a neuron that breaks it was converted or simulated wrongly. Neurons that follow a function of their mean
input (`neurons.following`) hold v in two parts, what arrived (s) and what they handed on (a): v = s - a. Of
neurons of differential code all of a step counts what it is worth, and v = m - e. In
float32 each step rounds twice, where z is added and where theta is taken away; the residual of a neuron is
held to the sum of these roundings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from spikeflow.convert.verify.magnitude import UNIT
from spikeflow.convert.verify.replay import SMALLEST
from spikeflow.errors import SimulationError
from spikeflow.ir.alphabet import Alphabet, worths
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions, evaluate
from spikeflow.typing import Array

MEMBRANE, FOLLOWING, CHANGES = ("v",), ("s", "a"), ("m", "e")
CHECKED = 4  # samples at most
VALUES = 2**22  # neurons x samples that are held at once
_SLACK = 1 + 2.0**-20  # the bound is computed of values that are rounded themselves


@dataclass(frozen=True)
class Identity:
    """What `check_identity` found.

    Parameters
    ----------
    neurons, samples, steps : over which the identity was held.
    residual : the largest one, in thresholds of its neuron.
    bound : the largest share of its bound that a residual came to; at most 1.
    worth : where neurons hand on changes of running means, what step t is worth; empty where none does.
    """

    neurons: int
    samples: int
    steps: int
    residual: float
    bound: float
    worth: str = ""

    def __str__(self) -> str:
        how = f", of step t counted {self.worth}," if self.worth else ""
        return (
            f"theta N = sum of z + v(0) - v(T){how} holds for each of {self.neurons:,} neurons, "
            f"{self.samples} samples, {self.steps} steps; the largest residual is {self.residual:.1e} of a "
            "threshold"
        )


def check_identity(network: Network, x: Array, options: RunOptions = RunOptions()) -> Identity:  # noqa: B008
    """Run samples ``(N, *shape)`` and hold the identity for every spiking neuron.

    Raises
    ------
    SimulationError
        For the neuron that breaks it most, by name, with its residual; and where the network has no neuron
        of which the identity is known.
    """
    names = tuple(name for states in (MEMBRANE, FOLLOWING, CHANGES) for name in spiking(network, states))
    neurons = sum(prod(network.graph.shapes[name]) for name in names)
    if not names:
        raise SimulationError("the identity", "the network has no spiking neuron with a threshold")
    some = x[: max(1, min(CHECKED, VALUES // neurons))]
    sums = {name: _Sums(network.graph.nodes[name], len(some)) for name in names}

    def take(recorded: Mapping[str, Any], first: int, step: int, _: int) -> None:
        for name, held in sums.items():
            asleep = max(held.start - step, 0)  # what arrives before neurons have started is not taken in
            states = [recorded[f"{name}.{state}"][asleep:] for state in held.states]
            share = held.shares(step, len(states[0]))
            emitted, arrived = recorded[name].dense()[asleep:], recorded[f"{name}.in"][asleep:]
            held.add(first, emitted * share, arrived * share, states)

    wanted = tuple(w for name, held in sums.items() for w in (name, *(f"{name}.{p}" for p in held.parts)))
    asked = RunOptions(options.engine, options.threads, steps=options.steps, record=wanted, sink=take)
    run = evaluate(network, some, asked)
    found = {name: held.residuals() for name, held in sums.items()}
    for name, (residual, bound) in found.items():
        if (residual > bound).any():
            raise _broken(name, residual, bound, sums[name].theta)
    worst = max(float((r / sums[name].theta).max()) for name, (r, _) in found.items())
    share = max(float((r / b).max()) for r, b in found.values())
    words = next((held.letters.worth for held in sums.values() if held.letters is not None), "")
    return Identity(neurons, len(some), run.steps, worst, share, words)


def spiking(network: Network, states: tuple[str, ...] = MEMBRANE) -> tuple[str, ...]:
    """The populations whose spikes stand for their thresholds, and whose membrane is held in these states."""
    nodes = network.graph.nodes
    found = ((name, nodes[name]) for name in network.graph.of_kind(Population))
    return tuple(
        name
        for name, node in found
        if isinstance(node, Population)
        and "threshold" in node.params
        and set(states) <= set(node.program.states)
        and node.ports == ("in",)
    )


class _Sums:
    """What one population did so far, each array ``(samples, neurons)`` in float64."""

    def __init__(self, node: Any, samples: int) -> None:
        neurons, self.rank = prod(node.shape), len(node.shape)
        known = (MEMBRANE, FOLLOWING, CHANGES)
        self.states = next(states for states in known if set(states) <= set(node.program.states))
        self.parts, self.start = ("in", *self.states), node.start
        self.letters: Alphabet | None = node.values if self.states == CHANGES else None
        self.theta = np.broadcast_to(node.params["threshold"], node.shape).ravel().astype(np.float64)
        none = np.zeros((), np.float32)
        begun = [np.broadcast_to(node.initial.get(n, none), node.shape).ravel() for n in self.states]
        self.v = np.tile(_membrane([part.astype(np.float64) for part in begun]), (samples, 1))
        self.arrived, self.emitted, self.rounded, self.largest = np.zeros((4, samples, neurons))
        self.first = self.v.copy()

    def shares(self, step: int, steps: int) -> Array:
        """What counts of each step from this one on, ready to be multiplied with ``(T, B, *shape)``."""
        found = np.ones(steps) if self.letters is None else worths(self.letters.decay, step + steps)[step:]
        return found.reshape(-1, *(1,) * (self.rank + 1))

    def add(self, first: int, emitted: Array, arrived: Array, states: list[Array]) -> None:
        """A stretch of steps of the samples from `first` on, each array ``(T, B, *shape)``."""
        rows = slice(first, first + emitted.shape[1])
        flat = (a.reshape(*a.shape[:2], -1).astype(np.float64) for a in (emitted, arrived, *states))
        for spikes, z, *parts in zip(*flat, strict=True):
            v = _membrane(parts)
            self.emitted[rows] += spikes
            self.arrived[rows] += z
            # each part is one rounding; a membrane alone was rounded before the reset, too
            size = sum(map(np.abs, parts)) + self._lost_before(v, self.theta * spikes, z)
            self.rounded[rows] += size + 2 * SMALLEST / UNIT
            self.v[rows] = v
            self.largest[rows] = np.maximum(self.largest[rows], size)

    def _lost_before(self, v: Array, handed_on: Array, z: Array) -> Array | float:
        """What was rounded of a step before it came to the states: a membrane, or shares of a step."""
        if self.states == MEMBRANE:
            return np.abs(v + handed_on)
        return np.abs(z) + 2 * np.abs(handed_on) if self.states == CHANGES else 0.0

    def residuals(self) -> tuple[Array, Array]:
        """How far each neuron is from the identity, and how far roundings may take it."""
        off = np.abs(self.theta * self.emitted - (self.arrived + self.first - self.v))
        # the sums here are rounded too, in float64
        own = np.abs(self.theta * self.emitted) + np.abs(self.arrived) + self.largest
        return off, UNIT * self.rounded * _SLACK + 2.0**-40 * own


def _membrane(parts: list[Array]) -> Array:
    """v, or what arrived less what was handed on."""
    return parts[0] if len(parts) == 1 else parts[0] - parts[1]


def _broken(name: str, residual: Array, bound: Array, theta: Array) -> SimulationError:
    over = residual / bound
    sample, neuron = np.unravel_index(int(np.argmax(over)), over.shape)
    count = int((residual > bound).any(axis=0).sum())
    reason = (
        f"neuron {neuron} breaks the identity theta N = sum of z + v(0) - v(T) in sample {sample} by "
        f"{residual[sample, neuron]:.3g} (threshold {theta[neuron]:.3g}, roundings explain "
        f"{bound[sample, neuron]:.1e}); so do {count} of the {over.shape[1]} neurons of this layer"
    )
    return SimulationError(name, reason, "reset by subtraction, which the identity is of")
