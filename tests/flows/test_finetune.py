"""Fine-tuning: a converted network trained on at few steps, by the answers of its ANN."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.calibration import split
from spikeflow.convert import Conversion, convert
from spikeflow.convert.passes.units import rescaled, thresholds_of, unit_thresholds
from spikeflow.convert.verify.answers import ann_outputs
from spikeflow.convert.verify.early import calibrated_exit
from spikeflow.errors import ConversionError, DataError, FileError
from spikeflow.flows.finetune import Finetune, Finetuned, finetune
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population
from spikeflow.sim import Constant, run
from spikeflow.train.augment import Augment
from spikeflow.train.history import Epoch
from spikeflow.train.loop import Session

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")
QUICK = Finetune(epochs=4, rate=3e-3, batch_size=32)


class Residual(nn.Module):
    """A convolution, a block with a skip, a pool and a classifier; no batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(24, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(self.second(x) + x)
        return self.head(torch.nn.functional.avg_pool2d(x, 4).flatten(1))


def blobs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of four classes: a bright quarter on noise."""
    generator = np.random.default_rng(seed)
    y = np.arange(count) % 4
    x = generator.normal(0, 0.6, (count, 1, 8, 8)).astype(np.float32)
    for picture, k in zip(x, y, strict=True):
        picture[0, 4 * (k // 2) : 4 * (k // 2) + 4, 4 * (k % 2) : 4 * (k % 2) + 4] += 0.7
    return x, y


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A network that knows the blobs."""
    torch.manual_seed(0)
    net, (x, y) = Residual(), blobs(400, 1)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimiser.step()
    return net.eval()


@pytest.fixture(scope="module")
def converted(trained: nn.Module) -> Conversion:
    """The network at one step, where balancing alone loses many answers."""
    return convert(trained, blobs(300, 2)[0], steps=1, method="largest")


def _spikes(graph: Graph, x: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    names = [n for n in graph.of_kind(Population) if graph.nodes[n].model == "IF"]
    found = run(graph, Constant(x), steps, record=names)
    return {name: found.recorded[name].dense() for name in names}


def test_thresholds_of_one_are_the_same_network(converted: Conversion) -> None:
    """Powers of two as factors: every spike of both forms and of the way back is the same."""
    graph, x = converted.network.graph, blobs(8, 3)[0]
    generator = np.random.default_rng(0)
    factors = {
        n: np.exp2(generator.integers(-3, 4, theta.shape)).astype(np.float64)
        for n, theta in thresholds_of(graph).items()
    }
    moved = rescaled(graph, factors)
    wanted, found = _spikes(graph, x, 12), _spikes(moved, x, 12)
    assert all((wanted[n] == found[n]).all() for n in wanted) and any(w.any() for w in wanted.values())
    for name, factor in factors.items():
        before, after = graph.nodes[name], moved.nodes[name]
        assert np.array_equal(after.params["threshold"], (before.params["threshold"] * factor).astype(np.float32))
    back = rescaled(moved, {n: 1 / f for n, f in factors.items()})
    assert len(back.nodes) == len(graph.nodes)
    assert all((wanted[n] == s).all() for n, s in _spikes(back, x, 12).items())


def test_units_are_all_one(converted: Conversion) -> None:
    graph = unit_thresholds(converted.network.graph)
    assert all(np.allclose(theta, 1, rtol=1e-6) for theta in thresholds_of(graph).values())
    starts = [graph.nodes[n].initial["v"] for n in thresholds_of(graph)]
    assert all(np.allclose(start, 0.5, rtol=1e-6) for start in starts)


def test_answers_come_nearer(converted: Conversion) -> None:
    """On samples that neither trained nor selected."""
    x = blobs(300, 2)[0]
    found = finetune(converted, x, options=replace(QUICK, epochs=12))
    before, after = converted.fidelity.outputs[0], found.conversion.fidelity.outputs[0]
    assert after.agreement > before.agreement + 0.05, (before, after)
    assert found.after > found.before and len(found.history) == 12
    assert set(found.conversion.network.graph.nodes) == set(converted.network.graph.nodes)
    assert found.conversion.network.record.steps == 1


def test_a_break_changes_nothing(converted: Conversion, tmp_path: Path) -> None:
    x = blobs(300, 2)[0]
    options = replace(QUICK, augment=Augment(shift=1, flip=True))

    def stop(row: Epoch) -> None:
        if row.epoch == 2:
            raise KeyboardInterrupt

    whole = finetune(converted, x, options=options)
    with pytest.raises(KeyboardInterrupt):
        finetune(converted, x, options=options, session=Session(tmp_path / "a", tell=stop))
    with pytest.raises(FileError, match="--resume"):
        finetune(converted, x, options=options, session=Session(tmp_path / "a"))
    resumed = finetune(converted, x, options=options, session=Session(tmp_path / "a", resume=True))
    assert [r.train_loss for r in resumed.history] == [r.train_loss for r in whole.history]
    assert resumed.conversion.network.graph.digest == whole.conversion.network.graph.digest


def test_a_checkpoint_of_another_conversion(trained: nn.Module, converted: Conversion, tmp_path: Path) -> None:
    x = blobs(300, 2)[0]
    finetune(converted, x, options=replace(QUICK, epochs=1), session=Session(tmp_path / "a"))
    other = convert(trained, x, steps=1, percentile=90.0)
    with pytest.raises(FileError, match="graph"):
        finetune(other, x, options=replace(QUICK, epochs=1), session=Session(tmp_path / "a", resume=True))


def test_what_gets_worse_is_left_as_it_was(trained: nn.Module) -> None:
    x = blobs(300, 2)[0]
    good = convert(trained, x, steps=64)
    found = finetune(good, x, options=replace(QUICK, epochs=1, rate=3.0))
    assert found.conversion.network.graph.digest == good.network.graph.digest
    assert any("left as it was" in text for text in found.conversion.warnings)


def test_labels_take_their_share(converted: Conversion) -> None:
    """Labels that are all turned round are followed where they have the whole loss."""
    x, y = blobs(300, 2)
    turned = finetune(converted, x, 3 - y, replace(QUICK, epochs=12, labels=1.0))
    assert turned.after > 0.6
    with pytest.raises(DataError, match="labels"):
        finetune(converted, x, None, replace(QUICK, labels=0.5))


def test_refused_by_name(trained: nn.Module, converted: Conversion) -> None:
    x = blobs(300, 2)[0]
    rated = convert(trained, np.abs(x), steps=4, coding="rate")
    with pytest.raises(ConversionError, match="--input direct"):
        finetune(rated, np.abs(x))
    late = convert(trained, x, steps=12, read_from=4)
    assert late.network.record.read_from == 4
    with pytest.raises(ConversionError, match="--read-from 0"):
        finetune(late, x)
    with pytest.raises(DataError, match="samples"):
        finetune(converted, x[:30])
    one = convert(nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 1)), x, steps=4)
    with pytest.raises(ConversionError, match="two classes"):
        finetune(one, x)
    capped = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU6(), nn.Linear(8, 3)).eval()
    with pytest.raises(ConversionError, match="FollowingIF.*Try: ReLU and --alphabet binary; ReLU6"):
        finetune(convert(capped, x, steps=4), x)


