"""ByRates: a converted network whose gradient goes through the mean over its steps, not through each of them.

A neuron that adds up and takes a threshold off when it spikes hands on about as many spikes as its mean
current is worth: clip(mean, 0, 1) of them a step. Between neurons all is linear, so that means go through it
as steps do. Forward, the network runs as it spikes; then once more on means, where every layer of neurons
hands on the share of steps in which it did spike. Backward goes through the second run alone: one step
instead of T, with nothing of time to store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Joint, Population
from spikeflow.neurons.advance import Members, NetState, advance, inside_of
from spikeflow.neurons.graph_net import GraphNet
from spikeflow.neurons.iaf import IF
from spikeflow.neurons.integrator import Integrator
from spikeflow.neurons.members import Timed
from spikeflow.neurons.net import answered, names_of
from spikeflow.train.straight import straight

BEYOND = 0.5  # spikes beyond none and all of them, to where a mean current still has a gradient


def goes_by_rates(graph: Graph) -> bool:
    """Whether means go through a graph as steps do: no delay, and neurons that wake at once, add up and take
    thresholds off.
    """
    known = (IF().program(), Integrator().program())
    cells = [node for node in graph.nodes.values() if isinstance(node, Population)]
    plain = all(node.start == 0 and node.program in known for node in cells)
    return plain and not any(map(graph.lag, graph.edges))


class ByRates(GraphNet):
    """A `GraphNet` of integrate-and-fire with thresholds of 1, reset by subtraction; trained by rates.

    While it trains, what it hands on and what is recorded are means, the same in every step; the outputs are
    what they are after the last one. Evaluated, it is the `GraphNet`, and so is its state dict.

    Source: the gradient of rates in place of that of steps, Yu et al., NeurIPS 2024, arXiv 2410.11488.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        nodes, spiking = graph.nodes.items(), IF().program()
        cells = [n for n, node in nodes if isinstance(node, Population) and node.program == spiking]
        self.cells = tuple(cells)
        self.counted = (*cells, *(n for n, node in nodes if isinstance(node, Joint)))

    def forward(self, x: Any, states: Any = None, record: Iterable[str] = ()) -> tuple[Any, Any]:
        """As `Net.forward`; while it trains a whole run, without a state before it."""
        if not self.training:
            return super().forward(x, states, record)
        record = names_of("record", record)
        with torch.no_grad():
            spikes, after = super().forward(x, states, self.counted)
        given = self._given(x)
        steps = len(next(iter(given.values())))
        means = {name: value.mean(0, keepdim=True) for name, value in given.items()}
        shares = {name: spikes[name].mean(0, keepdim=True) for name in self.counted}
        values, _ = advance(self._members(shares, steps, record), means, NetState({}, {}))
        wanted = {name: values[name].expand(steps, *values[name].shape[1:]) for name in record}
        outputs = {name: values[name].expand(steps, *values[name].shape[1:]) * steps for name in self.outputs}
        return answered({**wanted, **outputs}, self.outputs, record), after

    def _members(self, shares: Mapping[str, torch.Tensor], steps: int, record: tuple[str, ...]) -> Members:
        """The nodes, those that count handing on these shares."""
        modules: dict[str, nn.Module] = {}
        for name, module in self.modules_by_name().items():
            inner = None if name in self.cells else module
            modules[name] = _Share(inner, shares[name], steps) if name in shares else module
        return Members(self.wiring, modules, record, inside_of(self.wiring, record))


class _Share(Timed):
    """What hands on a given mean, in one step; its gradient is that of a clip, or of what is around it."""

    def __init__(self, module: nn.Module | None, share: torch.Tensor, steps: int) -> None:
        super().__init__()
        self.inner, self.share, self.beyond = (module,), share, BEYOND / steps  # in a tuple: no part of it
        self.ports = ("in",) if module is None else getattr(module, "ports", ("in",))

    def forward(self, x: Any, state: Any = None) -> tuple[torch.Tensor, None]:
        (module,) = self.inner
        if module is not None:
            return straight(module(x)[0], self.share), None
        current = next(iter(x.values())) if isinstance(x, Mapping) else x
        return straight(current.clamp(-self.beyond, 1 + self.beyond), self.share), None
