"""How soon and how well a converted network answers, from the command line as a stranger uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

from spikeflow.calibration import split
from spikeflow.cli import cli


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained-like network, one that is refused, and labelled samples."""
    folder = tmp_path_factory.mktemp("ann")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 4)).eval()
    x = np.random.default_rng(0).normal(size=(160, 8)).astype(np.float32)
    with torch.no_grad():
        y = net(torch.from_numpy(x)).argmax(1).numpy()
    torch.save(net, folder / "ann.pt")
    refused = nn.Sequential(nn.Linear(8, 8), nn.GroupNorm(2, 8), nn.ReLU(), nn.Linear(8, 3))
    torch.save(refused.eval(), folder / "refused.pt")
    np.savez(folder / "calib.npz", x=x, y=y)
    return folder


def run(*words: object) -> Result:
    return CliRunner(catch_exceptions=False).invoke(cli, [str(word) for word in words])


def facts(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_an_explanation_writes_nothing(files: Path, tmp_path: Path) -> None:
    found = facts(run("convert", files / "ann.pt", "--data", files / "calib.npz", "--explain", "--json"))
    assert [v["word"] for v in found["verdicts"]] == ["exact", "spiking", "exact"]
    assert found["refused"] == 0 and found["forecast"]["samples"] == 160
    text = run("convert", files / "refused.pt", "--input-shape", "8", "--explain").stdout
    assert "refused" in text and "nothing would be converted" in text and not list(tmp_path.iterdir())


def test_without_explain_a_file_is_needed(files: Path) -> None:
    result = run("convert", files / "ann.pt", "--data", files / "calib.npz")
    assert result.exit_code == 2 and "--out" in result.stderr


def test_steps_exit_and_bits_in_one_go(files: Path, tmp_path: Path) -> None:
    net, calib = tmp_path / "net.h5", files / "calib.npz"
    options = ("--until", "drop<=5", "--exit", "0", "--bits", "--debug", "--method", "largest")
    made = facts(run("convert", files / "ann.pt", "--data", calib, "--out", net, *options, "--json"))
    read = made["read_out"]
    assert read["until"]["steps"] == made["options"]["steps"] and read["until"]["agreement"] >= 0.95
    assert read["exit"]["unchanged"] == 1 and read["identity"]["neurons"] == 24
    assert len(made["bits"]["rows"]) == 18 and len(made["bits"]["compared"]) == 6 and made["errors"]
    early = facts(run("run", net, "--data", calib, "--json"))
    whole = facts(run("run", net, "--data", calib, "--no-exit", "--json"))
    assert early["exit"]["mean_steps"] < made["options"]["steps"] and whole["exit"] is None
    assert early["synaptic_operations"] < whole["synaptic_operations"]
    assert abs(early["accuracy"] - whole["accuracy"]) <= 0.05


def test_late_reading_stands_in_the_file(files: Path, tmp_path: Path) -> None:
    net, calib = tmp_path / "net.h5", files / "calib.npz"
    options = ("--steps", "16", "--read-from", "4")
    made = run("convert", files / "ann.pt", "--data", calib, "--out", net, *options)
    assert made.exit_code == 0 and "read from step 4 on" in made.stdout
    assert "from step 4 on" in run("show", net).stdout


@pytest.mark.parametrize(
    "options, told",
    [
        (("--until", "drop"), "not understood"),
        (("--until", "drop<=0", "--most-steps", "1"), "the best is"),
        (("--read-from", "soon"), "--read-from"),
        (("--exit", "0", "--read-from", "4"), "--exit"),
    ],
)
def test_what_cannot_be_read_so_is_told(files: Path, tmp_path: Path, options: Any, told: str) -> None:
    words = ("convert", files / "ann.pt", "--data", files / "calib.npz", "--out", tmp_path / "net.h5")
    with pytest.raises(Exception, match=told):
        run(*words, *options)
    assert not (tmp_path / "net.h5").exists()
    assert (
        run("convert", files / "ann.pt", "--input-shape", "8", "--out", tmp_path / "a.h5", "--bits").exit_code
        == 2
    )


def test_warnings_of_the_comparison_stand_with_the_others(files: Path, tmp_path: Path) -> None:
    """A held-back sample beyond what the others cover is told by the comparison; as the command tells all."""
    with np.load(files / "calib.npz") as given:
        plain, y = given["x"], given["y"]
    for row in range(len(plain)):
        x = plain.copy()
        x[row] *= 10
        if row in split(x).held_back:
            break
    np.savez(tmp_path / "far.npz", x=x, y=y)
    words = ("--data", tmp_path / "far.npz", "--out", tmp_path / "net.h5", "--json")
    result = run("convert", files / "ann.pt", *words)
    told = facts(result)["warnings"]
    assert any("outside of the range" in text for text in told)
    assert [line for line in result.stderr.splitlines() if line.startswith("warning: ")] == [
        f"warning: {text}" for text in told
    ]
