"""One contender in a process of its own, so that its peak of memory is its own; told what to do by JSON lines.

load FOLDER   the workload in the folder becomes the one that is run; the first call is the warm-up
record FILE   the spikes of every population, as bits, into an npz
time SECONDS  run at least once and for so long; the time of each run: of the processor on one thread, else by the wall
memory        current and peak resident memory; the peak since `load` or `record` ended, whichever was later
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.events import Spikes
from spikeflow.ir import file
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population


class Engine:
    """spikeflow's engine: `spikes` hands it records of spikes, `dense` an array, `constant` one current."""

    def __init__(self, engine: str, form: str, threads: int) -> None:
        self.engine, self.form, self.threads = engine, form, threads

    def load(self, graph: Graph, inputs: np.ndarray, steps: int) -> None:
        """Lower the graph, and bring the input into the form that is measured."""
        from spikeflow.sim import Constant, Dense, prepare

        self.runner = prepare(graph, self.engine, self.threads)
        form: Callable[[Any], Any] = {"spikes": Spikes.from_dense, "dense": Dense, "constant": Constant}[
            self.form
        ]
        self.inputs, self.steps = form(inputs.astype(np.float32)), steps
        self.names = list(graph.of_kind(Population))

    def run(self) -> Any:
        """One run, outputs and counts included."""
        return self.runner(self.inputs, self.steps)

    def values(self) -> dict[str, np.ndarray]:
        """The values of all populations of one run."""
        result = self.runner(self.inputs, self.steps, record=self.names)
        return {name: spikes.dense() for name, spikes in result.recorded.items()}

    def described(self) -> dict[str, Any]:
        """What was run."""
        return {"package": "spikeflow", "form": f"engine {self.engine}, input as {self.form}"}


class Peer:
    """A peer's neurons in a torch network, in one mode."""

    def __init__(self, cells: str, mode: str, threads: int) -> None:
        import torch
        from peers.cells import CELLS

        torch.set_num_threads(threads)
        self.torch, self.cells, self.mode = torch, CELLS[cells], mode
        self.net: Any = None

    def load(self, graph: Graph, inputs: np.ndarray, steps: int, constant: bool) -> None:
        """New weights go into the old network, so that what was compiled stays valid."""
        from peers.modes import make
        from peers.network import SpikingNetwork

        fresh = SpikingNetwork(graph, self.cells, steps, constant)
        if self.net is None:
            self.net = fresh
            self.function = make(fresh, self.mode)
        else:
            self.net.load_state_dict(fresh.state_dict())
        self.inputs = self.torch.from_numpy(inputs.astype(np.float32))

    def run(self) -> Any:
        """One run."""
        with self.torch.inference_mode():
            return self.function(self.inputs)

    def values(self) -> dict[str, np.ndarray]:
        """The values of all populations of one run."""
        return {name: z.numpy() for name, z in self.run().items()}

    def described(self) -> dict[str, Any]:
        """What was run."""
        return {**self.cells.described(), "mode": self.mode, "torch": self.torch.__version__}


class Session:
    """The contender, and the answers to what it is told."""

    def __init__(self, kind: str, how: str, threads: int) -> None:
        self.clock = time.process_time if threads == 1 else time.perf_counter
        self.contender: Any = (
            Engine(kind, how, threads) if kind in ("cpp", "reference") else Peer(kind, how, threads)
        )

    def load(self, folder: str) -> dict[str, Any]:
        """Load a workload and run it once: compilers and caches are warm afterwards."""
        _forget_peak()
        network = file.read(Path(folder) / "net.h5")
        inputs = np.load(Path(folder) / "inputs.npy")
        begun = time.perf_counter()
        if isinstance(self.contender, Peer):
            constant = network.record.coding == "direct"
            self.contender.load(network.graph, inputs, network.record.steps, constant)
        else:
            self.contender.load(network.graph, inputs, network.record.steps)
        made = time.perf_counter()
        self.contender.run()
        took = time.perf_counter() - made
        return {
            "prepare_s": made - begun,
            "first_run_s": took,
            "load_peak_mib": _peak(),
            **self.contender.described(),
        }

    def record(self, path: str) -> dict[str, Any]:
        """Write the values of all populations; spikes, which are 0 or 1, as bytes."""
        values = self.contender.values()
        np.savez(
            path,
            **{k: v.astype(np.uint8) if set(np.unique(v)) <= {0.0, 1.0} else v for k, v in values.items()},
        )
        del values
        _forget_peak()
        return {}

    def time(self, seconds: str) -> dict[str, Any]:
        """The time of each run."""
        runs, end = [], time.perf_counter() + float(seconds)
        while not runs or time.perf_counter() < end:
            begun = self.clock()
            self.contender.run()
            runs.append(self.clock() - begun)
        return {"runs": runs}

    def memory(self, _: str) -> dict[str, Any]:
        """Peak resident memory in MiB of the timed runs; of children, such as compilers, nothing."""
        return {"peak_mib": _peak()}


def _peak() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def _forget_peak() -> None:
    """The kernel's mark of the peak falls to what is resident now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """worker.py KIND HOW THREADS: serve until standard input ends."""
    kind, how, threads = sys.argv[1:]
    # libraries print what they like; only answers go to the real standard output
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    session = Session(kind, how, int(threads))
    for line in sys.stdin:
        command, argument = json.loads(line)
        try:
            answer = getattr(session, command)(argument)
        except Exception as error:  # whatever it is, it belongs into the record
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
