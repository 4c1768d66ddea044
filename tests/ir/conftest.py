"""Small networks of every stage, and a program, for the tests of the graph and its files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spikeflow
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Activation,
    BatchNorm,
    Concat,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Output,
    Pad,
    Population,
    Scale,
    Slice,
    Sparse,
    SumPool,
)
from spikeflow.ir.ops import Recorder
from spikeflow.ir.program import Program
from spikeflow.ir.record import Network, RunRecord

GOLDEN = Path(__file__).parents[1] / "golden" / "ir"


def ramp(*shape: int) -> np.ndarray:
    """Exact binary fractions, all different."""
    return (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) - 3) / 8


@pytest.fixture
def lif() -> Program:
    r = Recorder(["in"], ["v"], ["decay", "threshold"])
    v = r.s.v * r.p.decay + r.x[0]
    z = r.ops.spike(v - r.p.threshold)
    return r.program(z, [v - r.ops.stop_gradient(z) * r.p.threshold])


@pytest.fixture
def integer_lif() -> Program:
    r = Recorder(["in"], ["v"], ["decay", "threshold"])
    leaked = r.ops.mul(r.s.v, r.p.decay, 12, "zero")
    v = r.ops.narrow(leaked + r.ops.shift(r.x[0], 6), 24, "saturate", "v")
    z = r.ops.spike(v - r.p.threshold - 1)
    seen = r.ops.table(r.ops.shift(v, -4), "steps")
    return r.program(z, [r.ops.where(z, 0, v - seen * 0)], {"steps": (-1, 0, 1)})


@pytest.fixture
def ann() -> Graph:
    """A chain of stage ann."""
    nodes = {
        "image": Input((2, 5, 5), "current"),
        "conv": Conv2d(ramp(4, 2, 3, 3), ramp(4), stride=(2, 1), padding=((1, 0), (1, 1))),
        "bn": BatchNorm(ramp(4), np.ones(4), np.ones(4), ramp(4)),
        "relu": Activation(),
        "pool": SumPool((2, 2), (1, 1)),
        "flat": Flatten(),
        "fc": Linear(ramp(3, 16), ramp(3)),
        "out": Output(),
    }
    return Graph(nodes, chain(*nodes))


@pytest.fixture
def snn(lif: Program) -> Graph:
    """Every kind that stage snn allows, with a loop, delays and an initial state."""
    nodes = {
        "image": Input((2, 4, 4), "current"),
        "conv": Conv2d(ramp(2, 2, 3, 3), padding=((1, 1), (1, 1))),
        "hidden": neurons(lif, (2, 4, 4), initial={"v": 0.5}),
        "pool": SumPool((2, 2), (2, 2)),
        "half": Scale(ramp(2, 1, 1)),
        "pad": Pad((0, 1, 0), (0, 0, 1)),
        "cut": Slice((0, 0, 0), (2, 3, 3), (1, 2, 1)),
        "both": Concat(1, 2),
        "flat": Flatten(),
        "fc": Linear(ramp(3, 24), ramp(3), delays=np.arange(24) % 3),
        "readout": neurons(lif, (3,), start=2),
        "loop": Sparse([0, 1, 3, 3], [1, 0, 2], ramp(3), (3,), (3,), delays=[0, 1, 4]),
        "out": Output(),
    }
    edges = (
        *chain("image", "conv", "hidden", "pool", "half", "pad", "cut"),
        Edge("cut", "both", "in0"),
        Edge("cut", "both", "in1", delay=2),
        *chain("both", "flat", "fc", "readout", "out"),
        Edge("readout", "loop", delay=1),
        Edge("loop", "readout"),
    )
    return Graph(nodes, edges)


@pytest.fixture
def fixed(integer_lif: Program) -> Graph:
    """A small network of integers."""
    weights = Quantised(np.arange(-6, 6).reshape(3, 4), Fixed(8, 5))
    formats = {"v": Fixed(24, 6), "decay": Fixed(13, 12, signed=False), "threshold": Fixed(24, 6)}
    cells = Population(
        "lif", integer_lif, {"decay": 3000, "threshold": [64, 128, 192]}, (3,), formats=formats
    )
    nodes = {
        "image": Input((4,), "current", Fixed(8, 7)),
        "fc": Linear(weights, exponent=-2),
        "cells": cells,
        "double": Scale(Quantised(2, Fixed(4))),
        "out": Output(),
    }
    return Graph(nodes, chain(*nodes))


@pytest.fixture
def network(snn: Graph) -> Network:
    return Network(
        snn,
        RunRecord(
            16,
            readout="readout",
            input_shape=(2, 4, 4),
            labels=("a", "b", "c"),
            notes={"source": "ramp.pt", "method": "threshold"},
        ),
    )


def neurons(program: Program, shape: tuple[int, ...], **more: object) -> Population:
    return Population("lif", program, {"decay": 0.75, "threshold": 1.0}, shape, **more)


def chain(*names: str) -> tuple[Edge, ...]:
    return tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False))


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare text with a file of tests/golden/ir; SPIKEFLOW_UPDATE_GOLDEN=1 rewrites it."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("SPIKEFLOW_UPDATE_GOLDEN") == "1":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def in_subprocess() -> Callable[..., str]:
    """Run a script with arguments; it must end by itself with status 0, and its output comes back."""

    def run(script: str, *arguments: object) -> str:
        environment = {**os.environ, "PYTHONPATH": str(Path(spikeflow.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, f"status {done.returncode}: {done.stderr[-3000:]}"
        return done.stdout

    return run
