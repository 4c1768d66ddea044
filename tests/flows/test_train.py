"""Recipes end to end: read, trained, written as a file that run, map and report take; wrong ones by key."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from spikeflow.cli import cli
from spikeflow.datasets import NMNIST
from spikeflow.errors import DataError, FileError
from spikeflow.flows import recipe_file
from spikeflow.flows.data import load
from spikeflow.flows.teacher import logits
from spikeflow.flows.train import train
from spikeflow.ir import file
from spikeflow.sim.classify import classify
from spikeflow.train.augment import Augment
from spikeflow.train.batches import Arrays
from spikeflow.train.recipe import Distillation, Recipe

RECIPES = sorted((Path(__file__).parents[2] / "examples/recipes").glob("*.toml"))
SMALL = """
[data]
set = "digits"
coding = "{coding}"
steps = 4
limit = 300
valid = 0.2
[network]
kind = "{kind}"
hidden = [32]
channels = [6]
{more}
[training]
epochs = 3
[training.optimiser]
rate = 1e-2
"""
CELLS = 'neuron = "TwoPointLIF"\nfeedback_gain = 1.0'
MORE = {"two_point": CELLS, "conv_two_point": CELLS, "conv": "batch_norm = true"}


def _raw(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Digits of the test part, as a user has them: values of 0 to 16."""
    x, y = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(x))[:count]
    return x[chosen].reshape(-1, 1, 8, 8), y[chosen]


@pytest.mark.parametrize("kind", recipe_file.KINDS)
@pytest.mark.parametrize("coding", ("direct", "rate"))
def test_the_file_answers_raw_samples_as_the_trained_network(tmp_path: Path, kind: str, coding: str) -> None:
    (tmp_path / "a.toml").write_text(SMALL.format(kind=kind, coding=coding, more=MORE.get(kind, "")))
    task = recipe_file.read(tmp_path / "a.toml")
    trained = train(task, tmp_path / "out")
    assert trained.same is not None and trained.same >= 0.99 and trained.compared == 200
    network = file.read(trained.path)
    assert network.record.coding == coding and network.record.labels == tuple("0123456789")
    x, y = _raw(300)
    assert trained.fitted.test is not None
    # the test split is these very digits, entering raw here and prepared there
    assert classify(network, x).accuracy(y) == pytest.approx(trained.fitted.test.accuracy, abs=0.011)
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert record["network"]["kind"] == kind and record["data"]["test"] == 300


def test_by_command_and_on_to_run_map_and_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.toml").write_text(SMALL.format(kind="dense", coding="direct", more=""))
    out = tmp_path / "out"
    x, y = _raw()
    np.savez(tmp_path / "raw.npz", x=x, y=y)
    net, data = str(out / "net.h5"), str(tmp_path / "raw.npz")

    def call(*words: str) -> dict[str, object]:
        cli([*words, "--json"], standalone_mode=False)
        said = capsys.readouterr()
        return {**json.loads(said.out), "stderr": said.err}

    found = call("train", str(tmp_path / "a.toml"), "--out", str(out), "--epochs", "2", "--seed", "5")
    assert found["epochs"] == 2 and "epoch 2: loss" in str(found["stderr"])
    again = call(
        "train", str(tmp_path / "a.toml"), "--out", str(out), "--epochs", "2", "--seed", "5", "--resume"
    )
    assert again["test"] == found["test"] and "epoch" not in str(again["stderr"])
    ran = call("run", net, "--data", data)
    assert ran["samples"] == 60
    call(
        "map", net, "--chip", "loihi2", "--data", data, "--out", str(tmp_path / "net.map.h5"), "--accept-loss"
    )
    assert call("run", str(tmp_path / "net.map.h5"), "--data", data)["samples"] == 60
    with pytest.raises(FileError, match="holds a training already"):
        cli(["train", str(tmp_path / "a.toml"), "--out", str(out)], standalone_mode=False)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_that_come_along_are_whole(path: Path) -> None:
    task = recipe_file.read(path)
    assert task.title and isinstance(task.training, Recipe)


