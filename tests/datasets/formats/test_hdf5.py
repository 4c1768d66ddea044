"""HDF5: groups of columns, records, several recordings, and what a stranger could put into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.errors import DataError, FileError, UnsafeFile
from spikeflow.events import Events

T = np.arange(0, 3000, 3) // 2
EVENTS = Events(T, T % 50, T % 30, T % 2)
COLUMNS = {"t": EVENTS.t, "x": EVENTS.x, "y": EVENTS.y, "p": EVENTS.p}


def _file(tmp_path: Path, **values: Any) -> Path:
    with h5py.File(path := tmp_path / "a.h5", "w") as file:
        for name, value in values.items():
            file[name.replace("__", "/")] = value
    return path


def _group(name: str, columns: dict[str, Any] = COLUMNS) -> dict[str, Any]:
    return {f"{name}__{letter}": column for letter, column in columns.items()}


def test_written_and_read_under_a_wrong_suffix(tmp_path: Path) -> None:
    for events in (Events(*COLUMNS.values(), 64, 48), EVENTS, EVENTS[:1], EVENTS[:0]):
        write(path := tmp_path / "a.npy", events, "hdf5")
        found = read(path)
        assert found.sha256 == events.sha256
        assert (found.width, found.height) == (events.width, events.height)


@pytest.mark.parametrize("names", ["ts xs ys ps", "timestamp x y polarity", "times x y pol", "t_us x y p"])
@pytest.mark.parametrize("group", ["", "events__", "a__b__c__"])
def test_names_of_columns(tmp_path: Path, names: str, group: str) -> None:
    values = {group + n: column for n, column in zip(names.split(), COLUMNS.values(), strict=True)}
    assert read(_file(tmp_path, **values)).sha256 == EVENTS.sha256


def test_seconds(tmp_path: Path) -> None:
    path = _file(tmp_path, **_group("events", {**COLUMNS, "t": 1468940293.5 + EVENTS.t * 1e-6}))
    assert np.array_equal(read(path).t, 1468940293500000 + EVENTS.t)


def test_dsec(tmp_path: Path) -> None:
    more = {"ms_to_idx": np.zeros(3, "u8"), "t_offset": np.int64(49_599_300_523)}
    path = _file(tmp_path, **_group("events", {**COLUMNS, "t": EVENTS.t.astype("u4")}), **more)
    with open_recording(path, width=640, height=480) as recording:
        assert recording.header.fields["t_offset"] == "49599300523"
        assert recording.read().sha256 == EVENTS.sha256


def test_prophesee(tmp_path: Path) -> None:
    kind = np.dtype({"names": ["x", "y", "p", "t"], "formats": ["<u2", "<u2", "<i2", "<i8"], "itemsize": 16})
    records = np.zeros(len(EVENTS), kind)
    for name, column in COLUMNS.items():
        records[name] = column
    triggers = np.zeros(2, [("p", "i2"), ("t", "i8"), ("id", "i2")])
    index = np.zeros(4, [("id", "u8"), ("ts", "i8")])
    path = _file(tmp_path, CD__events=records, CD__indexes=index, EXT_TRIGGER__events=triggers)
    with h5py.File(path, "a") as file:
        file.attrs["geometry"], file.attrs["odd"] = "1280x720", np.bytes_(b"\xff\x1b[2J")
    with open_recording(path) as recording:
        assert recording.read().sha256 == EVENTS.sha256
        assert (recording.width, recording.height) == (1280, 720)


def test_several_recordings_need_a_key(tmp_path: Path) -> None:
    first = {name: column[:3] for name, column in COLUMNS.items()}
    path = _file(tmp_path, **first, **_group("left__events"), **_group("right"))
    with pytest.raises(DataError, match=r"/, left/events|/, right.*--key"):
        read(path)
    for key in ("left/events", "/right", "right/"):
        assert read(path, key=key).sha256 == EVENTS.sha256
    assert len(read(path, key="/")) == 3
    for key in ("left", "middle", "left/events/t", "left/events/t/u", "../right"):
        with pytest.raises(DataError, match="key"):
            read(path, key=key)


def test_rows_without_names(tmp_path: Path) -> None:
    rows = np.stack([EVENTS.t, EVENTS.x, EVENTS.y, EVENTS.p], 1)
    path = _file(tmp_path, events=rows.astype("f8"), labels=np.arange(3))
    with pytest.raises(DataError, match="--columns"):
        read(_file(tmp_path, events=rows[:1]))
    path = _file(tmp_path, events=rows.astype("f8"), labels=np.arange(3))
    assert read(path, columns="txyp").sha256 == EVENTS.sha256


@pytest.mark.parametrize(
    "values",
    [
        _group("events", {**COLUMNS, "x": EVENTS.x[:-1]}),
        _group("events", {**COLUMNS, "time": EVENTS.t}),
        _group("events", {**COLUMNS, "x": np.array([b"a"] * len(EVENTS))}),
        {"events__t": EVENTS.t},
        {"events__t": h5py.Empty("i8"), "events__x": h5py.Empty("i8")},
        {"t": 5, "x": 3},
        {"a": np.zeros((2, 5))},
    ],
)
def test_what_is_no_recording(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises((DataError, FileError)):
        read(_file(tmp_path, **values))


@pytest.mark.parametrize("link", [h5py.SoftLink("/right/t"), h5py.ExternalLink("b.h5", "t")])
def test_links_are_not_followed(tmp_path: Path, link: Any) -> None:
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["t"] = EVENTS.t
    path = _file(tmp_path, right__t=EVENTS.t, left__x=EVENTS.x, left__y=EVENTS.y, left__p=EVENTS.p)
    with h5py.File(path, "a") as file:
        file["left/t"] = link
        file["other"] = h5py.ExternalLink("b.h5", "/")
    with pytest.raises(DataError, match="no group"):
        read(path)
    for key in ("left", "other"):
        with pytest.raises(DataError, match="key"):
            read(path, key=key)


def test_storage_in_other_files_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(8 * len(EVENTS)))
    path = _file(tmp_path, **_group("events"))
    with h5py.File(path, "a") as file:
        del file["events/t"]
        whole = [(str(tmp_path / "secret"), 0, 8 * len(EVENTS))]
        file.create_dataset("events/t", (len(EVENTS),), "i8", external=whole)
    with pytest.raises(UnsafeFile, match="other files"):
        read(path)
    layout = h5py.VirtualLayout((len(EVENTS),), "i8")
    layout[:] = h5py.VirtualSource(tmp_path / "b.h5", "t", shape=(len(EVENTS),))
    with h5py.File(path, "a") as file:
        del file["events/t"]
        file.create_virtual_dataset("events/t", layout)
    with pytest.raises(UnsafeFile, match="other files"):
        read(path)


def test_values_that_were_never_written(tmp_path: Path) -> None:
    for chunks in (None, (1 << 16,)):
        with h5py.File(path := tmp_path / "a.h5", "w") as file:
            for name in "txyp":
                file.create_dataset(name, (1 << 50,), "u1", chunks=chunks and (1 << 30,))
        with pytest.raises(FileError, match="declares"):
            read(path)


def test_records_and_chunks_that_are_too_large(tmp_path: Path) -> None:
    with h5py.File(path := tmp_path / "a.h5", "w") as file:
        kind = [("t", "i8"), ("x", "u2"), ("more", "u1", (1 << 20,))]
        file.create_dataset("events", (4,), kind)
    with pytest.raises(FileError, match="records"):
        read(path)
    with h5py.File(path, "w") as file:
        for name in "tx":
            file.create_dataset(name, (4,), "i8", chunks=(1 << 28,), maxshape=(None,))
    with pytest.raises(FileError, match="chunks"):
        read(path)


def test_a_missing_filter_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path := tmp_path / "a.h5", EVENTS)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda number: False)
    with pytest.raises(FileError, match="filter 2"):
        read(path)
    monkeypatch.setattr("spikeflow.datasets.formats.hdf5_file.PLUGIN", (1, 2))
    monkeypatch.setattr("spikeflow.datasets.formats.hdf5_file.PACKAGES", {2: "pip install hdf5plugin"})
    with pytest.raises(FileError, match="pip install hdf5plugin"):
        read(path)


def test_packages_of_filters() -> None:
    from spikeflow.datasets.formats.hdf5_file import PACKAGES

    assert PACKAGES[32001] == PACKAGES[32015] == "pip install hdf5plugin" and "Prophesee" in PACKAGES[0x8ECF]


def test_damaged(tmp_path: Path) -> None:
    write(path := tmp_path / "a.h5", EVENTS)
    whole = path.read_bytes()
    for content in (whole[:-100], whole[:100], whole[:8], whole[:600] + bytes(800) + whole[1400:]):
        path.write_bytes(content)
        with pytest.raises((FileError, DataError)):
            read(path)


def test_deep_nesting_many_objects_and_a_circle(tmp_path: Path) -> None:
    path = _file(tmp_path, **_group("__".join("abcdefghijkl")))
    with pytest.raises(DataError, match="no group"):
        read(path)
    assert read(path, key="/".join("abcdefghijkl")).sha256 == EVENTS.sha256
    path = _file(tmp_path, **_group("events"))
    with h5py.File(path, "a") as file:
        file["events/again"] = file["events"]
        file["root"] = file["/"]
    assert read(path).sha256 == EVENTS.sha256
    with h5py.File(path, "a") as file:
        for i in range(5000):
            file.create_group(f"g{i}")
    with pytest.raises(FileError, match="4096 objects"):
        read(path)
    assert read(path, key="events").sha256 == EVENTS.sha256


def test_stretch_of_time(tmp_path: Path) -> None:
    write(path := tmp_path / "a.h5", EVENTS)
    with open_recording(path) as recording:
        for start, stop in ((0, 1), (-5, 20), (700, 701), (1498, 9999), (5000, 6000), (30, 10)):
            assert recording.between(start, stop).sha256 == EVENTS.between(start, stop).sha256
        pieces = list(recording.pieces(333))
    assert [len(piece) for piece in pieces] == [333, 333, 333, 1]


def test_the_file_is_closed(tmp_path: Path) -> None:
    write(path := tmp_path / "a.h5", EVENTS)
    with open_recording(path) as recording:
        recording.read()
    with pytest.raises(FileError):
        recording.read()
    with h5py.File(path, "a") as file:  # it would be locked
        del file["events/x"]
    with pytest.raises(DataError):
        read(path)
    with h5py.File(path, "a"):
        pass
