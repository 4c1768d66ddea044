"""Recurrent: a layer of neurons whose spikes come back to it one step later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from spikeflow.errors import GraphError, ShapeError
from spikeflow.neurons.layer import Neuron, State
from spikeflow.neurons.stateless import check_stateless, through_feedback
from spikeflow.neurons.stretch import check_stretch, check_tensor, state_dtype

Fed = tuple[State, torch.Tensor]


class Recurrent(nn.Module):
    """A layer of neurons whose spikes come back, one step later, through `feedback` to one port.

    Its state is that of the neurons and their last spikes: ``(out, (state, last)) = layer(x)``.

    Parameters
    ----------
    feedback : maps the spikes ``(B, *shape)`` of the step before to a current of that shape, a Linear for
        example. It runs in every step, so it holds no neurons; and no dropout or batch norm while training,
        which would draw a mask and take statistics anew in every step.
    port : where the current arrives; the first port gets it in addition to the input.

    Raises
    ------
    GraphError, ShapeError, UnsupportedLayer
        For what is no Neuron, a port that the model lacks, a feedback that holds neurons.
    """

    def __init__(self, neuron: Neuron, feedback: nn.Module, port: str = "in") -> None:
        super().__init__()
        if not isinstance(neuron, Neuron):
            raise GraphError(
                "Recurrent", f"{type(neuron).__name__} is no layer of neurons", "Neuron(LIF(0.9))"
            )
        if port not in neuron.model.inputs:
            raise ShapeError(neuron.model.name, f"port {port!r}", f"one of {neuron.model.inputs}")
        check_stateless("feedback", feedback)
        self.neuron, self.feedback, self.port = neuron, feedback, port

    def extra_repr(self) -> str:
        """The port."""
        return f"port={self.port!r}"

    def initial(self, like: torch.Tensor) -> Fed:
        """The state at rest for inputs of the shape of `like`, ``(B, *shape)``."""
        return self.neuron.initial(like), torch.zeros_like(like, dtype=state_dtype(like.dtype))

    def step(self, x: torch.Tensor, state: Fed) -> tuple[torch.Tensor, Fed]:
        """One moment; the state is that of the neurons and their last spikes."""
        check_stretch(self.neuron.model.name, x, timed=False)
        z, after = self.forward(x[None], state)
        return z[0], after

    def forward(self, x: torch.Tensor, state: Fed | None = None) -> tuple[torch.Tensor, Fed]:
        """A stretch of time ``(T, B, *shape)`` to spikes of the same shape, and the state after it.

        Raises
        ------
        ShapeError, DataError
            For no step at all, a state that does not fit, a feedback whose current has not the input's shape.
        """
        name, neuron = self.neuron.model.name, self.neuron
        check_stretch(name, x)
        plain = x.to(state_dtype(x.dtype))
        inner, last = self.initial(plain[0]) if state is None else self._entered(state)
        neuron.check(plain[0], inner)
        check_tensor(f"{name}, last spikes", last, plain[0])
        values = neuron.values(plain.dtype)
        outputs: list[torch.Tensor] = []
        for moment in plain.unbind(0):
            current = self._current(last.to(x.dtype) if x.is_floating_point() else last, moment)
            last, inner = neuron.advance(values, self._arriving(moment, current), inner)
            outputs.append(last)
        z = torch.stack(outputs)
        return neuron.handed_on(z, x), (inner, last)

    def _entered(self, state: Any) -> Fed:
        if not isinstance(state, Sequence) or len(state) != 2:
            got = f"{len(state)} parts" if isinstance(state, Sequence) else type(state).__name__
            raise ShapeError(
                self.neuron.model.name, f"a state of {got}", "(state of the neurons, last spikes)"
            )
        return state[0], state[1]

    def _current(self, last: torch.Tensor, moment: torch.Tensor) -> torch.Tensor:
        current = through_feedback(self.feedback, last)
        if not isinstance(current, torch.Tensor) or current.shape != moment.shape:
            got = tuple(current.shape) if isinstance(current, torch.Tensor) else type(current).__name__
            raise ShapeError(
                f"feedback of {self.neuron.model.name}", got, f"{tuple(moment.shape)}, as the input"
            )
        return current.to(moment.dtype)

    def _arriving(self, moment: torch.Tensor, current: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ports = self.neuron.model.inputs
        if self.port == ports[0]:
            moment, current = moment + current, torch.zeros_like(moment)
        return tuple(
            moment if port == ports[0] else current if port == self.port else torch.zeros_like(moment)
            for port in ports
        )