@pytest.mark.parametrize(
    "name",
    ("nmnist_conv", "braille_recurrent", "spoken_digits_recurrent", "ecg_recurrent", "ecg_two_point",
     "fashion_mnist_conv"),
)  # fmt: skip
def test_recipes_on_real_recordings(name: str, data_folder: Path, tmp_path: Path) -> None:
    path = next(path for path in RECIPES if path.stem == name)
    task = recipe_file.read(path)
    fewer = {"nmnist_conv": 60, "fashion_mnist_conv": 200, "spoken_digits_recurrent": 60, "ecg_recurrent": 12, "ecg_two_point": 12}
    steps = 400 if name.startswith("ecg") else min(task.data.steps, 40)  # fewer do not hold all classes
    data = replace(task.data, folder=str(data_folder), limit=fewer.get(name, 270), steps=steps)
    layers = replace(task.network, hidden=(16,))
    if layers.kind == "conv":
        layers = replace(layers, channels=layers.channels[:1], pools=layers.pools[:1])
    task = replace(task, data=data, network=layers, training=replace(task.training, epochs=1))
    trained = train(task, tmp_path)
    assert trained.fitted.test is not None and trained.path.is_file()
    assert trained.same is None or trained.same > 0.98
    if name == "nmnist_conv":  # recordings as they are, one sample each
        events = NMNIST(data_folder, "test", True)
        found = classify(file.read(trained.path), events.subset(range(0, 60, 10)))
        assert found.samples == 6


def test_wrong_recipes_by_key(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for text, error, match in (
        ("[data]\nsets = 'digits'", DataError, r"recipe: data\.sets: got an unknown key.*Try: set"),
        ("[network]\nkind = 'dense'", DataError, r"recipe: data: got nothing"),
        ("[data]\nset = 3", DataError, r"recipe: data\.set: got 3 \(int\), expected text"),
        ("[data]\nset = 'digits'\n[network]\nhidden = ['a']", DataError, r"network\.hidden\[0\]: got 'a'"),
        (
            "[data]\nset = 'digits'\n[network]\nneuron = 'LIFF'",
            DataError,
            r"network\.neuron: got LIFF.*Try: LIF",
        ),
        (
            "[data]\nset = 'digits'\n[network]\nparameters = {decoy = 1}",
            DataError,
            r"network\.parameters.*decay",
        ),
        ("[data]\nset = 'digits'\ncoding = 'frames'", DataError, r"data\.coding: got frames"),
        ("[data]\nset = 'digit'", DataError, "data set: got digit"),
        ("[data\nset", FileError, "is no TOML"),
    ):
        path.write_text(text)
        with pytest.raises(error, match=match):
            train(recipe_file.read(path), tmp_path / "out")
    with pytest.raises(FileError):
        recipe_file.read(tmp_path / "none.toml")


def test_workers_change_nothing(data_folder: Path, tmp_path: Path) -> None:
    task = recipe_file.read(next(path for path in RECIPES if path.stem == "nmnist_conv"))
    found = []
    for workers in (0, 1):
        few = replace(task.data, folder=str(data_folder), limit=40, augment=Augment())
        data = replace(few, steps=6, dt_us=50_000, workers=workers)
        layers, training = replace(task.network, channels=(4,)), replace(task.training, epochs=2)
        whole = replace(task, data=data, network=layers, training=training)
        found.append(train(whole, tmp_path / str(workers)).fitted.net.state_dict())
    assert all(np.array_equal(value, found[1][name]) for name, value in found[0].items())


def test_an_ann_in_a_file_teaches(tmp_path: Path) -> None:
    ann = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    torch.save(ann, tmp_path / "ann.pt")
    (tmp_path / "a.toml").write_text(SMALL.format(kind="dense", coding="direct", more=""))
    task = recipe_file.read(tmp_path / "a.toml")
    chosen = Distillation(str(tmp_path / "ann.pt"), 1.0, 1.0)
    task = replace(task, training=replace(task.training, epochs=1, distillation=chosen))
    data = load(task.data, 0)
    assert isinstance(data.splits.train, Arrays)
    x = data.splits.train.x
    with torch.no_grad():
        wanted = ann(torch.from_numpy(x)).numpy()
    found = logits(str(tmp_path / "ann.pt"), x, 10)
    assert np.allclose(found, wanted, atol=1e-5) and found.shape == (300, 10)
    taught, alone = (
        train(each, tmp_path / name).fitted.history[-1].train_loss
        for name, each in (("a", task), ("b", replace(task, training=Recipe(epochs=1))))
    )
    assert taught != alone
    with pytest.raises(DataError, match=r"distillation\.file"):
        logits(str(tmp_path / "ann.pt"), x, 7)
