"""Populations: networks of populations joined by rules, written as in computational neuroscience.

    net = Populations(dt_s=1e-4, seed=1)
    net.add("E", LIF.from_tau(ms(20), 1e-4, threshold=mV(20)), 800)
    net.project("E", "E", FixedInDegree(80), weight=mV(0.2), delay=ms(1.5))
    net.drive("noise", "E", rate_hz=8000.0, weight=mV(0.2))
    graph = net.graph(record=["E"])

Quantities are in SI units; `ms`, `mV` and `pA` make them. All projections into one port become one node over
the concatenation of their sources, so that a port has one sum, in one order.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt

from spikeflow.counters import bits53, keys
from spikeflow.errors import GraphError, SpikeflowWarning
from spikeflow.ir import draw
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Concat,
    Flatten,
    Input,
    Node,
    Output,
    Poisson,
    Population,
    Procedural,
    Shape,
    Sparse,
    check_shape,
)
from spikeflow.ir.projections import FixedInDegree, Normal, Projection, Rule, tell_beyond
from spikeflow.ir.synapse_list import SynapseList, Synapses, checked_list, sparse_of
from spikeflow.neurons import NeuronModel

INITIAL = (1 << 32) + 2  # keeps the keys of initial states apart from those of rules and drive


@dataclass(frozen=True)
class Uniform:
    """Every number from low to high is as likely."""

    low: float
    high: float


Initial = Mapping[str, npt.ArrayLike | Normal | Uniform]


def ms(x: float) -> float:
    """Milliseconds, in seconds."""
    return x * 1e-3


def mV(x: float) -> float:  # noqa: N802
    """Millivolts, in volts."""
    return x * 1e-3


def pA(x: float) -> float:  # noqa: N802
    """Picoamperes, in amperes."""
    return x * 1e-12


@dataclass(frozen=True)
class _Said:
    """A projection as it was said; `projection` counts its sources from the first of `source`."""

    source: str
    projection: Projection


class Populations:
    """A network of populations while it is written down.

    Parameters
    ----------
    dt_s : seconds of a step.
    seed : of all rules; the projections are numbered as they are said.
    bits, scale : weights as codes of 8 or 16 bits times a scale; 0 for float32.
    """

    def __init__(self, dt_s: float, seed: int = 0, bits: int = 0, scale: float = 1.0) -> None:
        if isinstance(dt_s, str) or not 0 < dt_s < np.inf:
            raise GraphError("Populations", f"steps of {dt_s!r} s", "a number of seconds above 0")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
            raise GraphError("Populations", f"a seed of {seed!r}", "a whole number, 0 or more")
        self.dt_s, self.seed, self.bits, self.scale = dt_s, int(seed), bits, scale
        self._nodes: dict[str, Population | Input | Poisson] = {}
        self._said: dict[tuple[str, str], list[_Said]] = {}
        self._fed: list[Edge] = []
        self._currents: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
        self._injected: list[tuple[str, str, str, npt.NDArray[np.int64]]] = []
        self._lists: dict[tuple[str, str], list[SynapseList]] = {}
        self._number = 0

    def add(self, name: str, neuron: NeuronModel, shape: int | Shape, initial: Initial | None = None) -> None:
        """A population of one neuron model; `initial` are states before the first step: numbers, or a
        distribution from which each neuron draws its own.
        """
        if not isinstance(neuron, NeuronModel):
            raise GraphError(name, f"{neuron!r} is no neuron model", "an instance, such as LIF(0.9)")
        found = _shape(name, shape)
        number, states = len(self._nodes), _states(name, initial or {})
        drawn = {s: _drawn((initial or {})[s], found, self.seed, number, i) for i, s in enumerate(states)}
        self._place(name, neuron.node(found, drawn))

    def enter(self, name: str, shape: int | Shape, rate_hz: npt.ArrayLike | None = None) -> None:
        """Spikes from outside, from which projections lead like from a population: an Input, or with a rate
        random spikes that the engine draws (`Poisson`).
        """
        found = _shape(name, shape)
        self._place(name, Input(found, "spikes") if rate_hz is None else self._poisson(found, rate_hz))

    def drive(self, name: str, post: str, rate_hz: npt.ArrayLike, weight: float, port: str = "in") -> None:
        """Random events that enter a port of every neuron, its own (`Poisson`).

        Parameters
        ----------
        rate_hz : events a second, one for all or one each; what many sources send together is the sum of
            their rates.
        weight : of one event, in the unit of what the port takes.
        """
        self._place(name, self._poisson(self._target(post, port, name).shape, rate_hz, weight))
        self._fed.append(Edge(name, post, port))

    def current(self, post: str, value: npt.ArrayLike, port: str = "in") -> None:
        """A constant that enters a port in every step, in its unit: one for all neurons, or one each; what is
        said twice adds up.
        """
        shape = self._target(post, port, "a current").shape
        try:
            given = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            raise GraphError(post, f"a current of {value!r}", f"one number, or {shape}") from None
        if given.size != 1 and given.shape != shape:
            raise GraphError(post, f"a current of shape {given.shape}", f"one number, or {shape}")
        held = self._currents.get((post, port), 0.0)
        self._currents[post, port] = held + np.broadcast_to(given.reshape(-1), (prod(shape),))

    def feed(self, name: str, post: str, port: str = "in") -> None:
        """An Input of currents that enter a port as they are, one value a neuron and step."""
        target = self._target(post, port, name)
        self._place(name, Input(target.shape, "current"))
        self._fed.append(Edge(name, post, port))

    def inject(self, name: str, post: str, neurons: npt.ArrayLike, port: str = "in") -> None:
        """An Input of currents that enter a port of some neurons as they are, ``(T, B, neurons)`` in a run.

        Parameters
        ----------
        neurons : their numbers in C order, each once, in the order of the Input's values.

        Raises
        ------
        GraphError
            For neurons that do not exist, or are named twice.
        """
        target, chosen = self._target(post, port, name), np.asarray(neurons)
        size, whole = prod(target.shape), chosen.dtype.kind in "iu" and chosen.ndim == 1 and chosen.size
        if not whole or chosen.min() < 0 or chosen.max() >= size or np.unique(chosen).size != chosen.size:
            reason = f"a current into the neurons {neurons!r}"
            raise GraphError(name, reason, f"some of 0 to {size - 1}, each once")
        self._place(name, Input((chosen.size,), "current"))
        self._injected.append((name, post, port, chosen.astype(np.int64)))

    def project(
        self,
        pre: str,
        post: str,
        rule: Rule,
        weight: float | Normal,
        delay: float | Normal,
        port: str = "in",
    ) -> None:
        """Synapses by rule from all of `pre` to all of `post`.

        Parameters
        ----------
        weight : in the unit of what the port takes.
        delay : seconds, one step at least; a number is whole steps, a distribution is rounded to them.

        Raises
        ------
        GraphError
            For names that were not added, delays that are no steps, and what the rule cannot draw.
        """
        target = self._target(post, port, pre)
        if pre not in self._nodes:
            raise GraphError(pre, "was not added", f"one of {', '.join(self._nodes)}")
        if pre != post and not getattr(rule, "autapses", True):
            raise GraphError(f"{pre} to {post}", "no autapses between two populations", "those of one alone")
        sources = prod(self._nodes[pre].shape)
        steps = _steps(f"{pre} to {post}", delay, self.dt_s)
        projection = Projection(0, sources, rule, weight, steps, self.seed, self._number)
        projection.check(f"{pre} to {post}", sources, prod(target.shape))
        tell_beyond(f"{pre} to {post}", {"weights": weight, "delays": delay})
        usual = weight if isinstance(weight, Normal) else Normal(weight, 0.0)
        _tell_changed(f"{pre} to {post}", np.array([usual.mean]), usual.deviation, (self.bits, self.scale))
        self._number += 1
        self._said.setdefault((post, port), []).append(_Said(pre, projection))

    def connect(self, pre: str, post: str, synapses: Synapses, port: str = "in") -> None:
        """Synapses from a list, such as that of a connectome, from `pre` to `post`.

        All lists into one port become one node, `POST.PORT listed`; sums follow the oldest emission, then the
        source, then the order of the lists.

        Raises
        ------
        GraphError
            For names that were not added, neurons that do not exist, delays below a step.
        """
        target, name = self._target(post, port, pre), f"{pre} to {post}"
        if pre not in self._nodes:
            raise GraphError(pre, "was not added", f"one of {', '.join(self._nodes)}")
        sizes = prod(self._nodes[pre].shape), prod(target.shape)
        checked = checked_list(name, pre, synapses, sizes, self.dt_s)
        _tell_changed(name, checked.weight, 0.0, (self.bits, self.scale))
        self._lists.setdefault((post, port), []).append(checked)

    def graph(self, record: Sequence[str] = ()) -> Graph:
        """The network; each of `record` is an output, named ``NAME out``.

        Raises
        ------
        GraphError
            Where what was added has a name that a node of the network gets, or a name is recorded twice.
        """
        if isinstance(record, str):
            raise GraphError("record", f"is the text {record!r}, no sequence of names", f"[{record!r}]")
        nodes: dict[str, Node] = dict(self._nodes)
        edges = list(self._fed)
        for post, port in self._currents:
            if (post, port) not in self._said:  # a rule without synapses, for its bias
                size = prod(self._nodes[post].shape)
                none = _Said(post, Projection(0, size, FixedInDegree(0), 0.0))
                edges += self._joined(nodes, post, port, [none])
        for (post, port), said in self._said.items():
            edges += self._joined(nodes, post, port, said)
        for (post, port), lists in self._lists.items():
            edges += self._connected(nodes, post, port, lists)
        for name, post, port, chosen in self._injected:
            to, count = f"{name} to {post}", chosen.size
            weight, shape = np.ones(1, np.float32), self._nodes[post].shape
            _put(nodes, to, Sparse(np.arange(count + 1), chosen, weight, (count,), shape))
            edges += [Edge(name, to), Edge(to, post, port)]
        for name in record:
            _put(nodes, f"{name} out", Output())
            edges.append(Edge(name, f"{name} out"))
        return Graph(nodes, tuple(edges), self.dt_s)

    def _target(self, post: str, port: str, pre: str) -> Population:
        target = self._nodes.get(post)
        if not isinstance(target, Population):
            raise GraphError(
                post, f"is no population for {pre} to lead to", f"one of {', '.join(self._nodes)}"
            )
        if port not in target.ports:
            raise GraphError(post, f"has no port {port!r} for {pre}", f"one of {target.ports}")
        return target

    def _place(self, name: str, node: Population | Input | Poisson) -> None:
        if name in self._nodes:
            raise GraphError(name, "was added twice", "another name")
        self._nodes[name] = node

    def _joined(self, nodes: dict[str, Node], post: str, port: str, said: Sequence[_Said]) -> list[Edge]:
        """One node for all projections by rule into a port."""
        name, shape = f"{post}.{port}", self._nodes[post].shape
        first, size, edges = _sources(nodes, name, [one.source for one in said])
        moved = tuple(replace(one.projection, first=first[one.source]) for one in said)
        bias = self._currents.get((post, port))
        _put(nodes, name, Procedural(moved, (size,), shape, bias, self.bits, self.scale))
        return [*edges, Edge(name, post, port)]

    def _connected(
        self, nodes: dict[str, Node], post: str, port: str, lists: Sequence[SynapseList]
    ) -> list[Edge]:
        """One node for all synapses into a port that are listed."""
        name, shape = f"{post}.{port} listed", self._nodes[post].shape
        first, size, edges = _sources(nodes, name, [one.pre for one in lists])
        lists = [replace(one, source=one.source + first[one.pre]) for one in lists]
        _put(nodes, name, sparse_of(lists, (size,), shape, self.bits, self.scale))
        return [*edges, Edge(name, post, port)]

    def _poisson(self, shape: Shape, rate_hz: npt.ArrayLike, weight: float = 1.0) -> Poisson:
        """Each drive has a number of its own, as each node has."""
        return Poisson(
            shape, np.asarray(rate_hz, np.float64) * self.dt_s, self.seed, len(self._nodes), weight
        )


def _put(nodes: dict[str, Node], name: str, node: Node) -> None:
    """One more node, in the place of none."""
    if name in nodes:
        raise GraphError(name, "is the name of two nodes", "other names; each recorded once")
    nodes[name] = node


def _states(name: str, initial: Initial) -> list[str]:
    """The states, sorted; GraphError for a distribution that has no value."""
    for state, said in initial.items():
        if isinstance(said, Uniform | Normal):
            turned = said.low is not None and said.high is not None and not said.low <= said.high
            if turned or (isinstance(said, Normal) and not said.deviation >= 0):
                raise GraphError(name, f"an initial {state} of {said}", "low <= high, a deviation from 0 on")
    return sorted(initial)


def _tell_changed(
    name: str, weights: npt.NDArray[np.float64], deviation: float, codes: tuple[int, float]
) -> None:
    """Warn of weights that their codes do not hold; what a distribution draws beyond them is expected."""
    bits, scale = codes
    if not bits or not scale > 0:
        return
    half = 2.0 ** (bits - 1)
    rounded = np.rint(weights / scale)
    beyond = int(np.count_nonzero((rounded < -half) | (rounded > half - 1)))
    gone = int(np.count_nonzero((np.rint((np.abs(weights) + 2 * deviation) / scale) == 0) & (weights != 0)))
    if gone > weights.size / 100:  # fewer are the middle of a distribution
        text = f"{name}: {gone} of {weights.size} weights become 0 in codes of {bits} bits times {scale:g}"
        warnings.warn(f"{text}. Try: a smaller scale", SpikeflowWarning, stacklevel=3)
    if beyond:
        text = f"{name}: codes of {bits} bits times {scale:g} hold weights of {-half * scale:g} to "
        text += f"{(half - 1) * scale:g}; {beyond} of {weights.size} lie beyond and are clipped"
        warnings.warn(f"{text}. Try: a larger scale", SpikeflowWarning, stacklevel=3)


def _drawn(said: object, shape: Shape, seed: int, number: int, state: int) -> npt.NDArray[np.float32]:
    """Initial values, drawn from counters of (seed, node, state, neuron) where a distribution is said."""
    if not isinstance(said, Normal | Uniform):
        return np.asarray(said, np.float32)
    u = draw.uniform(bits53(keys(seed, number, INITIAL, state), np.arange(prod(shape))))
    if isinstance(said, Uniform):
        values = said.low + (said.high - said.low) * u
    else:
        values = said.mean + said.deviation * draw.normal(u)
        low, high = (
            (-np.inf if said.low is None else said.low),
            (np.inf if said.high is None else said.high),
        )
        values = np.clip(values, low, high)
    return values.reshape(shape).astype(np.float32)


def _sources(
    nodes: dict[str, Node], name: str, sources: Sequence[str]
) -> tuple[dict[str, int], int, list[Edge]]:
    """What leads to a node of synapses: its sources one after the other, in one dimension, one step of each
    delay on the edges; where each begins, and how many neurons they are.
    """
    distinct, parts = list(dict.fromkeys(sources)), f"{name} sources"
    shapes = [nodes[source].shape for source in distinct]  # type: ignore[union-attr]
    ends = np.cumsum([0, *map(prod, shapes)]).tolist()
    _put(nodes, parts, Concat(0, len(distinct)))
    edges = [Edge(parts, name)]
    for i, (source, shape) in enumerate(zip(distinct, shapes, strict=True)):
        flat = source if len(shape) == 1 else f"{source} flat"
        if flat != source and not isinstance(nodes.get(flat), Flatten):
            _put(nodes, flat, Flatten())
            edges.append(Edge(source, flat))
        edges.append(Edge(flat, parts, f"in{i}", 1))
    return dict(zip(distinct, ends, strict=False)), ends[-1], edges


def _steps(name: str, delay: float | Normal, dt_s: float) -> int | Normal:
    """A delay in steps, less the one that lies on the edge."""
    if isinstance(delay, Normal):
        ends = [None if end is None else _whole(name, end, dt_s) - 1 for end in (delay.low, delay.high)]
        return Normal(delay.mean / dt_s - 1, delay.deviation / dt_s, *ends)
    return _whole(name, delay, dt_s) - 1


def _whole(name: str, delay: float, dt_s: float) -> int:
    if isinstance(delay, str) or np.ndim(delay) or not np.isfinite(delay):
        raise GraphError(name, f"a delay of {delay!r}", "a number of seconds, or a Normal")
    steps = round(delay / dt_s)
    if steps < 1 or abs(delay / dt_s - steps) > 1e-6 * steps:
        raise GraphError(name, f"a delay of {delay:g} s with steps of {dt_s:g} s", "whole steps, one or more")
    return steps


def _shape(name: str, shape: int | Shape) -> Shape:
    found = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if not all(isinstance(n, int | np.integer) for n in found):
        raise GraphError(name, f"a shape of {shape!r}", "a number of neurons, or a tuple of whole numbers")
    check_shape(name, found)
    return found
