"""Train two-point cells whose recurrence goes to the apical port; capture, run and map the network.

python examples/train_two_point.py              # digits as sequences of rows
python examples/train_two_point.py --data DIR   # Braille letters, read by a robot's fingertip
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sequences import Sequences, braille, digit_rows
from torch import nn
from trained import arguments, fit, report

from spikeflow.neurons import Integrator, Neuron, Recurrent, Sequential, TwoPointLIF


def network(inputs: int, classes: int, cells: int = 96) -> Sequential:
    """One recurrent layer of two-point cells: what they saw gates what they see."""
    feedback = nn.Linear(cells, cells, bias=False)
    nn.init.normal_(feedback.weight, std=0.3 / cells**0.5)
    return Sequential(
        nn.Linear(inputs, cells),
        Recurrent(Neuron(TwoPointLIF(gain=1.0)), feedback, port="apical"),
        nn.Linear(cells, classes),
        Neuron(Integrator()),
    )


def main() -> None:
    args = arguments(
        argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    )
    torch.manual_seed(args.seed)
    data: Sequences = braille(Path(args.data)) if args.data else digit_rows()
    net = network(data.x_train.shape[2], len(data.labels))
    fit(net, data, epochs=1 if args.smoke else 40)
    report(net, data, args)


if __name__ == "__main__":
    main()
