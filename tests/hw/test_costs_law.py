"""Law: energy and time come from what neurons do: the same for every simulator, number of threads and batch size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeflow.hw.activity import activity_of, expected_activity
from spikeflow.hw.chips.chip import Fact, load
from spikeflow.hw.cost import estimates
from spikeflow.hw.layout.place import mesh_position
from spikeflow.hw.layout.route import HOST, routes_of, unicast_hops
from spikeflow.hw.pipeline import map_network
from spikeflow.hw.report import mapping_report
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir.record import Network, RunRecord
from spikeflow.report.network.collect import ReportOptions, collect
from spikeflow.report.network.facts import CostFacts
from spikeflow.samples import Samples
from spikeflow.sim.classify import RunOptions, classify, read_out_level
from tests.hw.fixed_nets import drawn, mapped, tiny_chip
from tests.hw.test_origin import net, samples

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")


def drawn_mapping(seed: int) -> tuple[Mapping, np.ndarray]:
    """A random network with one output on many small cores, and samples: 3 to 9, of which most are silent at times."""
    rng = np.random.default_rng(seed)
    graph = next(g for s in range(seed * 20, seed * 20 + 20) if len((g := drawn(s, "spikes")).outputs) == 1)
    mapping = mapped(graph, tiny_chip(neurons=int(rng.integers(3, 13)), axons_out=2000), chips=64)
    record = RunRecord(int(rng.integers(5, 20)), "spikes", readout="c")
    size, count = graph.nodes["x"].shape, int(rng.integers(3, 10))  # type: ignore[union-attr]
    x = rng.random((count, record.steps, *size)) < rng.choice(
        [0.0, 0.02, 0.3], (count, record.steps, *(1,) * len(size))
    )
    return replace(mapping, record=record), x.astype(np.float32)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("chip", ["loihi1", "loihi2", "spinnaker2"])
def test_costs_do_not_depend_on_how_the_run_was_made(seed: int, chip: str) -> None:
    """Engine and reference, one thread and two, batches of 1, 2 and all."""
    mapping, x = drawn_mapping(seed)
    network: Network = mapping.as_network()
    ways = [RunOptions("reference"), RunOptions("reference", batch=2)]
    ways += [RunOptions(threads=t, batch=b) for t in (1, 2) for b in (1, 2, 250)]
    table, routes, found = replace(load(chip), neurons=Fact(8192, "test")), routes_of(mapping), []
    for options in ways:
        run = classify(network, x, options)
        moments = run.samples * (run.steps + read_out_level(network))
        activity = activity_of(mapping, routes, run.counts, moments)
        found.append([(e.picojoule, e.nanosecond) for e in estimates(mapping, table, routes, activity)])
        assert (activity.idle <= activity.updates).all() and activity.idle.sum() > 0
    assert all(f == found[0] for f in found)


@pytest.mark.parametrize("seed", range(10))
def test_the_level_is_where_reading_starts(seed: int) -> None:
    mapping, _ = drawn_mapping(seed)
    assert mapping.level == read_out_level(mapping.as_network())


@pytest.mark.parametrize("seed", range(10))
def test_unicast_hops_are_those_of_each_pair(seed: int) -> None:
    """Neuron by neuron and core by core: its spikes times the way to every core that hears it, host left out."""
    mapping, _ = drawn_mapping(seed)
    places = np.array([(c.chip, c.x, c.y, c.slot) for c in mapping.cores])
    x, y = mesh_position(mapping.layout, places)
    wanted = np.zeros(2)
    for home, core in enumerate(mapping.cores):
        spikes = np.concatenate([s.spikes for s in core.slices]).astype(np.float64)
        for neuron, there in {
            (int(n), int(c)) for n, c in zip(core.routes.neuron, core.routes.core, strict=True)
        }:
            wanted += spikes[neuron] * np.abs([x[home] - x[there], y[home] - y[there]])
    routes = routes_of(mapping)
    assert unicast_hops(mapping, routes) == pytest.approx(tuple(wanted))
    # one message over the union of ways can only be shorter than one for each core
    shared = sum(len(r.links) * r.messages for r in routes.routes if r.core != HOST)
    assert shared <= wanted.sum() + 1e-6


@pytest.mark.parametrize("chip", ["loihi1", "loihi2", "spinnaker2"])
def test_map_and_report_agree_on_a_sample(chip: str) -> None:
    """The same number of steps; and on the calibration samples themselves the same energy and time."""
    network, x = net(0), samples(0, 4)
    mapping = map_network(network, chip, x, accept_loss=True)
    told = mapping_report(mapping)
    facts = collect(network, Samples(x), mapping, options=ReportOptions("reference", date="2026-01-01"))
    assert facts.mapped is not None
    assert told.steps == network.record.steps + mapping.level and told.level == mapping.level > 0
    assert (
        told.traffic.measured == facts.mapped.mesh.measured == f"4 calibration samples of {told.steps} steps"
    )
    assert f"a sample is run for {told.steps} steps" in told.to_text()
    for estimate, cost in zip(told.estimates, facts.mapped.costs, strict=True):
        assert isinstance(cost, CostFacts) and f"{told.steps} steps a sample" in cost.notes
        for mine, its, unit in (
            (estimate.picojoule, cost.joule, 1e-12),
            (estimate.nanosecond, cost.second, 1e-9),
        ):
            assert (mine is None) == (its is None)
            assert mine is None or its == pytest.approx(mine * told.steps * unit, rel=1e-6)


@pytest.mark.parametrize("chip", ["loihi1", "loihi2", "spinnaker2"])
def test_the_order_of_calibration_samples_changes_no_place(chip: str) -> None:
    """Twelve samples, of which messages are counted on four: in any order the same four."""
    network, x = net(0, 40), samples(0, 12)
    first, second = (
        map_network(network, chip, x[np.random.default_rng(i).permutation(12)], accept_loss=True)
        for i in range(2)
    )
    for a, b in zip(first.cores, second.cores, strict=True):
        assert (a.chip, a.x, a.y, a.slot) == (b.chip, b.x, b.y, b.slot)
        assert all(np.array_equal(s.spikes, t.spikes) for s, t in zip(a.slices, b.slices, strict=True))
    assert first.as_graph().digest == second.as_graph().digest and first.traffic == second.traffic


@pytest.mark.parametrize("seed", range(10))
def test_a_floor_under_every_step_is_no_time_of_a_network(seed: int) -> None:
    """Loihi 2: a time is given exactly where neurons or synapses take longer than the 200 ns of any step."""
    mapping, _ = drawn_mapping(seed)
    chip, routes = load("loihi2"), routes_of(mapping)
    activity = expected_activity(mapping, routes)
    for factor in (0.0, 0.01, 1.0, 30.0, 1000.0):
        busy = replace(activity, operations=factor * activity.operations, updates=factor * activity.updates)
        (found,) = estimates(mapping, chip, routes, busy)
        longest = max(float(busy.operations.max() * 0.7), float(busy.updates.max() * 4.2))
        if longest > 200:
            assert found.nanosecond == pytest.approx(longest)
        else:
            assert found.nanosecond is None
        assert found.bound and "ratios" in found.model
        assert all("bound: Intel states a ratio" in t.source for t in found.time_terms[:2])
