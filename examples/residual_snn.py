"""Train a residual spiking network on digits; capture it, run it on the engine, and map it on chips.

python examples/residual_snn.py
"""

from __future__ import annotations

import argparse

import torch
from sequences import digit_pictures
from torch import nn
from trained import arguments, fit, report

from spikeflow.neurons import LIF, Integrator, Neuron, Residual, Sequential


def block(channels: int) -> nn.Module:
    """Two convolutions with neurons between, and a way around them; the sum drives the neurons behind it."""
    body = Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        Neuron(LIF(0.8)),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    )
    return Residual(body)


def network(channels: int = 8) -> Sequential:
    """A convolution, two residual blocks, a read-out that adds up."""
    return Sequential(
        nn.Conv2d(1, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        Neuron(LIF(0.8)),
        block(channels),
        Neuron(LIF(0.8)),
        nn.AvgPool2d(2),
        block(channels),
        Neuron(LIF(0.8)),
        nn.Flatten(),
        nn.Linear(16 * channels, 10),
        Neuron(Integrator()),
    )


def main() -> None:
    args = arguments(
        argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    )
    torch.manual_seed(args.seed)
    data = digit_pictures()
    net = network()
    # a penalty on the firing rate of every layer of neurons, those within the blocks too
    rates = ("layers.2", "layers.3.body.layers.2", "layers.4", "layers.6.body.layers.2", "layers.7")
    fit(net, data, epochs=1 if args.smoke else 12, rates=rates)
    report(net, data, args)


if __name__ == "__main__":
    main()
