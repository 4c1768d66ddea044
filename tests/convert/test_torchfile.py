"""Attacks on the two formats of torch.save: each ends in a documented error, and nothing runs."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import textwrap
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import spikeflow
from spikeflow.convert.load.network_file import load
from spikeflow.errors import ConversionError, FileError, UnsafeFile

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Runs:
    """Pickles to a call of os.system that leaves a file behind."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.witness}",)


def rezip(source: Path, target: Path, change: Callable[[str, bytes], bytes], method: int = 0) -> Path:
    """A copy of an archive with entries changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for item in old.infolist():
            new.writestr(item.filename, change(item.filename, old.read(item)))
    return target


def with_pickle(source: Path, target: Path, data: bytes) -> Path:
    """The same archive with another data.pkl."""
    return rezip(source, target, lambda name, old: data if name.endswith("/data.pkl") else old)


def older(target: Path, body: bytes, keys: list[str], values: bytes = b"") -> Path:
    """A file of the older format around a pickle given as bytes."""
    parts = [pickle.dumps(part, protocol=2) for part in (MAGIC, 1001, SYSTEM)]
    target.write_bytes(b"".join(parts) + body + pickle.dumps(keys, protocol=2) + values)
    return target


def tensor_pickle(count: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A state dict {"w": tensor} over storage "0" with the geometry given, written by hand."""

    def number(value: int) -> bytes:
        return pickle.dumps(value, protocol=2)[2:-1]

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(number(value) for value in values) + b"t"

    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    storage += number(count) + b"tQ"
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + numbers(size) + numbers(stride)
    )
    return b"\x80\x02}X\x01\x00\x00\x00w" + tensor + hooks + b"tRs."


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.pt"
    torch.save(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), path)
    return path


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("where", ["bare", "state dict", "checkpoint", "layer"])
def test_a_pickled_call_is_never_made(tmp_path: Path, new_format: bool, where: str) -> None:
    witness, path = tmp_path / "ran", tmp_path / "evil.pt"
    layer = nn.ReLU()
    layer.inplace = Runs(witness)  # type: ignore[assignment]
    evil: dict[str, Any] = {
        "bare": Runs(witness),
        "state dict": OrderedDict(w=torch.zeros(2), x=Runs(witness)),
        "checkpoint": {"state_dict": {"w": torch.zeros(2)}, "optimizer": [Runs(witness)]},
        "layer": nn.Sequential(layer),
    }
    torch.save(evil[where], path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(UnsafeFile, match="system"):
        load(path)
    with pytest.raises(UnsafeFile, match="system"):
        load(path, "math:sqrt")
    assert not witness.exists()


@pytest.mark.parametrize("position", range(5))
def test_each_of_the_five_older_pickles_is_scanned(tmp_path: Path, position: int) -> None:
    witness, path = tmp_path / "ran", tmp_path / "evil.th"
    parts: list[Any] = [MAGIC, 1001, SYSTEM, OrderedDict(), []]
    parts[position] = Runs(witness)
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    with pytest.raises(UnsafeFile):
        load(path)
    assert not witness.exists()


@pytest.mark.parametrize("marks", [{"_no_weight_decay": True}, {"group": "a", "steps": [1, 2]}])
def test_parameters_with_marks_of_their_training(marks: dict, tmp_path: Path) -> None:
    """timm and others set attributes of parameters; a whole module that held one was refused."""
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    for name, value in marks.items():
        setattr(net[0].weight, name, value)
    torch.save(net, tmp_path / "net.pt")
    found, x = load(tmp_path / "net.pt"), torch.randn(5, 3)
    torch.testing.assert_close(found(x), net(x))
    net[0].weight.hook = print
    torch.save(net, tmp_path / "net.pt")
    with pytest.raises(UnsafeFile, match="print"):
        load(tmp_path / "net.pt")


def test_a_plain_pickle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(UnsafeFile, match=r"pickle that torch\.save did not write"):
        load(path)


@pytest.mark.parametrize(
    "body",
    [
        b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.",  # GLOBAL, REDUCE
        b"\x80\x04\x8c\x02os\x8c\x06system\x93X\x02\x00\x00\x00ls\x85R.",  # STACK_GLOBAL
        b"(X\x02\x00\x00\x00lsios\nsystem\n.",  # INST
        b"(cos\nsystem\nX\x02\x00\x00\x00lso.",  # OBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02cbuiltins\neval\n.",
        b"\x80\x02ctorch.nn.modules.linear\nLinear\nM\xff\xffM\xff\xff\x86\x81.",  # NEWOBJ with arguments
        b"\x80\x02ctorch.nn.modules.linear\nLinear\nM\xff\xffM\xff\xff\x86R.",  # a layer called
        b"\x80\x02ctorch._utils\n_rebuild_tensor\n}b.",  # BUILD on a function
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",  # NEWOBJ of what is no layer
        b"\x80\x02ctorch._utils\n_rebuild_tensor\nK\x01.",  # two values left
        b"\x80\x02X\xff\xff\xff\x7fabc.",  # text longer than the file
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.",
        b"\x80\x02\x8b\x00\x00\x00\x01" + b"\x7f" * 2**24 + b".",  # a number of 16 MiB
        b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",  # lists within lists
        b"\x80\x02"
        + b")" * 2
        + b"\x86q\x00"
        + b"h\x00h\x00\x86q\x00" * 60
        + b"}h\x00K\x01s.",  # slow to hash
        b"\x80\x02h\x05.",  # an empty place of the memo
        b"\x80\x02.",
        b"\x80\x02t.",
    ],
)
def test_hostile_pickles(tmp_path: Path, plain: Path, body: bytes) -> None:
    for path in (with_pickle(plain, tmp_path / "evil.pt", body), older(tmp_path / "evil.th", body, [])):
        with pytest.raises(FileError):
            load(path)


def test_an_object_grown_in_few_bytes(tmp_path: Path, plain: Path) -> None:
    """OrderedDict(list) copies a list of the memo; naming the list again and again must not cost memory."""
    pairs = b"(" + b"h\x01" * 100_000 + b"e"
    body = b"\x80\x02]q\x00U\x01aK\x02\x86q\x01" + b"h\x00" + pairs
    body += b"ccollections\nOrderedDict\nq\x02" + b"h\x02h\x00\x85R" * 10_000 + b"."
    with pytest.raises(FileError, match="more than its size explains"):
        load(with_pickle(plain, tmp_path / "evil.pt", body))


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((1_000_000, 1_000_000), (0, 0), 0),
        ((5,), (0,), 0),
        ((4,), (2,), 0),
        ((2,), (1,), 3),
        ((2,), (-1,), 1),
        ((-4,), (1,), 0),
        ((2**40, 0, 2**40), (1, 1, 1), 0),
        ((2**62, 2**62), (0, 0), 0),
        ((2,), (1, 1), 0),
        ((2,), (2**70,), 0),
    ],
)
@pytest.mark.parametrize("new_format", [True, False])
def test_tensors_lie_in_their_storage(
    tmp_path: Path, size: tuple[int, ...], stride: tuple[int, ...], offset: int, new_format: bool
) -> None:
    """16 stored bytes cannot pose as a million by a million numbers."""
    path, body = tmp_path / "evil.pt", tensor_pickle(4, offset, size, stride)
    if new_format:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", body)
            archive.writestr("a/data/0", bytes(16))
    else:
        older(path, body.replace(b"tQ", b"NtQ"), ["0"], struct.pack("<q", 4) + bytes(16))
    with pytest.raises(FileError, match="tensor"):
        load(path, "torch.nn:Identity")


