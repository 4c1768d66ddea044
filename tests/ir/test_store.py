"""The container: whole or not at all, and nothing a stranger can do with it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikeflow.errors import FileError
from spikeflow.ir import store
from spikeflow.ir.store import Limits

MANIFEST = {"name": "ä", "list": [1, 2.5, None, True], "deep": {"a": {"b": []}}}
ARRAYS = [
    np.arange(6, dtype=np.int32).reshape(2, 3),
    np.zeros((0, 4), np.float32),
    np.full((), 2.5),
    np.arange(5000, dtype=np.float32),
    np.array([255], np.uint8),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.h5"


@pytest.fixture
def good(path: Path) -> Path:
    store.write_whole(path, "test", MANIFEST, ARRAYS)
    return path


def test_round_trip(good: Path) -> None:
    manifest, arrays = store.read(good, "test")
    assert manifest == MANIFEST and store.kind_of(good) == "test"
    for a, b in zip(ARRAYS, arrays, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and (a == b).all() and not b.flags.writeable


def test_equal_contents_give_equal_bytes(good: Path, tmp_path: Path) -> None:
    store.write_whole(tmp_path / "again.h5", "test", MANIFEST, ARRAYS)
    assert (tmp_path / "again.h5").read_bytes() == good.read_bytes()


def test_other_programs_find_the_hdf5(good: Path) -> None:
    with h5py.File(good) as file:
        assert json.loads(file["manifest"][()].tobytes()) == MANIFEST
        assert file["arrays/3"].compression == "gzip" and file["arrays/3"].shuffle
    assert good.read_bytes().startswith(b"spikeflow test 1\n")


# --- writing ---


def test_writing_replaces_and_leaves_nothing_else(good: Path) -> None:
    store.write_whole(good, "test", [1], [])
    assert store.read(good, "test") == ([1], []) and os.listdir(good.parent) == [good.name]


def test_a_link_keeps_pointing_at_the_file(good: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.h5"
    link.symlink_to(good)
    store.write_whole(link, "test", [2], [])
    assert link.is_symlink() and store.read(good, "test")[0] == [2]


@pytest.mark.parametrize(
    ("manifest", "arrays"),
    [
        ({"x": float("nan")}, []),
        ({"x": object()}, []),
        ({}, [np.array(["text"])]),
        ({}, [np.array([None])]),
        ({}, [np.zeros(1, complex)]),
        ({}, [np.zeros(2, bool)]),
        ({"x": "\ud800"}, []),
    ],
)
def test_what_cannot_be_stored_leaves_the_old_file(good: Path, manifest: Any, arrays: list[Any]) -> None:
    before = good.read_bytes()
    with pytest.raises(FileError):
        store.write_whole(good, "test", manifest, arrays)
    assert good.read_bytes() == before and os.listdir(good.parent) == [good.name]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for target in ("folder", "pipe", "missing/file.h5", "nul\0", "x" * 300):
        with pytest.raises(FileError):
            store.write_whole(tmp_path / target, "test", {}, [])
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


FULL_DISK = """
import resource, sys
import numpy as np
from spikeflow.errors import FileError
from spikeflow.ir import store
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    store.write_whole(sys.argv[1], "test", {}, [np.random.default_rng(0).normal(size=50000)])
except FileError as error:
    print(error)
