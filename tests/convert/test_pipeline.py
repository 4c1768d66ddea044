"""convert: a network in, a spiking network and its report out; every bad input ends in its error."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from spikeflow.calibration import split
from spikeflow.convert import ConvertOptions, convert
from spikeflow.convert.passes.forward import forward
from spikeflow.convert.verify.compare import compare
from spikeflow.errors import ConversionError, DataError, FileError, UnsupportedLayer
from spikeflow.ir import file, stages
from spikeflow.ir.nodes import Input
from spikeflow.sim.classify import RunOptions, classify
from tests.convert.networks import Calls, ResNet, answers, captured, samples, settled, small_cnn, traced

Array = np.ndarray[Any, Any]
REFERENCE = RunOptions(engine="reference")


class Digits:
    """The scanned digits, split into training, calibration and test, and a network trained on the first."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        data = load_digits()
        order = np.random.default_rng(0).permutation(len(data.target))
        x, y = (data.images[order, None] / 16).astype(np.float32), data.target[order]
        self.train, self.calibration, self.test = (
            (x[a:b], y[a:b]) for a, b in ((0, 1200), (1000, 1200), (1200, 1400))
        )
        self.module = small_cnn()
        optimiser = torch.optim.Adam(self.module.parameters(), 3e-3)
        for _ in range(12):
            for batch in torch.randperm(1200).split(50):
                optimiser.zero_grad()
                answer = self.module(torch.from_numpy(x[batch.numpy()]))
                nn.functional.cross_entropy(answer, torch.from_numpy(y[batch.numpy()])).backward()
                optimiser.step()
        self.module.eval()
        self.ann = float((answers(self.module, self.test[0]).argmax(1) == self.test[1]).mean())


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


@pytest.mark.parametrize("coding, points", [("direct", 2.0), ("rate", 4.0), ("onoff", 4.0)])
def test_digits_lose_little_at_64_steps(digits: Digits, coding: str, points: float) -> None:
    made = convert(digits.module, *digits.calibration, coding=coding)
    found = classify(made.network, digits.test[0], REFERENCE)
    assert digits.ann > 0.95
    assert found.accuracy(digits.test[1]) >= digits.ann - points / 100
    assert made.report.ann_accuracy is not None and made.report.ann_accuracy > 0.95


def test_without_data_the_digits_still_convert(digits: Digits) -> None:
    made = convert(digits.module, input_shape=(1, 8, 8))
    assert made.report.data_free and "data-free" in made.report.to_text()
    assert classify(made.network, digits.test[0], REFERENCE).accuracy(digits.test[1]) >= digits.ann - 0.02


def test_the_record_says_how_to_run() -> None:
    made = convert(
        settled(small_cnn()), samples((1, 8, 8)), steps=32, seed=5, coding="onoff", labels=tuple("abcdefghij")
    )
    record = made.network.record
    assert (record.steps, record.seed, record.coding, record.readout) == (32, 5, "onoff", "readout")
    assert record.input_shape == (1, 8, 8) and record.labels[9] == "j"
    setting = samples((1, 8, 8))[split(samples((1, 8, 8))).setting]
    assert record.scale == float(np.abs(setting).max())
    assert record.seen == (float(setting.min()), float(setting.max()))
    node = made.network.graph.nodes["input"]
    assert isinstance(node, Input) and node.shape == (2, 8, 8) and node.kind == "spikes"
    stages.check(made.network.graph, "snn")


def test_the_same_call_gives_the_same_network_and_options_are_keywords() -> None:
    module, x = settled(small_cnn()), samples((1, 8, 8))
    one = convert(module, x, steps=16, percentile=99)
    two = convert(module, x, options=ConvertOptions(steps=16, percentile=99))
    assert one.network.graph.digest == two.network.graph.digest
    assert one.network.graph.digest != convert(module, x, percentile=50).network.graph.digest


def test_a_converted_network_survives_its_file(tmp_path: Path) -> None:
    made = convert(settled(small_cnn()), samples((1, 8, 8)))
    file.write(tmp_path / "net.h5", made.network)
    assert file.read(tmp_path / "net.h5").graph.digest == made.network.graph.digest


