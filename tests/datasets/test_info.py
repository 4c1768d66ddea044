"""The facts of a file are those of its events, in every format and however few lie in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import open_recording, read, write
from spikeflow.datasets.formats import FORMATS
from spikeflow.datasets.info import describe, of_recording
from spikeflow.datasets.recording import Options
from spikeflow.events import Events

WRITABLE = [known.name for known in FORMATS if known.write]
T = np.cumsum(np.arange(500) % 3)
EVENTS = Events(T, T % 30, T % 20, T % 2, 128, 128)


def _written(tmp_path: Path, events: Events, format: str) -> Path:
    known = next(known for known in FORMATS if known.name == format)
    write(path := tmp_path / f"a{known.suffixes[0]}", events, format)
    return path


@pytest.mark.parametrize("format", WRITABLE)
def test_like_the_events(tmp_path: Path, format: str) -> None:
    path = _written(tmp_path, EVENTS, format)
    info, events = describe(path, format), read(path, format)
    assert (info.format, info.width, info.height) == (format, events.width, events.height)
    assert (info.events, info.on_events) == (len(events), int(events.p.sum()))
    assert info.first == events.structured()[0].item() and info.last == events.structured()[-1].item()
    assert (info.duration_us, info.sha256, info.dropped) == (events.duration_us, events.sha256, {})
    with open_recording(path, format) as recording:
        for at_once in (1, len(events) - 1, len(events)):
            assert of_recording(recording, at_once) == info


def test_json(tmp_path: Path) -> None:
    facts = describe(_written(tmp_path, EVENTS, "npz")).to_json()
    assert json.loads(json.dumps(facts)) == facts
    # the keys that others' scripts rely on
    wanted = ["format", "width", "height", "events", "first", "last", "duration_us", "on_events", "sha256"]
    assert list(facts)[: len(wanted)] == wanted and facts["first"] == [0, 0, 0, 0]


def test_no_event(tmp_path: Path) -> None:
    path = _written(tmp_path, EVENTS[:0], "hdf5")
    info = describe(path)
    assert (info.events, info.first, info.last, info.duration_us, info.on_events) == (0, None, None, 0, 0)
    assert info.sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert "first" not in info.to_text() and json.dumps(info.to_json())
    with open_recording(path) as recording:
        assert of_recording(recording, 1) == info


def test_what_was_dropped_is_counted_once(tmp_path: Path) -> None:
    np.save(path := tmp_path / "a.npy", np.array([[1, 2, 3, 1], [0, 2, 3, 1], [5, 2, 3, 7]]))
    info = describe(path, strict=False, columns="txyp")
    assert info.events == 1 and info.dropped == {"unknown polarity": 1, "time going backwards": 1}
    with open_recording(path, strict=False, columns="txyp") as recording:
        assert of_recording(recording, 1).events == 1
        assert of_recording(recording, 0) == info
    assert "left out: unknown polarity" in info.to_text()


def test_text_cannot_steer_a_terminal(tmp_path: Path) -> None:
    import h5py

    path = _written(tmp_path, EVENTS, "hdf5")
    with h5py.File(path, "a") as file:
        file.attrs["note"] = "\x1b[2Jgone\nsha256 0"
    lines = describe(path).to_text().splitlines()
    assert any("gone sha256 0" in line for line in lines) and not any("\x1b" in line for line in lines)


def test_options_are_those_of_open_recording(tmp_path: Path) -> None:
    np.save(path := tmp_path / "a.npy", np.array([[1, 2, 3, 1]]))
    info = describe(path, columns="txyp", width=5, height=6)
    assert (info.width, info.height) == (5, 6) and Options(width=5).width == 5
