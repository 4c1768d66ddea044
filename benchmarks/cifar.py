"""CIFAR-10 from a data folder: strips of PNG pictures, and labels as CSV."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import matplotlib.image
import numpy as np

# of the pretrained networks' training: channel means and deviations of ImageNet
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True)
class Pictures:
    """Normalised images ``(N, 3, 32, 32)`` and their classes."""

    x: np.ndarray
    y: np.ndarray


def load(folder: Path, part: str, count: int) -> Pictures:
    """The first `count` images of `part`, "train" or "test"; classes take turns, so any beginning is balanced."""
    y = _labels(folder / "cifar10" / f"{part}.csv")[:count]
    strips = sorted((folder / "cifar10").glob(f"{part}_*.png"))
    found, have = [], 0
    for strip in strips:
        if have >= len(y):
            break
        found.append(_strip(strip))
        have += len(found[-1])
    pixels = np.concatenate(found)[: len(y)].astype(np.float32) / 255
    normal = (pixels - MEAN) / DEVIATION
    return Pictures(np.ascontiguousarray(normal.transpose(0, 3, 1, 2)), y)


def _strip(path: Path) -> np.ndarray:
    """Up to 1,000 images on top of each other; matplotlib gives PNG pixels as value / 255 in float32."""
    picture = matplotlib.image.imread(path)[:, :, :3]
    return np.rint(picture * 255).astype(np.uint8).reshape(-1, 32, 32, 3)


def _labels(path: Path) -> np.ndarray:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    header = rows[0]
    column = next((i for i, name in enumerate(header) if name.strip().lower() == "label"), None)
    if column is None:
        raise SystemExit(f"{path}: no column 'label' in {header}")
    return np.array([int(row[column]) for row in rows[1:]])
