"""The twin of DSEC: drives in which the whole picture glides; events, flow, disparity and masks agree with
each other.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np

from spikeflow.datasets.sets.dsec import CITIES, DRIVES
from spikeflow.datasets.sets.dsec_drive import HEIGHT, WIDTH
from spikeflow.datasets.stored.png import SIGNATURE
from spikeflow.datasets.twins.camera import figure
from spikeflow.datasets.twins.sample import Sample, Splits
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array

OFFSET_US = 49_000_000_000  # of the clock of flow and masks to that of the events
DISPARITY = 12.5  # pixels, of every point
FRAMES = 3
PERIOD_US = 100_000


def dsec(folder: Path, splits: Splits) -> None:
    """The archives unpacked side by side: events of both cameras, maps, flow, disparity, masks of every
    drive.
    """
    for split, samples in splits.items():
        for sample in samples:
            city = CITIES[sample.label]
            names = [name for name in DRIVES[split] if name.rsplit("_", 2)[0] == city]
            if sample.number >= len(names):
                raise DataError(
                    f"twin: drives in {city}, {split}", sample.number + 1, f"at most {len(names)}"
                )
            _drive(folder, split, names[sample.number], sample)


def _drive(folder: Path, split: str, name: str, sample: Sample) -> None:
    for side, shift in (("left", 0.0), ("right", DISPARITY)):
        at = folder / f"{split}_events" / name / "events" / side
        at.mkdir(parents=True)
        _events(at / "events.h5", sample.content, round(shift))
        columns, rows = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
        with h5py.File(at / "rectify_map.h5", "w") as file:
            file.create_dataset("rectify_map", data=np.stack([columns, rows], -1), compression="gzip")
    times = OFFSET_US + PERIOD_US * np.arange(FRAMES + 1)
    _masks(folder / f"{split}_semantic_segmentation" / name, times)
    if split == "train":
        _flow(folder / "train_optical_flow" / name / "flow", times, sample)
        _disparity(folder / "train_disparity" / name / "disparity", times)


def _events(path: Path, events: Events, shift: int) -> None:
    """As DSEC has them: columns, the first event of every millisecond, and the offset of the clock; not
    packed.
    """
    with h5py.File(path, "w") as file:
        x = np.maximum(events.x.astype(np.int64) - shift, 0).astype(np.uint16)
        for column, values in (("x", x), ("y", events.y), ("p", events.p), ("t", events.t.astype(np.uint32))):
            file[f"events/{column}"] = values
        file["ms_to_idx"] = np.searchsorted(events.t, 1000 * np.arange(events.t[-1] // 1000 + 2)).astype(
            np.uint64
        )
        file["t_offset"] = np.int64(OFFSET_US)


def _flow(folder: Path, times: Array, sample: Sample) -> None:
    """The glide of the figure, the same everywhere: ``value = 128 pixels + 2^15``."""
    path, whole = figure("dsec", sample.label).path, int(sample.content.t[-1])
    pixels = path * (WIDTH, HEIGHT) * PERIOD_US / whole
    value = np.ones((HEIGHT, WIDTH, 3), np.uint16)
    value[..., :2] = np.rint(128 * pixels + 2**15)
    _pictures(folder / "forward", value)
    rows = [f"{start}, {stop}" for start, stop in zip(times[:-1], times[1:], strict=True)]
    (folder / "forward_timestamps.txt").write_text(
        "\n".join(["# from_timestamp_us, to_timestamp_us", *rows, ""])
    )


def _disparity(folder: Path, times: Array) -> None:
    value = np.full((HEIGHT, WIDTH, 1), round(256 * DISPARITY), np.uint16)
    for view in ("event", "image"):
        _pictures(folder / view, value)
    (folder / "timestamps.txt").write_text("".join(f"{time}\n" for time in times[:-1]))


def _masks(folder: Path, times: Array) -> None:
    """Sky above, road below, a car in the middle: classes 0, 5 and 8 of 11; 10, 0 and 13 of 19."""
    for count, (sky, road, car) in ((11, (0, 5, 8)), (19, (10, 0, 13))):
        value = np.full(
            (440, WIDTH, 1), sky, np.uint8
        )  # the masks leave out the lowest 40 rows: the car's bonnet
        value[220:] = road
        value[180:300, 260:380] = car
        _pictures(folder / f"{count}classes", value)
    (folder / f"{folder.name}_semantic_timestamps.txt").write_text(
        "".join(f"{time}\n" for time in times[:-1])
    )


def _pictures(folder: Path, value: Array) -> None:
    folder.mkdir(parents=True)
    for number in range(FRAMES):
        write_png(folder / f"{number:06d}.png", value)


def write_png(path: Path, picture: Array) -> None:
    """Write uint8 or uint16 of shape ``(height, width, 1 or 3)``; Pillow writes no colours of 16 bits."""
    height, width, channels = picture.shape
    depth = 8 * picture.dtype.itemsize
    lines = picture.astype(picture.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, 2 if channels == 3 else 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b""))
    path.write_bytes(SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
