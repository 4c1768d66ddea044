"""EventProp: gradients by when spikes come, through layers of CubaLIF, with no surrogate.

The exact gradient of neurons in continuous time (`train.rules.event_times`) is carried back in steps. With
a_v, a_u what the loss changes by a change of v and u, f the drive of the membrane (u, or (1 - decay) u), and
v' = f - (1 - decay) threshold the slope at which the threshold is crossed::

    a_v <- a_v f / v' - S / v'   at a spike, which is later by -dv / v' and then starts anew from 0
    a_u <- decay_current a_u + a_v  (times 1 - decay, normalised);   dL/dx = a_u;   a_v <- decay a_v

S = d/dt of sum over m of W_mn dL/dx_m is what a later spike costs: here half the difference of the next step
and the one before, at the ends of the window that of the two steps there.

What differs from the exact gradient: spikes come at whole steps and slopes are those at the end of the step,
so that it is approached as steps become short; of two spikes in one step neither is the first. As there, a
spike that comes or goes has no gradient, nor has a neuron that does not spike, nor a loss that counts spikes
however late they are. Source: Wunderlich and Pehle 2021, doi 10.1038/s41598-021-91786-z.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from spikeflow.errors import DataError, SpikeflowWarning, UnsupportedLayer
from spikeflow.neurons.cuba_lif import CubaLIF
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.recurrent import Recurrent
from spikeflow.train.inside import network
from spikeflow.train.rules.parts import Block, LossOf, parts_of


def backward(net: nn.Module, x: torch.Tensor, loss_of: LossOf) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of EventProp; the network runs once without a graph, and each layer once with that of its
    weights alone.
    """
    parts = parts_of("eventprop", net)
    *hidden, last = parts.blocks
    layers = [_cells(block) for block in hidden]
    names = tuple(name for block in hidden for name in (block.path, f"{block.path}.u"))
    with torch.no_grad():
        found, _ = network(net)(x, record=names)
    spikes = [found[block.path] for block in hidden]
    arrived = [x, *spikes]
    current, source = _through(last, arrived.pop())
    outputs, value, wanted = parts.signal(current, loss_of)
    for block, layer in zip(reversed(hidden), reversed(layers), strict=True):
        current.backward(wanted)
        # what the loss changes by a spike of each neuron in each step
        reach: torch.Tensor = source.grad  # pyright: ignore[reportAssignmentType]
        later = _difference(reach)
        if block is hidden[-1]:
            _check_timed(reach, later)
        emitted = spikes.pop()
        if not bool(emitted.flatten(2).any(1).any(0).all()):
            text = f"rule eventprop: neurons of {block.path} do not spike in a batch, and get no gradient"
            hint = "weights.fire = true, or rule bptt at first"
            warnings.warn(f"{text}. Try: {hint}", SpikeflowWarning, stacklevel=4)
        wanted = _adjoint(layer, emitted, found[f"{block.path}.u"], later)
        current, source = _through(block, arrived.pop())
    current.backward(wanted)
    return outputs, value


def _through(block: Block, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The currents that a block's layers make of all steps, and what it is the gradient of besides them."""
    source = x.detach().requires_grad_()
    return block.current(source.flatten(0, 1)).unflatten(0, x.shape[:2]), source


def _difference(values: torch.Tensor) -> torch.Tensor:
    """The change of values a step: half of that over two, at the ends that over one."""
    if len(values) == 1:
        return torch.zeros_like(values)
    inner = (values[2:] - values[:-2]) / 2
    return torch.cat([values[1:2] - values[:1], inner, values[-1:] - values[-2:-1]])


def _check_timed(reach: torch.Tensor, later: torch.Tensor) -> None:
    """Raise DataError for a loss that is the same however late spikes come."""
    if bool(reach.any()) and not bool(later.any()):
        hint = "a LeakyIntegrator at the end, or loss.reading mean"
        raise DataError("rule eventprop", "a loss that counts spikes", "one by when they come", hint)


def _adjoint(layer: Neuron, spikes: torch.Tensor, u: torch.Tensor, later: torch.Tensor) -> torch.Tensor:
    """dL/dx of each step, backward in time."""
    model: Any = layer.model
    values = layer.values(u.dtype)
    decay, decay_current, threshold = (values[n] for n in ("decay", "decay_current", "threshold"))
    scaled = model.convention == "normalised"
    enters, drives = (1 - decay_current, 1 - decay) if scaled else (1.0, 1.0)
    a_v, a_u, wanted = torch.zeros_like(u[0]), torch.zeros_like(u[0]), []
    for z, current, cost in zip(spikes.flip(0), u.flip(0), later.flip(0), strict=True):
        drive = drives * current
        # above 0 at every spike: the membrane came from below the threshold
        slope = torch.where(z > 0, drive - (1 - decay) * threshold, torch.ones_like(drive))
        a_v = torch.where(z > 0, (a_v * drive - cost) / slope, a_v)
        a_u = decay_current * a_u + drives * a_v
        wanted.append(enters * a_u)
        a_v = decay * a_v
    return torch.stack(wanted[::-1])


def _cells(block: Block) -> Neuron:
    """The neurons of a block.

    Raises
    ------
    UnsupportedLayer
        For any other than CubaLIF that is reset to 0 or by its threshold, in continuous time the same.
    """
    cells: Any = block.cells
    where, hint = f"{block.path}, rule eventprop", "Neuron(CubaLIF(...)), or rule bptt"
    if isinstance(cells, Recurrent):
        hint = "layers one after the other, or rule bptt, truncated or eprop"
        raise UnsupportedLayer(where, "Recurrent, whose spikes come back,", hint)
    model = cells.model if isinstance(cells, Neuron) else None
    if not isinstance(model, CubaLIF):
        raise UnsupportedLayer(where, type(cells).__name__ if model is None else model.name, hint)
    if model.reset not in ("zero", "subtract") or model.refractory:
        what = "a refractory period" if model.refractory else f"reset {model.reset}"
        raise UnsupportedLayer(where, what, "reset zero or subtract, no refractory period")
    if any(True for _ in cells.parameters()):
        raise UnsupportedLayer(where, "learned parameters of neurons", "learn=()")
    return cells
