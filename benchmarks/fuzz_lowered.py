"""Hostile lowered arrays by the million: python benchmarks/fuzz_lowered.py --count N --out FILE

Networks of every kind are made and run while their calls of the engine are recorded (`tests/laws/recordings.py`); then
`src/lowered/fuzz.cpp`, built with sanitizers, changes the calls as a stranger might and makes them: indices out of
range, numbers that are none, huge and negative counts, wrong lengths, programs cut off, calls out of order. Each is refused
by one of the engine's errors, or runs, within bounds of time and memory. In blocks of seeds, each a process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from record import ROOT, Record

sys.path.insert(0, str(ROOT))

from tests.laws import recordings

BUILD = ROOT / "build" / "fuzz_lowered"
FOLDER = BUILD / "calls"
SANITIZERS = "address,undefined,float-cast-overflow"


def build() -> Path:
    """The program, with more sanitizers than `.ci/sanitize` has."""
    cmake = [sys.executable, "-m", "cmake"]
    told = [f"-DSPIKEFLOW_SANITIZE={SANITIZERS}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", f"-DPython_EXECUTABLE={sys.executable}"]
    subprocess.run([*cmake, "-S", str(ROOT), "-B", str(BUILD), *told], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*cmake, "--build", str(BUILD), "--target", "fuzz_lowered", "--parallel"], check=True)
    return BUILD / "fuzz_lowered"


def block(program: Path, seed: int, count: int) -> dict[str, Any]:
    """One block of seeds; what the program said if it did not end well."""
    begun = time.perf_counter()
    run = subprocess.run([str(program), str(FOLDER), str(count), str(seed)], capture_output=True, text=True)
    failure = None if run.returncode == 0 else run.stderr[-2000:] or f"exit code {run.returncode}"
    return {"inputs": count, "failure": failure, "said": run.stdout.strip(), "seconds": time.perf_counter() - begun}


def main() -> None:
    """Every block that the record does not hold yet; exit code 1 where one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--block", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no block is begun after so many")
    parser.add_argument("--program", type=Path, help="built already")
    parser.add_argument("--out", default="fuzz_lowered.json")
    args = parser.parse_args()
    begun = time.monotonic()
    record = Record(args.out, {"kind": "fuzz_lowered", "block": args.block, "sanitizers": SANITIZERS})
    program = args.program or build()
    recordings.files(FOLDER, 12)
    failed = False
    for seed in range(0, args.count, args.block):
        if time.monotonic() - begun > args.seconds:
            break
        name = f"from {seed}"
        if name not in record:
            record.put(name, block(program, seed, min(args.block, args.count - seed)))
            print(f"{name}: {record[name]}", file=sys.stderr, flush=True)
        failed |= record[name]["failure"] is not None
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
