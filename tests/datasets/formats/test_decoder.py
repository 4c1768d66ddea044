"""Every decoder, whole and in pieces, against the slow one; seeking, memory, hostile arguments of the core."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets import _decode
from tests.datasets.formats.reference import REFERENCES, fed, pieces, reference

CUTS = st.lists(st.integers(0, 1 << 16), max_size=6)


def _evt2_words() -> st.SearchStrategy[bytes]:
    # times mostly grow, so that most events are kept; kinds and places are anything
    high = st.one_of(st.integers(0, 3), st.integers(0, 2**28 - 1)).map(lambda v: 0x8 << 28 | v)
    event = st.integers(0, 2**29 - 1)
    return _stream("<I", high, event, st.integers(0, 2**32 - 1))


def _evt21_words() -> st.SearchStrategy[bytes]:
    high = st.integers(0, 3).map(lambda v: 0x8 << 60 | v << 32)
    few = st.sampled_from([0, 1, 1 << 31, 0x80000001, 0xFFFFFFFF])
    event = st.builds(lambda head, valid: head << 32 | valid, st.integers(0, 2**29 - 1), few)
    return _stream("<Q", high, event, st.integers(0, 2**64 - 1))


def _evt3_words() -> st.SearchStrategy[bytes]:
    time = st.one_of(st.integers(0, 3), st.integers(0, 4095)).map(lambda v: 0x8000 | v)
    low = st.integers(0, 4095).map(lambda v: 0x6000 | v)
    event = st.tuples(st.sampled_from([0, 2, 2, 2, 3, 4, 5]), st.integers(0, 4095)).map(
        lambda e: e[0] << 12 | e[1]
    )
    return _stream("<H", time, event, low, st.integers(0, 0xFFFF))


def _dat_words() -> st.SearchStrategy[bytes]:
    time = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1))
    event = st.builds(lambda t, place: place << 32 | t, time, st.integers(0, 2**29 - 1))
    return _stream("<Q", event, st.builds(lambda t: t, st.integers(0, 2**64 - 1)))


def _stream(code: str, *words: st.SearchStrategy[int]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda values, repeat, tail: b"".join(struct.pack(code, v) for v in values) * repeat + tail,
        st.lists(st.one_of(*words), max_size=40),
        st.sampled_from([1, 1, 3]),
        st.binary(max_size=7),
    )


STREAMS = {
    "evt2": _evt2_words(),
    "evt21": _evt21_words(),
    "evt21_legacy": _evt21_words(),
    "evt3": _evt3_words(),
    "dat": _dat_words(),
    "dat1": _dat_words(),
    "bin5": st.binary(max_size=200),
}
SENSOR = st.sampled_from([(0, 0), (640, 0), (0, 480), (1280, 720)])


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
    assert expected.error is None and len(expected.events) > 1000
    for parts in ([data], [data[i : i + 999] for i in range(0, len(data), 999)]):
        assert fed(getattr(_decode, name)(), parts)[0] == expected.events


def _long_stream(name: str) -> bytes:
    random = np.random.default_rng(7)
    n = 12000
    t = np.cumsum(random.integers(0, 3, n))
    place = random.integers(0, 1 << 11, n) << 11 | random.integers(0, 1 << 11, n)
    if name == "evt2":
        events = random.integers(0, 2, n) << 28 | (t % 64) << 22 | place
        return _with_times(events.astype("<u4"), t >> 6, lambda high: 0x8 << 28 | high)
    if name.startswith("evt21"):
        x = place >> 11 & ~31
        heads = random.integers(0, 2, n) << 28 | (t % 64) << 22 | x << 11 | place & 2047
        words = _with_times(
            heads.astype("<u8") << 32 | random.integers(1, 9, n).astype("<u8"),
            t >> 6,
            lambda high: (0x8 << 28 | high) << 32,
        )
        return words if name == "evt21" else np.frombuffer(words, "<u4").reshape(-1, 2)[:, ::-1].tobytes()
    if name == "evt3":
        kinds = random.choice([0, 2, 2, 2], n) << 12 | random.integers(0, 4096, n)
        group = np.array([0x3010, 0x4A01, 0x4001, 0x5081])
        body = [np.append(0x6000 | t[i] // 8, kinds[i : i + 9]) if i % 5 else group for i in range(0, n, 9)]
        return np.concatenate([[0x8001, 0x0001], *body]).astype("<u2").tobytes()
    if name == "bin5":
        word = random.integers(0, 2, n) << 23 | t
        return (
            np.stack([place & 255, place >> 11 & 255, word >> 16, word >> 8 & 255, word & 255], 1)
            .astype(np.uint8)
            .tobytes()
        )
    place &= (1 << 18) - 1
    return np.stack([t, place], 1).astype("<u4").tobytes()


def _with_times(events: np.ndarray, high: np.ndarray, word: Callable[[int], int]) -> bytes:
    out: list[int] = []
    for i, event in enumerate(events):
        if i == 0 or high[i] != high[i - 1]:
            out.append(word(int(high[i])))
        out.append(int(event))
    return np.array(out, events.dtype).tobytes()


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in dir(_decode)
        if "-> spikeflow.datasets._decode.Decoder" in (getattr(_decode, n).__doc__ or "")
    ],
)
def test_any_bytes_give_the_same_whole_and_cut(name: str) -> None:
    @given(st.binary(max_size=300), CUTS)
    def check(data: bytes, cuts: list[int]) -> None:
        make = getattr(_decode, name)
        for strict in (False, True):
            whole, cut = fed(make(strict=strict), [data]), fed(make(strict=strict), pieces(data, cuts))
            assert whole[2] == cut[2]
            if whole[2] is None:
                assert whole == cut

    check()


def test_a_clone_goes_on_as_the_original() -> None:
    data = np.frombuffer(_long_stream("evt3"), np.uint8)
    decoder = _decode.evt3()
    decoder.feed(data[:5001])
    decoder.take()
    twin = decoder.clone()
    assert (twin.position, twin.pending, twin.last) == (decoder.position, 1, decoder.last)
    for each in (decoder, twin):
        each.feed(data[5001:])
        each.finish()
    assert all((a == b).all() for a, b in zip(decoder.take(), twin.take(), strict=True))


def test_times_across_a_turn_and_back_again() -> None:
    # 24 bits: the last 4096 us of a turn, the next turn, and a small step back across it
    words = np.array(
        [0x8FFF, 0x6FFE, 0x0001, 0x2001, 0x8000, 0x6005, 0x2002, 0x8FFF, 0x6FFF, 0x2003], "<u2"
    ).tobytes()
    expected = [(2**24 - 2, 1, 1, 0), (2**24 + 5, 2, 1, 0)]
    assert fed(_decode.evt3(strict=False), [words]) == (expected, {"time going backwards": 1}, None)
    assert fed(_decode.evt3(), [words])[2] == ("time going backwards", 18)


def test_the_first_fault_is_named_whatever_comes_behind() -> None:
    # an event back in time at byte 12, an unknown word at byte 20: both in one block, or one piece each
    words = np.array(
        [0x80000000, 0x00800000, 0x01000000, 0x00400000, 0x02000000, 0x30000000], "<u4"
    ).tobytes()
    for parts in ([words], [words[:14], words[14:]], [words[:17], words[17:]]):
        assert fed(_decode.evt2(), parts)[2] == ("time going backwards", 12)
    assert fed(_decode.evt2(strict=False), [words])[1] == {"time going backwards": 1, "unknown words": 1}


def test_hostile_arguments() -> None:
    decoder = _decode.evt2()
    for wrong in (
        "1234",
        5,
        np.zeros(8, np.uint16),
        np.zeros((2, 4), np.uint8),
        np.zeros(8, np.uint8)[::2],
        None,
    ):
        with pytest.raises(TypeError):
            decoder.feed(wrong)  # type: ignore[arg-type]
    for size in (-1, 1 << 32, "640", 1.5):
        with pytest.raises(TypeError):
            _decode.evt2(size, 1, True)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _decode.Decoder()
    decoder.feed(np.zeros(0, np.uint8))
    decoder.finish()
    assert [len(column) for column in decoder.take()] == [0, 0, 0, 0]


@pytest.mark.parametrize("said", [0, 1, 800_000, 1 << 44, (1 << 64) - 1])
def test_a_false_hint_of_size_is_no_more_than_a_hint(said: int) -> None:
    t = np.arange(100_000, dtype="<u4")
    decoder = _decode.dat()
    decoder.expect(said)
    decoder.feed(np.frombuffer(np.stack([t, t], 1).tobytes(), np.uint8))
    decoder.finish()
    assert (decoder.take()[0] == t).all()


def test_a_decoder_may_be_used_after_its_error() -> None:
    decoder = _decode.evt2()
    with pytest.raises(_decode.DecodeError):
        decoder.feed(np.frombuffer(np.array([0x30000000], "<u4").tobytes(), np.uint8))
    decoder.feed(np.frombuffer(np.array([0x80000000, 0x10000000], "<u4").tobytes(), np.uint8))
    assert len(decoder.take()[0]) == 1
