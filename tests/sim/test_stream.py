"""Records streamed to a file equal those of one run; memory stays that of a piece; a full disk leaves nothing and no crash."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikeflow.errors import DataError
from spikeflow.events import Spikes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output
from spikeflow.neurons import LIF
from spikeflow.sim import Dense, prepare, run
from spikeflow.sim.stream import stream
from tests.files.measured import measure
from tests.sim.test_cut import drawn, everything, stretch

F32 = np.float32


def read(path: Path) -> dict[str, Any]:
    """What was recorded, by name: arrays, or (sample, step, neuron, value) sorted as `Spikes` are."""
    found: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        for group in file.values():
            if "values" in group:
                found[group.attrs["name"]] = group["values"][()]
                continue
            columns = [group[c][()] for c in ("sample", "step", "neuron", "value")]
            order = np.lexsort(columns[2::-1])
            found[group.attrs["name"]] = [c[order] for c in columns]
    return found


@pytest.mark.parametrize("engine", ["cpp", "reference"])
@pytest.mark.parametrize("seed", range(8))
def test_streamed_records_equal_those_of_one_run(engine: str, seed: int, tmp_path: Path) -> None:
    """Random graphs, floats and integers, every node, state and port, 2 to 5 pieces."""
    _, graph, given, samples, at = drawn(seed, bool(seed % 2))
    names = everything(graph)
    wanted = run(graph, given, at[-1], record=names)
    pieces = [(stretch(given, a, b), b - a) for a, b in zip(at, at[1:], strict=False)]
    counts = stream(tmp_path / "r.h5", prepare(graph, engine).begin(samples), pieces, names)
    got = read(tmp_path / "r.h5")
    assert got.keys() == set(names)
    for name in names:
        one = wanted.recorded[name]
        if isinstance(one, Spikes):
            for mine, its in zip(got[name], (one.sample, one.step, one.neuron, one.value), strict=True):
                np.testing.assert_array_equal(mine, its, err_msg=name)
            assert got[name][3].dtype == one.value.dtype
        else:
            np.testing.assert_array_equal(got[name], one, err_msg=name)
            assert got[name].dtype == one.dtype
    assert all(counts[n].semantic() == c.semantic() for n, c in wanted.counts.items())


def neurons(count: int = 1000) -> Graph:
    nodes = {
        "x": Input((1,), "current"),
        "w": Linear(np.full((count, 1), 0.3, F32)),
        "p": LIF().node((count,)),
        "y": Output(),
    }
    return Graph(nodes, (Edge("x", "w"), Edge("w", "p", "in"), Edge("x", "y")))


def pieces_of(count: int, steps: int) -> Iterator[tuple[Dense, int]]:
    for number in range(count):
        yield Dense(np.full((steps, 1, 1), number % 3, F32)), steps


@pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer's own memory is measured, too"
)
def test_memory_is_that_of_a_piece(tmp_path: Path) -> None:
    """20,000 steps of 1,000 potentials are 80 MB on the disk; at its peak the run takes a quarter of that."""
    path = tmp_path / "r.h5"
    live = prepare(neurons(), threads=1).begin()
    stream(tmp_path / "warm.h5", prepare(neurons()).begin(), pieces_of(2, 200), ("p.v",))
    outcome = measure(lambda _: stream(path, live, pieces_of(100, 200), ("p.v",)), tmp_path)
    assert outcome.ended == "read" and outcome.peak < 20 << 20, outcome
    assert path.stat().st_size > 80_000_000
    with h5py.File(path, "r") as file:
        assert file["0/values"].shape == (20_000, 1, 1000)


def test_nothing_to_write(tmp_path: Path) -> None:
    live = prepare(neurons(5)).begin()
    with pytest.raises(DataError, match="record"):
        stream(tmp_path / "r.h5", live, pieces_of(1, 2), ())
    with pytest.raises(DataError, match="pieces"):
        stream(tmp_path / "r.h5", live, [], ("p",))
    assert not (tmp_path / "r.h5").exists()


def _full() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))


def test_a_full_disk(tmp_path: Path) -> None:
    """The error is a FileError, the process ends in good order, and what was there before is still there."""
    path = tmp_path / "r.h5"
    path.write_bytes(b"before")
    code = (
        "import sys; from pathlib import Path; from spikeflow.errors import FileError; from spikeflow.sim import prepare;"
        "from spikeflow.sim.stream import stream; from tests.sim.test_stream import neurons, pieces_of\n"
        "try:\n    stream(sys.argv[1], prepare(neurons()).begin(), pieces_of(50, 200), ('p.v', 'p'))\n"
        "except FileError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        preexec_fn=_full,
        check=False,
    )
    assert done.returncode == 0 and "cannot be written" in done.stdout, done
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]
