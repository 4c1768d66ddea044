"""The front door: recognition by content, and files that are whole or not there."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.formats import FORMATS
from spikeflow.datasets.formats.format import HEAD, Head
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

T = np.cumsum(np.arange(300) % 3)
EVENTS = Events(T, T % 30, T % 20, T % 2, 128, 128)
WRITABLE = [known for known in FORMATS if known.write]
MAGIC = [known for known in WRITABLE if known.name not in ("bin5", "text")]


@pytest.mark.parametrize("format", WRITABLE, ids=lambda known: known.name)
def test_written_files_are_of_one_format(tmp_path: Path, format: Any) -> None:
    write(path := tmp_path / f"a{format.suffixes[0]}", EVENTS, format.name)
    content = path.read_bytes()
    head = Head(path, content[:HEAD], len(content))
    assert [known.name for known in FORMATS if known.recognise(head)] == [format.name]
    assert read(path).sha256 == EVENTS.sha256


@pytest.mark.parametrize("format", MAGIC, ids=lambda known: known.name)
def test_the_suffix_does_not_matter_where_there_is_a_magic_word(tmp_path: Path, format: Any) -> None:
    write(path := tmp_path / "a.jpg", EVENTS, format.name)
    with open_recording(path) as recording:
        assert recording.header.format == format.name
        assert recording.read().sha256 == EVENTS.sha256


@pytest.mark.parametrize("format", [None, "npy", "hdf5", "text", "mat", "npz", "evt3", "aedat4"])
def test_what_is_no_file(tmp_path: Path, format: str | None) -> None:
    (tmp_path / "empty.npy").touch()
    os.mkfifo(tmp_path / "pipe.npy")
    for name, reason in (
        ("none.npy", "no such file"),
        (".", "folder"),
        ("empty.npy", "empty"),
        ("pipe.npy", "not an ordinary file but a pipe"),
    ):
        with pytest.raises(FileError, match=reason):
            read(tmp_path / name, format)
    with pytest.raises(FileError):
        read("a\0b", format)


@pytest.mark.parametrize(
    "content", [b"\0", b"hello\n", bytes(range(256)) * 9, "ünïcode, 1, 2\n".encode(), b"\n\n"]
)
def test_unknown_content(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "a.xyz").write_bytes(content)
    with pytest.raises(FileError, match="no known event format.*--format"):
        read(path)


def test_unknown_names(tmp_path: Path) -> None:
    write(path := tmp_path / "a.npy", EVENTS)
    with pytest.raises(DataError, match="format"):
        read(path, "tiff")
    with pytest.raises(DataError, match="--format"):
        write(tmp_path / "a.tiff", EVENTS)
    with pytest.raises(DataError):
        write(tmp_path / "a.npy", EVENTS, "tiff")


def _failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(file: BinaryIO, events: Events) -> None:
        file.write(b"half")
        raise error

    module = __import__("sys").modules["spikeflow.datasets.read"]
    formats = tuple(replace(known, write=fail) if known.name == "npy" else known for known in FORMATS)
    monkeypatch.setattr(module, "FORMATS", formats)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FileError),
        (DataError("a", "b", "c"), DataError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, raised: type[BaseException]
) -> None:
    (tmp_path / "a.npy").write_bytes(b"before")
    _failing(monkeypatch, error)
    for name in ("a.npy", "b.npy"):
        with pytest.raises(raised):
            write(tmp_path / name, EVENTS)
    assert [file.name for file in tmp_path.iterdir()] == ["a.npy"]
    assert (tmp_path / "a.npy").read_bytes() == b"before"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    for name in ("none/a.npy", "folder.npy"):
        with pytest.raises(FileError, match="cannot be written"):
            write(tmp_path / name, EVENTS)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.npy"]


def test_rights_are_those_of_a_new_file(tmp_path: Path) -> None:
    (plain := tmp_path / "plain").touch()
    write(path := tmp_path / "a.npy", EVENTS)
    assert path.stat().st_mode == plain.stat().st_mode
