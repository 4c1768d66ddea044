"""Whether a contender's spikes are those of the equations: equal up to ties.

Each population is replayed in float64 on the spikes that the contender itself sent into it. Until a neuron's first
difference its membrane potential lies within e of the replay; at that difference the replay lies within e of the
threshold, where e is the running bound of float32's rounding of that neuron's currents, in any order of sums, and
of its updates. Such a difference is a tie; any other is an error. Afterwards the neuron is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from peers.cells import Cells
from peers.network import SpikingNetwork, before
from workloads import Workload

UNIT = 2.0**-24
# roundings of one update besides those of the sum, and of weights that were scaled and rounded once more
UPDATE_ROUNDINGS = 8


@dataclass
class Agreement:
    """Counts over all populations.

    Parameters
    ----------
    neuron_steps : compared in all, samples included.
    differing : spikes that differ from the replay, follow-ups of a tie included.
    ties : neurons and samples whose first difference lies within rounding of the threshold.
    errors : those whose first difference does not.
    worst : the largest distance from the threshold at a first difference, in thresholds.
    """

    neuron_steps: int = 0
    differing: int = 0
    ties: int = 0
    errors: int = 0
    worst: float = 0.0

    @property
    def equal(self) -> bool:
        """No error, and not more ties than chance explains."""
        return self.errors == 0 and self.ties <= 3 + self.neuron_steps / 100_000

    def to_json(self) -> dict[str, Any]:
        """The counts and the verdict."""
        return {**asdict(self), "equal": self.equal}


class Replay:
    """The equations of a workload in float64."""

    def __init__(self, work: Workload) -> None:
        self.work = work
        self.net = SpikingNetwork(work.graph, Cells, work.steps, work.constant, torch.float64)
        self.size = _changed(self.net, torch.abs)
        # a silent source adds no rounding: count those that speak
        self.terms = _changed(self.net, lambda w: (w != 0).to(w.dtype))

    def check(self, spikes: dict[str, np.ndarray]) -> Agreement:
        """Compare all spiking populations; `spikes` holds ``(T, B, *shape)`` of each."""
        found = Agreement()
        with torch.inference_mode():
            for name in self.net.spiking:
                self._population(name, spikes, found)
        return found

    def _population(self, name: str, spikes: dict[str, np.ndarray], found: Agreement) -> None:
        start = self.net.get(name, "initial")
        fired = torch.from_numpy(np.ascontiguousarray(spikes[name])).bool()
        v = start.expand(fired.shape[1:]).clone()
        e = torch.zeros_like(v)
        open_ = torch.ones_like(v, dtype=torch.bool)
        decay = self.net.cells[name].decay
        for t, (x, bound) in enumerate(self._currents(name, spikes)):
            e = decay * e + bound + UPDATE_ROUNDINGS * UNIT * (v.abs() + x.abs() + 1)
            v = decay * v + x
            z = v >= 1
            differs = z != fired[t]
            first = differs & open_
            tie = first & ((v - 1).abs() <= e)
            found.neuron_steps += v.numel()
            found.differing += int(differs.sum())
            found.ties += int(tie.sum())
            found.errors += int((first & ~tie).sum())
            if first.any():
                found.worst = max(found.worst, float((v - 1).abs()[first].max()))
            open_ &= ~differs
            v = v - z.to(v.dtype)

    def _currents(
        self, name: str, spikes: dict[str, np.ndarray]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The current into a population at each step, and the bound of its rounding."""
        constant = None
        for t in range(self.work.steps):
            if constant is None:
                x = _into(self.net, name, self._values(spikes, t))
                size = _into(self.size, name, {k: v.abs() for k, v in self._values(spikes, t).items()})
                terms = _into(
                    self.terms, name, {k: (v != 0).to(v.dtype) for k, v in self._values(spikes, t).items()}
                )
                result = x, (terms + UPDATE_ROUNDINGS) * UNIT * size
            if all(edge.src in self.net.static for edge in self.net.graph.inputs_of(name)):
                constant = result
            yield result

    def _values(self, spikes: dict[str, np.ndarray], t: int) -> dict[str, torch.Tensor]:
        given = self.work.inputs if self.work.constant else self.work.inputs[t]
        values = {name: z[t] for name, z in spikes.items()}
        for edge in self.net.graph.edges:
            if edge.delay:
                past = spikes[edge.src]
                values[before(edge.src)] = past[t - 1] if t else np.zeros_like(past[0])
        values[self.net.graph.inputs[0]] = given
        return {k: torch.from_numpy(np.ascontiguousarray(v)).double() for k, v in values.items()}


def _changed(net: SpikingNetwork, change: Any) -> SpikingNetwork:
    """The same network with changed weights and biases."""
    other = SpikingNetwork(net.graph, Cells, net.steps, net.constant, torch.float64)
    for buffer in other.buffers():
        buffer.copy_(change(buffer))
    return other


def _into(net: SpikingNetwork, name: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """What arrives at a population, back to the populations and inputs whose values are given."""
    known = dict(values)

    def need(node: str) -> None:
        if node not in known:
            for edge in net.graph.inputs_of(node):
                need(edge.src)
            known[node] = net.stateless(node, known)

    for edge in net.graph.inputs_of(name):
        need(edge.src)
    return net.port(name, known)