def test_a_saved_module_a_path_and_a_traced_graph_convert_alike(tmp_path: Path) -> None:
    module, x = settled(small_cnn()), samples((1, 8, 8))
    torch.save(module, tmp_path / "ann.pt")
    digests = {
        convert(source, x).network.graph.digest
        for source in (module, tmp_path / "ann.pt", str(tmp_path / "ann.pt"), traced(module, (1, 8, 8)))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("decomposed", [False, True])
def test_an_archive_of_torch_export_converts_alike(tmp_path: Path, decomposed: bool) -> None:
    module, x = settled(small_cnn()), samples((1, 8, 8))
    program = torch.export.export(module, (torch.zeros(1, 1, 8, 8),))
    torch.export.save(program.run_decompositions() if decomposed else program, tmp_path / "ann.pt2")
    one, two = convert(tmp_path / "ann.pt2", x), convert(module, x)
    assert one.network.graph.digest == two.network.graph.digest
    assert one.report.difference is not None and one.report.difference < 1e-4


def test_the_engine_gives_the_bits_of_the_reference() -> None:
    pytest.importorskip("spikeflow.sim._engine")
    made = convert(settled(ResNet(1, 4)), samples((3, 8, 8)), steps=12)
    one, two = (
        classify(made.network, samples((3, 8, 8)), RunOptions(engine=e)) for e in ("cpp", "reference")
    )
    assert np.array_equal(one.logits, two.logits)


def test_the_users_module_is_left_as_it_was() -> None:
    module = settled(small_cnn()).train()
    module[1].eval()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    convert(module, samples((1, 8, 8)))
    assert module.training and module[0].training and not module[1].training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_a_double_precision_module_converts() -> None:
    convert(settled(small_cnn()).double(), samples((1, 8, 8)))


def test_softmax_at_the_end_is_compared_as_softmax() -> None:
    made = convert(nn.Sequential(settled(small_cnn()), nn.LogSoftmax(1)).eval(), samples((1, 8, 8)))
    assert made.report.difference is not None and made.report.difference < 1e-4


def test_a_wrong_capture_is_an_error() -> None:
    module = settled(small_cnn())
    found = captured(module, (1, 8, 8))
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] += 1
    with pytest.raises(ConversionError, match="differs from the module"):
        compare(module, traced(module, (1, 8, 8)), found, samples((1, 8, 8)))


