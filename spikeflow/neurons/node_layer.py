"""NodeLayer: a node of a graph as a torch module, its weights trainable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.errors import ShapeError, UnsupportedLayer
from spikeflow.ir.arrays import Quantised, weight_values
from spikeflow.ir.nodes import Conv2d, Delay, Joint, Linear, Move, Node, Scale, Sparse, SumPool, Synaptic
from spikeflow.ir.nodes.base import Shape
from spikeflow.neurons.joints import joined
from spikeflow.neurons.members import Timed
from spikeflow.neurons.spike_linear import linear

_HELD = ("weight", "bias", "factor")


class NodeLayer(Timed):
    """A node of a graph that is no population: ``(y, state) = layer(x, state=None)``, ``(T, B, *shape)``.

    Weights, biases and factors are parameters. The state holds what the node reads of earlier steps: its
    input for delays, running sums for pooling; None where it reads none. Sums are torch's, in its own order.

    Parameters
    ----------
    node : Linear, Conv2d, Sparse, SumPool, MaxPool, Scale, Delay, or a move (Flatten, Concat, Pad, ...).

    Raises
    ------
    UnsupportedLayer
        For a kind that has no place between spiking neurons, and for weights that are integers of a chip.
    """

    def __init__(self, node: Node) -> None:
        super().__init__()
        if not isinstance(node, Synaptic | SumPool | Joint | Scale | Delay | Move):
            raise UnsupportedLayer("NodeLayer", type(node).__name__, "a node of a spiking network")
        self.ports = node.ports
        self.source = node
        for name, value in _arrays(node).items():
            self.register_parameter(name, nn.Parameter(torch.from_numpy(np.array(value, np.float32))))
        self.depth = (
            node.reach if isinstance(node, Synaptic) else node.steps if isinstance(node, Delay) else 0
        )

    weight: torch.Tensor
    bias: torch.Tensor
    factor: torch.Tensor
    product: str = ""  # of a Linear: which one its last call took, as `SpikeLinear.product`
    lag = 0  # steps that the edges into it take for it

    def extra_repr(self) -> str:
        """The kind of the node."""
        return type(self.source).__name__

    def node(self) -> Node:
        """The node with the numbers as they are now; the one it was made of where none has changed."""
        now = {name: getattr(self, name).detach().cpu().float().numpy() for name in _arrays(self.source)}
        changed = {n: v for n, v in now.items() if not np.array_equal(v, _arrays(self.source)[n])}
        node: Any = self.source
        return replace(node, **changed) if changed else self.source

    def forward(self, x: Any, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """A stretch of time; of several ports a dict.

        Raises
        ------
        ShapeError
            For values or a state that the node does not take.
        """
        arriving = self._in_order(x)
        node, shapes = self.source, tuple(tuple(value.shape[2:]) for value in arriving)
        shape = node.output_shape(type(node).__name__, shapes)
        if isinstance(node, Joint):
            return joined(node, arriving, state)
        if self.depth:
            return self._late(arriving[0], state, shape)
        if state is not None:
            raise ShapeError(type(node).__name__, "a state", "None: it reads no earlier step")
        flat = [value.flatten(0, 1) for value in arriving]
        return self._value(flat, shape).unflatten(0, arriving[0].shape[:2]), None

    def _in_order(self, x: Any) -> list[torch.Tensor]:
        """What arrives in the order of the ports, in whatever order it was given."""
        named = dict(x) if isinstance(x, Mapping) else {self.ports[0]: x}
        if set(named) != set(self.ports):
            got = f"inputs {sorted(map(str, named))}"
            raise ShapeError(type(self.source).__name__, got, f"a dict by port, of {self.ports}")
        return [named[port] for port in self.ports]

    def _late(
        self, x: torch.Tensor, past: torch.Tensor | None, shape: Shape
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Through the node's own delays: one sum for each, the oldest value first."""
        if past is None:
            past = x.new_zeros((self.depth, *x.shape[1:]))
        if not isinstance(past, torch.Tensor) or past.shape != (self.depth, *x.shape[1:]):
            got = tuple(past.shape) if isinstance(past, torch.Tensor) else type(past).__name__
            raise ShapeError("a delay", f"a state {got}", f"{(self.depth, *x.shape[1:])}")
        whole, node = torch.cat([past, x]), self.source
        after = whole[len(whole) - self.depth :]
        if isinstance(node, Delay):
            return whole[: len(x)], after
        total = self._delayed(whole, len(x))
        biased = total if getattr(node, "bias", None) is None else total + self.bias
        return biased.reshape(*x.shape[:2], *shape), after

    def _delayed(self, whole: torch.Tensor, steps: int) -> torch.Tensor:
        """One sum for each delay, the oldest value first, of the past and the stretch in one."""
        node = self.source
        assert isinstance(node, Linear | Sparse) and node.delays is not None
        total = whole.new_zeros((steps * whole.shape[1], node.rows))
        for slot in sorted(np.unique(node.delays).tolist(), reverse=True):
            late = whole[self.depth - slot :][:steps].flatten(0, 1)
            total = total + self._sum(late, slot)
        return total

    def _value(self, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
        """Of ``(B, *shape)`` at each port, a node that reads this step alone."""
        node = self.source
        if isinstance(node, Move):
            return moved(node, x, shape)
        if isinstance(node, Conv2d):
            return convolved(node, x[0], self.weight, self.bias if node.bias is not None else None)
        if isinstance(node, SumPool):
            return summed(node, x[0])
        if isinstance(node, Scale):
            return x[0] * self.factor
        total = self._sum(x[0], None)
        biased = total if getattr(node, "bias", None) is None else total + self.bias
        return biased.reshape(-1, *shape)

    def _sum(self, x: torch.Tensor, slot: int | None) -> torch.Tensor:
        """Synapses on ``(B, *shape)``, all of them or those of one delay; ``(B, targets)``."""
        node = self.source
        if isinstance(node, Linear):
            on = None if slot is None else np.broadcast_to(node.delays == slot, node.weight.shape)
            weight = self.weight if on is None else self.weight * _like(on, self.weight)
            total, self.product = linear(x.flatten(1), weight)
            return total
        if not isinstance(node, Sparse):
            raise UnsupportedLayer("NodeLayer", type(node).__name__, "Linear, Conv2d or Sparse")
        source = node.over_columns(np.arange(node.columns))
        on = np.arange(len(source)) if slot is None else np.flatnonzero(node.each_delay() == slot)
        scope, device = node.scopes[0], x.device
        at, to = (torch.from_numpy(a[on].astype(np.int64)).to(device) for a in (source, node.targets))
        each = torch.from_numpy(on).to(device)
        weight = self.weight if scope == "one" else self.weight[at if scope == "source" else each]
        arriving, total = x.flatten(1), x.new_zeros((len(x), node.rows))
        # one row of the batch after the other: all synapses of all rows at once would take their product
        return torch.stack([t.index_add(0, to, v[at] * weight) for t, v in zip(total, arriving, strict=True)])


class Late(NodeLayer):
    """A Delay within a graph: the edges into it take its steps, so that it may stand on a cycle."""

    def __init__(self, node: Delay) -> None:
        super().__init__(node)
        self.lag = node.steps

    def forward(self, x: Any, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What arrives."""
        return x, None


def moved(node: Move, x: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    """What a move hands on, ``(B, *shape)``."""
    shapes = [tuple(v.shape[1:]) for v in x]
    flat = torch.cat([v.flatten(1) for v in x], 1) if len(x) > 1 else x[0].flatten(1)
    if not node.keeps_order(shapes):
        index = torch.from_numpy(node.index_map(shapes).astype(np.int64)).to(flat.device)
        lies = index >= 0
        flat = flat[:, index.clamp(min=0)]
        flat = flat if bool(lies.all()) else torch.where(lies, flat, flat.new_zeros(()))
    return flat.reshape(-1, *shape)


def convolved(node: Conv2d, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """What a convolution hands on, with these weights."""
    if node.axes not in _CONVOLUTIONS:
        raise UnsupportedLayer("NodeLayer", f"a convolution along {node.axes} axes", "three at most")
    within = tuple(min(pair) for pair in node.padding)  # torch's own, without a copy of the picture
    rest = [(before - n, after - n) for (before, after), n in zip(node.padding, within, strict=True)]
    ends = [n for pair in reversed(rest) for n in pair]
    padded = F.pad(x, ends) if any(ends) else x
    return _CONVOLUTIONS[node.axes](padded, weight, bias, node.stride, within, node.dilation, node.groups)


def summed(node: SumPool, x: torch.Tensor) -> torch.Tensor:
    """The sums of windows."""
    if len(node.kernel) not in _POOLS:
        raise UnsupportedLayer("NodeLayer", f"a pool along {len(node.kernel)} axes", "three at most")
    return _POOLS[len(node.kernel)](x, node)


_CONVOLUTIONS: Mapping[int, Callable[..., torch.Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_POOLS: Mapping[int, Callable[[torch.Tensor, SumPool], torch.Tensor]] = {
    # torch's own of one axis takes no divisor
    1: lambda x, p: F.avg_pool2d(x[:, :, None], (1, *p.kernel), (1, *p.stride), divisor_override=1)[:, :, 0],
    2: lambda x, p: F.avg_pool2d(x, p.kernel, p.stride, divisor_override=1),
    3: lambda x, p: F.avg_pool3d(x, p.kernel, p.stride, divisor_override=1),
}


def _arrays(node: Node) -> dict[str, Any]:
    """The numbers of a node that can be trained, float32."""
    found = {n: getattr(node, n) for n in _HELD if getattr(node, n, None) is not None}
    if any(isinstance(value, Quantised) for value in found.values()):
        hint = "the float network that the integers were made from"
        raise UnsupportedLayer("NodeLayer", f"{type(node).__name__} of integers", hint)
    return {name: weight_values(value) for name, value in found.items()}


def _like(values: Any, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(values)).to(like)
