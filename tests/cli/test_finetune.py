"""``spikeflow convert --finetune``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from spikeflow.ir import file
from tests.cli.conftest import Call


def _files(folder: Path) -> tuple[str, ...]:
    """A network and samples; the words of a conversion of two steps."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))
    torch.save(net, folder / "ann.pt")
    x = np.random.default_rng(0).normal(size=(200, 1, 8, 8)).astype(np.float32)
    np.savez(folder / "calib.npz", x=x)
    return ("convert", str(folder / "ann.pt"), "--data", str(folder / "calib.npz"), "--steps", "2")


def test_trains_and_goes_on(call: Call, tmp_path: Path) -> None:
    words = _files(tmp_path)
    own = ("--finetune", 2, "--finetune-augment", "shift=1", "--finetune-augment", "flip", "--json")
    done = call(*words, *own, "--out", tmp_path / "net.h5")
    assert done.code == 0 and "epoch 2" in done.err and " min, from one batch" in done.err, done
    assert json.loads(done.out)["finetune"]["epochs"] == 2
    assert file.read(tmp_path / "net.h5").record.steps == 2
    assert "--resume" in call(*words, *own, "--out", tmp_path / "net.h5").error
    again = call(*words, *own, "--out", tmp_path / "net.h5", "--resume")
    assert again.code == 0 and json.loads(again.out)["finetune"] == json.loads(done.out)["finetune"]


def test_options_that_need_it(call: Call, tmp_path: Path) -> None:
    words = (*_files(tmp_path), "--out", tmp_path / "net.h5")
    for more in (["--resume"], ["--finetune-rate", "0.1"], ["--finetune-augment", "flip"]):
        found = call(*words, *more)
        assert found.code == 2 and "--finetune EPOCHS" in found.err, found
    wrong = call(*words, "--finetune", 1, "--finetune-augment", "turn")
    assert wrong.code == 2 and "shift=PIXELS" in wrong.err
    for alphabet in ("signed", "differential:3"):
        other = call(*words, "--finetune", 1, "--alphabet", alphabet)
        assert other.code == 2 and "--alphabet binary" in other.err, other
    assert not (tmp_path / "net.h5").exists()
    alone = call("convert", words[1], "--steps", 2, "--finetune", 1, "--out", tmp_path / "net.h5")
    assert alone.code == 2 and "--data" in alone.err
