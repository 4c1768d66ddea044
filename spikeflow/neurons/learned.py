"""What of a model a layer learns: for whom a parameter has a value of its own, and within which bounds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from spikeflow.errors import GraphError, ShapeError, SpikeflowWarning
from spikeflow.neurons.bounds import limited
from spikeflow.neurons.model import NeuronModel, Value
from spikeflow.typing import Array

SCOPES = ("declared", "shared", "channel", "neuron")


@dataclass(frozen=True)
class Learned:
    """How a parameter is learned.

    Without bounds of its own the parameter is trained as it is, and acts within its legal range: beyond an
    end it is that end, and its gradient leads back. With `low` and `high` a number x without bounds is
    trained, and the parameter is low + (high - low) / (1 + exp(-x)): within them after any step of any
    optimiser. What is captured is the parameter.

    Parameters
    ----------
    scope : who has a value of its own: ``shared`` (one for the layer), ``channel`` (of the first axis),
        ``neuron``; ``declared``: as the model was declared.
    low, high : both or neither.

    Raises
    ------
    GraphError
        For an unknown scope, one bound without the other, bounds that are no range.
    """

    scope: str = "declared"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise GraphError("Learned", f"scope {self.scope!r:.40}", f"one of {', '.join(SCOPES)}")
        if (self.low is None) != (self.high is None):
            raise GraphError("Learned", "one bound alone", "low=... and high=...")
        if self.low is not None and not -1e30 < self.low < self.high < 1e30:  # type: ignore[operator]
            raise GraphError("Learned", f"bounds {self.low} and {self.high}", "low < high, finite")

    @property
    def bounded(self) -> bool:
        """Whether it has bounds of its own."""
        return self.low is not None

    def start(self, what: str, value: Value, shape: tuple[int, ...] | None) -> Array:
        """The numbers that training starts from, one for each of the scope.

        Raises
        ------
        GraphError, ShapeError
            For a scope that needs the population's shape, values of more than the scope, values beyond the
            bounds.
        """
        numbers = np.array(value, np.float32)
        wanted = self._shape(what, shape)
        if wanted is not None:
            if np.broadcast_shapes(numbers.shape, wanted) != wanted:
                raise ShapeError(what, f"declared as {numbers.shape}", f"one number for each {self.scope}")
            numbers = np.broadcast_to(numbers, wanted)
        return self._unbounded(what, numbers) if self.bounded else np.array(numbers)

    def value(self, raw: torch.Tensor) -> torch.Tensor:
        """The parameter, from what is trained."""
        if self.low is None or self.high is None:
            return raw
        inside = self.low + (self.high - self.low) * torch.sigmoid(raw)
        return limited(inside, self.low, self.high)  # what float32 rounds beyond an end

    def _shape(self, what: str, shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if self.scope in ("declared", "shared"):
            return () if self.scope == "shared" else None
        if not shape:
            reason = f"a value for each {self.scope} needs their number"
            raise GraphError(what, reason, "Neuron(..., shape=(...))")
        return shape if self.scope == "neuron" else (shape[0], *(1 for _ in shape[1:]))

    def _unbounded(self, what: str, numbers: Array) -> Array:
        assert self.low is not None and self.high is not None
        share = (numbers.astype(np.float64) - self.low) / (self.high - self.low)
        if not ((share > 0) & (share < 1)).all():
            start = f"starts at {numbers.min():g} to {numbers.max():g}, not"
            raise GraphError(what, f"{start} within ({self.low:g}, {self.high:g})", "a start between them")
        return (np.log(share) - np.log1p(-share)).astype(np.float32)


Learn = Iterable[str] | str | Mapping[str, "str | Learned"]


def learned(model: NeuronModel, learn: Learn) -> dict[str, Learned]:
    """For each name, which the model has and reads, how it is learned.

    Raises
    ------
    GraphError
        For what names no parameters, unknown names, bounds beyond the legal range. A name that the program
        never reads is told.
    """
    if not isinstance(learn, Iterable):
        raise GraphError(model.name, f"learn={learn!r} names no parameters", "learn=('threshold',)")
    given = {learn: "declared"} if isinstance(learn, str) else learn
    plain: Mapping[str, str | Learned | None]
    plain = given if isinstance(given, Mapping) else dict.fromkeys(given, "declared")
    for name in plain:
        if not isinstance(name, str) or name not in model.params():
            known = ", ".join(model.params()) or "learn=(), since it has no parameters"
            raise GraphError(model.name, f"has no parameter {name!r} to learn", known)
        if name in model.unused():
            warnings.warn(
                f"{model.name} as it is declared never reads {name!r}: nothing of it will be learned.",
                SpikeflowWarning,
                stacklevel=4,
            )
    return {name: _way(model, name, way) for name, way in plain.items()}


def _way(model: NeuronModel, name: str, given: str | Learned | None) -> Learned:
    way = given if isinstance(given, Learned) else Learned(given or "declared")
    low, high = model.ranges()[name]
    if way.low is not None and way.high is not None and not low <= way.low < way.high <= high:
        reason = f"bounds beyond its range [{low:g}, {high:g}]"
        raise GraphError(f"{model.name}, {name}", reason, "bounds within it")
    return way
