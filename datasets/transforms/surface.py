"""Time surface: how long ago each pixel last had an event, as a number that decays from 1 to 0."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.datasets.transforms.transform import Transform
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.ir.binning import MAX_BYTES, Binning, Start
from spikeflow.typing import Array


@dataclass(frozen=True)
class TimeSurface(Transform):
    """The surface of last times at the end of each step, float32, ``(T, 2, H, W)``, off and on apart.

    ``S(k, p, y, x) = exp(-(end_k - last) / tau)`` with ``end_k = start + (k + 1) dt`` and ``last`` the time
    of the last event of this pixel and polarity before it; 0 where there was none.

    Source: Lagorce, Orchard, Galluppi, Shi, Benosman 2017, "HOTS: A Hierarchy of Event-Based Time-Surfaces
    for Pattern Recognition", equations 1 and 2; here on the whole sensor and at the ends of steps, not around
    each event.

    Parameters
    ----------
    tau_us : time constant of the decay.
    dt_us, steps, start : the steps, as in `Binning`.

    Raises
    ------
    DataError
        When called, where the size of the sensor is unknown, or the surfaces would take more than 4 GiB.
    """

    tau_us: float
    dt_us: int
    steps: int | None = None
    start: Start = "first"

    def __post_init__(self) -> None:
        if not 0 < self.tau_us < np.inf:
            raise DataError("time surface: tau", f"{self.tau_us} us", "a time above 0")
        self._binning()

    def __call__(self, events: Events, draw: int = 0) -> Array:
        binning = self._binning()
        steps, cell = binning.cells(events)
        shape = (steps, *binning.shape(events))
        if 4 * prod(shape) > MAX_BYTES:
            raise DataError(
                "time surface", f"shape {shape}", f"at most {MAX_BYTES // 4} numbers", "longer steps"
            )
        surface = np.zeros(shape, np.float32)
        if not cell.size:
            return surface
        origin = int(events.t[0]) if self.start == "first" else 0
        size, fade = prod(shape[1:]), np.exp(-self.dt_us / self.tau_us)
        now = np.zeros(size)
        first, stop = binning.ranges(events)
        for k in range(steps):
            chosen = slice(int(first[k]), int(stop[k]))
            age = (k + 1) * self.dt_us - (events.t[chosen] - origin)
            now *= fade
            # the latest event of a pixel has decayed least
            np.maximum.at(now, cell[chosen] - k * size, np.exp(-age / self.tau_us))
            surface[k] = now.reshape(shape[1:])
        return surface

    def _binning(self) -> Binning:
        return Binning(dt_us=self.dt_us, steps=self.steps, start=self.start)
