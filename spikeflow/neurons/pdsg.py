"""PDSG: a surrogate as wide as the potentials that it has seen are spread."""

from __future__ import annotations

from functools import partial
from math import pi, sqrt
from typing import Any

import torch

from spikeflow.neurons.autograd import Derivative, Watching


class PDSG(Watching):
    """A normal density over x = v - threshold, of mean s / 2 and deviation s::

        exp(-((x - s / 2) / (sqrt(2) s))^2) / (sqrt(2 pi) s)

    s is the deviation of all x of the sequence so far: one number for each channel of ``(B, C, ...)``, one
    for a layer of plain neurons ``(B, N)``. It is a constant for the gradient, and 1 where nothing varies.
    Spikes and states are what they are with any surrogate.

    While training, the deviation is followed anew in every sequence, in torch alone (`layer.kernel` is
    ``eager``); at evaluation it is the buffer `deviation`, as the last training sequence left it. One PDSG
    belongs to one layer: `replace_surrogates` makes one for each.

    Source: Potential-Dependent Surrogate Gradient, CVPR 2025, arXiv 2503.03272, where it is the attacker's.
    """

    deviation: torch.Tensor
    seen: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("seen", torch.zeros(3, 1, dtype=torch.float64), persistent=False)

    def begin(self) -> None:
        """A sequence starts: what was seen is forgotten."""
        if self.training:
            self.seen = torch.zeros_like(self.seen[:, :1])

    def watch(self, x: torch.Tensor) -> Derivative:
        """The slope with the deviation of all x up to these ones."""
        if self.training:
            axes = [axis for axis in range(x.ndim) if axis != 1 or x.ndim < 3]
            count = torch.full_like(x, 1, dtype=torch.float64)
            parts = (v.sum(axes).reshape(-1) for v in (count, x.double(), x.double().square()))
            self.seen = self.seen + torch.stack(list(parts))
            number, total, squares = self.seen
            spread = (squares / number - (total / number).square()).clamp(min=0).sqrt()
            spread = torch.where(spread > 0, spread, torch.ones_like(spread)).to(x.dtype)
            self.deviation = (
                spread.reshape(-1, *(1 for _ in x.shape[2:])) if x.ndim > 2 else spread.reshape(())
            )
        return partial(density, deviation=self.deviation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The slope at x, with the deviation as it is now."""
        return density(x, self.deviation)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        state_dict, prefix = args[:2]
        stored = state_dict.get(f"{prefix}deviation")
        if stored is not None:  # one for each channel, once it has seen some
            self.deviation = torch.empty_like(stored, device=self.deviation.device)
        super()._load_from_state_dict(*args, **kwargs)


def density(x: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """The normal density of mean s / 2 and deviation s."""
    s = deviation.to(x.dtype)
    return torch.exp(-(((x - s / 2) / (sqrt(2) * s)) ** 2)) / (sqrt(2 * pi) * s)
