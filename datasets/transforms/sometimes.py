"""An event transform applied with a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.datasets.transforms.draw import check_chance, numbers
from spikeflow.datasets.transforms.transform import Compose, EventTransform
from spikeflow.events import Events
from spikeflow.typing import Array


@dataclass(frozen=True)
class Sometimes(EventTransform):
    """The transform with probability p, else the events as they are.

    Parameters
    ----------
    transform : what is applied, with the same draw.
    p : how often.
    seed : of the decision.
    """

    transform: EventTransform
    p: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        check_chance("sometimes", self.p)

    def __call__(self, events: Events, draw: int = 0) -> Events:
        return self.transform(events, draw) if self._chosen(draw) else events

    def dense(self, frames: Array, draw: int = 0, dt_us: int = 1) -> Array:
        """The same for counts ``(T, P, H, W)``, where the transform has a form for them."""
        if not self._chosen(draw):
            return np.asarray(frames)
        return Compose((self.transform,)).dense(frames, draw, dt_us)

    def _chosen(self, draw: int) -> bool:
        return bool(numbers(self, draw, 1)[0] < self.p)