@pytest.mark.parametrize(
    "x, words",
    [
        (np.zeros((0, 1, 8, 8)), "at least one sample"),
        (np.zeros((3, 2, 8, 8)), "a shape that the network takes"),
        (np.zeros((3, 64)), "a shape that the network takes"),
        (np.full((3, 1, 8, 8), np.inf), "NaN or infinite"),
        (np.zeros(3), "at least one sample"),
        (np.array([["a", "b"]]), "numbers"),
    ],
)
def test_unusable_data_is_refused(x: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        convert(settled(small_cnn()), x)


def test_data_that_does_not_fit_a_traced_graph_is_refused() -> None:
    with pytest.raises(DataError, match="1, 8, 8"):
        convert(traced(settled(small_cnn()), (1, 8, 8)), np.zeros((3, 1, 9, 9)))
    with pytest.raises(DataError, match="calibration data"):
        convert(settled(small_cnn()), np.zeros((3, 1, 8, 8)), input_shape=(1, 9, 9))


@pytest.mark.parametrize(
    "y, words",
    [
        (np.zeros(4, int), r"\(5, ...\)"),
        (np.zeros(5), "if they are classes"),
        (np.full(5, 10), "0 to 9"),
        (np.full(5, -1), "0 to 9"),
    ],
)
def test_unusable_labels_are_refused(y: Array, words: str) -> None:
    with pytest.raises(DataError, match=words):
        convert(settled(small_cnn()), samples((1, 8, 8)), y)


def test_labels_without_samples_are_refused() -> None:
    with pytest.raises(DataError, match="both or neither"):
        convert(settled(small_cnn()), None, np.zeros(5, int), input_shape=(1, 8, 8))


def test_negative_data_has_no_rates() -> None:
    with pytest.raises(DataError, match="--input onoff"):
        convert(settled(small_cnn()), samples((1, 8, 8)), coding="rate")


@pytest.mark.parametrize("settings", [{"reset": "half"}, {"coding": "latency"}, {"percentile": 0.0}])
def test_unknown_choices_are_refused(settings: Any) -> None:
    with pytest.raises(ConversionError):
        convert(settled(small_cnn()), samples((1, 8, 8)), **settings)


def test_what_cannot_be_converted_says_why() -> None:
    with pytest.raises(ConversionError, match="--input-shape"):
        convert(settled(small_cnn()))
    with pytest.raises(ConversionError, match="no activation"):
        convert(nn.Linear(3, 2), np.zeros((2, 3)))
    with pytest.raises(ConversionError, match="--data"):
        convert(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)), input_shape=(3,))
    with pytest.raises(UnsupportedLayer, match="1: .*LPPool2d"):
        convert(nn.Sequential(nn.Conv2d(1, 2, 3), nn.LPPool2d(2, 2), nn.ReLU()), samples((1, 8, 8)))
    with pytest.raises(UnsupportedLayer, match="1: batch norm with track_running_stats=False"):
        convert(
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False), nn.ReLU()),
            samples((1, 8, 8)),
        )
    with pytest.raises(FileError):
        convert("/nowhere/ann.pt", samples((1, 8, 8)))
    with pytest.raises(ConversionError, match="--arch"):
        convert(settled(small_cnn()), samples((1, 8, 8)), arch="a:b")


def test_a_branch_on_values_is_an_error() -> None:
    module = Calls(lambda m, x: torch.relu(m.a(x)) if x.sum() > 0 else m.a(x), a=nn.Linear(3, 2))
    with pytest.raises(ConversionError):
        convert(module, np.ones((3, 3)))


# the residual network that nobody here trained


def resnet20(folder: Path) -> nn.Module:
    stored = torch.load(
        folder / "pretrained/cifar10_resnet/resnet20-12fca82f.th", weights_only=True, map_location="cpu"
    )
    module = ResNet()
    module.load_state_dict(
        {k.removeprefix("module."): v for k, v in stored["state_dict"].items()}, strict=False
    )
    return module.eval()


def pictures(folder: Path, split: str, count: int) -> tuple[Array, Array]:
    image = pytest.importorskip("PIL.Image")
    pixels = (
        np.asarray(image.open(folder / f"cifar10/{split}_00.png"))
        .reshape(-1, 32, 32, 3)[:count]
        .astype(np.float32)
    )
    x = (pixels / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    with (folder / f"cifar10/{split}.csv").open() as rows:
        labels = np.array([int(row["label"]) for row in csv.DictReader(rows)][:count])
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)), labels


def test_resnet20_is_captured_exactly(data_folder: Path) -> None:
    module, x = resnet20(data_folder), samples((3, 32, 32), 8)
    assert np.abs(forward(captured(module, (3, 32, 32)).graph, x) - answers(module, x)).max() < 1e-4


def test_resnet20_without_data_has_its_dead_channels_at_the_floor(data_folder: Path) -> None:
    made = convert(resnet20(data_folder), input_shape=(3, 32, 32))
    assert (made.report.at_floor, sum(x.channels for x in made.report.layers)) == (18, 688)


def test_resnet20_answers_as_before(data_folder: Path) -> None:
    module = resnet20(data_folder)
    made = convert(module, *pictures(data_folder, "train", 100))
    assert made.report.ann_accuracy is not None and made.report.ann_accuracy > 0.97
    x, _ = pictures(data_folder, "test", 4)
    found = classify(made.network, x, RunOptions(engine="reference", steps=48))
    assert (found.predictions() == answers(module, x).argmax(1)).sum() >= 3
