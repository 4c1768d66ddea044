"""The device of a recipe: a word that is checked, refused where it is not there, recorded, and no part of a
checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.train import checkpoint, loop
from spikeflow.train.device import device_of, moved
from spikeflow.train.loop import Session, fit
from spikeflow.train.recipe import Recipe, Weights
from tests.train.digits import network, splits

RECIPE = Recipe(epochs=2, weights=Weights(average=0.9))


@pytest.mark.parametrize("word", ("gpu", "cuda:", "cuda:x", "cuda:0 ", "mps", "", "cpu:0"))
def test_words_that_name_no_device(word: str) -> None:
    with pytest.raises(DataError, match=r"training\.device"):
        Recipe(device=word)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    with pytest.raises(DataError, match=rf"training\.device: got cuda:{count}"):
        fit(network(), splits(60), replace(RECIPE, device=f"cuda:{count}"), Session(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_device_is_recorded_and_batches_are_moved(tmp_path: Path) -> None:
    assert device_of("cpu") == torch.device("cpu")
    fit(network(), splits(60), RECIPE, Session(tmp_path))
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["machine"]["device"] == "cpu" and record["recipe"]["device"] == "cpu"
    assert "device" not in checkpoint.read(tmp_path / "last.checkpoint")["identity"]["recipe"]
    batch = next(iter(splits(60).train.epoch(0)))
    there = moved(batch, torch.device("meta"))
    assert {t.device.type for t in (there.x, there.labels, there.mask)} == {"meta"}
    named: Any = replace(batch, x={"a": batch.x})  # type: ignore[arg-type]
    found: Any = moved(named, torch.device("meta")).x
    assert found["a"].is_meta


def test_another_device_goes_on_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "described", lambda device: "cuda:0, of another machine")
    fit(network(), splits(60), replace(RECIPE, epochs=2), Session(tmp_path, test=False))
    monkeypatch.undo()
    with pytest.warns(SpikeflowWarning, match="device was cuda:0, of another machine"):
        fit(network(), splits(60), RECIPE, Session(tmp_path, resume=True))


def test_the_test_split_waits_until_it_is_asked_for(tmp_path: Path) -> None:
    first = fit(network(), splits(60), RECIPE, Session(tmp_path, test=False))
    assert first.test is None and json.loads((tmp_path / "record.json").read_text())["test"] is None
    second = fit(network(), splits(60), RECIPE, Session(tmp_path, resume=True))
    whole = fit(network(), splits(60), RECIPE)
    assert second.test == whole.test is not None and second.history == first.history


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_goes_on_and_its_checkpoint_opens_anywhere(tmp_path: Path) -> None:
    recipe = replace(RECIPE, device="cuda")
    found = fit(network(), splits(60), recipe, Session(tmp_path))
    assert all(p.is_cuda for p in found.net.parameters())
    with pytest.warns(SpikeflowWarning, match="device was cuda"):
        again = fit(network(), splits(60), RECIPE, Session(tmp_path, resume=True))
    assert again.history == found.history
    with pytest.raises(DataError, match="where the network lies"):
        fit(found.net, splits(60), RECIPE)
