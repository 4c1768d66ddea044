"""The pictures that the examples use: scikit-learn's 1,797 scanned digits, or Fashion-MNIST from a data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeflow.datasets import FashionMNIST

TEST_IMAGES = 500


@dataclass(frozen=True)
class Pictures:
    """Training and test images ``(N, 1, H, W)`` in [0, 1] with their classes."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def digits(seed: int = 0) -> Pictures:
    """8 x 8 digits: 500 for the test, the rest for training."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[TEST_IMAGES:], order[:TEST_IMAGES]
    return Pictures(x[train], y[train], x[test], y[test])


def fashion(folder: Path) -> Pictures:
    """Fashion-MNIST, 28 x 28: all training images, the first 500 test images."""
    (x, y), (x_test, y_test) = (FashionMNIST(folder, part).arrays() for part in ("train", "test"))
    x_test, y_test = x_test[:TEST_IMAGES], y_test[:TEST_IMAGES]
    x, x_test = (images[:, None].astype(np.float32) / 255 for images in (x, x_test))
    return Pictures(x, y, x_test, y_test)


def pictures(folder: str) -> Pictures:
    """Fashion-MNIST where a data folder is named, else the digits."""
    return fashion(Path(folder)) if folder else digits()
