"""A network of 10 million synapses by rule: built, lowered and run; memory beside the engine's own arrays, and times.

    python benchmarks/connectivity.py [--neurons 10000] [--out benchmarks/records/connectivity.json] [--list]

Every neuron has 1,000 synapses; weights are normal, delays normal (0.1 to 3 ms in steps of 0.1 ms). A child process
builds, lowers and runs the network and reads its largest resident memory; what a child takes with one synapse a
neuron instead is taken off. The engine's own arrays are 4 bytes a target, 4 a weight, and 12 a row of one source
and delay. `--list` also writes the synapses out in numpy and compares a run of the list with that of the rule.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
from record import Record

from spikeflow.ir.graph import Graph
from spikeflow.ir.listed import listed
from spikeflow.ir.projections import FixedInDegree, Normal
from spikeflow.neurons import LIF
from spikeflow.populations import Populations, ms, mV
from spikeflow.sim import Constant, prepare

DT_S, STEPS, SEED, IN_DEGREE = 1e-4, 200, 1, 1000


def network(neurons: int, in_degree: int) -> Graph:
    """One population, fed from outside and joined with itself."""
    net = Populations(DT_S, SEED)
    start = np.random.default_rng(SEED).uniform(0, mV(20), neurons).astype(np.float32)
    net.add("n", LIF.from_tau(ms(20), DT_S, threshold=mV(20)), neurons, {"v": start})
    net.feed("drive", "n")
    delay = Normal(ms(1.5), ms(0.75), ms(0.1), ms(3))
    net.project("n", "n", FixedInDegree(in_degree), Normal(mV(-0.05), mV(0.01)), delay)
    return net.graph(["n"])


def drive(neurons: int) -> dict[str, Constant]:
    step = mV(26) * (1 - np.exp(-DT_S / ms(20)))
    return {"drive": Constant(np.full((1, neurons), step, np.float32))}


def measured(neurons: int, in_degree: int) -> dict[str, float]:
    """In a child: seconds of each part, spikes, and the largest resident memory in bytes."""
    begun = time.perf_counter()
    graph = network(neurons, in_degree)
    built = time.perf_counter()
    runner = prepare(graph, "cpp", 1)
    lowered = time.perf_counter()
    spikes = float(runner(drive(neurons), STEPS).outputs["n out"].sum())
    done = time.perf_counter()
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
    seconds = {"build_s": built - begun, "lower_s": lowered - built, "run_s": done - lowered}
    return {**seconds, "spikes": spikes, "peak_bytes": peak}


def child(neurons: int, in_degree: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--neurons", str(neurons), "--child", str(in_degree)]
    found: dict[str, float] = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )
    return found


def memory(neurons: int) -> dict[str, Any]:
    """Bytes a synapse at the peak, and beside the engine's own arrays."""
    full, bare = child(neurons, IN_DEGREE), child(neurons, 1)
    synapses, rows = neurons * IN_DEGREE, neurons * 30
    more = full["peak_bytes"] - bare["peak_bytes"]
    beside = (more - 8 * synapses - 12 * rows) / synapses
    return {**full, "synapses": synapses, "bytes_a_synapse": more / synapses, "beside_engine_bytes": beside}


def expansion(neurons: int) -> dict[str, Any]:
    """The list that numpy draws, run as such."""
    graph = network(neurons, IN_DEGREE)
    begun = time.perf_counter()
    written = listed(graph)
    seconds = time.perf_counter() - begun
    spikes = [prepare(g, "cpp", 1)(drive(neurons), STEPS).outputs["n out"] for g in (graph, written)]
    assert np.array_equal(*spikes), "the list and the rule differ"
    return {"list_s": seconds, "equal": True, "spikes": float(spikes[0].sum())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--neurons", type=int, default=10_000)
    parser.add_argument("--out", default="benchmarks/records/connectivity.json")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--child", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measured(args.neurons, args.child)))
        return
    settings = {"neurons": args.neurons, "in_degree": IN_DEGREE, "steps": STEPS, "seed": SEED, "threads": 1}
    record = Record(args.out, settings)
    for part, make in (("rule", memory), *([("list", expansion)] if args.list else [])):
        if part not in record:
            record.put(part, make(args.neurons))
        print(part, json.dumps(record[part], indent=1))


if __name__ == "__main__":
    main()
