"""Every kind of answer through convert, run, map and report by command, as a user asks.

Drawn: weights of a layer of 24 and heads on 6 inputs in 0 to 1; one logit, five classes, a map of three classes at 2 x 3
places, one and two values around 1000, and several outputs in a dictionary. 120 samples.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.cli.conftest import Call


class Named(nn.Module):
    """Two heads by name."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.classes, self.box = nn.Linear(6, 24), nn.Linear(24, 5), nn.Linear(24, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        h = self.hidden(x).relu()
        return {"classes": self.classes(h), "box": self.box(h)}


def ending(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(6, 24), nn.ReLU(), *layers)


def far(count: int) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        last = nn.Linear(24, count)
        with torch.no_grad():
            last.bias.fill_(1000.0)
            last.weight *= 100
        return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), last)

    return make


KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "sign": (ending(nn.Linear(24, 1)), ()),
    "class": (ending(nn.Linear(24, 5)), ()),
    "map": (ending(nn.Linear(24, 18), nn.Unflatten(1, (3, 2, 3))), ()),
    "value": (far(1), ()),
    "values": (far(2), ()),
    "several": (Named, ("--output", "classes")),
}


def labels(kind: str, out: np.ndarray) -> np.ndarray:
    if kind.startswith("value"):
        return out
    return (out[:, 0] > 0).astype(int) if kind == "sign" else out.argmax(1)


def centred(net: nn.Module, x: torch.Tensor) -> nn.Module:
    """One logit that is above 0 for half of the samples."""
    last = list(net.children())[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias -= net(x).median()
    return net


@pytest.mark.parametrize("kind", KINDS)
def test_through_all_commands(call: Call, tmp_path: Path, kind: str) -> None:
    make, chosen = KINDS[kind]
    torch.manual_seed(7)
    x = np.random.default_rng(7).random((120, 6)).astype(np.float32)
    net = make().eval()
    net = centred(net, torch.from_numpy(x)) if kind == "sign" else net
    with torch.no_grad():
        out = net(torch.from_numpy(x))
    y = labels(kind, (out["classes"] if kind == "several" else out).numpy())
    ann, data, snn, mapped, saved, page = (
        tmp_path / n for n in ("a.pt", "d.npz", "n.h5", "m.h5", "s.npz", "r.html")
    )
    torch.save(net, ann) if kind != "several" else _archive(net, x, tmp_path / "a.pt2")
    ann = tmp_path / "a.pt2" if kind == "several" else ann
    np.savez(data, x=x, y=y)

    def facts(*arguments: Any) -> dict[str, Any]:
        ended = call(*arguments, "--json")
        assert ended.code == 0, ended
        found: dict[str, Any] = json.loads(ended.out)
        return found

    facts("convert", ann, "--data", data, "--steps", 256, "--out", snn, *chosen)
    facts("map", snn, "--chip", "loihi2", "--data", data, "--out", mapped, "--accept-loss")
    for file, least, most in ((snn, 0.95, 5.0), (mapped, 0.9, 30.0)):
        found = facts("run", file, "--data", data, "--out", saved, *chosen)
        with np.load(saved) as arrays:
            _check_saved(kind, dict(arrays), y, found)
        if kind.startswith("value"):
            assert found["kind"] == "value" and found["accuracy"] is None and found["rmse"] < most
        else:
            assert found["kind"] == ("class" if kind == "several" else kind) and found["accuracy"] >= least
    told = facts("report", snn, "--map", mapped, "--data", data, "--ann", ann, "--out", page, *chosen)
    assert told["run"]["accuracy"] == facts("run", snn, "--data", data, *chosen)["accuracy"]
    assert page.stat().st_size > 10_000


def _archive(net: nn.Module, x: np.ndarray, path: Path) -> None:
    shapes = ({0: torch.export.Dim.AUTO},)
    torch.export.save(
        torch.export.export(net, (torch.from_numpy(x[:2]),), dynamic_shapes=shapes, strict=False), path
    )


def _check_saved(kind: str, arrays: dict[str, np.ndarray], y: np.ndarray, found: dict[str, Any]) -> None:
    """What was saved gives the figures that were printed."""
    if kind.startswith("value"):
        assert "predictions" not in arrays
        error = np.sqrt(((arrays["values"] - y) ** 2).mean())
        assert error == pytest.approx(found["rmse"])
        return
    predictions = arrays["predictions.classes" if kind == "several" else "predictions"]
    assert predictions.shape == y.shape and (predictions == y).mean() == found["accuracy"]
    assert all(len(a) == len(y) for a in arrays.values())


def test_what_was_there_stays_where_an_answer_cannot_be_written(call: Call, tmp_path: Path) -> None:
    net, x = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).eval(), np.ones((90, 6), np.float32)
    torch.save(net, tmp_path / "a.pt")
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).random((90, 6)).astype(np.float32))
    assert (
        call("convert", tmp_path / "a.pt", "--data", tmp_path / "d.npz", "--out", tmp_path / "n.h5").code == 0
    )
    before = (tmp_path / "d.npz").read_bytes()
    for out in (tmp_path / "no" / "s.npz", tmp_path / "d.npz", tmp_path):
        ended = call("run", tmp_path / "n.h5", "--data", tmp_path / "d.npz", "--out", out)
        assert ended.code != 0 and "Traceback" not in ended.err
    assert (tmp_path / "d.npz").read_bytes() == before
    np.savez(tmp_path / "bad.npz", x=x[:, :5])
    (tmp_path / "s.npz").write_bytes(b"old")
    assert (
        call("run", tmp_path / "n.h5", "--data", tmp_path / "bad.npz", "--out", tmp_path / "s.npz").code != 0
    )
    assert (tmp_path / "s.npz").read_bytes() == b"old"
