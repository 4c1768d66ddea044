"""The networks of the two-point claim: one hidden layer of 128 neurons that differ in where their own spikes enter.

All have the same input weights, batch norm, recurrent weights and leaky read-out, drawn from the same seed, and a decay
per neuron that is learned; beside the recurrent LIF they also learn the decay of a low-pass per neuron. With x the input,
c = W_rec s the spikes s of the step before through the recurrent weights, g the gain of the grid:

    gate          a <- l a + (1 - l) c;  u <- d u + J (1 + tanh(g a)),  J = 0.5 BN(W x)
    recurrent     u <- d u + J + 0.5 g c
    filtered      a <- l a + (1 - l) c;  u <- d u + J + 0.5 g a
    bounded       a as above;               u <- d u + J + 0.5 tanh(g a)
    gain zero     the gate with g = 0: u <- d u + J, what comes back does nothing
    shuffled      the gate whose c comes from the spikes of another sample of the batch

Everywhere z = u >= 1 and u <- 0 where z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from spikeflow.ir.ops import Ops
from spikeflow.neurons import LIF, LeakyIntegrator, Learned, Neuron, Recurrent, Sequential, TwoPointLIF
from spikeflow.neurons.model import NeuronModel, Value, param, reset
from spikeflow.neurons.surrogate import Surrogate

CELLS, DECAY, DECAY_APICAL, DRIVE = 128, 0.82, 0.88, 0.5
HIDDEN = "layers.3"  # the recurrent layer, in the network


@dataclass(frozen=True, eq=False)
class FilteredLIF(NeuronModel):
    """A LIF to which what comes back is added behind a low-pass; the control of the gate."""

    decay: Value = param(DECAY, low=0, high=1)
    decay_apical: Value = param(DECAY_APICAL, low=0, high=1)
    gain: Value = param(1.0)
    threshold: Value = param(1.0, low=0)
    inputs: ClassVar[tuple[str, ...]] = ("basal", "apical")

    def states(self) -> tuple[str, ...]:
        return ("u", "a")

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        a = p.decay_apical * s.a + (1.0 - p.decay_apical) * x[1]
        u = p.decay * s.u + (x[0] + p.gain * a)
        z = ops.spike(u - p.threshold)
        return z, (reset(u, z, p.threshold, "zero", ops), a)


class Scale(nn.Module):
    """Times a fixed number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x


class Neighbour(nn.Module):
    """Spikes of the sample before in the batch, instead of one's own; batches are in a drawn order."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        if len(z) < 2:
            raise ValueError("context can only be shuffled in a batch of at least 2 samples")
        return z.roll(1, 0)


@dataclass(frozen=True)
class Arm:
    """How an arm's recurrent layer is made of its recurrent weights and the gain of the grid.

    Parameters
    ----------
    isolated : whether what comes back has no effect, so that no gradient reaches its weights.
    """

    layer: Callable[[nn.Module, float, Surrogate], Recurrent]
    isolated: bool = False


def _gate(back: nn.Module, gain: float, slope: Surrogate) -> Recurrent:
    return _apical(TwoPointLIF(DECAY, DECAY_APICAL, gain, mode="gate"), back, slope)


def _recurrent(back: nn.Module, gain: float, slope: Surrogate) -> Recurrent:
    return Recurrent(_learning(LIF(DECAY), slope, "decay"), nn.Sequential(back, Scale(DRIVE * gain)))


def _filtered(back: nn.Module, gain: float, slope: Surrogate) -> Recurrent:
    return _apical(FilteredLIF(gain=DRIVE * gain), back, slope)


def _bounded(back: nn.Module, gain: float, slope: Surrogate) -> Recurrent:
    cells = TwoPointLIF(DECAY, DECAY_APICAL, mode="drive", strength=DRIVE)
    return _apical(cells, nn.Sequential(back, Scale(gain)), slope)


def _gain_zero(back: nn.Module, gain: float, slope: Surrogate) -> Recurrent:
    return _gate(back, 0.0, slope)


def _shuffled(back: nn.Module, gain: float, slope: Surrogate) -> Recurrent:
    return _gate(nn.Sequential(Neighbour(), back), gain, slope)


def _apical(cells: NeuronModel, back: nn.Module, slope: Surrogate) -> Recurrent:
    return Recurrent(_learning(cells, slope, "decay", "decay_apical"), back, port="apical")


def _learning(cells: NeuronModel, slope: Surrogate, *names: str) -> Neuron:
    return Neuron(cells, dict.fromkeys(names, Learned("neuron", 0.0, 1.0)), slope, (CELLS,))


ARMS = {
    "gate": Arm(_gate),
    "recurrent": Arm(_recurrent),
    "filtered": Arm(_filtered),
    "bounded": Arm(_bounded),
    "gain zero": Arm(_gain_zero, isolated=True),
    "shuffled": Arm(_shuffled),
}


@dataclass(frozen=True)
class Size:
    """Of what enters a network in a step, and of what it answers."""

    inputs: int
    classes: int


def network(arm: str, size: Size, gain: float, slope: Surrogate, seed: int) -> Sequential:
    """The network of an arm; the weights of all arms are the same for the same seed."""
    torch.manual_seed(seed)
    enter, back = nn.Linear(size.inputs, CELLS, bias=False), nn.Linear(CELLS, CELLS, bias=False)
    nn.init.orthogonal_(back.weight, 0.5)
    return Sequential(
        enter,
        nn.BatchNorm1d(CELLS),
        Scale(DRIVE),
        ARMS[arm].layer(back, gain, slope),
        nn.Linear(CELLS, size.classes),
        Neuron(LeakyIntegrator(0.95)),
    )


def parameters(net: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in net.parameters())
