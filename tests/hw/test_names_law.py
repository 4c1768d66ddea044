"""Law: what nodes are called changes nothing: no name, however long or odd, meets another that is made from it.

Networks of 20 random shapes, loops and delays (`fixed_nets.drawn`), their nodes renamed at random from names that have
met others somewhere in the code: with spaces, dots, slashes, brackets, colons, numbers, quotes and 300 characters.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeflow.hw.tables.file import read_mapping, write_mapping
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.hw.tables.rebuild import Names
from spikeflow.ir.graph import MAX_NAME, Edge, Graph
from spikeflow.ir.record import Network
from spikeflow.report.network.slices import joined_layers
from spikeflow.sim import run
from spikeflow.sim.classify import classify
from spikeflow.sim.summary import summarise
from tests.hw.fixed_nets import drawn, inputs_for, mapped, outputs, tiny_chip

ODD = (
    *(
        "a",
        "a in",
        "a.b",
        "a/b",
        "a:0",
        "a#1",
        "a#2",
        " ",
        "a[0]",
        "a[1]",
        "a[0]'",
        "a[1]#2",
        "a..b",
        "a.order",
    ),
    *(
        "in",
        "out",
        "",
        "c",
        "c[0]",
        "a top",
        "a total",
        "a<-b",
        "a->b",
        "a->b.top",
        "arrays/0",
        "manifest",
        "0",
    ),
    *(
        "x" * 300,
        "x" * 299 + "y",
        "x" * 297 + "[0]",
        "é",
        "a\N{NO-BREAK SPACE}b"[:1] + "b",
        '"',
        "'",
        "\\n",
        "{}",
    ),
)
NAMES = tuple(dict.fromkeys(n for n in ODD if n))


def renamed(graph: Graph, names: dict[str, str]) -> Graph:
    """The same network with other names."""
    edges = tuple(Edge(names[e.src], names[e.dst], e.port, e.delay) for e in graph.edges)
    return Graph({names[n]: node for n, node in graph.nodes.items()}, edges, graph.dt)


def with_names(graph: Graph, seed: int) -> tuple[Graph, dict[str, str]]:
    """Names drawn for every node but the input, which the tests feed by name."""
    rng = np.random.default_rng(seed)
    drawn_names = iter(rng.permutation(np.array(NAMES, object)))
    names = {n: n if n == "x" else next(drawn_names) for n in graph.nodes}
    return renamed(graph, names), names


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("engine", ["cpp", "reference"])
def test_a_renamed_network_maps_and_runs_the_same(seed: int, engine: str) -> None:
    """Cut into many slices, the outputs are equal bit for bit; every node keeps its spikes and operations."""
    graph = drawn(seed)
    other, names = with_names(graph, seed)
    chip = tiny_chip(neurons=int(np.random.default_rng(seed).integers(2, 13)), axons_out=2000)
    plain, odd = (mapped(g, chip, chips=64) for g in (graph, other))
    x = inputs_for(graph, seed)
    before = run(plain.as_graph(), x, 14, engine=engine)
    after = run(odd.as_graph(), x, 14, engine=engine)
    for name, values in before.outputs.items():
        np.testing.assert_array_equal(values, after.outputs[names[name]])
    for mapping, result in ((plain, before), (odd, after)):
        assert set(mapping.part_of) == set(mapping.core_of) <= set(result.counts)
    totals = [_totals(m, r) for m, r in ((plain, before), (odd, after))]
    assert {names[n]: found for n, found in totals[0].items()} == totals[1]


def _totals(mapping: Mapping, result: object) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for node, part in mapping.part_of.items():
        counts = result.counts[node]  # type: ignore[attr-defined]
        spikes, operations = found.get(part, (0, 0))
        found[part] = spikes + counts.spikes, operations + counts.synaptic_operations
    return found


@pytest.mark.parametrize("seed", range(12))
def test_files_facts_and_answers_of_odd_names(seed: int, tmp_path: Path) -> None:
    """Written and read again; the read-out is found; layers are joined under their own names and no other."""
    graph = next(g for g in map(drawn, range(seed * 10, seed * 10 + 10)) if len(g.outputs) == 1)
    other, names = with_names(graph, seed)
    mapping = mapped(other, tiny_chip(neurons=3, axons_out=2000), chips=64)
    mapping = replace(mapping, record=replace(mapping.record, readout=names["c"]))
    write_mapping(tmp_path / "m.h5", mapping)
    again = read_mapping(tmp_path / "m.h5")
    node = other.nodes["x"]
    x = np.random.default_rng(seed).integers(-9, 10, (4, *node.shape)).astype(float)  # type: ignore[union-attr]
    network = again.as_network()
    evaluation = classify(network, x)
    np.testing.assert_array_equal(evaluation.logits, classify(mapping.as_network(), x).logits)
    layers = {layer.node: layer for layer in joined_layers(again, network.graph, evaluation)}
    parts = {e.name for e in mapping.projections} | {s.population for c in mapping.cores for s in c.slices}
    assert set(layers) == parts
    for name in parts & set(other.of_kind(type(other.nodes[names["c"]]))):
        assert layers[name].neurons == int(np.prod(other.shapes[name]))
    told = summarise(network, evaluation)
    assert len(told.nodes) == len(network.graph.nodes)
    assert told.to_text().count("\n") >= sum(n.neurons > 0 and n.kind != "Input" for n in told.nodes)


def test_names_are_legal_and_different_however_many_begin_alike() -> None:
    """20,000 names from 12 beginnings of 1 to 300 characters and 7 endings of up to 150."""
    rng = np.random.default_rng(0)
    begin = [*NAMES[:8], "x" * 300, "x" * 299, "x" * 150, "y" * 151]
    endings = ["", "[0]", "[1]", "#2", ".order", "..a", ".." + "z" * 148]
    names = Names(NAMES)
    made = [
        names.new(begin[i], endings[k])
        for i, k in zip(*(rng.integers(0, n, 20_000) for n in (12, 7)), strict=True)
    ]
    assert len({*made, *NAMES}) == len(made) + len(NAMES)
    assert all(0 < len(n) <= MAX_NAME and n.isprintable() for n in made)


@pytest.mark.parametrize("names", [("a", "a in"), ("a", "a top"), ("a.b", "a"), ("p", "p in"), (" ", "  in")])
@pytest.mark.parametrize("seed", [3, 5, 8])
def test_a_port_is_not_the_name_of_a_node(names: tuple[str, str], seed: int) -> None:
    """Sums beyond 32 bits behind a node that is called as another node's port, whose sums are small."""
    graph = drawn(seed)
    big = replace(graph.nodes["b>c.in"], exponent=27)  # type: ignore[type-var]
    wide = graph.with_nodes({"b>c.in": big})
    new = {n: n if n == "x" else f"node {i}" for i, n in enumerate(graph.nodes)}
    new |= {"b": names[0], "b>c.in": names[1]}
    odd, x = renamed(wide, new), inputs_for(graph, seed)
    wanted = outputs(wide, x, engine="reference")
    assert wanted["out"].any()
    for engine in ("cpp", "reference"):
        got = outputs(odd, x, engine=engine)
        assert all(np.array_equal(values, got[new[n]]) for n, values in wanted.items())


def test_the_readout_is_found_by_what_it_is() -> None:
    """A population that is called as the read-out's first slice would be does not take its place."""
    graph = drawn(3)
    names = {n: n for n in graph.nodes} | {"b": "c[0]"}
    mapping = mapped(renamed(graph, names), tiny_chip(neurons=1, axons_out=4000), chips=400)
    network: Network = mapping.as_network()
    assert mapping.part_of[network.record.readout] == "c"
    assert {part for node, part in mapping.part_of.items() if node.startswith("c[0]")} == {"c", "c[0]"}
