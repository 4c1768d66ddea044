"""What running a mapping costs beside the same integer network unmapped.

    python benchmarks/mapped.py --data DIR --out benchmarks/records/mapped.json

DIR is the data folder (README.md there). Each network is converted, made integers for a chip and mapped; the mapping is
written to a file and read again, so that the run is rebuilt from the tables. Three forms run the same samples on one
thread: the integer network before it is cut, the whole layers that are found in the rebuilt graph, and the rebuilt graph
part by part. Outputs must be equal in every bit, counts of the two rebuilt forms as well; passes are interleaved, the clock
is the processor's, the figure the median. What is done once (reading, rebuilding, finding layers, lowering) is told apart.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import workloads
from given import NETWORKS
from record import Record

from spikeflow.convert import convert
from spikeflow.hw import load, map_network
from spikeflow.hw.pipeline import MapOptions, as_integers
from spikeflow.hw.tables.file import read_mapping, write_mapping
from spikeflow.ir.divided import divided_of
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import Network
from spikeflow.sim import prepare
from spikeflow.sim.batch import encode_batch
from spikeflow.sim.engine import Engine
from spikeflow.sim.result import Result

STEPS = 64
CHIPS = ("loihi2", "spinnaker2")
BATCHES = (1, 32)
REPEATS = {1: 9, 32: 5}


@dataclass(frozen=True, eq=False)
class Task:
    """A converted network, its samples for calibration, and those that are run."""

    network: Network
    calibration: np.ndarray
    x: np.ndarray


def given(name: str, data: Path) -> Task:
    """A network of the data folder."""
    one = NETWORKS[name]
    images = one.images(data, max(BATCHES))
    network = convert(one.opened(data), images.calibration, steps=STEPS, arch=one.arch).network
    return Task(network, images.calibration[:64], images.x)


def digits() -> Task:
    """The demo's network."""
    calibration, test, made = workloads.digits_files(STEPS)
    return Task(made, calibration["x"], test["x"][: max(BATCHES)])


@dataclass(frozen=True, eq=False)
class Forms:
    """The integer network and both forms of its mapping, each ready to run, and the seconds that it took."""

    runs: dict[str, Callable[[int], Result]]
    facts: dict[str, Any]


def forms(task: Task, chip: str, folder: Path) -> Forms:
    """Map, write, read and lower."""
    fixed, _ = as_integers(task.network, load(chip), task.calibration, MapOptions(chips=64, accept_loss=True))
    path = folder / "mapped.h5"
    write_mapping(path, map_network(fixed, chip, task.calibration, chips=64))
    seconds: dict[str, float] = {}

    def timed(what: str, make: Callable[[], Any]) -> Any:
        begun = time.process_time()
        made = make()
        seconds[what] = time.process_time() - begun
        return made

    mapping = timed("read", lambda: read_mapping(path))
    graph = timed("rebuild", mapping.as_graph)
    found = timed("find layers", lambda: divided_of(graph))
    assert found is not None
    steps = fixed.record.steps + mapping.level
    inputs = {n: encode_batch(fixed, task.x[:n], fixed.record.steps, mapping.level, 0) for n in BATCHES}
    ready = {
        "unmapped": timed("lower unmapped", lambda: Engine(fixed.graph, 1)),
        "mapped": timed("lower layers", lambda: prepare(graph, threads=1)),
        "part by part": timed("lower parts", lambda: Engine(graph, 1)),
    }
    runs = {
        form: lambda batch, one=one: one(inputs[batch], steps, keep_state=False)
        for form, one in ready.items()
    }
    kinds = Counter(type(node).__name__ for node in found.whole.nodes.values())
    populations = len(mapping.as_graph().of_kind(Population))
    facts = {
        "steps": steps,
        "cores": mapping.cores_used,
        "chips": mapping.chips,
        "neurons": mapping.neurons,
        "synapse_words": mapping.synapses,
        "parts": populations,
        "whole_nodes": dict(kinds),
        "cpu_s_once": seconds,
    }
    return Forms(runs, facts)


def measure(made: Forms, batch: int) -> dict[str, Any]:
    """The medians of interleaved passes, after the outcome was seen to be equal."""
    found = {form: run(batch) for form, run in made.runs.items()}
    wanted = found["unmapped"].outputs
    for result in found.values():
        assert all(np.array_equal(wanted[name], values) for name, values in result.outputs.items())
    whole, parts = found["mapped"].counts, found["part by part"].counts
    assert {n: c.semantic() for n, c in whole.items()} == {n: c.semantic() for n, c in parts.items()}
    times: dict[str, list[float]] = {form: [] for form in made.runs}
    for _ in range(REPEATS[batch]):
        for form, run in made.runs.items():
            begun = time.process_time()
            run(batch)
            times[form].append(time.process_time() - begun)
    ms = {form: 1000 * statistics.median(all_of) for form, all_of in times.items()}
    return {
        "cpu_ms": ms,
        "spread_ms": {form: [1000 * min(t), 1000 * max(t)] for form, t in times.items()},
        "passes": REPEATS[batch],
        "ratio": ms["mapped"] / ms["unmapped"],
        "ratio_part_by_part": ms["part by part"] / ms["unmapped"],
    }


def main() -> None:
    """Every part that the record does not hold yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", default="benchmarks/records/mapped.json")
    parser.add_argument("--networks", default="digits,lenet,resnet20")
    parser.add_argument("--chips", default=",".join(CHIPS))
    args = parser.parse_args()
    record = Record(args.out, {"kind": "mapped", "threads": 1, "seed": 0, "clock": "CPU time, median"})
    for name in args.networks.split(","):
        wanted = [chip for chip in args.chips.split(",") if f"{name} on {chip}" not in record]
        if not wanted:
            continue
        task = digits() if name == "digits" else given(name, args.data)
        for chip in wanted:
            with tempfile.TemporaryDirectory() as folder:
                made = forms(task, chip, Path(folder))
            batches = {f"batch {batch}": measure(made, batch) for batch in BATCHES}
            record.put(f"{name} on {chip}", {**made.facts, **batches})
            print(f"{name} on {chip}: {record[f'{name} on {chip}']}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
