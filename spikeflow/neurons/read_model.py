"""Neurons of a graph: a model and a layer that were read, not declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from spikeflow.errors import ShapeError, UnsupportedLayer
from spikeflow.ir.nodes import Population
from spikeflow.ir.nodes.base import Shape
from spikeflow.ir.ops import Ops
from spikeflow.ir.program import Program
from spikeflow.neurons.layer import Neuron, State
from spikeflow.neurons.learned import Learned
from spikeflow.neurons.members import Timed
from spikeflow.neurons.model import NeuronModel, Value
from spikeflow.neurons.models import MODELS
from spikeflow.neurons.stretch import arriving, state_dtype


@dataclass(frozen=True, eq=False)
class ReadModel(NeuronModel):
    """The model of a population: its program, ready; a parameter has the legal range of the model so
    named.
    """

    population: Population

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The ports."""
        return self.population.ports

    @property
    def name(self) -> str:
        """As the graph names it."""
        return self.population.model

    def states(self) -> tuple[str, ...]:
        return self.population.program.states

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        raise UnsupportedLayer(self.name, "tracing what was read", "its program()")

    def params(self) -> dict[str, Value]:
        return {name: np.array(value) for name, value in self.population.params.items()}

    def choices(self) -> dict[str, Any]:
        return {}

    def ranges(self) -> dict[str, tuple[float, float]]:  # type: ignore[override]
        """The legal range of each parameter."""
        known = next((m.ranges() for m in MODELS if m.__name__ == self.name), {})
        return {name: known.get(name, (-np.inf, np.inf)) for name in self.population.params}

    def program(self) -> Program:
        return self.population.program

    def node(self, shape: Shape, initial: Mapping[str, Any] | None = None) -> Population:
        return replace(self.population, shape=tuple(shape), initial=self.population.initial)


class Cells(Neuron):
    """The neurons of a population, with its parameters and the state with which it wakes.

    Parameters
    ----------
    node : of stage snn.
    learn : parameters to train, and how; those that the population lacks are passed over.
    """

    def __init__(self, node: Population, learn: Mapping[str, str | Learned] | None = None) -> None:
        if node.fixed:
            hint = "the float network that the integers were made from"
            raise UnsupportedLayer(node.model, "a population of integers", hint)
        model = ReadModel(node)
        unused = model.unused()
        wanted = {n: way for n, way in (learn or {}).items() if n in node.params and n not in unused}
        super().__init__(model, wanted, shape=node.shape)
        self.shape = node.shape
        for name, value in node.initial.items():
            start = torch.from_numpy(np.array(value, np.float32))
            self.register_buffer(f"initial_{name}", start, persistent=False)

    def initial(self, like: torch.Tensor) -> State:
        """The state with which the neurons wake, for inputs of the shape of `like`."""
        if tuple(like.shape[1:]) != self.shape:
            raise ShapeError(self.model.name, f"inputs of shape {tuple(like.shape[1:])}", self.shape)
        rest, dtype = super().initial(like), state_dtype(like.dtype)
        starts = (getattr(self, f"initial_{name}", None) for name in rest._fields)  # type: ignore[attr-defined]
        return type(rest)(
            *(
                r if s is None else s.to(dtype).expand(r.shape).clone()
                for r, s in zip(rest, starts, strict=True)
            )
        )


class Waking(Timed):
    """Neurons that are awake from a step on; before it they hand on 0 and keep their state.

    The state is how many steps have passed, and the state of the neurons: ``(steps, cells)``.
    """

    silent = True

    def __init__(self, cells: Cells, start: int) -> None:
        super().__init__()
        self.cells, self.start, self.shape = cells, start, cells.shape
        self.ports = cells.model.inputs

    def extra_repr(self) -> str:
        """The step."""
        return f"start={self.start}"

    def forward(self, x: Any, state: Any = None) -> tuple[torch.Tensor, tuple[int, Any]]:
        """A stretch of time ``(T, B, *shape)``, of several ports a dict."""
        passed, cells = (0, None) if state is None else state
        named = x if isinstance(x, Mapping) else {self.ports[0]: x}
        inputs = arriving(self.cells.model.name, named, self.ports, timed=True)
        steps, asleep = len(inputs[0]), max(self.start - passed, 0)
        first = next(iter(named.values()))
        silent = self.cells.handed_on(torch.zeros_like(inputs[0][:asleep]), first)
        if asleep >= steps:
            return silent, (passed + steps, cells)
        z, cells = self.cells({port: value[asleep:] for port, value in named.items()}, cells)
        return (torch.cat([silent, z]) if asleep else z), (passed + steps, cells)
