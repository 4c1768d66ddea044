"""From event to event: arrivals and crossings in the order of time.

At one moment all that arrives is added up before thresholds are looked at, and a population comes after those
it reads without delay, as in a step. Times are counted in steps, so that delays are whole numbers and what is
to come at one moment does.
"""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, prod
from typing import Any

import numpy as np
from scipy.sparse import csc_array

from spikeflow.errors import DataError, SimulationError, SpikeflowWarning
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Poisson, Population
from spikeflow.sim.event_time.closed import Closed, closed_form
from spikeflow.sim.event_time.crossing import Membrane
from spikeflow.sim.event_time.difference import EventRun, Moments
from spikeflow.sim.event_time.wires import Matrix, Wires, expect_linear
from spikeflow.typing import Array

MOST_SPIKES = 10**7
MOST_AT_ONCE = 10**5
_ARRIVES, _CROSSES = range(2)
_Jumps = dict[int, list[tuple[str, float]]]  # by neuron: port and weight
_ULPS = 8 * 2.0**-53  # within which a time is a whole step that division missed


def run_events(
    graph: Graph,
    inputs: Mapping[str, tuple[Any, Any]],
    end_s: float,
    currents: Mapping[str, Any] | None = None,
    most_spikes: int = MOST_SPIKES,
) -> EventRun:
    """Run a graph of stage snn in continuous time, exactly, from its initial state at 0 to an end.

    Spike times are right to some units in the last place of float64: below 1e-12 of a step for runs of up to
    some thousand steps, except where a membrane barely touches its threshold.

    Parameters
    ----------
    inputs : for each Input of spikes when they come, in seconds, and of which neurons (C-order).
    currents : for each Input of a current what it gives in every step, of its shape.
    most_spikes : of all neurons together.

    Raises
    ------
    SimulationError
        By name, for neurons without a closed form and for nodes that are not linear; and for too many spikes.
    DataError
        For inputs that do not fit.
    """
    stages.check(graph, "snn")
    for name in graph.of_kind(Poisson):
        raise SimulationError(name, "draws events in steps, of which event time has none", "times as inputs")
    expect_linear(graph)
    if isinstance(end_s, bool) or not isinstance(end_s, int | float) or not 0 < end_s < inf:
        raise DataError("end_s", end_s, "a finite number of seconds above 0")
    flows = _flows(graph, currents or {})
    entering = {n: _moments(graph, n, inputs) for n in graph.inputs if n not in flows}
    if extra := sorted(set(inputs) - set(entering)):
        raise DataError("inputs", f"times for {extra[0]}", f"for the Inputs of spikes: {', '.join(entering)}")
    for name, moments in entering.items():
        if late := int((moments.steps > end_s / graph.dt).sum()):
            told = f"{name}: {late} of {moments.count} spikes come after the end, {end_s:g} s"
            warnings.warn(f"{told}. Try: times in seconds", SpikeflowWarning, stacklevel=2)
    simulation = _Simulation(graph, Wires(graph, flows), end_s / graph.dt, most_spikes)
    found = simulation.run(entering)
    flowing = frozenset(p.name for p in simulation.populations if p.flows)
    return EventRun(graph, end_s, entering, flows, found, flowing)


