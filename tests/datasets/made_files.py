"""Small event files, put together byte by byte from their formats' specifications, for tests of data sets."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

Row = tuple[int, int, int, int]  # t, x, y, p
ROWS: tuple[Row, ...] = ((10, 1, 2, 1), (20, 3, 4, 0), (30, 5, 6, 1))


def _at(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def bin5(path: Path, rows: Sequence[Row] = ROWS) -> Path:
    """40-bit events of N-MNIST."""
    return _at(path, b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for t, x, y, p in rows))


def npy(
    path: Path, rows: Sequence[Row] = ROWS, order: str = "txyp", dtype: npt.DTypeLike = np.uint64
) -> Path:
    """A table without names; the last event's polarity tells p from the other columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(rows)[:, ["txyp".index(c) for c in order]].astype(dtype))
    return path


def structured_npy(path: Path, rows: Sequence[Row] = ROWS) -> Path:
    """Records with names, as DVS-Lip has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(list(rows), np.dtype([("t", "<i4"), ("x", "i1"), ("y", "i1"), ("p", "i1")])))
    return path


def npz(path: Path, rows: Sequence[Row] = ROWS) -> Path:
    """Four named arrays, as SpikingJelly has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    t, x, y, p = np.array(rows).T
    np.savez(path, t=t, x=x, y=y, p=p)
    return path


def dat(path: Path, rows: Sequence[Row] = ROWS) -> Path:
    """Prophesee DAT, version 2."""
    head = b"% Data file containing Event2D events.\n% Version 2\n" + bytes([0, 8])
    return _at(path, head + b"".join(struct.pack("<II", t, p << 28 | y << 14 | x) for t, x, y, p in rows))


def aedat2(path: Path, rows: Sequence[Row] = ROWS) -> Path:
    """AEDAT 2.0 of a DVS128: bit 0 is off, x above it, y from bit 8 on."""
    words = (struct.pack(">II", y << 8 | x << 1 | (1 - p), t) for t, x, y, p in rows)
    return _at(path, b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n" + b"".join(words))


def aedat3(path: Path, rows: Sequence[Row] = ROWS) -> Path:
    """AEDAT 3.1: one packet of polarity events."""
    head = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    packet = struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, len(rows), len(rows), len(rows))
    return _at(
        path,
        head + packet + b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in rows),
    )


def mat(path: Path, rows: Sequence[Row] = ROWS) -> Path:
    """MATLAB file with ts, x, y, pol as columns."""
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    t, x, y, p = (np.array(column)[:, None] for column in zip(*rows, strict=True))
    savemat(path, {"ts": t, "x": x, "y": y, "pol": p})
    return path


def dsec_events(path: Path, rows: Sequence[Row], t_offset: int) -> Path:
    """events.h5 of DSEC, not packed: times count from t_offset; ms_to_idx[ms] is the first event with t >= 1000 ms."""
    path.parent.mkdir(parents=True, exist_ok=True)
    t, x, y, p = np.array(rows).T
    with h5py.File(path, "w") as file:
        for name, column, kind in (("t", t, "u4"), ("x", x, "u2"), ("y", y, "u2"), ("p", p, "u1")):
            file[f"events/{name}"] = column.astype(kind)
        file["t_offset"] = np.int64(t_offset)
        file["ms_to_idx"] = np.searchsorted(t, np.arange(t[-1] // 1000 + 2) * 1000).astype("u8")
    return path


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_lines(lines: npt.NDArray[np.uint8], width: int, depth: int, colour: int) -> bytes:
    """A PNG of filtered lines, `lines[:, 0]` the filters."""
    header = struct.pack(">IIBBBBB", width, len(lines), depth, colour, 0, 0, 0)
    pixels = zlib.compress(lines.tobytes(), 1)
    middle = len(pixels) // 2  # in two pieces, as a writer may
    data = _chunk(b"IHDR", header) + _chunk(b"tEXt", b"Comment\0made") + _chunk(b"IDAT", pixels[:middle])
    return b"\x89PNG\r\n\x1a\n" + data + _chunk(b"IDAT", pixels[middle:]) + _chunk(b"IEND", b"")


def png(path: Path, picture: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> Path:
    """A PNG of a picture ``(height, width, channels)``, no filter."""
    height, width, channels = picture.shape
    depth = 8 * picture.dtype.itemsize
    rows = picture.astype(picture.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    lines = np.hstack([np.zeros((height, 1), np.uint8), rows])
    return _at(path, png_lines(lines, width, depth, {1: 0, 3: 2}[channels]))
