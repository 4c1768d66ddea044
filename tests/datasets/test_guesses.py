"""A guess is told or refused: units, polarities, orders of columns, pixels from 1, cameras, byte orders, foreign files.

Each law draws its inputs (seeded; ranges stated with it) and allows four ends: the right events, an error of ours, a
warning, or a word among what is assumed. Silence with wrong events is none of them.
"""

from __future__ import annotations

import random
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.formats import FORMATS
from spikeflow.datasets.info import describe
from spikeflow.errors import DataError, FileError, SpikeflowError, SpikeflowWarning
from spikeflow.events import Events

TABLES = ("npz", "npy", "hdf5", "mat", "csv", "txt")
ALPHABETS = {
    "0/1": (0, 1),
    "-1/1": (-1, 1),
    "1/2": (1, 2),
    "0/255": (0, 255),
    "-1/0/1": None,
    "true/false": (False, True),
}


@dataclass(frozen=True)
class End:
    """What came of reading: events or an error, and all that was said."""

    events: Events | None
    error: SpikeflowError | None
    said: str

    def tells(self, word: str) -> bool:
        """Whether error, warning or assumption speaks of it."""
        return word in f"{self.error or ''} {self.said}".lower()


def _end(path: Path, **options: Any) -> End:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            with open_recording(path, **options) as recording:
                events = recording.read()
                said = [*recording.assumed, *recording.warnings]
                assert set(recording.warnings) == {
                    str(w.message) for w in heard if w.category is SpikeflowWarning
                }
            return End(events, None, " ".join(said))
        except SpikeflowError as error:
            return End(None, error, " ".join(str(w.message) for w in heard))


def _table(folder: Path, kind: str, columns: dict[str, Any]) -> Path:
    """A table with names (but for .txt), of these columns in their order."""
    from scipy.io import savemat

    path = folder / f"a.{kind}"
    if kind == "npz":
        np.savez(path, **columns)
    elif kind == "mat":
        savemat(path, {"TD": {{"t": "ts"}.get(n, n): np.asarray(c)[:, None] for n, c in columns.items()}})
    elif kind == "hdf5":
        with h5py.File(path, "w") as file:
            for name, column in columns.items():
                file[f"events/{name}"] = column
    elif kind == "npy":
        rows = np.empty(len(columns["t"]), [(name, np.asarray(c).dtype) for name, c in columns.items()])
        for name, column in columns.items():
            rows[name] = column
        np.save(path, rows)
    else:
        lines = [
            " ".join(map(repr, row))
            for row in zip(*(np.asarray(c).tolist() for c in columns.values()), strict=True)
        ]
        head = [] if kind == "txt" else [" ".join(columns)]
        path.write_text("\n".join(head + lines) + "\n")
    return path


def _columns(draw: random.Random, count: int = 400) -> dict[str, Any]:
    r = np.random.default_rng(draw.randrange(2**32))
    t = np.sort(r.integers(0, draw.choice([10**4, 10**6, 10**8]), count))
    return {
        "t": t,
        "x": r.integers(0, 120, count),
        "y": r.integers(0, 90, count),
        "p": r.integers(0, 2, count),
    }


@pytest.mark.parametrize("kind", TABLES)
def test_units(tmp_path: Path, kind: str) -> None:
    """Spans of 0.01, 1 and 100 s; from 0 or from an epoch of 2017; s, ms, us, ns; float64, float32, int64; 40 draws."""
    draw = random.Random(f"units {kind}")
    for _ in range(40):
        columns = _columns(draw)
        us = columns["t"] + draw.choice([0, 0, 1506117902840734])
        unit = draw.choice([1e6, 1e3, 1.0, 1e-3])
        dtype = draw.choice([np.float64, np.float32, np.int64])
        stored = us / unit
        columns["t"] = np.rint(stored).astype(dtype) if dtype is np.int64 else stored.astype(dtype)
        end = _end(_table(tmp_path, kind, columns))
        if end.events is None or np.abs(end.events.t - us).max() > 1:
            assert end.tells("unit") or end.tells("steps of"), (unit, dtype, us[:3], end)
        said = _end(tmp_path / f"a.{kind}", unit_us=unit, columns="txyp" if kind == "txt" else None)
        coarse = 1 + unit * np.abs(np.spacing(columns["t"].max()) if dtype is not np.int64 else 1)
        assert said.events is not None and np.abs(said.events.t - us).max() <= coarse, (
            unit,
            dtype,
            said.error,
        )
        if dtype is np.float32 and kind not in ("csv", "txt") and np.spacing(columns["t"].max()) * unit > 1:
            assert said.tells("steps of")


