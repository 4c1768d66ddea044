"""Pickled data: arrays come out, nothing is run, whatever a file asks for."""

from __future__ import annotations

import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.stored.pickled_arrays import load_pickled
from spikeflow.errors import FileError, SpikeflowError, UnsafeFile

HELD = {
    "a": np.arange(12, dtype="u1").reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big": np.arange(3, dtype=">i4"),
    "rest": [1, 2.5, None, True, "x", b"y", (1, 2, 3, 4), -(10**12), np.float64(3.5)],
}
# what Python 2 wrote: protocol 2, short byte strings, an array of two bytes
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x06K\x09eU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05"
    b"cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87R"
    b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x07\xfftbu."
)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_numpy_pickles(protocol: int) -> None:
    back = load_pickled(pickle.dumps(HELD, protocol), "file")
    for name in ("a", "fortran", "big"):
        np.testing.assert_array_equal(back[name], HELD[name])
        assert back[name].dtype == HELD[name].dtype
    assert back["rest"] == HELD["rest"]


def test_what_python_2_pickled() -> None:
    back = load_pickled(PYTHON_2, "file")
    assert back[b"labels"] == [6, 9]
    np.testing.assert_array_equal(back[b"data"], np.array([[7, 255]], np.uint8))


class Evil:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.parts = call, arguments

    def __reduce__(self) -> tuple[Any, Any]:
        return self.parts


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_is_run(tmp_path: Path, protocol: int) -> None:
    made = tmp_path / "made"
    for evil in (
        Evil(os.mkdir, str(made)),
        [np.zeros(2), Evil(eval, f"__import__('os').mkdir({str(made)!r})")],
    ):
        with pytest.raises(UnsafeFile, match="run code"):
            load_pickled(pickle.dumps(evil, protocol), "file")
    assert not made.exists()


@pytest.mark.parametrize(
    "raw, kind",
    [
        (b"", FileError),
        (b"\x80\x02", FileError),
        (pickle.dumps(HELD, 2)[:-20], FileError),
        (pickle.dumps(np.array([1, "a"], object), 2), FileError),
        (b"cnumpy\nndarray\n.", FileError),
        (b"cposix\nsystem\n.", UnsafeFile),
        (b"I1\n(i__main__\nx\n.", UnsafeFile),
        (b"]q\x00h\x00a.", FileError),  # a list in itself
        (b"\x80\x02" + b"]" * 100 + b"a" * 99 + b".", FileError),
        (b"(.", FileError),
        (PYTHON_2.replace(b"U\x02\x07\xff", b"U\x01\x07"), FileError),  # one byte for two values
        (PYTHON_2.replace(b"U\x02u1", b"U\x02O8"), FileError),
    ],
)
def test_refused(raw: bytes, kind: type[FileError]) -> None:
    with pytest.raises(kind):
        load_pickled(raw, "file")


def test_many_references_to_one_list_cost_one(tmp_path: Path) -> None:
    nested: list = [1]
    for _ in range(25):
        nested = [nested] * 20  # 20^25 items, were each gone through
    back = load_pickled(pickle.dumps(nested, 2), "file")
    assert len(back) == 20


@given(st.binary(max_size=60))
def test_noise_is_refused_by_name(raw: bytes) -> None:
    with contextlib.suppress(SpikeflowError):
        load_pickled(raw, "file")


@given(st.lists(st.tuples(st.integers(0, len(PYTHON_2) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_refused_by_name(hits: list[tuple[int, int]]) -> None:
    raw = bytearray(PYTHON_2)
    for at, value in hits:
        raw[at] = value
    with contextlib.suppress(SpikeflowError):
        load_pickled(bytes(raw), "file")
