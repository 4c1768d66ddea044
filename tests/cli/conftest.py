"""The command line called as a user calls it, on small files made for it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import spikeflow
from spikeflow.cli import main
from spikeflow.ir import file
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, Integrator

ROOT = Path(spikeflow.__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """Its error, one paragraph without a traceback, after warnings at most, with nothing on stdout."""
        assert self.code == 1, self
        lines = self.err.splitlines(keepends=True)
        said = "".join(itertools.dropwhile(lambda line: line.startswith("warning: "), lines))
        assert self.out == "" and said.startswith("Error: ") and said.count("Error: ") == 1, self
        assert "Traceback" not in said and "\n\n" not in said.strip(), self
        return said


Call = Callable[..., Ended]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call ``spikeflow`` in this process."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["spikeflow", *map(str, arguments)])
        capfd.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        said = capfd.readouterr()
        return Ended(int(str(code)), said.out, said.err)

    return run


@pytest.fixture
def apart() -> Call:
    """Call a script or ``spikeflow`` in a process of its own: ``apart(code, *arguments)``."""

    def run(code: str, *arguments: object) -> Ended:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def small_network(steps: int = 8, coding: str = "direct") -> Network:
    """Six inputs, five IF neurons, three classes."""
    draw = np.random.default_rng(0)
    kind = "current" if coding == "direct" else "spikes"
    nodes = {
        "input": Input((6,), kind),
        "first": Linear(draw.normal(0.3, 0.5, (5, 6)).astype(np.float32)),
        "hidden": IF(threshold=np.float32(1.5)).node((5,)),
        "last": Linear(draw.normal(0, 0.5, (3, 5)).astype(np.float32)),
        "readout": Integrator().node((3,)),
        "output": Output(),
    }
    edges = tuple(Edge(a, b) for a, b in zip(list(nodes), list(nodes)[1:], strict=False))
    return Network(Graph(nodes, edges), RunRecord(steps, coding, readout="readout", input_shape=(6,)))


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ann.pt``, ``net.h5`` and ``data.npz`` that fit together; nobody writes to it afterwards."""
    import torch
    from torch import nn

    folder = tmp_path_factory.mktemp("files")
    draw = np.random.default_rng(1)
    np.savez(folder / "data.npz", x=draw.random((12, 6), np.float32), y=draw.integers(0, 3, 12))
    file.write(folder / "net.h5", small_network())
    file.write(folder / "rate.h5", small_network(coding="rate"))
    torch.manual_seed(0)
    torch.save(
        nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).eval(),
        folder / "ann.pt",
    )
    return folder


@pytest.fixture(scope="session")
def mapped(files: Path) -> Path:
    """``net.h5`` mapped onto loihi2 by the command."""
    code = "import sys; from spikeflow.cli import main; main()"
    target = files / "net.map.h5"
    subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "map",
            files / "net.h5",
            "--chip",
            "loihi2",
            "--data",
            files / "data.npz",
            "--out",
            target,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    return target
