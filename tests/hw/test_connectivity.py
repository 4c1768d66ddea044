"""Synapses computed from nodes are the weights of the sums that the reference adds up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.errors import GraphError
from spikeflow.hw.layout.connectivity import fan_in, projections
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Flatten, Input, Linear, Output
from spikeflow.ir.synapses import synapses_of
from tests.hw.fixed_nets import BYTE, Layers, cells, conv, drawn, weights


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([(1, 1), (2, 1)]), st.sampled_from([(1, 1), (1, 2)]))
def test_convolution_is_its_synapses(seed: int, stride: tuple[int, int], dilation: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 3))
    node = Conv2d(
        weights((2 * groups, 2, 3, 2), rng),
        stride=stride,
        dilation=dilation,
        groups=groups,
        padding=((1, 0), (2, 1)),
    )
    shape = (2 * groups, 5, 6)
    out = node.output_shape("w", (shape,))
    graph = _joined(shape, node, out)
    found = synapses_of(graph, projections(graph)[0].name)
    x = rng.integers(-5, 6, (1, *shape))
    total = np.zeros(int(np.prod(out)), np.int64)
    np.add.at(total, found.target, x.ravel()[found.source] * found.weight.astype(np.int64))
    assert np.array_equal(total.reshape(1, *out), node.sums(lambda _: x, out))
    assert (found.weight != 0).all()


def _joined(shape: tuple[int, ...], node: object, out: tuple[int, ...]) -> Graph:
    net = Layers({"x": Input(shape, "current", BYTE), "a": cells(out, np.random.default_rng(0))}, [])
    net.join("x", node, "a")  # type: ignore[arg-type]
    return net.graph()


def test_axons_are_distinct_by_projection_source_and_delay() -> None:
    for seed in range(6):
        graph = drawn(seed)
        edges = projections(graph)
        fan = fan_in(graph, "b", edges)
        keys = np.stack([fan.projection, fan.source, fan.delay], axis=1)
        assert len(np.unique(keys, axis=0)) == len(keys) == fan.axons
        assert set(np.unique(fan.axon)) == set(range(fan.axons))
        for index in np.unique(fan.projection):
            assert fan.delay[fan.projection == index].min() >= edges[index].delay


def test_neurons_at_one_position_are_kin() -> None:
    rng = np.random.default_rng(0)
    graph = _joined((2, 4, 4), conv(3, 2, rng), (3, 4, 4))
    group = fan_in(graph, "a", projections(graph)).group.reshape(3, 16)
    assert (group == group[0]).all() and len(np.unique(group)) == 16


def test_only_composed_graphs() -> None:
    net = Layers(
        {"x": Input((4,), "current", BYTE), "f": Flatten(), "a": cells((4,), np.random.default_rng(0))}, []
    )
    net.edges += [Edge("x", "f")]
    net.join("f", Linear(weights((4, 4), np.random.default_rng(0))), "a")
    with pytest.raises(GraphError, match="Flatten cannot be mapped"):
        projections(net.graph())
    plain = {"x": Input((4,), "current", BYTE), "out": Output()}
    with pytest.raises(GraphError, match="no population"):
        projections(Graph(plain, (Edge("x", "out"),)))
    direct = {"x": Input((4,), "current", BYTE), "a": cells((4,), np.random.default_rng(0))}
    with pytest.raises(GraphError, match="without synapses"):
        projections(Graph(direct, (Edge("x", "a", delay=1),)))
