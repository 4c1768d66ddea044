"""fit: learns, selects, tests once, resumes bit for bit, and says by name what is wrong."""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.datasets.loading.loader import DataLoader, Loading
from spikeflow.errors import (
    DataError,
    FileError,
    ShapeError,
    SpikeflowWarning,
    TrainingError,
    UnsupportedLayer,
)
from spikeflow.neurons import LIF, Integrator, Neuron, Recurrent, Sequential
from spikeflow.train import checkpoint
from spikeflow.train.batches import Arrays, Coding, Splits
from spikeflow.train.loop import Session, fit
from spikeflow.train.recipe import Loss, Optimiser, Recipe, Regularise, Schedule, Weights
from spikeflow.train.rules import Rule
from tests.train.digits import network, splits

QUICK = Recipe(epochs=2)


def test_a_killed_training_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tests.train.killed", str(tmp_path)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert sum("killed" in line for line in lines) == 10, done.stdout
    assert "broken 0" in lines and "whole 0" in lines
    for name in ("last.checkpoint", "best.checkpoint", "metrics.csv", "record.json"):
        broken, whole = ((tmp_path / run / name).read_bytes() for run in ("broken", "whole"))
        assert broken == whole, name
    left = {path.name for path in (tmp_path / "broken").iterdir()}
    assert {"last.checkpoint", "best.checkpoint", "metrics.csv", "record.json"} == left


def test_it_learns_selects_on_validation_and_tests_once(tmp_path: Path) -> None:
    parts, told = splits(400), []
    counted = _Counted(parts.test)
    recipe = Recipe(epochs=6, optimiser=Optimiser(rate=1e-2))
    found = fit(network(), replace(parts, test=counted), recipe, Session(tmp_path, tell=told.append))
    assert found.test is not None and found.valid is not None and found.test.accuracy > 0.8
    assert counted.epochs == 1 and told == list(found.history)
    scores = [(row.valid_accuracy, -row.valid_loss) for row in found.history]
    assert found.best == scores.index(max(scores)) + 1 and found.history[found.best - 1].best
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["selection"]["by"] == "validation split" and record["selection"]["epoch"] == found.best
    assert record["test"]["accuracy"] == found.test.accuracy and "once" in record["test"]["measured"]
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [float(row["valid_accuracy"]) for row in rows] == [row.valid_accuracy for row in found.history]
    best = checkpoint.read(tmp_path / "best.checkpoint")["net"]
    assert all(torch.equal(v, best[k]) for k, v in found.net.state_dict().items())
    # a second call finds the training ended: nothing is trained, selected or tested again
    again = fit(network(), replace(parts, test=counted), recipe, Session(tmp_path, resume=True))
    assert counted.epochs == 1 and again.test == found.test and again.history == found.history


class _Counted:
    """A split that counts how often it is looked at."""

    def __init__(self, batches: Arrays) -> None:
        self.batches, self.epochs, self.labels = batches, 0, batches.labels

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> object:
        self.epochs += 1
        return self.batches.epoch(number)


def test_early_stopping_and_no_validation() -> None:
    parts = splits(100)
    still = Recipe(epochs=9, patience=2, optimiser=Optimiser("sgd", rate=0.0, momentum=0.0))
    found = fit(network(dropout=0.0), parts, still)
    assert len(found.history) < 9 and len(found.history) - found.best == 2
    last = fit(network(), Splits(parts.train), QUICK)
    assert last.best == 2 and last.valid is None and last.test is None
    with pytest.raises(DataError, match="patience"):
        fit(network(), Splits(parts.train), Recipe(patience=1))


