"""The modes of a torch network: step by step, layer by layer over the whole sequence, and both compiled.

`step` is how a stream is run; `multi` multiplies the whole sequence with a layer's weights at once and is open to
feed-forward networks only; `compiled` is `multi` under torch.compile, its loops unrolled; `compiled-step` compiles
one step of the whole network; `gather` is a step that adds the columns of one sample's spikes instead of a product. Each gives the spikes of every population.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from peers.network import SpikingNetwork, before
from spikeflow.ir.nodes import Population

MODES = ("step", "multi", "compiled", "compiled-step", "gather")
Run = Callable[[torch.Tensor], dict[str, torch.Tensor]]


def make(network: SpikingNetwork, mode: str) -> Run:
    """A function from the input to the values of all populations, each ``(T, B, *shape)``."""
    network.gather = mode == "gather"
    if mode in ("step", "compiled-step", "gather"):
        one = _one_step(network)
        return _streaming(network, torch.compile(one, dynamic=False) if mode == "compiled-step" else one)
    whole = _whole(network)
    return torch.compile(whole, dynamic=False) if mode == "compiled" else whole


def _whole(network: SpikingNetwork) -> Run:
    def run(x: torch.Tensor) -> dict[str, torch.Tensor]:
        batch = x.shape[0 if network.constant else 1]
        values = {network.graph.inputs[0]: x if network.constant else x.flatten(0, 1)}
        for name in network.order:
            values[name] = (
                _sequence(network, name, values, batch)
                if network.get(name, "initial") is not None
                else network.stateless(name, values)
            )
        return {name: values[name].unflatten(0, (network.steps, batch)) for name in _populations(network)}

    return run


def _sequence(
    network: SpikingNetwork, name: str, values: dict[str, torch.Tensor], batch: int
) -> torch.Tensor:
    """A population over all steps: ``(T B, *shape)``."""
    x = network.port(name, values)
    static = all(edge.src in network.static for edge in network.graph.inputs_of(name))
    x = x.expand(network.steps, *x.shape) if static else x.unflatten(0, (network.steps, batch))
    start = network.get(name, "initial").expand(x.shape[1:])
    if name not in network.cells:
        return (start + x.cumsum(0)).flatten(0, 1)
    return network.cells[name].multi(x, network.cells[name].begin(start)).flatten(0, 1)


def _populations(network: SpikingNetwork) -> tuple[str, ...]:
    return tuple(n for n in network.order if isinstance(network.graph.nodes[n], Population))


def _one_step(network: SpikingNetwork) -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """One step of everything that is not static: values known already and states, to spikes and states."""

    def one(known: dict[str, torch.Tensor], states: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        values, after = dict(known), {}
        for name in network.order:
            if name in values:
                continue
            if name in network.cells:
                values[name], after[name] = network.cells[name].step(network.port(name, values), states[name])
            elif name in states:
                values[name] = after[name] = states[name] + network.port(name, values)
            else:
                values[name] = network.stateless(name, values)
        return {name: values[name] for name in states}, after

    return one


def _streaming(network: SpikingNetwork, one: Callable[..., Any]) -> Run:
    source = network.graph.inputs[0]

    def run(x: torch.Tensor) -> dict[str, torch.Tensor]:
        batch = x.shape[0 if network.constant else 1]
        known = {source: x} if network.constant else {}
        for name in network.order:
            if name in network.static:
                known[name] = network.stateless(name, known)
        states, seen = _start(network, batch), {name: [] for name in _populations(network)}
        late = {edge.src for edge in network.graph.edges if edge.delay}
        past = {before(name): x.new_zeros(batch, *network.graph.shapes[name]) for name in late}
        for t in range(network.steps):
            spikes, states = one({**(known if network.constant else {source: x[t]}), **past}, states)
            past = {before(name): spikes[name] for name in late}
            for name, z in spikes.items():
                seen[name].append(z)
        return {name: torch.stack(z) for name, z in seen.items()}

    return run


def _start(network: SpikingNetwork, batch: int) -> dict[str, Any]:
    states = {}
    for name in _populations(network):
        v = network.get(name, "initial")
        v = v.expand(batch, *v.shape).contiguous()
        states[name] = network.cells[name].begin(v) if name in network.cells else v
    return states
