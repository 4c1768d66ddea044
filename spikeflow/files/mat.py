"""MATLAB's ``.mat`` of versions 4 to 7: arrays of numbers, and structs of them; all else is named, not made.

Every size is compared with what is there before it is followed, and nothing is made of cells, objects and
structs in structs, however many a file holds. Values keep the type in which they are stored, which may be
narrower than MATLAB's.

::

    version 4    20 bytes (type, rows, columns, complex, length of name), name, values; again and again
    version 5    128 bytes, then elements: a tag (type, bytes), content, padding to 8 bytes
                 a variable is an element of type matrix, or one deflated (version 7)

Source: MathWorks, "MAT-File Format".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from spikeflow.errors import FileError
from spikeflow.files import limits
from spikeflow.files.opened import PathLike, open_regular
from spikeflow.typing import Array

HEADER = 128
AS_EVENTS = 8  # bytes that a value becomes, as part of an event
MAX_DIMENSIONS = 16
_INT8, _UINT16, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 4, 5, 6, 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_WORDS = {1: "cells", 3: "an object", 4: "text", 5: "a sparse matrix", 16: "a function", 17: "an object"}
_STRUCT, _FIRST_NUMBER, _LAST_NUMBER = 2, 6, 15
_COMPLEX = 0x800
_OLD_TYPES = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}


@dataclass(frozen=True)
class Other:
    """A variable that is no array of numbers: what it is instead."""

    what: str


@dataclass(frozen=True)
class Struct:
    """A struct of one element: its fields by name."""

    fields: Mapping[str, Array | Other] = field(default_factory=dict)


Variable = Array | Struct | Other


class _Damaged(ValueError):
    """A size that leads out of what holds it, or a tag that is none."""


@dataclass(frozen=True)
class _Content:
    """Some bytes of a file, in its order of bytes: little (``<``) or big (``>``); values are paid for."""

    data: bytes
    order: str
    budget: limits.Budget

    def unpack(self, layout: str, at: int) -> tuple[int, ...]:
        if at < 0 or at + struct.calcsize(layout) > len(self.data):
            raise _Damaged(f"a tag at byte {at} of {len(self.data)}")
        return struct.unpack_from(self.order + layout, self.data, at)

    def numbers(self, kind: str, at: int, size: int) -> Array:
        dtype = np.dtype(self.order + kind)
        if size % dtype.itemsize:
            raise _Damaged(f"{size} bytes are not whole values of {dtype.itemsize}")
        self.budget.spend(AS_EVENTS * size // dtype.itemsize)
        return np.frombuffer(self.data, dtype, size // dtype.itemsize, at) if size else np.empty(0, dtype)


@dataclass(frozen=True)
class _Element:
    """One element: its type, where its content lies, and where the next one begins."""

    kind: int
    at: int
    size: int
    after: int


def read(path: PathLike) -> dict[str, Variable]:
    """The variables of a file by name, in its order.

    Raises
    ------
    FileError
        Where it is missing, damaged, or unpacks to more than its size explains.
    """
    file, length = open_regular(path)
    with file:
        data = file.read(length)
    budget = limits.unpacked(path, length)
    try:
        if len(data) >= HEADER and data[126:128] in (b"IM", b"MI"):
            content = _Content(data, "<" if data[126:128] == b"IM" else ">", budget)
            return dict(_variables(content))
        return dict(_old_variables(data, budget))
    except (_Damaged, zlib.error, UnicodeDecodeError) as error:
        raise FileError(path, f"a damaged .mat file ({error})", "a fresh copy") from None


def _variables(content: _Content) -> Iterator[tuple[str, Variable]]:
    at = HEADER
    while at < len(content.data):
        element = _element(content, at, len(content.data))
        at = element.after
        inside = content
        if element.kind == _COMPRESSED:
            inside = _Content(_inflated(content, element), content.order, content.budget)
            element = _element(inside, 0, len(inside.data))
        if element.kind != _MATRIX:
            raise _Damaged(f"an element of type {element.kind} where a variable should be")
        yield _variable(inside, element)


def _inflated(content: _Content, element: _Element) -> bytes:
    """What a deflated element holds; never more than its budget."""
    unpacker = zlib.decompressobj()
    most = limits.RATIO * element.size + 1024
    out = unpacker.decompress(content.data[element.at : element.at + element.size], most)
    if not unpacker.eof:
        raise _Damaged("a deflated variable that is cut")
    content.budget.spend(len(out))
    return out


def _element(content: _Content, at: int, end: int) -> _Element:
    """The element at byte `at`, which lies before `end`."""
    (first,) = content.unpack("I", at)
    if first >> 16:  # a small one: type and size in four bytes, its content in the next four
        kind, size, begin, after = first & 0xFFFF, first >> 16, at + 4, at + 8
        if size > 4:
            raise _Damaged(f"a small element of {size} bytes")
    else:
        kind, (size,), begin = first, content.unpack("I", at + 4), at + 8
        after = begin + size + (-size % 8 if kind != _COMPRESSED else 0)
    if begin + size > end:
        raise _Damaged(f"an element of {size} bytes at byte {at}, of which {end - begin} are there")
    return _Element(kind, begin, size, min(after, max(end, begin + size)))


@dataclass(frozen=True)
class _Head:
    """What stands first in a matrix: class, flags, sizes, name, and where the rest begins."""

    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    rest: int


def _head(content: _Content, matrix: _Element) -> _Head:
    end = matrix.at + matrix.size
    flags = _element(content, matrix.at, end)
    sizes = _element(content, flags.after, end)
    name = _element(content, sizes.after, end)
    if flags.kind != _UINT32 or flags.size != 8 or sizes.kind != _INT32 or name.kind != _INT8:
        raise _Damaged("a variable without flags, sizes and name")
    (word,) = content.unpack("I", flags.at)
    shape = tuple(int(n) for n in content.numbers("i4", sizes.at, min(sizes.size, 4 * (MAX_DIMENSIONS + 1))))
    if not 1 <= len(shape) <= MAX_DIMENSIONS or min(shape) < 0:
        raise _Damaged(f"a variable of {len(shape)} sizes, or one below 0")
    text = content.data[name.at : name.at + name.size].decode("latin1")
    return _Head(word & 0xFF, bool(word & _COMPLEX), shape, text, name.after)


def _variable(content: _Content, matrix: _Element) -> tuple[str, Variable]:
    if not matrix.size:
        return "", np.empty((0, 0))
    head = _head(content, matrix)
    if head.kind == _STRUCT:
        return head.name, _struct(content, matrix, head)
    return head.name, _plain(content, matrix, head)


def _plain(content: _Content, matrix: _Element, head: _Head) -> Array | Other:
    """Numbers; anything else is named."""
    if not _FIRST_NUMBER <= head.kind <= _LAST_NUMBER:
        return Other(_WORDS.get(head.kind, "a struct" if head.kind == _STRUCT else "of an unknown class"))
    if head.is_complex:
        return Other("complex numbers")
    values = _element(content, head.rest, matrix.at + matrix.size)
    if values.kind not in _TYPES:
        raise _Damaged(f"values of type {values.kind}")
    flat = content.numbers(_TYPES[values.kind], values.at, values.size)
    if flat.size != prod(head.shape):
        raise _Damaged(f"{flat.size} values for the shape {head.shape}")
    return flat.reshape(head.shape, order="F")


def _struct(content: _Content, matrix: _Element, head: _Head) -> Struct | Other:
    """The fields of a struct; of several structs in one array only the names of the fields."""
    end = matrix.at + matrix.size
    length = _element(content, head.rest, end)
    names = _element(content, length.after, end)
    (each,) = content.unpack("i", length.at) if length.size == 4 else (0,)
    if not 0 < each <= 1024 or names.size % each:
        raise _Damaged("a struct without names of its fields")
    raw = content.data[names.at : names.at + names.size]
    told = [raw[i : i + each].partition(b"\0")[0].decode("latin1") for i in range(0, len(raw), each)]
    if prod(head.shape) != 1:
        return Other(f"{prod(head.shape)} structs of {', '.join(told[:20])}")
    fields: dict[str, Array | Other] = {}
    at = names.after
    for name in told:
        element = _element(content, at, end)
        at = element.after
        if element.kind != _MATRIX:
            raise _Damaged(f"an element of type {element.kind} where a field should be")
        fields[name] = _plain(content, element, _head(content, element)) if element.size else Other("nothing")
    return Struct(fields)


def _old_variables(data: bytes, budget: limits.Budget) -> Iterator[tuple[str, Variable]]:
    at = 0
    while at < len(data):
        order = "<" if 0 <= int.from_bytes(data[at : at + 4], "little", signed=True) <= 5000 else ">"
        content = _Content(data, order, budget)
        kind, rows, columns, imaginary, length = content.unpack("5i", at)
        precision = _OLD_TYPES.get(kind // 10 % 10)
        if not 0 <= kind < 5000 or precision is None or min(rows, columns) < 0 or not 0 < length <= 1024:
            raise _Damaged("no variable of version 4, and no file of a later one")
        begin = at + 20 + length
        size = rows * columns * np.dtype(precision).itemsize
        at = begin + size * (2 if imaginary else 1)
        if at > len(data):
            raise _Damaged(f"a variable of {size} bytes, of which {len(data) - begin} are there")
        name = data[begin - length : begin].partition(b"\0")[0].decode("latin1")
        if kind % 10 or imaginary:
            yield name, Other("text, sparse or complex")
        else:
            yield name, content.numbers(precision, begin, size).reshape((rows, columns), order="F")
