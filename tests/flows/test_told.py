"""What a recipe's training tells: a network that learned nothing, a data set that there is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spikeflow.errors import DataError, FileError, SpikeflowWarning
from spikeflow.flows import recipe_file
from spikeflow.flows.train import train

RECIPE = (
    'title = "t"\n[data]\nset = "digits"\nlimit = 200\nsteps = 4\n[network]\nkind = "dense"\nhidden = [8]\n'
    "[training]\nepochs = 1\n[training.optimiser]\nrate = 1e7\n"
)


def test_a_network_that_learned_nothing_is_told(tmp_path: Path) -> None:
    (path := tmp_path / "recipe.toml").write_text(RECIPE)
    with pytest.warns(SpikeflowWarning, match="it has learned nothing"):
        train(recipe_file.read(path), tmp_path / "out")


def test_a_data_set_that_there_is_not_is_refused_with_all_that_there_are(tmp_path: Path) -> None:
    (path := tmp_path / "recipe.toml").write_text(RECIPE)
    task = recipe_file.read(path)
    with pytest.raises(DataError, match="digits, ecg_qtdb, keywords, or one of nmnist"):
        train(replace(task, data=replace(task.data, set="digitz")), tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_a_changed_recipe_does_not_go_on(tmp_path: Path) -> None:
    """Other data, other steps, another network: each was trained on as if it were the same. Where data lie may change."""
    (path := tmp_path / "recipe.toml").write_text(RECIPE.replace("1e7", "1e-2"))
    task = recipe_file.read(path)
    train(task, tmp_path / "out")
    for changed, said in (
        (replace(task, data=replace(task.data, limit=150)), r"data, data\.limit: 200 in the file, 150 here"),
        (replace(task, data=replace(task.data, steps=5)), r"data, data\.steps"),
        (replace(task, network=replace(task.network, surrogate="triangle")), r"data, network\.surrogate"),
        (replace(task, network=replace(task.network, dropout=0.1)), r"data, network\.dropout"),
    ):
        with pytest.raises(FileError, match=f"another training .{said}"):
            train(changed, tmp_path / "out", resume=True)
    train(replace(task, data=replace(task.data, folder="elsewhere")), tmp_path / "out", resume=True)
