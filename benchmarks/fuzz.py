"""Long fuzz: the engine equals the reference bit for bit, in values, counts and records, on random graphs.

    python benchmarks/fuzz.py --count 100000 --seed 0 --out benchmarks/records/fuzz.json

Graph number n of a run has the seed SEED + n. The record holds, for each block of graphs, how many there were and
the seeds that failed; `--case SEED` runs one graph and prints what differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from random_graphs import Case, random_case
from record import Record

from spikeflow.errors import SpikeflowError
from spikeflow.sim import Result, run


def differences(case: Case, engine: str, threads: int) -> list[str] | None:
    """What differs between the engine's run and the reference's; None where both refuse the case."""
    wanted, got = _run(case, "reference", 1), _run(case, engine, threads)
    if isinstance(wanted, Result) and isinstance(got, Result):
        return _values(wanted, got) + _counts(wanted, got)
    ends = [type(end).__name__ for end in (wanted, got)]
    refused = all(isinstance(end, SpikeflowError) for end in (wanted, got)) and ends[0] == ends[1]
    reason = got if isinstance(wanted, Result) else wanted
    return None if refused else [f"the reference ends in {ends[0]}, the engine in {ends[1]}: {reason}"]


def _run(case: Case, engine: str, threads: int) -> Result | Exception:
    """A run that records every node, or what it raised: a value that overflowed to infinity cannot be recorded."""
    names = [n for n in case.graph.nodes if n not in case.graph.outputs]
    try:
        with np.errstate(all="ignore"):
            return run(case.graph, case.inputs, case.steps, engine=engine, record=names, threads=threads)
    except Exception as error:  # any other than our own fails this seed, not the fuzz
        return error


def _values(wanted: Result, got: Result) -> list[str]:
    found = [f"output {n}" for n in wanted.outputs if not _same(wanted.outputs[n], got.outputs[n])]
    return found + [
        f"record {n}: {field}"
        for n in wanted.recorded
        for field in ("sample", "step", "neuron", "value")
        if not _same(getattr(wanted.recorded[n], field), getattr(got.recorded[n], field))
    ]


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    # bytes, so that -0 differs from +0
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _counts(wanted: Result, got: Result) -> list[str]:
    return [
        f"counts {n}: {wanted.counts[n].semantic()} and {got.counts[n].semantic()}"
        for n in wanted.counts
        if wanted.counts[n].semantic() != got.counts[n].semantic()
    ]


def block(first: int, count: int, engine: str, threads: int) -> dict[str, Any]:
    """A block of graphs; the seeds that failed, each with what differed."""
    begun, failures, refused = time.perf_counter(), {}, 0
    for seed in range(first, first + count):
        found = differences(random_case(seed), engine, threads if seed % 2 else 1)
        refused += found is None
        if found:
            failures[str(seed)] = found[:5]
    return {"graphs": count, "refused": refused, "failures": failures, "seconds": time.perf_counter() - begun}


def main() -> None:
    """Every block that the record does not hold yet; exit code 1 where anything differed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--block", type=int, default=1000)
    parser.add_argument(
        "--threads", type=int, default=2, help="for graphs of odd seed; the others run on one"
    )
    parser.add_argument("--engine", default="cpp", choices=("cpp", "reference"))
    parser.add_argument("--case", type=int, help="run this seed alone and print what differs")
    parser.add_argument("--out", default="fuzz.json")
    args = parser.parse_args()
    if args.case is not None:
        found = differences(random_case(args.case), args.engine, args.threads)
        print("refused by both" if found is None else "\n".join(found) or "equal")
        return
    # the count may grow later: blocks that are there stay
    settings = {name: getattr(args, name) for name in ("seed", "block", "engine", "threads")}
    record = Record(args.out, {"kind": "fuzz", **settings})
    failed = 0
    for first in range(args.seed, args.seed + args.count, args.block):
        name = f"from {first}"
        if name not in record:
            record.put(
                name, block(first, min(args.block, args.seed + args.count - first), args.engine, args.threads)
            )
            print(f"{name}: {record[name]}", file=sys.stderr, flush=True)
        failed += len(record[name]["failures"])
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
