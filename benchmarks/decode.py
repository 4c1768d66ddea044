"""How fast event files are read into arrays, against every reader at hand: python benchmarks/decode.py --out FILE

Each reader is a process of its own. Its events are first compared with ours, column by column; then passes are timed,
interleaved, the files in the page cache. A reader that gives other events is timed as well, and what differs is said.
Real files: where SPIKEFLOW_DATA names the data folder. Peers: `event_peers.sh` makes their environment.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from readers import READERS, Reader
from record import Record
from recordings import GENERATED, Case, large, real

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv-event-peers" / "bin" / "python"
OURS = "spikeflow"


class Process:
    """A reader at work."""

    def __init__(self, reader: Reader, python: str) -> None:
        command = [python, str(HERE / "decode_worker.py"), reader.who, reader.format]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def do(self, what: str, case: Case) -> dict[str, Any]:
        """One order and its answer; a process that died is an error like another."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(
                json.dumps({"do": what, "files": [str(path) for path in case.files]}) + "\n"
            )
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": f"the process ended with {self.process.poll()}"}

    def end(self) -> None:
        """Close it."""
        self.process.kill()
        self.process.wait()


def measure(case: Case, passes: int, peer_python: str) -> dict[str, Any]:
    """All readers of the case's format."""
    readers = [reader for reader in READERS if reader.format == case.format]
    processes = {r.who: Process(r, sys.executable if r.who == OURS else peer_python) for r in readers}
    try:
        found = {who: process.do("digest", case) for who, process in processes.items()}
        times: dict[str, list[dict[str, float]]] = {who: [] for who, a in found.items() if "error" not in a}
        for _ in range(passes):
            for who, answers in times.items():
                answers.append(processes[who].do("time", case))
    finally:
        for process in processes.values():
            process.end()
    ours = found[OURS]
    results = {who: _result(answer, ours, times.get(who, []), case) for who, answer in found.items()}
    return {"format": case.format, "bytes": case.size, "events": ours.get("events"), "readers": results}


def _result(
    answer: dict[str, Any], ours: dict[str, Any], times: list[dict[str, float]], case: Case
) -> dict[str, Any]:
    """Times, rates, and in what the events differ from ours."""
    if not times:
        return answer
    seconds = [time["seconds"] for time in times]
    median = statistics.median(seconds)
    return {
        "differs_in": [name for name, value in answer.items() if value != ours.get(name)],
        "median_s": median,
        "minimum_s": min(seconds),
        "cpu_s": statistics.median(time["cpu_seconds"] for time in times),
        "events_per_s": answer["events"] / median,
        "mb_per_s": case.size / median / 1e6,
    }


def versions(peer_python: str) -> dict[str, str]:
    """Of the peers."""
    code = (
        "import json; from importlib.metadata import version;"
        "print(json.dumps({n: version(n) for n in ('expelliarmus', 'faery', 'evlib', 'tonic', 'event_stream',"
        " 'dv_processing', 'aedat', 'numpy')}))"
    )
    return json.loads(
        subprocess.run([peer_python, "-c", code], capture_output=True, text=True, check=True).stdout
    )


def main() -> None:
    """Every case that the record does not hold yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="decode.json")
    parser.add_argument("--events", type=int, default=20_000_000, help="of the large files")
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--only", help="cases whose name holds this")
    parser.add_argument("--peers", default=str(PEER_PYTHON), help="the interpreter of the peers' environment")
    args = parser.parse_args()
    data = os.environ.get("SPIKEFLOW_DATA")
    if not data:
        print("SPIKEFLOW_DATA is not set: real files are left out", file=sys.stderr)
    settings = {
        "kind": "decode",
        "passes": args.passes,
        "events": args.events,
        "versions": versions(args.peers),
    }
    record = Record(args.out, settings)
    names = (
        [*GENERATED]
        if args.only is None
        else [f for f in GENERATED if f"{f}, {args.events:,} events".count(args.only)]
    )
    cases = [case for case in real(Path(data)) if not args.only or args.only in case.name] if data else []
    for case in [*cases, *(large(format, args.events) for format in names)]:
        if case.name not in record:
            record.put(case.name, measure(case, args.passes, args.peers))
            print(f"{case.name}: {json.dumps(record[case.name]['readers'])}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
