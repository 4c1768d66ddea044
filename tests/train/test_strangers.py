"""What strangers give `fit`: each is right, refused by name, or told; nothing passes without a word."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.errors import DataError, FileError, ShapeError, SpikeflowWarning, TrainingError
from spikeflow.neurons import LIF, Integrator, Neuron, Sequential, surrogate
from spikeflow.train import checkpoint
from spikeflow.train.batches import Arrays, Batch, Coding, Splits
from spikeflow.train.loop import Session, fit
from spikeflow.train.recipe import Loss, Optimiser, Recipe, Schedule, Weights

QUICK = Recipe(epochs=1)


PLAIN = LIF(0.8, 0.5)


def net(cells: Any = PLAIN, derivative: Any = surrogate.atan, norm: bool = False, p: float = 0.0) -> Sequential:
    torch.manual_seed(0)
    middle = [nn.BatchNorm1d(16)] if norm else []
    middle += [nn.Dropout(p)] if p else []
    return Sequential(nn.Linear(8, 16), *middle, Neuron(cells, derivative=derivative), nn.Linear(16, 3), Neuron(Integrator()))


def data(samples: int = 12, steps: int = 4, classes: int = 3, width: int = 8, **options: Any) -> Arrays:
    draw = np.random.default_rng(samples)
    x = (draw.random((samples, steps, width)) < 0.5).astype(np.float32)
    return Arrays(x, np.arange(samples) % classes, **options)


class Nothing:
    """A split without a batch."""

    labels = np.arange(3)

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int) -> Iterator[Any]:
        return iter(())


X, Y, M = torch.ones(4, 6, 8), torch.arange(6) % 3, torch.ones(4, 6, dtype=torch.bool)


class Own:
    """A user's own split."""

    def __init__(self, *batches: Any) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[Any]:
        return iter(self.batches)


class Once(Own):
    """Batches in the first epoch alone."""

    def epoch(self, number: int) -> Iterator[Any]:
        return iter(self.batches if number == 0 else ())


class Short(Own):
    """It says 1."""

    def __len__(self) -> int:
        return 1


