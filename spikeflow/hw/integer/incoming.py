"""An edge into a port before it is quantised, and what its sources send."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeflow.ir.nodes import Shape, SynapticNode
from spikeflow.typing import Float


@dataclass(frozen=True, eq=False)
class Drive:
    """What the sources of an edge send on calibration data, in real numbers.

    Parameters
    ----------
    mean : over the steps of a sample, ``(samples, sources)``.
    power : mean square of such a mean, ``(sources,)``, with what single spikes add to it by chance.
    """

    mean: npt.NDArray[np.float32]
    power: Float


@dataclass(frozen=True, eq=False)
class Incoming:
    """An edge of a port before it is quantised.

    Parameters
    ----------
    weight : float64, one number a stored weight; `group` : the scale that each is counted in.
    in_shape : of the source; `drive` : what the source sends on calibration data.
    source : the integer that stands for 1 at the source: 1 for spikes.
    high : largest mantissa; `signed` : whether there are negative ones.
    """

    name: str
    node: SynapticNode
    weight: Float
    group: npt.NDArray[np.int64]
    in_shape: Shape
    drive: Drive
    source: float
    high: int
    signed: bool


def mantissas(edge: Incoming, weight: Float, scale: Float) -> Float:
    """The weights as integers at these scales, which broadcast to them."""
    rounded = np.floor(weight * scale + 0.5)
    return np.clip(rounded, -edge.high if edge.signed else 0, edge.high)
