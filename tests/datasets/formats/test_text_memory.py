"""A text of any length is read in constant memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

READ = """
import resource, sys
from spikeflow.datasets import open_recording

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

for path in sys.argv[1:]:
    with open_recording(path) as recording:
        print(sum(len(columns[0]) for columns in recording.columns()), peak())
"""


def test_peak_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    paths = []
    for rows in (100_000, 3_000_000):
        paths.append(tmp_path / f"{rows}.csv")
        paths[-1].write_bytes(b"t,x,y,p\n" + b"7,30,20,1\n" * rows)
    done = subprocess.run([sys.executable, "-c", READ, *paths], capture_output=True, text=True, check=True)
    (few, before), (many, after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (few, many) == (100_000, 3_000_000)
    assert after - before < 8  # MiB; the larger file has 29, its events 37
