"""Twins of the tactile Braille letters: taxels sink and rise again as dots pass; dots and times are those of
the letter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.datasets.twins.draws import Draws, of_class
from spikeflow.typing import Array

REST = 255
TOUCHED = (1, 2, 6, 10)  # the taxels that the letters reach; the others rest
DOTS = 2


@dataclass(frozen=True)
class Touch:
    """What trials are like: taxels, and the two numbers of steps that a trial may have."""

    taxels: int
    steps: tuple[int, int]

    def make(self, name: str, label: int, draws: Draws) -> Array:
        """One trial, uint8, ``(steps, taxels)``."""
        letter = of_class(name, label)
        steps = self.steps[int(draws.uniform("steps", 1)[0] * 2)]
        out = np.full((steps, self.taxels), float(REST))
        time = np.arange(steps)[:, None]
        for taxel, at in enumerate(TOUCHED):
            when = (0.02 + 0.96 * letter.uniform(f"when {taxel}", DOTS)) * steps + 0.6 * draws.normal(
                "late", 1
            )
            depth = (0.2 + 0.6 * letter.uniform(f"depth {taxel}", DOTS)) * (
                1 + 0.05 * draws.normal("hard", 1)
            )
            wide = 1.2 + 1.2 * letter.uniform(f"wide {taxel}", DOTS)
            out[:, at] -= REST * (depth * np.exp(-0.5 * ((time - when) / wide) ** 2)).sum(1)
        return np.clip(np.rint(out), 0, REST).astype(np.uint8)
