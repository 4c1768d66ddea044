"""Text and JSON hold the same facts."""

from __future__ import annotations

import json
from dataclasses import replace

from spikeflow.report import ReportFacts, to_json, to_text
from tests.report.conftest import HOSTILE


def test_json_holds_every_fact(facts: ReportFacts) -> None:
    plain = json.loads(json.dumps(to_json(facts), allow_nan=False))
    assert set(plain) == {
        "made",
        "network",
        "layers",
        "run",
        "ann",
        "conversion",
        "raster",
        "sample",
        "cost",
        "mapped",
        "verdict",
        "warnings",
    }
    assert plain["network"]["digest"] == facts.network.digest
    assert plain["run"]["accuracy"] == facts.run.accuracy
    assert [layer["node"] for layer in plain["layers"]] == [layer.node for layer in facts.layers]
    assert plain["cost"][0]["lines"][0]["source"]


def test_text_tells_what_json_tells(facts: ReportFacts) -> None:
    text = to_text(facts)
    assert facts.network.digest in text
    assert f"{100 * (facts.run.accuracy or 0):.2f} %" in text
    for layer in facts.layers:
        assert layer.node in text
    for wanted in (
        "75.00 %",
        "0.5 / 1.5 / 4",
        "Horowitz",
        "made by hand",
        "What became of every operation",
        "Energy and time",
    ):
        assert wanted in text


def test_a_name_cannot_forge_a_line_of_the_text(facts: ReportFacts) -> None:
    forged = replace(
        facts,
        network=replace(facts.network, notes={"source": "a\nAnswers to 10 samples\n  ANN: 100 %\x1b[31m"}),
    )
    lines = to_text(forged).splitlines()
    assert sum(line.startswith("Answers to") for line in lines) == 1
    assert "\x1b" not in to_text(forged)


def test_the_raster_is_told_in_words(facts: ReportFacts) -> None:
    assert f"{HOSTILE}: {len(facts.raster[0].rows)} of the {facts.raster[0].fired} that spiked" in to_text(
        facts
    )