class _Population:
    """The neurons of one population: where each stood when something last happened to it.

    Lists of numbers, since one neuron after the other is looked at.
    """

    def __init__(self, name: str, form: Closed, wires: Wires) -> None:
        self.name, self.form, n = name, form, len(form.v)
        self.v, self.u = form.v.tolist(), form.u.tolist()
        self.now, self.awake = [0.0] * n, [-inf] * n  # when v and u stand; when v may move again
        self.turns = [0] * n
        self.ports = {port: wires.into(name, port) for port in form.jump_v}
        lead, flow = np.zeros(n), form.constant.copy()
        for port, arriving in self.ports.items():
            if arriving.flow is not None:
                lead += form.flow_u[port] * arriving.flow
                flow += form.flow_v[port] * arriving.flow
        flow += form.gain * lead
        self.flows = bool(form.synaptic or flow.any())
        self.lead, self.q, self.gain = lead.tolist(), flow.tolist(), form.gain.tolist()
        self.leak, self.fall, self.threshold = form.leak.tolist(), form.fall.tolist(), form.threshold.tolist()
        self.jumps = {port: (form.jump_u[port].tolist(), form.jump_v[port].tolist()) for port in form.jump_v}

    def predict(self, i: int) -> float:
        """When the neuron reaches its threshold if nothing arrives."""
        begin = max(self.now[i], self.awake[i])
        self.turns[i] += 1
        if self.v[i] >= self.threshold[i]:
            return begin
        return begin + self._membrane(i, begin).crossing(self.threshold[i])

    def meet(self, i: int, t: float, jumps: Sequence[tuple[str, float]], due: bool) -> int:
        """All that happens to a neuron at one time; how often it spikes."""
        self._pass_to(i, t)
        awake = t > self.awake[i]
        if due:  # its threshold is reached, whatever the last bit of the formula says
            self.v[i] = max(self.v[i], self.threshold[i])
        for port, weight in jumps:
            jump_u, jump_v = self.jumps[port]
            self.u[i] += jump_u[i] * weight
            if awake:
                self.v[i] += jump_v[i] * weight
        return self._fire(i, t) if awake or due else 0

    def _fire(self, i: int, t: float) -> int:
        form, spikes = self.form, 0
        while self.v[i] >= self.threshold[i]:
            self.v[i] = float(form.to[i]) if form.resets else self.v[i] - float(form.by[i])
            spikes += 1
            if form.refractory:
                self.awake[i] = t + form.refractory
                break
            if spikes > MOST_AT_ONCE:
                raise SimulationError(self.name, f"more than {MOST_AT_ONCE} spikes of a neuron at one moment")
        return spikes

    def _pass_to(self, i: int, t: float) -> None:
        """Let time pass for a neuron; its membrane stays until it is awake."""
        begin = max(self.now[i], self.awake[i])
        if begin < t:
            self.v[i] = self._membrane(i, begin).after(t - begin)
        self.u[i] = self._current(i, t)
        self.now[i] = t

    def _current(self, i: int, t: float) -> float:
        lead = self.lead[i]
        return lead + (self.u[i] - lead) * exp(-self.fall[i] * (t - self.now[i]))

    def _membrane(self, i: int, t: float) -> Membrane:
        beyond = self.gain[i] * (self._current(i, t) - self.lead[i])
        return Membrane(self.v[i], beyond, self.q[i], self.leak[i], self.fall[i])


@dataclass(frozen=True)
class _Wire:
    """To a port of a population, so much later: column by column what a source's neurons reach."""

    population: int
    port: str
    delay: int
    matrix: Matrix

    def reached(self, neuron: int) -> tuple[list[int], list[float]]:
        """The neurons that one of the source reaches, and the weights."""
        first, last = self.matrix.indptr[neuron : neuron + 2]
        return self.matrix.indices[first:last].tolist(), self.matrix.data[first:last].tolist()