RECIPES = {
    "tet": Recipe(epochs=1, loss=Loss("tet", "mean")),
    "rate": Recipe(epochs=1, loss=Loss("rate", "mean"), schedule=Schedule("step", every=1)),
    "count": Recipe(epochs=1, loss=Loss("count", "sum", correct=3.0, incorrect=0.5), schedule=Schedule("constant")),
    "softmax": Recipe(epochs=1, loss=Loss(reading="summed_softmax"), optimiser=Optimiser("adamw", weight_decay=0.01)),
    "all": Recipe(
        epochs=1,
        optimiser=Optimiser("sgd", 0.05, clip=1.0),
        regularise=Regularise(0.1, 0.05, 0.2, silence_weight=0.1),
        weights=Weights(0.9, 0, 0.5, True),
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_part_of_a_recipe_and_the_same_seed_twice(name: str) -> None:
    found = [fit(network(), splits(100, "rate"), RECIPES[name]) for _ in range(2)]
    for key, value in found[0].net.state_dict().items():
        assert torch.equal(value, found[1].net.state_dict()[key]), key
    other = fit(network(), splits(100, "rate"), replace(RECIPES[name], seed=1))
    assert any(not torch.equal(v, other.net.state_dict()[k]) for k, v in found[0].net.state_dict().items())


@pytest.mark.parametrize("kind", ("truncated", "sltt", "ottt", "eprop", "local"))
def test_every_rule_by_one_switch(kind: str) -> None:
    torch.manual_seed(0)
    net = Sequential(nn.Linear(64, 24), Neuron(LIF(0.8)), nn.Linear(24, 10), Neuron(Integrator()))
    found = fit(net, splits(200), Recipe(epochs=3, rule=Rule(kind, 2), optimiser=Optimiser(rate=2e-2)))
    assert found.valid is not None and found.valid.accuracy > 0.3
    assert found.history[-1].train_loss < found.history[0].train_loss


def test_integer_weights_are_trained() -> None:
    net = Sequential(nn.Linear(64, 16), Neuron(LIF(0.8)), nn.Linear(16, 10), Neuron(Integrator()))
    found = fit(net, splits(100), Recipe(epochs=1, weights=Weights(quantise_bits=4)))
    assert len(found.net.layers[2].weight.unique()) <= 15


def test_labels_of_every_step() -> None:
    draw = np.random.default_rng(0)
    x = draw.random((60, 7, 4)).astype(np.float32)
    y = (x[..., 0] > 0.5).astype(int)
    parts = Splits(Arrays(x, y), Arrays(x, y, shuffle=False), Arrays(x, y, shuffle=False))
    net = Sequential(nn.Linear(4, 30), Neuron(LIF(0.1, 0.3)), nn.Linear(30, 2))
    found = fit(net, parts, Recipe(epochs=30, loss=Loss("per_step"), optimiser=Optimiser(rate=0.02)))
    assert found.test is not None and found.test.samples == 420 and found.test.accuracy > 0.8


def test_values_that_are_no_numbers_are_named_by_layer_and_step() -> None:
    x = np.ones((8, 5, 3), np.float32)
    net = Sequential(nn.Linear(3, 4), Neuron(LIF(0.9)), nn.Linear(4, 2), Neuron(Integrator()))
    parts = Splits(Arrays(x, np.arange(8) % 2))
    with torch.no_grad():
        net.layers[2].weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match=r"layers\.2\.weight: holds NaN.*epoch 1, batch 1"):
        fit(net, parts, QUICK)

    class Breaks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.where(x > 2.5, x / 0, x)

    summing = Sequential(Neuron(Integrator()), Breaks(), nn.Linear(3, 2), Neuron(Integrator()))
    with pytest.raises(TrainingError, match=r"layers\.1: is NaN or infinite from step 2 on") as caught:
        fit(summing, parts, QUICK)
    assert caught.value.node == "layers.1" and caught.value.hint
    recurrent = Sequential(nn.Linear(3, 3), Recurrent(Neuron(LIF(0.9)), nn.Linear(3, 3)), Breaks(), nn.Linear(3, 2))
    with torch.no_grad():
        recurrent.layers[0].weight.fill_(1e38)
    with pytest.raises(TrainingError, match=r"layers\.0\.weight: its gradient is NaN or infinite in epoch 1"):
        fit(recurrent, parts, QUICK)


def test_gradients_that_vanish_or_explode_are_told() -> None:
    net = network()
    with torch.no_grad():
        net.layers[1].weight.zero_()
        net.layers[1].bias.fill_(-1e9)
    with pytest.warns(SpikeflowWarning, match=r"epoch 1: no gradient reached layers\.0\.weight"):
        fit(net, splits(100), Recipe(epochs=1, optimiser=Optimiser("sgd", 0.0)))
    net = network()
    with torch.no_grad():
        net.layers[4].weight.mul_(1e7)
    with pytest.warns(SpikeflowWarning, match="epoch 1: gradients exploded"):
        fit(net, splits(100), Recipe(epochs=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(network(), splits(100), QUICK)


def test_wrong_data_by_name() -> None:
    x, y = np.random.default_rng(0).random((20, 4, 64), np.float32), np.arange(20) % 10
    with pytest.raises(DataError, match="class 3: got no training sample"):
        fit(network(), Splits(Arrays(x, np.where(y == 3, 4, y))), QUICK)
    with pytest.warns(SpikeflowWarning, match="valid split holds no sample of class 9"):
        fit(network(), Splits(Arrays(x, y), Arrays(x[:9], y[:9])), QUICK)
    with pytest.raises(ShapeError, match=r"layers\.0: got moments of shape \(9,\)"):
        fit(network(), Splits(Arrays(x[..., :9], y)), QUICK)
    with pytest.raises(DataError, match="labels: got 10 to 10|0 to 9"):
        fit(network(), Splits(Arrays(x, np.arange(20) % 11)), QUICK)
    with pytest.raises(DataError, match="whole numbers"):
        Arrays(x, y + 0.5)
    with pytest.raises(DataError, match="NaN"):
        Arrays(x * np.nan, y)
    with pytest.raises(DataError, match="at least one sample"):
        Arrays(x[:0], y[:0])
    with pytest.raises(DataError, match="one of spikes"):
        Coding("latency", 3)
    with pytest.raises(UnsupportedLayer, match="Sequential or Net"):
        fit(nn.Linear(3, 3), splits(100), QUICK)


def test_rate_coding_is_that_of_the_encoder() -> None:
    from spikeflow import encode

    x = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    batch = next(iter(Arrays(x, np.arange(5), Coding("rate", 6), seed=4, shuffle=False).epoch(0)))
    assert np.array_equal(batch.x.numpy(), encode.rate(x, 6, 1.0, 4).dense())
    shuffled = Arrays(x, np.arange(5), Coding("rate", 6), batch_size=2, seed=4)
    first, again, other = ([b.x.numpy().tobytes() for b in shuffled.epoch(n)] for n in (1, 1, 2))
    assert first == again != other


def test_a_checkpoint_of_another_training_is_refused_by_name(tmp_path: Path) -> None:
    parts = splits(100)
    fit(network(), parts, QUICK, Session(tmp_path))
    with pytest.raises(FileError, match="holds a training already.*--resume"):
        fit(network(), parts, QUICK, Session(tmp_path))
    on = Session(tmp_path, resume=True)
    with pytest.raises(FileError, match="another training .recipe, epochs: 2 in the file, 3 here"):
        fit(network(), parts, Recipe(epochs=3), on)
    wider = network()
    wider.layers[4] = nn.Linear(32, 11)
    with pytest.raises(FileError, match=r"another training .shapes, layers\.4\.weight"):
        fit(wider, parts, QUICK, on)
    other = network()
    other.layers[5] = Neuron(LIF())
    with pytest.raises(FileError, match=r"another training .classes, layers\.5: Integrator in the file, LIF here"):
        fit(other, parts, QUICK, on)


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    fit(network(), splits(100), Recipe(epochs=1), Session(tmp_path))
    path, draw = tmp_path / "last.checkpoint", np.random.default_rng(0)
    whole = path.read_bytes()
    for _ in range(20):
        changed = bytearray(whole)
        changed[int(draw.integers(len(whole)))] ^= 1 << int(draw.integers(8))
        path.write_bytes(bytes(changed))
        with pytest.raises(FileError):
            checkpoint.read(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="bytes"):
        fit(network(), splits(100), Recipe(epochs=1), Session(tmp_path, resume=True))
    for value in (float("inf"), -0.0, {"a": {3: (1, None, [True])}}, torch.ones(2, dtype=torch.bool), torch.tensor(2.5)):
        checkpoint.write(path, {"value": value})
        found = checkpoint.read(path)["value"]
        assert type(found) is type(value) and (torch.equal(found, value) if isinstance(value, torch.Tensor) else found == value)
    with pytest.raises(TypeError, match="a function"):
        checkpoint.write(path, {"value": lambda: 0})
    assert checkpoint.read(path)["value"] == torch.tensor(2.5)


def _full(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        fit(network(), splits(100), Recipe(epochs=3), Session(folder, resume=True))
    except FileError as error:
        print(error)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    import shutil

    fit(network(), splits(100), Recipe(epochs=3), Session(tmp_path / "whole"))
    code = "from tests.train.test_fit import _full; from pathlib import Path; import sys; _full(Path(sys.argv[1]))"
    command = (sys.executable, "-c", code, str(tmp_path / "broken"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "cannot be written" in done.stdout and done.returncode == 0, done.stderr
    fit(network(), splits(100), Recipe(epochs=3), Session(tmp_path / "broken", resume=True))
    for name in ("last.checkpoint", "best.checkpoint", "metrics.csv"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    shutil.rmtree(tmp_path)


class _Lengths:
    """Samples of different lengths, as a data set gives them."""

    def __len__(self) -> int:
        return 30

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        draw = np.random.default_rng(i)
        return (draw.random((int(draw.integers(2, 9)), 5)) < 0.4).astype(np.float32), i % 3


@pytest.mark.parametrize("reading", ("last", "sum", "max"))
def test_the_data_loader_with_lengths_and_masks(reading: str) -> None:
    torch.manual_seed(0)
    net = Sequential(nn.Linear(5, 8), Neuron(LIF(0.8, 0.3)), nn.Linear(8, 3), Neuron(Integrator()))
    found = []
    for size in (1, 7):  # alone no sample has a step that is not its own
        loader = DataLoader(_Lengths(), Loading(size, shuffle=False))
        still = Recipe(epochs=1, loss=Loss(reading=reading), optimiser=Optimiser("sgd", 0.0))
        found.append(fit(net, Splits(DataLoader(_Lengths(), Loading(5)), loader), still).valid)
    assert found[0] is not None and found[1] is not None and found[0].samples == 30
    assert found[0].loss == pytest.approx(found[1].loss) and found[0].accuracy == found[1].accuracy
