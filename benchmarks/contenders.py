"""The contenders, each a process: spikeflow's engine, plain torch, and the peers in every mode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workloads import CACHE, HERE, Workload

PEERS = ("norse", "sinabs", "snntorch", "spikingjelly")
PEER_PYTHON = HERE / ".venv-peers" / "bin" / "python"


@dataclass(frozen=True)
class Contender:
    """Who runs, and how.

    Parameters
    ----------
    kind : "cpp" or "reference", an engine of spikeflow, or the name of the peer's neurons.
    how : the form of the engine's input, or the peer's mode.
    timed : False for one that is only checked, for the record of where it differs.
    """

    kind: str
    how: str
    timed: bool = True

    @property
    def name(self) -> str:
        """As it stands in the record."""
        return f"{'spikeflow' if self.kind in ('cpp', 'reference') else self.kind} {self.how}"

    def python(self, peers: str) -> str:
        """The interpreter: peers have their own environment, or a folder of packages in ours."""
        return str(PEER_PYTHON) if self.kind.startswith(PEERS) and not peers else sys.executable


def contenders(work: Workload, engine: str, quick: bool) -> list[Contender]:
    """Everyone who runs a workload; `quick` leaves out what has to be compiled."""
    forms = ("constant",) if work.constant else ("spikes", "dense")
    modes = ("step", "multi") if quick else ("step", "multi", "compiled", "compiled-step")
    if not work.unroll:
        modes = tuple(m for m in modes if m != "compiled")
    if work.recurrent:
        modes = tuple(m for m in modes if m != "multi")
    found = [Contender(engine, form) for form in forms]
    found += [Contender(kind, mode) for kind in ("torch", *PEERS) for mode in modes]
    if work.recurrent:
        return [*found, Contender("torch", "gather")]
    return [*found, Contender("snntorch-own-reset", "multi", timed=False)]


class Process:
    """A contender at work."""

    def __init__(self, contender: Contender, threads: int, peers: str = "") -> None:
        self.contender = contender
        # unnamed: a pipe would stop a contender that complains at length
        self.complaints = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        self.process = subprocess.Popen(
            [contender.python(peers), str(HERE / "worker.py"), contender.kind, contender.how, str(threads)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            cwd=HERE,
            env=_environment(threads, peers),
        )

    def ask(self, command: str, argument: str = "") -> dict[str, Any]:
        """The answer to a command; an ``error`` where the contender failed or died."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps([command, argument]) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": f"died: {self._last_words()}"}

    def _last_words(self) -> str:
        self.process.wait()
        self.complaints.seek(0)
        return self.complaints.read().decode(errors="replace")[-600:]

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()
        self.complaints.close()


def _environment(threads: int, peers: str) -> dict[str, str]:
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {
        **os.environ,
        **count,
        "PYTHONPATH": os.pathsep.join([str(Path(HERE).parent), *([peers] if peers else [])]),
        "TORCHINDUCTOR_CACHE_DIR": str(CACHE / "inductor"),
    }


def check_peers(peers: str) -> None:
    """End with a message where the peers' environment is missing: a peer left out in silence is no comparison."""
    if not (Path(peers).is_dir() if peers else PEER_PYTHON.exists()):
        raise SystemExit("the peers are not installed: bash benchmarks/peers.sh, or name a folder by --peers")
