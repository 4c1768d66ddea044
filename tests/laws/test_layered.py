"""Fast forms of busy layers: rows of bytes in narrow sums, whole images by dot products, spikes from masks or never picked out.

Each against the reference, bit for bit, on every set of instructions: convolutions and full layers of codes and of floats, drawn
at random (1 to 70 channels and neurons, kernels 1 to 4 wide, strides 1 to 3, paddings 0 to 2, inputs 1 to 95 % busy with values
1, up to 4, up to 200 or of both signs; batches 1, 2, 31, 33, one to three threads; delays). Pools feed some of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.ir.arrays import Codes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Input, Linear, Node, Output, Scale, SumPool, convolution
from spikeflow.neurons import LIF
from spikeflow.sim import engine, reference
from spikeflow.sim.inputs import Constant, Dense
from tests.sim.test_procedural import same

STEPS = 6
VALUES = ((1, 1), (1, 4), (1, 200), (-3, 3))


def _weight(rng: np.random.Generator, shape: tuple[int, ...], codes: bool) -> Any:
    if not codes:
        return rng.normal(0, 0.3, shape).astype(np.float32)
    extremes = rng.choice([-128, 127], shape)  # the largest sums that bytes can make
    drawn = rng.integers(-128, 128, shape)
    return Codes(np.where(rng.random() < 0.3, extremes, drawn), 2.0**-7)


def _inputs(rng: np.random.Generator, shape: tuple[int, ...], batch: int) -> Dense:
    low, high = VALUES[rng.integers(len(VALUES))]
    on = rng.random((STEPS, batch, *shape)) < rng.choice([0.01, 0.05, 0.2, 0.6, 0.95])
    return Dense((on * rng.integers(low, high + 1, on.shape)).astype(np.float32))


def _chain(nodes: dict[str, Node]) -> Graph:
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in zip(names[:-1], names[1:], strict=True)))


def _held(graph: Graph, inputs: Dense, rng: np.random.Generator) -> None:
    expected = reference.simulate(graph, inputs, STEPS)
    for isa in range(3):
        same(engine.prepare(graph, int(rng.integers(1, 4)), isa)(inputs, STEPS), expected)


def _conv_graph(rng: np.random.Generator, codes: bool) -> Graph:
    channels = int(rng.choice([1, 2, 3, 8, 16]))
    out = int(rng.choice([5, 8, 16, 24, 32, 48, 64]))
    side = tuple(int(n) for n in rng.integers(4, 14, 2))
    kernel = tuple(int(n) for n in rng.integers(1, 5, 2))
    pooled = rng.random() < 0.4 and min(side) >= 8
    shape = (channels, *(2 * n for n in side)) if pooled else (channels, *side)
    given: dict[str, Any] = {
        "stride": tuple(int(n) for n in rng.integers(1, 4, 2)),
        "padding": tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2))),
        "bias": rng.normal(0, 0.1, out).astype(np.float32) if rng.random() < 0.3 else None,
    }
    conv = Conv2d(_weight(rng, (out, channels, *kernel), codes), **given)
    nodes: dict[str, Node] = {"x": Input(shape)}
    if pooled:
        stride = int(rng.integers(1, 3))  # overlapping or not
        nodes["pool"] = SumPool((2, 2), (stride, stride))
    nodes["conv"] = conv
    made = Graph(nodes | {"y": Output()}, _chain(nodes | {"y": Output()}).edges)
    nodes["lif"] = LIF(0.9, 1.0, "subtract").node(made.shapes["conv"])
    return _chain(nodes | {"y": Output()})


@pytest.mark.parametrize("codes", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_convolutions_equal_the_reference(seed: int, codes: bool) -> None:
    rng = np.random.default_rng([seed, codes])
    graph = _conv_graph(rng, codes)
    _held(graph, _inputs(rng, graph.shapes["x"], int(rng.choice([1, 2, 3]))), rng)


@pytest.mark.parametrize("codes", [True, False])
@pytest.mark.parametrize("seed", range(25))
def test_full_layers_equal_the_reference(seed: int, codes: bool) -> None:
    rng = np.random.default_rng([seed, 10 + codes])
    sources, out = int(rng.choice([1, 7, 300, 900])), int(rng.choice([1, 10, 32, 33, 70, 257, 600]))
    delays = rng.integers(0, 4, sources) if rng.random() < 0.3 else None
    linear = Linear(_weight(rng, (out, sources), codes), delays=delays)
    nodes: dict[str, Node] = {
        "x": Input((sources,)),
        "full": linear,
        "lif": LIF(0.9, 1.0, "subtract").node((out,)),
    }
    _held(_chain(nodes | {"y": Output()}), _inputs(rng, (sources,), int(rng.choice([1, 2, 3]))), rng)


@pytest.mark.parametrize("batch", [1, 2, 31, 33])
def test_batches_equal_the_reference(batch: int) -> None:
    rng = np.random.default_rng(batch)
    graph = _conv_graph(rng, True)
    _held(graph, _inputs(rng, graph.shapes["x"], batch), rng)


def _stack(rng: np.random.Generator, codes: bool) -> Graph:
    """Neurons between convolutions and pools in one to three dimensions, whose spikes stay dense or not; with other readers."""
    axes = int(rng.integers(1, 4))
    side, channels = (14, 10, 6)[axes - 1], int(rng.choice([1, 2, 16, 17, 32]))
    nodes: dict[str, Node] = {"x": Input((3, *[side] * axes))}
    padding = ((1, 1),) * axes
    nodes["conv0"] = convolution(_weight(rng, (channels, 3, *[3] * axes), codes), padding=padding)
    nodes["lif0"] = LIF(0.9, float(rng.choice([0.5, 2.0])), "subtract").node((channels, *[side] * axes))
    if rng.random() < 0.7:
        window = tuple(int(n) for n in rng.integers(1, 4, axes))
        nodes["pool"] = SumPool(window, tuple(int(n) for n in rng.integers(1, 3, axes)))
    out = int(rng.choice([5, 16, 32]))
    groups = 2 if channels % 2 == 0 and rng.random() < 0.2 else 1
    weight = _weight(rng, (groups * out, channels // groups, *[2] * axes), codes)
    nodes["conv1"] = convolution(weight, padding=padding, groups=groups)
    edges = list(_chain(nodes).edges)
    shapes = Graph(nodes | {"y": Output()}, (*edges, Edge("conv1", "y"))).shapes
    nodes["lif1"] = LIF(0.9, 1.0, "subtract").node(shapes["conv1"])
    edges.append(Edge("conv1", "lif1"))
    nodes["y"] = Output()
    edges.append(Edge("lif1", "y"))
    if rng.random() < 0.4:  # a second reader, which takes spikes
        nodes |= {"full": Linear(_weight(rng, (4, channels * side**axes), codes)), "z": Output()}
        edges += [Edge("lif0", "full", delay=int(rng.integers(0, 3))), Edge("full", "z")]
    if rng.random() < 0.4:  # a way around, as residual networks have it
        factors = rng.choice([-2.0, 0.3, 1.0, 0.0], (int(rng.choice([1, channels])), *[1] * axes))
        nodes["scale"] = Scale(factors.astype(np.float32))
        nodes["beside"] = LIF(0.5, 0.7, "zero").node((channels, *[side] * axes))
        nodes["w"] = Output()
        edges += [
            Edge("lif0", "scale"),
            Edge("scale", "beside"),
            Edge("conv0", "beside"),
            Edge("beside", "w"),
        ]
    if rng.random() < 0.4:  # feedback, which is added up
        nodes["back"] = convolution(_weight(rng, (channels, channels, *[3] * axes), codes), padding=padding)
        edges += [Edge("lif0", "back", delay=int(rng.integers(1, 3))), Edge("back", "lif0")]
    return Graph(nodes, tuple(edges))


@pytest.mark.parametrize("codes", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_neurons_between_images_equal_the_reference(seed: int, codes: bool) -> None:
    rng = np.random.default_rng([seed, 20 + codes])
    graph = _stack(rng, codes)
    inputs = _inputs(rng, graph.shapes["x"], int(rng.choice([1, 3])))
    recorded = ["lif0", "lif1"] if rng.random() < 0.3 else []
    expected = reference.simulate(graph, inputs, STEPS, record=recorded)
    for isa in range(3):
        same(engine.prepare(graph, int(rng.integers(1, 4)), isa)(inputs, STEPS, record=recorded), expected)


@pytest.mark.parametrize("density", [0.002, 0.05, 0.9])
def test_large_images_of_codes_become_small_ones(density: float) -> None:
    """Neurons whose spikes stay dense, and few: the sums behind are far fewer than what is looked through for spikes."""
    rng = np.random.default_rng(9)
    nodes: dict[str, Node] = {"x": Input((64, 24, 24)), "lif": LIF(0.0, 1.0, "zero").node((64, 24, 24))}
    nodes["conv"] = Conv2d(_weight(rng, (16, 64, 3, 3), True), stride=(8, 8))
    graph = _chain(nodes | {"y": Output()})
    x = (rng.random((STEPS, 2, 64, 24, 24)) < density).astype(np.float32)
    for _ in range(5):  # what is written beyond an array shows when its neighbours go
        _held(graph, Dense(x), rng)


def test_values_beyond_a_byte_are_no_image() -> None:
    rng = np.random.default_rng(5)
    graph = _chain({"x": Input((4, 9, 9)), "conv": Conv2d(_weight(rng, (16, 4, 3, 3), True)), "y": Output()})
    for largest in (127, 128, 255, 256, 300):
        x = np.full((STEPS, 1, 4, 9, 9), largest, np.float32)
        x[0] = 1
        _held(graph, Dense(x), rng)


@pytest.mark.parametrize("codes", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_a_current_that_stays_equals_the_reference(seed: int, codes: bool) -> None:
    """What repeats is computed once and has its bias added once, whoever reads it: now, later, beside another sum, or as an output."""
    rng = np.random.default_rng([seed, 30 + codes])
    channels, side = int(rng.choice([1, 5, 16])), int(rng.integers(3, 12))
    shape = (channels, side, side)
    bias = rng.normal(0, 0.5, channels).astype(np.float32) if rng.random() < 0.8 else None
    nodes: dict[str, Node] = {
        "x": Input((3, side, side)),
        "conv": Conv2d(_weight(rng, (channels, 3, 3, 3), codes), padding=((1, 1), (1, 1)), bias=bias),
        "lif": LIF(0.9, 1.0, "subtract").node(shape),
        "back": Conv2d(_weight(rng, (channels, channels, 3, 3), codes), padding=((1, 1), (1, 1)), bias=bias),
        "later": LIF(0.9, 1.0, "subtract").node(shape),
        "y": Output(),
        "z": Output(),
    }
    edges = [
        Edge("x", "conv"),
        Edge("conv", "lif"),
        Edge("lif", "back"),
        Edge("back", "later"),
        Edge("later", "y"),
        Edge("conv", "z"),
    ]
    if rng.random() < 0.6:
        edges += [Edge("conv", "later", delay=int(rng.integers(0, 3)))]
    graph = Graph(nodes, tuple(edges))
    values = rng.integers(0, 3, (2, 3, side, side)) * (rng.random((2, 1, 1, 1)) < 0.8)
    inputs = Constant(values.astype(np.float32))
    expected = reference.simulate(graph, inputs, STEPS)
    for isa in range(3):
        same(engine.prepare(graph, int(rng.integers(1, 4)), isa)(inputs, STEPS), expected)


@pytest.mark.parametrize("codes", [True, False])
def test_busy_and_quiet_steps_by_turns_equal_the_reference(codes: bool) -> None:
    """Images painted from spikes and from dense values, one after the other, into the same memory."""
    rng = np.random.default_rng([40, codes])
    shape = (16, 9, 7)
    nodes: dict[str, Node] = {"x": Input(shape), "lif": LIF(0.0, 1.0, "zero").node(shape)}
    nodes["pool"] = SumPool((2, 2), (1, 1))
    nodes["conv"] = Conv2d(_weight(rng, (16, 16, 3, 3), codes), padding=((1, 2), (0, 1)))
    graph = _chain(nodes | {"y": Output()})
    busy = np.array([0.9, 0.01, 0.5, 0.9, 0.0, 0.7])[:, None, None, None, None]
    _held(graph, Dense((rng.random((STEPS, 2, *shape)) < busy).astype(np.float32)), rng)
