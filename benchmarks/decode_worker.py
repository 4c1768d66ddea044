"""One reader in a process of its own, told what to do by JSON lines: python decode_worker.py WHO FORMAT.

digest FILES   the number of events, and a digest of each column, that the reader gives for these files
time FILES     read them twice; wall and processor time of the second time
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from readers import Reader, find

TYPES = {"t": "<i8", "x": "<u2", "y": "<u2", "p": "u1"}


def digest(reader: Reader, files: list[Path]) -> dict[str, Any]:
    """Of all events, column by column, in common types."""
    digests = {name: hashlib.sha256() for name in TYPES}
    count = 0
    for path in files:
        columns = dict(zip(TYPES, reader.columns(reader.read(path)), strict=True))
        count += len(columns["t"])
        for name, column in columns.items():
            digests[name].update(np.ascontiguousarray(column).astype(TYPES[name], copy=False).data)
    return {"events": count, **{name: d.hexdigest() for name, d in digests.items()}}


def timed(reader: Reader, files: list[Path]) -> dict[str, Any]:
    """One pass right after one that is not timed, so that memory is at hand; letting go is outside the time."""
    _read(reader, files)
    wall, cpu = time.perf_counter(), time.process_time()
    held = _read(reader, files)
    answer = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    del held
    gc.collect()
    return answer


def _read(reader: Reader, files: list[Path]) -> Any:
    """What the last file gave; of many, each is let go before the next."""
    held = None
    for path in files:
        held = None
        held = reader.read(path)
    return held


def main() -> None:
    """Answer every line of input with one of output."""
    reader = find(sys.argv[1], sys.argv[2])
    # some readers print: their output goes where it is not read
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        told = json.loads(line)
        files = [Path(name) for name in told["files"]]
        try:
            answer = {"digest": digest, "time": timed}[told["do"]](reader, files)
        except BaseException as error:  # a Rust panic is no Exception
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
