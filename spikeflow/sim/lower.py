"""Graph -> a network of the C++ engine: flat arrays, nodes in running order, edges by number.

Meaning is checked here (``ir.stages``); the engine checks every index again, since files are not trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

import spikeflow.sim._engine as _engine
from spikeflow.errors import SimulationError, StageError
from spikeflow.ir import stages
from spikeflow.ir.arrays import Weight, weight_values
from spikeflow.ir.divided import Division
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import (
    Activation,
    BatchNorm,
    Conv2d,
    Delay,
    Input,
    Joint,
    Linear,
    Move,
    Output,
    Poisson,
    Population,
    Procedural,
    Scale,
    Shape,
    Sparse,
    SumPool,
    Synaptic,
)
from spikeflow.ir.nodes.procedural import numbers
from spikeflow.ir.nodes.sparse import SCOPES
from spikeflow.ir.outputs import expanded
from spikeflow.ir.plastic import plastic_nodes
from spikeflow.ir.program_arrays import numbered, program_arrays
from spikeflow.ir.synapses import index_map
from spikeflow.sim import coded
from spikeflow.sim.alphabets import EXACT, carries_spikes
from spikeflow.sim.bundles import Bundler
from spikeflow.sim.intervals import INT32, Interval, of_array
from spikeflow.sim.kept_rows import KeptRows
from spikeflow.sim.lower_plastic import add_plastic
from spikeflow.sim.plastic import expect_exact
from spikeflow.sim.ranges import fits_32, node_ranges, port_range, program_ranges, state_ranges
from spikeflow.sim.remembered import know_reach, remembered
from spikeflow.sim.sharing import WHOLE, Cut
from spikeflow.sim.state import State
from spikeflow.typing import Array

Network = _engine.FloatNetwork | _engine.Int32Network | _engine.Int64Network
Held = Mapping[str, KeptRows]
BEST_ISA = 2

# the engine's number of each operation
_NUMBERS = numbered([row[0] for row in _engine.operations()])


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network of the engine, the type of its values, and the number of each node.

    `room` says of each array that a state may have, by its name there, between which integers the network is
    proven to be exact; of what is not named any value will do. `populations` are nodes, by name.
    """

    network: Network
    dtype: npt.DTypeLike
    index: dict[str, int]
    room: Mapping[str, Interval]
    populations: frozenset[str]

    def holds(self, state: State) -> bool:
        """Whether a run may go on from this state here."""
        arrays = state.arrays() if self.room else {}
        held = self.room.keys() & arrays.keys()
        return all(of_array(arrays[name]).within(self.room[name]) for name in held)


def is_fixed(graph: Graph) -> bool:
    """Whether the graph computes in integers; raises StageError where it cannot be run at all."""
    for name in graph.of_kind(BatchNorm, Activation):
        raise StageError(name, "snn", "the engine runs stages snn and fixed")
    fixed = stages.stage_of(graph) == "fixed"
    stages.check(graph, "fixed" if fixed else "snn")
    return fixed


def lower(
    graph: Graph,
    largest_input: int = 1,
    isa: int = BEST_ISA,
    longest_delay: int = 2**20,
    wide: bool = False,
    cut: Cut = WHOLE,
    held: Held = MappingProxyType({}),
    divisions: Mapping[str, Division] = MappingProxyType({}),
) -> Lowered:
    """The engine's form of a graph at stage snn or fixed.

    Parameters
    ----------
    largest_input : the largest magnitude that an Input without a format will carry; it decides whether 32
        bits hold all integers, and all sums of codes.
    isa : the processor's instructions to use at most: 0 plain, 1 AVX2, 2 AVX-512.
    longest_delay : longer delays are cut to this; no run of at most so many steps can tell.
    wide : 64 bits for all integers, for a state that the proof for 32 does not cover.
    cut : of the neurons of one sample among threads and processes.
    held : rows that were kept of nodes, which are then not made again.
    divisions : of nodes whose counts are told apart, in integers alone.
    """
    graph = expanded(graph)
    made = _cut(graph, longest_delay)
    if not is_fixed(graph):
        floats = _Lowering(made, _engine.FloatNetwork(isa, cut.shares, cut.own), np.float32, {}, held)
        largest = int(EXACT) if wide else largest_input
        floats.exact = coded.exact(graph, largest)
        floats.bundler = Bundler(graph, floats.exact, held)
        expect_exact(graph, floats.exact)
        done = floats.finish(longest_delay)
        return replace(done, room=_room_of_codes(graph, floats.exact, largest))
    if not wide and fits_32(graph, largest_input):
        ranges = node_ranges(graph, largest_input)
        narrow = _engine.Int32Network(isa, cut.shares, cut.own)
        return _Lowering(made, narrow, np.int32, ranges, held).finish(longest_delay, divisions)
    whole = _engine.Int64Network(isa, cut.shares, cut.own)
    return _Lowering(made, whole, np.int64, {}, held).finish(longest_delay, divisions)


