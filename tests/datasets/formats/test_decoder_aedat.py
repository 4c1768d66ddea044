"""The decoders of AEDAT 2, 3, 4 and Event Stream, whole and in pieces, against the slow ones."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets import _decode
from tests.datasets.formats.reference import fed, pieces
from tests.datasets.formats.reference_aedat import REFERENCES, reference

CUTS = st.lists(st.integers(0, 1 << 16), max_size=6)
SENSOR = st.sampled_from([(0, 0), (128, 0), (0, 100), (346, 260)])
TIME = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1))


def _records(code: str, *fields: st.SearchStrategy[int]) -> st.SearchStrategy[bytes]:
    record = st.builds(lambda *values: struct.pack(code, *values), *fields)
    return st.builds(
        lambda records, tail: b"".join(records) + tail, st.lists(record, max_size=60), st.binary(max_size=7)
    )


def _aedat2(no_pixel: int) -> st.SearchStrategy[bytes]:
    pixel = st.integers(0, 2**32 - 1).map(lambda address: address & ~no_pixel)
    return _records(">II", st.one_of(pixel, pixel, st.integers(0, 2**32 - 1)), TIME)


def _aedat3_packet(kind: int, size: int, offset: int, overflow: int, body: bytes, more: int) -> bytes:
    number = len(body) // size + more
    return struct.pack("<hh6i", kind, 0, size, offset, overflow, number, number, number) + body


def _aedat3() -> st.SearchStrategy[bytes]:
    # mostly with the bit that marks an event as valid
    words = st.tuples(st.integers(0, 2**32 - 1), st.sampled_from([1, 1, 1, 0])).map(lambda w: w[0] | w[1])
    body = _records("<II", words, st.integers(0, 2**31))
    packet = st.builds(
        _aedat3_packet,
        st.sampled_from([1, 1, 1, 0, 2, -1]),
        st.sampled_from([8, 8, 8, 8, 12, 1]),
        st.sampled_from([4, 4, 4, 0]),
        st.sampled_from([0, 0, 1, 2**31 - 1]),
        body,
        st.sampled_from([0, 0, 0, 1, -1]),
    )
    return st.lists(packet, max_size=4).map(b"".join)


def _aedat4_packet(events: list[tuple[int, int, int, int]], damage: tuple[int, int] | None) -> bytes:
    body = struct.pack("<I4s2x3HiII", 16, b"EVTS", 6, 8, 4, 6, 4, len(events))
    out = bytearray(body + b"".join(struct.pack("<qHHB3x", *event) for event in events))
    if damage:
        out[damage[0] % len(out)] = damage[1]
    return struct.pack("<I", len(out)) + bytes(out)


def _aedat4() -> st.SearchStrategy[bytes]:
    event = st.tuples(
        st.one_of(st.integers(0, 9), st.integers(-(2**63), 2**63 - 1)),
        st.integers(0, 400),
        st.integers(0, 2**16 - 1),
        st.integers(0, 2),
    )
    damage = st.one_of(st.none(), st.tuples(st.integers(0, 32), st.integers(0, 255)))
    packet = st.builds(_aedat4_packet, st.lists(event, max_size=20), damage)
    return st.builds(
        lambda packets, tail: b"".join(packets) + tail, st.lists(packet, max_size=4), st.binary(max_size=5)
    )


STREAMS = {
    "aedat2_dvs128": _aedat2(0xFFFF8000),
    "aedat2_davis": _aedat2(0x80000400),
    "aedat3": _aedat3(),
    "aedat4": _aedat4(),
    "es_dvs": st.binary(max_size=200),
    "es_atis": st.binary(max_size=200),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_equals_the_slow_one_whole_and_cut(name: str) -> None:
    @given(STREAMS[name], CUTS, SENSOR)
    def check(data: bytes, cuts: list[int], sensor: tuple[int, int]) -> None:
        make = getattr(_decode, name)
        expected = reference(name, data, *sensor)
        counts = {k: v for k, v in expected.counts.items() if v}
        for parts in ([data], pieces(data, cuts), [data[i : i + 1] for i in range(len(data))]):
            assert fed(make(*sensor, False), parts) == (expected.events, counts, None)
            assert fed(make(*sensor, True), parts)[2] == expected.error

    check()


@pytest.mark.parametrize("name", REFERENCES)
def test_long_streams_of_good_events_equal_the_slow_one(name: str) -> None:
    # longer than a block, so that the fast paths and their ends are taken
    data = _long_stream(name)
    expected = reference(name, data)
    assert expected.error is None and len(expected.events) > 9000
    for parts in ([data], [data[i : i + 999] for i in range(0, len(data), 999)]):
        assert fed(getattr(_decode, name)(), parts)[0] == expected.events


def _long_stream(name: str) -> bytes:
    random = np.random.default_rng(7)
    n = 20_000
    t = np.cumsum(random.integers(0, 3, n)) + (2**32 - n // 2 if name.startswith("aedat2") else 0)
    address = random.integers(0, 2**32, n)
    # every fourth stretch of a hundred has words that are no pixel events
    pure = np.arange(n) // 100 % 4 != 3
    if name == "aedat2_dvs128":
        return np.stack([np.where(pure, address & 0x7FFF, address), t % 2**32], 1).astype(">u4").tobytes()
    if name == "aedat2_davis":
        return np.stack([np.where(pure, address & 0x7FFFFBFF, address), t % 2**32], 1).astype(">u4").tobytes()
    if name == "aedat3":
        records = np.stack([np.where(pure, address | 1, address), t], 1).astype("<u4").tobytes()
        parts = [records[i : i + 72_000] for i in range(0, len(records), 72_000)]
        return b"".join(_aedat3_packet(kind, 8, 4, 0, part, 0) for part in parts for kind in (1, 2))
    if name == "aedat4":
        events = [(int(a), int(b) & 511, int(b) >> 20, int(b) & 1) for a, b in zip(t, address, strict=True)]
        return b"".join(_aedat4_packet(events[i : i + 7000], None) for i in range(0, n, 7000))
    first = random.integers(0, 256, n).astype(np.uint8)
    body = address.astype("<u4").view(np.uint8).reshape(-1, 4)
    special = 0xFE if name == "es_dvs" else 0xFC
    return b"".join(
        bytes([a]) if a >= special else bytes([a]) + b.tobytes() for a, b in zip(first, body, strict=True)
    )


@pytest.mark.parametrize("name", REFERENCES)
def test_a_clone_goes_on_where_it_was_made(name: str) -> None:
    data = _long_stream(name)
    decoder = getattr(_decode, name)()
    decoder.feed(np.frombuffer(data[:54_321], np.uint8))
    decoder.take()
    other = decoder.clone()
    rest = [data[54_321:]]
    assert fed(decoder, rest) == fed(other, rest)
