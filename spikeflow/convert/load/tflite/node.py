"""An operator of TFLite with the tensors that it reads, and what its form is refused with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from spikeflow.errors import UnsupportedLayer
from spikeflow.files.tflite_model import LiteOperator, LiteTensor
from spikeflow.typing import Array

Function = Callable[..., Any]
_ACTIVATIONS: dict[int, Function] = {
    0: lambda x: x,
    1: F.relu,
    2: lambda x: F.hardtanh(x, -1.0, 1.0),
    3: F.relu6,
    4: torch.tanh,
}


@dataclass(frozen=True, eq=False)
class LiteNode:
    """One operator.

    Parameters
    ----------
    reads, writes : its tensors; None for an input that is left out.
    batch : the number of samples that the file declares.
    """

    name: str
    operator: LiteOperator
    reads: tuple[LiteTensor | None, ...]
    writes: tuple[LiteTensor, ...]
    batch: int

    @property
    def kind(self) -> str:
        """The name of the operator."""
        return self.operator.kind

    def get(self, key: str, default: Any = None) -> Any:
        """An option."""
        return self.operator.options.get(key, default)

    def constant(self, index: int) -> Array:
        """The values of an input that has to be stored: real ones, or whole numbers."""
        found = self.reads[index] if index < len(self.reads) else None
        if found is None or found.values is None:
            raise self.refuse(f"whose input {index} is no stored value", "a constant in its place")
        return found.real

    def whole(self, index: int) -> list[int]:
        """Stored whole numbers."""
        return [int(n) for n in self.constant(index).reshape(-1)]

    def rank(self, index: int = 0) -> int:
        """The number of axes of an input."""
        found = self.reads[index]
        assert found is not None
        return len(found.shape)

    def activated(self, function: Function) -> Function:
        """A function with the activation that the operator ends in."""
        number = int(self.get("FusedActivationFunction", 0))
        if number not in _ACTIVATIONS:
            raise self.refuse(f"with the activation {number}", "RELU, RELU6 or none")
        if number == 0:
            return function
        return lambda *values: _ACTIVATIONS[number](function(*values))

    def refuse(self, what: str, hint: str) -> UnsupportedLayer:
        """The error for a form of this operator that is not taken."""
        return UnsupportedLayer(self.name, f"the TFLite operator {self.kind} {what}".strip(), hint, self.kind)
