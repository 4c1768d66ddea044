"""The report of a mapping: text for people, JSON for machines, sources for every constant."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from spikeflow.errors import HardwareError
from spikeflow.hw.chips.chip import load
from spikeflow.hw.report import mapping_report
from spikeflow.sim import run
from tests.hw.fixed_nets import drawn, inputs_for, local, mapped, tiny_chip


@pytest.mark.parametrize("name", ["loihi1", "loihi2", "spinnaker2"])
def test_text_and_json_say_the_same(name: str) -> None:
    report = mapping_report(mapped(local(), load(name)))
    text, data = report.to_text(), json.loads(json.dumps(report.to_json()))
    assert load(name).title in text and f"{data['neurons']:,} neurons" in text
    assert data["cores"][0]["use"]["neurons"] == report.cores[0].use.neurons
    assert sum(core["use"]["synapses"] for core in data["cores"]) == data["synapses"]
    for field, limit in data["limits"].items():
        assert max(core["use"][field] for core in data["cores"]) <= limit
    for resource in (
        "neurons",
        "input axons",
        "output axons",
        "memory (bits)",
        "delay (steps)",
        "busiest link",
    ):
        assert resource in text


def test_assumed_values_are_listed_with_their_reason() -> None:
    report = mapping_report(mapped(local(), load("loihi2")))
    text = report.to_text()
    wanted = [(n, f) for n, f in load("loihi2").facts() if f.assumed]
    assert len(report.assumed) == len(wanted) > 0
    assert all(f"assumed: {name} = {fact.value:g} ({fact.source})" in text for name, fact in wanted)


def test_energy_and_time_together_or_not_published() -> None:
    text = mapping_report(mapped(local(), load("loihi2"))).to_text()
    assert "energy not published; time at least" in text
    report = mapping_report(mapped(local(), load("loihi1")))
    assert len(report.estimates) == 2 and "Davies" in report.to_text() and "SANA-FE" in report.to_text()
    energies = sorted(e.picojoule or 0 for e in report.estimates)
    assert f"energy between {energies[0] * 1e-3:,.4g} and {energies[1] * 1e-3:,.4g} nJ" in report.to_text()
    data = report.to_json()["estimates"][0]
    assert data["nanojoule_a_sample"] == pytest.approx(data["picojoule"] * report.steps * 1e-3)


def test_several_chips() -> None:
    chip = tiny_chip(tiles=(2, 2, 2))
    report = mapping_report(mapped(local(side=6), chip), chip)
    assert report.chips > 1 and "between chips" in report.to_text()
    assert {core.chip for core in report.cores} == set(range(report.chips))


def test_of_a_run() -> None:
    graph, chip = drawn(2), tiny_chip()
    mapping = mapped(graph, chip)
    result = run(mapping.as_graph(), inputs_for(graph, 2), 14, engine="reference")
    report = mapping_report(mapping, chip, result.counts, 3 * 14)
    assert report.measured == "a run of 42 samples x steps"
    spikes = sum(result.counts[name].spikes for name in mapping.core_of) / 42
    assert np.sum([core.spikes for core in report.cores]) == pytest.approx(spikes)
    assumed = mapping_report(mapping, chip)
    assert "assumed" in assumed.measured


def test_a_foreign_chip_is_not_looked_up_by_name() -> None:
    chip = tiny_chip()
    mapping = replace(mapped(local(side=4), chip), chip="os.path")
    with pytest.raises(HardwareError, match="os.path"):
        mapping_report(mapping)
    assert mapping_report(mapping, chip).title == "Tiny"
