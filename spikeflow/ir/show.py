"""Graphs, networks and programs as text, for people, ``spikeflow show`` and golden files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from math import prod
from typing import Any

import numpy as np

from spikeflow.ir.answer import kind_of
from spikeflow.ir.arrays import Array, Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.input_record import InputRecord, coded
from spikeflow.ir.nodes import Node, Population, Shape
from spikeflow.ir.plastic import Plastic
from spikeflow.ir.program import Program
from spikeflow.ir.record import Network, OutputRecord
from spikeflow.ir.stages import stage_of
from spikeflow.ir.synapses import connections, stored_synapses


def show(graph: Graph) -> str:
    """One line for each node and each edge, then the totals."""
    width = max((len(name) for name in graph.nodes), default=0)
    counts = f"{len(graph.nodes)} nodes, {len(graph.edges)} edges"
    lines = [f"graph {graph.digest[:12]}, stage {stage_of(graph)}, dt {graph.dt:g} s, {counts}"]
    if graph.integers is not None:
        made = graph.integers
        lines.append(
            f"  integers for {one_line(made.chip)}, made from {one_line(made.origin[:12]) or 'unknown'}"
        )
    for name, node in graph.nodes.items():
        described = "  ".join(one_line(part) for part in describe(node))
        lines.append(f"  {name:{width}}  {shape_word(graph.shapes[name])}  {described}")
    lines += [f"  {edge_line(edge)}" for edge in graph.edges]
    return "\n".join([*lines, *_totals(graph)]) + "\n"


def show_network(network: Network) -> str:
    """The run record, then the graph. Notes that are data, such as what a conversion told, are left out."""
    record = network.record
    codings = [_coding(described, record.seed) for described in network.inputs]
    alike = len(set(codings)) == 1
    lines = [f"run {record.steps} steps" + (f", coding {codings[0]}" if alike else "")]
    for described, coding in zip(network.inputs, codings, strict=True):
        said = [] if alike else [f"coding {coding}"]
        said += [f"{step}" for step in described.preprocessing]
        lines += [f"  input {one_line(described.node)}: {', '.join(said)}"] if said else []
    if record.readout:
        late = f", from step {record.read_from} on" if record.read_from else ""
        lines.append(f"  read out at {record.readout}{late}")
    if record.exit is not None:
        lines.append(f"  a sample stops where it is surer than {record.exit.confidence:.4g}")
    lines += [_output(network.graph, output) for output in record.outputs]
    if record.input_shape:
        lines.append(f"  a sample has the shape {shape_word(record.input_shape)}")
    if record.labels:
        lines.append(
            f"  {len(record.labels)} labels: {', '.join(map(one_line, record.labels[:10]))}"
            + (", ..." if len(record.labels) > 10 else "")
        )
    lines += [f"  {one_line(name)}: {one_line(note)}" for name, note in _texts(record.notes)]
    return "\n".join(lines) + "\n" + show(network.graph)


def _coding(described: InputRecord, seed: int) -> str:
    return coded(described.coding, described.scale) + (f", seed {seed}" if described.random else "")


def _texts(notes: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, note) for name, note in sorted(notes.items()) if not note.startswith("{")]


def _output(graph: Graph, output: OutputRecord) -> str:
    """What is known of one output, as a line."""
    shape = graph.shapes[output.node]
    parts = [kind_of(shape, output.answer), f"shape {shape_word(shape)}"]
    parts += [f"unit {output.unit:.6g}"] if output.unit != 1 else []
    parts += [f"without its last {output.final}"] if output.final else []
    return f"  output {one_line(output.name)}: {', '.join(parts)}"


def show_program(program: Program) -> str:
    """What one neuron does in one step, one line for each register."""
    lines = [f"r{index} = {instruction}" for index, instruction in enumerate(program.code)]
    lines.append(f"output r{program.output}")
    lines += [f"next {s} = r{r}" for s, r in zip(program.states, program.next_states, strict=True)]
    for name, entries in sorted(program.tables.items()):
        lines.append(f"table {name}: {len(entries)} entries, {min(entries)} to {max(entries)}")
    return "\n".join(map(one_line, lines)) + "\n"


def _totals(graph: Graph) -> Iterator[str]:
    neurons = sum(prod(n.shape) for n in graph.nodes.values() if isinstance(n, Population))
    stored = sum(stored_synapses(node) for node in graph.nodes.values())
    joined = sum(connections(graph, name) for name in graph.nodes)
    yield f"{neurons:,} neurons, {stored:,} synapses stored, {joined:,} connections"


def edge_line(edge: Edge) -> str:
    delay = f", delay {edge.delay}" if edge.delay else ""
    port = "" if edge.port == "in" else f".{one_line(edge.port)}"
    read = "" if edge.src_port == "out" else f".{one_line(edge.src_port)}"
    return f"{edge.src}{read} -> {edge.dst}{port}{delay}"


def describe(node: Node) -> Iterator[str]:
    yield type(node).__name__
    for field in fields(node):
        value = getattr(node, field.name)
        if field.name == "shape" or (isinstance(value, str) and not value):
            continue
        if isinstance(value, str):
            yield f"{field.name} {value}" if field.name.endswith("_scope") else value
        elif isinstance(value, Mapping):
            yield from (
                f"{field.name.removesuffix('s')} {k} {value_word(v)}" for k, v in sorted(value.items())
            )
        elif not _is_default(value, field.default):
            yield f"{field.name} {value_word(value)}"


def _is_default(value: object, default: object) -> bool:
    return default is not MISSING and not isinstance(value, np.ndarray) and value == default


def value_word(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Quantised):
        return f"{_array(value.values)} as {_fixed(value.format)}"
    if isinstance(value, Fixed):
        return _fixed(value)
    if isinstance(value, Plastic):
        return _plastic(value)
    if isinstance(value, Program):
        return f"of {len(value.code)} instructions"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).replace(" ", "")


def _array(x: Array) -> str:
    shape = f"[{shape_word(x.shape)}] " if x.ndim else ""
    if x.size == 0:
        return f"{shape}empty"
    low, high = (f"{v:.6g}" if x.dtype.kind == "f" else str(v) for v in (x.min(), x.max()))
    return f"{shape}{low}" if low == high else f"{shape}{low}..{high}"


def _plastic(plastic: Plastic) -> str:
    """The rule in a word each: whose spikes, which programs, what is remembered."""
    rule = plastic.rule
    parts = [f"by the spikes of {plastic.post}"]
    parts += [f"modulator {plastic.modulator}"] if plastic.modulator else []
    parts += [f"eligibility {name} decays by {value:g}" for name, value in rule.eligibility.items()]
    parts += [f"scaled every {rule.every} steps"] if rule.every else []
    parts += [f"within {rule.bounds[0]:g}..{rule.bounds[1]:g}"] if rule.bounds else []
    parts += [f"codes of {plastic.bits} bits"] if plastic.bits else []
    code = ", ".join(f"{name} {len(program.code)}" for name, program in rule.programs.items())
    return "; ".join([*parts, f"instructions {code}"])


def _fixed(fixed: Fixed) -> str:
    return f"{'int' if fixed.signed else 'uint'}{fixed.bits}/2^{fixed.frac}"


def shape_word(shape: Shape) -> str:
    return "x".join(map(str, shape)) if shape else "scalar"


def one_line(text: str) -> str:
    # a name from a file must not be able to forge a line
    return " ".join(text.split())
