"""What a recipe's training tells: a network that learned nothing, a data set that there is not."""

from __future__ import annotations

import warnings
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
    with pytest.raises(DataError, match="digits, ecg_qtdb, keywords, samples, or one of nmnist"):
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


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[network]\nparameters = {decay = 0.9}\nspread = {decay = [0.1, 0.2]}", "network.spread.decay"),
        ("[data.hearing]\nnoise = 0.5", "data.hearing: got digits, expected nothing where nothing is heard"),
        ("[training.distillation]\nweight = 0.5", "distillation.file: got nothing"),
        ("[training.distillation]\nlayers = 0.5", "distillation.layers: got 0.5"),
        ("[data.augment]\nshift = 9", "augment.shift: got 9, expected at most 8"),
        ("[network]\nsurrogate_parameters = {slop = 1.0}", "expected slope.$"),
    ],
)
def test_a_key_that_has_no_place_is_refused(table: str, words: str, tmp_path: Path) -> None:
    (path := tmp_path / "recipe.toml").write_text(f"[data]\nset = 'digits'\nlimit = 200\n{table}\n")
    with pytest.raises(DataError, match=words):
        train(recipe_file.read(path), tmp_path / "out")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("channels = [3]\nkernel = 5", [("channels", "kind conv"), ("kernel", "kind conv")]),
        ("kind = 'recurrent'\npools = [2, 2]", [("pools", "kind conv")]),
        ("kind = 'conv'\nfeedback_gain = 2.0", [("feedback_gain", "kind recurrent or two_point")]),
        ("batch_norm_start = 0.3", [("batch_norm_start", "batch_norm = true")]),
        ("read_out = false\nread_out_decay = 0.5", [("read_out_decay", "read_out = true")]),
        ("kind = 'conv'\nchannels = [3]\nbatch_norm = true\nbatch_norm_start = 0.3\nread_out_decay = 0.5", []),
    ],
)
def test_a_key_without_effect_is_told(keys: str, told: list[tuple[str, str]], tmp_path: Path) -> None:
    (path := tmp_path / "recipe.toml").write_text(f"[data]\nset = 'digits'\nlimit = 120\nsteps = 2\n[network]\n{keys}\n"
                                                  "[training]\nepochs = 1\n")  # fmt: skip
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", SpikeflowWarning)
        train(recipe_file.read(path), tmp_path / "out")
    texts = [str(w.message) for w in found if "does nothing" in str(w.message)]
    assert texts == [f"recipe: network.{name} does nothing without {what}" for name, what in told]


def test_recipes_that_come_along_have_none() -> None:
    for path in (Path(__file__).parents[2] / "examples/recipes").glob("*.toml"):
        assert not recipe_file.read(path).network.unused()


@pytest.mark.parametrize(("reading", "alike"), [("last", False), ("sum", True)])
def test_a_file_that_answers_otherwise_than_the_trained_network_is_told(
    reading: str, alike: bool, tmp_path: Path
) -> None:
    """Without a read-out the file adds up what comes out, and the trained network was read at its last step."""
    more = f"read_out = false\n[training.loss]\nreading = '{reading}'\n[training]"
    text = RECIPE.replace("[training]", more).replace("rate = 1e7", "rate = 1e-2")
    (path := tmp_path / "recipe.toml").write_text(text)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SpikeflowWarning)
        made = train(recipe_file.read(path), tmp_path / "out")
    assert made.same is not None and (made.same >= 0.95) == alike
    assert any("validation samples as the trained network" in str(w.message) for w in told) != alike
