"""NeuronModel: a neuron declared once; its step is written in `Ops` and traced to a Program.

A model is a frozen dataclass. Fields made by `param` become parameters of the program, numbers or arrays that
broadcast to the population; other fields choose the program (kind of reset, for example), and a parameter may
exist only with some choice. Models are final.
Parameters are checked where they enter, and kept as read-only copies.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from spikeflow import intake
from spikeflow.errors import GraphError, SpikeflowWarning
from spikeflow.frozen import Frozen
from spikeflow.ir.nodes import Population, Shape
from spikeflow.ir.ops import Ops, Recorder
from spikeflow.ir.program import Program

Value = float | npt.NDArray[Any]
RESETS = ("zero", "subtract")
CONVENTIONS = ("raw", "normalised")
FORGOTTEN = 2.0**-24  # of a state: nothing of it is left beside what arrives
When = tuple[str, tuple[Any, ...]]  # the name of a choice, and with which of its values


def param(default: float, low: float = -np.inf, high: float = np.inf, when: When | None = None) -> Any:
    """A parameter with its default and its legal range, ends included; only with the choices of `when`.

    Networks compute in float32, so that a limit means the float32 nearest to it.
    """
    told = {"param": True, "default": default, "low": _float32(low), "high": _float32(high), "when": when}
    return field(default=default, metadata=told)


def _float32(limit: float) -> float:
    return float(np.float32(limit))


def choice(default: str, *allowed: str) -> Any:
    """A field that selects one of several programs."""
    return field(default=default, metadata={"allowed": allowed})


def whole(default: int, low: int, high: int) -> Any:
    """A field that selects one of several programs by a whole number, ends included."""
    return field(default=default, metadata={"whole": (low, high)})


def share(default: float) -> Any:
    """A field that selects one of several programs by a number from 0 to below 1, of four digits at most."""
    return field(default=default, metadata={"share": True})


@dataclass(frozen=True, eq=False)
class NeuronModel(Frozen, ABC):
    """What one neuron does in one step, declared once for every backend."""

    inputs: ClassVar[tuple[str, ...]] = ("in",)

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if "allowed" in f.metadata and value not in f.metadata["allowed"]:
                raise GraphError(
                    type(self).__name__, f"{f.name} {value!r}", f"one of {f.metadata['allowed']}"
                )
            if "whole" in f.metadata:
                object.__setattr__(self, f.name, _whole(self.name, f, value))
            if "share" in f.metadata:
                object.__setattr__(self, f.name, _share(self.name, f, value))
            if "param" in f.metadata:
                object.__setattr__(self, f.name, self._kept(f.name, value))
        for f in fields(self):
            if not _present(self, f) and np.any(getattr(self, f.name) != f.metadata["default"]):
                chosen, values = f.metadata["when"]
                options = " or ".join(f"{chosen}={v!r}" for v in values)
                raise GraphError(self.name, f"{f.name} acts only with {options}", options)

    def _kept(self, name: str, value: Any) -> Value:
        """The parameter as a float or a read-only array of the user's own; GraphError outside its range."""
        plain = intake.array_of(f"{self.name}: {name}", value)
        array, (low, high) = plain.astype(np.float64), self.ranges()[name]
        with np.errstate(over="ignore"):
            computed = array.astype(np.float32)
        if not np.isfinite(computed).all() or (computed < low).any() or (computed > high).any():
            raise GraphError(self.name, f"{name} lies outside [{low:g}, {high:g}]")
        array.setflags(write=False)
        return array if array.ndim else float(array)

    @property
    def name(self) -> str:
        """The name people and exporters see."""
        return type(self).__name__

    @property
    def alphabet(self) -> str:
        """What it may hand on, a name of `ir.alphabet`; empty where its program tells."""
        return ""

    @abstractmethod
    def states(self) -> tuple[str, ...]:
        """Names of the state variables."""

    @abstractmethod
    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        """One step: parameters, state and inputs (in the order of `inputs`) to output and next state."""

    def params(self) -> dict[str, Value]:
        """The parameters by name."""
        return {
            f.name: getattr(self, f.name) for f in fields(self) if "param" in f.metadata and _present(self, f)
        }

    def choices(self) -> dict[str, Any]:
        """The fields that choose the program, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if "param" not in f.metadata}

    @classmethod
    def ranges(cls) -> dict[str, tuple[float, float]]:
        """The lowest and the highest legal value of each parameter."""
        return {f.name: (f.metadata["low"], f.metadata["high"]) for f in fields(cls) if "param" in f.metadata}

    def unused(self) -> tuple[str, ...]:
        """Parameters that the program of this choice never reads: to train them would change nothing."""
        program = self.program()
        read, todo = set[int](), [program.output, *program.next_states]
        while todo:
            register = todo.pop()
            if register not in read:
                read.add(register)
                todo += program.code[register].args
        used = {program.code[r].name for r in read if program.code[r].op == "param"}
        return tuple(name for name in self.params() if name not in used)

    def program(self) -> Program:
        """The step, traced."""
        recorder = Recorder(self.inputs, self.states(), tuple(self.params()))
        output, state = self.step(recorder.p, recorder.s, recorder.x, recorder.ops)
        return recorder.program(output, state)

    def node(self, shape: Shape, initial: Mapping[str, npt.NDArray[Any]] | None = None) -> Population:
        """The population of this model for the graph."""
        params = {k: np.asarray(v, np.float32) for k, v in self.params().items()}
        return Population(
            self.name, self.program(), params, tuple(shape), initial=initial or {}, alphabet=self.alphabet
        )


def _present(model: NeuronModel, f: Field[Any]) -> bool:
    """Whether a field is there with the model's choices; only a parameter may not be."""
    when = f.metadata.get("when")
    return when is None or getattr(model, when[0]) in when[1]


