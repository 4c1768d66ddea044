"""Stepping: the nodes of a cycle run one after the other in every step, each with its state.

Dropout and batch norm that train are refused there: they would draw a mask and take statistics anew in every
step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from spikeflow.errors import GraphError, ShapeError, UnsupportedLayer
from spikeflow.ir.graph import Edge
from spikeflow.neurons.dropout import NoMask
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.members import bare, by_source, check_inside, has_state, ports_of
from spikeflow.neurons.stateless import check_settled, may_draw, neurons_in, through_moment
from spikeflow.neurons.stretch import arriving, state_dtype
from spikeflow.neurons.wiring import FIRST, Incoming, source_of

Moment = dict[str, torch.Tensor]
Outer = Mapping[Edge, Sequence[torch.Tensor]]


def added(name: str, edges: Sequence[Edge], values: Sequence[torch.Tensor], wide: bool) -> torch.Tensor:
    """What several edges bring to one port, added in their order; `wide`: in the type of a neuron's state.

    Raises
    ------
    ShapeError
        Where they are not of one shape: nothing is broadcast.
    """
    if any(value.shape != values[0].shape for value in values):
        shapes = {source_of(e): tuple(v.shape) for e, v in zip(edges, values, strict=True)}
        raise ShapeError(name, f"values of shapes {shapes}", "equal shapes, since edges add up")
    # whole numbers too: torch's bools add up to True, its bytes wrap around
    plain = [v.to(state_dtype(v.dtype)) if wide or not v.is_floating_point() else v for v in values]
    total = plain[0]
    for value in plain[1:]:
        total = total + value
    return total


class Cells:
    """A layer of neurons, stepped; `inside` names the states that are handed on beside its output."""

    wide = True

    def __init__(self, name: str, neuron: Neuron, state: Any, inside: tuple[str, ...]) -> None:
        for wanted in inside:
            if wanted not in neuron.model.states():
                hint = f"one of {', '.join(neuron.model.states())}"
                raise GraphError(f"{name}.{wanted}", f"is no state of {neuron.model.name}", hint)
        self.name, self.neuron, self.state, self.inside = name, neuron, state, inside
        self.values: dict[str, torch.Tensor] = {}
        self.silent = torch.empty(0)

    def __call__(self, ports: Moment, like: torch.Tensor) -> Moment:
        """Output and wanted states of one step, ``(B, *shape)``; spikes in the type of `like`."""
        model = self.neuron.model
        named = {port or model.inputs[0]: x for port, x in ports.items()}
        if self.values or self.silent.numel():
            moment = tuple(
                named[p].to(self.silent.dtype) if p in named else self.silent for p in model.inputs
            )
        else:
            moment = self._begin(named)
        z, self.state = self.neuron.advance(self.values, moment, self.state)
        states = {f"{self.name}.{wanted}": getattr(self.state, wanted) for wanted in self.inside}
        return {self.name: self.neuron.handed_on(z, like), **states}

    def _begin(self, named: Moment) -> tuple[torch.Tensor, ...]:
        model = self.neuron.model
        moment = arriving(model.name, named, model.inputs, timed=False)
        self.state = self.neuron.initial(moment[0]) if self.state is None else self.state
        self.neuron.check(moment[0], self.state)
        self.values, self.silent = self.neuron.values(moment[0].dtype), torch.zeros_like(moment[0])
        return moment


class Layer:
    """Any other node, stepped: a network, or a layer without state."""

    wide = False

    def __init__(self, name: str, layer: nn.Module, state: Any, inside: tuple[str, ...]) -> None:
        if not has_state(layer) and (found := neurons_in(layer)):
            raise UnsupportedLayer(name, type(layer).__name__, f"the layers it holds ({found}) one by one")
        check_inside(name, layer, inside)
        check_settled(name, layer)
        self.name, self.layer, self.state = name, layer, state
        self.more = {"record": inside} if inside else {}
        self.drawing = may_draw(layer)

    def __call__(self, ports: Moment, like: torch.Tensor) -> Moment:
        """What the node hands on in one step, by name of its source."""
        with NoMask(self.name) if self.drawing else nullcontext():
            if not has_state(self.layer):
                return {self.name: through_moment(self.name, self.layer, ports[FIRST])}
            names = ports_of(self.layer)
            named = {port or names[0]: x[None] for port, x in ports.items()}
            x = named[names[0]] if len(names) == 1 else named
            answer, self.state = self.layer(x, self.state, **self.more)
        return {source: value[0] for source, value in by_source(self.name, self.layer, answer).items()}


def stepper(name: str, module: nn.Module, state: Any, inside: tuple[str, ...]) -> Cells | Layer:
    """A node made ready to be stepped."""
    inner = bare(module)
    return (
        Cells(name, inner, state, inside) if isinstance(inner, Neuron) else Layer(name, module, state, inside)
    )


def at_rest(needed: set[str], modules: Mapping[str, nn.Module], incoming: Incoming, outer: Outer) -> Moment:
    """Zeros ``(B, *shape)`` for values of a cycle that are read before they were ever computed.

    Neurons have the shape of what they read. Where that does not tell enough, other nodes are run once on
    zeros.
    """
    known = {source_of(edge): torch.zeros_like(stretch[0]) for edge, stretch in outer.items()}
    like = next(iter(known.values()))
    told = {n: getattr(bare(module), "shape", None) for n, module in modules.items()}  # of what a graph says
    known.update({n: like.new_zeros((len(like), *shape)) for n, shape in told.items() if shape is not None})
    while needed - known.keys():
        cells = {n: e for n in modules if n not in known for e in _read(n, incoming, known) if e is not None}
        cells = {n: e for n, e in cells.items() if isinstance(bare(modules[n]), Neuron)}
        if cells:
            name, source = next(iter(cells.items()))
            like, neuron = known[source], bare(modules[name])
            assert isinstance(neuron, Neuron)
            known[name] = neuron.handed_on(torch.zeros_like(like, dtype=state_dtype(like.dtype)), like)
            continue
        name = next((n for n in modules if n not in known and None not in _read(n, incoming, known)), None)
        if name is None:
            missing = sorted(needed - known.keys())
            raise ShapeError(missing[0], "a cycle that tells no shape", "an edge into it from an input")
        arrived = {
            port: known[source]
            for port, source in zip(incoming[name], _read(name, incoming, known), strict=True)
            if source is not None
        }
        with torch.no_grad():
            found = stepper(name, modules[name], None, ())(arrived, next(iter(arrived.values())))
        known.update({source: torch.zeros_like(value) for source, value in found.items()})
    return known


def _read(name: str, incoming: Incoming, known: Moment) -> list[str | None]:
    """For each port of a node a source whose shape is known."""
    return [
        next((source_of(e) for e in edges if source_of(e) in known), None)
        for edges in incoming[name].values()
    ]


def step_through(
    steppers: Mapping[str, Cells | Layer],
    incoming: Incoming,
    outer: Outer,
    past: dict[str, list[torch.Tensor]],
) -> Moment:
    """All steps of a cycle: the values ``(T, B, *shape)`` of its nodes, by name of their source.

    Parameters
    ----------
    steppers : its nodes in the order in which they run.
    outer : what the edges from outside bring, in every step.
    past : for values that are read with a delay those before the first step, the last one last; it grows.
    """
    plan = [
        (
            stepper,
            name,
            [(port, edges, [outer.get(e) for e in edges]) for port, edges in incoming[name].items()],
        )
        for name, stepper in steppers.items()
    ]
    kept: dict[str, list[torch.Tensor]] = {}
    for step in range(len(next(iter(outer.values())))):
        now: Moment = {}
        for stepper, name, ports in plan:
            arrived: Moment = {}
            like = None
            for port, edges, outside in ports:
                values = [
                    stretch[step] if stretch is not None else _inside(edge, now, past)
                    for edge, stretch in zip(edges, outside, strict=True)
                ]
                like = values[0] if like is None else like
                arrived[port] = values[0] if len(values) == 1 else added(name, edges, values, stepper.wide)
            assert like is not None
            now.update(stepper(arrived, like))
        for source, value in now.items():
            kept.setdefault(source, []).append(value)
            if source in past:
                past[source].append(value)
    return {source: torch.stack(values) for source, values in kept.items()}


def _inside(edge: Edge, now: Moment, past: Mapping[str, list[torch.Tensor]]) -> torch.Tensor:
    return past[source_of(edge)][-edge.delay] if edge.delay else now[source_of(edge)]