NAMED_UNITS = {
    "t_us": 1,
    "t [ms]": 1e3,
    "time(s)": 1e6,
    "timestamp_ns": 1e-3,
    "ts-us": 1,
    "time (seconds)": 1e6,
    "t_usec": 1,
    "T_MS": 1e3,
}


@pytest.mark.parametrize("name", NAMED_UNITS)
def test_names_that_say_the_unit(tmp_path: Path, name: str) -> None:
    unit, us = NAMED_UNITS[name], np.array([2000, 5000, 9000])
    stored = us / unit if unit == 1e6 else np.rint(us / unit).astype(np.int64)
    rows = zip(stored.tolist(), (1, 2, 3), (1, 2, 3), (0, 1, 0), strict=True)
    (path := tmp_path / "a.csv").write_text(
        f"{name},x,y,p\n" + "".join(f"{t},{x},{y},{p}\n" for t, x, y, p in rows)
    )
    end = _end(path)
    assert end.events is not None and end.events.t.tolist() == us.tolist() and not end.said
    differs = _end(path, unit_us=unit * 10)
    assert differs.tells("as the file says")


def test_an_attribute_says_the_unit(tmp_path: Path) -> None:
    path = _table(
        tmp_path, "hdf5", {"t": [1_000, 2_000, 3_000], "x": [1, 2, 3], "y": [1, 2, 3], "p": [0, 1, 1]}
    )
    with h5py.File(path, "a") as file:
        file["events/t"].attrs["units"] = "ns"
    assert read(path).t.tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", TABLES)
def test_polarities(tmp_path: Path, kind: str) -> None:
    """Every alphabet, in each its types; which value is on is right, refused or told; 24 draws."""
    draw = random.Random(f"polarities {kind}")
    for _ in range(24):
        columns = _columns(draw)
        name = draw.choice(sorted(ALPHABETS))
        values = ALPHABETS[name]
        p = columns["p"]
        if values is None:
            columns["p"] = p - (np.arange(len(p)) % 3 == 0) * (p == 0)
        else:
            columns["p"] = np.where(p == 1, values[1], values[0])
        if name != "true/false":
            columns["p"] = columns["p"].astype(draw.choice([np.int64, np.float64, np.int16]))
        if kind == "mat" and name == "true/false":
            columns["p"] = columns["p"].astype(np.uint8)
        end = _end(_table(tmp_path, kind, columns))
        if name in ("0/1", "-1/1", "true/false"):
            assert end.events is not None and np.array_equal(end.events.p, p), (name, end)
        elif end.events is not None:
            assert np.array_equal(end.events.p, p) and end.tells("polarit"), (name, end)
        else:
            assert end.tells("polarit") or (kind == "txt" and end.tells("columns")), (name, end)


def test_missing_columns_are_told(tmp_path: Path) -> None:
    columns = _columns(random.Random(1))
    for kind in TABLES[:-1]:
        for left in ("p", "y"):
            end = _end(_table(tmp_path, kind, {n: c for n, c in columns.items() if n != left}))
            assert end.events is not None and end.tells(f"no column {left}")


def test_orders_of_columns_without_names(tmp_path: Path) -> None:
    """All 24 orders, 60 draws: right, refused, or told; with names in a comment before the rows always right."""
    draw = random.Random("orders")
    for _ in range(60):
        columns = _columns(draw)
        order = draw.sample("txyp", 4)
        held = {letter: columns[letter] for letter in order}
        end = _end(path := _table(tmp_path, "txt", held))
        right = end.events is not None and all(
            np.array_equal(getattr(end.events, n), columns[n]) for n in "txyp"
        )
        assert right or end.tells("assumed") or end.tells("exactly one order"), order
        path.write_text(
            f"# a comment\n{draw.choice('#%')} {draw.choice([' ', ', ']).join(order)}\n" + path.read_text()
        )
        named = _end(path)
        assert named.events is not None and not named.tells("assumed)"), (order, named.error)
        assert all(np.array_equal(getattr(named.events, n), columns[n]) for n in "txyp")


@pytest.mark.parametrize("kind", TABLES[:-1])
def test_pixels_from_1(tmp_path: Path, kind: str) -> None:
    """1,500 events of 120 x 90 pixels that count from 1: refused with the sensor, told without, right with origin=1."""
    draw = random.Random(f"origin {kind}")
    for _ in range(4):
        columns = _columns(draw, 1500)
        columns["x"][:3], columns["y"][:3] = (0, 119, 5), (89, 0, 5)
        path = _table(tmp_path, kind, {**columns, "x": columns["x"] + 1, "y": columns["y"] + 1})
        sized = _end(path, width=120, height=90)
        assert sized.events is None and sized.tells("--origin 1")
        assert _end(path).tells("--origin 1")
        right = _end(path, origin=1, width=120, height=90)
        assert right.events is not None and np.array_equal(right.events.x, columns["x"])
        assert np.array_equal(right.events.y, columns["y"]) and not right.tells("origin")


