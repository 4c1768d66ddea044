"""The engine of this tree against that of an earlier commit, in pairs: CPU time on one thread, and instructions.

    git worktree add ../before REVISION        (and build it there: make setup)
    python benchmarks/commits.py --before ../before/.venv/bin/python --out benchmarks/records/commits.json [--pairs 20]

Both interpreters load the same files and run in turn, A B A B; the record holds for each network the median of the
pairs' ratios (this tree over the earlier one) with its 95 % interval by order statistics, and, where valgrind is
there, the ratio of instructions of a run, counted by callgrind from the second run on. SPIKEFLOW_DATA names the data
folder for ResNet-20; without it that network is left out.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workloads import Workload

HERE = Path(__file__).resolve().parent
LEAST_S = 0.25  # CPU time of one side of a pair, by repeating short runs


def serve(folder: str) -> None:
    """In the interpreter under test: for each line of input so many runs, or, where 0, the CPU time of one."""
    import numpy as np

    from spikeflow.events import Spikes
    from spikeflow.ir import file
    from spikeflow.sim import Constant, prepare

    network, values = file.read(Path(folder) / "net.h5"), np.load(Path(folder) / "inputs.npy")
    inputs: Any = values.astype(np.float32)
    inputs = Constant(inputs) if network.record.coding == "direct" else Spikes.from_dense(inputs)
    runner, steps = prepare(network.graph, "cpp", 1), network.record.steps
    runner(inputs, steps)
    for line in sys.stdin:
        begun, count, wanted = time.process_time(), 0, int(line)
        while count < wanted or (not wanted and time.process_time() - begun < LEAST_S):
            runner(inputs, steps)
            count += 1
        print((time.process_time() - begun) / count, flush=True)


def make(name: str, folder: Path) -> None:
    """In the interpreter of the earlier tree, whose files this one opens: a workload by its name."""
    from engine import write

    write(_makers()[name](), folder)


def _makers() -> dict[str, Callable[[], Workload]]:
    """The networks of `benchmarks/engine.py`, and one with delays, which the peers there cannot run."""
    import workloads

    from engine import makers

    found = {name: make for family in makers(False).values() for name, make in family}
    return found | {f"delays batch {b}": partial(workloads.delayed_network, b) for b in workloads.BATCHES}


def interval(ratios: list[float]) -> tuple[float, float]:
    """A 95 % interval of the median: the order statistics that a binomial of 1/2 leaves out with 2.5 % on each side."""
    from scipy.stats import binom

    ordered, low = sorted(ratios), int(binom.ppf(0.025, len(ratios), 0.5))
    return ordered[max(low - 1, 0)], ordered[min(len(ratios) - low, len(ratios) - 1)]


def pairs(pythons: tuple[str, str], folder: str, count: int) -> dict[str, Any]:
    """Ratios of CPU time, now over before, and the shortest time of a run."""
    both = [_process(python, folder) for python in pythons]
    try:
        times = [(_asked(both[0]), _asked(both[1])) for _ in range(count)]
    finally:
        for process in both:
            process.communicate()
    ratios = [now / before for before, now in times]
    return {
        "pairs": count,
        "median": statistics.median(ratios),
        "interval": interval(ratios),
        "run_s": min(min(two) for two in times),
    }


def instructions(pythons: tuple[str, str], folder: str, run_s: float) -> float | None:
    """Instructions of a run, now over before; None without valgrind. Of short runs more, since Python's own vary."""
    if shutil.which("valgrind") is None:
        return None
    before, now = (_counted(python, folder, max(1, min(30, round(0.1 / run_s)))) for python in pythons)
    return now / before


def _command(python: str, folder: str) -> list[str]:
    return [python, str(HERE / "commits.py"), "--serve", folder]


def _process(python: str, folder: str, *under: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [*under, *_command(python, folder)]
    return subprocess.Popen(
        command, text=True, stdin=pipe, stdout=pipe, stderr=pipe if under else None, env=_alone(python)
    )


def _alone(python: str) -> dict[str, str]:
    """One thread each; the package is the one of the interpreter's own tree."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **one, "PYTHONPATH": str(Path(python).absolute().parents[2]), "PYTHONHASHSEED": "0"}


def _asked(process: subprocess.Popen[str], runs: int = 0) -> float:
    assert process.stdin and process.stdout
    process.stdin.write(f"{runs}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def _counted(python: str, folder: str, runs: int) -> int:
    """Of so many runs; counting is switched on from outside once the process is warm."""
    callgrind = "valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"
    process = _process(python, folder, *callgrind)
    _asked(process, 1)
    switch = ("callgrind_control", "-i", "on", str(process.pid))
    subprocess.run(switch, check=True, capture_output=True)
    _asked(process, runs)
    subprocess.run((*switch[:2], "off", switch[3]), check=True, capture_output=True)
    _, told = process.communicate()
    found = re.search(r"Collected : (\d+)", told)
    assert found, told[-500:]
    return int(found[1])


def main() -> None:
    """Every workload, each into the record as soon as it is measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", help="the interpreter of the earlier tree")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--out", default="commits.json")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--make", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(args.make, Path(args.serve))
        return
    if args.serve:
        serve(args.serve)
        return
    from record import Record

    pythons = (args.before, sys.executable)
    earlier = subprocess.check_output(
        ("git", "rev-parse", "HEAD"), cwd=Path(args.before).absolute().parents[2], text=True
    ).strip()
    record = Record(args.out, {"before": earlier, "pairs": args.pairs, "threads": 1})
    for name in _makers():
        if name not in record:
            with tempfile.TemporaryDirectory() as folder:
                made = [*_command(args.before, folder), "--make", name]
                subprocess.run(made, check=True, env=_alone(args.before))
                timed = pairs(pythons, folder, args.pairs)
                found = {**timed, "instructions": instructions(pythons, folder, timed["run_s"])}
            record.put(name, found)
            print(name, record[name], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
