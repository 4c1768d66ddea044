"""Two inputs, two outputs, preprocessing and event recordings through the commands, as a user would."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.datasets import write
from spikeflow.ir import file
from spikeflow.ir.preprocessing import Frames, Normalise, Resize
from spikeflow.sim.classify import classify
from tests.cli.conftest import Call
from tests.sim.test_inputs_by_name import camera_network, drawn, recording


def test_recordings_are_samples_of_a_network_of_frames(call: Call, tmp_path: Path) -> None:
    network, folder = camera_network(), tmp_path / "recordings"
    file.write(tmp_path / "net.h5", network)
    folder.mkdir()
    recordings = [recording(seed) for seed in range(5)]
    for k, events in enumerate(recordings):
        write(folder / f"{k}.es", events)  # in the order of their names
    ended = call("run", tmp_path / "net.h5", "--data", folder, "--out", tmp_path / "all.npz", "--json")
    assert ended.code == 0, ended
    wanted = classify(network, recordings)
    with np.load(tmp_path / "all.npz") as found:
        np.testing.assert_array_equal(found["accumulators"], wanted.accumulated())
    assert (
        call("run", tmp_path / "net.h5", "--data", folder / "3.es", "--out", tmp_path / "one.npz").code == 0
    )
    with np.load(tmp_path / "one.npz") as found:
        np.testing.assert_array_equal(found["accumulators"], wanted.accumulated()[3:4])
    np.savez(
        tmp_path / "frames.npz", x=np.stack([Frames(dt_us=100, steps=5)(events) for events in recordings])
    )
    assert call("run", tmp_path / "net.h5", "--data", tmp_path / "frames.npz").code == 0
    (folder / ".DS_Store").write_bytes(b"x")  # what a desktop leaves behind is no recording
    assert call("run", tmp_path / "net.h5", "--data", folder).code == 0
    (tmp_path / "none").mkdir()
    assert "no recordings" in call("run", tmp_path / "net.h5", "--data", tmp_path / "none").error


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_several_inputs_and_outputs_by_command(call: Call, tmp_path: Path, seed: int) -> None:
    network, x = drawn(seed)
    more = {name: np.concatenate([values] * 10) for name, values in x.items()}
    file.write(tmp_path / "net.h5", network)
    np.savez(tmp_path / "x.npz", **(more if len(more) > 1 else {"x": next(iter(more.values()))}))
    for command in (
        ("run", tmp_path / "net.h5"),
        ("map", tmp_path / "net.h5", "--chip", "loihi2", "--accept-loss", "--out", tmp_path / "map.h5"),
        ("run", tmp_path / "map.h5"),
        ("show", tmp_path / "net.h5"),
    ):
        data = () if command[0] == "show" else ("--data", tmp_path / "x.npz")
        ended = call(*command, *data)
        assert ended.code == 0, ended
    for described in network.inputs:
        assert described.coding in ended.out


def test_preprocessing_is_done_alike_by_every_command(call: Call, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 8, 20), nn.ReLU(), nn.Linear(20, 4)).eval()
    torch.save(net, tmp_path / "ann.pt")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 3, 12, 10)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x=x)
    words = ["divide=255", "resize=8x6", "normalise=0.4,0.5,0.6/0.2,0.3,0.2"]
    options = [part for word in words for part in ("--preprocess", word)]
    out = tmp_path / "net.h5"
    ended = call(
        "convert", tmp_path / "ann.pt", "--data", tmp_path / "x.npz", *options, "--out", out, "--json"
    )
    assert ended.code == 0, ended
    network = file.read(out)
    (described,) = network.inputs
    steps = described.preprocessing
    assert steps == (Normalise(std=(255,)), Resize(6, 8), Normalise((0.4, 0.5, 0.6), (0.2, 0.3, 0.2)))
    assert not any("bytes" in text for text in json.loads(ended.out)["warnings"])
    assert call("run", out, "--data", tmp_path / "x.npz", "--out", tmp_path / "answers.npz").code == 0
    ready = steps[2](steps[1](steps[0](x, 1), 1), 1)
    with np.load(tmp_path / "answers.npz") as found, torch.no_grad():
        close = np.abs(found["values"] - net(torch.from_numpy(ready)).numpy())
    assert close.max() < 0.2, close.max()
    mapped = ("map", out, "--data", tmp_path / "x.npz", "--chip", "loihi2", "--accept-loss")
    assert call(*mapped, "--out", tmp_path / "map.h5").code == 0
    assert call("run", tmp_path / "map.h5", "--data", tmp_path / "x.npz").code == 0
    page = (
        "report",
        out,
        "--data",
        tmp_path / "x.npz",
        "--map",
        tmp_path / "map.h5",
        "--ann",
        tmp_path / "ann.pt",
    )
    assert call(*page, "--out", tmp_path / "page.html").code == 0
    for word in ("blur=3", "resize=0x0", "normalise=1"):
        failed = call("convert", tmp_path / "ann.pt", "--preprocess", word, "--out", tmp_path / "no.h5")
        assert "preprocess" in failed.error or "resize" in failed.error
    assert not (tmp_path / "no.h5").exists()
