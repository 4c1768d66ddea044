"""Truncated back-propagation: exact within pieces of time, cut between them; of one step each it is SLTT.

Source of the truncation: Williams and Peng 1990, doi 10.1162/neco.1990.2.4.490. SLTT: Meng, Xiao, Yan, Wang,
Lin, Luo, Towards memory- and time-efficient backpropagation for training spiking neural networks, ICCV 2023,
arXiv 2302.14311.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from spikeflow.neurons.sequential import Sequential
from spikeflow.train.rules.parts import LossOf, detached, joined, parts_of

GLANCE = 50  # steps that are looked at together where no gradient is taken


def backward(
    net: nn.Module, x: torch.Tensor, loss_of: LossOf, steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients with the states of all neurons, and spikes that come back, cut every so many steps.

    The network runs twice: once for the loss, whose gradient by the current of the read-out is then known at
    every step, and once with gradients. Both go piece by piece, so that besides inputs and outputs memory is
    that of a piece.
    """
    parts = parts_of("truncated" if steps > 1 else "sltt", net)
    layers = [layer for block in parts.blocks for layer in (*block.layers, block.cells) if layer is not None]
    body = Sequential(*layers)
    with torch.no_grad():
        current = joined(_currents(body, x.split(max(steps, GLANCE))), len(x))
    outputs, value, signal = parts.signal(current, loss_of)
    state = None
    for piece, wanted in zip(x.split(steps), signal.split(steps), strict=True):
        made, after = body(piece, state)
        made.backward(wanted)
        state = detached(after)
    return outputs, value


def _currents(body: Sequential, pieces: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    state = None
    for piece in pieces:
        current, state = body(piece, state)
        yield current