class Two(nn.Module):
    """Of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 4), nn.Linear(3, 4)

    def forward(self, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return self.b(torch.relu(self.a(p))[:, :3] + q)


def test_several_inputs_are_refused_by_name() -> None:
    x = {n: np.random.default_rng(0).normal(size=(200, k)).astype(np.float32) for n, k in (("p", 5), ("q", 3))}
    with pytest.raises(ConversionError, match="several inputs"):
        finetune(convert(Two().eval(), x, steps=4), x)


def test_an_exit_is_calibrated_anew(trained: nn.Module) -> None:
    """On the same samples, for the network that was trained; and errors of layers and the note are of it."""
    x = blobs(300, 2)[0]
    first = convert(trained, x, steps=6, method="largest", exit=0.0)
    found = finetune(first, x, options=QUICK).conversion
    assert found.network.graph.digest != first.network.graph.digest
    held = x[split(x).held_back]
    wanted = calibrated_exit(
        replace(found.network, record=replace(found.network.record, exit=None)), ann_outputs(first.ann, held), held, 0.0
    )
    assert found.network.record.exit == wanted.rule != first.network.record.exit
    assert found.report.read_out.exit == wanted
    assert found.report.errors and found.report.errors != first.report.errors
    assert found.network.record.notes["conversion"] == found.report.to_note()


def test_words(converted: Conversion) -> None:
    found = finetune(converted, blobs(300, 2)[0], options=replace(QUICK, epochs=1))
    assert isinstance(found, Finetuned) and "1 epochs" in found.to_text()
    assert found.to_json()["epochs"] == 1
