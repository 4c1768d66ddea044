"""Sequences for the directly trained examples: digits row by row; N-MNIST and Braille from a data folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spikeflow.datasets import NMNIST, Braille
from spikeflow.datasets.base import Dataset
from spikeflow.datasets.transforms import Frames
from spikeflow.events import Events


@dataclass(frozen=True)
class Sequences:
    """Sequences ``(N, T, *shape)`` of spikes or counts, with their classes; `dt` seconds are a step."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    labels: tuple[str, ...]
    dt: float


def digit_pictures(steps: int = 12) -> Sequences:
    """Each digit, 1 x 8 x 8, for so many steps: in each a pixel spikes with probability value / 16."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    pictures = np.repeat(x.reshape(-1, 1, 1, 8, 8) / 16, steps, axis=1)
    spikes = (np.random.default_rng(1).random(pictures.shape) < pictures).astype(np.float32)
    return _split(spikes, y, 500, tuple("0123456789"))


def _split(x: np.ndarray, y: np.ndarray, test: int, labels: tuple[str, ...]) -> Sequences:
    order = np.random.default_rng(0).permutation(len(x))
    # a picture has no time of its own: each of its steps is shown for 1 ms
    return Sequences(x[order[test:]], y[order[test:]], x[order[:test]], y[order[:test]], labels, dt=1e-3)


def digit_rows(repeat: int = 4) -> Sequences:
    """Each digit as a sequence of its rows: a pixel spikes with probability value / 16, each row `repeat` steps."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    rows = np.repeat(x.reshape(-1, 8, 8) / 16, repeat, axis=1)
    spikes = (np.random.default_rng(1).random(rows.shape) < rows).astype(np.float32)
    return _split(spikes, y, 500, tuple("0123456789"))


def nmnist(folder: Path, steps: int = 20) -> Sequences:
    """N-MNIST: events of 300 ms in `steps` bins, 2 x 34 x 34 (off and on, y, x), each bin 0 or 1; a partial copy will do."""
    frames = Frames(dt_us=300_000 // steps, steps=steps, start="zero", clip=True)
    return _sequences(
        NMNIST(folder, "train", True, frames), NMNIST(folder, "test", True, frames), 0.3 / steps
    )


def braille(folder: Path, steps: int = 75) -> Sequences:
    """Braille letters by touch: a spike on one of two channels where one of 12 sensors rises or falls, 25 ms a step."""
    frames = Frames(dt_us=25_000, steps=steps + 1, start="zero")
    data = _sequences(Braille(folder, "train", True, frames), Braille(folder, "test", True, frames), 25e-3)
    # nothing changes in the first step; channels (off and on, 1, 12) side by side
    train, test = (x[:, 1:].reshape(len(x), steps, -1) for x in (data.x_train, data.x_test))
    return replace(data, x_train=train, x_test=test)


def _sequences(train: Dataset[Events], test: Dataset[Events], dt: float) -> Sequences:
    x_train, x_test = (np.stack([part[i][0] for i in range(len(part))]) for part in (train, test))
    return Sequences(x_train, train.labels.copy(), x_test, test.labels.copy(), train.metadata.classes, dt)
