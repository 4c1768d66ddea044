"""The idx format: by hand, there and back, and what must be refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets.stored.idx import read_idx, write_idx
from spikeflow.errors import DataError, FileError

BY_HAND = b"\0\0\x08\x02" + b"\0\0\0\x02" + b"\0\0\0\x03" + bytes([1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_by_hand(tmp_path: Path, pack) -> None:
    (tmp_path / "a").write_bytes(pack(BY_HAND))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("name", ["a.gz", "a"])
def test_written_as_by_hand(tmp_path: Path, name: str) -> None:
    write_idx(tmp_path / name, np.arange(1, 7, dtype=np.uint8).reshape(2, 3))
    raw = (tmp_path / name).read_bytes()
    assert (gzip.decompress(raw) if name == "a.gz" else raw) == BY_HAND
    with pytest.raises(DataError, match="uint8"):
        write_idx(tmp_path / name, np.zeros(3))


@pytest.mark.parametrize(
    "raw, word",
    [
        (b"", "not an idx"),
        (b"\0\0\x0d\x01\0\0\0\x01\0", "unsigned bytes"),
        (b"\0\0\x08\x09" + bytes(40), "not an idx"),
        (BY_HAND[:6], "header"),
        (BY_HAND[:-1], "declares 6 values and holds 5"),
        (BY_HAND + b"\0", "goes on"),
        (b"\0\0\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff", "the limit"),
        (gzip.compress(BY_HAND, mtime=0)[:-6], "damaged gzip"),
        (gzip.compress(BY_HAND, mtime=0)[:-8] + bytes(8), "damaged gzip"),
    ],
)
def test_refused(tmp_path: Path, raw: bytes, word: str) -> None:
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(FileError, match=word):
        read_idx(tmp_path / "a")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_idx(tmp_path / "none")
