"""Trainings of a benchmark, each in a process of its own, so many at a time, until time is up; what has ended stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Job(Protocol):
    """One training, told by its fields."""

    def folder(self, out: Path) -> Path:
        """Where it is written."""
        ...

    def found(self, out: Path) -> dict[str, Any] | None:
        """What came of it, where it has ended."""
        ...


@dataclass(frozen=True)
class Crew:
    """Who runs the jobs: a script that takes ``--job FIELDS --out FOLDER`` and the options.

    Parameters
    ----------
    processes : side by side.
    threads : of each process; 0 leaves what the environment says.
    """

    script: str
    out: Path
    options: tuple[str, ...]
    processes: int
    threads: int = 0

    def run(self, jobs: Iterable[Job], until: float) -> None:
        """The jobs that have not ended, until `until` on the monotonic clock; one that fails is told and left out."""
        with ThreadPoolExecutor(self.processes) as pool:
            list(pool.map(lambda job: self._one(job, until), jobs))

    def _one(self, job: Job, until: float) -> None:
        left = until - time.monotonic()
        if job.found(self.out) or left < 5:
            return
        job.folder(self.out).mkdir(parents=True, exist_ok=True)
        command = [sys.executable, self.script, "--job", json.dumps(vars(job)), "--out", str(self.out)]
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if self.threads else ()
        environment = {**os.environ, **dict.fromkeys(names, str(self.threads))}
        with (job.folder(self.out) / "log.txt").open("a") as log:
            child = subprocess.Popen([*command, *self.options], stdout=log, stderr=log, env=environment)
            try:
                if child.wait(left):
                    print(f"failed: {job}, see log.txt in {job.folder(self.out)}", file=sys.stderr)
            except subprocess.TimeoutExpired:
                child.kill()  # its last checkpoint is whole: fit goes on from there
                child.wait()
