"""Torch layers around the models: Neuron, Recurrent, Sequential. State goes in and state comes out.

Tensors are ``(T, B, *shape)``. Currents are added and multiplied as separate operations, so on the same
currents a layer and the reference agree bit for bit.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from spikeflow.errors import ShapeError
from spikeflow.ir import functions
from spikeflow.neurons import surrogate
from spikeflow.neurons.model import NeuronModel

State = tuple[torch.Tensor, ...]
Stretch = torch.Tensor | dict[str, torch.Tensor]


class TorchOps:
    """The step in torch: spikes carry a surrogate gradient, `hold` stops the gradient."""

    def __init__(self, derivative: surrogate.Derivative) -> None:
        self.derivative = derivative

    def minimum(self, a: Any, b: Any) -> torch.Tensor:
        return torch.where(a < b, a, b)

    def maximum(self, a: Any, b: Any) -> torch.Tensor:
        return torch.where(a > b, a, b)

    def floor(self, x: torch.Tensor) -> torch.Tensor:
        return torch.floor(x)

    def where(self, condition: torch.Tensor, a: Any, b: Any) -> torch.Tensor:
        return torch.where(condition != 0, a, b)

    def spike(self, x: torch.Tensor, slot: int = 0) -> torch.Tensor:
        z: torch.Tensor = surrogate.Spike.apply(x, self.derivative)  # type: ignore[no-untyped-call]
        return z

    def hold(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach()

    def tanh(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = functions.tanh(x, self._clip)
        return result

    def sigmoid(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = functions.sigmoid(x, self._clip)
        return result

    def _clip(self, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return self.minimum(self.maximum(x, low), high)


class Neuron(nn.Module):
    """A layer of neurons of one model: ``(out, state) = Neuron(LIF(0.9))(x, state=None)``.

    Parameters
    ----------
    model : the declaration; its parameters become buffers, or trained parameters where named in `learn`.
    learn : names of parameters to train.
    derivative : the surrogate gradient.
    """

    def __init__(
        self, model: NeuronModel, learn: Sequence[str] = (), derivative: surrogate.Derivative = surrogate.atan
    ) -> None:
        super().__init__()
        self.model, self.ops = model, TorchOps(derivative)
        self.state_type = namedtuple("State", model.states())  # type: ignore[misc]
        for name, value in model.params().items():
            tensor = torch.as_tensor(value, dtype=torch.float32)
            if name in learn:
                self.register_parameter(name, nn.Parameter(tensor.clone()))
            else:
                self.register_buffer(name, tensor.clone())

    def initial(self, like: torch.Tensor) -> State:
        """The state at rest for inputs of the shape of `like`, ``(B, *shape)``."""
        return self.state_type(*(torch.zeros_like(like) for _ in self.model.states()))

    def step(self, x: Stretch, state: State) -> tuple[torch.Tensor, State]:
        """One moment: inputs ``(B, *shape)``, one tensor or a dict by port, to output and next state."""
        p = SimpleNamespace(**{n: getattr(self, n) for n in self.model.params()})
        s = SimpleNamespace(**dict(zip(self.model.states(), state, strict=True)))
        z, after = self.model.step(p, s, self._arriving(x), self.ops)
        return z, self.state_type(*after)

    def _arriving(self, x: Stretch) -> tuple[torch.Tensor, ...]:
        """The inputs in the order of the model's ports; a lone tensor is the first port, others get zeros."""
        if isinstance(x, torch.Tensor):
            x = {self.model.inputs[0]: x}
        if not set(x) <= set(self.model.inputs) or not x:
            raise ShapeError(self.model.name, f"inputs for ports {sorted(x)}", f"ports {self.model.inputs}")
        like = next(iter(x.values()))
        return tuple(x[port] if port in x else torch.zeros_like(like) for port in self.model.inputs)

    def forward(self, x: Stretch, state: State | None = None) -> tuple[torch.Tensor, State]:
        """A stretch of time ``(T, B, *shape)`` to outputs of the same shape, and the state after it."""
        moments = (
            [
                dict(zip(x, values, strict=True))
                for values in zip(*(v.unbind(0) for v in x.values()), strict=True)
            ]
            if isinstance(x, dict)
            else x.unbind(0)
        )
        first = next(iter(moments[0].values())) if isinstance(moments[0], dict) else moments[0]
        state = self.initial(first) if state is None else state
        outputs = []
        for moment in moments:
            z, state = self.step(moment, state)
            outputs.append(z)
        return torch.stack(outputs), state


class Recurrent(nn.Module):
    """A layer of neurons whose spikes come back, one step later, through `feedback` to one port.

    Parameters
    ----------
    feedback : maps the spikes ``(B, *shape)`` of the step before to a current, a Linear for example.
    port : where the current arrives; the first port gets it in addition to the input.
    """

    def __init__(self, neuron: Neuron, feedback: nn.Module, port: str = "in") -> None:
        super().__init__()
        self.neuron, self.feedback, self.port = neuron, feedback, port
        if port not in neuron.model.inputs:
            raise ShapeError(neuron.model.name, f"port {port!r}", f"one of {neuron.model.inputs}")

    def step(
        self, x: torch.Tensor, state: tuple[State, torch.Tensor]
    ) -> tuple[torch.Tensor, tuple[State, torch.Tensor]]:
        """One moment; the state is that of the neurons and their last spikes."""
        inner, last = state
        main, current = self.neuron.model.inputs[0], self.feedback(last)
        arriving: Stretch = x + current if self.port == main else {main: x, self.port: current}
        z, inner = self.neuron.step(arriving, inner)
        return z, (inner, z)

    def forward(
        self, x: torch.Tensor, state: tuple[State, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, tuple[State, torch.Tensor]]:
        """A stretch of time ``(T, B, *shape)`` to spikes of the same shape, and the state after it."""
        if state is None:
            state = (self.neuron.initial(x[0]), torch.zeros_like(x[0]))
        outputs = []
        for moment in x.unbind(0):
            z, state = self.step(moment, state)
            outputs.append(z)
        return torch.stack(outputs), state


class Sequential(nn.Module):
    """Layers one after the other; stateless torch layers see T*B as one batch.

    ``(out, states) = net(x, states=None)``: states is a tuple with None for stateless layers.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x: torch.Tensor, states: Sequence[Any] | None = None
    ) -> tuple[torch.Tensor, tuple[Any, ...]]:
        """``(T, B, *shape)`` through all layers."""
        after: list[Any] = []
        for index, layer in enumerate(self.layers):
            state = None if states is None else states[index]
            if isinstance(layer, Neuron | Recurrent):
                x, state = layer(x, state)
            else:
                flat = layer(x.flatten(0, 1))
                x = flat.reshape(*x.shape[:2], *flat.shape[1:])
            after.append(state)
        return x, tuple(after)