def own(*batches: Any) -> Any:
    return fit(net(), Splits(Own(*batches)), QUICK)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "a tuple of splits": (lambda: fit(net(), (data(),), QUICK), DataError, r"splits: got tuple.*Splits\(train"),
    "no training split": (lambda: fit(net(), Splits(None)), DataError, "splits: got no training split"),
    "a table for a recipe": (lambda: fit(net(), Splits(data()), {"epochs": 1}), DataError, "recipe: got dict.*of_table"),
    "a split of nothing": (lambda: fit(net(), Splits(Nothing()), QUICK), DataError, "no batch in its epoch"),
    "validation of another width": (
        lambda: fit(net(), Splits(data(), data(width=9)), QUICK), ShapeError, r"layers\.0: got moments of shape \(9,\)"
    ),
    "test of another width": (
        lambda: fit(net(), Splits(data(), data(), data(width=9)), QUICK), ShapeError, r"layers\.0: got moments of shape \(9,\)"
    ),
    "a lone sample of one step": (
        lambda: fit(net(norm=True), Splits(data(13, 1, batch_size=4)), QUICK), DataError,
        r"layers\.1: got one sample of one step in epoch 1, batch 4.*batch norm",
    ),
    "epochs of 2.5": (lambda: Recipe(epochs=2.5), DataError, r"recipe: epochs: got 2\.5 \(float\), expected a whole number"),
    "epochs that are true": (lambda: Recipe(epochs=True), DataError, r"epochs: got True \(bool\)"),
    "a rate in words": (lambda: Optimiser(rate="fast"), DataError, r"optimiser\.rate: got 'fast' \(str\), expected a number"),
    "every 0.5 epochs": (lambda: Schedule(every=0.5), DataError, r"schedule\.every: got 0\.5"),
    "a switch of 1": (lambda: Weights(fire=1), DataError, r"weights\.fire: got 1 \(int\)"),
    "a loss in words": (lambda: Recipe(loss="tet"), DataError, r"recipe: loss: got 'tet' \(str\)"),
    "batches of 2.5": (lambda: data(batch_size=2.5), DataError, r"batch size: got 2\.5, expected a whole number from 1"),
    "batches of true": (lambda: data(batch_size=True), DataError, "batch size: got True"),
    "steps of 2.5": (lambda: Coding("direct", 2.5), DataError, r"direct coding: steps: got 2\.5"),
    "an average that never moves": (lambda: Weights(average=1.0), DataError, r"weights\.average: got 1\.0"),
    "labels smoothed to nothing": (lambda: Loss(smoothing=1.0), DataError, r"loss\.smoothing: got 1\.0"),
    "a tuple for a batch": (lambda: own((X, Y)), DataError, r"a batch, in epoch 1, batch 1: got tuple, expected x"),
    "samples of numpy": (lambda: own(Batch(X.numpy(), Y, M)), DataError, "a batch, in epoch 1, batch 1.*as tensors"),  # type: ignore[arg-type]
    "labels of numpy": (lambda: own(Batch(X, Y.numpy(), M)), DataError, "as tensors"),  # type: ignore[arg-type]
    "labels with a point": (lambda: own(Batch(X, Y.float(), M)), ShapeError, r"labels: got torch\.float32"),
    "labels one hot": (lambda: own(Batch(X, torch.eye(3)[Y].long(), M)), ShapeError, r"labels: got .*\(6, 3\)"),
    "a mask without steps": (lambda: own(Batch(X, Y, ~M)), DataError, "mask: got no step of sample 0"),
    "NaN in training": (lambda: own(Batch(X, Y, M), Batch(X * float("nan"), Y, M)), TrainingError, "input: is NaN.*step 0 on in epoch 1, batch 2"),
    "NaN in validation": (
        lambda: fit(net(), Splits(Own(Batch(X, Y, M)), Own(Batch(X.where(X < 1, torch.inf), Y, M))), QUICK), TrainingError,
        "input: is NaN or infinite from step 0 on in an evaluation, batch 1",
    ),
    "NaN in the test": (
        lambda: fit(net(), Splits(data(), None, Own(Batch(X * float("nan"), Y, M))), QUICK), TrainingError, "in an evaluation, batch 1"
    ),
    "a later batch of another width": (lambda: own(Batch(X, Y, M), Batch(X[..., :7], Y, M)), ShapeError, r"layers\.0: got moments of shape \(7,\)"),
    "no batch in a later epoch": (lambda: fit(net(), Splits(Once(Batch(X, Y, M))), Recipe(epochs=2)), DataError, "no batch in its epoch .in epoch 2"),
    "no batch for validation": (lambda: fit(net(), Splits(data(), Nothing()), QUICK), DataError, "no batch in its epoch .in an evaluation"),
    "a len that is too short": (lambda: fit(net(), Splits(Short(*[Batch(X, Y, M)] * 3)), QUICK), DataError, "more batches in epoch 1 than its len, 1"),
    "labels of halves": (lambda: Arrays(np.ones((3, 4, 8)), np.arange(3) / 2), DataError, "labels: got float64"),
    "time first": (lambda: Arrays(np.ones((4, 6, 8)), np.arange(6)), DataError, "one for each of 4 samples"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_by_name(name: str) -> None:
    given, error, said = REFUSED[name]
    with pytest.raises(error, match=said):
        given()


def test_what_is_odd_is_told() -> None:
    with pytest.warns(SpikeflowWarning, match="every training sample is of class 0"):
        fit(net(), Splits(data(classes=1)), QUICK)
    with pytest.warns(SpikeflowWarning, match=r"no gradient reached layers\.1\.decay.*one step"):
        cells = Sequential(nn.Linear(8, 16), Neuron(LIF(0.8, 0.5), learn="decay"), nn.Linear(16, 3), Neuron(Integrator()))
        fit(cells, Splits(data(steps=1)), QUICK)
    with pytest.warns(SpikeflowWarning, match="epoch 1: the loss on the validation split is (inf|nan)"):
        wide = Sequential(nn.Linear(8, 3), Neuron(Integrator()))
        with torch.no_grad():
            wide.layers[0].weight.fill_(1e38)
            wide.layers[0].weight[1:] *= -1
        zeros = np.zeros((12, 4, 8), np.float32)
        fit(wide, Splits(Arrays(zeros, np.arange(12) % 3), Arrays(zeros + 1, np.arange(12) % 3)), QUICK)


def test_ordinary_small_trainings_pass() -> None:
    """One sample, batches of one with and without batch norm, one step, labels and samples of small types."""
    assert own(SimpleNamespace(x=X, labels=Y)).history[0].train_loss > 0  # a mask is no must
    for parts in (
        data(1, classes=1), data(12, batch_size=1), data(12, 1), Arrays(np.ones((6, 4, 8), bool), np.arange(6, dtype=np.uint8) % 3),
        Arrays(np.ones((6, 4, 8), np.int64)[::-1], np.arange(12)[::2] // 2 % 3),
    ):  # fmt: skip
        found = fit(net(norm=len(parts.x[0]) > 1), Splits(parts, parts), QUICK)
        assert found.history[0].train_loss > 0 and found.valid is not None and found.valid.samples == len(parts.x)


def test_a_checkpoint_is_of_its_data_and_of_its_layers_options(tmp_path: Path) -> None:
    fit(net(), Splits(data(), data(9)), QUICK, Session(tmp_path))
    on = Session(tmp_path, resume=True)
    again = fit(net(), Splits(data(), data(9)), QUICK, on)
    assert len(again.history) == 1
    for splits, where in (
        (Splits(data(24), data(9)), "train"), (Splits(data(), data(10)), "valid"), (Splits(data()), "valid"),
        (Splits(data(batch_size=5), data(9)), "train"), (Splits(data(seed=4), data(9)), "train"),
        (Splits(data(), data(9), data(6)), "test"),
    ):  # fmt: skip
        with pytest.raises(FileError, match=f"another training .data, {where}"):
            fit(net(), splits, QUICK, on)
    for other in (
        net(LIF(0.8, 0.7)), net(LIF(0.8, 0.5, reset="subtract")), net(LIF(0.8, 0.5, convention="normalised")),
        net(derivative=surrogate.triangle), net(derivative=torch.sigmoid), net(LIF(np.full(16, 0.8), 0.5)),
    ):  # fmt: skip
        with pytest.raises(FileError, match=r"another training .(options|shapes), layers\.1"):
            fit(other, Splits(data(), data(9)), QUICK, on)
    dropped = tmp_path / "dropped"
    fit(net(p=0.2), Splits(data()), QUICK, Session(dropped))
    with pytest.raises(FileError, match=r"options, layers\.1, p: 0\.2 in the file, 0\.3 here"):
        fit(net(p=0.3), Splits(data()), QUICK, Session(dropped, resume=True))


class Words(nn.Dropout):
    """A layer of torch of which another torch prints more, or other, words."""

    def extra_repr(self) -> str:
        return f"momentous={self.p}"


Words.__module__ = nn.Dropout.__module__
Words.__name__ = "Dropout"


def test_a_checkpoint_is_of_options_and_not_of_the_words_of_one_torch(tmp_path: Path) -> None:
    """Goes on where torch prints other words, or knows an option more or less; not where one that both know differs."""
    made, one = net(p=0.2, norm=True), Splits(data())
    fit(made, one, QUICK, Session(tmp_path))
    made.layers[2] = Words(0.2)
    on = Session(tmp_path, resume=True)
    assert len(fit(made, one, QUICK, on).history) == 1
    held = checkpoint.signature(made)
    norm = held["options"]["layers.1"]
    assert norm["eps"] == "1e-05" and not set(held["options"]) - set(held["classes"])
    old = "16, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True"
    for found in (old, f"{old}, bias=True", norm | {"bias": "True"}, {k: v for k, v in norm.items() if k != "affine"}):
        changed = held | {"options": held["options"] | {"layers.1": found}}
        checkpoint.check_same(tmp_path, changed, checkpoint.signature(made))
    for found in (old.replace("1e-05", "0.001"), norm | {"eps": "0.001"}):
        changed = held | {"options": held["options"] | {"layers.1": found}}
        with pytest.raises(FileError, match=r"options, layers\.1, eps: 0\.001 in the file, 1e-05 here"):
            checkpoint.check_same(tmp_path, changed, checkpoint.signature(made))
    for found in (3, None, [norm]):
        changed = held | {"options": held["options"] | {"layers.1": found}}
        with pytest.raises(FileError, match=r"another training .options, layers\.1"):
            checkpoint.check_same(tmp_path, changed, checkpoint.signature(made))


HOLDS = (
    "import sys, time; from pathlib import Path; from spikeflow.files.write import alone_in\n"
    "with alone_in(Path(sys.argv[1])):\n    print('there', flush=True); time.sleep(60)"
)


def test_one_process_at_a_time_writes_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen((sys.executable, "-c", HOLDS, str(folder)), stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "there\n"
        with pytest.raises(FileError, match="another process writes there at this moment"):
            fit(net(), Splits(data()), QUICK, Session(folder))
        other.kill()
    assert len(fit(net(), Splits(data()), QUICK, Session(folder)).history) == 1
    left = {path.name for path in folder.iterdir()} - {"tensorboard"}
    assert left == {"last.checkpoint", "best.checkpoint", "metrics.csv", "record.json"}
