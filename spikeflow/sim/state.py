"""State: everything that the future of a run depends on besides its graph and its inputs.

A run that is cut anywhere and goes on from the state equals the whole run, bit for bit; reference and engine
give equal states and take each other's. Rows (samples) can be taken out and joined again, also with different
numbers of steps behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError, FileError
from spikeflow.files.write import PathLike
from spikeflow.frozen import Frozen
from spikeflow.ir import store
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Linear, Population, Sparse
from spikeflow.ir.outputs import expanded
from spikeflow.sim import state_file
from spikeflow.sim.plastic import WEIGHT, check_held, initial_of
from spikeflow.sim.remembered import Past, Remembered, remembered
from spikeflow.typing import Array

Arrays = Mapping[str, Array]
TYPES = (np.dtype(np.float32), np.dtype(np.int64))


@dataclass(frozen=True, eq=False)
class State(Frozen):
    """The state of a batch of B samples between two steps, in its one canonical form.

    All values are float32, or int64 at stage fixed. A value of before step 0 is 0.

    Parameters
    ----------
    graph : digest of the graph that it belongs to, as it is run (`ir.outputs.expanded`).
    steps : int64, ``(B,)``; steps that each row has behind it.
    sample : int64, ``(B,)``; the number of each row's sample, on which random drive depends.
    memory : by node and name, ``(B, *shape)``: states of populations, and of any other node with a memory,
        such as weights that learn (``weights``).
    emitted : by node, ``(B, H, *shape)``: what it handed on in the last H steps, newest first, where an edge
        with a delay still reads it; H is the longest such delay, or the most steps behind any row.
    arrived : the same of what arrived at a node whose synapses have delays of their own; what is older than
        the longest delay of its source is 0.

    Raises
    ------
    DataError
        Where types, numbers of rows, or values of before step 0 are wrong.
    """

    graph: str
    steps: Array
    sample: Array
    memory: Mapping[str, Arrays]
    emitted: Arrays
    arrived: Arrays

    def __post_init__(self) -> None:
        for name in ("steps", "sample"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        parts = {name: _read_only(name, held) for name, held in self.memory.items()}
        object.__setattr__(self, "memory", MappingProxyType(parts))
        for name in ("emitted", "arrived"):
            object.__setattr__(self, name, _read_only("", getattr(self, name)))
        self._check()

    def __reduce__(self) -> tuple[Any, ...]:
        memory = {name: dict(held) for name, held in self.memory.items()}
        return State, (self.graph, self.steps, self.sample, memory, dict(self.emitted), dict(self.arrived))

    def _check(self) -> None:
        if self.steps.shape != self.sample.shape or not self.steps.size:
            raise DataError(
                "state", f"{self.steps.size} steps, {self.sample.size} samples", "one for each row"
            )
        if self.steps.min() < 0 or self.sample.min() < 0:
            raise DataError("state", "negative steps or numbers of samples", "0 or more")
        named = self.arrays()
        for name, array in named.items():
            if array.dtype not in TYPES or array.dtype != next(iter(named.values())).dtype:
                raise DataError(f"state: {name}", f"type {array.dtype}", "float32 for all, or int64 for all")
            if array.shape[:1] != self.steps.shape:
                raise DataError(f"state: {name}", f"shape {array.shape}", f"{self.rows} rows")
        for name, past in {**self.emitted, **self.arrived}.items():
            self._check_past(name, past)

    def _check_past(self, name: str, past: Array) -> None:
        if past.ndim < 2 or past.shape[1] > self.steps.max():
            got = f"the past in shape {past.shape}"
            raise DataError(f"state: {name}", got, f"at most {self.steps.max()} steps, the longest run")
        unborn = np.arange(past.shape[1]) >= self.steps[:, None]
        if (past[unborn] != 0).any():
            raise DataError(f"state: {name}", "values of before step 0", "0")

    def arrays(self) -> dict[str, Array]:
        """Every array by what it is: ``layer.v``, ``layer (emitted)``, ``layer (arrived)``."""
        named = {f"{node}.{name}": a for node, held in self.memory.items() for name, a in held.items()}
        named |= {f"{node} (emitted)": a for node, a in self.emitted.items()}
        return named | {f"{node} (arrived)": a for node, a in self.arrived.items()}

    @property
    def weights(self) -> Arrays:
        """Of each node that learns its weights as they stand, ``(B, *shape of its stored weights)``."""
        return MappingProxyType({n: held[WEIGHT] for n, held in self.memory.items() if WEIGHT in held})

    @property
    def rows(self) -> int:
        """Number of samples."""
        return int(self.steps.size)

    @staticmethod
    def initial(graph: Graph, samples: int) -> State:
        """Before the first step: populations at their initial states, nothing emitted yet; samples 0, 1,
        ...
        """
        run = expanded(graph)
        return initial(run, remembered(run), samples)

    def check(self, graph: Graph) -> None:
        """Whether this is a state of that graph.

        Raises
        ------
        DataError
            By name: another graph, a node or state too few or too many, another shape, integers for floats.
        """
        run = expanded(graph)
        check(self, run, remembered(run))

    def for_graph(self, graph: Graph) -> State:
        """The same state for another graph that remembers the same: one with other rates, currents, weights
        or parameters, with which the run is to go on.

        Raises
        ------
        DataError
            By name: a node, state or shape that one of the graphs lacks.
        """
        run = expanded(graph)
        moved = State(run.digest, self.steps, self.sample, self.memory, self.emitted, self.arrived)
        check(moved, run, remembered(run))
        return moved

    def __getitem__(self, rows: int | slice | Sequence[int] | Array) -> State:
        """Some of the rows, in the order given."""
        chosen = np.arange(self.rows)[[rows] if isinstance(rows, int | np.integer) else rows]
        if chosen.ndim != 1 or not chosen.size:
            raise DataError("rows of a state", rows, f"some of 0 to {self.rows - 1}")
        most = int(self.steps[chosen].max())
        return self._with(
            self.steps[chosen], self.sample[chosen], lambda a: a[chosen], lambda a: a[chosen][:, :most]
        )

    @staticmethod
    def joined(parts: Sequence[State]) -> State:
        """The rows of all, one after the other.

        Raises
        ------
        DataError
            Where there are none, or graphs differ.
        """
        if not parts:
            raise DataError("states to join", "none", "at least one")
        if len({part.graph for part in parts}) > 1:
            raise DataError("states to join", "states of different graphs", "of one graph")
        names = parts[0].arrays().keys()
        if any(part.arrays().keys() != names for part in parts):
            raise DataError("states to join", "states of different nodes", "the same nodes in all")
        every = [part.arrays() for part in parts]
        whole = dict(zip(names, (_rows([each[name] for each in every]) for name in names), strict=True))
        at = iter(whole.values())  # in the order in which `arrays` lists them
        steps, sample = (np.concatenate([getattr(p, name) for p in parts]) for name in ("steps", "sample"))
        return parts[0]._with(steps, sample, lambda _: next(at), lambda _: next(at))

    def _with(
        self, steps: Array, sample: Array, made: Callable[[Array], Array], past: Callable[[Array], Array]
    ) -> State:
        memory = {n: {s: made(a) for s, a in held.items()} for n, held in self.memory.items()}
        emitted = {n: past(a) for n, a in self.emitted.items()}
        return State(
            self.graph, steps, sample, memory, emitted, {n: past(a) for n, a in self.arrived.items()}
        )

    def __eq__(self, other: object) -> bool:
        """Bit for bit; a NaN equals any NaN."""
        if not isinstance(other, State):
            return NotImplemented
        mine, its = self.arrays(), other.arrays()
        return (
            self.graph == other.graph
            and np.array_equal(self.steps, other.steps)
            and np.array_equal(self.sample, other.sample)
            and mine.keys() == its.keys()
            and all(_same(array, its[name]) for name, array in mine.items())
        )

    __hash__ = None  # type: ignore[assignment]  equal by value, and too large to hash by value

    def save(self, path: PathLike) -> None:
        """Write the state to a file, whole or not at all.

        Raises
        ------
        FileError
            Where the file cannot be written; what was there before is then still there.
        """
        manifest, arrays = state_file.encoded(self)
        store.write_whole(path, state_file.KIND, manifest, arrays)

    @staticmethod
    def load(path: PathLike, limits: store.Limits | None = None) -> State:
        """The state in a file; whatever the file claims, it is believed only after `check`, which every
        run does.

        Raises
        ------
        FileError
            For anything that is not a state written by spikeflow.
        """
        parts, _, _ = state_file.read(path, limits)
        try:
            return State(*parts)
        except DataError as error:
            raise FileError(path, f"does not hold a legal state ({error})") from error


def initial(graph: Graph, layout: Remembered, samples: int) -> State:
    """`State.initial`, of a layout that is known already."""
    if samples < 1:
        raise DataError("state", f"{samples} samples", "at least one")
    memory: dict[str, dict[str, Array]] = {}
    for name, states in layout.memory.items():
        node = graph.nodes[name]
        memory[name] = {
            s: np.broadcast_to(_before(node, s), (samples, *shape)).astype(layout.dtype)
            for s, shape in states.items()
        }
    none = [
        {name: np.zeros((samples, 0, *past.shape), layout.dtype) for name, past in pasts.items()}
        for pasts in (layout.emitted, layout.arrived)
    ]
    rows = np.arange(samples)
    return State(graph.digest, np.zeros_like(rows), rows, memory, *none)


def _before(node: object, state: str) -> Array:
    """The value of a state before the first step."""
    if isinstance(node, Population):
        return node.initial.get(state, np.zeros(()))
    return initial_of(node, state) if isinstance(node, Linear | Sparse) else np.zeros(())


def rows_of(start: State | int) -> int:
    """How many samples begin there; raises DataError for what is neither a state nor a number."""
    if isinstance(start, int | np.integer) and not isinstance(start, bool):
        return int(start)
    _expect_state(start)
    assert isinstance(start, State)
    return start.rows


def _expect_state(state: object) -> None:
    if not isinstance(state, State):
        raise DataError("state", f"a {type(state).__name__}", "a State", "result.state, or State.load(path)")


def start_of(graph: Graph, layout: Remembered, start: State | int) -> State:
    """The state in which a run begins: the given one, checked, or the initial one of so many samples."""
    if not isinstance(start, State):
        return initial(graph, layout, rows_of(start))
    check(start, graph, layout)
    return start


def check(state: State, graph: Graph, layout: Remembered) -> None:
    """`State.check`, of a layout that is known already."""
    _expect_state(state)
    if state.graph != graph.digest:
        got = f"a state of the graph {state.graph[:12]}"
        raise DataError(
            "state", got, f"one of the graph {graph.digest[:12]}", "the network it was saved from"
        )
    done = int(state.steps.max())
    wanted = {f"{n}.{s}": shape for n, states in layout.memory.items() for s, shape in states.items()}
    for what, pasts in (("emitted", layout.emitted), ("arrived", layout.arrived)):
        wanted |= {f"{n} ({what})": _shape(past, done) for n, past in pasts.items()}
    held = state.arrays()
    if held.keys() != wanted.keys():
        one = sorted(held.keys() ^ wanted.keys())[0]
        got, expected = ("none", "one") if one in wanted else ("one", "none: the graph keeps no such thing")
        raise DataError(f"state: {one}", got, expected)
    for name, array in held.items():
        if array.dtype != layout.dtype:
            raise DataError(f"state: {name}", f"type {array.dtype}", str(layout.dtype))
        if array.shape[1:] != wanted[name]:
            raise DataError(f"state: {name}", f"shape {array.shape[1:]} a row", str(wanted[name]))
    check_held(graph, state.memory)


def _shape(past: Past, done: int) -> tuple[int, ...]:
    return (past.kept(done), *past.shape)


def _numbers(name: str, x: npt.ArrayLike) -> Array:
    given = np.asarray(x)
    if given.dtype.kind not in "iu" or given.ndim != 1:
        raise DataError(
            f"state: {name}", f"type {given.dtype}, shape {given.shape}", "whole numbers, (rows,)"
        )
    return _frozen(given.astype(np.int64, copy=False))


def _read_only(node: str, arrays: Arrays) -> Arrays:
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.ndim < 1:
            raise DataError(f"state: {node or name}", f"a {type(array).__name__}", "an array of rows")
    return MappingProxyType({name: _frozen(array) for name, array in arrays.items()})


def _frozen(x: Array) -> Array:
    """A read-only array in C order; one that can be written to is copied."""
    if x.flags.c_contiguous and not x.flags.writeable:
        return x
    copy = np.array(x, order="C")
    copy.setflags(write=False)
    return copy


def _rows(arrays: list[Array]) -> Array:
    """Arrays one after the other along the rows; a shorter past is continued by the zeros of before step
    0.
    """
    if len({a.shape[1:] for a in arrays}) == 1:
        return np.concatenate(arrays)
    longest = max(a.shape[1] for a in arrays)
    return np.concatenate(
        [np.pad(a, [(0, 0), (0, longest - a.shape[1])] + [(0, 0)] * (a.ndim - 2)) for a in arrays]
    )


def _same(a: Array, b: Array) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    bits = f"u{a.dtype.itemsize}"
    equal = a.view(bits) == b.view(bits)
    return bool((equal | ((a != a) & (b != b))).all())  # only a NaN differs from itself
