"""What a trainer does wrong without noticing: refused, or told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.errors import DataError, SpikeflowWarning, TrainingError
from spikeflow.neurons import LIF, Integrator, Neuron, Sequential
from spikeflow.train import loss
from spikeflow.train.batches import Arrays, Batch, Coding, Splits
from spikeflow.train.loop import fit
from spikeflow.train.metric import accuracy, decision_steps
from spikeflow.train.recipe import Loss, Optimiser, Recipe, Regularise, Weights, of_table, unused

DRAW = np.random.default_rng(2)
OUTPUTS = torch.from_numpy(DRAW.normal(size=(6, 4, 3)).astype(np.float32))
SPIKES, LABELS = (OUTPUTS > 0).float(), torch.tensor([0, 1, 2, 0])
NAN, INFINITE = float("nan"), float("inf")

REFUSED: dict[str, Callable[[], object]] = {
    "smoothing: got -0.5": lambda: loss.cross_entropy(OUTPUTS, LABELS, smoothing=-0.5),
    "smoothing: got 2": lambda: loss.per_step(OUTPUTS, LABELS, smoothing=2),
    "outputs: got torch.bool": lambda: loss.cross_entropy(OUTPUTS > 0, LABELS),
    "outputs: got torch.int64": lambda: loss.tet(OUTPUTS.long(), LABELS),
    "spikes: got torch.bool": lambda: loss.van_rossum(OUTPUTS > 0, OUTPUTS > 0, 0.5),
    "tet: level: got nan": lambda: loss.tet(OUTPUTS, LABELS, level=NAN),
    "rate: correct: got -1": lambda: loss.rate(SPIKES, LABELS, correct=-1),
    "count: incorrect: got nan": lambda: loss.count(SPIKES, LABELS, incorrect=NAN),
    "distillation: temperature: got inf": lambda: loss.distillation(OUTPUTS[0], OUTPUTS[1], INFINITE),
    "contrastive: got torch.int64": lambda: loss.contrastive(OUTPUTS[0].long(), OUTPUTS[1].long()),
    "loss.correct: got 0.9": lambda: Loss("count"),
    "loss.incorrect: got -1": lambda: Loss("rate", incorrect=-1.0),
    "labels: got torch.float32": lambda: accuracy(OUTPUTS, LABELS.float()),
    "labels: got torch.int64, -1 to 0": lambda: accuracy(OUTPUTS, torch.where(torch.eye(6, 4) > 0, -1, 0)),
    "labels: got torch.int64, 0 to 3": lambda: accuracy(OUTPUTS, LABELS + torch.tensor([0, 0, 1, 0])),
    "no step of sample 0": lambda: accuracy(
        OUTPUTS, LABELS.expand(6, 4), torch.zeros(6, 4, dtype=torch.bool)
    ),
    "outputs: got NaN": lambda: decision_steps(OUTPUTS * NAN),
    r"labels: got shape \(9, 3\)": lambda: Arrays(np.ones((9, 5, 2)), np.eye(3, dtype=int)[np.arange(9) % 3]),
    r"labels: got shape \(9, 3\),": lambda: Arrays(
        np.ones((9, 2)), np.ones((9, 3), int), Coding("direct", 5)
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words: str) -> None:
    with pytest.raises(DataError, match=words):
        REFUSED[words]()


def test_no_number_is_no_right_answer() -> None:
    outputs = OUTPUTS.clone()
    labels = outputs[-1].argmax(1)
    assert accuracy(outputs, labels) == 1
    outputs[-1, 2] = NAN
    assert accuracy(outputs, labels) == 0.75
    outputs[:, 1, 2] = NAN
    assert accuracy(outputs, torch.where(outputs.isnan().any(-1), 0, outputs.argmax(-1))) == (24 - 7) / 24


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: loss.rate(OUTPUTS, LABELS), "values that are none"),
        (lambda: loss.count(OUTPUTS.sigmoid(), LABELS, correct=3), "values that are none"),
        (
            lambda: loss.rate(SPIKES, LABELS, correct=1.5),
            "asks for 1.5, and a spike in every step is the most",
        ),
        (lambda: loss.count(SPIKES, LABELS), "asks for 10, and 6 spikes"),
    ],
)
def test_losses_of_spikes_tell_of_what_no_spikes_reach(made: Callable[[], object], words: str) -> None:
    with pytest.warns(SpikeflowWarning, match=words):
        made()


def test_and_of_nothing_else() -> None:
    padded = SPIKES.clone()
    padded[4:, 1] = 0.5
    mask = padded.sum(-1) != 1.5
    with warnings.catch_warnings():
        warnings.simplefilter("error", SpikeflowWarning)
        loss.rate(SPIKES, LABELS)
        loss.rate(SPIKES > 0, LABELS, correct=1.0)
        loss.count(SPIKES, LABELS, correct=6, incorrect=0)
        loss.count(3 * SPIKES, LABELS, correct=10)  # bursts
        loss.rate(padded, LABELS, mask)


def arrays(seed: int, samples: int = 24, steps: bool = False) -> Arrays:
    draw = np.random.default_rng(seed)
    x = draw.random((samples, 5, 4), np.float32)
    return Arrays(x, np.arange(samples)[:, None] * np.ones(5, int) % 2 if steps else np.arange(samples) % 2)


ONCE = Recipe(epochs=1)


def trained(splits: Splits, recipe: Recipe = ONCE) -> list[str]:
    """What training tells."""
    torch.manual_seed(0)
    net = Sequential(nn.Linear(4, 8), Neuron(LIF(0.8)), nn.Linear(8, 2), Neuron(Integrator()))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SpikeflowWarning)
        fit(net, splits, recipe)
    return [str(w.message) for w in told]


def test_splits_that_share_samples_are_told() -> None:
    train, other = arrays(0), arrays(1)
    some = Arrays(np.concatenate([train.x[:4], other.x[:12]]), np.arange(16) % 2)
    assert trained(Splits(train, other, arrays(2))) == []
    assert trained(Splits(train, train)) == [
        "24 of the 24 samples of valid are in train, too: its figure is too good"
    ]
    assert trained(Splits(train, other, some)) == [
        "4 of the 16 samples of test are in train, too: its figure is too good",
        "12 of the 16 samples of test are in valid, too: its figure is too good",
    ]
    few = Arrays(np.concatenate([train.x[:1], other.x[:12]]), np.arange(13) % 2)
    assert trained(Splits(train, few)) == []


def test_an_average_longer_than_the_training_is_told() -> None:
    recipe = Recipe(epochs=2, weights=Weights(average=0.999))
    (text,) = trained(Splits(arrays(0)), recipe)
    assert text.startswith("weights.average reaches over 1000 batches, and the training has 2")
    assert trained(Splits(arrays(0)), replace(recipe, weights=Weights(average=0.5))) == []


def test_what_will_not_learn_is_told_before() -> None:
    assert trained(Splits(arrays(0)), Recipe(epochs=1, optimiser=Optimiser(rate=0.0))) == [
        "optimiser.rate is 0: no weight will change"
    ]
    x = arrays(0).x
    (text,) = trained(Splits(Arrays(x, np.eye(5, dtype=int)[np.arange(24) % 5])))
    assert text.startswith("labels are taken as one for each step") and "(5 steps, 24 samples)" in text
    for bad in (np.nan, np.inf):
        net = Sequential(nn.Linear(4, 2), Neuron(Integrator()))
        with torch.no_grad():
            net.layers[0].weight[1, 2] = bad
        with pytest.raises(
            TrainingError, match=r"layers\.0\.weight: holds NaN or infinite weights before epoch 1"
        ):
            fit(net, Splits(arrays(0)), ONCE)


def test_labels_of_steps_and_what_does_not_go_with_them() -> None:
    with pytest.raises(DataError, match="labels of samples and of steps, in train and valid"):
        trained(Splits(arrays(0), arrays(1, steps=True)))
    with pytest.raises(DataError, match=r"loss.reading: got mean, expected last: every step has a label"):
        trained(Splits(arrays(0, steps=True)), Recipe(epochs=1, loss=Loss(reading="mean")))
    assert trained(Splits(arrays(0, steps=True), arrays(1, steps=True))) == []


class _Padded:
    """Samples of 3 to 6 steps, padded with 0 to so many."""

    def __init__(self, steps: int) -> None:
        draw = torch.Generator().manual_seed(0)
        lengths = torch.tensor([3, 6, 4, 5])
        x = (torch.rand(6, 4, 8, generator=draw) < 0.5).float()
        self.mask = torch.arange(steps)[:, None] < lengths
        self.x = torch.zeros(steps, 4, 8)
        self.x[:6] = x * self.mask[:6, :, None]
        self.labels = torch.tensor([0, 1, 2, 0])

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int) -> Any:
        return [Batch(self.x, self.labels, self.mask)]


def _cells(*between: nn.Module) -> Sequential:
    torch.manual_seed(3)
    net = Sequential(nn.Linear(8, 16), *between, Neuron(LIF(0.8, 0.3)), nn.Linear(16, 3), Neuron(Integrator()))
    nn.init.constant_(net.layers[0].bias, 0.2)  # so that neurons spike in the padding, too
    return net


@pytest.mark.parametrize("costs", (Regularise(5.0, 0.05, 0.1), Regularise(silence_weight=5.0, silence_least=9), Regularise(operations_weight=5.0)))
def test_padding_costs_nothing(costs: Regularise) -> None:
    found = []
    for steps in (6, 15):
        net = _cells()
        fit(net, Splits(_Padded(steps)), Recipe(epochs=3, loss=Loss(reading="mean"), regularise=costs))
        found.append(net.state_dict())
    plain = _cells()
    fit(plain, Splits(_Padded(6)), Recipe(epochs=3, loss=Loss(reading="mean")))
    for name, value in found[0].items():
        assert torch.allclose(value, found[1][name], atol=1e-5), name
    assert not torch.allclose(found[0]["layers.0.weight"], plain.state_dict()["layers.0.weight"], atol=1e-4)


def test_batch_norm_over_padding_is_told() -> None:
    with pytest.warns(SpikeflowWarning, match=r"layers\.1 takes its statistics over all steps, 55% of the first batch are padding"):
        fit(_cells(nn.BatchNorm1d(16)), Splits(_Padded(10)), Recipe(epochs=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", SpikeflowWarning)
        fit(_cells(), Splits(_Padded(10)), Recipe(epochs=1))


IDLE: dict[str, dict[str, Any]] = {
    "optimiser.momentum does nothing without optimiser.kind sgd": {"optimiser": {"momentum": 0.5}},
    "schedule.every does nothing without schedule.kind step": {"schedule": {"every": 3}},
    "loss.smoothing does nothing without loss.kind cross_entropy": {"loss": {"kind": "tet", "smoothing": 0.1}},
    "loss.share does nothing": {"loss": {"share": 0.1}},
    "loss.incorrect does nothing": {"loss": {"incorrect": 0.2}},
    "regularise.rate_high does nothing without regularise.rate_weight": {"regularise": {"rate_high": 0.2}},
    "distillation.file does nothing without distillation.weight": {"distillation": {"file": "ann.pt"}},
    "surrogate.epochs does nothing without surrogate.last": {"surrogate": {"epochs": 4}},
    "rule.steps does nothing without rule.kind truncated": {"rule": {"kind": "sltt", "steps": 3}},
    "rule.seed does nothing": {"rule": {"kind": "eprop", "seed": 3}},
}


@pytest.mark.parametrize("said", IDLE)
def test_keys_of_a_training_that_do_nothing_are_told(said: str) -> None:
    assert [text for text in unused(of_table(Recipe, IDLE[said])) if said in text]
    busy = {"optimiser": {"kind": "sgd", "momentum": 0.5}, "loss": {"kind": "tet", "share": 0.1}, "rule": {"kind": "truncated", "steps": 3}}
    assert unused(of_table(Recipe, busy)) == unused(Recipe()) == ()
    with pytest.warns(SpikeflowWarning, match="recipe: optimiser.momentum does nothing"):
        fit(_cells(), Splits(_Padded(6)), Recipe(epochs=1, optimiser=Optimiser(momentum=0.5)))
