"""Places: swaps never cost, small meshes reach the optimum, the same seed gives the same places."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.hw.layout.partition import partition
from spikeflow.hw.layout.place import (
    CHIP_BORDER,
    Traffic,
    arrange,
    distances,
    host_distance,
    layout_of,
    mesh_position,
    place,
    places_along,
    traffic_of,
)
from spikeflow.hw.tables.records import Layout
from tests.hw.fixed_nets import drawn, local, tiny_chip


def _traffic(cores: int, seed: int) -> Traffic:
    rng = np.random.default_rng(seed)
    between = rng.random((cores, cores)) * (rng.random((cores, cores)) < 0.5)
    np.fill_diagonal(between, 0)
    return Traffic(between, rng.random(cores) * (rng.random(cores) < 0.3))


def _cost(traffic: Traffic, layout: Layout, places: np.ndarray) -> float:
    """As defined, pair by pair."""
    x, y = mesh_position(layout, places)
    total = 0.0
    for i in range(len(places)):
        down, across = divmod(int(places[i][0]), layout.chips_across)
        total += traffic.host[i] * (x[i] + y[i] + CHIP_BORDER * (down + across))
        for j in range(len(places)):
            other = divmod(int(places[j][0]), layout.chips_across)
            hops = abs(x[i] - x[j]) + abs(y[i] - y[j])
            total += traffic.between[i, j] * (
                hops + CHIP_BORDER * (abs(down - other[0]) + abs(across - other[1]))
            )
    return float(total)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(2, 14), st.integers(1, 4))
def test_cost_is_as_defined_and_swaps_never_raise_it(seed: int, cores: int, chips: int) -> None:
    layout, traffic = Layout(2, 2, 4, chips, 2 if chips > 1 else 1), _traffic(cores, seed)
    if cores > 16 * chips:
        return
    found = arrange(traffic, layout, seed)
    assert found.cost <= found.begun + 1e-9
    assert found.cost == pytest.approx(_cost(traffic, layout, np.array(found.places)))
    assert len(set(found.places)) == cores


@pytest.mark.parametrize("seed", range(6))
def test_tiny_meshes_reach_the_optimum(seed: int) -> None:
    layout, traffic = Layout(3, 2, 1, 1, 1), _traffic(5, seed)
    curve = places_along(layout)
    best = min(_cost(traffic, layout, curve[list(order)]) for order in permutations(range(6), 5))
    assert arrange(traffic, layout, 0).cost == pytest.approx(best)


def test_a_pipeline_lies_along_the_mesh() -> None:
    """A chain of 16 cores on 4 x 4 tiles can have every link of length 1."""
    between = np.diag(np.ones(15), 1)
    found = arrange(Traffic(between, np.zeros(16)), Layout(4, 4, 1, 1, 1))
    assert found.cost == 15


def test_cores_of_much_traffic_share_a_tile_and_a_chip() -> None:
    between = np.zeros((8, 8))
    for first in (0, 1, 2, 3):
        between[first, first + 4] = 5
    layout = Layout(1, 1, 4, 2, 2)
    found = arrange(Traffic(between, np.zeros(8)), layout)
    assert found.cost == 0 and all(found.places[i][0] == found.places[i + 4][0] for i in range(4))


@pytest.mark.parametrize("layout", [Layout(8, 4, 4, 1, 1), Layout(19, 2, 1, 1, 1), Layout(4, 4, 2, 3, 2)])
def test_the_curve_visits_every_place_once(layout: Layout) -> None:
    curve = places_along(layout)
    assert len(np.unique(curve, axis=0)) == len(curve)
    assert len(curve) == layout.columns * layout.rows * layout.cores_per_tile * layout.chips


def test_neighbours_on_a_hilbert_curve_are_neighbours() -> None:
    layout = Layout(8, 4, 1, 1, 1)
    curve = places_along(layout)
    steps = np.abs(np.diff(curve[:, 1])) + np.abs(np.diff(curve[:, 2]))
    assert (steps == 1).all()


def test_distances_count_the_borders_between_chips() -> None:
    layout = Layout(2, 2, 1, 4, 2)
    places = np.array([(0, 0, 0, 0), (1, 0, 0, 0), (3, 1, 1, 0)])
    found = distances(layout, places)
    assert found[0].tolist() == [0, 2 + CHIP_BORDER, 6 + 2 * CHIP_BORDER]
    assert host_distance(layout, places).tolist() == found[0].tolist()


def test_traffic_is_one_message_for_each_spike_and_core() -> None:
    graph = local(layers=2, channels=2, side=6)
    cut = partition(graph, tiny_chip(), 4, {"p0": np.full(72, 0.5)})
    traffic = traffic_of(cut)
    own = {}
    for index, core in enumerate(cut.cores):
        for part in core:
            own |= {(part.population, int(n)): index for n in part.neurons}
    expected = np.zeros((len(cut.cores), len(cut.cores)))
    host = np.zeros(len(cut.cores))
    for index, core in enumerate(cut.cores):
        heard = {(name, int(n)) for part in core for name, found in part.sources.items() for n in found}
        for name, neuron in heard:
            if name == "x":
                host[index] += 1
            else:
                expected[own[name, neuron], index] += 0.5
    assert np.allclose(traffic.between, expected) and np.allclose(traffic.host, host)


def test_fewest_chips_and_same_places_for_one_seed() -> None:
    chip = tiny_chip(tiles=(2, 2, 2))
    assert [layout_of(chip, n).chips for n in (1, 8, 9, 17)] == [1, 1, 2, 3]
    cut = partition(drawn(5), chip, 10)
    assert place(cut, chip, 3) == place(cut, chip, 3)
