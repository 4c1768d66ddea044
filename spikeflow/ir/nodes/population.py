"""Population: neurons, and the program that one of them runs in each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from spikeflow.errors import GraphError, ShapeError
from spikeflow.frozen import ADDED, Frozen
from spikeflow.ir.alphabet import BINARY, Alphabet, alphabet
from spikeflow.ir.arrays import Array, check_finite, frozen
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.nodes.base import Shape, as_int, check_broadcast, check_shape, set_frozen
from spikeflow.ir.program import Program


@dataclass(frozen=True, eq=False)
class Population(Frozen):
    """Neurons of one model, with the program that says what one of them does in one step.

    Parameters
    ----------
    model : name that people and exporters see.
    program : the step; its inputs are this node's ports.
    params : arrays that broadcast to `shape`, one for each of the program's params; float32, or int32 at
        stage fixed.
    shape : of the population, without batch.
    start : the first step in which the neurons are awake; before it they emit 0 and keep their initial state.
    initial : the state they wake with, arrays that broadcast to `shape`; 0 where not named.
    formats : stage fixed: the `Fixed` of each state, param and port that has one.
    alphabet : the values that a neuron may hand on in a step, a name of `ir.alphabet`; empty where the
        program tells: 0 and 1 where it ends in a spike, else any value.
    """

    model: str
    program: Program
    params: Mapping[str, Array]
    shape: Shape
    start: int = 0
    initial: Mapping[str, Array] = field(default_factory=dict)
    formats: Mapping[str, Fixed] = field(default_factory=dict)
    alphabet: str = field(default="", metadata=ADDED)

    def __post_init__(self) -> None:
        dtype = np.int32 if self.formats else np.float32
        for name in ("params", "initial"):
            arrays = {k: frozen(v, dtype) for k, v in getattr(self, name).items()}
            set_frozen(self, name, MappingProxyType(arrays))
        set_frozen(self, "formats", MappingProxyType(dict(self.formats)))
        set_frozen(self, "start", as_int(self.start))

    @property
    def ports(self) -> tuple[str, ...]:
        """The program's inputs."""
        return self.program.inputs

    @property
    def fixed(self) -> bool:
        """Whether the population computes in integers (stage fixed)."""
        return bool(self.formats)

    @property
    def values(self) -> Alphabet | None:
        """What a neuron may hand on in a step; None where that may be any value."""
        if self.alphabet:
            return alphabet(self.alphabet)
        return alphabet(BINARY) if self.program.spikes() else None

    @property
    def spikes(self) -> bool:
        """Whether it hands on events of a declared alphabet, not its state."""
        return bool(self.alphabet) or self.program.spikes()

    def check(self, name: str) -> None:
        check_shape(name, self.shape)
        self.program.check(name)
        if self.alphabet:
            alphabet(self.alphabet)
        if set(self.params) != set(self.program.params) or not set(self.initial) <= set(self.program.states):
            reason = f"parameters {sorted(self.params)} or initial states {sorted(self.initial)}"
            known = f"{sorted(self.program.params)}, and of the states {sorted(self.program.states)}"
            raise GraphError(name, f"{reason} are not the program's", known)
        if type(self.start) is not int or self.start < 0:
            raise GraphError(name, f"start {self.start!r}", "a whole number of steps, 0 or more")
        # a state may have the name of a param
        for what, array in (*self.params.items(), *self.initial.items()):
            check_broadcast(name, what, array.shape, self.shape)
            check_finite(name, what, array)

    def output_shape(self, name: str, shapes: tuple[Shape, ...]) -> Shape:
        for shape in shapes:
            if shape != self.shape:
                raise ShapeError(name, f"an input of shape {shape}", self.shape)
        return self.shape
