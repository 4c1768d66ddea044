"""Residual: a block and a way around it."""

from __future__ import annotations

from torch import nn

from spikeflow.ir.graph import Edge
from spikeflow.neurons.net import Net
from spikeflow.neurons.wiring import FIRST


class Residual(Net):
    """A block and a way around it: y = body(x) + shortcut(x), in every step; without a shortcut y =
    body(x) + x.

    Its states are those of a `Net` with the nodes ``body`` and ``shortcut``.

    Parameters
    ----------
    body, shortcut : a layer of neurons, a network, or a torch module without neurons.

    Raises
    ------
    UnsupportedLayer
        As `Net` does. When it runs, ShapeError where the two are not of one shape.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        around = {} if shortcut is None else {"shortcut": shortcut}
        ways = [Edge("body", "output")] + [Edge("shortcut" if around else "input", "output")]
        super().__init__(
            {"body": body, **around}, [*(Edge("input", name, FIRST) for name in ("body", *around)), *ways]
        )