"""


@pytest.mark.parametrize("size", [0, 511, 4096, 100_000])
def test_a_full_disk_leaves_the_old_file(good: Path, size: int, in_subprocess: Callable[..., str]) -> None:
    before = good.read_bytes()
    assert "cannot be written: File too large" in in_subprocess(FULL_DISK, good, size)
    assert good.read_bytes() == before and os.listdir(good.parent) == [good.name]


def test_a_full_disk_leaves_nothing_new(path: Path, in_subprocess: Callable[..., str]) -> None:
    in_subprocess(FULL_DISK, path, 4096)
    assert os.listdir(path.parent) == []


# --- files that are not ours, or not whole ---


def refused(path: Path, *, limits: Limits | None = None, kind: str = "test") -> str:
    with pytest.raises(FileError) as caught:
        store.read(path, kind, limits)
    shown = ascii(str(path)) if "\0" in str(path) else str(path)
    assert shown in str(caught.value) and len(str(caught.value)) < 400 + len(str(path))
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"\x89HDF\r\n\x1a\n",
        b"PK\x03\x04" * 200,
        b"\0" * 600,
        b"spikeflow test 1\n",
        b"spikeflow test 1\n".ljust(600, b"\0"),
    ],
)
def test_other_contents(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path)
    assert store.kind_of(path) == ""


def test_plain_hdf5_is_named(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1
    assert "is HDF5, but not" in refused(path)


def test_other_places(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", ".", "pipe", "nul\0"):
        refused(tmp_path / name)


def test_wrong_kind_and_version(good: Path) -> None:
    assert "holds a test, not a mapping" in refused(good, kind="mapping")
    good.write_bytes(good.read_bytes().replace(b"spikeflow test 1", b"spikeflow test 2"))
    assert "version 2" in refused(good)


@pytest.mark.parametrize(
    "limits",
    [Limits(file_bytes=5000), Limits(manifest_bytes=10), Limits(arrays=4), Limits(array_bytes=20_000)],
)
def test_limits(good: Path, limits: Limits) -> None:
    refused(good, limits=limits)


DAMAGE = """
import random, sys
from pathlib import Path
from spikeflow.errors import FileError
from spikeflow.ir import store
path, draw = Path(sys.argv[1]), random.Random(5)
whole = path.read_bytes()
bits = [draw.randrange(8 * len(whole)) for _ in range(300)] + list(range(0, 8 * 600, 37))
damaged = [whole[:n] for n in [*range(0, 600, 29), *range(600, len(whole), 331), len(whole) - 1]]
damaged += [whole + b"x", whole + whole]
for bit in bits:
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    damaged.append(bytes(changed))
for content in damaged:
    path.write_bytes(content)
    try:
        store.read(path, "test")
    except FileError:
        continue
    raise SystemExit("damage was not seen")
print(len(damaged))
"""


def test_every_truncation_and_every_flipped_bit_is_seen(
    good: Path, in_subprocess: Callable[..., str]
) -> None:
    assert int(in_subprocess(DAMAGE, good)) > 400


# --- files that a stranger made, with the right hash ---


def forge(path: Path, build: Callable[[h5py.File], None], manifest: bytes | None = b"{}") -> Path:
    """A file whose header is right and whose HDF5 is what `build` makes of a good one."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        if manifest is not None:
            file["manifest"] = np.frombuffer(manifest, np.uint8)
        file.create_group("arrays")
        build(file)
    image = memory.getvalue()
    path.write_bytes(store.header("test", image) + image)
    return path


def dataset(file: h5py.File, space: tuple[int, ...], kind: Any, plan: Any = None) -> None:
    h5py.h5d.create(file["arrays"].id, b"0", kind, h5py.h5s.create_simple(space), plan)


def chunked(chunk: tuple[int, ...]) -> Any:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(chunk)
    return plan


def blosc(file: h5py.File) -> None:
    plan = chunked((10,))
    plan.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (1,))
    dataset(file, (10,), h5py.h5t.NATIVE_INT32, plan)


def thin_integers(file: h5py.File) -> None:
    kind = h5py.h5t.NATIVE_INT32.copy()
    kind.set_precision(24)
    dataset(file, (4,), kind)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "i4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file["arrays"].create_virtual_dataset("0", layout)


def cycle(file: h5py.File) -> None:
    file["arrays/0"] = file["arrays"]


def shared_bomb(file: h5py.File) -> None:
    file["arrays"].create_dataset("0", data=np.zeros(2**18), compression="gzip", compression_opts=9)
    for i in range(1, 200):
        file[f"arrays/{i}"] = file["arrays/0"]


