"""Headers of Prophesee's files, and the words of the time's upper bits."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.formats import evt
from spikeflow.datasets.read import recognise
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

EVT4 = b"""% camera_integrator_name Prophesee
% date 2023-03-29 16:37:46
% evt 3.0
% format EVT3;height=720;width=1280
% geometry 1280x720
% serial_number 00ca0009
% end
"""
WORDS = np.array([0x8001, 0x6002, 0x0003, 0x2804], "<u2").tobytes()


def _file(tmp_path: Path, content: bytes, name: str = "a.raw") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_header_of_a_new_camera(tmp_path: Path) -> None:
    with open_recording(_file(tmp_path, EVT4 + WORDS)) as recording:
        assert (recording.header.format, recording.width, recording.height) == ("evt3", 1280, 720)
        assert recording.header.fields["serial_number"] == "00ca0009"
        assert recording.header.fields["date"] == "2023-03-29 16:37:46"
        assert recording.read().structured().tolist() == [(4098, 4, 3, 1)]


def test_header_of_an_old_camera_says_no_sensor(tmp_path: Path) -> None:
    events = read(_file(tmp_path, b"% Date 2020-09-25 07:48:29\n% evt 3.0\n% system_ID 48\n" + WORDS))
    assert (events.width, events.height, len(events)) == (None, None, 1)


@pytest.mark.parametrize(
    "line",
    [
        b"format EVT3;width=1280;height=720",
        b"format EVT3\n% geometry 1280x720",
        b"evt 3.0\r\n% geometry 1280x720\r",
    ],
)
def test_ways_to_say_the_sensor(tmp_path: Path, line: bytes) -> None:
    events = read(_file(tmp_path, b"% " + line + b"\n" + WORDS))
    assert (events.width, events.height) == (1280, 720)


def test_data_that_begins_with_a_percent_sign() -> None:
    assert evt.text_header(b"% evt 2.0\n%\x20\x80\x81\x00\n").size == 10
    assert evt.text_header(b"% evt 2.0\n%abc\n").size == 10
    assert evt.text_header(b"% evt 2.0\n% end\n% not header\n") == evt.TextHeader({"evt": "2.0"}, 16)
    assert evt.text_header(b"% evt 2.0\n% no end of line").size == 10
    assert evt.text_header(b"") == evt.TextHeader()


@pytest.mark.parametrize(
    "start", [b"% a" + b" " * 65000, b"% " + b"a" * 65000, b"% a " + b"\t " * 32000 + b"\0"]
)
def test_a_line_without_end_takes_no_longer_than_its_length(start: bytes) -> None:
    begun = time.process_time()
    assert evt.text_header(start) == evt.TextHeader()
    assert time.process_time() - begun < 0.5


def test_data_after_end_that_looks_like_a_header_is_data(tmp_path: Path) -> None:
    # "% a b\n" is two events and a row
    content = b"% evt 3.0\n% end\n" + b"% a b\n" + WORDS
    assert dict(read(_file(tmp_path, content)).dropped) == {"before the first time": 2}


@pytest.mark.parametrize(
    "header, word",
    [
        (b"% evt 3.0\n% geometry 99999x720\n", "the width '99999'; the format has 1 to 2048"),
        (b"% evt 3.0\n% format EVT3;height=0;width=1280\n", "the height '0'"),
        (b"% format EVT3;height=720;width=99999999999999999999\n", "the width '999"),
        (b"% format EVT3;height=720;width=wide\n", "the width 'wide'"),
        (b"% format EVT3;height=720;width=1280\n% geometry 640x720\n", "the widths 1280 and 640"),
        (b"% format EVT3;endianness=big\n", "endianness big"),
        (b"% format EVT3;endianness=legacy\n", "endianness legacy"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, header: bytes, word: str) -> None:
    with pytest.raises(FileError, match=word):
        read(_file(tmp_path, header + WORDS))


def test_encodings_that_are_not_known(tmp_path: Path) -> None:
    for header in (b"% format EVT4;height=720;width=1280\n", b"% evt 1.0\n", b"% Date 2020-09-25\n"):
        with pytest.raises(FileError, match="no known event format"):
            read(_file(tmp_path, header + WORDS))


def test_a_format_that_the_header_contradicts(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="its header says EVT3, not EVT2"):
        read(_file(tmp_path, EVT4 + WORDS), "evt2")


def test_a_file_without_header_needs_its_format_said(tmp_path: Path) -> None:
    path = _file(tmp_path, WORDS)
    with pytest.raises(FileError, match="--format"):
        read(path)
    assert len(read(path, "evt3")) == 1


def test_the_user_may_not_contradict_the_file(tmp_path: Path) -> None:
    path = _file(tmp_path, EVT4 + WORDS)
    with pytest.raises(DataError, match="width"):
        read(path, width=640)
    assert read(path, width=1280).width == 1280
    for width in (0, -1, 1 << 17):
        with pytest.raises(DataError, match="1 to 65536"):
            read(_file(tmp_path, WORDS), "evt3", width=width)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="(?i)no such file"):
        read(tmp_path / "none.raw", "evt3")


@pytest.mark.parametrize("format", ["evt2", "evt21", "evt3"])
def test_writers(tmp_path: Path, format: str) -> None:
    @given(_events())
    def check(events: Events) -> None:
        path = tmp_path / "a.raw"
        write(path, events, format)
        assert recognise(path).name == format
        again = read(path)
        assert again.sha256 == events.sha256 and not again.dropped
        assert (again.width, again.height) == (events.width, events.height)

    check()


@st.composite
def _events(draw: st.DrawFn) -> Events:
    """Rows of pixels at one time, single ones, spans of any length between."""
    spans = draw(
        st.lists(st.sampled_from([0, 0, 1, 5, 63, 64, 4095, 4096, 1 << 23, 1 << 24, 1 << 34]), max_size=8)
    )
    seed = draw(st.integers(0, 1 << 20))
    random = np.random.default_rng(seed)
    rows = [
        np.sort(random.choice(draw(st.sampled_from([40, 1280])), random.integers(1, 40), replace=False))
        for _ in spans
    ]
    x = np.concatenate([np.empty(0, int), *rows])
    t, y, p = (
        np.repeat(column, [len(row) for row in rows])
        for column in (
            np.cumsum(spans, dtype=int),
            random.integers(0, 720, len(rows)),
            random.integers(0, 2, len(rows)),
        )
    )
    flipped = random.random(len(x)) < draw(st.sampled_from([0.0, 0.3]))
    sensor = draw(st.sampled_from([(None, None), (1280, 720), (2048, 2048)]))
    return Events(t, x, y, np.where(flipped, 1 - p, p), *sensor)


def test_what_writers_refuse(tmp_path: Path) -> None:
    for format in ("evt2", "evt21", "evt3"):
        for events, word in (
            (Events([-1], [0], [0], [0]), "times from 0"),
            (Events([0], [2048], [0], [0]), "x: got up to 2048, expected 0 to 2047"),
            (Events([0], [0], [5000], [0]), "y: got up to 5000"),
            (Events([0], [0], [0], [0], 4096, 10), "x: got up to 4095"),
            (Events([0, 1 << 60], [0, 0], [0, 0], [0, 0]), "a span that needs"),
            (Events([1 << 60], [0], [0], [0]), "a span that needs"),
        ):
            with pytest.raises(DataError, match=word):
                write(tmp_path / "a.raw", events, format)
    assert list(tmp_path.iterdir()) == []


def test_raw_is_evt3_unless_said_otherwise(tmp_path: Path) -> None:
    write(tmp_path / "a.raw", Events([0], [0], [0], [0]))
    assert recognise(tmp_path / "a.raw").name == "evt3"


@given(
    st.lists(st.integers(0, 1 << 20), min_size=1, max_size=20).map(sorted),
    st.one_of(st.none(), st.integers(0, 9)),
)
def test_time_words_can_be_unwrapped(high: list[int], before: int | None) -> None:
    high = [h + (before or 0) for h in high]
    words = evt.time_words("x", np.array(high), before, 12)
    now, values = before or 0, list(words.values)
    for h, count in zip(high, words.counts, strict=True):
        for _ in range(count):
            raw = values.pop(0)
            now += (raw - now + 2048) % 4096 - 2048
            now += 4096 if now < 0 else 0
        assert now == h
    assert not values