def test_stored_counts_must_be_those_of_the_pickle(tmp_path: Path) -> None:
    body = tensor_pickle(4, 0, (4,), (1,)).replace(b"tQ", b"NtQ")
    values = struct.pack("<q", 4) + bytes(16)
    for bad in (
        struct.pack("<q", 2**60) + bytes(16),
        struct.pack("<q", 3) + bytes(12),
        values + b"x",
        values[:-1],
    ):
        with pytest.raises(FileError, match="stored values"):
            load(older(tmp_path / "x.th", body, ["0"], bad), "torch.nn:Identity")
    with pytest.raises(FileError, match="stored values"):
        load(older(tmp_path / "x.th", body, ["0", "0"], values * 2), "torch.nn:Identity")
    with pytest.raises(FileError, match="unexpected w"):
        load(older(tmp_path / "x.th", body, ["0"], values), "torch.nn:Identity")


def test_views_of_shared_values_stay_below_the_limit(tmp_path: Path) -> None:
    """Many tensors over one storage are copies in memory, so their sum is bounded by the file."""
    shared = torch.zeros(400_000)
    path = tmp_path / "many.pt"
    torch.save({f"t{n}": shared.view(-1) for n in range(100)}, path)
    (tmp_path / "many_views.py").write_text(
        "import torch\n"
        "class M(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        [self.register_buffer(f't{n}', torch.zeros(400_000)) for n in range(100)]\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(FileError, match="limit"):
            load(path, "many_views:M")
    finally:
        sys.path.remove(str(tmp_path))
    with pytest.raises(FileError, match="limit"):
        load(path, limit=1000)


def test_a_compressed_zip(tmp_path: Path, plain: Path) -> None:
    path = rezip(plain, tmp_path / "deflated.pt", lambda name, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(FileError, match="compressed"):
        load(path)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a//b", "a\\b", "c:/x", "a/./b"])
def test_names_that_are_paths(tmp_path: Path, plain: Path, name: str) -> None:
    path = rezip(plain, tmp_path / "p.pt", lambda _, data: data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("?" * len(name), b"")
    path.write_bytes(path.read_bytes().replace(b"?" * len(name), name.encode()))
    with pytest.raises(FileError, match="plain name"):
        load(path)


def test_the_same_name_twice(tmp_path: Path, plain: Path) -> None:
    path = rezip(plain, tmp_path / "p.pt", lambda _, data: data)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("plain/data.pkl", b"")
    with pytest.raises(FileError, match="twice"):
        load(path)


def test_a_size_beyond_the_file(tmp_path: Path, plain: Path) -> None:
    data = bytearray(rezip(plain, tmp_path / "p.pt", lambda _, old: old).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<2I", 2**31, 2**31)
    path = tmp_path / "huge.pt"
    path.write_bytes(data)
    with pytest.raises(FileError, match="outside"):
        load(path)


def test_overlapping_entries(tmp_path: Path, plain: Path) -> None:
    data = bytearray(rezip(plain, tmp_path / "p.pt", lambda _, old: old).read_bytes())
    first, second = data.index(b"PK\x01\x02"), data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path = tmp_path / "overlap.pt"
    path.write_bytes(data)
    with pytest.raises(FileError, match="overlap|differs"):
        load(path)


def test_a_large_archive_in_64_bits(tmp_path: Path, plain: Path) -> None:
    """Entries written with 64-bit fields, as torch does above 4 GiB, read the same."""
    path = tmp_path / "wide.pt"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w") as new:
        for item in old.infolist():
            with new.open(item.filename, "w", force_zip64=True) as entry:
                entry.write(old.read(item))
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02")
    name_size = struct.unpack("<H", data[at + 28 : at + 30])[0]
    size = data[at + 20 : at + 28]
    wide = struct.pack("<2H2Q", 1, 16, *struct.unpack("<2I", size))
    head = data[at : at + 20] + b"\xff" * 8 + data[at + 28 : at + 30] + struct.pack("<H", len(wide))
    line = head + data[at + 32 : at + 46 + name_size] + wide
    end = bytearray(data[-22:])
    end[12:16] = struct.pack("<I", struct.unpack("<I", end[12:16])[0] + len(wide))
    path.write_bytes(data[:at] + line + data[at + 46 + name_size : -22] + end)
    assert isinstance(load(path), nn.Sequential)


def test_a_changed_weight_is_noticed(tmp_path: Path, plain: Path) -> None:
    data = bytearray(plain.read_bytes())
    with zipfile.ZipFile(plain) as archive:
        weight = archive.read("plain/data/0")
    assert zlib.crc32(weight) == zipfile.ZipFile(plain).getinfo("plain/data/0").CRC
    data[data.index(weight)] ^= 1
    path = tmp_path / "flipped.pt"
    path.write_bytes(data)
    with pytest.raises(FileError, match="checksum"):
        load(path)


def test_kinds_that_are_refused_by_name(tmp_path: Path) -> None:
    script, tar = tmp_path / "script.pt", tmp_path / "old.pt"
    torch.jit.save(torch.jit.trace(nn.ReLU(), torch.zeros(1)), script)
    with pytest.raises(UnsafeFile, match="TorchScript"):
        load(script)
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        item = tarfile.TarInfo("pickle")
        archive.addfile(item, io.BytesIO())
    with pytest.raises(UnsafeFile, match="tar format"):
        load(tar)
    np.savez_compressed(tmp_path / "x.npz", x=np.ones(2))
    with pytest.raises(FileError, match="numpy archive"):
        load(tmp_path / "x.npz")
    for name, data, word in (
        ("empty", b"", "empty"),
        ("noise", bytes(range(7, 250)), "no file"),
        ("net.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
        ("zip", b"PK\x05\x06", "zip"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FileError, match=word):
            load(path)


def test_places_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "absent", tmp_path / "pipe", Path("/dev/zero"), Path("a\0b")):
        with pytest.raises(FileError):
            load(place)


_DAMAGE = """
    import random, sys, warnings
    from spikeflow.convert.load.network_file import load
    from spikeflow.errors import FileError, ModelError, ConversionError
    warnings.simplefilter("ignore")
    data, out, count = open(sys.argv[1], "rb").read(), sys.argv[2], int(sys.argv[3])
    rng = random.Random(7)
    changed = [data[: rng.randrange(len(data))] for _ in range(count)]
    for _ in range(count):
        flipped = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 8))):
            flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        changed.append(bytes(flipped))
    results = {"fine": 0, "refused": 0}
    for number, variant in enumerate(changed):
        with open(out, "wb") as file:
            file.write(variant)
        try:
            load(out, sys.argv[4] or None)
            results["fine"] += 1
        except (FileError, ModelError, ConversionError):
            results["refused"] += 1
        except BaseException as error:
            sys.exit(f"variant {number}: {error!r}")
    print(results)
"""


def damaged(path: Path, folder: Path, count: int, arch: str = "") -> str:
    """Load `count` truncated and `count` bit-flipped copies in another process, which must end well."""
    limits = "import resource; resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30,) * 2)\n"
    command = [
        sys.executable,
        "-c",
        limits + textwrap.dedent(_DAMAGE),
        str(path),
        str(folder / "damaged"),
        str(count),
        arch,
    ]
    where = {**os.environ, "PYTHONPATH": str(Path(spikeflow.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder, env=where)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def small(tmp_path: Path) -> Iterator[dict[str, Path]]:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 2))
    found = {name: tmp_path / name for name in ("module.pt", "module.th", "dict.pt", "dict.th")}
    torch.save(module, found["module.pt"])
    torch.save(module, found["module.th"], _use_new_zipfile_serialization=False)
    torch.save(module.state_dict(), found["dict.pt"])
    torch.save(module.state_dict(), found["dict.th"], _use_new_zipfile_serialization=False)
    (tmp_path / "damaged_arch.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    layers = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 2)\n"
        "    return nn.Sequential(*layers)\n"
    )
    yield found


@pytest.mark.parametrize("name", ["module.pt", "module.th", "dict.pt", "dict.th"])
def test_damaged_files_end_in_a_documented_error(tmp_path: Path, small: dict[str, Path], name: str) -> None:
    arch = "damaged_arch:build" if name.startswith("dict") else ""
    assert "refused" in damaged(small[name], tmp_path, 150, arch)


@pytest.mark.parametrize("name", ["module.pt", "dict.pt"])
def test_damaged_pickles_with_the_right_checksum(tmp_path: Path, small: dict[str, Path], name: str) -> None:
    """Behind the archive's checksum the pickle itself is damaged, one bit at a time."""
    with zipfile.ZipFile(small[name]) as archive:
        data = archive.read(f"{small[name].stem}/data.pkl")
    rng = random.Random(5)
    for _ in range(300):
        changed = bytearray(data)
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        with contextlib.suppress(FileError, ConversionError):
            load(
                with_pickle(small[name], tmp_path / "x.pt", bytes(changed)),
                "math:pi" if "dict" in name else None,
            )
