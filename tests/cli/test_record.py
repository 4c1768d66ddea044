"""``spikeflow run --record``: what a node, a state or a port did in every step, in a file; equal to one run in Python.

Drawn: 3 to 40 samples, 5 to 60 steps, batches and stretches of any size; a spiking network, one mapped on a chip.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikeflow import read_records
from spikeflow.cli import opened
from spikeflow.errors import FileError
from spikeflow.events import Spikes
from spikeflow.sim import batch
from spikeflow.sim.classify import RunOptions, classify
from spikeflow.sim.record_file import sink_of
from spikeflow.sim.records import recordable
from tests.cli.conftest import Call


def whole(network: Any, x: Any, names: tuple[str, ...], steps: int) -> dict[str, Any]:
    """The same in one batch, dense."""
    found = classify(network, x, RunOptions(steps=steps, record=names, batch=1000)).recorded
    return {n: r[0].dense() if isinstance(r[0], Spikes) else r[0] for n, r in found.items()}


def expect_equal(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        mine = found[name].dense() if isinstance(found[name], Spikes) else found[name]
        np.testing.assert_array_equal(mine, values, err_msg=name)
        assert mine.dtype == values.dtype


@pytest.mark.parametrize("kind", ["net.h5", "net.map.h5"])
@pytest.mark.parametrize("seed", range(4))
def test_any_batches_and_stretches_give_the_record_of_one_run(
    files: Path, mapped: Path, tmp_path: Path, kind: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(seed)
    network = opened.network(str(files / kind))
    names = tuple(draw.permutation(sorted(recordable(network.graph)))[:6].tolist())
    samples, steps = int(draw.integers(3, 41)), int(draw.integers(5, 61))
    x = draw.random((samples, 6)).astype(np.float32)
    monkeypatch.setattr(batch, "AT_ONCE", int(draw.integers(1, 5000)))
    options = RunOptions(
        steps=steps, record=names, batch=int(draw.integers(1, 17)), keep_state=bool(seed % 2)
    )
    plain = classify(network, x, RunOptions(steps=steps, batch=options.batch, keep_state=bool(seed % 2)))
    with sink_of(tmp_path / "r.h5") as sink:
        found = classify(network, x, RunOptions(**{**vars(options), "sink": sink}))
    expect_equal(read_records(tmp_path / "r.h5"), whole(network, x, names, steps))
    assert not any(r for r in found.recorded.values())
    for name, values in plain.outputs.items():
        np.testing.assert_array_equal(found.outputs[name], values)
    if found.checkpoint is not None and plain.checkpoint is not None:
        assert found.checkpoint.state == plain.checkpoint.state or all(
            np.array_equal(a, b)
            for a, b in zip(
                found.checkpoint.state.arrays().values(),
                plain.checkpoint.state.arrays().values(),
                strict=True,
            )
        )
    for name, count in plain.counts.items():
        assert found.counts[name].semantic() == count.semantic()


def names_of(files: Path, kind: str = "net.h5") -> list[str]:
    return list(recordable(opened.network(str(files / kind)).graph))


def test_the_command_writes_what_is_named(files: Path, tmp_path: Path, call: Call) -> None:
    network = opened.network(str(files / "net.h5"))
    state = next(n for n in names_of(files) if n.endswith(".v"))
    node = state.removesuffix(".v")
    out = tmp_path / "r.h5"
    words = (
        "--record",
        state,
        "--record",
        node,
        "--record",
        f"{node}.in",
        "--record-out",
        out,
        "--steps",
        "12",
    )
    found = call("run", files / "net.h5", "--data", files / "data.npz", "--limit", "5", *words, "--json")
    assert found.code == 0, found
    json.loads(found.out)
    x = np.load(files / "data.npz")["x"][:5]
    expect_equal(read_records(out), whole(network, x, (state, node, f"{node}.in"), 12))


def test_wrong_names_and_halves_are_refused(files: Path, tmp_path: Path, call: Call) -> None:
    data = ("--data", files / "data.npz")
    out = tmp_path / "r.h5"
    error = call("run", files / "net.h5", *data, "--record", "nothing.v", "--record-out", out).error
    assert "nothing that can be recorded" in error and all(name in error for name in names_of(files))
    for words in (("--record", names_of(files)[0]), ("--record-out", out)):
        found = call("run", files / "net.h5", *data, *words)
        assert found.code == 2 and "belong together" in found.err
    same = call(
        "run", files / "net.h5", *data, "--record", names_of(files)[0], "--record-out", files / "net.h5"
    )
    assert same.code != 0
    assert not list(tmp_path.iterdir())


def test_other_files_are_no_records(files: Path, tmp_path: Path) -> None:
    for name in ("net.h5", "data.npz"):
        with pytest.raises(FileError):
            read_records(files / name)
    network = opened.network(str(files / "net.h5"))
    with sink_of(tmp_path / "r.h5") as sink:
        classify(network, np.ones((2, 6), np.float32), RunOptions(record=tuple(names_of(files)), sink=sink))
    for change in ("more", "elsewhere", "unknown"):
        shutil.copy(tmp_path / "r.h5", tmp_path / "c.h5")
        with h5py.File(tmp_path / "c.h5", "r+") as file:
            held = next(g for g in file.values() if "values" in g)
            if change == "more":
                held["values"].resize((1 << 20, *held["values"].shape[1:]))
            elif change == "elsewhere":
                del held["values"]
                held["values"] = h5py.ExternalLink(str(tmp_path / "r.h5"), "/0/values")
            else:
                file.attrs["spikeflow"] = "records 2"
        with pytest.raises(FileError):
            read_records(tmp_path / "c.h5")
