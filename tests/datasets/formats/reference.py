"""Slow and obvious decoders, word by word in Python, written from the specifications: what the fast ones must equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from spikeflow.datasets._decode import DecodeError, Decoder

Event = tuple[int, int, int, int]
NEVER_ERRORS = ("before the first time", "other events")


@dataclass
class Reference:
    """What a file gives: events that are kept, faults counted, and the first one that is an error.

    Parameters
    ----------
    width, height : of the sensor; 0 where not known.
    """

    width: int = 0
    height: int = 0
    events: list[Event] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    error: tuple[str, int] | None = None

    def fault(self, name: str, byte: int) -> None:
        self.counts[name] += 1
        if self.error is None and name not in NEVER_ERRORS:
            self.error = (name, byte)

    def event(self, t: int, x: int, y: int, p: int, byte: int) -> None:
        if (self.width and x >= self.width) or (self.height and y >= self.height):
            self.fault("outside the sensor", byte)
        elif self.events and t < self.events[-1][0]:
            self.fault("time going backwards", byte)
        else:
            self.events.append((t, x, y, p))


def unwrapped(now: int, raw: int, bits: int) -> int:
    """Of all times that `raw` may mean, the one nearest to `now`, if it is not negative."""
    turn = 1 << bits
    candidates = [raw + turn * (now // turn + k) for k in (-1, 0, 1, 2)]
    best = min(candidates, key=lambda t: (abs(t - now), t))
    return best + turn if best < 0 else best


def words(out: Reference, data: bytes, size: int) -> list[tuple[int, int]]:
    """(byte, word) of little-endian words."""
    whole = len(data) // size * size
    if whole < len(data):
        out.fault("truncated", whole)
    return [(at, int.from_bytes(data[at : at + size], "little")) for at in range(0, whole, size)]


def evt2(out: Reference, data: bytes) -> None:
    high: int | None = None
    for at, word in words(out, data, 4):
        kind = word >> 28
        if kind in (0, 1):
            if high is None:
                out.fault("before the first time", at)
            else:
                out.event(high + (word >> 22) % 64, (word >> 11) % 2048, word % 2048, kind, at)
        elif kind == 8:
            high = unwrapped(high or 0, word % 2**28 * 64, 34)
        else:
            out.fault("other events" if kind in (0xA, 0xD, 0xE, 0xF) else "unknown words", at)


def evt21(out: Reference, data: bytes) -> None:
    high: int | None = None
    for at, word in words(out, data, 8):
        kind, head, valid = word >> 60, word >> 32, word % 2**32
        if kind in (0, 1):
            for column in range(32):
                if not valid >> column & 1:
                    continue
                x = (head >> 11) % 2048 + column
                if high is None:
                    out.fault("before the first time", at)
                elif x >= 2048:
                    out.fault("outside the sensor", at)
                else:
                    out.event(high + (head >> 22) % 64, x, head % 2048, kind, at)
        elif kind == 8:
            high = unwrapped(high or 0, head % 2**28 * 64, 34)
        else:
            out.fault("other events" if kind in (0xA, 0xE, 0xF) else "unknown words", at)


def evt21_legacy(out: Reference, data: bytes) -> None:
    whole = len(data) // 8 * 8
    halves = np.frombuffer(data[:whole], "<u4").reshape(-1, 2)[:, ::-1]
    evt21(out, halves.tobytes() + data[whole:])


def evt3(out: Reference, data: bytes) -> None:
    high: int | None = None
    low, base, polarity = 0, 0, 0
    y: int | None = None
    based, contrast = False, True
    for at, word in words(out, data, 2):
        kind, value = word >> 12, word % 4096
        ready = high is not None and y is not None and contrast
        if kind == 0:
            y, contrast = value % 2048, True
        elif kind == 1:
            contrast = False
            out.fault("other events", at)
        elif kind == 2:
            if high is not None and y is not None and contrast:
                out.event(high + low, value % 2048, y, value >> 11, at)
            else:
                out.fault("before the first time" if contrast else "other events", at)
        elif kind == 3:
            base, polarity, based = value % 2048, value >> 11, True
        elif kind in (4, 5):
            width = 12 if kind == 4 else 8
            for column in range(width):
                if not value >> column & 1:
                    continue
                if not ready or not based:
                    out.fault("before the first time" if contrast else "other events", at)
                elif base + column >= 2048:
                    out.fault("outside the sensor", at)
                elif high is not None and y is not None:
                    out.event(high + low, base + column, y, polarity, at)
            base += width
        elif kind == 6:
            low = value
        elif kind == 8:
            new = unwrapped(high or 0, value << 12, 24)
            low = low if high == new else 0
            high = new
        else:
            out.fault("other events" if kind in (7, 0xA, 0xD, 0xE, 0xF) else "unknown words", at)


def _dat(out: Reference, data: bytes, x_bits: int, y_bits: int) -> None:
    now = 0
    for at, word in words(out, data, 8):
        place = word >> 32
        if place >> (x_bits + y_bits + 1):
            out.fault("unknown words", at)
            continue
        now = unwrapped(now, word % 2**32, 32)
        out.event(now, place % 2**x_bits, (place >> x_bits) % 2**y_bits, place >> (x_bits + y_bits), at)


def dat(out: Reference, data: bytes) -> None:
    _dat(out, data, 14, 14)


def dat1(out: Reference, data: bytes) -> None:
    _dat(out, data, 9, 8)


def bin5(out: Reference, data: bytes) -> None:
    now = 0
    for at, _ in words(out, data, 5):
        x, y, *rest = data[at : at + 5]
        word = int.from_bytes(bytes(rest), "big")
        now = unwrapped(now, word % 2**23, 23)
        out.event(now, x, y, word >> 23, at)


REFERENCES: dict[str, Callable[[Reference, bytes], None]] = {
    f.__name__: f for f in (evt2, evt21, evt21_legacy, evt3, dat, dat1, bin5)
}


def reference(name: str, data: bytes, width: int = 0, height: int = 0) -> Reference:
    """What the file gives by the slow decoder of this name."""
    out = Reference(width, height)
    REFERENCES[name](out, data)
    # an incomplete record is noticed first here, last by a decoder
    if out.error and out.error[0] == "truncated":
        again = Reference(width, height)
        REFERENCES[name](again, data[: out.error[1]])
        out.error = again.error or out.error
    return out


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes, cut at these places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in zip(places[:-1], places[1:], strict=True)]


def fed(decoder: Decoder, parts: list[bytes]) -> tuple[list[Event], dict[str, int], tuple[str, int] | None]:
    """Events, counts and the error of a decoder that is given these pieces."""
    error = None
    try:
        for part in parts:
            decoder.feed(np.frombuffer(part, np.uint8))
        decoder.finish()
    except DecodeError as raised:
        error = (raised.args[0], raised.args[1])
    events = [tuple(map(int, event)) for event in zip(*decoder.take(), strict=True)]
    counts = {name: n for name, n in decoder.counts.items() if n}
    return [(t, x, y, p) for t, x, y, p in events], counts, error
