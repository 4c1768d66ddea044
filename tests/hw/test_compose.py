"""compose: the same network in fewer nodes; equal bit for bit on small whole numbers, else to tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.errors import GraphError, HardwareError
from spikeflow.hw.chips.chip import load
from spikeflow.hw.passes.compose import compose, is_composed
from spikeflow.hw.passes.retime import retime
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Concat,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Node,
    Output,
    Pad,
    Scale,
    Slice,
    Sparse,
    SumPool,
)
from spikeflow.neurons import IF, Integrator
from spikeflow.sim import Constant, Dense, run
from tests.hw import nets


def same(graph: Graph, steps: int = 10, tolerance: float = 0.0) -> Graph:
    """The composed graph, after both ran alike."""
    composed = compose(graph)
    assert is_composed(composed)
    shape = graph.shapes[graph.inputs[0]]
    x = Dense(nets.whole(9, steps, 3, *shape)) if not tolerance else Dense(nets.normal(9, steps, 3, *shape))
    a, b = (run(g, x, steps, engine="reference").output for g in (graph, composed))
    assert np.abs(a).max() > 0
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    return composed


def delayed(steps: int, bias: float = 0.0) -> Graph:
    """Two delays and an edge's, one behind the other; one of them before an Output."""
    nodes: dict[str, Node] = {
        "x": Input((3,)),
        "w": Linear(np.eye(3, dtype=np.float32), np.full(3, bias, np.float32) if bias else None),
        "later": Delay(steps),
        "p": IF(2.0, "zero").node((3,)),
        "again": Delay(2),
        "out": Output(),
    }
    chain = list(nodes)
    edges = [Edge(a, b, delay=int(b == "p")) for a, b in zip(chain, chain[1:], strict=False)]
    return Graph(nodes, tuple(edges))


def test_delays_become_delays_of_edges() -> None:
    made = same(delayed(3))
    assert not made.of_kind(Delay) and sorted(e.delay for e in made.edges) == [0, 2, 4]


def test_delays_that_no_chip_carries_are_refused_by_name() -> None:
    with pytest.raises(HardwareError, match="a delay of 101 step.s. from x to p"):
        retime(compose(delayed(100)), load("loihi2"))
    with pytest.raises(GraphError, match="w: its bias reaches later only 3 step"):
        compose(delayed(3, 1.0))


def test_as_many_synapses_as_sources_keep_the_delays_that_the_reference_reads() -> None:
    """A delay each source or each synapse: the list that compose writes must not be read the other way."""
    sparse = Sparse([0, 2, 2, 3], [0, 1, 2], [2.0, 1.0, 3.0], (3,), (3,), delays=[2, 0, 1])
    nodes: dict[str, Node] = {
        "x": Input((3,)),
        "s": sparse,
        "half": Scale(np.full(1, 0.5, np.float32)),
        "p": Integrator().node((3,)),
        "out": Output(),
    }
    chain = list(nodes)
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in zip(chain, chain[1:], strict=False)))
    x = Dense(np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 2, 1]][:, None])
    made = run(compose(graph), x, 6, engine="reference").outputs["out"]
    np.testing.assert_array_equal(made, run(graph, x, 6, engine="reference").outputs["out"])


def test_a_residual_network() -> None:
    composed = same(nets.residual())
    assert not is_composed(nets.residual())
    kinds = {n: type(composed.nodes[n]).__name__ for n in ("c1", "c2", "pad", "fc")}
    assert kinds == {"c1": "Conv2d", "c2": "Conv2d", "pad": "Sparse", "fc": "Linear"}
    assert isinstance(composed.nodes["c2"], Conv2d) and composed.nodes["c2"].weight.shape == (8, 4, 6, 6)
    assert compose(composed).digest == composed.digest


def test_a_convolution_alone_is_kept_as_it_is() -> None:
    graph = nets.residual(nets.normal)
    composed = compose(graph)
    np.testing.assert_array_equal(composed.nodes["c1"].weight, graph.nodes["c1"].weight)
    np.testing.assert_array_equal(composed.nodes["c1"].bias, graph.nodes["c1"].bias)


def between(*chain: Node, shape: tuple[int, ...] = (4, 9, 9), whole: bool = True) -> Graph:
    """An Input, some linear nodes, integrators and an Output."""
    nodes: dict[str, Node] = {"x": Input(shape, "current")}
    edges, last, out = [], "x", shape
    for index, node in enumerate(chain):
        out = node.output_shape("", (out,))
        nodes[name := f"n{index}"] = node
        edges.append(Edge(last, name))
        last = name
    nodes |= {"p": Integrator().node(out), "out": Output()}
    return Graph(nodes, (*edges, Edge(last, "p"), Edge("p", "out")))


