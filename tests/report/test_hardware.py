"""The facts of a mapping agree with its tables and with its own run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeflow.errors import DataError, HardwareError
from spikeflow.hw import Mapping, load, map_network
from spikeflow.ir.exit_rule import ExitRule
from spikeflow.ir.interval import wilson
from spikeflow.report import ReportFacts, ReportOptions, collect, to_html, to_json, to_text
from spikeflow.report.network.hardware import chip_of
from spikeflow.sim.classify import RunOptions, classify
from tests.report.conftest import HOSTILE, small_network, small_samples


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return map_network(small_network(), "loihi2", small_samples().x)


@pytest.fixture(scope="module")
def mapped(mapping: Mapping) -> ReportFacts:
    return collect(
        small_network(), small_samples(), mapping, options=ReportOptions("reference", date="2026-01-02")
    )


def test_the_run_is_that_of_the_rebuilt_graph(mapped: ReportFacts, mapping: Mapping) -> None:
    assert mapped.mapped is not None
    samples = small_samples()
    evaluation = classify(mapping.as_network(), samples.x, RunOptions("reference"))
    assert mapped.mapped.run.accuracy == evaluation.accuracy(samples.y)
    on_cores = sum(evaluation.counts[name].synaptic_operations for name in mapping.core_of)
    assert mapped.mapped.run.synaptic_operations * 10 == on_cores
    unmapped = classify(small_network(), samples.x, RunOptions("reference"))
    alike = (unmapped.predictions() == evaluation.predictions()) & ~evaluation.tied()
    found = mapped.mapped.agreement
    assert (found.agreement, found.constant) == (alike.mean(), False)
    assert (found.low, found.high) == wilson(float(alike.mean()), 10)
    assert mapped.mapped.report.loss == mapping.loss is not None


def test_use_is_within_the_limits_and_adds_up(mapped: ReportFacts, mapping: Mapping) -> None:
    assert mapped.mapped is not None
    cores = mapped.mapped.cores
    assert len(cores) == len(mapping.cores)
    assert all(0 <= use.used <= use.limit for core in cores for use in core.uses)
    assert sum(core.uses[0].used for core in cores) == mapping.neurons == 67
    assert {use.resource for use in cores[0].uses} == {
        "neurons",
        "memory, bytes",
        "input axons",
        "output axons",
        "delay, steps",
    }


def test_layers_are_joined_from_their_slices(mapped: ReportFacts, mapping: Mapping) -> None:
    assert mapped.mapped is not None
    layers = {layer.node: layer for layer in mapped.mapped.layers}
    assert layers[HOSTILE].neurons == 64 and layers["readout"].neurons == 3
    assert sum(layer.synapses for layer in mapped.mapped.layers) == mapping.synapses
    total = sum(layer.synaptic_operations for layer in mapped.mapped.layers)
    assert total == pytest.approx(mapped.mapped.run.synaptic_operations)
    assert layers[HOSTILE].rate == pytest.approx(mapped.layers[2].rate, rel=0.3)


def test_costs_name_their_sources_and_what_is_not_published(mapped: ReportFacts) -> None:
    assert mapped.mapped is not None
    (cost,) = mapped.mapped.costs
    assert cost.joule is None and cost.mark == "not published" and cost.bound
    for line in cost.lines:
        assert line.source if line.each is not None else line.mark == "not published"


def test_loihi1_gives_energy_and_time_together() -> None:
    network, samples = small_network("spikes", "zero", coding="rate"), small_samples()
    facts = collect(
        network, samples, map_network(network, "loihi1", samples.x), options=ReportOptions("reference")
    )
    assert facts.mapped is not None
    assert len(facts.mapped.costs) == 2  # the figures of Davies et al., and SANA-FE's
    for cost in facts.mapped.costs:
        assert cost.joule and cost.second and not cost.bound
        energy = sum(
            line.count * line.each for line in cost.lines if line.each is not None and line.unit == "pJ"
        )
        assert cost.joule == pytest.approx(1e-12 * energy)
        assert all(line.source for line in cost.lines if line.each is not None)


def test_text_json_and_page_tell_the_mapping(mapped: ReportFacts) -> None:
    assert mapped.mapped is not None
    text, page, plain = to_text(mapped), to_html(mapped), to_json(mapped)
    for told in (text, page):
        for wanted in ("Intel Loihi 2", "not published", "assumed", "axons_in = 4096", "memory, bytes"):
            assert wanted in told
    assert plain["mapped"]["chip"] == "loihi2" and len(plain["mapped"]["cores"]) == len(mapped.mapped.cores)
    assert '<section id="mapping">' in page and '<section id="traffic">' in page
    assert "<script" not in page


def test_a_mesh_of_many_cores_is_drawn_whole(mapped: ReportFacts) -> None:
    assert mapped.mapped is not None
    core = mapped.mapped.cores[0]
    many = tuple(
        replace(core, core=i, column=i % 64, row=i // 64, report=replace(core.report, slot=i % 4))
        for i in range(2500)
    )
    mesh = replace(mapped.mapped.mesh, columns=64, rows=40)
    page = to_html(replace(mapped, mapped=replace(mapped.mapped, cores=many, mesh=mesh)))
    assert "the 1024 fullest" in page
    assert len(page) < 3_000_000


def test_a_mapping_of_another_network_is_refused(mapping: Mapping) -> None:
    other = replace(mapping, record=replace(mapping.record, input_shape=(1, 5, 5)))
    with pytest.raises(DataError, match="mapping"):
        collect(small_network(), small_samples(), other, options=ReportOptions("reference"))


def test_no_file_names_the_module_of_its_chip(mapping: Mapping) -> None:
    for name in ("this", "os.path", "tests.report.conftest"):
        with pytest.raises(HardwareError, match="--chip"):
            chip_of(replace(mapping, chip=name))
    assert chip_of(mapping) is load("loihi2")
    assert chip_of(replace(mapping, chip="mine"), "spikeflow.hw.chips.loihi1").name == "loihi1"


@pytest.mark.parametrize("seed", range(4))
def test_costs_of_samples_that_stop_early_are_those_of_the_steps_they_ran(seed: int) -> None:
    """Rules drawn at random: temperature 0.05 to 1, confidence 0.4 to 0.95, first step 1 to 4."""
    draw = np.random.default_rng(seed)
    rule = ExitRule(draw.uniform(0.05, 1), draw.uniform(0.4, 0.95), 1.0, int(draw.integers(1, 5)))
    network, samples = small_network(exit=rule), small_samples()
    mapping = map_network(network, "loihi2", samples.x, accept_loss=True)
    facts = collect(network, samples, mapping, options=ReportOptions("reference"))
    run = classify(mapping.as_network(), samples.x, RunOptions("reference"))
    assert facts.mapped is not None and run.stopped is not None and run.stopped.min() < 16
    busiest = next(c for c in mapping.cores)  # the network fits one core
    (cost,) = facts.mapped.costs
    counts = {line.what: line.count for line in cost.lines}
    on_cores = [run.counts[name] for name in mapping.core_of]
    assert counts["synaptic operation"] * 10 == pytest.approx(sum(c.synaptic_operations for c in on_cores))
    steps = counts["neuron update"] / busiest.neurons
    level = mapping.level
    # a stretch is an eighth of the steps behind it
    assert run.stopped.mean() + level <= steps <= 1.125 * run.stopped.mean() + 1 + level
    assert f"{steps:.4g} steps a sample" in cost.notes
    assert steps * 10 == pytest.approx(run.moments)
    told = f"{facts.run.exit.mean_steps:.1f} steps on average" if facts.run.exit else "?"
    assert told in to_text(facts).splitlines()[0] and told in to_html(facts)
    assert "stop early" in facts.mapped.report.to_text()
