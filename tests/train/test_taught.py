"""What a recipe's training adds to its loss: operations counted as the engine counts them, a teacher's logits,
surrogates that change; and that a break changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.errors import DataError, UnsupportedLayer
from spikeflow.neurons import LIF, Integrator, Neuron, Recurrent, Residual, Sequential
from spikeflow.neurons.surrogate import ArcTangent
from spikeflow.neurons.surrogate_schedule import surrogates_of
from spikeflow.sim import Dense, run
from spikeflow.train import loss
from spikeflow.train.batches import Batch, Batches
from spikeflow.train.fans import fan_outs
from spikeflow.train.loop import Session, fit
from spikeflow.train.metric import work
from spikeflow.train.recipe import (
    Distillation,
    Loss,
    Optimiser,
    Recipe,
    Regularise,
    SurrogateSchedule,
    of_table,
)
from spikeflow.train.regularise import synaptic_operations
from tests.train.digits import network, splits

T, B = 5, 3
POOLS = (nn.AvgPool2d(2), nn.AvgPool2d((1, 3)), nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(3, 3, 1))


@pytest.mark.parametrize("seed", range(4))
def test_fan_outs_count_the_operations_of_the_engine(seed: int) -> None:
    """Without pools, spike by spike; what comes back in the step after the last is not counted by the engine."""
    torch.manual_seed(seed)
    size = (2, 7, 5 + seed)
    conv = nn.Conv2d(3, 4, 2, padding=seed % 2, stride=1 + seed % 3)
    front = Sequential(nn.Conv2d(2, 3, 3, padding=1), Neuron(LIF(0.8, 0.2)), conv, Neuron(LIF(0.7, 0.1)))
    width = int(front(torch.zeros(1, 1, *size))[0].numel())
    back = (
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(width, 6),
        Recurrent(Neuron(LIF(0.9, 0.1)), nn.Linear(6, 6)),
    )
    net = Sequential(*front.layers, *back, nn.Linear(6, 3), Neuron(Integrator())).eval()
    x = (torch.rand(T, B, *size) < 0.5).float()
    fans = fan_outs(net, size)
    assert list(fans) == ["layers.1", "layers.3", "layers.7"]
    found, _ = net(x, record=tuple(fans))
    counts = run(capture_trained(net, size, dt=1e-3, steps=T).graph, Dense(x.numpy()), T).counts
    wanted = sum(c.accumulates for name, c in counts.items() if name != "layers.0")
    left = float(found["layers.7"][-1].sum()) * 6
    cost = float(synaptic_operations({name: found[name] for name in fans}, fans).detach())
    assert cost * B - left == pytest.approx(wanted) and wanted > 0


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_a_lone_spike_behind_a_pool_costs_what_the_engine_counts(pool: nn.Module) -> None:
    size, draw = (2, 7, 8), np.random.default_rng(0)
    net = Sequential(Neuron(LIF(0.0, 0.5)), pool, nn.Conv2d(2, 3, 2, padding=1), Neuron(LIF())).eval()
    fan = fan_outs(net, size)["layers.0"].flatten()
    graph = capture_trained(net, size, dt=1e-3, steps=1).graph
    for _ in range(5):
        chosen = draw.choice(112, 10, replace=False)
        x = np.zeros((1, 10, 112), np.float32)
        x[0, np.arange(10), chosen] = 1  # one spike a sample
        counted = run(graph, Dense(x.reshape(1, 10, *size)), 1).counts["layers.2"]
        assert counted.accumulates + counted.multiply_accumulates == fan[chosen].sum()


def test_networks_of_which_nothing_is_counted_are_refused() -> None:
    cells = Neuron(LIF())
    for net in (
        Sequential(nn.Linear(3, 3), Residual(nn.Linear(3, 3)), cells),
        Sequential(nn.Linear(3, 3), cells, nn.LayerNorm(3)),
    ):
        with pytest.raises(UnsupportedLayer, match="no synapses are counted"):
            fan_outs(net, (3,))


def test_a_penalty_on_operations_makes_fewer() -> None:
    made = []
    for weight in (0.0, 100.0):
        net = network()
        fit(
            net,
            splits(200),
            Recipe(
                epochs=12, optimiser=Optimiser(rate=2e-2), regularise=Regularise(operations_weight=weight)
            ),
        )
        made.append(work(net, next(iter(splits(200).valid.epoch(0))).x).spikes)  # type: ignore[union-attr]
    assert made[1] < 0.7 * made[0]


class _Known:
    """Logits that say the label with certainty, or one beside it."""

    @staticmethod
    def of(labels: np.ndarray, beside: int) -> np.ndarray:
        return 20 * np.eye(10, dtype=np.float32)[(labels + beside) % 10]


def test_a_teacher_is_followed_whatever_the_labels_say() -> None:
    recipe = Recipe(epochs=8, distillation=Distillation("x", 1.0, 1.0), loss=Loss())
    parts = splits(400)
    parts.train.teacher = _Known.of(parts.train.labels, 1)  # type: ignore[union-attr, attr-defined]
    # no split that selects by labels
    found = fit(network(), replace(parts, valid=None, test=None), recipe)
    batch = next(iter(parts.valid.epoch(0)))  # type: ignore[union-attr]
    answers = found.net(batch.x)[0][-1].argmax(1)
    assert float((answers == (batch.labels + 1) % 10).float().mean()) > 0.6
    with pytest.raises(DataError, match="without logits of a teacher"):
        fit(network(), splits(100), recipe)


class _Told:
    """Batches that say what the first layer of neurons should hand on: of the neurons every other, always."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[Batch]:
        for batch in self.batches.epoch(number):
            wanted = (torch.arange(32) % 2 == 0).float().expand(batch.x.shape[1], 32)
            yield replace(batch, layers={"layers.2": wanted})