SAME = ((1, 1), (1, 1))
CHAINS: dict[str, tuple[tuple[Node, ...], type]] = {
    "pool, conv": ((SumPool((2, 2), (2, 2)), Conv2d(nets.whole(1, 3, 4, 3, 3))), Conv2d),
    "pool, padded conv over a rest": (
        (SumPool((2, 2), (2, 2)), Conv2d(nets.whole(1, 3, 4, 3, 3), padding=SAME)),
        Sparse,
    ),
    "overlapping pool, padded conv": (
        (SumPool((3, 3), (2, 2)), Conv2d(nets.whole(1, 3, 4, 3, 3), padding=SAME)),
        Sparse,
    ),
    "overlapping pool, conv": ((SumPool((3, 3), (2, 2)), Conv2d(nets.whole(1, 3, 4, 3, 3))), Conv2d),
    "conv, pool": (
        (Conv2d(nets.whole(1, 3, 4, 3, 3), padding=SAME, stride=(2, 1)), SumPool((2, 3), (2, 2))),
        Conv2d,
    ),
    "conv, conv": ((Conv2d(nets.whole(1, 3, 4, 3, 3)), Conv2d(nets.whole(2, 5, 3, 2, 2))), Conv2d),
    "conv, padded conv": (
        (Conv2d(nets.whole(1, 3, 4, 3, 3), padding=SAME), Conv2d(nets.whole(2, 5, 3, 3, 3), padding=SAME)),
        Sparse,
    ),
    "depthwise, dilated": (
        (Conv2d(nets.whole(1, 4, 1, 3, 3), groups=4), Conv2d(nets.whole(2, 6, 4, 2, 2), dilation=(2, 3))),
        Conv2d,
    ),
    "grouped, depthwise": (
        (Conv2d(nets.whole(1, 6, 2, 2, 2), groups=2), Conv2d(nets.whole(2, 6, 1, 2, 2), groups=6)),
        Conv2d,
    ),
    "groups after groups": (
        (Conv2d(nets.whole(1, 4, 2, 2, 2), groups=2), Conv2d(nets.whole(2, 4, 2, 2, 2), groups=2)),
        Sparse,
    ),
    "scale, pad, conv": (
        (Scale(nets.whole(3, 4, 1, 1)), Pad((0, 2, 1), (0, 1, 3)), Conv2d(nets.whole(1, 3, 4, 3, 3))),
        Conv2d,
    ),
    "conv, scale": ((Conv2d(nets.whole(1, 3, 4, 3, 3)), Scale(nets.whole(3, 3, 1, 1))), Conv2d),
    "conv, uneven scale": ((Conv2d(nets.whole(1, 3, 4, 3, 3)), Scale(nets.whole(3, 3, 7, 7))), Sparse),
    "biases through a pool": (
        (Conv2d(nets.whole(1, 3, 4, 3, 3), nets.whole(2, 3)), SumPool((2, 2), (2, 2))),
        Conv2d,
    ),
    "biases through a padded conv": (
        (
            Conv2d(nets.whole(1, 3, 4, 1, 1), nets.whole(2, 3)),
            Conv2d(nets.whole(2, 5, 3, 3, 3), nets.whole(5, 5), padding=SAME),
        ),
        Conv2d,
    ),
    "flatten, linear": ((Flatten(), Linear(nets.whole(1, 7, 324), nets.whole(2, 7))), Linear),
    "linear, linear": (
        (Flatten(), Linear(nets.whole(1, 7, 324)), Linear(nets.whole(2, 5, 7), nets.whole(3, 5))),
        Linear,
    ),
    "slice alone": ((Slice((1, 0, 0), (3, 9, 9), (1, 2, 3)),), Sparse),
    "nothing": ((), Sparse),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains(name: str) -> None:
    chain, kind = CHAINS[name]
    composed = same(between(*chain))
    (found,) = [n for n in composed.nodes.values() if isinstance(n, (Linear, Conv2d, Sparse))]
    assert isinstance(found, kind) or name == "biases through a padded conv"


def test_a_pool_without_rest_melts_into_a_padded_convolution() -> None:
    conv = Conv2d(nets.whole(1, 3, 4, 3, 3), padding=SAME)
    composed = same(between(SumPool((2, 2), (2, 2)), conv, shape=(4, 8, 8)))
    (found,) = [n for n in composed.nodes.values() if isinstance(n, Conv2d)]
    assert found.padding == ((2, 2), (2, 2)) and found.stride == (2, 2) and found.weight.shape == (3, 4, 6, 6)


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_pools_and_convolutions_of_any_size(seed: int) -> None:
    r = np.random.default_rng(seed)
    pad = ((int(r.integers(3)), int(r.integers(3))), (int(r.integers(3)), int(r.integers(3))))
    pool = SumPool(
        (int(r.integers(1, 4)), int(r.integers(1, 4))), (int(r.integers(1, 4)), int(r.integers(1, 4)))
    )
    conv = Conv2d(
        nets.whole(seed, 2, 3, 2, 2),
        nets.whole(seed + 1, 2),
        stride=(int(r.integers(1, 3)), 1),
        padding=pad,
        dilation=(1, int(r.integers(1, 3))),
    )
    chain = (
        (pool, conv)
        if r.integers(2)
        else (Conv2d(conv.weight, conv.bias, conv.stride, pad, conv.dilation), pool)
    )
    shape = (3, int(r.integers(10, 14)), int(r.integers(10, 14)))
    same(between(*chain, shape=shape), steps=3)


def test_concatenation_and_shared_layers() -> None:
    nodes: dict[str, Node] = {
        "x": Input((2, 6, 6), "current"),
        "a": Conv2d(nets.whole(1, 3, 2, 3, 3), nets.whole(2, 3), padding=SAME),
        "p": IF(3.0).node((3, 6, 6)),
        "q": IF(5.0).node((3, 6, 6)),
        "both": Concat(0, 2),
        "c": Conv2d(nets.whole(3, 4, 6, 3, 3), nets.whole(4, 4)),
        "r": IF(9.0).node((4, 4, 4)),
        "flat": Concat(1, 2),
        "s": Integrator().node((4, 8, 4)),
        "out": Output(),
    }
    edges = [
        Edge("x", "a"),
        Edge("a", "p"),
        Edge("a", "q"),
        Edge("p", "both", "in0"),
        Edge("q", "both", "in1"),
        Edge("both", "c"),
        Edge("c", "r"),
        Edge("r", "flat", "in0"),
        Edge("r", "flat", "in1"),
        Edge("flat", "s"),
        Edge("s", "out"),
    ]
    composed = same(Graph(nodes, tuple(edges)))
    assert sum(isinstance(n, Conv2d) for n in composed.nodes.values()) == 4


def test_delays_add_up_and_those_of_nodes_are_kept() -> None:
    delays = np.array([0, 2, 1], np.int32)
    nodes: dict[str, Node] = {
        "x": Input((3,), "current"),
        "s": Scale(np.float32(2.0)),
        "w": Linear(nets.whole(1, 4, 3), nets.whole(3, 4), delays),
        "v": Linear(nets.whole(2, 2, 4)),
        "p": Integrator().node((2,)),
        "out": Output(),
    }
    edges = (
        Edge("x", "s", delay=1),
        Edge("s", "w", delay=2),
        Edge("w", "v"),
        Edge("v", "p"),
        Edge("p", "out"),
    )
    composed = same(Graph(nodes, edges))
    (node,) = [n for n in composed.nodes.values() if isinstance(n, Sparse)]
    assert node.delays is not None and sorted(set(node.delays.tolist())) == [0, 1, 2]
    assert composed.edges[0].delay == 3


def test_a_bias_behind_a_delay_is_refused_by_name() -> None:
    nodes: dict[str, Node] = {
        "x": Input((3,), "current"),
        "w": Linear(nets.whole(1, 4, 3), nets.whole(3, 4)),
        "p": Integrator().node((4,)),
        "out": Output(),
    }
    edges = (Edge("x", "w"), Edge("w", "p", delay=1), Edge("p", "out"))
    with pytest.raises(GraphError, match="w: its bias reaches p"):
        compose(Graph(nodes, edges))


def test_other_weights_are_equal_to_tolerance() -> None:
    nodes = dict(nets.residual(nets.normal).nodes)
    nodes["p1"], nodes["p2"] = Integrator().node((4, 8, 8)), Integrator().node((8, 4, 4))
    same(Graph(nodes, nets.residual().edges), steps=3, tolerance=2e-2)


def test_recurrent_populations_keep_their_loops() -> None:
    graph = nets.layered(IF(1.0))
    composed = compose(graph)
    assert composed.digest == graph.digest or is_composed(composed)
    x: Any = Constant(np.ones((2, 12), np.float32))
    a, b = (run(g, x, 8, engine="reference").output for g in (graph, composed))
    np.testing.assert_array_equal(a, b)


def test_a_linear_behind_a_concat_is_cut_by_branch() -> None:
    """Each branch gets the columns that read it, although a Concat of lists changes no order."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-4, 5, (3, 7)).astype(np.float32)
    nodes: dict[str, Any] = {
        "x": Input((2,)),
        "y": Input((5,)),
        "both": Concat(0, 2),
        "w": Linear(weight, np.array([1.0, 2, 3], np.float32)),
        "n": IF(2.0).node((3,)),
        "out": Output(),
    }
    edges = (
        Edge("x", "both", "in0"),
        Edge("y", "both", "in1"),
        Edge("both", "w"),
        Edge("w", "n"),
        Edge("n", "out"),
    )
    graph = Graph(nodes, edges)
    made = compose(graph)
    inputs = {n: Dense((rng.random((6, 2, *graph.shapes[n])) < 0.5).astype(np.float32)) for n in ("x", "y")}
    wanted = run(graph, inputs, 6, engine="reference").outputs["out"]
    np.testing.assert_array_equal(run(made, inputs, 6, engine="reference").outputs["out"], wanted)
