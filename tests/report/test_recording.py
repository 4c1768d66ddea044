"""The facts behind the pictures of a recording: every event counted, samples said to be samples, budgets kept."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.report.recording import facts as recording
from spikeflow.report.recording import film as recording_film
from spikeflow.report.recording.facts import About, RecordingFacts, View, recording_facts, round_up, time_unit
from spikeflow.report.recording.film import pictures, speed, to_gif, to_mp4
from spikeflow.report.recording.frames import Frames, FrameStore
from spikeflow.report.recording.page import data_json, to_html
from spikeflow.report.recording.paint import INK_INDEX, SHADES, palette, rgb, shaded
from spikeflow.report.recording.picture import to_png
from spikeflow.report.recording.write import kind_of_picture, write_recording
from tests.report.test_page import read

EVIL = '"></script><script>alert(1)</script><svg onload=alert(1)>'
ABOUT = About("drawn by hand", rows=(("format", "none"),))


def some_events(
    count: int = 500, width: int = 12, height: int = 9, seed: int = 0, known: bool = True
) -> Events:
    """Events at random places, times from 1,000 µs on, many of them equal."""
    draw = np.random.default_rng(seed)
    t = np.sort(draw.integers(1000, 1000 + 4 * count, count))
    size = {"width": width, "height": height} if known else {}
    return Events(
        t, draw.integers(0, width, count), draw.integers(0, height, count), draw.integers(0, 2, count), **size
    )


def facts_of(events: Events, piece: int = 10**9, **view: int) -> RecordingFacts:
    """The facts, from pieces of so many events."""
    return recording_facts(
        lambda: [events[at : at + piece] for at in range(0, len(events), piece)], ABOUT, View(**view)
    )


def counted(events: Events, facts: RecordingFacts) -> np.ndarray:
    """Counts of every step, sign and pixel, one event after the other: ``(steps, 2, height, width)``."""
    out = np.zeros((facts.steps, 2, facts.survey.height, facts.survey.width), np.int64)
    for t, x, y, p in zip(events.t, events.x, events.y, events.p, strict=True):
        out[(t - facts.start_us) // facts.dt_us, p, y, x] += 1
    return out


def frames_of(facts: RecordingFacts) -> np.ndarray:
    return np.stack([facts.frames.dense(k) for k in range(facts.steps)])


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 7), st.integers(1, 6), st.integers(1, 64), st.integers(1, 200))
def test_rate_and_frames_count_every_event(count: int, width: int, height: int, piece: int, dt: int) -> None:
    events = some_events(count, width, height, seed=count)
    facts = facts_of(events, piece, dt_us=dt)
    expected = counted(events, facts)
    assert np.array_equal(frames_of(facts), expected)
    assert np.array_equal(facts.on, expected[:, 1].sum((1, 2)))
    assert np.array_equal(facts.off, expected[:, 0].sum((1, 2)))
    assert facts.survey.events == count and facts.survey.on_events == expected[:, 1].sum()


def test_frames_together_and_shrunk_are_sums() -> None:
    events = some_events(800, 11, 7)
    facts = facts_of(events, dt_us=100)
    expected = counted(events, facts)[3:8].sum(0)
    assert np.array_equal(facts.frames.dense(3, 5), expected)
    shrunk = np.zeros((2, 3, 4), np.int64)
    for sign, y, x in np.ndindex(expected.shape):
        shrunk[sign, y // 3, x // 3] += expected[sign, y, x]
    assert np.array_equal(facts.frames.dense(3, 5, 3), shrunk)


def test_a_stretch_shows_only_its_events() -> None:
    events = some_events(500)
    facts = facts_of(events, 50, start_us=1300, stop_us=2100)
    inside = events.between(1300, 2100)
    assert facts.survey.events == len(inside) and facts.start_us == 1300
    assert facts.survey.first_us == inside.t[0] and facts.survey.last_us == inside.t[-1]
    assert np.array_equal(facts.points.t_us + 1300, inside.t)
    assert facts.on.sum() + facts.off.sum() == len(inside)


def test_a_stretch_without_events_says_where_there_are_some() -> None:
    with pytest.raises(DataError, match=r"no event from 9,000 µs to 9,500 µs.*1,0.. to 2,9.. µs"):
        facts_of(some_events(500), start_us=9000, stop_us=9500)


def test_no_events_at_all() -> None:
    none = np.zeros(0, np.int64)
    with pytest.raises(DataError, match="no event at all"):
        facts_of(Events(none, none, none, none))
    with pytest.raises(DataError, match="no event at all"):
        recording_facts(list, ABOUT)


@pytest.mark.parametrize("t", [[7], [7, 7, 7], [-5, -5], [2**62, 2**62]])
def test_one_event_and_one_time(t: list[int]) -> None:
    events = Events(t, [3] * len(t), [2] * len(t), [1] * len(t))
    facts = facts_of(events)
    assert (facts.steps, facts.dt_us, facts.start_us) == (1, 1, t[0])
    assert facts.on.tolist() == [len(t)] and facts.frames.dense(0)[1, 2, 3] == len(t)
    for made in (to_png(facts), to_gif(facts, 25), to_html(facts).encode()):
        assert made


def test_a_sensor_that_is_not_known_is_drawn_as_far_as_events_reach() -> None:
    events = some_events(300, 6, 5, known=False)
    facts = facts_of(events, 7)
    assert (facts.survey.width, facts.survey.height, facts.survey.sensor_known) == (6, 5, False)
    assert "the sensor is not known" in to_html(facts)
    known = facts_of(some_events(300, 6, 5))
    assert known.survey.sensor_known and "the sensor is not known" not in to_html(known)


def test_more_events_than_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_POINTS", 100)
    events = some_events(1234)
    facts = facts_of(events, 77)
    points = facts.points
    assert len(points.t_us) == 100 and points.of == 1234
    # one out of each run of 12 or 13, in order; the same every time
    row = {tuple(r): i for i, r in enumerate(zip(events.t - 1000, events.x, events.y, events.p, strict=True))}
    found = [
        row[tuple(r)]
        for r in zip(points.t_us + facts.start_us - 1000, points.x, points.y, points.p, strict=True)
    ]
    assert all(abs(at - k * 12.34) <= 13 for k, at in enumerate(found)) and len(set(found)) == 100
    assert np.array_equal(facts_of(events, 500).points.t_us, points.t_us)
    assert facts.on.sum() + facts.off.sum() == 1234
    assert "100 of 1,234 events are drawn" in to_html(facts)


def test_too_many_steps_names_a_step_that_will_do() -> None:
    events = Events([0, 10**9], [0, 0], [0, 0], [0, 1])
    with pytest.raises(DataError, match="--dt-us 100000"):
        facts_of(events, dt_us=10)
    assert facts_of(events, dt_us=100_000).steps == 10_001
    assert facts_of(events).steps <= recording.STEPS + 1


def test_a_file_that_grows_between_the_passes() -> None:
    events, calls = some_events(400), []

    def pieces() -> list[Events]:
        calls.append(1)
        return [events[:200]] if len(calls) == 1 else [events[:300], events[300:]]

    facts = recording_facts(pieces, ABOUT)
    assert facts.on.sum() + facts.off.sum() == 200


# --- frames as bytes ---


def unpacked(gaps: bytes, counts: bytes, frames: Frames) -> np.ndarray:
    """Counts of every step, read byte after byte as the page's script does."""
    out = np.zeros((frames.steps, 2, frames.height * frames.width), np.int64)
    key, place, at = 0, 1, 0
    for byte in gaps:
        key += (byte & 127) * place
        if byte >= 128:
            place *= 128
            continue
        step, cell = divmod(key, frames.width * frames.height)
        out[step, :, cell] = counts[2 * at + 1], counts[2 * at]
        at, place = at + 1, 1
    assert 2 * at == len(counts) and place == 1
    return out.reshape(frames.steps, 2, frames.height, frames.width)


