"""The step in torch: spikes carry a surrogate gradient, `hold` stops the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from spikeflow.ir import functions
from spikeflow.neurons import surrogate


class Named:
    """Values by name as attributes; torch.compile does not follow a SimpleNamespace."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)


class TorchOps:
    """`Ops` on tensors."""

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
        return surrogate.spike(x, self.derivative)

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
