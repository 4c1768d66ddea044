"""Which integers can occur: the proof that 32 bits hold a network or a neuron's registers.

A sum that could leave 64 bits wraps, so it may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spikeflow.ir.arrays import weight_values
from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Passing, Poisson, Population, Scale, Synaptic
from spikeflow.ir.program import Program
from spikeflow.ir.synapses import largest_sum
from spikeflow.sim.intervals import INT32, INT64, ZERO, Interval, Intervals, of_array


def fits_32(graph: Graph, largest_input: int) -> bool:
    """Whether every sum and value between nodes stays within int32, inputs without a format being so large
    at most.
    """
    found = node_ranges(graph, largest_input)
    ports = [(n, p) for n in graph.of_kind(Population) for p in graph.nodes[n].ports]
    sums = [port_range(graph, found, name, port) for name, port in ports]
    return all(r.within(INT32) for r in (*found.values(), *sums))


def node_ranges(graph: Graph, largest_input: int) -> dict[str, Interval]:
    """What each node can emit or hold while summing, as long as all of it fits int32."""
    found: dict[str, Interval] = {}
    for name in graph.order:
        node = graph.nodes[name]
        if isinstance(node, Input):
            low, high = (
                (node.format.low, node.format.high) if node.format else (-largest_input, largest_input)
            )
            found[name] = Interval(min(low, 0), max(high, 0))
        elif isinstance(node, Poisson):
            found[name] = Interval(*map(int, node.extent))
        elif isinstance(node, Population):
            found[name] = program_ranges(node, dict.fromkeys(node.ports, INT32))[node.program.output].hull(
                ZERO
            )
    for name in graph.order:
        if name not in found:
            arriving = [port_range(graph, found, name, port) for port in graph.nodes[name].ports]
            found[name] = _emitted(graph, name, arriving)
    return found


def port_range(graph: Graph, found: Mapping[str, Interval], name: str, port: str) -> Interval:
    """The sum of a port's edges; a source that is not known yet may emit anything of 64 bits."""
    ranges = [found.get(e.src, INT64).hull(ZERO) for e in graph.inputs_of(name, port)]
    return Interval(sum(r.low for r in ranges), sum(r.high for r in ranges))


def _emitted(graph: Graph, name: str, arriving: Sequence[Interval]) -> Interval:
    node = graph.nodes[name]
    size = max(r.size for r in arriving)
    if isinstance(node, Synaptic | Scale):
        exact = _row_sum(node) * size
        slots = 1 + (node.reach if isinstance(node, Synaptic) else 0)
        most = max(
            exact, (exact << node.exponent) if node.exponent >= 0 else (exact >> -node.exponent) + slots
        )
        return Interval(-most, most)
    if not isinstance(node, Passing):
        return INT64
    return Interval(min(r.low for r in arriving) * node.growth, max(r.high for r in arriving) * node.growth)


def _row_sum(node: Synaptic | Scale) -> int:
    """The largest sum of magnitudes of the weights onto one target."""
    if isinstance(node, Synaptic):
        return largest_sum(node)
    return int(np.abs(weight_values(node.factor).astype(np.int64)).max(initial=0))


def program_ranges(node: Population, ports: Mapping[str, Interval]) -> list[Interval]:
    """What each register can hold over all steps."""
    return _settled(node, ports)[0]


def state_ranges(node: Population, ports: Mapping[str, Interval]) -> dict[str, Interval]:
    """What each state can hold over all steps; from any states within these a step leads back into them."""
    return _settled(node, ports)[1]


def _settled(node: Population, ports: Mapping[str, Interval]) -> tuple[list[Interval], dict[str, Interval]]:
    """Of registers and states: states widened until a step keeps them inside."""
    program, domain = node.program, Intervals(node.program.tables)
    params = {name: of_array(value) for name, value in node.params.items()}
    states = {s: of_array(node.initial[s]) if s in node.initial else ZERO for s in program.states}
    for attempt in range(4 + 2 * len(states)):
        registers = evaluate(program, domain, params, states, ports)
        after = {
            s: registers[r].hull(states[s]) for s, r in zip(program.states, program.next_states, strict=True)
        }
        if after == states:
            return registers, states
        states = (
            after
            if attempt < 3
            else {
                s: after[s] if after[s] == states[s] else _widened(program, r, after[s])
                for s, r in zip(program.states, program.next_states, strict=True)
            }
        )
    anything = dict.fromkeys(program.states, INT64)
    return evaluate(program, domain, params, anything, ports), anything


def _widened(program: Program, register: int, now: Interval) -> Interval:
    """A state that keeps growing: up to the width it is narrowed to, else to 64 bits."""
    instruction = program.code[register]
    while instruction.op == "hold":
        instruction = program.code[instruction.args[0]]
    if instruction.op == "narrow" and instruction.mode != "fold":
        half = 1 << (int(instruction.value) - 1)
        return Interval(-half, half - 1).hull(now)
    return INT64
