"""Ranks that an MPI launcher starts: the same bits with 2 and 4, and an error that ends all of them.

Skipped where mpi4py or mpirun is missing: pip install mpi4py mpich.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeflow import read_records
from spikeflow.errors import MissingPackage
from spikeflow.ir import file
from spikeflow.ir.projections import FixedInDegree
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF
from spikeflow.populations import Populations
from spikeflow.sim import prepare
from spikeflow.sim.ranks import launched, mpi
from tests.sim.test_ranks import balanced
from tests.structure import ROOT

BESIDE = Path(sys.executable).parent / "mpirun"
MPIRUN = str(BESIDE) if BESIDE.exists() else shutil.which("mpirun")
SCRIPT = """
import sys
from spikeflow import sim
from tests.sim.test_mpi import digest
from tests.sim.test_ranks import balanced

graph = balanced()
result = sim.run(graph, {}, 40, record=["E", "I.v"], threads=1, ranks="mpi")
from spikeflow.sim.ranks import mpi
rank = mpi.world().rank
how = sys.argv[1]
if how == "raise" and rank == 1:
    raise ValueError("of this rank alone")
if how == "leave" and rank == 1:
    sys.exit(3)
if how == "kill" and rank == 1:
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
if how != "fine":
    sim.run(graph, {}, 40, ranks="mpi")
if rank == 0:
    spikes, v = result.recorded["E"], result.recorded["I.v"]
    print(result.state.steps, result.exchanged.exchanges, digest(spikes.step, spikes.neuron, v))
"""


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def launch(ranks: int, *command: object) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    if MPIRUN is None:
        pytest.skip("mpirun is not installed")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    words = [MPIRUN, "-n", str(ranks), sys.executable, *map(str, command)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment)


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_bits_of_one_process(ranks: int) -> None:
    done = launch(ranks, "-c", SCRIPT, "fine")
    assert done.returncode == 0, done.stderr
    wanted = prepare(balanced(), threads=1)({}, 40, ["E", "I.v"])
    spikes, v = wanted.recorded["E"], wanted.recorded["I.v"]
    # the shortest delay is 2 steps
    assert done.stdout.strip() == f"[40] 20 {digest(spikes.step, spikes.neuron, v)}"


@pytest.mark.parametrize("how", ["raise", "leave", "kill"])
def test_a_rank_that_ends_ends_the_others(how: str) -> None:
    """With an error, within the time that `launch` waits."""
    done = launch(2, "-c", SCRIPT, how)
    assert done.returncode != 0
    told = {"raise": "of this rank alone", "leave": "rank 1: has ended, while rank 0", "kill": "Killed"}[how]
    assert told in done.stderr + done.stdout or how == "kill"


def test_the_command(tmp_path: Path) -> None:
    """The first rank prints and writes, once, what one process does."""
    net = Populations(1e-3, 2)
    net.enter("x", 20)
    net.add("a", LIF(0.9, 1.0, "value"), 1100)
    net.project("x", "a", FixedInDegree(3), 0.5, 2e-3)
    net.project("a", "a", FixedInDegree(5), 0.1, 3e-3)
    file.write(tmp_path / "net.h5", Network(net.graph(record=["a"]), RunRecord(20, "spikes", readout="a", input_shape=(20,))))
    x = (np.random.default_rng(0).random((2, 20, 20)) < 0.2).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    run = ("-m", "spikeflow", "run", tmp_path / "net.h5", "--data", tmp_path / "x.npz", "--json", "--record", "a")
    outcomes = {}
    for name, ranks, more in (("one", 1, ()), ("mpi", 2, ()), ("local", 1, ("--ranks", "2"))):
        done = launch(ranks, *run, *more, "--out", tmp_path / f"{name}.npz", "--record-out", tmp_path / f"{name}.h5")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert ("exchanged" in told) == (name != "one") and told["synaptic_operations"] > 100
        with np.load(tmp_path / f"{name}.npz") as found:
            outcomes[name] = {key: found[key] for key in found.files}, read_records(tmp_path / f"{name}.h5")
    for name in ("mpi", "local"):
        for mine, its in zip(outcomes[name], outcomes["one"], strict=True):
            assert mine.keys() == its.keys()
        np.testing.assert_equal(outcomes[name][0], outcomes["one"][0])
        assert np.array_equal(outcomes[name][1]["a"].dense(), outcomes["one"][1]["a"].dense())
    failed = launch(2, *run, "--output", "nobody", "--record-out", tmp_path / "no.h5")
    assert failed.returncode == 1 and "nobody" in failed.stderr and not (tmp_path / "no.h5").exists()


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    mpi.world.cache_clear()
    with pytest.raises(MissingPackage, match=r"mpi4py>=4.1: is needed for ranks .* Try: pip install 'mpi4py>=4.1'"):
        prepare(balanced(), ranks="mpi")


def test_a_launcher_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"):
        monkeypatch.delenv(name, raising=False)
    assert launched() == 1
    monkeypatch.setenv("PMI_SIZE", "4")
    assert launched() == 4
