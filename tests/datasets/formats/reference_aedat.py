"""Slow, obvious decoders of AEDAT 2, 3, 4 and Event Stream, from the specifications; see `reference.py`."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.datasets.formats.reference import Reference, unwrapped


def _aedat2(out: Reference, data: bytes, pixel: Callable[[int], tuple[int, int, int] | None]) -> None:
    now, whole = 0, len(data) // 8 * 8
    for at in range(0, whole, 8):
        address, time = struct.unpack_from(">II", data, at)
        now = unwrapped(now, time, 32)
        found = pixel(address)
        if found is None:
            out.fault("other events", at)
        else:
            out.event(now, *found, at)
    if whole < len(data):
        out.fault("truncated", whole)


def aedat2_dvs128(out: Reference, data: bytes) -> None:
    def pixel(address: int) -> tuple[int, int, int] | None:
        if address >= 1 << 15:
            return None
        return address // 2 % 128, address // 256 % 128, 1 - address % 2

    _aedat2(out, data, pixel)


def aedat2_davis(out: Reference, data: bytes) -> None:
    def pixel(address: int) -> tuple[int, int, int] | None:
        if address >> 31 or address >> 10 & 1:
            return None
        return address // 2**12 % 1024, address // 2**22 % 512, address // 2**11 % 2

    _aedat2(out, data, pixel)


def aedat3(out: Reference, data: bytes) -> None:
    at = 0
    while at < len(data):
        if len(data) - at < 28:
            return out.fault("truncated", at)
        kind, _, size, offset, overflow, most, number, _ = struct.unpack_from("<hh6i", data, at)
        if kind < 0 or size <= 0 or number < 0 or most < number or overflow < 0:
            return out.fault("unknown words", at)
        polarity = kind == 1 and size == 8 and offset == 4
        if kind == 1 and not polarity:
            out.fault("unknown words", at)
        elif not polarity:
            out.counts["other events"] += number
        at += 28
        if not polarity:
            if size * number > len(data) - at:
                return out.fault("truncated", len(data))
            at += size * number
            continue
        for _ in range(number):
            if len(data) - at < 8:
                return out.fault("truncated", at)
            word, time = struct.unpack_from("<Ii", data, at)
            if time < 0:
                out.fault("unknown words", at)
            elif word % 2 == 0:
                out.counts["not marked as valid"] += 1
            else:
                out.event((overflow << 31) + time, word >> 17, word // 4 % 2**15, word // 2 % 2, at)
            at += 8
    return None


def aedat4(out: Reference, data: bytes) -> None:
    at = 0
    while len(data) - at >= 4:
        size = int.from_bytes(data[at : at + 4], "little")
        if size > len(data) - at - 4:
            break
        try:
            for event in _structs(data[at + 4 : at + 4 + size]):
                out.event(*event, at)
        except (struct.error, ValueError):
            out.fault("unknown words", at)
        at += 4 + size
    if at < len(data):
        out.fault("truncated", at)


def _structs(packet: bytes) -> list[tuple[int, int, int, int]]:
    def number(code: str, at: int) -> int:
        if at < 0:
            raise ValueError
        return struct.unpack_from("<" + code, packet, at)[0]

    if packet[4:8] != b"EVTS":
        raise ValueError
    root = number("I", 0)
    fields = root - number("i", root)
    size = number("H", fields)
    if size < 4 or fields + size > len(packet):
        raise ValueError
    field = number("H", fields + 4) if size >= 6 else 0
    if field == 0:
        return []
    vector = root + field + number("I", root + field)
    count = number("I", vector)
    if count * 16 > len(packet) - vector - 4:
        raise ValueError
    records = (struct.unpack_from("<qHHB", packet, vector + 4 + 16 * i) for i in range(count))
    return [(t, x, y, int(p != 0)) for t, x, y, p in records]


def _es(
    out: Reference, data: bytes, passes: dict[int, int], event: Callable[[int], tuple[int, int, bool]]
) -> None:
    at = now = 0
    while at < len(data):
        if data[at] in passes:
            now += passes[data[at]]
            at += 1
            continue
        if len(data) - at < 5:
            return out.fault("truncated", at)
        first, x, y = struct.unpack_from("<BHH", data, at)
        step, p, crossing = event(first)
        now += step
        if crossing:
            out.fault("other events", at)
        else:
            out.event(now, x, y, p, at)
        at += 5
    return None


def es_dvs(out: Reference, data: bytes) -> None:
    _es(out, data, {0xFE: 0, 0xFF: 127}, lambda first: (first // 2, first % 2, False))


def es_atis(out: Reference, data: bytes) -> None:
    passes = {0xFC: 0, 0xFD: 63, 0xFE: 126, 0xFF: 189}
    _es(out, data, passes, lambda first: (first // 4, first // 2 % 2, first % 2 == 1))


REFERENCES: dict[str, Callable[[Reference, bytes], None]] = {
    f.__name__: f for f in (aedat2_dvs128, aedat2_davis, aedat3, aedat4, es_dvs, es_atis)
}


def reference(name: str, data: bytes, width: int = 0, height: int = 0) -> Reference:
    """What these bytes give by the slow decoder of this name."""
    out = Reference(width, height)
    REFERENCES[name](out, data)
    return out
