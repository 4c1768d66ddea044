"""Sparse networks with delays against what the processor allows: time, memory and construction.

    python benchmarks/networks.py [--neurons 10000 50000] [--threads 1 2] [--seconds 1] [--repeat 3]
        [--brian2 PYTHON] [--genn PYTHON] [--out benchmarks/records/networks.json]

Workload A, the balanced random network: 80 % excitatory, 800 + 200 synapses a neuron of constant weight (0.2 and
-1.2 mV) as codes of 8 bits, delay 1.5 ms, constant drive, steps of 0.1 ms. `bounds/balanced.cpp` is the same as a
bare loop, compiled here with -march=native. Rates are compared before times; passes of both are interleaved, each in a
process of its own; the first 0.2 s of biology are not timed. Times are CPU seconds a second of biology, of all threads,
and wall seconds. `--brian2` and `--genn` name a Python in which that simulator is installed: it runs in the same passes
(`peers/balanced_*.py`; GeNN on one thread alone, which is what it has, beside both; Brian2 up to 20 million synapses).
What is not named is told.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import Record

from spikeflow.ir.graph import Graph
from spikeflow.ir.projections import FixedInDegree
from spikeflow.neurons import LIF
from spikeflow.populations import Populations, ms, mV
from spikeflow.sim import Constant, prepare

DT_S, SEED, IN_DEGREE, WARM_STEPS, AT_ONCE = 1e-4, 1, 1000, 2000, 500
DECAY = float(np.exp(-DT_S / ms(20)))
FOLDER = Path(__file__).parent
PEERS = {"brian2": 2e7, "genn": 1e9}  # synapses, at most: the first writes a file of 8 bytes for each


def balanced(neurons: int, in_degree: int) -> Graph:
    """Excitatory and inhibitory neurons, each with four synapses of the first for one of the second."""
    net = Populations(DT_S, SEED, bits=8, scale=mV(0.2))
    rng = np.random.default_rng(SEED)
    neuron = LIF(DECAY, mV(20), "value", reset_value=mV(10), refractory=20)
    sizes = {"E": neurons * 8 // 10, "I": neurons * 2 // 10}
    for name, size in sizes.items():
        net.add(name, neuron, size, {"v": rng.uniform(0, mV(20), size).astype(np.float32)})
        net.feed(f"{name} drive", name)
    for post in sizes:
        net.project("E", post, FixedInDegree(in_degree * 8 // 10), mV(0.2), ms(1.5))
        net.project("I", post, FixedInDegree(in_degree * 2 // 10), mV(-1.2), ms(1.5))
    return net.graph()


def measured(neurons: int, in_degree: int, threads: int, seconds: float) -> dict[str, float]:
    """In a process of its own: seconds to build and for a second of biology, the rate, the largest memory."""
    begun = time.process_time()
    graph = balanced(neurons, in_degree)
    runner = prepare(graph, "cpp", threads)
    built = time.process_time() - begun
    drive = np.float32(mV(26) * (1 - DECAY))
    feeds = {name: Constant(np.full((1, *graph.shapes[name]), drive)) for name in graph.inputs}
    live = runner.begin(1)
    live.advance(feeds, WARM_STEPS)
    steps, spikes = int(seconds / DT_S) // AT_ONCE * AT_ONCE, 0
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps // AT_ONCE):
        found = live.advance(feeds, AT_ONCE)
        spikes += sum(found.counts[name].spikes for name in ("E", "I"))
    biology = steps * DT_S
    return {
        "wall_per_s": (time.perf_counter() - wall) / biology,
        "cpu_per_s": (time.process_time() - cpu) / biology,
        "rate_hz": spikes / neurons / biology,
        "build_cpu_s": built,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def answer(command: list[str]) -> dict[str, float]:
    """The line of JSON that a process prints last; GeNN lets make speak before it."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def child(neurons: int, in_degree: int, threads: int, seconds: float) -> dict[str, float]:
    sizes = [str(n) for n in (neurons, in_degree, threads, seconds)]
    return answer([sys.executable, __file__, "--child", *sizes])


def compared(bound: str, neurons: int, threads: int, args: argparse.Namespace) -> dict[str, Any]:
    """All, pass by pass; medians, and their ratios."""
    bare = child(neurons, 10, 1, 0.05)["peak_bytes"]
    sizes = [str(neurons), str(args.seconds), str(threads)]
    others = {"bare loop": [bound, *sizes]}
    for peer, most in PEERS.items():
        if getattr(args, peer) and neurons * IN_DEGREE <= most:
            others[peer] = [getattr(args, peer), str(FOLDER / "peers" / f"balanced_{peer}.py"), *sizes]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ("spikeflow", *others)}
    for _ in range(args.repeat):
        runs["spikeflow"].append(child(neurons, IN_DEGREE, threads, args.seconds))
        for name, command in others.items():
            runs[name].append(answer(command))
    found: dict[str, Any] = {
        who: {what: statistics.median(run[what] for run in each) for what in each[0]}
        for who, each in runs.items()
    }
    ours, theirs = found["spikeflow"], found["bare loop"]
    for name in others:
        if abs(found[name]["rate_hz"] - ours["rate_hz"]) > 0.05 * ours["rate_hz"]:
            raise SystemExit(
                f"rates differ: {ours['rate_hz']:.2f} and, of {name}, {found[name]['rate_hz']:.2f} Hz"
            )
    found["times faster"] = {
        name: {what: found[name][what] / ours[what] for what in ("wall_per_s", "cpu_per_s")}
        for name in others
        if name in PEERS
    }
    found["ratio"] = {what: ours[what] / theirs[what] for what in ("wall_per_s", "cpu_per_s", "build_cpu_s")}
    found["bytes_a_synapse"] = (ours["peak_bytes"] - bare) / (neurons * IN_DEGREE)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--neurons", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=3)
    for peer in PEERS:
        parser.add_argument(f"--{peer}", metavar="PYTHON", help=f"a Python that has {peer}")
    parser.add_argument("--out", default="benchmarks/records/networks.json")
    parser.add_argument("--child", type=float, nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        neurons, in_degree, threads = map(int, args.child[:3])
        print(json.dumps(measured(neurons, in_degree, threads, args.child[3])))
        return
    missing = [peer for peer in PEERS if not getattr(args, peer)]
    print(f"not beside us: {', '.join(missing) or 'none'}; NEST is not tried")
    record = Record(
        args.out, {"seconds": args.seconds, "repeat": args.repeat, "seed": SEED, "missing": missing}
    )
    with tempfile.TemporaryDirectory() as folder:
        bound, source = f"{folder}/balanced", FOLDER / "bounds" / "balanced.cpp"
        compiler = ["g++", "-std=c++20", "-O3", "-march=native", "-pthread", "-w"]
        subprocess.run([*compiler, str(source), "-o", bound], check=True)
        for neurons in args.neurons:
            for threads in args.threads:
                part = f"balanced {neurons}, threads {threads}"
                if part not in record:
                    record.put(part, compared(bound, neurons, threads, args))
                print(part, json.dumps(record[part], indent=1), flush=True)


if __name__ == "__main__":
    main()
