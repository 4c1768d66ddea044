"""Calls of the engine: recorded while a network is made and run, kept in a file, and played again.

The file is what `src/lowered` reads: C++ programs play it on other processors, and change it as a stranger might.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import spikeflow.sim._engine as engine_module
from spikeflow.sim import lower

Call = list[Any]  # number of an object, or -1; method; arguments
_NETWORKS = ("FloatNetwork", "Int32Network", "Int64Network")
_MAKERS = ("live", "bundle")  # methods that make an object
_ASKING = ("kept", "reach", "held")  # methods that change nothing
# arguments that callers name, in the order of the engine
_NAMED = ("isa", "shares", "steps", "samples", "feeds", "recorded", "traces", "threads", "progress", "begun", "numbers", "start", "end", "exchange")  # fmt: skip


class Recorded:
    """A network or a live run whose calls are noted."""

    def __init__(self, calls: list[Call], made: Any, count: list[int]) -> None:
        self._calls, self._made, self._count, self.number = calls, made, count, count[0]
        count[0] += 1

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._made, method)
        if not callable(found):
            return found

        def noted(*given: Any, **named: Any) -> Any:
            held = [*given, *(named[word] for word in _NAMED if word in named)]
            assert len(held) == len(given) + len(named), method
            if method not in _ASKING:
                self._calls.append([self.number, method, *(_number_of(x) for x in held)])
            done = found(*(x._made if isinstance(x, Recorded) else x for x in held))
            return Recorded(self._calls, done, self._count) if method in _MAKERS else done

        return noted


def _number_of(x: Any) -> Any:
    return x.number if isinstance(x, Recorded) else x


@contextmanager
def recording() -> Generator[list[Call]]:
    """All calls of networks that are made meanwhile."""
    calls, count = list[Call](), [0]

    def kind(name: str) -> type:
        def made(cls: type, isa: int = 2, shares: int = 1, own: Any = None) -> Recorded:
            calls.append([-1, name, isa, shares, own])
            self = object.__new__(cls)
            Recorded.__init__(self, calls, getattr(engine_module, name)(isa, shares, own), count)
            return self

        return type(name, (Recorded,), {"__new__": made, "__init__": lambda self, *given, **named: None})

    named = SimpleNamespace(**{name: kind(name) for name in _NETWORKS})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lower, "_engine", named)
        yield calls


def play(calls: Sequence[Call]) -> None:
    """Make the calls again, in Python."""
    objects: list[Any] = []
    for number, method, *given in calls:
        of = engine_module if number < 0 else objects[number]
        if method in ("coded", "bundled"):
            given[0] = objects[given[0]]
        elif method.startswith("population"):
            given[2] = _code(given[2])
        elif method == "plastic":
            given[6] = [part and [_code(part[0]), *part[1:]] for part in given[6]]
        done = getattr(of, method)(*given)
        if number < 0 or method in _MAKERS:
            objects.append(done)


def _code(flat: Any) -> Any:
    return flat.reshape(-1, 7)


def write(path: Path, calls: Sequence[Call]) -> None:
    """Write a file of calls."""
    path.write_bytes(_packed(list(calls)))


def read(path: Path) -> list[Call]:
    """The calls of a file."""
    return _unpacked(memoryview(path.read_bytes()), 0)[0]


def _packed(x: Any) -> bytes:
    if x is None or callable(x):
        return b"n"
    if isinstance(x, bool):
        return b"b" + bytes([x])
    if isinstance(x, str):
        return b"s" + struct.pack("<I", len(x.encode())) + x.encode()
    if isinstance(x, float):
        return b"r" + struct.pack("<d", x)
    if isinstance(x, np.ndarray):
        x = np.ascontiguousarray(x)
        kind = "u" if x.dtype.kind == "b" else x.dtype.kind
        return b"a" + kind.encode() + struct.pack("<BQ", x.itemsize, x.nbytes) + x.tobytes()
    if isinstance(x, list | tuple):
        return b"l" + struct.pack("<I", len(x)) + b"".join(map(_packed, x))
    return b"i" + struct.pack("<q", int(x))


def _unpacked(data: memoryview, at: int) -> tuple[Any, int]:
    kind, at = chr(data[at]), at + 1
    if kind == "n":
        return None, at
    if kind == "b":
        return bool(data[at]), at + 1
    if kind in "ir":
        return struct.unpack_from("<q" if kind == "i" else "<d", data, at)[0], at + 8
    if kind == "a":
        dtype = f"{chr(data[at])}{data[at + 1]}"
        (size,) = struct.unpack_from("<Q", data, at + 2)
        found = np.frombuffer(bytearray(data[at + 10 : at + 10 + size]), dtype)
        return found, at + 10 + size
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    if kind == "s":
        return str(data[at : at + count], "utf-8"), at + count
    items = []
    for _ in range(count):
        item, at = _unpacked(data, at)
        items.append(item)
    return items, at