# --- order ---


def _shuffled(folder: Path, kind: str, draw: random.Random) -> tuple[Path, Any]:
    """A file whose events are out of order, and these as rows in the file's order."""
    columns = _columns(draw, 300)
    columns["t"] //= 100  # many of one time, whose order has to stay
    order = np.random.default_rng(draw.randrange(2**32)).permutation(300)
    if kind in TABLES:
        columns = {n: c[order] for n, c in columns.items()}
        return _table(folder, kind, columns), np.array([columns[n] for n in "txyp"]).T
    write(path := folder / "a.bin", Events(*columns.values(), 128, 128), kind)
    size = {"bin5": 5, "dat": 8, "aedat2": 8}[kind]
    data = path.read_bytes()
    begin = len(data) - 300 * size
    rows = np.frombuffer(data[begin:], np.dtype((np.void, size)))
    path.write_bytes(data[:begin] + rows[order].tobytes())
    return path, np.array([columns[n][order] for n in "txyp"]).T


@pytest.mark.parametrize("kind", [*TABLES, "bin5", "dat", "aedat2"])
def test_sorting_loses_nothing(tmp_path: Path, kind: str) -> None:
    """300 events in a drawn order, six draws: all there, in order of time, those of one time as in the file."""
    draw = random.Random(f"sort {kind}")
    said: dict[str, Any] = (
        {"columns": "txyp"} if kind == "txt" else {"format": kind} if kind not in TABLES else {}
    )
    for _ in range(6):
        path, rows = _shuffled(tmp_path, kind, draw)
        refused = _end(path, **said)
        assert refused.events is None and refused.tells("--sort"), refused
        wanted = rows[np.argsort(rows[:, 0], kind="stable")]
        for strict in (True, False):
            events = read(path, sort=True, strict=strict, **said)
            assert (
                np.array_equal(np.array([events.t, events.x, events.y, events.p]).T, wanted)
                and not events.dropped
            )
        with open_recording(path, sort=True, **said) as recording:
            parts = list(recording.pieces(77))
            assert [len(part) for part in parts] == [77, 77, 77, 69]
            assert np.array_equal(np.concatenate([part.t for part in parts]), wanted[:, 0])
            middle = int(wanted[150, 0])
            assert len(recording.between(middle, middle + 5)) == int(
                ((wanted[:, 0] >= middle) & (wanted[:, 0] < middle + 5)).sum()
            )


@pytest.mark.parametrize("known", [f for f in FORMATS if f.write], ids=lambda f: f.name)
def test_sorting_changes_nothing_that_is_in_order(tmp_path: Path, known: Any) -> None:
    columns = _columns(random.Random(known.name))
    events = Events.sorted(
        columns["t"] % 2**23, columns["x"], columns["y"], columns["p"], width=128, height=128
    )
    write(path := tmp_path / f"a{known.suffixes[0]}", events, known.name)
    assert read(path, known.name, sort=True).sha256 == read(path, known.name).sha256 == events.sha256


# --- cameras, versions, valid bits ---


def _aedat(version: str, records: bytes) -> bytes:
    return f"#!AER-DAT{version}\r\n# a header without a camera\r\n".encode() + records


@pytest.mark.parametrize("version", ["1.0", "2.0", "2.1"])
def test_a_camera_that_is_not_named(tmp_path: Path, version: str) -> None:
    """Addresses of 7 to 16 bits (32 in version 2), 30 draws: refused, or read as a DVS128's and told."""
    draw = random.Random(f"camera {version}")
    address = ">u2" if version == "1.0" else ">u4"
    for _ in range(30):
        bits = draw.randrange(7, 17 if version == "1.0" else 33)
        r = np.random.default_rng(draw.randrange(2**32))
        records = np.empty(500, [("a", address), ("t", ">u4")])
        records["a"], records["t"] = r.integers(0, 2**bits, 500), np.sort(r.integers(0, 10**6, 500))
        (path := tmp_path / "a.aedat").write_bytes(_aedat(version, records.tobytes()))
        end = _end(path)
        most = int(records["a"].max())
        if most >= 1 << 15 or most < 1 << 10:
            assert end.events is None and end.tells("which camera"), bits
        else:
            assert end.events is not None and end.tells("assumed") and len(end.events) == 500
            a = records["a"].astype(int)
            assert np.array_equal(end.events.x, a >> 1 & 127) and np.array_equal(end.events.y, a >> 8 & 127)
            assert np.array_equal(end.events.p, 1 - (a & 1)) and np.array_equal(end.events.t, records["t"])
        said = _end(path, width=128, height=128)
        assert (
            said.tells("outside the sensor")
            or said.events is not None
            and (said.tells("davis128") or most < 1 << 15 or version == "1.0" or bits < 18)
        )


