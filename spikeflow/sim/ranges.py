"""Which integers can occur: the proof that 32 bits hold a network or a neuron's registers.

Everything is an interval of Python integers. A sum that could leave 64 bits wraps, so it may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spikeflow.ir.arrays import weight_values
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Population, Scale, SumPool, Synaptic
from spikeflow.ir.program import Instruction, Program
from spikeflow.ir.synapses import largest_sum


@dataclass(frozen=True)
class Interval:
    """All integers from low to high."""

    low: int
    high: int

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def within(self, other: Interval) -> bool:
        """Whether the other holds this one."""
        return other.low <= self.low and self.high <= other.high

    @property
    def size(self) -> int:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))


INT32 = Interval(-(2**31), 2**31 - 1)
INT64 = Interval(-(2**63), 2**63 - 1)
ZERO, BIT = Interval(0, 0), Interval(0, 1)


def of_array(x: np.ndarray) -> Interval:
    """From the smallest to the largest element, 0 included."""
    return Interval(min(0, int(x.min(initial=0))), max(0, int(x.max(initial=0))))


def fits_32(graph: Graph, largest_input: int) -> bool:
    """Whether every sum and value between nodes stays within int32, inputs without a format being so large at most."""
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
    if isinstance(node, SumPool):
        return Interval(
            arriving[0].low * node.kernel[0] * node.kernel[1],
            arriving[0].high * node.kernel[0] * node.kernel[1],
        )
    return Interval(min(r.low for r in arriving), max(r.high for r in arriving))


def _row_sum(node: Synaptic | Scale) -> int:
    """The largest sum of magnitudes of the weights onto one target."""
    if isinstance(node, Synaptic):
        return largest_sum(node)
    return int(np.abs(weight_values(node.factor).astype(np.int64)).max(initial=0))


def program_ranges(node: Population, ports: Mapping[str, Interval]) -> list[Interval]:
    """What each register can hold over all steps: states widened until a step keeps them inside."""
    program = node.program
    params = {name: of_array(value) for name, value in node.params.items()}
    states = {s: of_array(node.initial[s]) if s in node.initial else ZERO for s in program.states}
    for attempt in range(4 + 2 * len(states)):
        registers = _pass(program, ports, params, states)
        after = {
            s: registers[r].hull(states[s]) for s, r in zip(program.states, program.next_states, strict=True)
        }
        if after == states:
            return registers
        states = (
            after
            if attempt < 3
            else {
                s: after[s] if after[s] == states[s] else _widened(program, r, after[s])
                for s, r in zip(program.states, program.next_states, strict=True)
            }
        )
    return _pass(program, ports, params, dict.fromkeys(program.states, INT64))


def _widened(program: Program, register: int, now: Interval) -> Interval:
    """A state that keeps growing: up to the width it is narrowed to, else to 64 bits."""
    instruction = program.code[register]
    while instruction.op == "hold":
        instruction = program.code[instruction.args[0]]
    if instruction.op == "narrow" and instruction.mode != "fold":
        half = 1 << (int(instruction.value) - 1)
        return Interval(-half, half - 1).hull(now)
    return INT64


def _pass(
    program: Program,
    ports: Mapping[str, Interval],
    params: Mapping[str, Interval],
    states: Mapping[str, Interval],
) -> list[Interval]:
    leaves = {"input": ports, "param": params, "state": states}
    registers: list[Interval] = []
    for i in program.code:
        if i.op in leaves:
            result = leaves[i.op][i.name]
        elif i.op == "table":
            result = of_array(np.asarray(program.tables[i.name], np.int64))
        else:
            result = _apply(i, [registers[a] for a in i.args])
        registers.append(result if result.within(INT64) else INT64)
    return registers


def _apply(i: Instruction, x: Sequence[Interval]) -> Interval:
    """One operation on intervals."""
    match i.op:
        case "const":
            return Interval(int(i.value), int(i.value))
        case "add":
            return Interval(x[0].low + x[1].low, x[0].high + x[1].high)
        case "sub":
            return Interval(x[0].low - x[1].high, x[0].high - x[1].low)
        case "mul":
            corners = [a * b for a in (x[0].low, x[0].high) for b in (x[1].low, x[1].high)]
            product = Interval(min(corners), max(corners))
            return _shifted(product, -int(i.value)) if product.within(INT64) else INT64
        case "min":
            return Interval(min(x[0].low, x[1].low), min(x[0].high, x[1].high))
        case "max":
            return Interval(max(x[0].low, x[1].low), max(x[0].high, x[1].high))
        case "where":
            return x[1].hull(x[2])
        case "spike":
            return BIT
        case "shift":
            return _shifted(x[0], int(i.value))
        case "narrow":
            return _narrowed(x[0], int(i.value), i.mode)
        case _:
            return x[0]


def _shifted(x: Interval, amount: int) -> Interval:
    if amount >= 0:
        return Interval(x.low << amount, x.high << amount)
    return Interval(x.low >> -amount, (x.high >> -amount) + 1)  # + 1: rounded to nearest or to zero


def _narrowed(x: Interval, bits: int, mode: str) -> Interval:
    half, full = 1 << (bits - 1), 1 << bits
    if mode == "fold":
        low = min(x.low, half + 1 - full) if x.high > half else x.low
        high = max(x.high, full - half) if x.low <= -half else x.high
        return Interval(low, high)
    inner = Interval(-half + (mode == "symmetric"), half - 1)
    if mode == "wrap":
        return x if x.within(inner) else inner
    return Interval(min(max(x.low, inner.low), inner.high), max(min(x.high, inner.high), inner.low))
