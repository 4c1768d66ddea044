"""The look at a message of protobuf before its library sees it: how much will its parts cost?

A message within a message takes two bytes in a file and some hundreds in memory, so a few megabytes of empty
ones become gigabytes. Here the fields are walked by a table of what lies in which, and each part is paid for
from a budget before the library makes it.

::

    field       a number: id << 3 | kind, then by kind: 0 a number, 1 eight bytes, 5 four bytes,
                2 a length and so many bytes (text, packed numbers, or a message)
    number      7 bits a byte, the lowest first; the highest bit of a byte says that another follows

Source: Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from collections.abc import Mapping

from spikeflow.errors import FileError
from spikeflow.files.limits import HINT, Budget

MAX_DEPTH = 48
PIECE = 64  # bytes of a piece of text, or of a list of numbers, beside its content

# message -> field that holds a message -> which
Schema = Mapping[str, Mapping[int, str]]


def check_messages(data: bytes, root: str, schema: Schema, costs: Mapping[str, int], budget: Budget) -> None:
    """Walk the fields of a message, and of every message in it, paying for each.

    Parameters
    ----------
    costs : bytes that a message of a kind becomes.

    Raises
    ------
    FileError
        Where it is damaged, nested too deeply, or the budget ends.
    """
    waiting = [(0, len(data), root, 0)]
    try:
        while waiting:
            at, end, kind, depth = waiting.pop()
            if depth > MAX_DEPTH:
                raise FileError(budget.path, f"its messages lie more than {MAX_DEPTH} deep", HINT)
            inside = schema.get(kind, {})
            while at < end:
                field, start, at = _field(data, at, end)
                if start < 0:
                    continue
                held = inside.get(field)
                budget.spend(PIECE if held is None else costs[held])
                if held is not None:
                    waiting.append((start, at, held, depth + 1))
    except (IndexError, ValueError):
        raise FileError(budget.path, "damaged: a part of it ends early", HINT) from None


def _field(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """The id of the field at a place, where its bytes begin (-1 for a number), and where it ends."""
    key, at = _number(data, at)
    kind, start = key & 7, -1
    if kind == 0:
        _, at = _number(data, at)
    elif kind == 2:
        length, start = _number(data, at)
        at = start + length
    elif kind in (1, 5):
        at += 8 if kind == 1 else 4
    else:
        raise ValueError("a kind of field that is not read")
    if at > end:
        raise ValueError("a field that ends beyond its message")
    return key >> 3, start, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while shift < 70:
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + 1
        shift += 7
    raise ValueError("a number that does not end")
