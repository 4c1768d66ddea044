"""Every reader and command on changed files: python benchmarks/fuzz_files.py --count N --out FILE, or --seconds 300

Each kind of input (a good file of each format with its bytes changed, manifests changed behind a right hash, bombs, options)
is read in blocks of seeds, each block in a process of its own with limits on address space and clock. An input passes when
it is read or refused with one of our own errors, without traceback, within the law of memory (`tests/files/measured.py`);
a command's own words may ask for more than a file may: for the room that a task gets.
The record holds, for each block, how many inputs there were and what broke; `--case KIND SEED` runs one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import ROOT, Record

sys.path.insert(0, str(ROOT))

from tests.files import inputs
from tests.files.measured import ROOM, Outcome, now, one_thread, timed, within_law, within_room

CLOCK_S = 30  # of one input


def one(kind: str, seed: int, good: dict[str, Path], folder: Path) -> str:
    """What broke in one input; nothing where all is well."""
    drawn = inputs.drawn(kind, seed, good, folder)
    outcome: Outcome = timed(drawn.call, drawn.path)
    held = (
        within_room(outcome) if drawn.asked else within_law(outcome, drawn.path.stat().st_size, drawn.packed)
    )
    if held:
        return ""
    return f"{outcome.ended}, {outcome.peak >> 20} MiB, {outcome.seconds:.1f} s: {outcome.said}"


def block(kind: str, first: int, count: int, good: dict[str, Path]) -> dict[str, Any]:
    """A block of seeds; one that ends its process is told, and the rest goes on after it."""
    begun, failures, at = time.perf_counter(), dict[str, str](), first
    while at < first + count:
        told, ended = _in_child(kind, range(at, first + count), good)
        failures |= {str(seed): word for seed, word in told["failures"]}
        if ended:
            failures[str(told["at"])] = ended
        at = told["at"] + 1
    return {"inputs": count, "failures": failures, "seconds": time.perf_counter() - begun}


def _in_child(kind: str, seeds: range, good: dict[str, Path]) -> tuple[dict[str, Any], str]:
    """What a process found in these seeds, the last of them it came to, and what ended it early."""
    with tempfile.NamedTemporaryFile("w+") as log, tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            one_thread()
            resource.setrlimit(resource.RLIMIT_AS, (now("VmSize") + ROOM,) * 2)
            with contextlib.suppress(Exception), open(log.name, "a", buffering=1) as lines:
                for seed in seeds:
                    signal.alarm(CLOCK_S)
                    lines.write(f"{json.dumps([seed, None])}\n")
                    if word := one(kind, seed, good, Path(folder)):
                        lines.write(f"{json.dumps([seed, word])}\n")
                os._exit(0)
            os._exit(70)  # a fault of the fuzzer itself, which must not go on as a second process
        _, status = os.waitpid(child, 0)
        told = [json.loads(line) for line in log.read().splitlines()]
    ended = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else ""
    ended = ended or (f"exit code {os.WEXITSTATUS(status)}" if os.WEXITSTATUS(status) else "")
    at = max((seed for seed, _ in told), default=seeds.start)
    return {"failures": [(seed, word) for seed, word in told if word], "at": at}, ended


def main() -> None:
    """Every block that the record does not hold yet, kinds in turn; exit code 1 where one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000_000, help="inputs in all")
    parser.add_argument("--block", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no block is begun after so many")
    parser.add_argument("--case", nargs=2, metavar=("KIND", "SEED"), help="run this input alone")
    parser.add_argument("--out", default="fuzz_files.json")
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        one_thread()
        good = inputs.good_files(Path(folder))
        inputs.warm(good, Path(folder))
        if args.case:
            with tempfile.TemporaryDirectory() as there:
                print(one(args.case[0], int(args.case[1]), good, Path(there)) or "good")
            return
        record = Record(args.out, {"kind": "fuzz_files", "block": args.block})
        names, failed, done = inputs.kinds(good), 0, 0
        for number in range(-(-args.count // args.block)):
            if time.monotonic() - begun > args.seconds:
                break
            kind, first = names[number % len(names)], number // len(names) * args.block
            name = f"{kind} from {first}"
            if name not in record:
                record.put(name, block(kind, first, args.block, good))
                if record[name]["failures"]:
                    print(f"{name}: {record[name]}", file=sys.stderr, flush=True)
            failed += len(record[name]["failures"])
            done += record[name]["inputs"]
    print(f"{done} inputs, {failed} failures", file=sys.stderr)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
