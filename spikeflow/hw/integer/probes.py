"""Probes: populations beside those of a network that follow how far registers go, neuron by neuron.

A probe runs the program of its population on the same sums, keeps the extremes of some registers, and hands
them on, one a step, in the steps after the run. Nothing reads it, so the network computes as without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikeflow.events import Spikes
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Node, Population
from spikeflow.ir.ops import Ops, Symbol
from spikeflow.ir.program import Program
from spikeflow.typing import Float

ENDS = ("low", "high", "rise")
LEFT = "steps left"
# a probe of integers hands on multiples of 2**12, in 31 bits, so that 32 hold the network
COARSE, WIDTH = 12, 31


@dataclass(frozen=True)
class Reach:
    """What is followed: a register, and which end of it.

    Parameters
    ----------
    register : of the population's program.
    end : "low" or "high", its smallest and largest value, 0 included; or "rise", how far it came up again
        after its smallest value: a floor lower than that under 0 changes no spike.
    """

    register: int
    end: str


def probed(graph: Graph, wanted: Mapping[str, Sequence[Reach]], end: int) -> tuple[Graph, dict[str, str]]:
    """The graph with a probe for each population named, and the probes' names.

    A probe hands on what number k of its list came to in step ``end + k``.
    """
    nodes: dict[str, Node] = dict(graph.nodes)
    edges, names = list(graph.edges), {}
    for number, (name, reaches) in enumerate(wanted.items()):
        node = graph.nodes[name]
        assert isinstance(node, Population)
        probe = f"probe {number}"
        while probe in nodes:
            probe += "'"
        names[name] = probe
        nodes[probe] = _probe(node, reaches, end)
        edges += [replace(e, dst=probe) for e in graph.edges if e.dst == name]
    return replace(graph, nodes=nodes, edges=tuple(edges)), names


def extremes(recorded: Spikes, reaches: Sequence[Reach], end: int, fixed: bool) -> dict[Reach, Float]:
    """What each register came to, over all samples, one number for each neuron in C order.

    Those of integers are rounded away from 0, to a multiple of 2**12.
    """
    size, step = int(np.prod(recorded.shape)), 2.0**COARSE if fixed else 1.0
    found = {}
    for number, reach in enumerate(reaches):
        at = recorded.step == end + number
        values, neuron = recorded.value[at].astype(np.float64) * step, recorded.neuron[at]
        if fixed:
            values += step * (values > 0)  # they were floored
        most = np.zeros(size)
        (np.minimum if reach.end == "low" else np.maximum).at(most, neuron, values)
        found[reach] = most
    return found


def _probe(node: Population, reaches: Sequence[Reach], end: int) -> Population:
    states = [name for k, r in enumerate(reaches) for name in _names(k, r)]
    ops = Ops()
    ops.code.extend(node.program.code)
    left = ops.emit("state", name=LEFT)
    running = ops.spike(left - 1)
    kept, after = [], []
    for number, reach in enumerate(reaches):
        old = [ops.emit("state", name=name) for name in _names(number, reach)]
        new = _followed(ops, reach, old)
        kept.append(old[-1])
        after += [ops.where(running, b, a) for a, b in zip(old, new, strict=True)]
    output = _in_turn(ops, left, kept)
    if node.fixed:
        output = ops.narrow(ops.shift(output, -COARSE), WIDTH, "saturate", "probe")
    shown = ops.where(running, 0, output)
    before = node.program
    program = Program(
        before.inputs,
        (*before.states, *states, LEFT),
        before.params,
        tuple(ops.code),
        shown.index,
        (*before.next_states, *(s.index for s in after), (left - 1).index),
        before.tables,
    )
    initial = {**node.initial, LEFT: np.asarray(end - node.start)}
    formats = {**node.formats, LEFT: Fixed(32), **dict.fromkeys(states, Fixed(64))} if node.fixed else {}
    return replace(node, model="probe", program=program, initial=initial, formats=formats)


def _names(number: int, reach: Reach) -> tuple[str, ...]:
    """The states that one reach needs; the last holds the answer."""
    return (f"from {number}", f"reach {number}") if reach.end == "rise" else (f"reach {number}",)


def _followed(ops: Ops, reach: Reach, old: Sequence[Symbol]) -> list[Symbol]:
    x = Symbol(ops, reach.register)
    if reach.end == "low":
        return [ops.minimum(old[0], x)]
    if reach.end == "high":
        return [ops.maximum(old[0], x)]
    low = ops.minimum(old[0], x)
    return [low, ops.maximum(old[1], x - low)]


def _in_turn(ops: Ops, left: Symbol, kept: Sequence[Symbol]) -> Symbol:
    """Number k where -k steps are left."""
    shown = kept[-1]
    for number in reversed(range(len(kept) - 1)):
        shown = ops.where(ops.spike(left + number), kept[number], shown)
    return shown
