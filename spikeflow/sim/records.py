"""What a run can keep of every step: the values of a node, the states of a population, the currents at its
ports; of all neurons, or of some.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError, SimulationError, SpikeflowWarning
from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population, Shape
from spikeflow.typing import Array

Neurons = npt.NDArray[np.int32]
ALL = np.zeros(0, np.int32)  # of a probe: every neuron
_PROBE = re.compile(r"(.+?)(?:\[([^\[\]]*)\])?(?:@(\d{1,9}))?")


@dataclass(frozen=True, eq=False)
class Probe:
    """Some neurons of what can be recorded, now and then: far less to keep than all of every step.

    What comes back is an array ``(steps kept, B, neurons)``, of a node `Spikes` of shape ``(neurons,)``;
    without `neurons` the shape is the node's.

    Parameters
    ----------
    name : what is recorded: a node, ``layer.v`` (a state) or ``layer.in`` (what arrives at a port).
    neurons : which, as numbers in C order or a slice; they are kept in ascending order, each once. None for
        all.
    every : steps from one that is kept to the next. Kept are those whose number, counted from the sample's
        first step, is a multiple of it, however a run is cut. Spikes are kept of every step.
    label : its name in the result; empty for `name`.

    Raises
    ------
    DataError
        Where `name` is no text, `neurons` are no whole numbers from 0 on, or `every` is below 1.
    """

    name: str
    neurons: npt.ArrayLike | slice | None = None
    every: int = 1
    label: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.label, str):
            raise DataError("probe", f"the name {self.name!r}, label {self.label!r}", "texts")
        if isinstance(self.every, bool) or not isinstance(self.every, int) or not 0 < self.every < 2**31:
            raise DataError(f"probe of {self.name}", f"every {self.every!r} steps", "a whole number above 0")
        if self.neurons is None:
            return
        try:
            if isinstance(self.neurons, slice):
                self.neurons.indices(1)
                return
            given = np.asarray(self.neurons)
            whole = given.dtype.kind in "iu" and given.ndim == 1 and given.size
            if not whole or given.min() < 0 or given.max() >= 2**31:
                raise ValueError(given)
        except (ValueError, TypeError) as error:  # a slice without a step, rows of different lengths
            got = f"neurons {self.neurons!r}"
            wanted = "one or more whole numbers from 0 on, or a slice"
            raise DataError(f"probe of {self.name}", got, wanted) from error
        kept = np.unique(given).astype(np.int32)
        if not np.array_equal(kept, given):
            text = f"probe of {self.name}: its neurons are kept in ascending order, each once"
            warnings.warn(text, SpikeflowWarning, stacklevel=3)
        object.__setattr__(self, "neurons", kept)

    @property
    def key(self) -> str:
        """Its name in the result."""
        return self.label or self.name

    @property
    def some(self) -> bool:
        """Whether it leaves anything out."""
        return self.neurons is not None or self.every > 1

    def of(self, size: int) -> Neurons:
        """The numbers of its neurons, of so many; none where all are meant.

        Raises
        ------
        DataError
            For neurons that do not exist.
        """
        if self.neurons is None:
            return ALL
        whole = np.arange(size, dtype=np.int32)
        found = whole[self.neurons] if isinstance(self.neurons, slice) else np.asarray(self.neurons, np.int32)
        if not found.size or found.max() >= size:
            raise DataError(f"probe of {self.name}", f"neurons {self.neurons}", f"some of 0 to {size - 1}")
        return np.sort(found)


Asked = str | Probe


@dataclass(frozen=True, eq=False)
class Trace:
    """One state of a population, or what arrives at one of its ports; the other is -1."""

    node: str
    state: int = -1
    port: int = -1
    neurons: Neurons = field(default_factory=lambda: ALL)
    every: int = 1

    def kept(self, done: int, steps: int) -> int:
        """How many of the steps that follow `done` are kept."""
        return -(-(done + steps) // self.every) + -done // self.every

    def room(self, shape: Shape, done: npt.NDArray[np.int64], steps: int) -> tuple[int, ...]:
        """The shape of what is kept of a node of this shape.

        Raises
        ------
        DataError
            Where rows with so many steps behind them keep different steps.
        """
        if len(set((done % self.every).tolist())) > 1:
            got = f"rows with {sorted(set(done.tolist()))[:8]} steps behind them"
            raise DataError(
                f"probe of {self.node}, every {self.every} steps", got, "rows in step, or every=1"
            )
        rest = (self.neurons.size,) if self.neurons.size else shape
        return self.kept(int(done[0]), steps), done.size, *rest


@dataclass(frozen=True)
class Wanted:
    """What to record, by its name in the result: nodes with some of their neurons (none: all), whose values
    come back as `Spikes`, and traces, as arrays.
    """

    nodes: Mapping[str, tuple[str, Neurons]]
    traces: Mapping[str, Trace]

    def moments(self, done: npt.NDArray[np.int64], steps: int) -> dict[str, range]:
        """In which of so many steps behind `done` values are kept, where that is not in every one."""
        now_and_then = {name: trace.every for name, trace in self.traces.items() if trace.every > 1}
        return {name: range(-int(done[0]) % every, steps, every) for name, every in now_and_then.items()}

    def shape(self, key: str, graph: Graph) -> Shape:
        """The shape of what is kept of a node."""
        name, neurons = self.nodes[key]
        return (neurons.size,) if neurons.size else graph.shapes[name]


def recordable(graph: Graph) -> dict[str, Trace | None]:
    """Everything that can be recorded, by name: ``layer``, ``layer.v`` (a state), ``layer.in`` (what
    arrives at a port).

    Where names are equal a node comes before a state, and a state before a port, which is then called
    ``layer.in (port)``.
    """
    ports: dict[str, Trace] = {}
    found: dict[str, Trace | None] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Population):
            ports |= {f"{name}.{port}": Trace(name, port=i) for i, port in enumerate(node.ports)}
            found |= {f"{name}.{state}": Trace(name, state=i) for i, state in enumerate(node.program.states)}
    found |= dict.fromkeys(graph.nodes)
    taken = found.keys() & ports.keys()
    return {f"{name} (port)" if name in taken else name: trace for name, trace in ports.items()} | found


def named(record: Sequence[Asked]) -> dict[str, Probe]:
    """What is to be recorded, by its name in the result.

    Raises
    ------
    SimulationError
        For no sequence, something that is neither a name nor a Probe, and two of one name.
    """
    if isinstance(record, str | Probe):
        kind = "the text" if isinstance(record, str) else "one probe,"
        raise SimulationError("record", f"is {kind} {record!r}, no sequence of names", f"({record!r},)")
    found: dict[str, Probe] = {}
    for one in record:
        if not isinstance(one, str | Probe):
            raise SimulationError("record", f"holds a {type(one).__name__}", "names, or probes")
        probe = Probe(one) if isinstance(one, str) else one
        before = found.get(probe.key)
        if before is not None and (isinstance(one, Probe) or before.name != one or before.some):
            raise SimulationError(probe.key, "is recorded twice", 'Probe(..., label="another name")')
        found[probe.key] = probe
    return found


def from_text(text: str, graph: Graph) -> Asked:
    """What ``layer.v``, ``layer.v[0:100]``, ``layer.v[3,5,8]`` or ``layer.v[0:100]@10`` asks for: a name,
    some neurons of it, every 10th step. It is called in the result as it stands there.

    Raises
    ------
    DataError
        Where the neurons are neither numbers nor a range.
    """
    match = _PROBE.fullmatch(text)
    if text in recordable(graph) or match is None:
        return text
    name, neurons, every = match[1], match[2], int(match[3] or 1)
    try:
        return Probe(name, None if neurons is None else _neurons(neurons), every, text)
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"record {text}", f"neurons [{neurons}]", "such as [0:100] or [3,5,8]") from None


def _neurons(text: str) -> slice | list[int]:
    if ":" not in text:
        return [int(part) for part in text.split(",")]
    ends = [int(part) if part.strip() else None for part in text.split(":")]
    if len(ends) > 3:
        raise ValueError(text)
    return slice(*ends)


def wanted(graph: Graph, record: Sequence[Asked]) -> Wanted:
    """The names sorted out.

    Raises
    ------
    SimulationError
        For a name that means nothing here; it lists those that do. For spikes that are not of every step.
    DataError
        For neurons that do not exist.
    """
    nodes: dict[str, tuple[str, Neurons]] = {}
    traces: dict[str, Trace] = {}
    if not isinstance(record, str) and not record:
        return Wanted(nodes, traces)
    probes, known = named(record), recordable(graph)
    for key, probe in probes.items():
        if probe.name not in known:
            raise SimulationError(probe.name, "is nothing that can be recorded", f"one of {', '.join(known)}")
        trace = known[probe.name]
        neurons = probe.of(prod(graph.shapes[probe.name if trace is None else trace.node]))
        if trace is not None:
            traces[key] = Trace(trace.node, trace.state, trace.port, neurons, probe.every)
        elif probe.every == 1:
            nodes[key] = probe.name, neurons
        else:
            reason = f"emits spikes, of which none but every {probe.every}th step would be kept"
            raise SimulationError(probe.name, reason, "every=1; spikes take little room")
    return Wanted(nodes, traces)


class Recording:
    """What a stretch of steps hands on and what is recorded of it, while the reference runs it.

    Parameters
    ----------
    done : steps behind each row.
    """

    def __init__(self, graph: Graph, asked: Wanted, done: Array, steps: int, dtype: np.dtype[Any]) -> None:
        self.asked, self.done, self.integers = asked, done, dtype == np.int64
        self.outputs: dict[str, list[Array]] = {name: [] for name in graph.outputs}
        self.emitted: dict[str, list[Array]] = {name: [] for name in asked.nodes}
        self.traced = {
            name: np.empty(trace.room(graph.shapes[trace.node], done, steps), dtype)
            for name, trace in asked.traces.items()
        }

    def add(self, step: int, values: Mapping[str, Array], traced: Callable[[Trace], Array]) -> None:
        """What is kept of a step that was run: of the values of nodes, and of what `traced` reads."""
        for name, kept in self.outputs.items():
            kept.append(values[name])
        for name, (node, neurons) in self.asked.nodes.items():
            self.emitted[name].append(some_of(values[node], neurons))
        done = int(self.done[0])
        for name, trace in self.asked.traces.items():
            if (done + step) % trace.every == 0:
                self.traced[name][trace.kept(done, step)] = traced(trace)

    def result(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Outputs, and records by name."""
        spikes = {n: Spikes.from_dense(np.stack(x), self.integers) for n, x in self.emitted.items()}
        return {name: np.stack(values) for name, values in self.outputs.items()}, spikes | self.traced


def some_of(values: Array, neurons: Neurons) -> Array:
    """Of values ``(B, *shape)`` those of some neurons; none stands for all."""
    return values.reshape(len(values), -1)[:, neurons] if neurons.size else values
