"""Checkpoints of trainers: tensors under keys and under the names of wrappers are found where they fit, or refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert.load.network_file import load
from spikeflow.errors import FileError, SpikeflowWarning
from tests.convert.networks import answers, samples

State = Mapping[str, torch.Tensor]
SOURCE = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.model, self.head = nn.Sequential(nn.Linear(6, 7), nn.ReLU()), nn.Linear(7, 7), nn.Linear(7, 5)
    def forward(self, x):
        return self.head(self.model(self.body(x)).relu())

def net():
    return Net()
"""


@pytest.fixture
def arch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "archs_of_checkpoints.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("archs_of_checkpoints", None)
    import archs_of_checkpoints  # type: ignore[import-not-found]

    return archs_of_checkpoints


def drawn(arch: Any, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return arch.Net().eval()


def opened(content: object, path: Path) -> nn.Module:
    torch.save(content, path)
    found = load(path, "archs_of_checkpoints:net")
    assert isinstance(found, nn.Module)
    return found


def _renamed(state: State, name: Callable[[str], str]) -> dict[str, torch.Tensor]:
    return {name(key): tensor for key, tensor in state.items()}


@pytest.mark.parametrize("seed", range(12))
def test_wrappers_are_taken_off_where_the_names_then_fit(arch: Any, tmp_path: Path, seed: int) -> None:
    """One or two of three words before every name or within it, under no key or one of six, with an epoch beside.

    The network has a part named `model` itself, so a word is not taken off wherever it stands.
    """
    draw = np.random.default_rng(seed)
    module, x = drawn(arch, seed), samples((6,), 8)
    content: Any = dict(module.state_dict())
    for word in draw.choice(["module", "_orig_mod", "model"], int(draw.integers(1, 3))):
        content = _renamed(content, lambda key, word=word: f"{word}.{key}")
    if draw.integers(2):
        content = _renamed(content, lambda key: key.replace("body.", "body.module."))
    key = str(draw.choice(["", "state_dict", "model_state_dict", "model", "net", "ema"]))
    content = (
        {key: content, "epoch": 3, "best": 0.5, "optimizer": {"state": {}, "param_groups": []}}
        if key
        else content
    )
    assert np.array_equal(answers(opened(content, tmp_path / "x.pt"), x), answers(module, x))


def test_averaged_models(arch: Any, tmp_path: Path) -> None:
    module, x = drawn(arch, 1), samples((6,), 8)
    state = torch.optim.swa_utils.AveragedModel(module).state_dict()
    assert np.array_equal(answers(opened(state, tmp_path / "x.pt"), x), answers(module, x))
    assert np.array_equal(answers(opened({"ema": state}, tmp_path / "x.pt"), x), answers(module, x))


def test_the_taken_one_of_several_is_told(arch: Any, tmp_path: Path) -> None:
    one, two, x = drawn(arch, 1), drawn(arch, 2), samples((6,), 8)
    with pytest.warns(SpikeflowWarning, match="key 'model' was taken.*'ema'"):
        found = opened({"ema": two.state_dict(), "model": one.state_dict()}, tmp_path / "x.pt")
    assert np.array_equal(answers(found, x), answers(one, x))


def test_the_same_tensors_under_two_keys_are_one(
    arch: Any, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    state = drawn(arch, 1).state_dict()
    opened({"ema": state, "model": state}, tmp_path / "x.pt")
    assert not [w for w in recwarn if issubclass(w.category, SpikeflowWarning)]


def test_names_that_fit_in_no_way_are_told(arch: Any, tmp_path: Path) -> None:
    state = dict(drawn(arch, 1).state_dict())
    with pytest.raises(FileError, match="missing head.bias; unexpected tail.bias"):
        opened({"net": _renamed(state, lambda key: key.replace("head.bias", "tail.bias"))}, tmp_path / "x.pt")
    with pytest.raises(FileError, match="missing head.bias"):
        opened({k: v for k, v in state.items() if k != "head.bias"}, tmp_path / "x.pt")
    with pytest.raises(FileError, match="head.weight has shape"):
        opened({"model": {**state, "head.weight": torch.zeros(4, 7)}}, tmp_path / "x.pt")


def test_a_module_that_stands_in_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    one, two = (nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 5)).eval() for _ in range(2))
    x = samples((6,), 8)
    torch.save({"epoch": 3, "model": one}, tmp_path / "x.pt")
    found: Any = load(tmp_path / "x.pt")
    assert np.array_equal(answers(found, x), answers(one, x))
    torch.save({"ema": two, "model": one}, tmp_path / "x.pt")
    with pytest.warns(SpikeflowWarning, match="'model' was taken; others stand under ema"):
        again: Any = load(tmp_path / "x.pt")
    assert np.array_equal(answers(again, x), answers(one, x))
