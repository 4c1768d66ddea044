"""The report's first sentence, and that no share of it stands without its samples and its interval."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from spikeflow.ir.answer import VALUE
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Input, Linear, Output
from spikeflow.ir.record import Network, OutputRecord, RunRecord
from spikeflow.neurons import IF, Integrator
from spikeflow.report import ReportFacts, ReportOptions, collect
from spikeflow.report.network.facts import AnnFacts
from spikeflow.report.network.page import to_html
from spikeflow.report.network.text import to_json, to_text
from spikeflow.report.network.verdict import verdict
from spikeflow.samples import Samples
from tests.report.conftest import small_network, small_samples


def reported(network: Network, samples: Samples, ann: AnnFacts | None = None) -> ReportFacts:
    return collect(network, samples, ann=ann, options=ReportOptions("reference", date="2026-01-02"))


@pytest.mark.parametrize("count", [1, 2, 10, 40])
def test_every_accuracy_has_its_samples_and_interval(count: int) -> None:
    found = reported(
        small_network(), small_samples(count), AnnFacts(1.0, count, "measured on the same samples")
    )
    text, page = to_text(found), re.sub(r"<style.*?</style>|<[^>]+>", " ", to_html(found), flags=re.S)
    many = f"of {count} sample{'' if count == 1 else 's'} (95 % interval "
    assert many in text.splitlines()[0] and many in " ".join(page.split())
    for told in (text, " ".join(page.split())):
        bare = re.findall(r"accuracy (?:of )?[\d.]+ %(?! of [\d,]+ samples? \(95 % interval)", told)
        assert not bare
    assert to_json(found)["verdict"] == verdict(found) == text.splitlines()[0]


def test_the_energies_are_compared_first(facts: ReportFacts) -> None:
    spiking, dense = (cost.joule or 0.0 for cost in facts.cost)
    assert spiking > dense
    assert f"takes {spiking / dense:.0f} times the energy of one dense pass" in verdict(facts)
    cheaper = replace(facts, cost=(replace(facts.cost[0], joule=dense / 4), facts.cost[1]))
    assert "takes 4 times less energy than one dense pass" in verdict(cheaper)


def test_no_time_of_this_computer_stands_beside_energy_of_another(facts: ReportFacts) -> None:
    assert [cost.second for cost in facts.cost] == [None, None]


def values_network() -> Network:
    draw = np.random.default_rng(0)
    nodes = {
        "x": Input((6,), "current"),
        "w": Linear(draw.normal(0.2, 0.5, (8, 6)).astype(np.float32)),
        "cells": IF(np.float32(1.0)).node((8,)),
        "v": Linear(draw.normal(size=(2, 8)).astype(np.float32)),
        "readout": Integrator().node((2,)),
        "out": Output(),
    }
    edges = tuple(Edge(a, b) for a, b in zip(list(nodes), list(nodes)[1:], strict=False))
    record = RunRecord(8, readout="readout", outputs=(OutputRecord("out", "out", answer=VALUE, mean=True),))
    return Network(Graph(nodes, edges), record)


def test_a_regression_is_reported_in_its_units() -> None:
    draw = np.random.default_rng(1)
    found = reported(
        values_network(), Samples(draw.random((12, 6), np.float32), draw.normal(1000, 1, (12, 2)))
    )
    assert found.run.rmse is not None and found.run.accuracy is None
    assert "root mean squared error" in verdict(found) and "in the units of y" in to_html(found)
    assert "accuracy" not in verdict(found)


def test_a_map_is_reported_place_by_place() -> None:
    draw = np.random.default_rng(2)
    nodes = {
        "x": Input((1, 5, 5), "current"),
        "w": Conv2d(draw.normal(0.3, 0.5, (4, 1, 3, 3)).astype(np.float32), padding=((1, 1), (1, 1))),
        "cells": IF(np.float32(1.0)).node((4, 5, 5)),
        "v": Conv2d(draw.normal(size=(2, 4, 1, 1)).astype(np.float32)),
        "readout": Integrator().node((2, 5, 5)),
        "out": Output(),
    }
    edges = tuple(Edge(a, b) for a, b in zip(list(nodes), list(nodes)[1:], strict=False))
    network = Network(Graph(nodes, edges), RunRecord(8, readout="readout"))
    found = reported(network, Samples(draw.random((6, 1, 5, 5), np.float32), draw.integers(0, 2, (6, 5, 5))))
    assert found.run.kind == "map" and found.run.accuracy is not None
    assert "of 6 samples" in verdict(found) and "answer" not in found.sample
    assert to_html(found).startswith("<!doctype html>")


def test_what_was_told_is_on_the_page_and_in_the_text() -> None:
    network = small_network()
    narrow = replace(network, record=replace(network.record, seen=(0.0, 0.5)))
    found = reported(narrow, small_samples())
    (text,) = found.warnings
    assert "outside of the range 0 to 0.5" in text and text in to_text(found) and text in to_json(found)["warnings"]
    assert "outside of the range 0 to 0.5" in to_html(found)


def test_another_ann_is_not_shown_as_the_one_that_was_converted() -> None:
    network = small_network()
    noted = replace(network, record=replace(network.record, notes={**network.record.notes, "ann": "a" * 64}))
    same, other = (AnnFacts(1.0, 10, "measured on the same samples", digest * 64) for digest in "ab")
    assert reported(noted, small_samples(), same).warnings == ()
    assert "not the network that this one was converted from" in reported(noted, small_samples(), other).warnings[0]
    assert reported(network, small_samples(), other).warnings == ()  # a network of before says nothing of its ANN
