"""Speed and memory of the engine against torch, norse, snntorch and spikingjelly; JSON out.

    python benchmarks/engine.py --out benchmarks/records/engine.json [--threads 1|2] [--repeat 5] [--only lif] [--quick]

First every contender's spikes are checked against the equations (agreement.py); one that differs is reported, not
timed. Then passes are interleaved, A B C A B C, so that the machine's noise hits all; on one thread the clock is the
processor's time, which other programs do not lengthen. SPIKEFLOW_DATA names the data
folder for ResNet-20; without it that network is left out, and the record says so.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import workloads
from agreement import Replay
from contenders import Contender, Process, check_peers, contenders
from record import Record
from workloads import BATCHES, DENSITIES, Workload

from spikeflow.ir import file
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import Network, RunRecord

Maker = Callable[[], Workload]


def makers(quick: bool) -> dict[str, list[tuple[str, Maker]]]:
    """For each family the names of its workloads and what makes them."""
    steps = 20 if quick else workloads.STEPS
    found: dict[str, list[tuple[str, Maker]]] = {}
    for kind, make in (("lif", workloads.lif_network), ("conv", workloads.conv_network)):
        for batch in BATCHES:
            found[f"{kind} batch {batch}"] = [
                (
                    f"{kind} density {100 * d:g} % batch {batch}{' codes' if codes else ''}",
                    lambda d=d, b=batch, c=codes, make=make: make(d, b, c, steps),
                )
                for d in DENSITIES
                for codes in (False, True)
            ]
    found["recurrent batch 1"] = [
        (
            f"recurrent density {100 * d:g} % batch 1{' codes' if codes else ''}",
            lambda d=d, c=codes: workloads.recurrent_network(d, c, 10 * steps),
        )
        for d in workloads.RECURRENT_GAINS
        for codes in (False, True)
    ]
    for batch in BATCHES:
        name = f"digits batch {batch}"
        found[name] = [(name, lambda b=batch: workloads.digits(b, 20 if quick else 64))]
    data = os.environ.get("SPIKEFLOW_DATA")
    if data:
        for batch in BATCHES:
            name = f"resnet20 batch {batch}"
            found[name] = [(name, lambda b=batch: workloads.cifar10(Path(data), b, 4 if quick else 32))]
    return found


def measure(family: list[tuple[str, Maker]], args: argparse.Namespace, record: Record) -> None:
    """All workloads of one family: its contenders live through all of them, so that each compiles once."""
    made = [(name, maker()) for name, maker in family if name not in record]
    if not made:
        return
    found = [c for c in contenders(made[0][1], args.engine, args.quick) if re.search(args.contenders, c.name)]
    processes = [Process(c, args.threads, args.peers) for c in found]
    try:
        for name, work in made:
            with tempfile.TemporaryDirectory() as folder:
                record.put(name, _one(work, processes, args, Path(folder)))
    finally:
        for process in processes:
            process.close()


def _one(work: Workload, processes: list[Process], args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    write(work, folder)
    results: dict[str, dict[str, Any]] = {}
    for process, spikes in _loaded(work, processes, folder, results):
        results[process.contender.name].update(_agreement(work, process.contender, spikes, folder))
    ready = [
        p
        for p in processes
        if p.contender.timed and results[p.contender.name].get("agreement", {}).get("equal")
    ]
    runs: dict[str, list[list[float]]] = {p.contender.name: [] for p in ready}
    for turn in range(args.repeat):
        _say(f"{work.name}: pass {turn + 1} of {args.repeat}")
        for process in ready:
            answer = process.ask("time", str(args.seconds))
            if "error" in answer:
                results[process.contender.name].update(answer)
            else:
                runs[process.contender.name].append(answer["runs"])
    for process in processes:
        result = results[process.contender.name]
        result.update(_summary(runs.get(process.contender.name, [])), **process.ask("memory"))
    return {**_facts(work, args.threads), "contenders": results}


def write(work: Workload, folder: Path) -> None:
    coding = "direct" if work.constant else "spikes"
    file.write(folder / "net.h5", Network(work.graph, RunRecord(work.steps, coding)))
    np.save(folder / "inputs.npy", work.inputs)


def _loaded(
    work: Workload, processes: list[Process], folder: Path, results: dict[str, dict[str, Any]]
) -> Iterator[tuple[Process, dict[str, np.ndarray]]]:
    """Load the workload everywhere; the recorded values of each that could, one after the other."""
    for process in processes:
        _say(f"{work.name}: {process.contender.name}")
        answer = process.ask("load", str(folder))
        results[process.contender.name] = answer
        path = folder / "spikes.npz"
        if "error" not in answer:
            answer.update(process.ask("record", str(path)))
        if "error" not in answer:
            yield process, dict(np.load(path))
        else:
            _say(f"  {answer['error']}")


def _agreement(
    work: Workload, contender: Contender, values: dict[str, np.ndarray], folder: Path
) -> dict[str, Any]:
    """Against the equations, and, for information, against the first contender's values of the same run."""
    found = Replay(work).check(values).to_json()
    first = folder / "first.npz"
    if not first.exists():
        np.savez(first, **values)
    with np.load(first) as theirs:
        found["differing_from_first"] = sum(
            int((z != theirs[n]).sum()) for n, z in values.items() if z.dtype == np.uint8
        )
        # a read-out that adds up is no spike: how far it is at the end, in units of its largest value
        found["readout_from_first"] = max(
            (
                float(abs(v[-1] - theirs[n][-1]).max() / (abs(theirs[n][-1]).max() + 1e-30))
                for n, v in values.items()
                if v.dtype != np.uint8
            ),
            default=None,
        )
    if not found["equal"]:
        _say(f"  {contender.name} differs: {found}")
    return {"agreement": found, "spikes": {n: int(z.sum()) for n, z in values.items() if z.dtype == np.uint8}}


