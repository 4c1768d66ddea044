"""Small tasks for tests of training: digits of scikit-learn, and a network that learns them in seconds."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from spikeflow.neurons import LIF, Integrator, Neuron, Sequential
from spikeflow.train.batches import Arrays, Coding, Splits


def splits(samples: int = 400, coding: str = "direct", batch_size: int = 50) -> Splits:
    """Digits / 16 in 4 steps: so many to train, half as many to select by and to test on."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[: 2 * samples]
    x, y = (x[order] / 16).astype(np.float32), y[order]
    parts = np.split(np.arange(len(x)), [samples, 3 * samples // 2])
    how = Coding(coding, 4)
    train, valid, test = (
        Arrays(x[p], y[p], how, batch_size, seed=3, shuffle=i == 0) for i, p in enumerate(parts)
    )
    return Splits(train, valid, test)


def network(seed: int = 0, dropout: float = 0.2) -> Sequential:
    """With batch norm and dropout, whose statistics and draws are part of a training."""
    torch.manual_seed(seed)
    return Sequential(
        nn.Linear(64, 32),
        nn.BatchNorm1d(32),
        Neuron(LIF(0.8, 1.0), learn="decay"),
        nn.Dropout(dropout),
        nn.Linear(32, 10),
        Neuron(Integrator()),
    )
