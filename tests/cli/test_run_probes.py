"""``spikeflow run`` with probes in words, and its digest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikeflow import read_records
from spikeflow.cli import opened
from spikeflow.sim.classify import RunOptions, classify
from tests.cli.conftest import Call
from tests.cli.test_lowered import listed


def test_some_neurons_in_some_steps_in_any_batch(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    net, data = listed(tmp_path / "net.h5", 1), tmp_path / "x.npz"
    x = np.random.default_rng(0).random((7, 5), np.float32)
    np.savez(data, x=x)
    whole = classify(opened.network(str(net)), x, RunOptions(record=("n.v", "n"))).recorded
    monkeypatch.setattr("spikeflow.sim.batch.AT_ONCE", 30)  # several stretches of steps
    words = ["--record", "n.v[4,1]@3", "--record", "n[0:2]", "--record", "n.v@5"]
    done = call("run", net, "--data", data, *words, "--record-out", tmp_path / "r.h5")
    assert done.code == 0, done.err
    found = read_records(tmp_path / "r.h5")
    steps = len(whole["n.v"][0])
    np.testing.assert_array_equal(found["n.v[4,1]@3"], whole["n.v"][0][::3, :, [1, 4]])
    np.testing.assert_array_equal(found["n.v@5"], whole["n.v"][0][::5])
    np.testing.assert_array_equal(found["n[0:2]"].dense(), whole["n"][0].dense()[:, :, :2])
    assert found["n[0:2]"].steps == steps
    error = call("run", net, "--data", data, "--record", "n.v[9]", "--record-out", tmp_path / "no.h5").error
    assert "some of 0 to 5" in error and not (tmp_path / "no.h5").exists()


def test_the_digest_is_one_for_engines_threads_and_batches(tmp_path: Path, call: Call) -> None:
    net, data, found = listed(tmp_path / "net.h5", 1), tmp_path / "x.npz", set[str]()
    np.savez(data, x=np.random.default_rng(0).random((7, 5), np.float32))
    for more in ([], ["--threads", "1"], ["--engine", "reference"], ["--lowered", tmp_path / "l"]):
        record = ["--record", "n.v", "--record-out", tmp_path / "r.h5"]
        said = call("run", net, "--data", data, "--digest", "--json", *record, *more)
        found.add(json.loads(said.out)["digest"])
    text = call("run", net, "--data", data, "--digest").out
    assert len(found) == 1 and "digest: " in text and next(iter(found)) not in text  # which has no record
    assert "digest" not in json.loads(call("run", net, "--data", data, "--json").out)