def test_records_without_the_valid_bit_are_told(tmp_path: Path) -> None:
    """Shares of 0, a half and all of 200 records: what is left out is counted by its own name, and told."""
    head = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    for share in (0.0, 0.5, 1.0):
        valid = np.random.default_rng(5).random(200) >= share
        rows = b"".join(
            struct.pack("<Ii", (i % 100) << 17 | 5 << 2 | 2 | int(v), i) for i, v in enumerate(valid)
        )
        packet = struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, 200, 200, int(valid.sum()))
        (path := tmp_path / "a.aedat").write_bytes(head + packet + rows)
        end = _end(path)
        assert end.events is not None and end.events.t.tolist() == np.flatnonzero(valid).tolist()
        assert end.tells("not marked as valid") == bool(share)
        assert dict(end.events.dropped) == ({"not marked as valid": int((~valid).sum())} if share else {})
        assert end.tells("no event is read") == (share == 1.0)


def test_swapped_halves_that_no_header_tells(tmp_path: Path) -> None:
    columns = _columns(random.Random(3))
    events = Events(*columns.values(), 128, 128)
    write(path := tmp_path / "a.raw", events, "evt21")
    data = path.read_bytes()
    begin = data.index(b"% end\n") + 6
    words = np.frombuffer(data[begin:], "<u4").reshape(-1, 2)[:, ::-1]
    path.write_bytes(b"% evt 2.1\n% end\n" + words.tobytes())
    end = _end(path)
    assert end.events is not None and end.events.sha256 == events.sha256 and end.tells("byte order")


def test_few_events_without_a_header(tmp_path: Path) -> None:
    for count in (1, 5, 19, 40, 900):
        t = np.arange(count) * 3
        write(path := tmp_path / "a.bin", Events(t, t % 30, t % 30, t % 2), "bin5")
        assert _end(path).tells("too few") == (count < 21)
        assert not _end(path, format="bin5").tells("too few")


# --- what is no event file ---