def _summary(passes: list[list[float]]) -> dict[str, Any]:
    """Median and minimum over all runs, the median of each pass, and the number of runs; seconds a run."""
    runs = [seconds for one in passes for seconds in one]
    if not runs:
        return {}
    return {
        "median_s": statistics.median(runs),
        "minimum_s": min(runs),
        "runs": len(runs),
        "pass_medians_s": [statistics.median(one) for one in passes],
    }


def _facts(work: Workload, threads: int) -> dict[str, Any]:
    sizes = [int(np.prod(n.shape)) for n in work.graph.nodes.values() if isinstance(n, Population)]
    active = None if work.constant else float(work.inputs.mean())
    return {
        **dict(work.facts),
        "steps": work.steps,
        "samples": int(work.inputs.shape[0 if work.constant else 1]),
        "neurons": sum(sizes),
        "input_density": active,
        "clock": "CPU" if threads == 1 else "wall",
        "digest": work.graph.digest,
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure every family that is asked for, each workload into the record as soon as it is done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="engine.json")
    parser.add_argument(
        "--threads", type=int, choices=(1, 2), default=1, help="of the engine and of torch alike"
    )
    parser.add_argument("--repeat", type=int, default=5, help="interleaved passes")
    parser.add_argument("--seconds", type=float, default=0.3, help="least time of a contender in a pass")
    parser.add_argument("--only", default="", help="families whose name begins so")
    parser.add_argument("--peers", default="", help="folder of packages, instead of .venv-peers")
    parser.add_argument(
        "--contenders", default="", help="only those whose name this pattern finds; in the record"
    )
    parser.add_argument("--quick", action="store_true", help="few steps, nothing compiled: for trying it out")
    parser.add_argument("--engine", default="cpp", choices=("cpp", "reference"))
    args = parser.parse_args()
    check_peers(args.peers)
    settings = {k: v for k, v in vars(args).items() if k not in ("out", "only", "peers")}
    record = Record(args.out, {**settings, "resnet20": bool(os.environ.get("SPIKEFLOW_DATA"))})
    for family, members in makers(args.quick).items():
        if family.startswith(args.only):
            measure(members, args, record)


if __name__ == "__main__":
    main()
