"""Circuits of published sizes: the cortical microcircuit with its statistics, and a fly's brain in shape.

    python benchmarks/circuits.py [--part microcircuit fly] [--scale 0.1] [--drive poisson dc] [--seconds 2] [--threads 1 2]
        [--out benchmarks/records/circuits.json]

microcircuit: `examples/microcircuit.py`. Rates of every population are compared with the published ones first: within 3
standard errors (over second-long pieces) and 5 %, printed where not, as is always so at small scales; then irregularity (mean
coefficient of variation of the intervals of neurons with three spikes or more) and the mean correlation of the counts in
bins of 2 ms of up to 200 neurons of each population.

fly: 138,639 leaky neurons (tau 20 ms, currents of 5 ms, refractory 2.2 ms, delay 1.8 ms, steps of 0.1 ms) and 15.1 million
connections drawn with numpy: sources and targets each in proportion to lognormal numbers (sigma 1), weights 0.275 mV times
heavy-tailed counts, three of ten sources inhibitory; 21 neurons driven at 150 events a second, as in Shiu and others (Nature
634, 2024). It has the shape of that network, not its wiring.

Every run is a process of its own; times are CPU and wall seconds a second of biology without building and without the first
0.3 s. GeNN, NEST and Brian2 are timed by nobody here: where they are installed the record says so, and where not. No recordings of
the microcircuit are among our data, so irregularity and correlation are recorded without a test against any.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from record import Record

from spikeflow.ir.arrays import Codes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Poisson, Sparse
from spikeflow.neurons import CubaLIF
from spikeflow.populations import mV
from spikeflow.sim import prepare

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
from microcircuit import NAMES, PUBLISHED_HZ, network

DT_S, SEED, SETTLING, PIECE = 1e-4, 1, 3000, 1000
FLY_NEURONS, FLY_CONNECTIONS, FLY_DRIVEN, FLY_DELAY = 138_639, 15_100_000, 21, 18


def fly() -> Graph:
    """One population; its connections as a list with codes of 8 bits."""
    rng, n = np.random.default_rng(SEED), FLY_NEURONS
    share = np.cumsum(rng.lognormal(0.0, 1.0, (2, n)), axis=1)
    source, target = (
        np.searchsorted(s, rng.uniform(0, s[-1], FLY_CONNECTIONS)).astype(np.int32) for s in share
    )
    order = np.argsort(source, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))])
    counts = np.clip(np.exp(rng.normal(0.7, 0.9, FLY_CONNECTIONS)), 1, 127).astype(np.int8)
    sign = np.where(rng.random(n) < 0.3, -1, 1).astype(np.int8)
    leak, decay = float(np.exp(-DT_S / 20e-3)), float(np.exp(-DT_S / 5e-3))
    # a step of the membrane under a current that decays, in units of 1 mV
    step = 5 / (20 - 5) * (leak - decay)
    codes = Codes(counts * sign[source[order]], float(mV(0.275) * step))
    mean = np.zeros(n)
    mean[rng.choice(n, FLY_DRIVEN, replace=False)] = 150 * DT_S
    nodes: dict[str, Any] = {
        "drive": Poisson((n,), mean, SEED, 0, float(mV(0.275) * 250 * step)),
        "synapses": Sparse(indptr, target[order], codes, (n,), (n,)),
        "brain": CubaLIF(decay, leak, float(mV(7)), refractory=22).node((n,)),
    }
    edges = Edge("drive", "brain"), Edge("synapses", "brain"), Edge("brain", "synapses", delay=FLY_DELAY)
    return Graph(nodes, edges, DT_S)


def run(part: str, scale: float, drive: str, threads: int, seconds: float) -> dict[str, Any]:
    """In a process of its own: times, memory, spikes in pieces, and for the microcircuit its statistics."""
    begun = time.process_time(), time.perf_counter()
    graph = fly() if part == "fly" else network(scale, drive, SEED)
    drawn = time.process_time() - begun[0], time.perf_counter() - begun[1]
    names = ("brain",) if part == "fly" else NAMES
    live = prepare(graph, "cpp", threads).begin(1)
    built = time.process_time() - begun[0], time.perf_counter() - begun[1]
    live.advance({}, SETTLING)
    counts, kept = [], {name: list[Any]() for name in names}
    begun = time.process_time(), time.perf_counter()
    for _ in range(round(seconds / DT_S) // PIECE):
        found = live.advance({}, PIECE, record=names if part == "microcircuit" else ())
        counts.append([found.counts[name].spikes for name in names])
        for name, spikes in found.recorded.items():
            kept[name].append((spikes.step + PIECE * (len(counts) - 1), spikes.neuron))
    biology = len(counts) * PIECE * DT_S
    used = {
        "cpu_per_s": (time.process_time() - begun[0]) / biology,
        "wall_per_s": (time.perf_counter() - begun[1]) / biology,
    }
    sizes = np.array([graph.shapes[name][0] for name in names])
    rates = np.array(counts) / sizes / (PIECE * DT_S)
    answer = used | {
        "graph_cpu_s": drawn[0],  # numpy's part of what follows
        "graph_wall_s": drawn[1],
        "build_cpu_s": built[0],
        "build_wall_s": built[1],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "rates_hz": rates.mean(axis=0).tolist(),
        "rate_errors_hz": (rates.std(axis=0, ddof=1) / np.sqrt(len(rates))).tolist(),
    }
    if part == "microcircuit":
        answer |= statistics_of(
            {n: tuple(map(np.concatenate, zip(*s, strict=True))) for n, s in kept.items()}, sizes
        )
    return answer


def statistics_of(spikes: dict[str, Any], sizes: np.ndarray) -> dict[str, list[float]]:
    """Irregularity and correlation of each population."""
    irregular, correlated = [], []
    for (step, neuron), size in zip(spikes.values(), sizes, strict=True):
        order = np.lexsort((step, neuron))
        step, neuron = step[order], neuron[order]
        trains = np.split(step, np.flatnonzero(np.diff(neuron)) + 1)
        gaps = [np.diff(train) for train in trains if len(train) >= 3]
        irregular.append(float(np.mean([gap.std() / gap.mean() for gap in gaps])) if gaps else float("nan"))
        chosen = neuron < min(size, 200)
        binned = np.zeros((min(int(size), 200), int(step.max(initial=0)) // 20 + 1))
        np.add.at(binned, (neuron[chosen], step[chosen] // 20), 1)
        active = binned[binned.std(axis=1) > 0]
        matrix = np.corrcoef(active) if len(active) > 1 else np.eye(2)
        correlated.append(float(matrix[~np.eye(len(matrix), dtype=bool)].mean()))
    return {"irregularity": irregular, "correlation": correlated}


def told(found: dict[str, Any]) -> dict[str, Any]:
    """Each population beside what is published, and which lie outside of the bound."""
    rates, errors = np.array(found["rates_hz"]), np.array(found["rate_errors_hz"])
    outside = np.abs(rates - PUBLISHED_HZ) > 3 * errors + 0.05 * PUBLISHED_HZ
    for name, rate, error, published, far in zip(NAMES, rates, errors, PUBLISHED_HZ, outside, strict=True):
        mark = "  outside of 3 standard errors + 5 %" if far else ""
        print(f"  {name}: {rate:.3f} +- {error:.3f} Hz, published {published:.3f}{mark}")
    return found | {"outside": [n for n, far in zip(NAMES, outside, strict=True) if far]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=("microcircuit", "fly"), default=["microcircuit", "fly"])
    parser.add_argument("--scale", type=float, nargs="+", default=[0.1])
    parser.add_argument(
        "--drive", nargs="+", choices=("poisson", "dc"), default=["poisson"], help="dc at full scale only"
    )
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", default="benchmarks/records/circuits.json")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        part, scale, drive, threads, seconds = args.child
        print(json.dumps(run(part, float(scale), drive, int(threads), float(seconds))))
        return
    installed = [name for name in ("nest", "pygenn", "brian2") if find_spec(name)]
    print(
        f"installed beside us: {', '.join(installed) or 'neither NEST nor GeNN nor Brian2, which are left out'}"
    )
    record = Record(args.out, {"seconds": args.seconds, "seed": SEED, "installed": installed})
    # smaller circuits are silent under a constant drive
    wanted = [
        (scale, drive) for scale in args.scale for drive in args.drive if drive == "poisson" or scale == 1
    ]
    cases = [*(("microcircuit", *case) for case in wanted), ("fly", 1.0, "poisson")]
    for part, scale, drive in cases:
        for threads in args.threads if part in args.part else ():
            name = f"{part} {scale:g} {drive}, threads {threads}"
            if name not in record:
                command = [
                    sys.executable,
                    __file__,
                    "--child",
                    part,
                    str(scale),
                    drive,
                    str(threads),
                    str(args.seconds),
                ]
                print(name, flush=True)
                found = json.loads(
                    subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
                )
                record.put(name, told(found) if part == "microcircuit" else found)
            print(name, json.dumps(record[name]), flush=True)


if __name__ == "__main__":
    main()
