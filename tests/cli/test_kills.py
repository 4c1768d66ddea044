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