def test_layers_follow_what_batches_say() -> None:
    parts, distances = splits(400), []
    for weight in (0.0, 10.0):
        recipe = Recipe(8, optimiser=Optimiser(rate=2e-2), distillation=Distillation(layers=weight))
        found = fit(network(), replace(parts, train=_Told(parts.train), valid=None, test=None), recipe)
        batch = next(iter(_Told(parts.train).epoch(0)))
        distances.append(
            float(loss.layers(found.net(batch.x, record=("layers.2",))[0], batch.layers).detach())
        )
    assert distances[1] < 0.5 * distances[0], distances


def test_surrogates_change_geometrically_and_go_on_after_a_break(tmp_path: Path) -> None:
    recipe = Recipe(epochs=3, surrogate=SurrogateSchedule({"slope": 8.0}))
    seen: list[float] = []

    def told(net: nn.Module) -> None:
        seen.extend(
            {d.slope for p, d in surrogates_of(net).items() if isinstance(d, ArcTangent) and p == "layers.2"}
        )

    net = network()
    fit(net, splits(100), recipe, Session(tmp_path / "whole", tell=lambda _: told(net)))
    assert seen == [2.0, pytest.approx(4.0), 8.0]
    whole = (tmp_path / "whole/last.checkpoint").read_bytes()

    class Broken(Exception):
        pass

    def broken(row: object) -> None:
        raise Broken

    with pytest.raises(Broken):
        fit(network(), splits(100), recipe, Session(tmp_path / "broken", tell=broken))
    fit(network(), splits(100), recipe, Session(tmp_path / "broken", resume=True))
    assert (tmp_path / "broken/last.checkpoint").read_bytes() == whole
    with pytest.raises(DataError, match=r"surrogate\.last.*slope"):
        fit(network(), splits(100), replace(recipe, surrogate=SurrogateSchedule({"width": 1.0})))


def test_the_new_tables_are_read_and_checked() -> None:
    recipe = of_table(
        Recipe, {"surrogate": {"last": {"slope": 4}}, "distillation": {"weight": 0.5, "file": "a.pt"}}
    )
    assert recipe.surrogate.last == {"slope": 4.0} and recipe.distillation.temperature == 4.0
    for table, match in (
        ({"distillation": {"weight": 2.0}}, r"distillation\.weight"),
        ({"distillation": {"temperature": 0.0}}, r"distillation\.temperature"),
        ({"surrogate": {"epochs": 1}}, r"surrogate\.epochs"),
        ({"regularise": {"operations_weight": -1.0}}, r"operations_weight"),
        ({"regularise": {"operations_weight": 1.0}, "rule": {"kind": "ottt"}}, "regularise"),
    ):
        with pytest.raises(DataError, match=match):
            of_table(Recipe, table)
