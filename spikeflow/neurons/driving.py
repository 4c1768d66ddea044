"""A Linear whose only reader is a layer of neurons: both run at once where the core can, else one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from spikeflow.neurons import spike_linear
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.read_model import Cells
from spikeflow.neurons.spike_linear import SpikeLinear, changed
from spikeflow.neurons.stateless import in_its_type
from spikeflow.neurons.sweep_driven import Drive, silent
from spikeflow.neurons.wiring import Wiring


def drivers(wiring: Wiring, modules: Mapping[str, nn.Module], seen: frozenset[str]) -> dict[str, str]:
    """Linears by name, and the neurons that alone read them, without a delay, and nothing else.

    Parameters
    ----------
    seen : nodes whose values, or whose inside, are wanted.
    """
    cyclic = {name for part in wiring.parts if part.cyclic for name in part.names}
    apart = seen | cyclic
    readers: dict[str, list[str]] = {}
    for edge in wiring.edges:
        readers.setdefault(edge.src, []).append(edge.dst)
    found = {}
    for name, (neurons, *others) in readers.items():
        if others or name not in modules or neurons not in modules or {name, neurons} & apart:
            continue
        ports = wiring.incoming[neurons]
        lone = len(ports) == 1 and all(len(e) == 1 and not e[0].delay for e in ports.values())
        plain = _plain(modules[name], nn.Linear, SpikeLinear) and _plain(modules[neurons], Neuron, Cells)
        if lone and plain:
            found[name] = neurons
    return found


def _plain(module: nn.Module, *kinds: type) -> bool:
    return type(module) in kinds and not changed(module)


def driven(linear: nn.Linear, neurons: Neuron, x: torch.Tensor, port: str, state: Any) -> Any:
    """What the neurons give for ``x (T, B, inputs)`` through the Linear; None where they do not run at
    once.
    """
    if not neurons.declared or not isinstance(x, torch.Tensor) or x.ndim != 3 or len(x) < 2:
        return None
    x, bias = in_its_type(linear, x), dict(linear.named_parameters()).get("bias")
    if spike_linear.driven_because(x, linear.weight, bias):
        return None
    ports = neurons.model.inputs
    drive = Drive(x, linear.weight, bias, ports.index(port) if port in ports else 0)
    inputs = silent(drive.shape, len(ports))
    like = inputs[0][0]
    before = neurons.initial(like) if state is None else state
    neurons.check(like, before)
    parts = neurons.entering(neurons.values(like.dtype), inputs, before)
    found = neurons.driven(parts, drive, neurons.budget)
    if found is None:
        return None
    spike_linear.say(linear, spike_linear.WITH_NEURONS)
    z, after = found
    return z, neurons.state_type(*after)