def _whole(model: str, f: Field[Any], value: Any) -> int:
    low, high = f.metadata["whole"]
    number = isinstance(value, Integral) and not isinstance(value, bool)
    if not number or not low <= int(value) <= high:
        raise GraphError(model, f"{f.name} {value!r}", f"a whole number from {low} to {high}")
    return int(value)


def _share(model: str, f: Field[Any], value: Any) -> float:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 <= float(value) < 1 or round(float(value), 4) != float(value):
        raise GraphError(model, f"{f.name} {value!r}", "a number from 0 to 0.9999, of four digits at most")
    return float(value)


def decay_from_tau(tau_s: Value, dt: float) -> Value:
    """exp(-dt / tau): the exact decay over one step of dt seconds.

    Raises
    ------
    GraphError
        For a time constant or a step that is not a finite number of seconds above 0.
    """
    tau, step = np.asarray(tau_s, np.float64), np.asarray(dt, np.float64)
    for name, seconds in (("a time constant", tau), ("dt", step)):
        if not (np.isfinite(seconds).all() and (seconds > 0).all()):
            raise GraphError("from_tau", f"{name} of {seconds} s", "finite numbers of seconds above 0")
    decay = np.exp(-step / tau).astype(np.float32)
    for odd, what in ((decay == 1, "never fades"), (decay < FORGOTTEN, "is forgotten within a step")):
        if odd.any():
            some = np.broadcast_to(tau, decay.shape)[odd].flat[0]
            text = f"a state of time constant {some:g} s at steps of {float(step.flat[0]):g} s {what}"
            hint = "both in seconds, tau first"
            warnings.warn(f"{text} in float32. Try: {hint}", SpikeflowWarning, stacklevel=3)
    return decay


def logarithm(model: str, value: npt.NDArray[Any]) -> Value:
    """The natural logarithm of rates or steps; GraphError for what is not a finite number above 0."""
    if not (np.isfinite(value).all() and (value > 0).all()):
        raise GraphError(model, f"a rate or a step of {value}", "finite numbers above 0")
    return np.log(value.astype(np.float64))


def entering(x: Any, decay: Any, mode: str) -> Any:
    """What of an input enters a leaky state: x (`raw`), or (1 - decay) x (`normalised`)."""
    return (1.0 - decay) * x if mode == "normalised" else x


def reset(v: Any, z: Any, threshold: Any, kind: str, ops: Ops) -> Any:
    """v after a spike z: minus the threshold (`subtract`), or 0 (`zero`); no gradient through z."""
    if kind == "subtract":
        return v - ops.stop_gradient(z) * threshold
    return ops.where(ops.stop_gradient(z), 0.0, v)
