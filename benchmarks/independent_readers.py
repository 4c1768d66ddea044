"""The facts of every real event file, by readers that are not ours; what `tests/datasets/test_real_files.py` holds us to.

    bash benchmarks/event_peers.sh                                   # makes benchmarks/.venv-event-peers
    benchmarks/.venv-event-peers/bin/python benchmarks/independent_readers.py --data DIR --out tests/datasets/real_files.json

Runs without spikeflow. Two readers where two exist, and they must agree: expelliarmus, evlib and faery (EVT2), evlib (EVT3),
expelliarmus and numpy (DAT), dv_processing and aedat (AEDAT 4), tonic and numpy (40-bit events). AEDAT 2.0 and arrays are read by numpy from the
definition of the format: tonic takes other bits of a DVS128's address than its makers' software does. expelliarmus 1.1.12
is not asked for EVT3: wherever the low time word falls without a new high word it counts a turn of the clock (11 times in
evt3_sample.raw, 45 ms), where Prophesee's own decoder (OpenEB, evt3_decoder.h), and evlib, take the new low word as it is.
The high words of that file, one every 16 us, say 8.8 ms. faery 0.7.1 keeps the larger time there, 10 us more at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Columns = tuple[Any, Any, Any, Any]  # t, x, y, p
TYPES = ("<i8", "<u2", "<u2", "u1")
SHORT = 32  # hexadecimal digits of the checksum in a short entry
WHOLE = 20  # of a large data set so many files are listed with all facts; the others with count and checksum


def expelliarmus(encoding: str) -> Callable[[Path], Columns]:
    """Reader of Prophesee's formats."""

    def read(path: Path) -> Columns:
        from expelliarmus import Wizard

        found = Wizard(encoding=encoding).read(str(path))
        return found["t"], found["x"], found["y"], found["p"]

    return read


def evlib(path: Path) -> Columns:
    """Reader of Prophesee's formats, in Rust."""
    import evlib

    frame = evlib.load_events(str(path), sort=False).collect()
    t, x, y, p = (frame[name].to_physical().to_numpy() for name in ("t", "x", "y", "polarity"))
    return t, x, y, p > 0


def faery(path: Path) -> Columns:
    """Reader of many formats, in Rust."""
    import faery as package

    found = package.events_stream_from_file(path).to_array()
    return found["t"], found["x"], found["y"], found["on"]


def numpy_dat(path: Path) -> Columns:
    """DAT by its definition: text, type and size of an event, then time and address, little-endian."""
    raw = path.read_bytes()
    at = 0
    while raw[at : at + 1] == b"%":
        at = raw.index(b"\n", at) + 1
    time, address = np.frombuffer(raw[at + 2 :], "<u4").reshape(-1, 2).astype(np.int64).T
    return time, address & 0x3FFF, address >> 14 & 0x3FFF, address >> 28 & 1


def dv_processing(path: Path) -> Columns:
    """The makers' own reader of AEDAT 4."""
    import dv_processing

    recording, parts = dv_processing.io.MonoCameraRecording(str(path)), []
    while recording.isRunning() and (batch := recording.getNextEventBatch()) is not None:
        parts.append(batch.numpy())
    found = np.concatenate(parts)
    return found["timestamp"], found["x"], found["y"], found["polarity"]


def aedat(path: Path) -> Columns:
    """A reader of AEDAT 4 in Rust."""
    import aedat

    found = np.concatenate([packet["events"] for packet in aedat.Decoder(str(path)) if "events" in packet])
    return found["t"], found["x"], found["y"], found["on"]


def tonic_bin(path: Path) -> Columns:
    """tonic's reader of 40-bit events; no file here has a row 240, which it takes for a turn of the clock."""
    from tonic.io import events_struct, read_mnist_file

    found = read_mnist_file(str(path), events_struct)
    return found["t"], found["x"], found["y"], found["p"]


def numpy_bin(path: Path) -> Columns:
    """40-bit events by their definition."""
    b = np.fromfile(path, np.uint8).reshape(-1, 5).astype(np.int64)
    return (b[:, 2] & 127) << 16 | b[:, 3] << 8 | b[:, 4], b[:, 0], b[:, 1], b[:, 2] >> 7


def numpy_aedat2(path: Path) -> Columns:
    """AEDAT 2.0 of a DVS128 by its definition; on is bit 0 = 0, x is not flipped."""
    raw = path.read_bytes()
    at = 0
    while raw[at : at + 1] == b"#":
        at = raw.index(b"\n", at) + 1
    address, time = np.frombuffer(raw[at:], ">u4").reshape(-1, 2).astype(np.int64).T
    return time, address >> 1 & 127, address >> 8 & 127, 1 - (address & 1)


def numpy_rows(path: Path) -> Columns:
    """POKER-DVS: rows of t, x, y, p."""
    t, x, y, p = np.load(path, allow_pickle=False).T
    return t, x, y, p


FILES: dict[str, tuple[Callable[[Path], Columns], ...]] = {
    "recordings/evt2_sample.raw": (expelliarmus("evt2"), evlib, faery),
    "recordings/evt3_sample.raw": (evlib,),
    "recordings/ncars_sample_td.dat": (expelliarmus("dat"), numpy_dat),
    "recordings/*.aedat4": (dv_processing, aedat),
    "recordings/*.aedat": (numpy_aedat2,),
    "dvs128_gesture/*.bin": (tonic_bin, numpy_bin),
    "NMNIST/*/*/*.bin": (tonic_bin, numpy_bin),
    "POKERDVS/*/*/*.npy": (numpy_rows,),
}


def facts(columns: Columns, short: bool) -> dict[str, Any]:
    """Count and checksum, and unless `short` the first and last event, duration and number of on events."""
    t, x, y, p = (np.asarray(c).astype(kind) for c, kind in zip(columns, TYPES, strict=True))
    digest = hashlib.sha256(b"".join(c.tobytes() for c in (t, x, y, p))).hexdigest()
    if short:
        return {"events": len(t), "sha256": digest[:SHORT]}
    ends = [[int(c[i]) for c in (t, x, y, p)] for i in (0, -1)]
    return {
        "events": len(t),
        "first": ends[0],
        "last": ends[1],
        "duration_us": int(t[-1] - t[0]),
        "on_events": int(p.sum()),
        "sha256": digest,
    }


def main() -> None:
    """Read every file with all its readers, and write what they agree on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    found: dict[str, Any] = {}
    for pattern, readers in FILES.items():
        paths = sorted(args.data.glob(pattern))
        if not paths:
            raise SystemExit(f"{args.data}: no {pattern}")
        for number, path in enumerate(paths):
            short = len(paths) > WHOLE and number % (len(paths) // WHOLE) != 0
            first, *others = (facts(read(path), short) for read in readers)
            if any(other != first for other in others):
                raise SystemExit(f"{path}: the readers differ: {first}, {others}")
            found[str(path.relative_to(args.data))] = first
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in found.items())
    args.out.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
