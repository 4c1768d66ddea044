"""A model's step run at once on arrays or tensors, without tracing: what programs are compared with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from spikeflow.ir import functions
from spikeflow.neurons import Neuron, NeuronModel, autograd
from spikeflow.neurons.bounds import settled
from spikeflow.neurons.parts import Parts
from spikeflow.neurons.stretch import arriving
from spikeflow.neurons.sweep import evaluated, evaluated_step


class NumpyOps:
    """The step run on float32 numpy arrays."""

    def minimum(self, a: Any, b: Any) -> Any:
        return np.where(np.less(a, b), np.float32(a), np.float32(b))

    def maximum(self, a: Any, b: Any) -> Any:
        return np.where(np.greater(a, b), np.float32(a), np.float32(b))

    def floor(self, x: Any, slot: int = 0) -> Any:
        return np.floor(x)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return np.where(np.not_equal(condition, 0), np.float32(a), np.float32(b))

    def spike(self, x: Any, slot: int = 0) -> Any:
        return np.greater_equal(x, 0).astype(np.float32)

    def stop_gradient(self, x: Any) -> Any:
        return x

    def round(self, x: Any, slot: int = 0) -> Any:
        return np.rint(x)

    def abs(self, x: Any) -> Any:
        return np.abs(x)

    def tanh(self, x: Any) -> Any:
        return functions.tanh(x, functions.NumpyFloats(np.float32))

    def sigmoid(self, x: Any) -> Any:
        return functions.sigmoid(x, functions.NumpyFloats(np.float32))

    def exp(self, x: Any) -> Any:
        return functions.exp(x, functions.NumpyFloats(np.float32))


class TorchOps:
    """The step run on tensors, as the layer ran it before it evaluated programs (commit 2bb3037).

    Only the gradients of tanh and sigmoid are the functions' own now, not those of their formulas.
    """

    def __init__(self, slots: dict[int, autograd.Derivative]) -> None:
        self.slots = slots

    def tanh(self, x: torch.Tensor) -> torch.Tensor:
        return autograd.smooth("tanh", x)

    def sigmoid(self, x: torch.Tensor) -> torch.Tensor:
        return autograd.smooth("sigmoid", x)

    def exp(self, x: torch.Tensor) -> torch.Tensor:
        return autograd.smooth("exp", x)

    def abs(self, x: torch.Tensor) -> torch.Tensor:
        return torch.abs(x)

    def round(self, x: torch.Tensor, slot: int = 0) -> torch.Tensor:
        return autograd.jump("round", x, self.slots[slot]) if slot else torch.round(x)

    def minimum(self, a: Any, b: Any) -> torch.Tensor:
        return torch.where(a < b, a, b)

    def maximum(self, a: Any, b: Any) -> torch.Tensor:
        return torch.where(a > b, a, b)

    def floor(self, x: torch.Tensor, slot: int = 0) -> torch.Tensor:
        return autograd.jump("floor", x, self.slots[slot]) if slot else torch.floor(x)

    def where(self, condition: torch.Tensor, a: Any, b: Any) -> torch.Tensor:
        return torch.where(condition != 0, a, b)

    def spike(self, x: torch.Tensor, slot: int = 0) -> torch.Tensor:
        return autograd.spike(x, self.slots[slot])

    def stop_gradient(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach()


class Evaluated(Neuron):
    """A layer that always evaluates its program, operation by operation in torch."""

    def _run(self, values: Any, ports: Any, state: Any, timed: bool) -> Any:
        parts = Parts(ports, tuple(values[name] for name in self._program.params), tuple(state))
        run = evaluated if timed else evaluated_step
        z, after = run(self._program, self._slots, parts, self._settles)
        return z, self.state_type(*after)


def numpy_step(model: NeuronModel, state: tuple[Any, ...], x: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """One step of a model on numpy arrays."""
    p = SimpleNamespace(**{k: np.asarray(v, np.float32) for k, v in model.params().items()})
    s = SimpleNamespace(**dict(zip(model.states(), state, strict=True)))
    return model.step(p, s, x, NumpyOps())  # type: ignore[arg-type]


def stretch(layer: Neuron, x: Any, state: tuple[torch.Tensor, ...] | None = None) -> tuple[Any, Any]:
    """A stretch of time as the layer of commit 2bb3037 ran it: `model.step` on tensors, moment by moment."""
    model, ops = layer.model, TorchOps(layer._slots)
    inputs = arriving(model.name, x, model.inputs, timed=True)
    state = layer.initial(inputs[0][0]) if state is None else state
    values = SimpleNamespace(**layer.values(inputs[0].dtype))
    outputs = []
    for moment in zip(*(port.unbind(0) for port in inputs), strict=True):
        named = SimpleNamespace(**dict(zip(model.states(), state, strict=True)))
        z, after = model.step(values, named, moment, ops)  # type: ignore[arg-type]
        state = tuple(settled(v) if layer._settles else v for v in after)
        outputs.append(z)
    return layer.handed_on(torch.stack(outputs), x), state
