"""What one rank of many costs, measured, and what thousands of ranks would: time, memory, and what binds first.

    python benchmarks/scaling.py [--out benchmarks/records/scaling.json]

A rank is run alone as one of P: an exchange answers for the others with spikes drawn at a rate. So its part of the network,
its tables and what it reads of others are those of a run on P ranks; only the network between machines is missing, whose
latency and bandwidth are assumed. Each case is a process of its own; times are CPU time of one thread, less that spent making
the others' spikes. What an exchange costs here is measured between real ranks, over sockets and, where it is there, MPI.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
from record import Record

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spikeflow.ir.graph import Graph
from spikeflow.ir.projections import FixedInDegree
from spikeflow.neurons import LIF
from spikeflow.populations import Populations, ms
from spikeflow.sim.ranks.engine import RankEngine
from spikeflow.sim.ranks.exchange import SPIKES, Exchange, _word

DT, DELAY = 1e-4, ms(1.5)
STEPS = 300
# assumed, not measured: a fat tree of InfiniBand HDR, its latency as MPI benchmarks of such machines print it
LATENCY_S, BYTES_A_SECOND = 2e-6, 25e9
RATE_HZ, FAN = 5.0, 10_000  # of a cortical network
SIZES = (1e6, 1e7, 1e8, 1e9)
RANKS = (1, 16, 128, 1024, 4096, 16384)


def network(neurons: int, fan: int) -> Graph:
    """One population whose neurons are awake and stay below their threshold: only the others' spikes are there."""
    net = Populations(DT, 3)
    net.add("E", LIF(0.99, 1e9, "value"), neurons)
    net.current("E", 0.1)
    net.project("E", "E", FixedInDegree(fan), 0.1, DELAY)
    return net.graph()


class Alone:
    """Rank 0 of P: what the others would say is drawn, a few letters in turn."""

    def __init__(self, ranks: int, neurons: int, spikes: float) -> None:
        self.rank, self.ranks = 0, ranks
        self.spikes, self.spent_s, self.words = 0, 0.0, 0
        rng, each = np.random.default_rng(0), neurons / ranks
        self._letters = [[self._letter(rng, int(r * each), int((r + 1) * each), spikes / ranks) for r in range(1, ranks)] for _ in range(4)]
        self._turn = 0

    def _letter(self, rng: np.random.Generator, first: int, last: int, mean: float) -> tuple[bytes, int]:
        parts, count = list[np.ndarray](), 0
        for _ in range(round(DELAY / DT)):
            found = np.unique(rng.integers(first, last, rng.poisson(mean)))
            parts.append(np.concatenate([[len(found)], found]).astype(np.int32))
            count += len(found)
        return np.concatenate(parts).tobytes(), count

    def gather(self, own: bytes) -> list[bytes]:
        """The same of every rank, and of spikes those that were drawn."""
        begun = time.process_time()
        if own[:4] != _word(SPIKES):
            return [own] * self.ranks
        letters = self._letters[self._turn % 4]
        self._turn += 1
        self.spikes += sum(count for _, count in letters)
        said = [own, *(own[:4] + letter for letter, _ in letters)]
        self.spent_s += time.process_time() - begun
        return said

    def close(self) -> None:
        """Nobody is there."""


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def case(neurons: int, ranks: int, fan: int, spikes: float) -> dict[str, Any]:
    """One rank of `ranks` for so many steps; `spikes` of all neurons in a step."""
    transport = Alone(ranks, neurons, spikes)
    before, begun = resident(), time.process_time()
    engine = RankEngine(network(neurons, fan), Exchange(transport), 1)
    live = engine.begin(1)
    live.advance({}, round(DELAY / DT))  # what is made by the first run
    built, held = time.process_time() - begun, resident() - before
    transport.spikes, transport.spent_s, begun = 0, 0.0, time.process_time()
    live.advance({}, STEPS)
    spent = time.process_time() - begun - transport.spent_s
    own = neurons / ranks
    return {"neurons": neurons, "ranks": ranks, "fan": fan, "own": own, "spikes": transport.spikes, "cpu_s": spent, "bytes": held, "built_s": built}


def run_case(**asked: Any) -> dict[str, Any]:
    """The least of three processes' times."""
    command = [sys.executable, __file__, "--case", json.dumps(asked)]
    runs = [json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    return min(runs, key=lambda run: run["cpu_s"])


def exchanged(ranks: int, size: int) -> float:
    """Seconds of wall time of an exchange of so many bytes a rank, between processes over sockets; the least of some."""
    script = (
        "import sys, time, socket\n"
        "from spikeflow.sim.ranks.exchange import Exchange\n"
        "from spikeflow.sim.ranks.local import Sockets\n"
        "rank, size, *ends = sys.argv[1:]\n"
        "ends = {int(o): socket.socket(fileno=int(n)) for o, n in (e.split(':') for e in ends)}\n"
        "x, own, best = Exchange(Sockets(int(rank), ends)), bytes(int(size)), 1e9\n"
        "for _ in range(300):\n"
        "    t = time.perf_counter(); x.gather('x', own); best = min(best, time.perf_counter() - t)\n"
        "print(best)\n"
    )
    from spikeflow.sim.ranks.local import mesh

    ends = mesh(ranks)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(rank), str(size), *(f"{o}:{e.fileno()}" for o, e in ends[rank].items())],
            pass_fds=[e.fileno() for e in ends[rank].values()],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    return max(float(child.communicate()[0]) for child in children)


