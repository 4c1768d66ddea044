"""Files that ask for more than they are: each made by a function of a size, for every reader.

A bomb is small and would take memory or time without end from a reader that believes it. What it is made of is written
in code, so that nothing binary has to be kept, and every bomb can be made larger.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zstandard

from spikeflow.ir import store

Bomb = Callable[[int], bytes]


@dataclass(frozen=True)
class Case:
    """One bomb: the reader it is for, the suffix of its name, and whether its format packs."""

    reader: str
    suffix: str
    make: Bomb
    packed: bool = False


# --- numpy ---


def npy_header(shape: tuple[int, ...], kind: str = "<f4", blanks: int = 0) -> bytes:
    """The header of an array, which may declare anything."""
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}{' ' * blanks}\n".encode()
    if len(text) < 1 << 16:
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text


def npz(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return out.getvalue()


def _packed_zeros(kind: str, method: int) -> Bomb:
    def make(size: int) -> bytes:
        count = size * 100
        return npz({"x": npy_header((count, 1), kind) + bytes(count * np.dtype(kind).itemsize)}, method)

    return make


def _many_members(size: int) -> bytes:
    return npz({f"a{n}": npy_header((0,)) for n in range(size // 300)}, zipfile.ZIP_STORED)


# --- MATLAB ---


def element(kind: int, data: bytes) -> bytes:
    """One element of a ``.mat`` file."""
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name: bytes, shape: tuple[int, ...], kind: int, rest: bytes) -> bytes:
    """One variable of a ``.mat`` file."""
    head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, head + element(1, name) + rest)


def mat(*parts: bytes) -> bytes:
    """A ``.mat`` file of version 5."""
    return b"MATLAB 5.0 MAT-file".ljust(124, b" ") + b"\x00\x01IM" + b"".join(parts)


def _nested_cells(size: int) -> bytes:
    each = len(matrix(b"", (1, 1), 1, b""))
    levels = range(size // each, 0, -1)
    return mat(*(_cell(n * each - 8) for n in levels))


def _cell(size: int) -> bytes:
    """The beginning of a matrix of one cell, of so many bytes in all."""
    return struct.pack("<II", 14, size) + matrix(b"", (1, 1), 1, b"")[8:]


def _packed(content: bytes) -> bytes:
    data = zlib.compress(content, 9)
    return struct.pack("<II", 15, len(data)) + data


def _struct_of(size: int) -> bytes:
    names = b"".join(f"f{n}".encode().ljust(8, b"\0") for n in range(size // 64))
    fields = b"".join(matrix(b"", (0, 0), 6, element(9, b"")) for _ in range(size // 64))
    return mat(matrix(b"TD", (1, 1), 2, struct.pack("<HHi", 5, 4, 8) + element(1, names) + fields))


# --- HDF5 ---


def hdf5(fill: Callable[[h5py.File], Any]) -> bytearray:
    """The bytes of an HDF5 file."""
    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        return bytearray(file.id.get_file_image())


def endless_group(content: bytearray, deep: int) -> bytes:
    """The root group's tree replaced by one of `deep` levels, each of which leads 32 times to the level below."""
    root = content.find(b"TREE")
    leaf = content.find(b"SNOD")
    below = leaf
    for level in range(deep):
        at = len(content)
        node = b"TREE" + struct.pack("<BBHQQ", 0, level, 32, 2**64 - 1, 2**64 - 1)
        node += b"".join(struct.pack("<QQ", 0, below) for _ in range(32)) + bytes(8)
        content += node.ljust(544, b"\0")
        below = at
    content[root : root + 544] = content[below : below + 544]
    eof = content.find(struct.pack("<Q", len(content) - 544 * deep))
    content[eof : eof + 8] = struct.pack("<Q", len(content))
    return bytes(content)


def sealed(kind: str, image: bytes) -> bytes:
    """A file of ours around an HDF5 image, with the right length and hash."""
    return store.header(kind, image) + image