FOREIGN = {
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0f" * 32 + b"\nsize 5\n",
    "ros 1 bag": b"#ROSBAG V2.0\n" + bytes(99),
    "mcap": b"\x89MCAP0\r\n\x01" + bytes(99),
    "ros 2 bag": b"SQLite format 3\0" + bytes(99),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(99),
    "zip archive": b"PK\x03\x04" + bytes(99) + b"notes.txt",
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(99),
    "parquet": b"PAR1" + bytes(99),
    "web page": b"\n<!DOCTYPE html><html>no</html>",
    "png": b"\x89PNG\r\n\x1a\n" + bytes(99),
    "aedat 5.0": b"#!AER-DAT5.0\r\n" + bytes(99),
    "tar": bytes(257) + b"ustar\0" + bytes(99),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("suffix", [".raw", ".dat", ".aedat", ".npz", ".csv", ".h5", ".mat", ".bag", ""])
def test_foreign_files_are_called_by_name(tmp_path: Path, name: str, suffix: str) -> None:
    (path := tmp_path / f"a{suffix}").write_bytes(FOREIGN[name])
    with pytest.raises(FileError) as caught:
        read(path)
    assert name in caught.value.reason.lower() and caught.value.hint, caught.value


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
def test_a_pointer_is_named_whatever_format_is_said(tmp_path: Path, known: Any) -> None:
    (path := tmp_path / "a.bin").write_bytes(FOREIGN["lfs"])
    with pytest.raises(FileError, match="Git LFS"):
        read(path, known.name)


@pytest.mark.parametrize("known", [f for f in FORMATS if f.write], ids=lambda f: f.name)
def test_what_has_no_meaning_is_refused(tmp_path: Path, known: Any) -> None:
    write(
        path := tmp_path / f"a{known.suffixes[0]}",
        Events([1, 2], [3, 4], [5, 6], [0, 1], 128, 128),
        known.name,
    )
    for name, value in (("columns", "txyp"), ("unit_us", 5.0), ("origin", 1), ("key", "a")):
        if name not in known.takes:
            with pytest.raises(DataError, match=f"{name}.*no meaning"):
                read(path, known.name, **{name: value})
    if known.name in ("npz", "npy", "hdf5", "mat"):
        with pytest.raises(DataError, match="names of the columns"):
            read(path, known.name, columns="txyp")


def test_what_is_told_is_among_the_facts(tmp_path: Path) -> None:
    path = _table(
        tmp_path,
        "txt",
        {"t": np.arange(900) * 3, "x": np.arange(900) % 7, "y": np.arange(900) % 5, "p": np.arange(900) % 2},
    )
    with pytest.warns(SpikeflowWarning, match="x before y") as heard:
        info = describe(path)
    assert len(heard) == len(info.warnings) == 1 and any("microseconds" in text for text in info.assumed)
    assert info.to_json()["warnings"] == list(info.warnings) and "assumed" in info.to_text()


def test_times_that_are_all_one_are_told(tmp_path: Path) -> None:
    seconds = np.full(2000, 1506117888)
    end = _end(_table(tmp_path, "npz", {"t": seconds, "x": seconds % 7, "y": seconds % 5, "p": seconds % 2}))
    assert end.events is not None and end.tells("another unit")


def test_the_sensor_in_the_names(tmp_path: Path) -> None:
    draw = random.Random("names")
    for _ in range(20):
        width, height = draw.randrange(50, 2000), draw.randrange(50, 2000)
        names = draw.sample(["t", f"x@{width}", f"y@{height}", "on"], 4)
        rows = {"t": range(30), f"x@{width}": range(1, 31), f"y@{height}": range(2, 32), "on": [0, 1] * 15}
        (path := tmp_path / "a.csv").write_text(
            ",".join(names)
            + "\n"
            + "".join(f"{','.join(map(str, row))}\n" for row in zip(*(rows[n] for n in names), strict=True))
        )
        events = read(path)
        assert (events.width, events.height) == (width, height) and events.x[0] == 1 and events.y[0] == 2


def test_checked_events_stay_as_they_are() -> None:
    """Arrays, views, buffers of every right type: what their holder writes later is not seen."""
    for made in ("array", "view", "buffer"):
        columns = [np.arange(9, dtype=d) % 2 for d in (np.int64, np.uint16, np.uint16, np.uint8)]
        if made == "view":
            columns = [np.repeat(c, 2)[::2] for c in columns]
        if made == "buffer":
            columns = [np.frombuffer(bytearray(c.tobytes()), c.dtype) for c in columns]
        columns[0][:] = np.arange(9)
        held = [c[:] for c in columns]
        for view in held:
            view.setflags(write=False)
        for given in (columns, held):
            events = Events(*given, 9, 9)
            before = events.sha256
            for c in columns:
                c[0] = 77
            assert events.sha256 == before
            for c in columns:
                c[0] = 0


def test_a_table_of_other_names_is_called_so(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text(
        "stamp,column,row,sign\n" + "".join(f"{3 * i},{i},{i},1\n" for i in range(50))
    )
    with pytest.raises(FileError, match="columns stamp, column, row, sign.*--columns"):
        read(path)
    assert read(path, "text", columns="txyp").t[:3].tolist() == [0, 3, 6]


@pytest.mark.parametrize("known", [f for f in FORMATS if f.write], ids=lambda f: f.name)
def test_a_sensor_that_a_format_cannot_hold_is_told(tmp_path: Path, known: Any) -> None:
    path, events = tmp_path / f"a{known.suffixes[0]}", Events([1, 2], [3, 4], [5, 6], [0, 1], 128, 128)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        write(path, events, known.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = known.name not in ("npy", "bin5", "mat") and read(path, known.name).width == 128
    assert bool(heard) == (not kept)


def test_two_sizes_in_one_file_are_refused(tmp_path: Path) -> None:
    write(path := tmp_path / "a.h5", Events([1, 2], [3, 4], [5, 6], [0, 1], 128, 128))
    with h5py.File(path, "a") as file:
        file.attrs["width"] = 640
    with pytest.raises(FileError, match="says the width 640"):
        read(path)


def test_what_is_told_stands_on_the_page(tmp_path: Path) -> None:
    from spikeflow.report.recording.about import about_file

    t = np.arange(900)
    path = _table(tmp_path, "txt", {"t": t * 3, "x": t % 7, "y": t % 5, "p": t % 2})
    with pytest.warns(SpikeflowWarning):
        about = about_file(str(path), describe(path))
    assert about.note.startswith("columns without names") and "assumed" in dict(about.rows)