def over_mpi(ranks: int, size: int) -> float | None:
    """The same over MPI; None where there is none."""
    script = (
        "import time\n"
        "from spikeflow.sim.ranks import mpi\n"
        f"x, own, best = mpi.world(), bytes({size}), 1e9\n"
        "for _ in range(300):\n"
        "    t = time.perf_counter(); x.gather('x', own); best = min(best, time.perf_counter() - t)\n"
        "if x.rank == 0: print(best)\n"
    )
    mpirun = Path(sys.executable).parent / "mpirun"
    if not mpirun.exists():
        return None
    done = subprocess.run([mpirun, "-n", str(ranks), sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def terms(record: Record) -> dict[str, float]:
    """The measured cases as costs: of a neuron and step, a synaptic event, a spike that is read; bytes of each."""
    rest, more = record["rest"], record["more neurons"]
    update = (more["cpu_s"] - rest["cpu_s"]) / (more["own"] - rest["own"]) / STEPS
    few, many = record["read"], record["delivered"]
    events = many["spikes"] * (many["fan"] - few["fan"]) / many["ranks"]
    deliver = (many["cpu_s"] - few["cpu_s"]) / events
    base, wide = record["rest"], record["more sources"]
    read = (few["cpu_s"] - base["cpu_s"]) / few["spikes"] - few["fan"] / few["ranks"] * deliver
    source = (wide["bytes"] - base["bytes"]) / (wide["neurons"] - base["neurons"])
    synapse = (many["bytes"] - few["bytes"]) / (many["own"] * (many["fan"] - few["fan"]))
    neuron = (more["bytes"] - rest["bytes"]) / (more["own"] - rest["own"])
    return {
        "update_ns": 1e9 * update,
        "event_ns": 1e9 * deliver,
        "read_ns": 1e9 * read,
        "bytes_a_synapse": synapse,
        "bytes_a_source": source,
        "bytes_a_neuron": neuron,
        "draw_ns_a_synapse": 1e9 * (many["built_s"] - few["built_s"]) / (many["own"] * (many["fan"] - few["fan"])),
    }


def estimate(cost: dict[str, float], neurons: float, ranks: int) -> dict[str, float | str | bool]:
    """A second of biology on so many ranks of one thread, and bytes of each rank."""
    own, spikes = neurons / ranks, neurons * RATE_HZ
    parts = {
        "update": own / DT * cost["update_ns"] * 1e-9,
        "deliver": spikes * FAN / ranks * cost["event_ns"] * 1e-9,
        "read": spikes * cost["read_ns"] * 1e-9,
        "messages": (2 * log2(ranks) * LATENCY_S / DELAY) if ranks > 1 else 0.0,
        "bytes": 4 * spikes / BYTES_A_SECOND if ranks > 1 else 0.0,
    }
    memory = {
        "synapses": own * FAN * cost["bytes_a_synapse"],
        "sources": neurons * cost["bytes_a_source"],
        "neurons": own * cost["bytes_a_neuron"],
    }
    first, largest = max(parts, key=parts.__getitem__), max(memory, key=memory.__getitem__)
    return {
        "seconds": sum(parts.values()),
        "first": first,
        "holds": own * FAN < 2**31,  # a node's synapses on a rank are counted in 31 bits
        "gigabytes": sum(memory.values()) / 1e9,
        "largest": largest,
        **{f"{name}_s": value for name, value in parts.items()},
    }


CASES: dict[str, dict[str, Any]] = {
    "rest": {"neurons": 640_000, "ranks": 16, "fan": 10, "spikes": 0.0},
    "more neurons": {"neurons": 640_000, "ranks": 4, "fan": 10, "spikes": 0.0},
    "more sources": {"neurons": 6_400_000, "ranks": 160, "fan": 10, "spikes": 0.0},
    "read": {"neurons": 640_000, "ranks": 16, "fan": 10, "spikes": 640.0},
    "delivered": {"neurons": 640_000, "ranks": 16, "fan": 1000, "spikes": 640.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", default="benchmarks/records/scaling.json")
    parser.add_argument("--case", type=json.loads)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(case(**args.case)))
        return
    settings = {"steps": STEPS, "dt": DT, "delay_s": DELAY, "rate_hz": RATE_HZ, "fan": FAN, "latency_s": LATENCY_S, "bytes_a_second": BYTES_A_SECOND}
    record = Record(args.out, settings)
    for name, asked in CASES.items():
        if name not in record:
            record.put(name, run_case(**asked))
        print(name, record[name])
    if "exchange" not in record:
        found = {f"sockets, {r} ranks, {size} bytes": exchanged(r, size) for r in (2, 4) for size in (4, 65536)}
        found |= {f"MPI, {r} ranks, {size} bytes": t for r in (2, 4) for size in (4, 65536) if (t := over_mpi(r, size)) is not None}
        record.put("exchange", found)
    print(record["exchange"])
    record.put("terms", terms(record))
    print(record["terms"])
    table = {f"{n:.0e} neurons, {p} ranks": estimate(record["terms"], n, p) for n in SIZES for p in RANKS}
    record.put("estimates", table)
    for name, row in table.items():
        print(f"{name}: {row['seconds']:.3g} s ({row['first']}), {row['gigabytes']:.3g} GB a rank ({row['largest']}){'' if row['holds'] else ', too many synapses a rank'}")


if __name__ == "__main__":
    main()
