"""Local losses: every layer of neurons learns by a fixed random read-out of its own.

The loss on the read-out's outputs, which add up as the network's own do, moves the weights of its layer; what
comes in is taken as data, so that no gradient crosses layers. Within a layer gradients in time are exact.
After Kaiser, Mostafa, Neftci, Synaptic plasticity dynamics for deep continuous local learning, Frontiers in
Neuroscience 2020, doi 10.3389/fnins.2020.00424, whose gradients are cut in time as well.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from spikeflow.errors import UnsupportedLayer
from spikeflow.neurons.members import bare
from spikeflow.neurons.stateless import neurons_in
from spikeflow.train.rules.parts import Block, LossOf, parts_of


def backward(
    net: nn.Module, x: torch.Tensor, loss_of: LossOf, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of all layers' own losses; outputs and loss are those of the network."""
    parts = parts_of("local", net)
    *hidden, last = parts.blocks
    spikes: list[torch.Tensor] = []
    for block in hidden:
        cells: Any = block.cells
        if not neurons_in(cells) and not getattr(bare(cells), "spikes", False):
            hint = "neurons right behind a Linear or a convolution, or rule truncated"
            what = f"{type(cells).__name__}, which has no spikes"
            raise UnsupportedLayer(f"{block.path}, rule local", what, hint)
        spikes.append(cells(_currents(block, x))[0])
        x = spikes[-1].detach()
    current = _currents(last, x)
    for index, found in enumerate(spikes):
        own = found.flatten(2) @ read_out(found.shape[2:].numel(), current.shape[-1], seed, index).to(found)
        own.backward(parts.slope(own, loss_of))
    outputs, value, wanted = parts.signal(current, loss_of)
    current.backward(wanted)
    return outputs, value


def read_out(neurons: int, classes: int, seed: int, layer: int) -> torch.Tensor:
    """The fixed weights ``(neurons, classes)`` of a layer's own read-out, normal, of deviation
    1 / sqrt(neurons).
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + layer)
    return torch.randn(neurons, classes, generator=generator) / neurons**0.5


def _currents(block: Block, x: torch.Tensor) -> torch.Tensor:
    return block.current(x.flatten(0, 1)).unflatten(0, x.shape[:2])
