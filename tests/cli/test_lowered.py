"""``spikeflow run --lowered FILE``: written where it is missing, mapped where it is there, refused where it is another's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikeflow.ir import file
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Sparse
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, Integrator
from tests.cli.conftest import Call


def listed(path: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    indptr, targets = np.arange(0, 21, 4), rng.integers(0, 6, 20)
    node = Sparse(indptr, targets, rng.normal(0, 1, 20).astype(np.float32), (5,), (6,))
    nodes = {
        "x": Input((5,), "current"),
        "w": node,
        "n": IF().node((6,)),
        "read": Integrator().node((6,)),
        "out": Output(),
    }
    edges = (Edge("x", "w"), Edge("w", "n"), Edge("n", "read"), Edge("read", "out"))
    file.write(path, Network(Graph(nodes, edges), RunRecord(12, readout="read", input_shape=(5,))))
    return path


def test_a_lowered_network_is_written_once_and_mapped_then(tmp_path: Path, call: Call) -> None:
    net, kept = listed(tmp_path / "net.h5", 1), tmp_path / "net.lowered"
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((7, 5), np.float32))
    words = ["run", net, "--data", tmp_path / "x.npz", "--json", "--out"]
    plain = call(*words, tmp_path / "plain.npz")
    first = call(*words, tmp_path / "first.npz", "--lowered", kept)
    made = kept.stat()
    second = call(*words, tmp_path / "second.npz", "--lowered", kept)
    assert plain.code == first.code == second.code == 0, (first.err, second.err)
    assert kept.stat() == made and json.loads(second.out)["samples"] == 7
    wanted = np.load(tmp_path / "plain.npz")
    for name in ("first.npz", "second.npz"):
        for key, values in np.load(tmp_path / name).items():
            np.testing.assert_array_equal(values, wanted[key])
    text = call("run", net, "--data", tmp_path / "x.npz", "--lowered", tmp_path / "other.lowered")
    assert f"Written: {tmp_path / 'other.lowered'}" in text.out


@pytest.mark.parametrize("wrong", ["another network", "another file", "the reference"])
def test_other_files_are_refused_by_name(tmp_path: Path, call: Call, wrong: str) -> None:
    net, kept, more = listed(tmp_path / "net.h5", 1), tmp_path / "net.lowered", []
    np.savez(tmp_path / "x.npz", x=np.ones((2, 5), np.float32))
    call("run", net, "--data", tmp_path / "x.npz", "--lowered", kept)
    if wrong == "another network":
        net, reason = listed(tmp_path / "net2.h5", 2), "the synapses of w differ"
    elif wrong == "another file":
        kept, reason = tmp_path / "text.lowered", "not a lowered file"
        kept.write_text("synapses")
    else:
        more, reason = ["--engine", "reference"], "the reference takes no lowered network"
    before = kept.read_bytes()
    error = call("run", net, "--data", tmp_path / "x.npz", "--lowered", kept, *more).error
    assert reason in error and kept.read_bytes() == before
