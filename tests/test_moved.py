"""Modules that moved into rooms are importable by their old names, with a warning that names the new one."""

from __future__ import annotations

import importlib
import pickle
import sys

import pytest

from spikeflow.moved import MOVED


@pytest.mark.parametrize("old", sorted(MOVED))
def test_an_old_name_gives_the_module_of_the_new_one(old: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {MOVED[old]}$"):
        module = importlib.import_module(old)
    assert module is importlib.import_module(MOVED[old])
    assert module.__name__ == MOVED[old] == module.__spec__.name  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("convert.load", "load"),
        ("convert.capture", "capture"),
        ("convert.verify", "verify"),
        ("hw.tables", "CoreTable"),
        ("report.recording", "recording_facts"),
        ("datasets.loading", "Loading"),
    ],
)
def test_a_module_that_became_a_room_still_has_its_names(room: str, name: str) -> None:
    assert hasattr(importlib.import_module(f"spikeflow.{room}"), name)


def test_what_was_pickled_under_an_old_name_opens() -> None:
    from spikeflow.hw.chips.chip import load

    fact = load("loihi2").neurons
    old = pickle.dumps(fact, 0).replace(b"spikeflow.hw.chips.chip", b"spikeflow.hw.chip")
    sys.modules.pop("spikeflow.hw.chip", None)
    with pytest.warns(DeprecationWarning, match="hw.chip is now"):
        assert pickle.loads(old) == fact


def test_old_words_of_data_sets() -> None:
    from spikeflow.datasets import NMNIST, base
    from spikeflow.datasets.base import Dataset
    from spikeflow.datasets.sets import catalog, metadata
    from spikeflow.datasets.synthetic import twin

    data = twin("mnist", 4)
    with pytest.warns(DeprecationWarning, match=r"NMNIST.card is now NMNIST.metadata"):
        assert NMNIST.card is NMNIST.metadata
    with pytest.warns(DeprecationWarning, match=r"card is now .*metadata"):
        assert data.card is data.metadata
    with pytest.warns(DeprecationWarning, match=r"place is now .*locate"):
        assert data.place(1) == data.locate(1)
    with pytest.warns(DeprecationWarning, match="catalog.card is now catalog.metadata"):
        assert catalog.card("mnist") is catalog.metadata("mnist")
    with pytest.warns(DeprecationWarning, match="Card is now Metadata"):
        assert metadata.Card is base.Card is metadata.Metadata
    with pytest.warns(DeprecationWarning, match="Mine.card is now Mine.metadata"):

        class Mine(Dataset):  # type: ignore[type-arg]
            card = NMNIST.metadata

    assert Mine.metadata is NMNIST.metadata


def test_a_function_keeps_its_name_beside_an_old_module() -> None:
    from spikeflow import report

    function = report.collect
    sys.modules.pop("spikeflow.report.collect", None)
    with pytest.warns(DeprecationWarning, match="report.collect is now"):
        module = importlib.import_module("spikeflow.report.collect")
    assert report.collect is function is module.collect and callable(function)


def test_hold_is_the_old_word_for_stop_gradient_and_stays_so_in_files() -> None:
    from spikeflow.ir.ops import Recorder

    r = Recorder(["in"], [], [])
    with pytest.warns(DeprecationWarning, match="Ops.hold is now Ops.stop_gradient"):
        old = r.ops.hold(r.x[0])
    assert old.index == r.ops.stop_gradient(r.x[0]).index
    assert r.program(old, []).code[-1].op == "hold"
