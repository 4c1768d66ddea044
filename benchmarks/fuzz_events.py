"""The decoders of event files on millions of damaged streams: python benchmarks/fuzz_events.py --count N --out FILE

Builds `src/events/fuzz.cpp` with address and undefined-behaviour sanitizers and runs it in blocks of seeds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import Any

from record import ROOT, Record

EVENTS = ROOT / "src" / "events"
BINARY = ROOT / "benchmarks" / ".cache" / "fuzz_events"
FLAGS = ("-std=c++20", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")


def build() -> None:
    """The fuzzer and all decoders, by the compiler of CXX."""
    BINARY.parent.mkdir(exist_ok=True)
    sources = [str(path) for path in sorted(EVENTS.glob("*.cpp"))]
    command = [os.environ.get("CXX", "g++"), *FLAGS, f"-I{ROOT / 'src'}", *sources, "-o", str(BINARY)]
    subprocess.run(command, check=True)


def block(seed: int, count: int) -> dict[str, Any]:
    """One block of seeds; what the fuzzer said if it did not end well."""
    begun = time.perf_counter()
    run = subprocess.run([str(BINARY), str(count), str(seed)], capture_output=True, text=True)
    failure = None if run.returncode == 0 else run.stderr[-2000:] or f"exit code {run.returncode}"
    return {"inputs": count, "failure": failure, "seconds": time.perf_counter() - begun}


def main() -> None:
    """Every block that the record does not hold yet; exit code 1 where one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--block", type=int, default=100_000)
    parser.add_argument("--out", default="fuzz_events.json")
    args = parser.parse_args()
    record = Record(args.out, {"kind": "fuzz_events", "block": args.block})
    build()
    failed = False
    for seed in range(0, args.count, args.block):
        name = f"from {seed}"
        if name not in record:
            record.put(name, block(seed, min(args.block, args.count - seed)))
            print(f"{name}: {record[name]}", file=sys.stderr, flush=True)
        failed |= record[name]["failure"] is not None
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
