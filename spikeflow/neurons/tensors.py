"""What operations do on torch tensors: spikes carry a surrogate gradient, `stop_gradient` lets none pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from spikeflow.ir.evaluate import Domain, evaluate
from spikeflow.ir.operations import FLOAT
from spikeflow.ir.program import Program
from spikeflow.neurons import autograd

Value = torch.Tensor | float
PLAIN = (float, int)


class Tensors(Domain[Any]):
    """Float programs on tensors of one type; constants stay plain numbers, which torch rounds to that type.

    Each operation is one of torch's by itself (no `alpha=`, no `addcmul`), so that it rounds as numpy does.

    Parameters
    ----------
    slots : what stands for the derivative in each slot; a slot without it has no gradient.
    like : a tensor of the type, device and shape of the population, ``(B, *shape)``.
    """

    stages = (FLOAT,)

    def __init__(self, slots: Mapping[int, autograd.Derivative], like: torch.Tensor) -> None:
        self.slots, self.like = slots, like

    def tensor(self, x: Value) -> torch.Tensor:
        """A tensor, also of a plain number."""
        return (
            torch.full((), x, dtype=self.like.dtype, device=self.like.device) if isinstance(x, PLAIN) else x
        )

    def full(self, x: Value) -> torch.Tensor:
        """One value for each neuron, also of what depends on none, such as a constant state."""
        made = self.tensor(x)
        return made if made.shape == self.like.shape else made.expand_as(self.like)

    def _number(self, a: Value, b: Value) -> Value:
        """a, as a tensor where neither is one: two plain numbers would be computed in double precision."""
        return self.tensor(a) if isinstance(b, PLAIN) else a

    def const(self, value: float | int) -> Value:
        return value

    def add(self, a: Value, b: Value) -> Value:
        return a + b if not isinstance(a, PLAIN) else self._number(a, b) + b

    def sub(self, a: Value, b: Value) -> Value:
        return a - b if not isinstance(a, PLAIN) else self._number(a, b) - b

    def mul(self, a: Value, b: Value, count: int, mode: str) -> Value:
        return a * b if not isinstance(a, PLAIN) else self._number(a, b) * b

    def div(self, a: Value, b: Value) -> Value:
        # of plain numbers torch takes the reciprocal and multiplies, which rounds twice
        return self.tensor(a) / self.tensor(b)

    def minimum(self, a: Value, b: Value) -> torch.Tensor:
        a = self._number(a, b)
        return torch.where(a < b, a, b)  # type: ignore[arg-type]

    def maximum(self, a: Value, b: Value) -> torch.Tensor:
        a = self._number(a, b)
        return torch.where(a > b, a, b)  # type: ignore[arg-type]

    def floor(self, x: Value, slot: int) -> torch.Tensor:
        return self._jump("floor", x, slot if slot else None)

    def round(self, x: Value, slot: int) -> torch.Tensor:
        return self._jump("round", x, slot if slot else None)

    def abs(self, x: Value) -> torch.Tensor:
        return torch.abs(self.tensor(x))

    def where(self, condition: Value, a: Value, b: Value) -> torch.Tensor:
        return torch.where(self.tensor(condition) != 0, self._number(a, b), b)

    def spike(self, x: Value, slot: int) -> torch.Tensor:
        return self._jump("spike", x, slot)

    def _jump(self, name: str, x: Value, slot: int | None) -> torch.Tensor:
        """An operation whose own derivative is 0, with that of its slot."""
        x, derivative = self.tensor(x), None if slot is None else self.slots.get(slot)
        return autograd.JUMPS[name](x.detach()) if derivative is None else autograd.jump(name, x, derivative)

    def stop_gradient(self, x: Value) -> torch.Tensor:
        return self.tensor(x).detach()

    def tanh(self, x: Value) -> torch.Tensor:
        return autograd.smooth("tanh", self.tensor(x))

    def sigmoid(self, x: Value) -> torch.Tensor:
        return autograd.smooth("sigmoid", self.tensor(x))

    def exp(self, x: Value) -> torch.Tensor:
        return autograd.smooth("exp", self.tensor(x))


def slopes(program: Program, x: torch.Tensor) -> torch.Tensor:
    """The program of a surrogate at each value of a tensor; of whole numbers as of floats."""
    x = x if x.is_floating_point() else x.to(torch.get_default_dtype())
    domain = Tensors({}, x)
    registers = evaluate(program, domain, {}, {}, {program.inputs[0]: x})
    return domain.full(registers[program.output])


@dataclass(frozen=True)
class Slopes:
    """The program of a surrogate as a function of tensors."""

    program: Program

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return slopes(self.program, x)
