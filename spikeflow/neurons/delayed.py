"""DelayedLinear: a linear layer that learns its delays; they end as whole steps for engine and chips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.errors import GraphError, UnsupportedLayer
from spikeflow.ir.nodes import Linear
from spikeflow.neurons.bounds import limited
from spikeflow.neurons.node_layer import NodeLayer

SCOPES = ("synapse", "source")
KERNELS = ("gaussian", "triangle")


class DelayedLinear(NodeLayer):
    """Synapses whose delays are learned: ``(y, state) = layer(x, state=None)``, ``(T, B, inputs)``.

    ::

        y_i[t] = bias_i + sum_j w_ij sum_d k(d - p_ij) x_j[t - d],    d = 0 ... longest

    p is the learned position of a delay within [0, longest] steps, and k a bump around it that sums to 1:

        gaussian    exp(-((d - p) / width)^2 / 2)
        triangle    max(0, 1 - |d - p| / (width + 1))

    A wide bump sees delays far from its own, a narrow one is nearly a delay: training starts wide and calls
    `narrow` as it goes. At ``narrow(0)`` each delay is the nearest whole number of steps, in use, in the file
    and on the chip alike: the layer is then its graph's node. Positions get no gradient any more.

    Source: I. Hammouamri, I. Khalfaoui-Hassani and T. Masquelier, Learning Delays in Spiking Neural Networks
    using Dilated Convolutions with Learnable Spacings, ICLR 2024. There the width shrinks on a
    schedule of its own; here it is the user's.

    Parameters
    ----------
    inputs, outputs : sizes of a moment.
    longest : the longest delay in steps, 1 or more.
    scope : ``synapse``, a delay for each; or ``source``, one for all synapses of a source (an axon's).
    kernel : the bump.
    width : in steps; None for half the longest delay.

    Raises
    ------
    GraphError
        For sizes, scopes, kernels or widths that are none.
    """

    position: torch.Tensor
    width: torch.Tensor

    def __init__(
        self, inputs: int, outputs: int, longest: int, *, scope: str = "synapse", kernel: str = "gaussian",
        width: float | None = None, bias: bool = True,
    ) -> None:  # fmt: skip
        _check(inputs, outputs, longest)
        for given, known in ((scope, SCOPES), (kernel, KERNELS)):
            if given not in known:
                raise GraphError("DelayedLinear", f"{given!r} is unknown", f"one of {', '.join(known)}")
        plain = nn.Linear(inputs, outputs)
        weight, offset = (part.detach().numpy() for part in (plain.weight, plain.bias))
        shape = (inputs,) if scope == "source" else (outputs, inputs)
        super().__init__(Linear(weight, offset if bias else None, np.full(shape, longest)))
        self.longest, self.kernel = longest, kernel
        self.position = nn.Parameter(torch.rand(shape) * longest)
        self.register_buffer("width", torch.zeros(()))
        self.narrow(longest / 2 if width is None else width)

    def narrow(self, width: float) -> None:
        """Set the width of the bump, in steps; 0 makes each delay the nearest whole number of steps.

        Raises
        ------
        GraphError
            For what is no number of steps.
        """
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 <= width <= 1e6:
            raise GraphError("DelayedLinear", f"a width of {width!r}", "a number of steps from 0 to 1e6")
        if width and width < 0.05:  # a bump between two whole steps would be 0 at both
            raise GraphError("DelayedLinear", f"a width of {width!r} steps", "0, or 0.05 and more")
        self.width.fill_(width)

    def extra_repr(self) -> str:
        """Sizes, the longest delay, and the width of the bump."""
        outputs, inputs = self.weight.shape
        sizes = f"{inputs}, {outputs}, longest={self.longest}"
        return f"{sizes}, kernel={self.kernel!r}, width={float(self.width):g}"

    def delays(self) -> torch.Tensor:
        """The whole steps nearest to the positions, a half to the even one; of the positions' shape."""
        return self.position.detach().clamp(0, self.longest).round().long()

    def bumps(self) -> torch.Tensor:
        """What each delay takes of each step: ``(longest + 1, *positions)``; sums to 1 over the steps."""
        steps = torch.arange(self.longest + 1, device=self.position.device, dtype=self.position.dtype)
        away = steps.view(-1, *[1] * self.position.ndim) - limited(self.position, 0, self.longest)
        if self.kernel == "triangle":
            made = torch.relu(1 - away.abs() / (self.width + 1))
        else:
            # the nearest step's own value is taken off before the exponent: a narrow bump does not vanish
            square = (away / self.width) ** 2 / 2
            made = torch.exp(square.amin(0).detach() - square)
        return made / made.sum(0)

    def node(self) -> Linear:
        """The node with the numbers as they are now.

        Raises
        ------
        UnsupportedLayer
            While the delays are still bumps.
        """
        self._settle()
        found = super().node()
        assert isinstance(found, Linear)
        return found

    def forward(self, x: Any, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """A stretch of time; the state is the input of the last `longest` steps."""
        if not bool(self.width):
            self._settle()
        return super().forward(x, state)

    def _settle(self) -> None:
        if bool(self.width):
            hint = f"narrow(0) of the layer when its training ends; its width is {float(self.width):g} steps"
            raise UnsupportedLayer("DelayedLinear", "delays that are no whole steps", hint)
        source, delays = self.source, self.delays().cpu().numpy()
        assert isinstance(source, Linear) and source.delays is not None
        if not np.array_equal(source.delays, delays):
            self.source = replace(source, delays=delays)

    def _delayed(self, whole: torch.Tensor, steps: int) -> torch.Tensor:
        """One sum for each step of delay, the oldest value first, of ``(longest + T, B, inputs)``."""
        if not bool(self.width):
            return super()._delayed(whole, steps)
        total = whole.new_zeros((steps * whole.shape[1], len(self.weight)))
        for late, bump in reversed(list(enumerate(self.bumps()))):
            moments = whole[self.depth - late :][:steps].flatten(0, 1).flatten(1)
            total = total + F.linear(moments, self.weight * bump)
        return total


def _check(*sizes: int) -> None:
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise GraphError("DelayedLinear", f"a size of {size!r}", "whole numbers from 1")
