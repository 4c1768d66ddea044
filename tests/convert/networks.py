"""Small networks that several conversion tests share, and how to trace and run them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.convert.capture.builder import Captured
from spikeflow.convert.capture.traced import capture
from spikeflow.convert.passes.forward import forward
from spikeflow.convert.trace.aten import AtenGraph, from_module
from spikeflow.ir.graph import Graph
from spikeflow.sim import Constant, run

Array = np.ndarray[Any, Any]


class Calls(nn.Module):
    """A module whose forward is the given function of (self, x); keyword arguments become submodules."""

    def __init__(self, function: Any, **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)


class Shortcut(nn.Module):
    """Every second pixel, and zeros for the new channels, half before and half behind."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.channels // 4, self.channels // 4), "constant", 0)


class Block(nn.Module):
    """The basic block of a residual network for CIFAR-10."""

    def __init__(self, inputs: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential() if stride == 1 and inputs == channels else Shortcut(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    """The residual network for CIFAR-10 of He et al. (2016), shortcuts of kind A."""

    def __init__(self, blocks: int = 3, width: int = 16) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.layer1 = self._layer(width, width, blocks, 1)
        self.layer2 = self._layer(width, 2 * width, blocks, 2)
        self.layer3 = self._layer(2 * width, 4 * width, blocks, 2)
        self.linear = nn.Linear(4 * width, 10)

    @staticmethod
    def _layer(inputs: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
        first = Block(inputs, channels, stride)
        return nn.Sequential(first, *(Block(channels, channels) for _ in range(blocks - 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = F.avg_pool2d(out, out.size()[3])
        return self.linear(out.view(out.size(0), -1))


def settled(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in evaluation mode, drawn anew from a seed, batch norms with statistics that are not those of the start."""
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for part in module.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.running_mean is not None:
            part.running_mean.normal_(0, 0.3, generator=draw)
            part.running_var.uniform_(0.5, 2, generator=draw)
            if part.affine:
                part.weight.data.uniform_(0.5, 1.5, generator=draw)
                part.bias.data.normal_(0, 0.3, generator=draw)
    return module.eval()


def small_cnn() -> nn.Sequential:
    """Two convolutions with batch norm and average pooling, for 8 x 8 pictures."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(64, 10),
    )


def traced(module: nn.Module, shape: tuple[int, ...]) -> AtenGraph:
    """The traced module, for samples of this shape."""
    return from_module(module.eval(), torch.zeros(2, *shape))


def captured(module: nn.Module, shape: tuple[int, ...]) -> Captured:
    """The captured module."""
    return capture(traced(module, shape))


def samples(shape: tuple[int, ...], count: int = 5, seed: int = 1) -> Array:
    """Normal random samples."""
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def answers(module: nn.Module, x: Array) -> Array:
    """What the module itself gives."""
    with torch.no_grad():
        return np.asarray(module.eval()(torch.from_numpy(x)).numpy())


def apart(graph: Graph, module: nn.Module, x: Array) -> float:
    """The largest difference of a graph of stage ann from its module, relative to the largest answer."""
    wanted = answers(module, x)
    assert wanted.any(), "a network that answers 0 to everything proves nothing"
    return float(np.abs(forward(graph, x) - wanted).max() / np.abs(wanted).max())


def readout(graph: Graph, x: Array, steps: int) -> Array:
    """The accumulators over time of a graph of stage snn, ``(T, B, classes)``, on the reference."""
    return run(graph, Constant(x), steps, engine="reference").output
