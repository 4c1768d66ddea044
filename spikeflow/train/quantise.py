"""Quantisation-aware weights: trained as the integers that a chip will hold."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from spikeflow.errors import DataError, GraphError, SpikeflowWarning
from spikeflow.neurons.layer import Neuron
from spikeflow.train.inside import SYNAPSES, drivers, members, synapses
from spikeflow.train.straight import straight

BITS = range(2, 17)
STRETCHED = 0.1  # share by which weights may count more or less as whole units of their threshold
BELOW_ONE = 1 - 2.0**-24  # times a float32 it gives the next one towards 0


class FakeQuantised(nn.Module):
    """w -> q unit, q = round(w / unit) of so many bits; the gradient passes straight through.

    For layers that drive spiking neurons unit = threshold / L for each output, L the whole number with which
    the largest weight is nearest to the largest code, which it then has. Weights and threshold are so whole
    numbers of one unit, as on a chip, whose mapping then finds these very codes: where every source spikes on
    the calibration samples, and no register asks for smaller scales. Read-outs have no threshold, and one
    unit for all outputs. Source of the straight-through gradient: Bengio, Leonard, Courville 2013, arXiv
    1308.3432.

    Parameters
    ----------
    bits : of a weight, its sign included, 2 to 16.
    threshold : of the neurons that it drives, ``(outputs,)`` or one; None for a read-out.
    """

    threshold: torch.Tensor | None

    def __init__(self, bits: int = 8, threshold: torch.Tensor | None = None) -> None:
        super().__init__()
        if bits not in BITS:
            raise DataError("quantised weights: bits", bits, f"{BITS[0]} to {BITS[-1]}")
        self.most = 2 ** (bits - 1) - 1
        self.register_buffer("threshold", threshold, persistent=False)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Weights ``(outputs, ...)`` to those of the integers, each the float32 next to it, towards 0."""
        codes, unit = self.codes(weight)
        exact = codes * unit
        near = exact.to(weight.dtype)
        # a largest weight rounded up would no longer fit into the chip's codes at this unit
        over = near.double().abs() > exact.abs()
        near = torch.where(over, near * BELOW_ONE, near)
        return straight(weight, near)

    @torch.no_grad()
    def codes(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The integers of the weights, whole numbers in float64, and the unit of each output."""
        exact = weight.detach().double()
        largest = exact.abs().flatten(1).amax(1)
        largest = (largest if self.threshold is not None else largest.amax().expand_as(largest)).clamp(
            min=2.0**-40
        )
        unit = largest / self.most
        if self.threshold is not None:
            threshold = self.threshold.double()
            unit = threshold / (threshold / unit).round().clamp(min=1)
        shape = (-1, *(1,) * (weight.ndim - 1))
        # by the largest weight, not by the unit: so the largest code is in use however the unit was rounded
        codes = (exact * (self.most / largest).reshape(shape)).round()
        return codes, unit.reshape(shape)


def quantised(net: nn.Module, bits: int = 8) -> None:
    """Make the weights of all Linear and convolution layers trained as integers, from now on.

    State dicts hold ``parametrizations.weight.original``, the float weights that the optimiser moves; layers
    compute with the integers' weights, and so do capture and `train.deploy.deployed`.

    Warns
    -----
    SpikeflowWarning
        Where whole units of a threshold change the weights by a tenth or more.

    Raises
    ------
    GraphError
        Where there is no such layer, its weights are parametrised already, batch norm stands between it and
        the neurons, or the threshold behind it is learned.
    """
    modules = dict(members(net))
    layers = {path: module for path, module in modules.items() if isinstance(module, SYNAPSES)}
    if not layers:
        kinds = ", ".join(kind.__name__ for kind in SYNAPSES)
        raise GraphError("quantised weights", "the network has no layer with weights", kinds)
    driven = drivers(net)
    made = {}
    for path, layer in layers.items():
        if parametrize.is_parametrized(layer, "weight"):
            raise GraphError(path, "its weights are parametrised already", "quantised() once, before others")
        targets = [modules[name] for name, sources in driven.items() if path in sources]
        made[path] = FakeQuantised(bits, _threshold(path, targets))
    for path, layer in layers.items():
        _tell_stretched(path, made[path], layer.weight)
        parametrize.register_parametrization(layer, "weight", made[path], unsafe=True)


def _tell_stretched(path: str, made: FakeQuantised, weight: torch.Tensor) -> None:
    """Warn where a threshold is so few units that a whole number of them changes the weights by much."""
    largest = weight.detach().double().abs().flatten(1).amax(1)
    codes, unit = made.codes(weight)
    times = (codes * unit).abs().flatten(1).amax(1)[largest > 0] / largest[largest > 0]
    if not times.numel() or float((times - 1).abs().max()) <= STRETCHED:
        return
    ends = f"{float(times.min()):.3g} to {float(times.max()):.3g}"
    text = f"{path}: the thresholds behind it are so few units of its largest weights that in these integers "
    text += f"its weights count {ends} times as much"
    hint = "more bits, or larger thresholds or smaller weights"
    warnings.warn(f"{text}. Try: {hint}", SpikeflowWarning, stacklevel=3)


def _threshold(path: str, targets: list[nn.Module]) -> torch.Tensor | None:
    """The threshold of the neurons that a layer drives, one or one for each output; None for a read-out."""
    if not targets:
        hint = "deployed(net), which folds it, before quantised()"
        raise GraphError(path, "batch norm, or nothing, stands between it and neurons", hint)
    if any(not isinstance(target, Neuron) for target in targets):
        raise GraphError(path, "drives neurons of normalised membranes", "deployed(net), which folds them")
    found: list[torch.Tensor] = []
    for target in targets:
        if "threshold" in dict(target.named_parameters(recurse=False)):
            raise GraphError(path, "the threshold behind it is learned, so its unit would move", "learn=()")
        value = getattr(target, "threshold", None)
        if isinstance(value, torch.Tensor):
            found.append(value.detach().flatten())
    if any(value.shape != found[0].shape or bool((value != found[0]).any()) for value in found[1:]):
        raise GraphError(path, "drives neurons of different thresholds", "a layer for each of them")
    return found[0] if found else None  # the neurons' own: a loaded threshold is the new one here, too


@torch.no_grad()
def clip(net: nn.Module, limit: float) -> int:
    """Bring all weights of layers with synapses within [-limit, limit]; how many lay outside."""
    if not limit > 0:
        raise DataError("clipping: limit", limit, "a number above 0")
    outside = 0
    for layer in synapses(net).values():
        owner: Any = layer
        quantised_here = parametrize.is_parametrized(layer, "weight")
        held: torch.Tensor = owner.parametrizations.weight.original if quantised_here else owner.weight
        outside += int((held.abs() > limit).sum())
        held.clamp_(-limit, limit)
    return outside
