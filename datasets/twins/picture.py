"""Twins of still images: strokes between drawn points; strokes and colours are those of the class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.datasets.twins.draws import Draws, of_class
from spikeflow.typing import Array


@dataclass(frozen=True)
class Picture:
    """What pictures are like.

    Parameters
    ----------
    size : height and width, pixels.
    strokes, thickness : how many lines, and their deviation in pixels.
    colours : 1 (grey on black) or 3 (RGB, on a coloured ground).
    noise : deviation of each value, of 255.
    """

    size: int
    strokes: int
    thickness: float
    colours: int = 1
    noise: float = 0.0

    def make(self, name: str, label: int, draws: Draws) -> Array:
        """One picture, uint8, ``(size, size)`` or ``(size, size, 3)``."""
        kind = of_class(name, label)
        ends = (0.2 + 0.6 * kind.uniform("ends", self.strokes, 2, 2)) * self.size
        ends = ends + self.size * (
            0.04 * draws.normal("shift", 2) + 0.02 * draws.normal("ends", self.strokes, 2, 2)
        )
        cover = np.exp(-0.5 * (_distance(ends, self.size) / self.thickness) ** 2).max(0)
        ink = (0.75 + 0.25 * kind.uniform("ink", self.colours)) * (0.8 + 0.2 * draws.uniform("bright", 1))
        ground = kind.uniform("ground", self.colours) * 0.7 if self.colours > 1 else np.zeros(1)
        values = ground + (ink - ground) * cover[..., None]
        values = 255 * values + 255 * self.noise * draws.normal("noise", self.size, self.size, self.colours)
        image = np.clip(values, 0, 255).astype(np.uint8)
        image[image < 8] = 0
        return image[..., 0] if self.colours == 1 else image


def _distance(ends: Array, size: int) -> Array:
    """Of each pixel from each line, ``(lines, size, size)``; `ends` are ``(lines, 2, 2)``: begin and end, x
    and y.
    """
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
    begin, way = ends[:, None, None, 0], ends[:, None, None, 1] - ends[:, None, None, 0]
    along = np.clip(((grid - begin) * way).sum(-1) / np.maximum((way**2).sum(-1), 1e-9), 0, 1)
    return np.linalg.norm(grid - begin - along[..., None] * way, axis=-1)