FORGERIES: dict[str, Callable[[h5py.File], Any]] = {
    "soft link": lambda f: f["arrays"].__setitem__("0", h5py.SoftLink("/manifest")),
    "dangling soft link": lambda f: f["arrays"].__setitem__("0", h5py.SoftLink("/nowhere")),
    "external link": lambda f: f["arrays"].__setitem__("0", h5py.ExternalLink("/etc/passwd", "/x")),
    "external storage": lambda f: f["arrays"].create_dataset(
        "0", (4,), "u1", external=[("/etc/passwd", 0, 4)]
    ),
    "virtual layout": virtual,
    "object reference": lambda f: f["arrays"].create_dataset("0", data=f.ref, dtype=h5py.ref_dtype),
    "region reference": lambda f: f["arrays"].create_dataset("0", (1,), dtype=h5py.regionref_dtype),
    "opaque": lambda f: f["arrays"].create_dataset("0", data=np.zeros(3, "V7")),
    "compound": lambda f: f["arrays"].create_dataset("0", data=np.zeros(3, [("a", "i4"), ("b", "f4")])),
    "variable strings": lambda f: f["arrays"].create_dataset("0", data=["a", "b"]),
    "fixed strings": lambda f: f["arrays"].create_dataset("0", data=np.array([b"a"])),
    "variable lengths": lambda f: f["arrays"].create_dataset("0", (1,), dtype=h5py.vlen_dtype(np.int32)),
    "booleans": lambda f: f["arrays"].create_dataset("0", data=np.zeros(3, bool)),
    "enum": lambda f: f["arrays"].create_dataset("0", (1,), dtype=h5py.enum_dtype({"A": 1}, "i4")),
    "complex": lambda f: f["arrays"].create_dataset("0", data=np.zeros(3, complex)),
    "bit field": lambda f: dataset(f, (4,), h5py.h5t.STD_B32LE),
    "time": lambda f: dataset(f, (4,), h5py.h5t.UNIX_D32LE),
    "big-endian": lambda f: f["arrays"].create_dataset("0", data=np.zeros(3, ">f4")),
    "half floats": lambda f: f["arrays"].create_dataset("0", data=np.zeros(3, "f2")),
    "integers of 24 bits": thin_integers,
    "arrays as elements": lambda f: f["arrays"].create_dataset("0", (2,), dtype=np.dtype((np.int32, (3,)))),
    "unknown filter": blosc,
    "scale and offset": lambda f: f["arrays"].create_dataset("0", data=np.arange(9), scaleoffset=True),
    "huge, nothing stored": lambda f: f["arrays"].create_dataset("0", (2**50,), "f4"),
    "huge, no pieces": lambda f: f["arrays"].create_dataset("0", (2**50,), "f4", chunks=(1024,)),
    "one piece missing": lambda f: (
        f["arrays"].create_dataset("0", (20,), "f4", chunks=(10,)).__setitem__(0, 1)
    ),
    "small, nothing stored": lambda f: dataset(f, (4,), h5py.h5t.NATIVE_INT32),
    "huge pieces": lambda f: dataset(f, (2**28,), h5py.h5t.NATIVE_INT32, chunked((2**28,))),
    "bomb": shared_bomb,
    "no data space": lambda f: f["arrays"].create_dataset("0", dtype="f4"),
    "9 dimensions": lambda f: f["arrays"].create_dataset("0", data=np.zeros((1,) * 9)),
    "group as array": lambda f: f["arrays"].create_group("0"),
    "type as array": lambda f: f["arrays"].__setitem__("0", np.dtype("f4")),
    "cycle of hard links": cycle,
    "numbers with a gap": lambda f: f["arrays"].create_dataset("1", data=[1]),
    "odd number": lambda f: f["arrays"].create_dataset("00", data=[1]),
    "extra dataset": lambda f: f.create_dataset("extra", data=[1]),
    "arrays missing": lambda f: f.__delitem__("arrays"),
    "arrays a dataset": lambda f: (f.__delitem__("arrays"), f.create_dataset("arrays", data=[1])),
    "arrays a soft link": lambda f: (f.__delitem__("arrays"), f.__setitem__("arrays", h5py.SoftLink("/"))),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_hdf5_is_refused(path: Path, forgery: str) -> None:
    refused(forge(path, FORGERIES[forgery]))


def test_the_forger_itself_makes_readable_files(path: Path) -> None:
    forge(
        path,
        lambda f: f["arrays"].create_dataset(
            "0", data=np.arange(9), chunks=(4,), compression="lzf", fletcher32=True, maxshape=(None,)
        ),
    )
    assert store.read(path, "test")[1][0].tolist() == list(range(9))


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        b"",
        b"{",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000,
        b'{"a": 1, "a": 2}',
        b"NaN",
        b"[Infinity]",
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b"1" * 5000,
        b"{} {}",
        b"\0",
    ],
)
def test_forged_manifests_are_refused(path: Path, manifest: bytes | None) -> None:
    refused(forge(path, lambda f: None, manifest))


@pytest.mark.parametrize(
    "values", [np.zeros((1, 2), np.uint8), np.array([91, 93], np.int8), np.array([91.0])]
)
def test_manifests_that_are_not_bytes(path: Path, values: Any) -> None:
    refused(forge(path, lambda f: f.create_dataset("manifest", data=values), None))
