"""Sequences for the directly trained examples: digits row by row; N-MNIST and Braille from a data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Sequences:
    """Sequences ``(N, T, *shape)`` of spikes or counts, with their classes."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    labels: tuple[str, ...]


def _split(x: np.ndarray, y: np.ndarray, test: int, labels: tuple[str, ...]) -> Sequences:
    order = np.random.default_rng(0).permutation(len(x))
    return Sequences(x[order[test:]], y[order[test:]], x[order[:test]], y[order[:test]], labels)


def digit_rows(repeat: int = 4) -> Sequences:
    """Each digit as a sequence of its rows: a pixel spikes with probability value / 16, each row `repeat` steps."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    rows = np.repeat(x.reshape(-1, 8, 8) / 16, repeat, axis=1)
    spikes = (np.random.default_rng(1).random(rows.shape) < rows).astype(np.float32)
    return _split(spikes, y, 500, tuple("0123456789"))


def nmnist(folder: Path, steps: int = 20) -> Sequences:
    """N-MNIST: events of 300 ms in `steps` bins, 2 x 34 x 34 (polarity, y, x), each bin 0 or 1."""
    parts = {}
    for part in ("Train", "Test"):
        files = sorted((folder / "NMNIST" / part).glob("*/*.bin"))
        x = np.stack([_nmnist_frames(f, steps) for f in files])
        parts[part] = x, np.array([int(f.parent.name) for f in files])
    return Sequences(*parts["Train"], *parts["Test"], tuple("0123456789"))


def _nmnist_frames(path: Path, steps: int) -> np.ndarray:
    """Five bytes an event: x, y, then polarity (1 bit) and time in microseconds (23 bits), big-endian."""
    raw = np.fromfile(path, np.uint8).reshape(-1, 5).astype(np.int64)
    time_us = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
    frames = np.zeros((steps, 2, 34, 34), np.float32)
    step = np.minimum(time_us * steps // 300_000, steps - 1)
    frames[step, raw[:, 2] >> 7, raw[:, 1], raw[:, 0]] = 1
    return frames


def braille(folder: Path) -> Sequences:
    """Braille letters by touch: 12 taxels, a spike on each of two channels where a taxel rises or falls."""
    file = np.load(folder / "braille" / "braille_taxels.npz")
    ends = np.cumsum(file["length"])
    steps = int(file["length"].min()) - 1
    trials = [
        file["taxels"][end - n : end][: steps + 1].astype(np.float32)
        for n, end in zip(file["length"], ends, strict=True)
    ]
    change = np.diff(np.stack(trials), axis=1)
    x = np.concatenate([change > 0, change < 0], axis=2).astype(np.float32)
    test = file["repetition"] >= 28
    letters = tuple(str(letter) for letter in file["letters"])
    y = file["label"].astype(np.int64)
    return Sequences(x[~test], y[~test], x[test], y[test], letters)
