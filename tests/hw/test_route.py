"""Multicast routes: unions of XY paths, loads of links, borders between chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.hw.layout.place import mesh_position
from spikeflow.hw.layout.route import EAST, HOST, NORTH, SOUTH, WEST, Routes, multicast, routes_of
from spikeflow.hw.tables.mapping import Mapping
from tests.hw.fixed_nets import drawn, local, mapped, tiny_chip

STEP = {EAST: (1, 0), WEST: (-1, 0), SOUTH: (0, 1), NORTH: (0, -1)}


def test_union_of_paths() -> None:
    """From (1, 1) to (3, 1), (3, 2) and (0, 0): the way east is shared."""
    links = multicast(np.array([1, 1]), np.array([(3, 1), (3, 2), (0, 0)]))
    assert sorted(map(tuple, links.tolist())) == sorted(
        [(1, 1, EAST), (2, 1, EAST), (3, 1, SOUTH), (1, 1, WEST), (0, 1, NORTH)]
    )
    assert multicast(np.array([1, 1]), np.array([(1, 1)])).shape == (0, 3)


@settings(max_examples=40)
@given(
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=6),
)
def test_every_destination_is_reached_over_a_tree(
    start: tuple[int, int], ends: list[tuple[int, int]]
) -> None:
    links = multicast(np.array(start), np.array(ends))
    assert len(np.unique(links, axis=0)) == len(links)
    reached, waiting = {start}, [start]
    while waiting:
        x, y = waiting.pop()
        for _, _, way in links[(links[:, 0] == x) & (links[:, 1] == y)].tolist():
            after = (x + STEP[way][0], y + STEP[way][1])
            assert after not in reached  # a tree: no tile is reached twice
            reached.add(after)
            waiting.append(after)
    assert set(ends) <= reached
    assert len(links) == len(reached) - 1


def _by_message(mapping: Mapping) -> np.ndarray:
    """Loads counted message by message."""
    routes = routes_of(mapping)
    loads = np.zeros_like(routes.loads)
    places = np.array([(c.chip, c.x, c.y, c.slot) for c in mapping.cores])
    tiles = np.stack(mesh_position(mapping.layout, places), axis=1)
    senders = [
        (tiles[i], np.concatenate([s.spikes for s in c.slices]), c.routes)
        for i, c in enumerate(mapping.cores)
    ]
    senders += [(np.zeros(2, int), t.spikes, t.routes) for t in mapping.inputs]
    for start, spikes, table in senders:
        for neuron in np.unique(table.neuron):
            ends = tiles[np.unique(table.core[table.neuron == neuron])]
            for x, y, way in multicast(start, ends).tolist():
                loads[way, y, x] += spikes[neuron]
    return loads


def test_loads_are_those_of_single_messages() -> None:
    graph, rng = local(layers=2, channels=2, side=6), np.random.default_rng(0)
    spikes = {n: rng.random(72) for n in ("x", "p0", "p1")}
    mapping = mapped(graph, tiny_chip(tiles=(3, 2, 1)), chips=4, spikes=spikes)
    routes = routes_of(mapping)
    assert np.allclose(routes.loads, _by_message(mapping))
    assert routes.busiest == routes.loads[~routes.crossing].max() > 0
    assert routes.hops == routes.loads.sum() and routes.between_chips > 0
    assert routes.busiest_between_chips <= routes.busiest * 100


def test_messages_are_counted_once_each() -> None:
    mapping = mapped(drawn(6), tiny_chip())
    routes: Routes = routes_of(mapping)
    heard = sum(len(np.unique(c.routes.neuron)) for c in mapping.cores)
    host = sum(len(np.unique(t.routes.neuron)) for t in mapping.inputs)
    assert routes.messages == heard + host
    assert sum(r.messages for r in routes.routes if r.core == HOST) == host
    assert routes.longest <= 4 + 4


def test_links_at_the_edge_of_a_chip_cross() -> None:
    graph = local(layers=2, channels=2, side=6)
    mapping = mapped(graph, tiny_chip(tiles=(2, 2, 2)), chips=6)
    crossing = routes_of(mapping).crossing
    assert crossing[EAST, 0, 1] and crossing[WEST, 0, 2] and not crossing[EAST, 0, 0]
    assert crossing[SOUTH, 1].all() and not crossing[SOUTH, 0].any()


def test_one_core_needs_no_links() -> None:
    mapping = mapped(drawn(3), replace(tiny_chip(neurons=1000, axons_in=2000, bits=10**7)))
    routes = routes_of(mapping)
    assert len(mapping.cores) == 1 and routes.hops == 0 and routes.busiest == 0 and routes.messages > 0
