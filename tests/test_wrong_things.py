"""Law: a thing of another kind, given to a public door, ends in our error, which says what makes the right one of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from spikeflow.convert import convert
from spikeflow.errors import SpikeflowError, SpikeflowWarning
from spikeflow.hw import map_network
from spikeflow.hw.chips.chip import load
from spikeflow.sim.classify import classify

X = np.random.default_rng(0).random((100, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def test_every_door_names_what_it_got_instead_of_a_network(module: nn.Module) -> None:
    conversion = convert(module, X)
    mapping = map_network(conversion.network, "loihi2", X)
    wrong = (mapping, module, conversion, "net.h5", None, 3, conversion.network.record)
    doors: tuple[Callable[..., object], ...] = (classify, lambda n, x: map_network(n, "loihi2", x))
    for door in doors:
        for thing in wrong:
            with pytest.raises(SpikeflowError, match="mapping" if thing is mapping else type(thing).__name__):
                door(thing, X)
    program = torch.export.export(module, (torch.zeros(2, 6),))
    for thing, hint in (
        (program, "torch.export.save"),
        (conversion.network, "spikes already"),
        (lambda x: module(x), "torch.nn.Module"),
        (None, "path"),
        (X, "path"),
    ):
        with pytest.raises(SpikeflowError, match=hint):
            convert(thing, X)  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", ["64", None, [64], 0, 1.5, True])
def test_steps_of_another_kind(module: nn.Module, steps: object) -> None:
    with pytest.raises(SpikeflowError, match="steps"):
        convert(module, X, steps=steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("chips", [0, -1, "2", 1.5, None])
def test_chips_of_another_kind(module: nn.Module, chips: object) -> None:
    with pytest.raises(SpikeflowError, match="--chips"):
        map_network(convert(module, X).network, "loihi2", X, chips=chips)  # type: ignore[arg-type]


@pytest.mark.parametrize("percentile", [0.5, 0.999, 0.0, -1.0, 100.5])
def test_a_quantile_is_no_percentile(module: nn.Module, percentile: float) -> None:
    with pytest.raises(SpikeflowError, match="99.9"):
        convert(module, X, percentile=percentile)


@pytest.mark.parametrize("name", ["loihi2", " loihi2", "LOIHI2\n", "Loihi2 "])
def test_blanks_and_case_do_not_change_a_chip(name: str) -> None:
    assert load(name).name == "loihi2"


@pytest.mark.parametrize("seed", range(5))
def test_labels_in_another_order_than_the_samples_came_with_are_told(module: nn.Module, seed: int) -> None:
    """Drawn: the order in which a DataLoader shuffles 100 samples, and their 3 classes."""
    torch.manual_seed(seed)
    labels = torch.randint(0, 3, (100,))
    network = convert(module, X).network
    found = classify(network, DataLoader(TensorDataset(torch.tensor(X), labels), batch_size=7, shuffle=True))
    with pytest.warns(SpikeflowWarning, match="another order"):
        found.accuracy(labels.numpy())
    assert found.accuracy() == classify(network, X).accuracy(labels.numpy())


def test_a_percentile_too_low_is_advised_against() -> None:
    """Drawn: a network of 64-32-10 whose thresholds stand at the median of its activations."""
    torch.manual_seed(1)
    x = np.random.default_rng(1).random((200, 64)).astype(np.float32)
    network = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).eval()
    with pytest.warns(SpikeflowWarning, match="--percentile 99.9"):
        convert(network, x, percentile=20.0)


def test_advice_never_leaves_lost_answers_lost() -> None:
    """Answers tied in the original stay tied after any number of steps, so more steps are no advice."""
    x = (np.random.default_rng(0).random((200, 10)) < 0.5).astype(np.float32)
    with pytest.warns(SpikeflowWarning) as told:
        convert(nn.Sequential(nn.ReLU()), x)
    texts = [str(w.message) for w in told if "agreement" in str(w.message)]
    assert texts and not any("--steps" in text for text in texts)


def test_a_sigmoid_that_is_put_back_is_not_said_to_be_gone(module: nn.Module) -> None:
    for last, said in ((nn.Sigmoid(), "put through it again"), (nn.ELU(), "values before it")):
        with pytest.warns(SpikeflowWarning, match=said):
            convert(nn.Sequential(*module, last).eval(), X)  # type: ignore[misc]
