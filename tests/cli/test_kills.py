"""Commands killed or interrupted at any moment: what was there is there, or the new file is whole; no traceback."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spikeflow.ir import file
from tests.cli.conftest import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def _begun(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "spikeflow", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_conversion_leaves_a_whole_file(files: Path, tmp_path: Path, seed: int) -> None:
    """Killed after 0.2 to 6 s, drawn by the seed."""
    target = tmp_path / "net.h5"
    shutil.copy(files / "net.h5", target)
    before = file.read(target).graph.digest
    running = _begun("convert", files / "ann.pt", "--data", files / "data.npz", "--out", target)
    time.sleep(random.Random(seed).uniform(0.2, 6))
    running.send_signal(signal.SIGKILL)
    running.communicate()
    found = file.read(target)  # opens, whichever of the two it is
    assert running.returncode in (-signal.SIGKILL, 0)
    assert found.graph.digest == before or running.returncode in (0, -signal.SIGKILL)
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".spikeflow-")}
    assert names == {"net.h5"}


def _commands(files: Path, folder: Path) -> dict[str, list[object]]:
    """Each command that writes, and the file that it writes."""
    data = ("--data", files / "data.npz")
    run = ["run", files / "net.h5", *data, "--steps", "20000"]
    return {
        "map": ["map", files / "net.h5", *data, "--chip", "loihi2", "--accept-loss", "--out", folder / "out"],
        "report": ["report", files / "net.h5", *data, "--out", folder / "out"],
        "save": [*run, "--save-state", folder / "out"],
        "record": [*run, "--record", "hidden", "--record", "hidden.v", "--record-out", folder / "out"],
        "data": ["data", "convert", files / "events.csv", folder / "out", "--to-format", "npz"],
    }


@pytest.mark.parametrize("ended", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
@pytest.mark.parametrize("name", ["map", "report", "save", "record", "data"])
def test_a_command_that_is_ended_leaves_the_old_file_or_the_new_one(
    files: Path, tmp_path: Path, name: str, ended: signal.Signals
) -> None:
    """Ended after 0.3 to 5 s, drawn by name and signal: what lies there is the old file, or what a whole run writes."""
    events = files / "events.csv"
    if not events.exists():
        events.write_text(
            "t,x,y,p\n" + "".join(f"{7 * i},{i % 30},{i % 20},{i % 2}\n" for i in range(40_000))
        )
    target, old = tmp_path / "out", b"what was there before"
    target.write_bytes(old)
    running = _begun(*_commands(files, tmp_path)[name])
    time.sleep(random.Random(f"{name} {ended}").uniform(0.3, 5))
    running.send_signal(ended)
    _, said = running.communicate(timeout=120)
    assert running.returncode in (-ended, 128 + ended, 0), said
    assert "Traceback" not in said
    if target.read_bytes() != old:  # all that a whole run writes
        whole = tmp_path / "whole"
        whole.mkdir()
        again = _begun(*_commands(files, whole)[name])
        assert again.communicate(timeout=120) and again.returncode == 0
        made, wanted = target.read_bytes(), (whole / "out").read_bytes()
        # a page tells times, whose digits differ; its end is its end
        assert made[-20:] == wanted[-20:] and (name == "report" or len(made) == len(wanted))
        shutil.rmtree(whole)
    else:
        assert running.returncode != 0, "it said that all is well"
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".spikeflow-")}
    assert names == {"out"}


@pytest.mark.parametrize("after_ms", [30, 50, 70, 100, 150, 250, 400, 800])
def test_an_early_interrupt_prints_no_traceback(files: Path, after_ms: int) -> None:
    running = _begun("run", files / "net.h5", "--data", files / "data.npz", "--steps", "200000")
    time.sleep(after_ms / 1000)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    # before our first line runs, the interpreter itself may say that it was interrupted
    ours = [line for line in said.splitlines() if f'File "{ROOT}/spikeflow/' in line]
    assert not ours, said
    assert running.returncode in (130, -signal.SIGINT, 0, 1)
