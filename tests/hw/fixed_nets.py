"""Small networks at stage fixed, made by hand or drawn, and a tiny chip that needs many cores for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from spikeflow.events import Spikes
from spikeflow.hw.chips.chip import Chip, Fact, Grid, load
from spikeflow.hw.layout.partition import partition
from spikeflow.hw.layout.place import place
from spikeflow.hw.tables.build import build
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Input, Linear, Node, Output, Population, Shape, Sparse
from spikeflow.ir.program import Instruction, Program
from spikeflow.ir.record import RunRecord
from spikeflow.sim import Constant, Dense, run

BYTE = Fixed(8)


def tiny_chip(
    neurons: int = 12,
    axons_in: int = 96,
    axons_out: int = 400,
    bits: int = 40_000,
    tiles: tuple[int, int, int] = (4, 4, 2),
) -> Chip:
    """Loihi 2 with very little room on each core."""
    chip = load("loihi2")
    grid = Grid(*(Fact(n, "test") for n in tiles))
    return replace(
        chip,
        name="tiny",
        title="Tiny",
        grid=grid,
        neurons=Fact(neurons, "test"),
        axons_in=Fact(axons_in, "test"),
        axons_out=Fact(axons_out, "test"),
        memory=replace(chip.memory, limit=Fact(bits, "test")),
    )


def spiking() -> Program:
    """v <- v + in + bias - threshold z, z = v + in + bias >= threshold, in 24 bits."""
    code = (
        Instruction("state", name="v"),
        Instruction("input", name="in"),
        Instruction("param", name="bias"),
        Instruction("add", (0, 1)),
        Instruction("add", (3, 2)),
        Instruction("param", name="threshold"),
        Instruction("sub", (4, 5)),
        Instruction("spike", (6,)),
        Instruction("mul", (7, 5)),
        Instruction("sub", (4, 8)),
        Instruction("narrow", (9,), name="v", value=24, mode="symmetric"),
    )
    return Program(("in",), ("v",), ("bias", "threshold"), code, 7, (10,))


def two_ports() -> Program:
    """As `spiking`, with a second port whose sum counts half, and no bias."""
    code = (
        Instruction("state", name="v"),
        Instruction("input", name="in"),
        Instruction("input", name="top"),
        Instruction("shift", (2,), value=-1, mode="floor"),
        Instruction("add", (0, 1)),
        Instruction("add", (4, 3)),
        Instruction("param", name="threshold"),
        Instruction("sub", (5, 6)),
        Instruction("spike", (7,)),
        Instruction("mul", (8, 6)),
        Instruction("sub", (5, 9)),
        Instruction("narrow", (10,), name="v", value=24, mode="symmetric"),
    )
    return Program(("in", "top"), ("v",), ("threshold",), code, 8, (11,))


def adding() -> Program:
    """A read-out: v <- v + in, emitted."""
    code = (
        Instruction("state", name="v"),
        Instruction("input", name="in"),
        Instruction("add", (0, 1)),
        Instruction("narrow", (2,), name="v", value=24, mode="symmetric"),
    )
    return Program(("in",), ("v",), (), code, 3, (3,))


def cells(
    shape: Shape, rng: np.random.Generator, start: int = 1, program: Program | None = None
) -> Population:
    """Spiking neurons with thresholds and biases for each channel."""
    program = program or spiking()
    channel = (shape[0],) + (1,) * (len(shape) - 1)
    values = {"bias": rng.integers(-3, 4, channel), "threshold": rng.integers(60, 200, channel)}
    names = (*program.inputs, *program.states, *program.params)
    return Population(
        "IF",
        program,
        {n: values[n] for n in program.params},
        shape,
        start,
        {"v": rng.integers(0, 60, channel)},
        dict.fromkeys(names, Fixed(24)),
    )


def read_out(size: int, start: int) -> Population:
    """Accumulators."""
    return Population("Integrator", adding(), {}, (size,), start, {}, {"v": Fixed(24), "in": Fixed(24)})


def weights(shape: tuple[int, ...], rng: np.random.Generator) -> Quantised:
    """8-bit weights, some of them 0."""
    return Quantised(rng.integers(-40, 61, shape) * (rng.random(shape) < 0.9), BYTE)


def conv(out: int, channels: int, rng: np.random.Generator, **more: Any) -> Conv2d:
    """A 3 x 3 convolution with a border of zeros."""
    return Conv2d(
        weights((out, channels // more.get("groups", 1), 3, 3), rng), padding=((1, 1), (1, 1)), **more
    )


def sparse(in_shape: Shape, out_shape: Shape, rng: np.random.Generator, delays: str = "") -> Sparse:
    """About a third of all synapses; delays of the "source", of each "synapse", or none."""
    sources, out = prod(in_shape), prod(out_shape)
    mask = rng.random((sources, out)) < 0.3
    source, target = np.nonzero(mask)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=sources))])
    size = {"source": sources, "synapse": len(source)}.get(delays, 0)
    return Sparse(
        indptr,
        target,
        weights((len(source),), rng),
        in_shape,
        out_shape,
        delays=rng.integers(0, 4, size) if size else None,
        exponent=int(rng.integers(-2, 2)),
    )


@dataclass
class Layers:
    """A graph in the making: every synapse node is named after what it joins."""

    nodes: dict[str, Node]
    edges: list[Edge]

    def join(self, source: str, node: Node, target: str, delay: int = 1, port: str = "in") -> None:
        """One projection."""
        name = f"{source}>{target}.{port}"
        while name in self.nodes:
            name += "'"
        self.nodes[name] = node
        self.edges += [Edge(source, name, delay=delay), Edge(name, target, port)]

    def graph(self) -> Graph:
        """The graph as it is now."""
        return Graph(self.nodes, tuple(self.edges))


def drawn(seed: int, kind: str = "current") -> Graph:
    """A random network: convolutions, skips, delays, two ports, a loop, negative exponents, a read-out."""
    rng = np.random.default_rng(seed)
    channels, side = int(rng.integers(1, 4)), int(rng.integers(3, 6))
    shape = (channels, side, side)
    net = Layers({"x": Input(shape, kind, BYTE if kind == "current" else None)}, [])
    groups = channels if rng.random() < 0.3 else 1
    wide = (channels * int(rng.integers(1, 3)), side, side)
    net.nodes["a"] = cells(wide, rng)
    net.join("x", conv(wide[0], channels, rng, groups=groups, exponent=int(rng.integers(-3, 2))), "a")
    small = (int(rng.integers(1, 4)), (side + 1) // 2, (side + 1) // 2)
    net.nodes["b"] = cells(small, rng, 2, two_ports() if rng.random() < 0.5 else None)
    net.join("a", conv(small[0], wide[0], rng, stride=(2, 2)), "b")
    port = net.nodes["b"].ports[-1]
    net.join("x", sparse(shape, small, rng, ["", "source", "synapse"][rng.integers(3)]), "b", 2, port)
    if rng.random() < 0.5:
        net.join("b", sparse(small, small, rng, "synapse"), "b", 1, port)
    size = int(rng.integers(2, 18))
    net.nodes["c"] = read_out(size, 3)
    net.join("b", Linear(weights((size, prod(small)), rng), exponent=int(rng.integers(-2, 1))), "c")
    net.nodes["out"] = Output()
    net.edges.append(Edge("c", "out"))
    if rng.random() < 0.5:
        net.nodes["watch"] = Output()
        net.edges.append(Edge("b", "watch", delay=int(rng.integers(0, 3))))
    return net.graph()


def local(layers: int = 2, channels: int = 4, side: int = 12, seed: int = 0) -> Graph:
    """Convolutions one after the other: locally connected layers."""
    rng = np.random.default_rng(seed)
    shape = (channels, side, side)
    net = Layers({"x": Input(shape, "current", BYTE)}, [])
    before = "x"
    for layer in range(layers):
        net.nodes[f"p{layer}"] = cells(shape, rng, layer + 1)
        net.join(before, conv(channels, channels, rng), f"p{layer}")
        before = f"p{layer}"
    net.nodes["out"] = Output()
    net.edges.append(Edge(before, "out"))
    return net.graph()


def inputs_for(graph: Graph, seed: int, samples: int = 3, steps: int = 14) -> Any:
    """Random input of the graph's kind."""
    rng = np.random.default_rng(seed)
    node = graph.nodes["x"]
    assert isinstance(node, Input)
    if node.kind == "spikes":
        return Spikes.from_dense(rng.random((steps, samples, *node.shape)) < 0.3)
    if rng.random() < 0.5:
        return Constant(rng.integers(-100, 101, (samples, *node.shape)))
    return Dense(rng.integers(-100, 101, (steps, samples, *node.shape)))


def outputs(graph: Graph, x: Any, steps: int = 14, engine: str = "reference") -> dict[str, Any]:
    """The values of all outputs."""
    return dict(run(graph, x, steps, engine=engine).outputs)


def mapped(graph: Graph, chip: Chip, chips: int = 16, spikes: Any = None, seed: int = 0) -> Mapping:
    """Partition, place and build, without the passes before."""
    cut = partition(graph, chip, chips, spikes)
    return build(graph, cut, place(cut, chip, seed), RunRecord(8, readout="c"), chip.name)
