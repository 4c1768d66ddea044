"""Parts keep every limit, share their axons, and are better than cuts of the tensor's order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.errors import HardwareError, Violation
from spikeflow.hw.chips.chip import Chip, Fact, load
from spikeflow.hw.layout import grow
from spikeflow.hw.layout import refine as refine_module
from spikeflow.hw.layout.budget import Tally, room_of, synapse_bits
from spikeflow.hw.layout.connectivity import projections
from spikeflow.hw.layout.grow import Growth, groups_of
from spikeflow.hw.layout.pack import core_memory
from spikeflow.hw.layout.partition import partition, parts_of, task_of
from spikeflow.hw.layout.refine import connectivity, refine
from spikeflow.ir.nodes import Input, Linear, Population
from tests.hw.fixed_nets import BYTE, Layers, cells, drawn, local, tiny_chip, weights


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(4, 40), st.integers(12_000, 60_000))
def test_no_core_is_beyond_a_limit(seed: int, neurons: int, bits: int) -> None:
    graph, chip = drawn(seed), tiny_chip(neurons=neurons, bits=bits)
    cut = partition(graph, chip, 100)
    for core in cut.cores:
        assert sum(len(p.neurons) for p in core) <= neurons
        assert sum(len(p.lengths) for p in core) <= chip.axons_in.value
        assert sum(p.sent for p in core) <= chip.axons_out.value
        assert core_memory(core, chip) <= bits
    for name in graph.of_kind(Population):
        found = np.sort(np.concatenate([p.neurons for c in cut.cores for p in c if p.population == name]))
        assert np.array_equal(found, np.arange(np.prod(graph.shapes[name])))


def test_tally_counts_as_from_the_start() -> None:
    """Incremental and whole counts agree, across the steps of the index width."""
    graph, chip = local(layers=1, channels=4, side=10), load("loihi2")
    task = task_of(graph, "p0", projections(graph), chip)
    tally = task.tally()
    order = np.random.default_rng(0).permutation(task.fan.neurons)[:150]
    for neuron in order:
        tally.add(*task.fan.axons_of(np.array([neuron])), 1)
    whole = task.tally(np.sort(order))
    assert (tally.neurons, tally.axons, tally.lists, tally.memory) == (
        whole.neurons,
        whole.axons,
        whole.lists,
        whole.memory,
    )
    for neuron in order[:70]:
        axons, counts = task.fan.axons_of(np.array([neuron]))
        tally.add(axons, -counts, -1)
    assert tally.memory == task.tally(np.sort(order[70:])).memory


def test_memory_by_hand() -> None:
    """Loihi 2, 3 neurons of 3 inputs each: 3 axons of 64 bits with lists of 3 x (8 + 6) + 10 = 52, in words 64;
    a record is one state, its own bias, its own threshold and one ring slot of 32 bits."""
    net = Layers({"x": Input((3,), "current", BYTE)}, [])
    net.nodes["a"] = replace(
        cells((3,), np.random.default_rng(0)),
        params={"bias": np.array([1, 2, 3]), "threshold": np.array([5, 6, 7])},
    )
    net.join(
        "x", Linear(replace(weights((3, 3), np.random.default_rng(0)), values=np.ones((3, 3), int))), "a"
    )
    (core,) = partition(net.graph(), load("loihi2")).cores
    assert synapse_bits(load("loihi2"), 3, 0) == 14
    assert core_memory(core, load("loihi2")) == 3 * (64 + 64) + 3 * 4 * 32


def _cuts(count: int, neurons: int) -> list[np.ndarray]:
    return np.array_split(np.arange(neurons), count)


def test_better_than_consecutive_cuts() -> None:
    """A locally connected layer: consecutive cuts run through channels and touch the whole image each time."""
    graph = local(layers=1, channels=6, side=14)
    chip = tiny_chip(neurons=100, axons_in=400, bits=10**6)
    task = task_of(graph, "p0", projections(graph), chip)
    weight = np.ones(task.fan.axons)
    parts = parts_of(task, weight)
    assert not isinstance(parts, Violation)
    ours, theirs = (
        connectivity(task, weight, parts),
        connectivity(task, weight, _cuts(len(parts), task.fan.neurons)),
    )
    assert len(parts) == 12
    assert 3 * ours < theirs


def test_whole_network_better_than_consecutive_cuts() -> None:
    graph, chip = local(layers=3, channels=4, side=12), tiny_chip(neurons=64, axons_in=600, bits=10**6)
    cut = partition(graph, chip, 4)
    edges = projections(graph)
    theirs = 0.0
    for name in graph.of_kind(Population):
        task = task_of(graph, name, edges, chip)
        theirs += connectivity(task, np.ones(task.fan.axons), _cuts(9, task.fan.neurons))
    assert cut.connectivity() < theirs + sum(np.prod(graph.shapes[n]) for n in ("p0", "p1"))


def test_refinement_never_raises_connectivity() -> None:
    rng = np.random.default_rng(0)
    for seed in range(3):
        graph = local(layers=1, channels=3, side=9, seed=seed)
        chip = tiny_chip(neurons=50, axons_in=300, bits=10**6)
        task = task_of(graph, "p0", projections(graph), chip)
        weight = rng.random(task.fan.axons)
        grown = Growth(task, groups_of(task.fan), room_of(chip), weight).run()
        assert not isinstance(grown, Violation)
        refined = refine(task, room_of(chip), weight, grown)
        assert connectivity(task, weight, refined) <= connectivity(task, weight, grown) + 1e-6
        assert all(task.tally(part).within(room_of(chip)) for part in refined)
        assert sorted(n for part in refined for n in part) == list(range(task.fan.neurons))


def test_refinement_repairs_a_bad_cut() -> None:
    """Two interleaved halves of a 1 x 2n strip, with room to spare, become nearly contiguous."""
    graph, chip = local(layers=1, channels=1, side=10), tiny_chip(neurons=60, axons_in=200, bits=10**6)
    task = task_of(graph, "p0", projections(graph), chip)
    weight = np.ones(task.fan.axons)
    bad = [np.arange(0, 100, 2), np.arange(1, 100, 2)]
    good = refine(task, room_of(chip), weight, bad)
    assert connectivity(task, weight, good) < 0.75 * connectivity(task, weight, bad)


def test_the_last_part_is_no_crumb() -> None:
    graph, chip = local(layers=1, channels=1, side=10), tiny_chip(neurons=33, axons_in=400, bits=10**6)
    task = task_of(graph, "p0", projections(graph), chip)
    parts = parts_of(task, np.ones(task.fan.axons))
    assert not isinstance(parts, Violation)
    assert len(parts) == 4 and min(len(p) for p in parts) >= 16


def test_messages_decide() -> None:
    """Halves of a strip are cut where few messages pass: the busy columns stay whole."""
    graph, chip = local(layers=1, channels=1, side=8), tiny_chip(neurons=32, axons_in=400, bits=10**6)
    quiet = np.full((8, 8), 0.01)
    quiet[:, :4] = 10.0
    cut = partition(graph, chip, 4, {"x": quiet.ravel()})
    touched = np.zeros(64)
    for core in cut.cores:
        for part in core:
            touched[np.unique(part.sources["x"])] += 1
    assert (touched * quiet.ravel()).sum() < 1.5 * quiet.sum()


def test_small_parts_share_a_core() -> None:
    net = Layers({"x": Input((4,), "current", BYTE)}, [])
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        net.nodes[name] = cells((3,), rng)
        net.join("x", Linear(weights((3, 4), rng)), name)
    (core,) = partition(net.graph(), tiny_chip(neurons=9)).cores
    assert [p.population for p in core] == ["a", "b", "c"]
    assert len(partition(net.graph(), tiny_chip(neurons=8)).cores) == 2


def test_output_axons_split_a_core() -> None:
    """10 neurons that each reach 6 cores send to 60 axons; with 25 a core they lie on three cores or more."""
    net, rng = Layers({"x": Input((2,), "current", BYTE)}, []), np.random.default_rng(0)
    net.nodes["a"] = cells((10,), rng)
    net.join("x", Linear(weights((10, 2), rng)), "a")
    for index in range(6):
        net.nodes[f"b{index}"] = cells((10,), rng, 2)
        net.join("a", Linear(replace(weights((10, 10), rng), values=np.ones((10, 10), int))), f"b{index}")
    cut = partition(net.graph(), tiny_chip(neurons=10, axons_out=25), 4)
    assert all(sum(p.sent for p in core) <= 25 for core in cut.cores)
    assert len([1 for core in cut.cores if any(p.population == "a" for p in core)]) >= 3


def test_a_neuron_too_big_for_a_core_is_named() -> None:
    net, rng = Layers({"x": Input((200,), "current", BYTE)}, []), np.random.default_rng(0)
    for name in ("wide", "wider"):
        net.nodes[name] = cells((2,), rng)
        net.join("x", Linear(weights((2, 200), rng)), name)
    with pytest.raises(HardwareError) as caught:
        partition(net.graph(), tiny_chip(axons_in=100))
    assert [v.node for v in caught.value.violations] == ["wide", "wider"]
    assert "input axons for one neuron" in caught.value.violations[0].need
    assert caught.value.violations[0].limit.startswith("100 ") and caught.value.violations[0].hint
    with pytest.raises(HardwareError, match="bits for one neuron"):
        partition(net.graph(), tiny_chip(axons_in=400, bits=9_000))
    with pytest.raises(HardwareError, match="output axons for one neuron"):
        partition(drawn(0), tiny_chip(axons_out=2), 100)


def test_too_many_cores_says_how_many_chips() -> None:
    with pytest.raises(HardwareError, match="--chips 2") as caught:
        partition(
            local(layers=1, channels=1, side=10),
            tiny_chip(neurons=50, axons_in=400, bits=10**6, tiles=(1, 1, 1)),
        )
    (violation,) = caught.value.violations
    assert violation.need == "2 cores" and violation.limit == "1 cores on 1 chip(s)"


def test_deterministic() -> None:
    first, second = (partition(drawn(7), tiny_chip(), 20) for _ in range(2))
    assert [[(p.population, p.neurons.tolist()) for p in c] for c in first.cores] == [
        [(p.population, p.neurons.tolist()) for p in c] for c in second.cores
    ]


@pytest.mark.parametrize("name", ["loihi1", "loihi2", "spinnaker2"])
def test_every_chip_takes_a_small_network(name: str) -> None:
    chip: Chip = load(name)
    cut = partition(drawn(9), chip)
    assert len(cut.cores) == 1 and core_memory(cut.cores[0], chip) <= chip.memory.limit.value
    assert isinstance(
        task_of(drawn(9), "a", projections(drawn(9)), replace(chip, axons_in=Fact(9, ""))).tally(), Tally
    )


def test_bounded_work_still_keeps_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the bounds on work are reached, growth goes on in the order of the tensor and nothing is refined."""
    graph, chip = local(layers=1, channels=3, side=10), tiny_chip(neurons=40, axons_in=300, bits=10**6)
    free = partition(graph, chip, 4).connectivity()
    monkeypatch.setattr(grow, "WORK", 10)
    monkeypatch.setattr(refine_module, "WORK", 10)
    bounded = partition(graph, chip, 4)
    assert all(sum(len(p.neurons) for p in core) <= 40 for core in bounded.cores)
    assert free < bounded.connectivity()
