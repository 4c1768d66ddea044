"""Normalisation for networks in time: tdBN, TEBN, MPBN.

Batch norm between layers of a network takes its statistics over steps and samples together (`Sequential`).
`train.deploy.deployed` folds what can be folded; what cannot is refused by name when it is exported.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from spikeflow.errors import DataError, GraphError, ShapeError, UnsupportedLayer
from spikeflow.neurons import LIF, Neuron
from spikeflow.neurons.autograd import Derivative, spike
from spikeflow.neurons.bounds import limited
from spikeflow.neurons.layer import wide
from spikeflow.neurons.members import Timed
from spikeflow.neurons.stretch import check_state, check_stretch, state_dtype
from spikeflow.neurons.surrogate import atan

LEAST = 2.0**-10  # factors that must stay above 0 stay above this
_KINDS: tuple[type[Any], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _batch_norm(features: int, dims: int) -> Any:
    if dims not in (1, 2, 3):
        raise DataError("batch norm: dims", dims, "1, 2 or 3: axes of space (1 for none or one)")
    return _KINDS[dims - 1](features)


def td_batch_norm(features: int, dims: int = 2, threshold: float = 1.0, share: float = 1.0) -> nn.Module:
    """tdBN: y = g (x - mean) / sqrt(var + eps) + b over steps, samples, space; g starts at share threshold.

    It is batch norm whose weight starts there: a factor of its own before the weight, as published, computes
    the same. Folds like any batch norm.

    Source: Zheng, Wu, Deng, Hu, Li, Going deeper with directly-trained larger spiking neural networks, AAAI
    2021, arXiv 2011.05280.

    Parameters
    ----------
    features : channels.
    dims : axes of space.
    threshold : of the neurons behind it.
    share : 1, or 1/sqrt(2) where two branches add up.
    """
    norm = _batch_norm(features, dims)
    nn.init.constant_(norm.weight, share * threshold)
    return norm


class Steps(NamedTuple):
    """How many steps a layer has seen."""

    done: int


class TemporalBatchNorm(Timed):
    """TEBN: y[t] = p[t] (g (x[t] - mean) / sqrt(var + eps) + b), statistics over steps, samples and space.

    p[t] > 0 is learned for each step. It cannot be folded: every step would need weights of its own, which
    hardware does not have; export refuses it by name. Source: Duan, Ding, Chen, Yu, Huang, Temporal effective
    batch normalization in spiking neural networks, NeurIPS 2022.

    Parameters
    ----------
    features : channels.
    steps : the most that a sample may have.
    dims : axes of space.
    """

    foldable = False

    def __init__(self, features: int, steps: int, dims: int = 2) -> None:
        super().__init__()
        if steps < 1:
            raise DataError("TEBN: steps", steps, "at least 1")
        self.norm = _batch_norm(features, dims)
        self.factors = nn.Parameter(torch.ones(steps))

    def forward(self, x: torch.Tensor, state: Steps | None = None) -> tuple[torch.Tensor, Steps]:
        """``(T, B, C, ...)`` to the same shape, and how many steps have been seen."""
        check_stretch("TEBN", x)
        done = state.done if state is not None else 0
        if done + len(x) > len(self.factors):
            raise ShapeError("TEBN", f"step {done + len(x)}", f"at most {len(self.factors)} steps")
        factors = limited(self.factors, LEAST, float("inf"))[done : done + len(x)]
        y = self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return y * factors.reshape(-1, *(1,) * (x.ndim - 1)), Steps(done + len(x))


class Membrane(NamedTuple):
    """The state of `MembraneNormLIF`."""

    v: torch.Tensor


class MembraneNormLIF(Timed):
    """MPBN: neurons whose membrane is normalised before it is compared.

    v <- decay v + x;  z = g (v - mean) / sqrt(var + eps) + b >= threshold;  v <- 0 where z. While training
    the statistics are those of each step, over samples and space. The membrane is float32, or float64, also
    in a network of half precision. `folded` is the same layer as neurons whose
    thresholds hold the normalisation: (threshold - b) sqrt(var + eps) / g + mean, for each channel. g > 0 is
    kept. Source: Guo et al., Membrane potential batch normalization for spiking neural networks, ICCV 2023,
    arXiv 2308.08359.

    Parameters
    ----------
    features : channels.
    decay : of the membrane in a step, 0 to 1.
    threshold : above 0.
    dims : axes of space.
    derivative : the surrogate, of the normalised membrane less the threshold.
    """

    foldable = True
    spikes = True

    def __init__(
        self,
        features: int,
        decay: float = 0.9,
        threshold: float = 1.0,
        dims: int = 2,
        derivative: Derivative = atan,
    ) -> None:
        super().__init__()
        LIF(decay, threshold)  # checks both
        self.norm, self.dims = _batch_norm(features, dims), dims
        self.decay, self.threshold, self.derivative = decay, threshold, derivative

    def forward(self, x: torch.Tensor, state: Membrane | None = None) -> tuple[torch.Tensor, Membrane]:
        """Currents ``(T, B, C, ...)`` to spikes, and the membranes after them."""
        check_stretch("MPBN", x)
        given, x = x.dtype, x.to(state_dtype(x.dtype))
        if state is not None:
            check_state("MPBN", state, Membrane._fields, x[0])
        v, spikes = torch.zeros_like(x[0]) if state is None else state[0], []
        for now in x:
            v = self.decay * v + now
            z = spike(self._normalised(v) - self.threshold, self.derivative)
            spikes.append(z)
            v = torch.where(z.detach() != 0, torch.zeros_like(v), v)
        z = torch.stack(spikes)
        return z.to(given) if given.is_floating_point else z, Membrane(v)

    def _apply(self, fn: Any, recurse: bool = True) -> MembraneNormLIF:
        """Moves as any module's, but stays float32 under `half()` and `bfloat16()`, as neurons do."""
        return super()._apply(wide(fn), recurse)

    def _normalised(self, v: torch.Tensor) -> torch.Tensor:
        norm = self.norm
        if norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        return nn.functional.batch_norm(
            v,
            norm.running_mean,
            norm.running_var,
            limited(norm.weight, LEAST, float("inf")),
            norm.bias,
            norm.training,
            norm.momentum,
            norm.eps,
        )

    @torch.no_grad()
    def folded(self, name: str = "MPBN") -> Neuron:
        """The neurons of the trained layer.

        Raises
        ------
        GraphError
            Where a threshold would lie below 0: such a neuron spikes of itself at rest.
        """
        norm = self.norm
        gain = norm.weight.double().clamp(min=LEAST)
        deviation = (norm.running_var.double() + norm.eps).sqrt()
        thresholds = (self.threshold - norm.bias.double()) * deviation / gain + norm.running_mean.double()
        if below := (thresholds < 0).nonzero().flatten().tolist():
            reason = f"the thresholds of channels {below[:8]} lie below 0 after folding"
            raise GraphError(name, reason, "more training, or a higher threshold")
        shape = (-1, *(1,) * (self.dims if self.dims > 1 else 0))
        return Neuron(LIF(self.decay, thresholds.numpy().astype(np.float32).reshape(shape), reset="zero"))


def refuse_unfoldable(name: str, layer: nn.Module) -> None:
    """Raise UnsupportedLayer for a layer that no graph can hold."""
    if isinstance(layer, TemporalBatchNorm):
        hint = "td_batch_norm, which folds"
        raise UnsupportedLayer(
            name, "TEBN (TemporalBatchNorm), whose weights differ from step to step,", hint
        )
