"""Files that the readers are timed on: real ones of SPIKEFLOW_DATA, and large ones made here, seeded.

The large recording is of a 1280 x 720 sensor at 10 million events a second: half of them single pixels anywhere, half
edges, six neighbours of one row at one time. So every format has what it meets in practice, vectors included. It is
written with our own writers into `.cache`, once for each number of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeflow.datasets import write
from spikeflow.events import Events

CACHE = Path(__file__).resolve().parent / ".cache"
WIDTH, HEIGHT, RATE = 1280, 720, 10_000_000
EDGE = np.array([0, 2, 3, 7, 11, 19])  # columns of an edge's pixels
SMALL = 500  # files of N-MNIST that are read one after the other


@dataclass(frozen=True)
class Case:
    """One measurement.

    Parameters
    ----------
    name : in the record.
    format : of all its files.
    files : read one after the other.
    """

    name: str
    format: str
    files: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(path.stat().st_size for path in self.files)


def scene(events: int, seed: int = 4) -> Events:
    """The large recording."""
    random = np.random.default_rng(seed)
    span_us = int(events / RATE * 1e6)
    edges = events // 2 // len(EDGE)
    single = events - edges * len(EDGE)

    def both(limit: int, edge_limit: int) -> tuple[np.ndarray, np.ndarray]:
        alone = random.integers(0, limit, single, np.int32)
        return alone, np.repeat(random.integers(0, edge_limit, edges, np.int32), len(EDGE))

    t, y, p = (np.concatenate(both(limit, limit)) for limit in (span_us, HEIGHT, 2))
    alone, left = both(WIDTH, WIDTH - int(EDGE[-1]))
    x = np.concatenate([alone, left + np.tile(EDGE, edges).astype(np.int32)])
    # one key: time, then row, polarity, column, as a sensor reads them out
    key = ((t.astype(np.int64) << 10 | y) << 1 | p) << 11 | x
    key.sort()
    return Events(
        key >> 22,
        (key & 2047).astype(np.uint16),
        (key >> 12 & 1023).astype(np.uint16),
        (key >> 11 & 1).astype(np.uint8),
        WIDTH,
        HEIGHT,
    )


GENERATED = {"evt2": ".raw", "evt21": ".raw", "evt3": ".raw", "dat": ".dat", "aedat4": ".aedat4", "es": ".es"}


def large(format: str, events: int) -> Case:
    """The large recording in this format."""
    path = CACHE / f"scene-{events}-{format}{GENERATED[format]}"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        write(path, scene(events), format)
        if format == "evt21":
            _old_header(path)
    return Case(f"{format}, {events:,} events", format, (path,))


def _old_header(path: Path) -> None:
    # faery knows the name "evt 2.1" only
    content = path.read_bytes()
    data = content[content.index(b"% end\n") :]
    path.write_bytes(b"% evt 2.1\n% geometry 1280x720\n" + data)


REAL = (
    ("evt2", "recordings/evt2_sample.raw"),
    ("evt3", "recordings/evt3_sample.raw"),
    ("dat", "recordings/ncars_sample_td.dat"),
    ("aedat2", "recordings/dvs128_cam255_neal_standing_up.aedat"),
    ("aedat4", "recordings/dvxplorer_lite_320x240.aedat4"),
    ("bin5", "dvs128_gesture/05_right_arm_counter_clockwise.bin"),
)


def real(data: Path) -> list[Case]:
    """The files of the data folder, and many small ones of N-MNIST."""
    cases = [Case(name, format, (data / name,)) for format, name in REAL if (data / name).exists()]
    small = tuple(sorted((data / "NMNIST" / "Train").rglob("*.bin"))[:SMALL])
    return cases + ([Case(f"NMNIST, {len(small)} files", "bin5", small)] if small else [])