def _room_of_codes(graph: Graph, exact: Mapping[str, int], largest: int) -> dict[str, Interval]:
    """How large integers of a state may be that are still to be multiplied by codes."""
    if not exact:
        return {}
    layout = remembered(graph, _longest)
    entered = [n for n in graph.inputs if n in layout.emitted and carries_spikes(graph.nodes[n])]
    room = {f"{n} (emitted)": Interval(-largest, largest) for n in entered}
    return room | {f"{n} (arrived)": Interval(-exact[n], exact[n]) for n in layout.arrived if n in exact}


def _longest(node: Synaptic) -> Array:
    """No less than the longest delay of each source, of which rules would have to be drawn."""
    return np.full(node.columns, node.reach)


def _cut(graph: Graph, longest: int) -> Graph:
    """The same graph for a run of at most `longest` steps, as far as delays within nodes go; where synapses
    learn they stay, since traces are held as long.
    """
    nodes = {
        name: replace(node, delays=np.minimum(node.delays, longest))
        for name, node in graph.nodes.items()
        if isinstance(node, Synaptic) and node.delays is not None and node.plastic is None
        if node.reach > longest
    }
    return graph.with_nodes(nodes) if nodes else graph


class _Lowering:
    """The nodes of a graph handed to the engine one after the other."""

    def __init__(self, graph: Graph, network: Any, dtype: Any, ranges: dict[str, Any], held: Held) -> None:
        self.graph, self.network, self.dtype, self.ranges, self.held = graph, network, dtype, ranges, held
        self.exact: dict[str, int] = {}
        self.bundler = Bundler(graph, {})
        self.room: dict[str, Interval] = {}

    def finish(self, longest: int, divisions: Mapping[str, Division] = MappingProxyType({})) -> Lowered:
        """Nodes, then edges; a place is kept for each step of a delay, so none is longer than the run."""
        index = {name: self._add(name) for name in self.graph.order}
        _know_reaches(self.graph, self.network, index)
        number = {n: {p: i for i, p in enumerate(node.ports)} for n, node in self.graph.nodes.items()}
        for edge in self.graph.edges:
            port, lag = number[edge.dst][edge.port], min(self.graph.lag(edge), longest)
            self.network.connect(index[edge.src], index[edge.dst], port, lag)
        for name, _, plastic in plastic_nodes(self.graph):
            modulator = index[plastic.modulator] if plastic.modulator else -1
            self.network.teach(index[name], index[plastic.post], modulator)
        for name, one in divisions.items():
            self.network.divide(index[name], one.parts, one.indptr, one.part, one.count)
        self.network.seal()
        if self.ranges:
            layout = remembered(self.graph, _longest)
            self.room |= {f"{n} (emitted)": self.ranges[n] for n in layout.emitted}
            arriving = {n: port_range(self.graph, self.ranges, n, "in") for n in layout.arrived}
            self.room |= {f"{n} (arrived)": interval for n, interval in arriving.items()}
        populations = frozenset(self.graph.of_kind(Population))
        return Lowered(self.network, self.dtype, index, self.room, populations)

    def _add(self, name: str) -> int:
        node, out = self.graph.nodes[name], self.graph.shapes[name]
        match node:
            case Input():
                return self.network.input(name, out, node.kind == "current")
            case Output():
                return self.network.output(name, out)
            case Poisson():
                return self.network.poisson(
                    name, out, *node.tables(), node.seed, node.number, node.weight, not node.whole
                )
            case Linear() | Sparse() if node.plastic is not None:
                return add_plastic(self.network, name, node, out, _NUMBERS, self.exact.get(name, 0))
            case Procedural() if name in self.bundler:
                return self.bundler.add(self.network, name)
            case Synaptic() if name in self.exact:
                return self._coded(name, node)
            case Synaptic():
                return self._synaptic(self.network, name, node)
            case SumPool():
                return self.network.pool(
                    name, self.graph.port_shape(name, "in"), out, node.kernel, node.stride
                )
            case Scale():
                return self.network.scale(name, out, _factor(self.network, node, out), node.exponent)
            case Population():
                return self._population(name, node)
            case Move():
                shapes = [self.graph.port_shape(name, port) for port in node.ports]
                return self.network.move(name, shapes, out, index_map(self.graph, name))
            case Joint():
                shapes = [self.graph.port_shape(name, port) for port in node.ports]
                kind, lists, numbers = node.lowered(shapes)
                return self.network.joint(kind, name, shapes, out, lists, numbers)
            case Delay():  # its edges take longer
                return self.network.move(name, [out], out, np.arange(prod(out), dtype=np.int32))
            case _:
                raise StageError(name, "snn", f"the engine knows no {type(node).__name__}")

    def _coded(self, name: str, node: Synaptic) -> int:
        """Sums of codes in the integers that hold them, times the scale."""
        most, size = coded.largest(node, self.exact[name]), self.exact[name]
        if most >= 2**63:
            raise SimulationError(
                name, f"sums of codes up to {most} do not fit 64 bits", "fewer synapses, or floats"
            )
        kind = _engine.Int32Network if most < 2**31 else _engine.Int64Network
        sums = kind(shares=self.network.shares, own=self.network.own)
        self._synaptic(sums, name, coded.integers(node))
        return self.network.coded(sums, coded.scale_of(node), size, most, node.bias)

    def _synaptic(self, network: Any, name: str, node: Synaptic) -> int:
        out = self.graph.shapes[name]
        if name in self.held and isinstance(node, Sparse | Procedural):
            kept = self.held[name].parts, node.bias, node.exponent
            return network.of_kept(name, node.in_shape, out, *kept)
        match node:
            case Linear():
                return network.linear(name, node.columns, out, *_synapses(network, node))
            case Conv2d():
                return self._conv(network, name, node)
            case Sparse():
                scopes = [SCOPES.index(scope) for scope in node.scopes]
                rows = node.indptr, node.targets
                return network.sparse(name, node.in_shape, out, *rows, *_synapses(network, node), scopes)
            case Procedural():
                drawn = numbers(node.projections), node.bias, node.bits, node.scale
                return network.by_rule(name, node.in_shape, out, *drawn)
            case _:
                raise StageError(name, "snn", f"the engine knows no {type(node).__name__}")

    def _conv(self, network: Any, name: str, node: Conv2d) -> int:
        return network.conv(
            name,
            self.graph.port_shape(name, "in"),
            self.graph.shapes[name],
            _weights(network, node.weight),
            node.bias,
            node.weight.shape[2:],
            node.stride,
            [n for ends in node.padding for n in ends],
            node.dilation,
            node.groups,
            node.exponent,
        )

    def _population(self, name: str, node: Population) -> int:
        wide = self.dtype == np.int32 and not self._registers_fit(name, node)
        add = self.network.population_wide if wide else self.network.population
        dtype = np.int64 if wide else self.dtype
        program = node.program
        code, constants = program_arrays(program, _NUMBERS)
        counts = (len(program.inputs), len(program.states), len(program.params), program.output)
        tables = [np.asarray(table, np.int64) for table in program.tables.values()]
        zero = np.zeros(1, dtype)
        params = [operand(node.params[p], node.shape, dtype) for p in program.params]
        initial = [operand(node.initial.get(s, zero), node.shape, dtype) for s in program.states]
        start = min(node.start, int(INT32.high))
        return add(
            name,
            node.shape,
            code,
            constants,
            counts,
            np.asarray(program.next_states, np.int64),
            tables,
            params,
            initial,
            start,
        )

    def _registers_fit(self, name: str, node: Population) -> bool:
        ports = {port: port_range(self.graph, self.ranges, name, port) for port in node.ports}
        fit = all(r.within(INT32) for r in program_ranges(node, ports))
        # `node_ranges` rests on the first of these, registers of 32 bits on the second
        room = state_ranges(node, dict.fromkeys(node.ports, INT32))
        closer = state_ranges(node, ports) if fit else room
        self.room |= {f"{name}.{state}": room[state].common(closer[state]) for state in room}
        return fit


