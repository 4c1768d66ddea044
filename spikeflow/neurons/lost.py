"""Gradients that are no numbers any more, told where they come back to the beginning of a sequence."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch

from spikeflow.errors import SpikeflowWarning


def tell_lost(to_state: Sequence[torch.Tensor | None], wanted: Sequence[bool]) -> None:
    """Warn of a NaN among the gradients of the states before the first step.

    A current that is NaN in a step makes no spike, so a loss stays finite; but 0 times NaN comes back from
    there through all steps before. That reaches the first states, whose gradient nobody asked for (`wanted`):
    a few numbers to look at. On a GPU, where a look would wait for all that runs, nothing is told.
    """
    if any(wanted):
        return  # not the first stretch of its sequence, or a user's own, who sees them
    for gradient in to_state:
        if gradient is not None and not gradient.is_cuda and bool(torch.isnan(gradient).any()):
            warnings.warn(
                "gradients of a layer of neurons are NaN: its currents were NaN or infinite in some step, as "
                "behind samples that are padded with NaN, or a gradient overflowed. Try: padding of 0, with "
                "a mask for the losses; a smaller step, or clipping.",
                SpikeflowWarning,
                stacklevel=2,
            )
            return
