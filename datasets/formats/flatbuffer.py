"""FlatBuffers of strangers: tables, numbers, text and vectors; every offset is checked before it is followed.

A table is a 32-bit step back to the list of its fields, then the fields; the list says where each lies in the
table, or 0 where it has its default. Text, vectors and tables inside are 32-bit steps forward, so nothing can
go round in circles.

Source: flatbuffers.dev, "FlatBuffer Internals".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


class Damaged(ValueError):
    """An offset that leads out of the buffer, or the wrong kind of buffer."""


@dataclass(frozen=True)
class Table:
    """The table at byte `at` of a buffer."""

    buffer: bytes
    at: int

    @staticmethod
    def root(buffer: bytes, kind: str) -> Table:
        """The root table of a buffer (without the size before it) of a kind such as ``IOHE``.

        Raises
        ------
        Damaged
            Where the buffer is not of this kind.
        """
        if buffer[4:8] != kind.encode():
            raise Damaged(f"no FlatBuffer of the kind {kind}")
        return Table(buffer, _unpack("<I", buffer, 0)[0])

    def numbers(self, field: int, layout: str, default: tuple[int, ...] = (0,)) -> tuple[int, ...]:
        """The number, or the numbers of a struct, in field `field`, laid out as in module struct."""
        at = self._field(field)
        return default if at is None else _unpack("<" + layout, self.buffer, at)

    def text(self, field: int) -> str:
        """The text in a field; empty where there is none."""
        begin, count = self._vector(field)
        if begin + count > len(self.buffer):
            raise Damaged("a text that goes beyond the buffer")
        try:
            return self.buffer[begin : begin + count].decode()
        except UnicodeDecodeError:
            raise Damaged("a text that is not UTF-8") from None

    def tables(self, field: int) -> list[Table]:
        """The tables of a vector in a field."""
        begin, count = self._vector(field)
        if count > (len(self.buffer) - begin) // 4:
            raise Damaged("a vector that goes beyond the buffer")
        steps = struct.unpack_from(f"<{count}I", self.buffer, begin)
        return [Table(self.buffer, begin + 4 * i + step) for i, step in enumerate(steps)]

    def _field(self, field: int) -> int | None:
        fields = self.at - _unpack("<i", self.buffer, self.at)[0]
        size = _unpack("<H", self.buffer, fields)[0]
        place = 4 + 2 * field
        if place + 2 > size:
            return None
        offset = _unpack("<H", self.buffer, fields + place)[0]
        return self.at + offset if offset else None

    def _vector(self, field: int) -> tuple[int, int]:
        """Where the elements of a vector begin, and how many they are."""
        at = self._field(field)
        if at is None:
            return len(self.buffer), 0
        begin = at + _unpack("<I", self.buffer, at)[0]
        return begin + 4, _unpack("<I", self.buffer, begin)[0]


def _unpack(layout: str, buffer: bytes, at: int) -> tuple[int, ...]:
    if at < 0 or at + struct.calcsize(layout) > len(buffer):
        raise Damaged(f"an offset to byte {at} of {len(buffer)}")
    return struct.unpack_from(layout, buffer, at)
