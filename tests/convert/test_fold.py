"""Folding keeps what a network computes: batch norm and factors go into weights, or stay as exact nodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikeflow.convert.passes.fold import fold, fold_batch_norm
from spikeflow.convert.passes.forward import forward
from spikeflow.convert.passes.scales import fold_scales
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Activation,
    BatchNorm,
    Concat,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Output,
    Pad,
    Scale,
    Slice,
    Sparse,
    SumPool,
)
from tests.convert.networks import Calls, ResNet, apart, captured, samples, settled, small_cnn

TOLERANCE = 1e-5  # of the largest answer: one rounding a weight, other orders of sums
IMAGE = (4, 8, 8)

NETWORKS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "small": (small_cnn(), (1, 8, 8)),
    "residual": (ResNet(1, 4), (3, 8, 8)),
    "depthwise": (nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.BatchNorm2d(8), nn.ReLU()), IMAGE),
    "linear": (
        nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, affine=False), nn.ReLU(), nn.Linear(5, 3)),
        (6,),
    ),
    "lines": (nn.Sequential(nn.Conv1d(4, 6, 3, bias=False), nn.BatchNorm1d(6), nn.ReLU()), (4, 11)),
    "first": (nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()), IMAGE),
    "after activation": (
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3, padding=1)),
        IMAGE,
    ),
    "after pooling": (
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.AvgPool2d(2), nn.BatchNorm2d(4), nn.ReLU()),
        IMAGE,
    ),
    "after addition": (
        Calls(
            lambda m, x: F.relu(m.n(m.a(x) + m.b(x))),
            a=nn.Conv2d(4, 4, 1),
            b=nn.Conv2d(4, 4, 1, bias=False),
            n=nn.BatchNorm2d(4),
        ),
        IMAGE,
    ),
    "after addition of the input": (
        Calls(lambda m, x: F.relu(m.n(m.a(x) + x)), a=nn.Conv2d(4, 4, 1), n=nn.BatchNorm2d(4)),
        IMAGE,
    ),
    "convolution with two readers": (
        Calls(
            lambda m, x: m.p(F.relu(m.n(y := m.a(x))) + y),
            a=nn.Conv2d(4, 4, 1),
            n=nn.BatchNorm2d(4),
            p=nn.AvgPool2d(3),
        ),
        IMAGE,
    ),
    "pool then activation": (
        nn.Sequential(nn.Conv2d(4, 3, 3), nn.AvgPool2d(3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
        IMAGE,
    ),
    "padded true counts": (
        nn.Sequential(
            nn.Conv2d(4, 3, 3),
            nn.ReLU(),
            nn.AvgPool2d(3, 2, 1, count_include_pad=False),
            nn.Conv2d(3, 3, 1),
            nn.ReLU(),
        ),
        IMAGE,
    ),
    "factors": (
        Calls(
            lambda m, x: m.b(F.relu(m.a(x) * 3) * -0.5), a=nn.Conv2d(4, 4, 1), b=nn.Conv2d(4, 4, 3, groups=2)
        ),
        IMAGE,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_stay(name: str) -> None:
    module, shape = NETWORKS[name]
    module = settled(module)
    graph = fold(captured(module, shape).graph)
    assert not graph.of_kind(BatchNorm)
    assert apart(graph, module, samples(shape)) < TOLERANCE


def test_what_becomes_of_each_norm_is_told() -> None:
    into = {
        name: fold_batch_norm(captured(settled(NETWORKS[name][0]), NETWORKS[name][1]).graph).into
        for name in ("small", "first", "after addition", "convolution with two readers")
    }
    assert into == {
        "small": {"1": ("0",), "5": ("4",)},
        "first": {"0": ()},
        "after addition": {"n": ("a", "b")},
        "convolution with two readers": {"n": ()},
    }


def test_averages_vanish_into_the_next_weights() -> None:
    graph = fold(captured(settled(small_cnn()), (1, 8, 8)).graph)
    assert not graph.of_kind(Scale) and len(graph.of_kind(SumPool)) == 2


def test_an_average_before_an_activation_goes_into_the_weights_before() -> None:
    module = settled(NETWORKS["pool then activation"][0])
    graph = fold(captured(module, IMAGE).graph)
    scales = graph.of_kind(Scale)
    assert scales == ("4.scale",)  # the last factor meets the Output behind Flatten: no weights are left


def test_folding_twice_changes_nothing() -> None:
    graph = fold(captured(settled(ResNet(1, 4)), (3, 8, 8)).graph)
    assert fold(graph).digest == graph.digest


def test_weights_are_rounded_once() -> None:
    module = nn.Sequential(nn.Linear(3, 2, bias=False), nn.BatchNorm1d(2), nn.ReLU())
    module = settled(module)
    graph = fold_batch_norm(captured(module, (3,)).graph).graph
    node, norm = graph.nodes["0"], module[1]
    assert isinstance(node, Linear) and isinstance(norm, nn.BatchNorm1d)
    w, m, v, g, b = (
        t.detach().numpy().astype(np.float64)
        for t in (module[0].weight, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    a = g / np.sqrt(v + norm.eps)
    assert np.array_equal(node.weight, (w * a[:, None]).astype(np.float32))
    assert node.bias is not None and np.array_equal(node.bias, (b - m * a).astype(np.float32))


# any chain of nodes that hands factors on keeps its values

SHAPE = (2, 4, 4)


def _moves(draw: st.DrawFn) -> list[object]:
    values = st.sampled_from([0.25, 0.5, 2.0, -1.0, 4.0])
    kinds = {
        "scale": lambda: Scale(np.float32(draw(values))),
        "channels": lambda: Scale(np.array([[[draw(values)]], [[draw(values)]]], np.float32)),
        "elements": lambda: Scale(np.array([[[draw(values)], [1.0]]], np.float32).repeat(2, 1).repeat(4, 2)),
        "pad": lambda: Pad((0, 1, 0), (0, 0, 1)),
        "slice": lambda: Slice((0, 1, 0), (2, 4, 4), (1, 1, 1)),
        "pool": lambda: SumPool((2, 2), (1, 1)),
        "conv": lambda: Conv2d(np.ones((2, 1, 2, 2), np.float32), groups=2),
        "relu": lambda: Activation(),
    }
    return [kinds[k]() for k in draw(st.lists(st.sampled_from(sorted(kinds)), max_size=6))]


@st.composite
def chains(draw: st.DrawFn) -> Graph:
    """Input, some moves and factors, a Linear at the end; moves that no longer fit are left out."""
    nodes: dict[str, object] = {"in": Input(SHAPE, "current")}
    edges: list[Edge] = []
    last, shape = "in", SHAPE
    for i, node in enumerate(_moves(draw)):
        try:
            shape = node.output_shape("n", (shape,))  # type: ignore[attr-defined]
        except ValueError:
            continue
        nodes[f"n{i}"] = node
        edges.append(Edge(last, f"n{i}"))
        last = f"n{i}"
    size = int(np.prod(shape))
    nodes |= {
        "flat": Flatten(),
        "end": Linear(np.arange(2 * size).reshape(2, size) % 5 - 2.0),
        "out": Output(),
    }
    edges += [Edge(last, "flat"), Edge("flat", "end"), Edge("end", "out")]
    return Graph(nodes, tuple(edges))  # type: ignore[arg-type]


@settings(max_examples=60)
@given(chains(), st.integers(0, 99))
def test_factors_move_without_changing_values(graph: Graph, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-3, 4, (3, *SHAPE)).astype(np.float32)
    folded = fold_scales(graph)
    # powers of two and small integers: every order of sums gives the same bits
    assert np.array_equal(forward(graph, x), forward(folded, x))


@settings(max_examples=30)
@given(chains(), st.sampled_from([0.5, 2.0]))
def test_a_given_factor_is_what_the_readers_multiply_by(graph: Graph, factor: float) -> None:
    x = np.random.default_rng(3).integers(-3, 4, (3, *SHAPE)).astype(np.float32)
    folded = fold_scales(graph, {"in": factor})
    assert np.array_equal(forward(graph, x * np.float32(factor)), forward(folded, x))


def test_concatenated_factors_follow_their_channels() -> None:
    nodes = {
        "in": Input((2, 3, 3), "current"),
        "half": Scale(np.float32(0.5)),
        "cat": Concat(0, 2),
        "conv": Conv2d(np.ones((1, 4, 1, 1))),
        "out": Output(),
    }
    graph = Graph(
        nodes,
        (
            Edge("in", "cat", "in0"),
            Edge("in", "half"),
            Edge("half", "cat", "in1"),
            Edge("cat", "conv"),
            Edge("conv", "out"),
        ),
    )
    folded = fold_scales(graph)
    node = folded.nodes["conv"]
    assert isinstance(node, Conv2d) and node.weight.ravel().tolist() == [1, 1, 0.5, 0.5]
    assert not folded.of_kind(Scale)


def test_sparse_rows_take_the_factor_of_their_source() -> None:
    nodes = {
        "in": Input((2,), "current"),
        "s": Scale(np.array([2.0, 4.0])),
        "rows": Sparse([0, 1, 3], [0, 0, 1], np.ones(1), (2,), (2,)),
        "out": Output(),
    }
    folded = fold_scales(Graph(nodes, (Edge("in", "s"), Edge("s", "rows"), Edge("rows", "out"))))
    node = folded.nodes["rows"]
    assert isinstance(node, Sparse) and node.weight.tolist() == [2, 4, 4]