@settings(max_examples=30)
@given(st.integers(1, 200), st.integers(1, 400), st.integers(1, 300), st.integers(1, 5000))
def test_packed_frames_unpack(count: int, width: int, height: int, dt: int) -> None:
    facts = facts_of(some_events(count, width, height, seed=dt), dt_us=dt)
    assert np.array_equal(unpacked(*facts.frames.packed(), facts.frames), np.minimum(frames_of(facts), 255))


def test_a_packed_count_ends_at_255() -> None:
    events = Events([0] * 700, [1] * 700, [2] * 700, [1] * 400 + [0] * 300)
    facts = facts_of(events)
    assert facts.frames.dense(0)[:, 2, 1].tolist() == [300, 400]
    assert unpacked(*facts.frames.packed(), facts.frames)[0, :, 2, 1].tolist() == [255, 255]
    assert "more than 255 of one sign (1 times)" in to_html(facts)
    assert "more than 255" not in to_html(facts_of(events[200:500]))


def test_frames_become_coarser_where_they_would_not_fit() -> None:
    events = some_events(4000, 32, 20)
    fine = facts_of(events, dt_us=500)
    for piece in (100, 4000):
        store = FrameStore(32, 20, fine.steps, budget=2500)
        for at in range(0, 4000, piece):
            part = events[at : at + piece]
            store.add((part.t - fine.start_us) // 500, part)
        frames = store.finish()
        assert frames.cell in (2, 4, 8) and sum(map(len, frames.packed())) <= 2500
        assert (frames.width, frames.height) == (-(-32 // frames.cell), -(-20 // frames.cell))
        for step in range(fine.steps):
            assert np.array_equal(frames.dense(step), fine.frames.dense(step, 1, frames.cell))


def test_the_page_says_that_pixels_were_put_together() -> None:
    facts = facts_of(some_events(2000, 32, 32))
    assert "are one cell" not in to_html(facts)
    store = FrameStore(32, 32, facts.steps, 600)
    events = some_events(2000, 32, 32)
    store.add((events.t - facts.start_us) // facts.dt_us, events)
    coarse = replace(facts, frames=store.finish())
    assert f"{coarse.frames.cell} by {coarse.frames.cell} pixels are one cell" in to_html(coarse)


# --- the page ---


def page_data(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_holds_what_it_shows_and_fetches_nothing() -> None:
    page = to_html(facts_of(some_events()))
    reader = read(page)
    for name in ("space", "frames", "rate", "facts"):
        assert f'<section id="{name}">' in page
    assert reader.tags.count("script") == 2 and reader.tags.count("canvas") == 3
    assert not {"iframe", "object", "embed", "img", "base", "form"} & set(reader.tags)
    assert not any(name in ("src", "action") or name.startswith("on") for name, _ in reader.attributes)
    assert all(value == "data:," for name, value in reader.attributes if name == "href")
    assert "http:" not in page and "https:" not in page and "url(" not in page and "@import" not in page
    for asking in (
        "fetch(",
        "XMLHttpRequest",
        "import(",
        "WebSocket",
        "eval(",
        "innerHTML",
        "document.write",
    ):
        assert asking not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    controls = [v for n, v in reader.attributes if n == "aria-label"]
    assert len(controls) >= 8 and all(controls)


def test_only_the_pages_own_script_may_run() -> None:
    import base64
    import hashlib

    page = to_html(facts_of(some_events()))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page and "default-src 'none'" in page


def test_a_string_of_a_file_is_only_text() -> None:
    about = About(EVIL, EVIL, ((EVIL, EVIL), ("header: x", "</script><!--")))
    facts = replace(facts_of(some_events()), about=about)
    reader = read(to_html(facts))
    assert reader.tags.count("script") == 2 and "svg" not in reader.tags
    assert any(EVIL in text for text in reader.text)
    assert not any(name.startswith("on") for name, _ in reader.attributes)
    for made in (to_png(facts), to_png(replace(facts, about=About(r"$\frac{1}{0")))):
        assert Image.open(io.BytesIO(made)).size == (1650, 1110)


def test_the_pages_data_are_the_facts() -> None:
    import base64

    facts = facts_of(some_events(300))
    data = page_data(to_html(facts))

    def array(text: object, dtype: str) -> np.ndarray:
        return np.frombuffer(base64.b64decode(str(text)), dtype)

    points = data["points"]
    assert isinstance(points, dict) and points["tick"] == 1
    for name, dtype in (("t", "<u4"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")):
        expected = facts.points.t_us if name == "t" else getattr(facts.points, name)
        assert np.array_equal(array(points[name], dtype), expected)
    assert np.array_equal(array(data["on"], "<f8"), facts.on)
    assert (data["steps"], data["dt"], data["width"]) == (facts.steps, facts.dt_us, 12)
    assert not set("<>&") & set(data_json(facts))


def test_a_recording_of_days_keeps_its_times() -> None:
    events = Events([0, 2**34, 2**40], [0, 1, 2], [0, 0, 1], [0, 1, 1])
    data = page_data(to_html(facts_of(events)))
    points = data["points"]
    assert isinstance(points, dict) and 256 <= points["tick"] < 300


def test_a_page_of_many_events_stays_small() -> None:
    draw, count = np.random.default_rng(0), 1_000_000
    t = np.sort(draw.integers(0, 10**7, count))
    events = Events(
        t, draw.integers(0, 1280, count), draw.integers(0, 720, count), draw.integers(0, 2, count)
    )
    facts = facts_of(events)
    assert len(to_html(facts)) < 5_000_000
    assert facts.frames.cell > 1 and facts.on.sum() + facts.off.sum() == count


def test_a_sensor_of_one_row_gets_a_raster() -> None:
    events = some_events(400, 70, 1)
    page = to_html(facts_of(events))
    assert '<section id="raster">' in page and '<section id="frames">' not in page and "70 channels" in page
    assert "frames" not in page_data(page)
    assert to_png(facts_of(events))


def test_equal_recordings_give_equal_files() -> None:
    first, second = facts_of(some_events()), facts_of(some_events())
    assert to_html(first) == to_html(second)
    assert to_png(first) == to_png(second)
    assert to_gif(first, 25) == to_gif(second, 25)


# --- stills and films ---


def test_colours_of_cells() -> None:
    colours = palette()
    counts = np.array([[[0, 1, 0, 9]], [[0, 0, 9, 9]]])  # off, then on
    painted = colours[shaded(counts, 4)][0]
    assert painted[0].tolist() == [255, 255, 255]
    assert painted[2].tolist() == rgb("#0f6b75").tolist()
    assert painted[1][0] > painted[1][2]  # off is warm
    assert np.array_equal(painted[3], ((rgb("#0f6b75").astype(float) + rgb("#b3541e")) / 2).round())
    assert len(colours) == SHADES * SHADES + 2


def test_a_gif_has_every_step() -> None:
    events = some_events(300)
    facts = facts_of(events, dt_us=100)
    film = Image.open(io.BytesIO(to_gif(facts, 25)))
    assert film.n_frames == facts.steps and film.info["duration"] == 40 and film.info["loop"] == 0
    film.seek(4)
    shown = np.asarray(film.convert("RGB")).astype(int)
    edge = round(480 / 12)
    colours, most = palette(), recording_film.full_count(facts.frames, facts.window)
    cells = colours[shaded(facts.frames.dense(4, facts.window), most)]
    middle = shown[edge // 2 : 9 * edge : edge, edge // 2 : 12 * edge : edge]
    assert np.array_equal(middle, cells)


def test_a_film_of_a_large_sensor_loses_no_event() -> None:
    events = Events([0, 1000], [1279, 3], [719, 5], [1, 0], 1280, 720)
    first, *_, last = list(pictures(facts_of(events), 25))
    assert first.shape == last.shape and first.shape[1] == 640
    assert (first[:360] > 0).sum() == 1 and (last[:360] > 0).sum() == 1


def test_a_film_of_a_raster_uncovers_it() -> None:
    facts = facts_of(some_events(400, 70, 1), dt_us=100)
    marks = [int(((p[:-30] > 0) & (p[:-30] < INK_INDEX)).sum()) for p in pictures(facts, 25)]
    assert len(marks) == facts.steps and marks == sorted(marks) and marks[0] < marks[-1]


def test_a_film_of_too_many_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_film, "MAX_PICTURES", 10)
    with pytest.raises(DataError, match="larger dt_us"):
        to_gif(facts_of(some_events(), dt_us=10), 25)


def test_how_fast_a_film_runs() -> None:
    assert speed(40_000, 25) == "real time"
    assert speed(1000, 25) == "40x slower"
    assert speed(1_000_000, 25) == "25x faster"


def test_mp4_without_ffmpeg_names_gif(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileError, match=r"needs the program ffmpeg.*\.gif"):
        to_mp4(facts_of(some_events()), 25)


Program = Callable[[str], None]


@pytest.fixture
def ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Program:
    """A program called ffmpeg that does as told; its last argument is the film's name."""

    def make(script: str) -> None:
        path = tmp_path / "bin" / "ffmpeg"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\nfor last; do :; done\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")

    return make


def test_mp4_pipes_every_picture(ffmpeg: Program) -> None:
    ffmpeg('echo "$@" > "$last"; cat >> "$last"')
    facts = facts_of(some_events(), dt_us=100)
    words, raw = to_mp4(facts, 30).split(b"\n", 1)
    shown = list(pictures(facts, 30))
    height, width = shown[0].shape
    assert f"-video_size {width}x{height}" in words.decode() and "-framerate 30" in words.decode()
    assert height % 2 == width % 2 == 0
    assert raw == b"".join(palette()[picture].tobytes() for picture in shown)


def test_an_ffmpeg_that_fails_is_quoted(ffmpeg: Program) -> None:
    ffmpeg("echo 'Unknown encoder' >&2; exit 3")
    with pytest.raises(FileError, match="Unknown encoder"):
        to_mp4(facts_of(some_events(2000), dt_us=10), 25)


def test_an_ffmpeg_that_says_nothing(ffmpeg: Program) -> None:
    ffmpeg("exit 3")
    with pytest.raises(FileError, match="exit code 3"):
        to_mp4(facts_of(some_events(2000), dt_us=10), 25)


# --- files and words ---


@pytest.mark.parametrize("suffix", [".html", ".png", ".gif"])
def test_written_whole_or_not_at_all(tmp_path: Path, suffix: str) -> None:
    facts = facts_of(some_events())
    write_recording(tmp_path / f"x{suffix}", facts)
    begin = {".html": b"<!doctype html>", ".png": b"\x89PNG", ".gif": b"GIF89a"}[suffix]
    assert (tmp_path / f"x{suffix}").read_bytes().startswith(begin)
    with pytest.raises(FileError):
        write_recording(tmp_path / "no" / f"x{suffix}", facts)
    assert [p.name for p in tmp_path.iterdir()] == [f"x{suffix}"]


@pytest.mark.parametrize("name", ["x", "x.jpg", "x.html.gz", ".html"])
def test_a_picture_of_no_known_kind(name: str) -> None:
    with pytest.raises(DataError, match=r"\.html, \.png, \.gif, \.mp4"):
        kind_of_picture(name)


def test_round_numbers() -> None:
    assert [round_up(v) for v in (0, 0.1, 1, 1.5, 3, 5.1, 11, 21, 51, 100)] == [
        1,
        1,
        1,
        2,
        5,
        10,
        20,
        50,
        100,
        100,
    ]
    assert [time_unit(v)[1] for v in (1, 1999, 2000, 1_999_999, 2_000_000)] == ["µs", "µs", "ms", "ms", "s"]
