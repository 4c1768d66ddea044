"""Train a small spiking network directly, capture it, and run it on the engine and on chips.

python examples/train_lif.py              # digits as sequences of rows
python examples/train_lif.py --data DIR   # N-MNIST, real event-camera recordings
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sequences import Sequences, digit_rows, nmnist
from torch import nn
from trained import arguments, fit, report

from spikeflow.neurons import LIF, Integrator, Neuron, Sequential


def network(shape: tuple[int, ...]) -> Sequential:
    """Dense for rows of digits, convolutional for event-camera frames; a read-out that adds up."""
    if len(shape) == 1:
        return Sequential(
            nn.Linear(shape[0], 128),
            Neuron(LIF(0.9)),
            nn.Linear(128, 128),
            Neuron(LIF(0.9)),
            nn.Linear(128, 10),
            Neuron(Integrator()),
        )
    return Sequential(
        nn.Conv2d(2, 12, 5, stride=2),
        Neuron(LIF(0.8)),
        nn.Conv2d(12, 24, 3, stride=2),
        Neuron(LIF(0.8)),
        nn.Flatten(),
        nn.Linear(24 * 7 * 7, 10),
        Neuron(Integrator()),
    )


def main() -> None:
    args = arguments(
        argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    )
    torch.manual_seed(args.seed)
    data: Sequences = nmnist(Path(args.data)) if args.data else digit_rows()
    net = network(data.x_train.shape[2:])
    fit(net, data, epochs=1 if args.smoke else 30)
    report(net, data, args)


if __name__ == "__main__":
    main()