def _manifest(text: bytes, **packing: Any) -> bytes:
    def fill(file: h5py.File) -> None:
        file.create_dataset("manifest", data=np.frombuffer(text, np.uint8), **packing)
        file.create_group("arrays")

    return sealed("network", bytes(hdf5(fill)))


GZIP: dict[str, Any] = {"chunks": (1 << 14,), "compression": "gzip", "compression_opts": 9}


def _packed_manifest(unit: bytes) -> Bomb:
    return lambda size: _manifest(b"[" + unit * (200 * size // len(unit)) + b"0]", **GZIP)


def _one_array_often(size: int) -> bytes:
    def fill(file: h5py.File) -> None:
        file["manifest"] = np.frombuffer(b"{}", np.uint8)
        group = file.create_group("arrays")
        group["0"] = np.zeros(size // 2, np.uint8)
        for n in range(1, min(size // 200, 5000)):
            group[str(n)] = group["0"]

    return sealed("network", bytes(hdf5(fill)))


def _empty_arrays(size: int) -> bytes:
    def fill(file: h5py.File) -> None:
        file["manifest"] = np.frombuffer(b"{}", np.uint8)
        group = file.create_group("arrays")
        for n in range(size // 400):
            group[str(n)] = np.zeros(1, np.uint8)

    return sealed("network", bytes(hdf5(fill)))


def _packed_twice(size: int) -> bytes:
    """One column packed by gzip three times over: a chunk of zeros in a few bytes."""
    chunk = 1 << 24
    raw = bytes(chunk)
    for _ in range(3):
        raw = zlib.compress(raw, 9)

    def fill(file: h5py.File) -> None:
        for name in "txyp":
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_chunk((chunk,))
            for _ in range(3):
                plan.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (9,))
            count = max(size // 4000, 1)
            space = h5py.h5s.create_simple((chunk * count,))
            made = h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_UINT8, space, plan)
            for n in range(count):
                made.write_direct_chunk((n * chunk,), raw)

    return bytes(hdf5(fill))


def _columns(file: h5py.File) -> None:
    for name in "txyp":
        file[name] = np.arange(100, dtype=np.int64)


def _rows_of_no_end(size: int) -> bytes:
    """Spike trains whose rows claim four billion values."""

    def fill(file: h5py.File) -> None:
        kind = h5py.vlen_dtype(np.float32)
        for name in ("spikes/times", "spikes/units"):
            rows = file.create_dataset(name, (4,), kind)
            for n in range(4):
                rows[n] = np.arange(7, dtype=np.float32)
        file["labels"] = np.zeros(4, np.int64)

    content = hdf5(fill)
    for at in [n for n in range(0, len(content) - 16, 4) if content[n : n + 4] == struct.pack("<I", 7)]:
        content[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(content)


# --- AEDAT 4 ---


def _aedat4(packet: Bomb) -> Bomb:
    def make(size: int) -> bytes:
        from spikeflow.datasets import write
        from spikeflow.events import Events

        path = Path("/tmp") / f"corpus-{hashlib.sha256(str(size).encode()).hexdigest()[:8]}.aedat4"
        write(path, Events([1, 2], [3, 4], [5, 6], [0, 1], 10, 10))
        content = bytearray(path.read_bytes())
        path.unlink()
        begin = 14 + 4 + int.from_bytes(content[14:18], "little")
        head = content[:begin].replace(struct.pack("<q", _table(content, begin)), struct.pack("<q", -1))
        data = packet(size)
        return bytes(head) + struct.pack("<ii", 0, len(data)) + data

    return make


def _table(content: bytearray, begin: int) -> int:
    """Where the table of packets begins: behind the last packet."""
    size = struct.unpack_from("<i", content, begin + 4)[0]
    return begin + 8 + size


def _zstd_zeros(size: int) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(bytes(min(size * 3_000, 1 << 28)))


# --- torch ---


def torch_zip(members: dict[str, bytes]) -> bytes:
    """An archive such as torch makes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(f"net/{name}", data)
    return out.getvalue()


def _tensors_of_one(size: int) -> bytes:
    """A state dict in which one storage is named again and again."""
    name = b"X\x01\x00\x00\x00"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        + name + b"0X\x03\x00\x00\x00cpuJ" + struct.pack("<i", size // 8) + b"tQK\x00J"
        + struct.pack("<i", size // 8) + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip
    body = b"\x80\x02}(" + b"".join(b"X\x05\x00\x00\x00%05d" % n + tensor for n in range(size // 400)) + b"u."
    return torch_zip({"data.pkl": body, "data/0": bytes(size // 8 * 4), "version": b"3\n"})


def _pt2(model: Bomb) -> Bomb:
    return lambda size: torch_zip({"archive_format": b"pt2", "models/model.json": model(size)})


def _many_operations(size: int) -> bytes:
    node = b'{"target":"torch.ops.aten.relu.default","inputs":[],"outputs":[],"metadata":{}}'
    graph = b'{"nodes":[' + b",".join([node] * (size // len(node))) + b'],"tensor_values":{}}'
    spec = b'"signature":{"input_specs":[],"output_specs":[]}'
    return b'{"schema_version":{"major":8,"minor":1},"graph_module":{"graph":' + graph + b"," + spec + b"}}"


# --- protobuf ---


def part(number: int, content: bytes) -> bytes:
    """A field that holds so many bytes: a message, a text, packed numbers."""
    return _number(number << 3 | 2) + _number(len(content)) + content


def _number(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def onnx_model(graph: bytes) -> bytes:
    """A model of opset 17 with this graph."""
    return b"\x08\x08" + part(7, graph) + part(8, b"\x10\x11")


def _onnx_nested(size: int) -> bytes:
    graph = b""
    for _ in range(min(size // 8, 3000)):
        graph = part(1, part(5, part(6, graph)))
    return onnx_model(graph)


def _flat(size: int, repeated: str) -> bytes:
    """A TFLite model in which one table is named again and again."""
    import flatbuffers
    import tflite

    b, count = flatbuffers.Builder(size), size // 4
    tflite.BufferStart(b)
    buffer = tflite.BufferEnd(b)
    shape = b.CreateNumpyVector(np.ones(4, np.int32))
    name = b.CreateString("x" * (100 if repeated == "names" else 1))
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddName(b, name)
    tensor = tflite.TensorEnd(b)
    ends = b.CreateNumpyVector(np.zeros(count if repeated == "ends" else 1, np.int32))
    tflite.OperatorCodeStart(b)
    code = tflite.OperatorCodeEnd(b)
    tflite.OperatorStart(b)
    tflite.OperatorAddInputs(b, ends)
    tflite.OperatorAddOutputs(b, ends)
    operator = tflite.OperatorEnd(b)

    def often(made: int, times: int) -> int:
        b.StartVector(4, times, 4)
        for _ in range(times):
            b.PrependUOffsetTRelative(made)
        return b.EndVector()

    tensors = often(tensor, count if repeated in ("tensors", "names") else 1)
    operators = often(operator, count if repeated == "operators" else min(count, 100))
    codes, buffers = often(code, 1), often(buffer, 1)
    tflite.SubGraphStart(b)
    for field, value in (("Tensors", tensors), ("Operators", operators), ("Inputs", ends), ("Outputs", ends)):
        getattr(tflite, f"SubGraphAdd{field}")(b, value)
    graph = tflite.SubGraphEnd(b)
    graphs = often(graph, 1)
    tflite.ModelStart(b)
    for field, value in (("OperatorCodes", codes), ("Subgraphs", graphs), ("Buffers", buffers)):
        getattr(tflite, f"ModelAdd{field}")(b, value)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _safetensors(entry: bytes, size: int) -> bytes:
    head = b"{" + b",".join(entry.replace(b"%d", b"%d" % n) for n in range(max(size // len(entry), 1))) + b"}"
    return struct.pack("<Q", len(head)) + head


_DIMS = b"\x08" + b"\xff" * 8 + b"\x7f"  # a size of 2^63 - 1


CORPUS: dict[str, Case] = {
    **{
        f"tflite: {word} named again and again": Case("torch", ".tflite", lambda n, word=word: _flat(n, word))
        for word in (("tensors", "names", "operators", "ends") if find_spec("tflite") else ())
    },
    "safetensors: empty tensors": Case("torch", ".safetensors", lambda n: _safetensors(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}', n)),
    "safetensors: long shapes": Case("torch", ".safetensors", lambda n: _safetensors(b'"%d":{"dtype":"F32","shape":[' + b"1," * 500 + b'0],"data_offsets":[0,0]}', n)),
    "safetensors: nested": Case("torch", ".safetensors", lambda n: struct.pack("<Q", n) + b'{"a":' + b"[" * (n - 5)),
    "onnx: empty nodes": Case("torch", ".onnx", lambda n: onnx_model(part(1, b"") * (n // 2))),
    "onnx: rectifiers": Case(
        "torch",
        ".onnx",
        lambda n: onnx_model(
            part(11, part(1, b"x")) + part(1, part(1, b"x") + part(2, b"x") + part(4, b"Relu")) * (n // 14) + part(12, part(1, b"x"))
        ),
    ),
    "onnx: empty tensors": Case("torch", ".onnx", lambda n: onnx_model(part(5, b"") * (n // 2))),
    "onnx: attributes": Case("torch", ".onnx", lambda n: onnx_model(part(1, part(5, b"") * (n // 2)))),
    "onnx: names without letters": Case("torch", ".onnx", lambda n: onnx_model(part(1, part(1, b"") * (n // 2)))),
    "onnx: small numbers": Case("torch", ".onnx", lambda n: onnx_model(part(5, b"\x08\x7f" + b"\x10\x07" + part(7, b"\x01" * n)))),
    "onnx: a tensor without end": Case("torch", ".onnx", lambda n: onnx_model(part(5, _DIMS * 2 + b"\x10\x01" + part(9, bytes(n))))),
    "onnx: nested graphs": Case("torch", ".onnx", _onnx_nested),
    "onnx: metadata": Case("torch", ".onnx", lambda n: b"\x08\x08" + part(14, b"") * (n // 2)),
    "onnx: functions": Case("torch", ".onnx", lambda n: b"\x08\x08" + part(25, b"") * (n // 2)),
    "onnx: value infos": Case("torch", ".onnx", lambda n: onnx_model(part(13, part(2, part(1, part(2, part(1, b"") * 50)))) * (n // 110))),
    "npz: zeros as bool": Case("samples", ".npz", _packed_zeros("|b1", zipfile.ZIP_DEFLATED), True),
    "npz: zeros as float64": Case("samples", ".npz", _packed_zeros("<f8", zipfile.ZIP_DEFLATED), True),
    "npz: bzip2": Case("samples", ".npz", _packed_zeros("<f4", zipfile.ZIP_BZIP2)),
    "npz: LZMA": Case("samples", ".npz", _packed_zeros("<f4", zipfile.ZIP_LZMA)),
    "npz: a header of blanks": Case(
        "samples", ".npz", lambda n: npz({"x": npy_header((1, 1), blanks=100 * n)})
    ),
    "npz: many members": Case("samples", ".npz", _many_members),
    "npz: a shape without end": Case(
        "samples", ".npz", lambda n: npz({"x": npy_header((10**15, n)) + bytes(n)}, zipfile.ZIP_STORED)
    ),
    "npz of events: zeros": Case(
        "events",
        ".npz",
        lambda n: npz({name: npy_header((100 * n,), "|u1") + bytes(100 * n) for name in "txyp"}),
        True,
    ),
    "npy: blanks": Case("events", ".npy", lambda n: npy_header((1, 4), blanks=n)),
    "npy: a shape without end": Case("events", ".npy", lambda n: npy_header((2**60, 4)) + bytes(n)),
    "npy: nested header": Case(
        "events", ".npy", lambda n: npy_header((1,)).replace(b"(1,)", b"(" * min(n, 5000))
    ),
    "mat: nested cells": Case("events", ".mat", _nested_cells),
    "mat: packed nested cells": Case(
        "events", ".mat", lambda n: mat(_packed(_nested_cells(100 * n)[128:])), True
    ),
    "mat: cells without end": Case(
        "events", ".mat", lambda n: mat(matrix(b"a", (2**31 - 1, 2**31 - 1), 1, b""))
    ),
    "mat: an array without end": Case(
        "events", ".mat", lambda n: mat(matrix(b"a", (2**31 - 1,) * 9, 6, element(9, bytes(8))))
    ),
    "mat: packed zeros": Case(
        "events",
        ".mat",
        lambda n: mat(
            *(_packed(matrix(v, (100 * n, 1), 6, element(2, bytes(100 * n)))) for v in (b"t", b"x", b"y"))
        ),
        True,
    ),  # fmt: skip
    "mat: a struct of many fields": Case("events", ".mat", _struct_of),
    "mat: structs without end": Case(
        "events",
        ".mat",
        lambda n: mat(
            matrix(b"T", (2**30, 4), 2, struct.pack("<HHi", 5, 4, 8) + element(1, b"t".ljust(8, b"\0")))
        ),
    ),  # fmt: skip
    "mat: many variables": Case(
        "events",
        ".mat",
        lambda n: mat(*(matrix(b"v%d" % i, (0, 0), 6, element(9, b"")) for i in range(n // 64))),
    ),  # fmt: skip
    "hdf5: a group without end": Case("events", ".h5", lambda n: endless_group(hdf5(_columns), 12)),
    "hdf5: packed three times": Case("events", ".h5", _packed_twice, True),
    "hdf5: rows without end": Case("events", ".h5", _rows_of_no_end),
    "hdf5: many groups": Case(
        "events", ".h5", lambda n: bytes(hdf5(lambda f: [f.create_group(f"g{i}") for i in range(n // 900)]))
    ),
    "network: a group without end": Case(
        "network",
        ".h5",
        lambda n: sealed(
            "network",
            endless_group(hdf5(lambda f: (f.create_group("arrays"), f.create_group("manifest"))), 12),
        ),
    ),  # fmt: skip
    "network: a manifest of lists": Case("network", ".h5", _packed_manifest(b"[],")),
    "network: a manifest of objects": Case("network", ".h5", _packed_manifest(b'{"a":0},')),
    "network: a manifest of nested lists": Case("network", ".h5", lambda n: _manifest(b"[" * n + b"]" * n)),
    "network: one array under many names": Case("network", ".h5", _one_array_often),
    "network: many arrays": Case("network", ".h5", _empty_arrays),
    "aedat4: zstd of zeros": Case("events", ".aedat4", _aedat4(lambda n: _zstd_zeros(n)), True),
    "torch: tensors of one storage": Case("torch", ".pt", _tensors_of_one),
    "torch: many entries": Case(
        "torch",
        ".pt",
        lambda n: torch_zip({f"data/{i}": b"" for i in range(n // 150)} | {"data.pkl": b"\x80\x02}."}),
    ),
    "pt2: lists": Case("torch", ".pt2", _pt2(lambda n: b"[" + b"[]," * (n // 3) + b"0]")),
    "pt2: objects": Case("torch", ".pt2", _pt2(lambda n: b"[" + b'{"a":0},' * (n // 8) + b"0]")),
    "pt2: nested": Case("torch", ".pt2", _pt2(lambda n: b"[" * n)),
    "pt2: operations": Case("torch", ".pt2", _pt2(_many_operations)),
    "json: as text of events": Case("events", ".csv", lambda n: b"t,x,y,p\n" + b"1,1,1,1\n" * (n // 8)),
    "text: one line": Case("events", ".csv", lambda n: b"1," * (n // 2)),
    "text: many columns": Case("events", ".csv", lambda n: (b"1," * 8000 + b"1\n") * max(n // 16000, 2)),
    "text: long numbers": Case("events", ".csv", lambda n: (b"1" * 2000 + b",1,1,1\n") * (n // 2000)),
    "text: exponents": Case("events", ".csv", lambda n: b"1e999,1,1,1\n" * (n // 12)),
}
