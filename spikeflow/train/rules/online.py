"""OTTT: gradients through the layers of each step, times traces of the spikes before.

    a[t] = decay a[t-1] + s[t];  dW = sum over t of g[t] a[t]^T,  g[t] = dL/ds[t] through the layers above at
    step t, times the surrogate

decay is that of the neurons that the weights drive; biases have no trace. For a single layer of LIF whose
reset subtracts it is the exact gradient of its weights. Source: Xiao, Meng, Zhang, He, Lin, Online training
through time for spiking neural networks, NeurIPS 2022, arXiv 2210.04195.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from spikeflow.errors import UnsupportedLayer
from spikeflow.neurons.layer import Neuron
from spikeflow.train.rules.parts import Block, LossOf, detached, joined, parts_of
from spikeflow.train.straight import straight

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.AvgPool2d, nn.Flatten, nn.Identity, nn.Dropout)


def backward(net: nn.Module, x: torch.Tensor, loss_of: LossOf) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of OTTT, summed over the steps; memory for gradients is that of one step."""
    parts = parts_of("ottt", net)
    decays = [_decay(block) for block in parts.blocks]
    with torch.no_grad():
        states: list[Any] = [None] * len(parts.blocks)
        current = joined((_step(parts.blocks, decays, now, states, None)[None] for now in x), len(x))
    outputs, value, signal = parts.signal(current, loss_of)
    states, traces = [None] * len(parts.blocks), [torch.zeros(())] * len(parts.blocks)
    for now, wanted in zip(x, signal, strict=True):
        _step(parts.blocks, decays, now, states, traces).backward(wanted)
    return outputs, value


def _step(
    blocks: tuple[Block, ...],
    decays: list[torch.Tensor],
    moment: torch.Tensor,
    states: list[Any],
    traces: list[torch.Tensor] | None,
) -> torch.Tensor:
    """One step through all blocks, to the current of the read-out; states and traces move on in place."""
    for index, block in enumerate(blocks):
        if traces is None:
            current = block.current(moment)
        else:
            traces[index] = decays[index] * traces[index] + moment.detach()
            with torch.no_grad():
                exact = block.current(moment)
            # weights see the trace, what lies before them the spikes
            current = straight(block.current(straight(moment, traces[index])), exact)
        if block.cells is None:
            return current
        cells: Any = block.cells
        state = cells.initial(current) if states[index] is None else states[index]
        moment, after = cells.step(current, state)
        states[index] = detached(after)
    raise AssertionError("the last block has no neurons")


def _decay(block: Block) -> torch.Tensor:
    """The decay of the membrane that a block's weights drive; 0 where none follows."""
    for layer in block.layers:
        if not isinstance(layer, LINEAR):
            hint = "linear layers between neurons, or rule bptt"
            raise UnsupportedLayer(f"{block.path}, rule ottt", type(layer).__name__, hint)
    if block.cells is None:
        return torch.zeros(())
    cells = block.cells
    name = cells.model.name if isinstance(cells, Neuron) else type(cells).__name__
    if not isinstance(cells, Neuron) or name not in ("LIF", "IF"):
        raise UnsupportedLayer(f"{block.path}, rule ottt", name, "LIF or IF, or rule truncated")
    values = cells.values()
    decay = values["decay"].detach() if "decay" in values else torch.ones(())
    if decay.numel() > 1 or "decay" in dict(cells.named_parameters()):
        raise UnsupportedLayer(f"{block.path}, rule ottt", "a decay of each neuron", "one decay, not learned")
    return decay.reshape(())
