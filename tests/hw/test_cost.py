"""Use against limit, activity and the published costs, by hand on small mappings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeflow.hw.activity import activity_of, expected_activity
from spikeflow.hw.chips.chip import Chip, Fact, load
from spikeflow.hw.cost import estimates, limits_of, over_limits, use_of
from spikeflow.hw.layout.pack import core_memory
from spikeflow.hw.layout.partition import partition
from spikeflow.hw.layout.route import routes_of
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output
from spikeflow.sim import run
from tests.hw.fixed_nets import BYTE, Layers, cells, drawn, inputs_for, mapped, read_out, tiny_chip, weights


def _dense() -> Graph:
    """4 inputs, 6 neurons, 2 accumulators, every weight 1."""
    rng = np.random.default_rng(0)
    net = Layers({"x": Input((4,), "current", BYTE)}, [])
    net.nodes["a"], net.nodes["c"] = cells((6,), rng), read_out(2, 2)
    net.join("x", Linear(replace(weights((6, 4), rng), values=np.ones((6, 4), int))), "a")
    net.join("a", Linear(replace(weights((2, 6), rng), values=np.ones((2, 6), int))), "c")
    net.nodes["out"] = Output()
    net.edges.append(Edge("c", "out"))
    return net.graph()


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return mapped(
        _dense(), tiny_chip(neurons=6), spikes={"x": np.ones(4), "a": np.full(6, 0.25), "c": np.zeros(2)}
    )


def test_use_by_hand(mapping: Mapping) -> None:
    a, c = use_of(mapping, tiny_chip())
    assert (a.neurons, a.axons_in, a.axons_out, a.synapses, a.delay) == (6, 4, 6, 24, 1)
    assert (c.neurons, c.axons_in, c.axons_out, c.synapses) == (2, 6, 0, 12)
    # 8 bits of weight and an index of 6 bits; 6 x 14 + 10 = 94 bits in two words for each of 4 axons
    assert (a.synapse_width, a.synapse_bits) == (14, 4 * 128)
    own = sum(len(v) > 1 for v in mapping.cores[0].slices[0].params.values())
    assert a.memory_bits == 4 * (64 + 128) + 6 * (1 + own + 1) * 32
    # one state and one ring slot for each accumulator; 2 x 14 + 10 bits in one word for each of 6 axons
    assert c.memory_bits == 6 * (64 + 64) + 2 * 2 * 32


@pytest.mark.parametrize("seed", range(8))
def test_tables_use_no_more_than_the_partition_planned(seed: int) -> None:
    graph, chip = drawn(seed), tiny_chip()
    planned = [core_memory(core, chip) for core in partition(graph, chip, 16).cores]
    used = [u.memory_bits for u in use_of(mapped(graph, chip), chip)]
    assert all(u <= p for u, p in zip(used, planned, strict=True))


def test_what_is_beyond_a_limit_is_named(mapping: Mapping) -> None:
    assert not over_limits(mapping, tiny_chip())
    small = replace(
        tiny_chip(neurons=5, axons_out=5), delays=replace(tiny_chip().delays, maximum=Fact(0, "test"))
    )
    found = over_limits(mapping, small)
    assert {v.need for v in found if v.node == "core 0"} == {"6 neurons", "6 axons_out", "1 delay"}
    assert over_limits(mapping, tiny_chip(tiles=(2, 2, 2)))[0].node == "layout"
    assert limits_of(small)["neurons"] == 5


def test_expected_activity_by_hand(mapping: Mapping) -> None:
    activity = expected_activity(mapping, routes_of(mapping))
    assert activity.operations.tolist() == [24.0, 0.25 * 12]
    assert activity.spikes.tolist() == [1.5, 0.0] and activity.updates.tolist() == [6.0, 2.0]
    assert activity.received.tolist() == [4.0, 1.5]
    # made without a run of samples: neither their number nor who is idle is known
    assert activity.measured == "calibration samples, their number not recorded" and not activity.idle.any()


def test_activity_of_a_run_is_its_counts() -> None:
    graph = drawn(8)
    found = mapped(graph, tiny_chip())
    x = inputs_for(graph, 8)
    result = run(found.as_graph(), x, 14, engine="reference")
    activity = activity_of(found, routes_of(found), result.counts, 3 * 14)
    plain = run(graph, x, 14, engine="reference")
    assert activity.updates.sum() == found.neurons
    assert activity.idle.sum() * 42 == pytest.approx(sum(c.idle for c in plain.counts.values()))
    moved = sum(c.synaptic_operations for n, c in result.counts.items() if n.endswith(".order"))
    assert activity.operations.sum() * 42 == pytest.approx(result.synaptic_operations - moved)


def test_loihi1_has_two_published_models(mapping: Mapping) -> None:
    chip = load("loihi1")
    routes = routes_of(mapping)
    activity = expected_activity(mapping, routes)
    by_operation, by_access = estimates(mapping, chip, routes, activity)
    east_west, north_south = routes.loads[:2].sum(), routes.loads[2:].sum()
    operations, updates, messages = 27.0, 8.0, 5.5
    # SANA-FE has no host: 1.5 messages from core to core, each over the whole way
    (first, second), sent = ((np.array([c.x, c.y]) for c in mapping.cores), 1.5)
    own_east_west, own_north_south = sent * np.abs(first - second)
    assert by_operation.picojoule == pytest.approx(
        operations * 23.6 + updates * 81 + messages * 1.7 + east_west * 3.0 + north_south * 4.0
    )
    tiles = len({(c.chip, c.x, c.y) for c in mapping.cores})
    barrier = 113 + (465 - 113) * (tiles - 1) / 31
    assert by_operation.nanosecond == pytest.approx(24 * 3.5 + 6 * 8.4 + barrier)
    assert by_access.picojoule == pytest.approx(
        updates * (51.2 + 21.6)
        + 1.5 * 69.3
        + operations * 33.6
        + sent * 111
        + own_east_west * 3.0
        + own_north_south * 4.2
    )
    neuron = 6 * (6.0 + 3.7) + 1.5 * 30.0 + 1.5 * 5.1
    message = 4 * 16 + 24 * 4.7
    sana_barrier = {1: 600, 2: 1000}[tiles]
    assert by_access.nanosecond == pytest.approx(max(neuron, message) + sana_barrier)
    assert all(t.source for e in (by_operation, by_access) for t in (*e.energy_terms, *e.time_terms))


@pytest.mark.parametrize("name", ["loihi2", "spinnaker2"])
def test_not_published_is_said_and_time_is_a_bound(mapping: Mapping, name: str) -> None:
    chip: Chip = load(name)
    routes = routes_of(mapping)
    activity = expected_activity(mapping, routes)
    (small,) = estimates(mapping, chip, routes, activity)
    (estimate,) = estimates(mapping, chip, routes, replace(activity, operations=1000 * activity.operations))
    for found in (small, estimate):
        assert found.picojoule is None and found.bound and len(found.time_terms) == 5
    known = [t.total for t in estimate.time_terms if t.total is not None]
    assert known and estimate.nanosecond == max(known)
    # 6 neurons and 24 operations lie under the 200 ns that no step of Loihi 2 goes below: nothing is claimed
    assert (small.nanosecond is None) == (name == "loihi2")
    assert all(t.source == "not published" for t in estimate.energy_terms if t.each is None)


def test_idle_updates_cost_less(mapping: Mapping) -> None:
    routes = routes_of(mapping)
    activity = expected_activity(mapping, routes)
    idle = replace(activity, idle=activity.updates)
    busy, quiet = (estimates(mapping, load("loihi1"), routes, a)[0].picojoule for a in (activity, idle))
    assert busy is not None and quiet is not None and busy - quiet == pytest.approx(8 * (81 - 52))
