"""Times of a file in steps of the run: rounded, and told where that changes them."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from spikeflow.errors import SpikeflowWarning

TOLD = 0.01  # of a step: by less nobody means another time


def whole_steps(
    what: str, seconds: npt.ArrayLike, dt_s: float, least: int = 0
) -> npt.NDArray[np.float64]:
    """The whole steps nearest to some times, `least` at least.

    Warns
    -----
    SpikeflowWarning
        For times that lie between steps, or below the least, with how many and by how much they are moved.
    """
    exact = np.asarray(seconds, np.float64) / dt_s
    steps = np.maximum(np.rint(exact), least)
    moved = np.abs(exact - steps)
    if (between := int(np.count_nonzero(moved > TOLD))):
        text = f"{what}: {between} of {moved.size} lie between steps of {dt_s:g} s and are rounded, "
        text += f"by up to {moved.max() * dt_s:g} s. Try: shorter steps"
        warnings.warn(text, SpikeflowWarning, stacklevel=4)
    return steps
