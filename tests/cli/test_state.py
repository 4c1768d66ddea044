"""``run --save-state`` and ``--load-state``: halves of a run, by command, equal the whole; what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.ir import file
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output
from spikeflow.ir.record import Network, OutputRecord, RunRecord
from spikeflow.neurons import LIF
from spikeflow.sim.checkpoint import Checkpoint
from tests.cli.conftest import Call, small_network


def spiking(coding: str) -> Network:
    """Whose output is spikes, which are added up for an answer; with a delay."""
    weight = np.random.default_rng(2).normal(0.3, 0.5, (3, 6)).astype(np.float32)
    nodes = {
        "in": Input((6,), "current" if coding == "direct" else "spikes"),
        "w": Linear(weight),
        "p": LIF().node((3,)),
        "out": Output(),
    }
    graph = Graph(nodes, (Edge("in", "w"), Edge("w", "p", delay=2), Edge("p", "out")))
    return Network(graph, RunRecord(20, coding, input_shape=(6,), outputs=(OutputRecord("out", "out"),)))


def answers(path: Path) -> dict[str, np.ndarray]:
    return dict(np.load(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Networks for each coding, and samples with and without a time axis."""
    draw = np.random.default_rng(4)
    for coding in ("direct", "rate", "spikes"):
        file.write(tmp_path / f"{coding}.h5", small_network(coding=coding))
        file.write(tmp_path / f"{coding}-spiking.h5", spiking(coding))
    np.savez(tmp_path / "data.npz", x=draw.random((7, 6), np.float32))
    np.savez(tmp_path / "timed.npz", x=(draw.random((7, 20, 6)) < 0.4).astype(np.float32))
    return tmp_path


@pytest.mark.parametrize(
    "kind", ["direct", "rate", "spikes", "direct-spiking", "rate-spiking", "spikes-spiking"]
)
@pytest.mark.parametrize("engine", ["cpp", "reference"])
def test_parts_equal_the_whole(kind: str, engine: str, folder: Path, call: Call) -> None:
    """20 steps against 3, 8 and 9, one of them by the other engine, threads 1 and 2."""
    data = folder / ("timed.npz" if kind.startswith("spikes") else "data.npz")
    run: list[Any] = ["run", folder / f"{kind}.h5", "--data", data, "--json"]
    assert (
        call(*run, "--steps", 20, "--out", folder / "whole.npz", "--save-state", folder / "whole.h5").code
        == 0
    )
    for number, steps in enumerate((3, 8, 9)):
        load = ["--load-state", folder / f"s{number}.h5"] if number else []
        more = ["--engine", engine if number % 2 else "cpp", "--threads", 1 + number % 2]
        ended = call(
            *run,
            "--steps",
            steps,
            *load,
            "--save-state",
            folder / f"s{number + 1}.h5",
            "--out",
            folder / "part.npz",
            *more,
        )
        assert ended.code == 0, ended
        said = json.loads(ended.out)
        assert said.get("before", 0) == [0, 3, 11][number]
    whole, parts = answers(folder / "whole.npz"), answers(folder / "part.npz")
    assert whole.keys() == parts.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values, err_msg=name)
    first, last = Checkpoint.load(folder / "whole.h5"), Checkpoint.load(folder / "s3.h5")
    assert first.state == last.state and first.steps == last.steps == 20
    for name, added in first.added.items():
        np.testing.assert_array_equal(added, last.added[name])


@pytest.mark.parametrize("kind", ["direct", "spikes"])
def test_other_samples_are_told(kind: str, folder: Path, tmp_path: Path, call: Call) -> None:
    """The same ones in another order, too; of a time axis later steps are free to differ."""
    held = dict(np.load(folder / ("timed.npz" if kind == "spikes" else "data.npz")))
    run: list[Any] = ["run", folder / f"{kind}.h5", "--json", "--steps", 3]
    np.savez(tmp_path / "same.npz", **held)
    assert call(*run, "--data", tmp_path / "same.npz", "--save-state", tmp_path / "s.h5").code == 0
    later = held["x"].copy()
    if kind == "spikes":
        later[:, 3:] = 0
    for name, x, told in (("same", held["x"], False), ("later", later, False), ("turned", held["x"][::-1], True)):
        np.savez(tmp_path / f"{name}.npz", **{**held, "x": x})
        ended = call(*run, "--data", tmp_path / f"{name}.npz", "--load-state", tmp_path / "s.h5")
        said = [w for w in json.loads(ended.out)["warnings"] if "behind 3 steps of other samples" in w]
        assert ended.code == 0 and len(said) == told, name


def test_a_mapped_network_goes_on(mapped: Path, files: Path, tmp_path: Path, call: Call) -> None:
    """Its read-out wakes some steps later: the saved state is that before these, and answers agree all the same."""
    run: list[Any] = ["run", mapped, "--data", files / "data.npz"]
    assert call(*run, "--steps", 8, "--out", tmp_path / "whole.npz").code == 0
    assert call(*run, "--steps", 3, "--save-state", tmp_path / "s.h5").code == 0
    assert Checkpoint.load(tmp_path / "s.h5").steps == 3
    ended = call(*run, "--steps", 5, "--load-state", tmp_path / "s.h5", "--out", tmp_path / "part.npz")
    assert ended.code == 0 and "goes on behind step 3" in ended.out
    for name, values in answers(tmp_path / "whole.npz").items():
        np.testing.assert_array_equal(answers(tmp_path / "part.npz")[name], values, err_msg=name)


def test_what_does_not_fit_is_refused_by_name(folder: Path, files: Path, call: Call) -> None:
    state, data = folder / "s.h5", folder / "data.npz"
    assert (
        call("run", folder / "rate.h5", "--data", data, "--steps", 5, "--save-state", state, "--seed", 3).code
        == 0
    )
    run = ["run", folder / "rate.h5", "--data", data, "--steps", 5, "--load-state"]
    assert "graph" in call("run", folder / "rate-spiking.h5", "--data", data, "--load-state", state).error
    assert "--seed 3" in call(*run, state).error
    assert call(*run, state, "--seed", 3).code == 0
    assert "7, as many as the saved state has" in call(*run, state, "--seed", 3, "--limit", 2).error
    assert "holds a network, not a state" in call(*run, folder / "rate.h5").error
    assert "none.h5" in call(*run, folder / "none.h5").error
    Checkpoint.load(state).state.save(folder / "bare.h5")
    assert "a state alone" in call(*run, folder / "bare.h5").error
    assert "would overwrite" in call(*run, state, "--seed", 3, "--save-state", state).error


def test_data_with_a_time_axis_are_those_of_the_whole_run(folder: Path, call: Call) -> None:
    run = ["run", folder / "spikes.h5", "--data", folder / "timed.npz"]
    assert call(*run, "--steps", 12, "--save-state", folder / "s.h5").code == 0
    error = call(*run, "--steps", 9, "--load-state", folder / "s.h5").error
    assert "20 steps" in error and "21" in error and "--steps 8" in error
