"""observe: what each neuron of a network does on calibration samples: its spikes, and how far its registers
go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError
from spikeflow.events import Spikes
from spikeflow.hw.integer.probes import Float, Reach, extremes, probed
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Population
from spikeflow.ir.record import Network
from spikeflow.sim import prepare
from spikeflow.sim.classify import RunOptions, encode_batch, read_out_level
from spikeflow.sim.result import Counts, Result

Array = npt.NDArray[np.generic]
Reaches = Mapping[str, Mapping[Reach, Float]]
ROOM = 2**24  # neurons times steps times samples of one part of a run, so that its spikes stay small
NONE: Mapping[str, Sequence[Reach]] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Observed:
    """A network on samples.

    Parameters
    ----------
    steps : that are read.
    outputs : for each Output what it came to in the last step, or its spikes of all steps, ``(N, *shape)``.
    spikes : of each population that spikes and each Input of spikes, for every sample and neuron: ``(N,
        neurons)``.
    counts : of each node, over all samples.
    reaches : how far the registers asked for went, for each neuron.
    """

    steps: int
    outputs: Mapping[str, Array]
    spikes: Mapping[str, npt.NDArray[Any]]
    counts: Mapping[str, Counts]
    reaches: Reaches = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """Samples that were run."""
        return len(next(iter(self.outputs.values())))

    def rate(self, name: str) -> float:
        """Spikes a neuron and step."""
        return float(self.spikes[name].mean()) / self.steps if name in self.spikes else 1.0


def observe(
    network: Network,
    x: npt.ArrayLike,
    options: RunOptions = RunOptions(),  # noqa: B008  frozen
    wanted: Mapping[str, Sequence[Reach]] = NONE,
    number: int = 0,
) -> Observed:
    """Run a network, at stage snn or fixed, as its run record says.

    Parameters
    ----------
    x : samples ``(N, *shape)``, as `classify` takes them.
    wanted : registers to follow, for each population.
    number : of the first sample, for random coding.
    """
    level, array = read_out_level(network), np.asarray(x)
    end = network.record.steps + level
    extra = max((len(r) for r in wanted.values()), default=0)
    graph, probes = probed(network.graph, wanted, end)
    names = tuple(n for n in network.graph.nodes if _spikes(network.graph, n))
    reading = _Reading(network.graph, end, names, probes, wanted)
    runner = prepare(graph, options.engine, options.threads)
    size = _part(graph, names, end + extra, options)
    found = []
    for first in range(0, len(array), size):
        batch = array[first : first + size]
        inputs = encode_batch(network, batch, network.record.steps, level + extra, number + first)
        try:
            result = runner(inputs, end + extra, (*names, *probes.values()), keep_state=False)
        except DataError:  # what spikes hand on is finite, what a register comes to need not be
            if wanted:
                observe(network, batch, options)  # raises where it is the samples that are wrong
            _name_unbounded(network, batch, options, wanted)
            raise
        part = reading.of(result)
        if found:  # what registers came to is as large as the network: only the hull is kept
            found[0] = replace(found[0], reaches=_hulls((found[0], part)))
            part = replace(part, reaches={})
        found.append(part)
    return replace(joined(found), steps=network.record.steps)


def _name_unbounded(
    network: Network, x: npt.NDArray[Any], options: RunOptions, wanted: Mapping[str, Sequence[Reach]]
) -> None:
    """Raise DataError for the population whose registers are no finite numbers, each followed alone."""
    for name in wanted if len(wanted) > 1 else ():
        observe(network, x, options, {name: wanted[name]})
    for name in wanted:
        reason = "values within its step that are NaN or infinite on these samples"
        hint = "smaller weights into it, or a shorter step of its equation: integers need a range"
        raise DataError(name, reason, "finite numbers", hint)


def _spikes(graph: Graph, name: str) -> bool:
    node = graph.nodes[name]
    if isinstance(node, Input):
        return node.kind == "spikes"
    return isinstance(node, Population) and node.spikes


def _part(graph: Graph, names: Sequence[str], steps: int, options: RunOptions) -> int:
    """Samples to run at a time."""
    neurons = sum(prod(graph.shapes[name]) for name in names)
    return int(np.clip(ROOM // max(1, neurons * steps), 1, options.batch))


@dataclass(frozen=True, eq=False)
class _Reading:
    """How the result of a run is read: where it ends, whose spikes are counted, and what each probe
    follows.
    """

    graph: Graph
    end: int
    names: Sequence[str]
    probes: Mapping[str, str]
    wanted: Mapping[str, Sequence[Reach]]

    def of(self, result: Result) -> Observed:
        """The part of the samples that were run."""
        spikes = {name: self._counted(result.recorded[name]) for name in self.names}
        outputs = {name: self._output(name, values) for name, values in result.outputs.items()}
        counts = {n: c for n, c in result.counts.items() if n in self.graph.nodes}
        return Observed(self.end, outputs, spikes, counts, self._reaches(result))

    def _counted(self, s: Spikes) -> Array:
        size, inside = prod(s.shape), s.step < self.end
        at = s.sample[inside].astype(np.int64) * size + s.neuron[inside]
        graded = s.value[inside] if (s.value != 1).any() else None
        whole = np.uint8 if self.end < 2**8 else np.uint16 if self.end < 2**16 else np.float32
        small = whole if graded is None else np.float32
        return np.bincount(at, graded, s.samples * size).reshape(s.samples, size).astype(small)

    def _output(self, name: str, values: Array) -> Array:
        """What a read-out has added up; spikes are added up here."""
        adds = any(_spikes(self.graph, edge.src) for edge in self.graph.inputs_of(name))
        return values[: self.end].sum(axis=0) if adds else values[self.end - 1]

    def _reaches(self, result: Result) -> Reaches:
        fixed = stages.stage_of(self.graph) == "fixed"
        return {
            name: extremes(result.recorded[probe], self.wanted[name], self.end, fixed)
            for name, probe in self.probes.items()
        }


def joined(parts: Sequence[Observed]) -> Observed:
    """The samples of all parts; registers count as far as any part followed them."""
    first = parts[0]
    counts = {n: sum((p.counts[n] for p in parts[1:]), start=c) for n, c in first.counts.items()}
    return replace(
        first,
        outputs={n: np.concatenate([p.outputs[n] for p in parts]) for n in first.outputs},
        spikes={n: np.concatenate([p.spikes[n] for p in parts]) for n in first.spikes},
        counts=counts,
        reaches=_hulls(parts),
    )


def _hulls(parts: Sequence[Observed]) -> Reaches:
    return {
        name: {r: _hull(r, [p.reaches[name][r] for p in parts if name in p.reaches]) for r in found}
        for name, found in parts[0].reaches.items()
    }


def _hull(reach: Reach, values: Sequence[Float]) -> Float:
    return (np.minimum if reach.end == "low" else np.maximum).reduce(values)
