"""``spikeflow data frames``, and its file on a network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from spikeflow.cli import cli
from spikeflow.datasets import NMNIST, synthetic
from spikeflow.datasets.transforms import Frames
from spikeflow.errors import DataError
from spikeflow.ir import file
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Flatten, Input, Linear, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF, Integrator
from spikeflow.samples import read_npz
from spikeflow.sim import Dense, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write("nmnist", tmp_path_factory.mktemp("sets") / "nmnist", 2)


def frames(folder: Path, out: Path, *options: str) -> dict[str, object]:
    command = ["data", "frames", "nmnist", "--data", str(folder), "--split", "test", "--partial", "--json"]
    result = CliRunner().invoke(
        cli,
        [*command, "--dt-us", "20000", "--steps", "15", "--out", str(out), *options],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    facts: dict[str, object] = json.loads(result.stdout)
    return facts


def test_the_file_holds_what_python_gives(folder: Path, tmp_path: Path) -> None:
    facts = frames(folder, tmp_path / "x.npz")
    samples = read_npz(tmp_path / "x.npz")
    data = NMNIST(folder, "test", True, Frames(dt_us=20_000, steps=15, start="zero"))
    assert facts["shape"] == list(samples.x.shape) == [20, 15, 2, 34, 34] and facts["complete"] is False
    for i in range(len(data)):
        assert np.array_equal(samples.x[i], data[i][0])
    assert samples.y is not None and samples.y.tolist() == data.labels.tolist()


def test_a_draw_depends_on_its_seed_alone(folder: Path, tmp_path: Path) -> None:
    names = []
    for seed in ("1", "1", "2"):
        frames(folder, tmp_path / "x.npz", "--count", "5", "--seed", seed)
        names.append(read_npz(tmp_path / "x.npz").x.tobytes())
    assert names[0] == names[1] != names[2]


def test_a_network_runs_on_the_file(folder: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    weights = [draw.normal(0, 0.3, s).astype(np.float32) for s in ((30, 2 * 34 * 34), (10, 30))]
    nodes = {
        "input": Input((2, 34, 34)),
        "flat": Flatten(),
        "first": Linear(weights[0]),
        "lif": LIF(0.9).node((30,)),
        "second": Linear(weights[1]),
        "readout": Integrator().node((10,)),
        "output": Output(),
    }
    names = list(nodes)
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in zip(names[:-1], names[1:], strict=True)))
    file.write(tmp_path / "net.h5", Network(graph, RunRecord(15, "spikes", readout="readout")))
    frames(folder, tmp_path / "x.npz", "--clip")
    command = ["run", str(tmp_path / "net.h5"), "--data", str(tmp_path / "x.npz"), "--json"]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    samples = read_npz(tmp_path / "x.npz")
    assert samples.y is not None
    answers = run(graph, Dense(samples.x.swapaxes(0, 1)), 15).outputs["output"][-1].argmax(1)
    assert json.loads(result.stdout)["accuracy"] == pytest.approx(float((answers == samples.y).mean()))


def test_no_step_is_wrong_usage(folder: Path, tmp_path: Path) -> None:
    command = ["data", "frames", "nmnist", "--data", str(folder), "--out", str(tmp_path / "x.npz")]
    assert CliRunner().invoke(cli, command).exit_code == 2


def test_a_partial_copy_has_to_be_asked_for(folder: Path, tmp_path: Path) -> None:
    command = [
        "data",
        "frames",
        "nmnist",
        "--data",
        str(folder),
        "--steps",
        "5",
        "--out",
        str(tmp_path / "x.npz"),
    ]
    with pytest.raises(DataError, match="expected 60000"):
        CliRunner().invoke(cli, command, catch_exceptions=False)
    assert not (tmp_path / "x.npz").exists()
