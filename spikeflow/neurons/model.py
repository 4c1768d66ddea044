"""NeuronModel: a neuron declared once; its step is written in `Ops` and traced to a Program.

A model is a frozen dataclass. Fields made by `param` become parameters of the program, numbers or arrays that
broadcast to the population; other fields choose the program (kind of reset, for example). Models are final.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from spikeflow.errors import GraphError
from spikeflow.ir.nodes import Population, Shape
from spikeflow.ir.ops import NumpyOps, Ops, Recorder
from spikeflow.ir.program import Program

Value = float | npt.NDArray[Any]
RESETS = ("zero", "subtract")


def param(default: float, low: float = -np.inf, high: float = np.inf) -> Any:
    """A parameter with its default and its legal range, ends included."""
    return field(default=default, metadata={"param": True, "low": low, "high": high})


def choice(default: str, *allowed: str) -> Any:
    """A field that selects one of several programs."""
    return field(default=default, metadata={"allowed": allowed})


@dataclass(frozen=True, eq=False)
class NeuronModel(ABC):
    """What one neuron does in one step, declared once for every backend."""

    inputs: ClassVar[tuple[str, ...]] = ("in",)

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if "allowed" in f.metadata and value not in f.metadata["allowed"]:
                raise GraphError(
                    type(self).__name__, f"{f.name} {value!r}", f"one of {f.metadata['allowed']}"
                )
            if "param" in f.metadata:
                self._check_range(f.name, value, f.metadata)

    def _check_range(self, name: str, value: Value, range_: Mapping[str, float]) -> None:
        array = np.asarray(value, np.float64)
        if not np.isfinite(array).all() or (array < range_["low"]).any() or (array > range_["high"]).any():
            raise GraphError(type(self).__name__, f"{name} lies outside [{range_['low']}, {range_['high']}]")

    @property
    def name(self) -> str:
        """The name people and exporters see."""
        return type(self).__name__

    @abstractmethod
    def states(self) -> tuple[str, ...]:
        """Names of the state variables."""

    @abstractmethod
    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        """One step: parameters, state and inputs (in the order of `inputs`) to output and next state."""

    def params(self) -> dict[str, Value]:
        """The parameters by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if "param" in f.metadata}

    def program(self) -> Program:
        """The step, traced."""
        recorder = Recorder(self.inputs, self.states(), tuple(self.params()))
        output, state = self.step(recorder.p, recorder.s, recorder.x, recorder.ops)
        return recorder.program(output, state)

    def node(self, shape: Shape, initial: Mapping[str, npt.NDArray[Any]] | None = None) -> Population:
        """The population of this model for the graph."""
        params = {k: np.asarray(v, np.float32) for k, v in self.params().items()}
        return Population(self.name, self.program(), params, tuple(shape), initial=initial or {})

    def numpy_step(self, state: tuple[Any, ...], x: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        """The step itself on numpy arrays, for the law that the traced program is equal to it."""
        p = SimpleNamespace(**{k: np.asarray(v, np.float32) for k, v in self.params().items()})
        s = SimpleNamespace(**dict(zip(self.states(), state, strict=True)))
        return self.step(p, s, x, NumpyOps())


def decay_from_tau(tau_s: Value, dt: float) -> Value:
    """exp(-dt / tau): the exact decay over one step of dt seconds."""
    return np.exp(-dt / np.asarray(tau_s, np.float64)).astype(np.float32)


def reset(v: Any, z: Any, threshold: Any, kind: str, ops: Ops) -> Any:
    """v after a spike z: minus the threshold (`subtract`), or 0 (`zero`); no gradient through z."""
    if kind == "subtract":
        return v - ops.hold(z) * threshold
    return ops.where(ops.hold(z), 0.0, v)