def _know_reaches(graph: Graph, network: Any, index: Mapping[str, int]) -> None:
    """What sources reach by rule is known of the rows that were made, and need not be drawn again; of a part
    of the network each rank knows a part.
    """
    if network.own != (0, network.shares):
        return
    for name, node in graph.nodes.items():
        if isinstance(node, Procedural) and node.reach:
            know_reach(node, network.reach(index[name]))


def _factor(network: Network, node: Scale, shape: Shape) -> Array:
    factor = _weights(network, node.factor)
    if factor.size == 1:
        return factor.reshape(-1)
    return np.ascontiguousarray(np.broadcast_to(factor, shape)).reshape(-1)


def _weights(network: Network, weight: Weight) -> Array:
    floats = isinstance(network, _engine.FloatNetwork)
    return np.ascontiguousarray(weight_values(weight), np.float32 if floats else np.int32)


def _synapses(network: Network, node: Linear | Sparse) -> tuple[Array, Array | None, Array | None, int]:
    return _weights(network, node.weight), node.bias, node.delays, node.exponent


def operand(x: Array, shape: Shape, dtype: npt.DTypeLike) -> Array:
    """A param or initial state: one element, one for each channel of ``(C, ...)``, or one for each neuron."""
    if x.size == 1:
        return np.ascontiguousarray(x, dtype).reshape(1)
    padded = (1,) * (len(shape) - x.ndim) + x.shape
    if len(shape) > 1 and padded == (shape[0], *(1,) * (len(shape) - 1)) and prod(shape) > shape[0]:
        return np.ascontiguousarray(x, dtype).reshape(-1)
    return np.ascontiguousarray(np.broadcast_to(x, shape), dtype).reshape(-1)
