"""difference: nothing where two networks are equal, the very thing that was changed where they are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeflow.ir.codec import decode_record, encoded
from spikeflow.ir.difference import ADDED, CHANGED, REMOVED, difference
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, LIF
from tests.sim.random_graphs import graph as random_graph

WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)
EDGES = (Edge("x", "w"), Edge("w", "cells"), Edge("cells", "y"))


def network(**changed: Any) -> Network:
    nodes = {
        "x": Input((4,)),
        "w": Linear(WEIGHT),
        "cells": IF(threshold=2.0).node((3,)),
        "y": Output(),
        **changed.pop("nodes", {}),
    }
    return Network(Graph(nodes, changed.pop("edges", EDGES)), RunRecord(8, **changed))


def test_a_changed_weight_is_counted_and_measured() -> None:
    weight = WEIGHT.copy()
    weight[0, 0] += 0.5
    weight[2, 3] -= 1.5
    (change,) = difference(network(), network(nodes={"w": Linear(weight)}))
    assert (change.where, change.kind) == ("graph.nodes.w.weight", CHANGED)
    assert change.array is not None
    assert (change.array.count, change.array.size, change.array.largest) == (2, 12, 1.5)
    assert change.array.rms == pytest.approx(np.sqrt((0.25 + 2.25) / 12))
    assert "2 of 12 values differ, by 1.5 at most" in str(change)


def test_nodes_edges_and_the_record() -> None:
    more = (Edge("x", "w", delay=1), Edge("w", "cells"), Edge("cells", "y"), Edge("cells", "z"))
    other = network(nodes={"z": Output()}, edges=more, seed=3, notes={"from": "there"})
    found = difference(network(), other)
    assert {(c.where, c.kind, c.text) for c in found if c.where != "graph.edges"} == {
        ("graph.nodes.z", ADDED, "Output"),
        ("record.seed", CHANGED, "0 -> 3"),
        ("record.notes.from", ADDED, "'there'"),
    }
    texts = [(c.kind, c.text) for c in found if c.where == "graph.edges"]
    assert texts == [(REMOVED, "x -> w"), (ADDED, "x -> w, delay 1"), (ADDED, "cells -> z")]


def test_another_neuron_shows_the_lines_of_its_program() -> None:
    found = difference(network(), network(nodes={"cells": LIF(threshold=2.0).node((3,))}))
    where = {c.where for c in found}
    assert "graph.nodes.cells.model" in where and "graph.nodes.cells.params.decay" in where
    program = [c for c in found if c.where == "graph.nodes.cells.program"]
    assert {c.kind for c in program} == {ADDED, REMOVED} and any("decay" in c.text for c in program)


def test_order_counts() -> None:
    """Sums are added up in the order of the edges, and nodes keep theirs in the digest."""
    two = (Edge("x", "w"), Edge("x", "w", delay=1), *EDGES[1:])
    swapped = (two[1], two[0], *EDGES[1:])
    (change,) = difference(network(edges=two), network(edges=swapped))
    assert change.where == "graph.edges" and "another order" in change.text
    graph = network().graph
    turned = Graph(dict(reversed(graph.nodes.items())), graph.edges)
    (change,) = difference(graph, turned)
    assert change.where == "nodes" and "another order" in change.text


def test_a_conversion_is_compared_as_data() -> None:
    a, b = ({"conversion": f'{{"samples": {n}, "layers": [{{"name": "a"}}]}}'} for n in (40, 41))
    (change,) = difference(network(notes=a), network(notes=b))
    assert (change.where, change.text) == ("record.notes.conversion.samples", "40 -> 41")


def test_types_and_shapes_of_arrays() -> None:
    a, b = np.zeros(3, np.float32), np.zeros(3, np.float64)
    assert [c.text for c in difference({"a": a}, {"a": b})] == ["type float32 -> float64"]
    assert [c.text for c in difference({"a": a}, {"a": b[:2]})] == ["shape 3 -> 2"]
    low, high = np.array([0], np.uint8), np.array([255], np.uint8)
    (change,) = difference({"a": high}, {"a": low})
    assert change.array is not None and change.array.largest == 255


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_any_one_change_is_found_and_a_copy_is_equal(seed: int, fixed: bool) -> None:
    """Random graphs of all kinds: one float or integer of one array of one node is changed, or one delay."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, fixed)
    manifest, arrays = encoded(graph)
    assert difference(graph, decode_record(Graph, manifest, arrays)) == ()
    edge = int(rng.integers(len(graph.edges)))
    later = replace(graph.edges[edge], delay=graph.edges[edge].delay + 1)
    moved = Graph(graph.nodes, (*graph.edges[:edge], later, *graph.edges[edge + 1 :]), graph.dt)
    assert {c.where for c in difference(graph, replace(moved, integers=graph.integers))} == {"edges"}
    named = [n for n, node in graph.nodes.items() if isinstance(getattr(node, "bias", None), np.ndarray)]
    for name in named:
        bias = graph.nodes[name].bias.copy()  # type: ignore[union-attr]
        bias[-1] += 1
        nodes = {**graph.nodes, name: replace(graph.nodes[name], bias=bias)}  # type: ignore[call-arg]
        (change,) = difference(graph, replace(graph, nodes=nodes))
        assert change.where == f"nodes.{name}.bias" and change.array is not None and change.array.count == 1


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ((64,), (1, 8, 8), "(64) -> (1, 8, 8)"),
        (("cat", "dog"), ("dog", "cat"), "('cat', 'dog') -> ('dog', 'cat')"),
        (tuple(range(20)), tuple(range(5, 40)), "20 items -> 35, 15 of them in both"),
        (tuple(map(str, range(9))), tuple(map(str, range(8, -1, -1))), "the same items in another order"),
        ((1, 1, *range(9)), (1, *range(9), 2), "11 items -> 11, 10 of them in both"),
    ],
)
def test_many_items_are_one_line(a: tuple[object, ...], b: tuple[object, ...], said: str) -> None:
    """A record that names hundreds of samples is not told one by one."""
    assert [c.text for c in difference({"x": a}, {"x": b})] == [said]
    assert not difference({"x": a}, {"x": a})