class _Simulation:
    def __init__(self, graph: Graph, wires: Wires, end: float, most: int) -> None:
        self.end, self.most, self.count = end, most, 0
        nodes = ((name, graph.nodes[name]) for name in graph.order)
        forms = {name: closed_form(name, node) for name, node in nodes if isinstance(node, Population)}
        self.populations = [_Population(name, form, wires) for name, form in forms.items()]
        self.wires: list[_Wire] = []
        self.of_source: dict[str, list[int]] = {}
        for number, population in enumerate(self.populations):
            for port, arriving in population.ports.items():
                for (source, delay), matrix in arriving.spikes.items():
                    self.of_source.setdefault(source, []).append(len(self.wires))
                    self.wires.append(_Wire(number, port, delay, csc_array(matrix)))
        self.events: list[tuple[float, int, int, int, int]] = []
        self.found: list[tuple[list[float], list[int]]] = [([], []) for _ in forms]

    def run(self, entering: Mapping[str, Moments]) -> dict[str, Moments]:
        """All spikes until the end, by population."""
        for name, moments in entering.items():
            for t, neuron in zip(moments.steps.tolist(), moments.neuron.tolist(), strict=True):
                self._send(name, t, neuron, None)
        for number, population in enumerate(self.populations):
            for i in range(len(population.v)):
                self._expect(number, i)
        while self.events and self.events[0][0] <= self.end:
            self._moment(self.events[0][0])
        names = (population.name for population in self.populations)
        return {name: Moments.sorted(*columns) for name, columns in zip(names, self.found, strict=True)}

    def _moment(self, t: float) -> None:
        """Everything that happens at one time."""
        now: list[_Jumps] = [{} for _ in self.populations]
        due: list[set[int]] = [set() for _ in self.populations]
        while self.events and self.events[0][0] == t:
            _, kind, number, i, turn = heapq.heappop(self.events)
            if kind == _ARRIVES:
                self._arrive(self.wires[number], i, now)
            elif self.populations[number].turns[i] == turn:
                due[number].add(i)
        for number, population in enumerate(self.populations):
            for i in sorted({*now[number], *due[number]}):
                for _ in range(population.meet(i, t, now[number].get(i, []), i in due[number])):
                    self._spike(number, i, t, now)
                self._expect(number, i)

    def _arrive(self, wire: _Wire, neuron: int, now: list[_Jumps]) -> None:
        for target, weight in zip(*wire.reached(neuron), strict=True):
            now[wire.population].setdefault(target, []).append((wire.port, weight))

    def _spike(self, number: int, i: int, t: float, now: list[_Jumps]) -> None:
        times, neurons = self.found[number]
        times.append(t)
        neurons.append(i)
        self.count += 1
        if self.count > self.most:
            raise SimulationError(
                self.populations[number].name, f"more than {self.most} spikes", "most_spikes"
            )
        self._send(self.populations[number].name, t, i, now)

    def _send(self, source: str, t: float, neuron: int, now: list[_Jumps] | None) -> None:
        """Along all wires; what takes no time arrives at this moment, in a population that comes later."""
        for number in self.of_source.get(source, ()):
            wire = self.wires[number]
            if wire.delay == 0 and now is not None:
                self._arrive(wire, neuron, now)
            else:
                heapq.heappush(self.events, (t + wire.delay, _ARRIVES, number, neuron, 0))

    def _expect(self, number: int, i: int) -> None:
        population = self.populations[number]
        t = population.predict(i)
        if t <= self.end:
            heapq.heappush(self.events, (t, _CROSSES, number, i, population.turns[i]))


def _flows(graph: Graph, currents: Mapping[str, Any]) -> dict[str, Array]:
    """What each Input of a current gives in every step, flat."""
    names = [name for name in graph.inputs if _is_current(graph, name)]
    if set(names) != set(currents):
        raise DataError(
            "currents", f"those of {', '.join(currents) or 'none'}", f"of {', '.join(names) or 'none'}"
        )
    found = dict[str, Array]()
    for name in names:
        try:
            values = found[name] = np.asarray(currents[name], np.float64)
        except (ValueError, TypeError) as error:
            raise DataError(
                name, "a current of no numbers", f"finite numbers, {graph.shapes[name]}"
            ) from error
        if values.shape != graph.shapes[name] or not np.isfinite(values).all():
            raise DataError(
                name, f"a current of shape {values.shape}", f"finite numbers, {graph.shapes[name]}"
            )
    return {name: values.reshape(-1) for name, values in found.items()}


def _is_current(graph: Graph, name: str) -> bool:
    node = graph.nodes[name]
    return isinstance(node, Input) and node.kind == "current"


def _moments(graph: Graph, name: str, inputs: Mapping[str, tuple[Any, Any]]) -> Moments:
    """The spikes that enter, in steps: a whole one where only the rounding of the division says else."""
    if name not in inputs:
        raise DataError("inputs", f"none for {name}", "times and neurons of its spikes, ([], []) for none")
    try:
        first, second = inputs[name]
        times, neurons = np.asarray(first), np.asarray(second)
    except (ValueError, TypeError) as error:
        raise DataError(name, "no two columns", "times and neurons of its spikes") from error
    size = prod(graph.shapes[name])
    if times.ndim != 1 or times.shape != neurons.shape or times.dtype.kind not in "iuf":
        raise DataError(name, f"times {times.shape} and neurons {neurons.shape}", "one neuron for each time")
    steps = times.astype(np.float64) / graph.dt
    if not (np.isfinite(steps) & (steps >= 0)).all():
        raise DataError(name, "times below 0, or no numbers", "seconds from 0 on")
    if neurons.size and (neurons.dtype.kind not in "iu" or neurons.min() < 0 or neurons.max() >= size):
        raise DataError(name, "neurons that it does not have", f"whole numbers, 0 to {size - 1}")
    whole = np.rint(steps)
    return Moments.sorted(np.where(np.abs(steps - whole) <= _ULPS * whole, whole, steps), neurons)
