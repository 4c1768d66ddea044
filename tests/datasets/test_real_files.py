"""Real recordings against the facts that independent readers found in them (`benchmarks/independent_readers.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets import read
from spikeflow.datasets.info import describe
from spikeflow.events import Events

FACTS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("real_files.json").read_text())
SENSORS = {
    "evt2_sample.raw": (None, None),  # the file names its camera, not a size
    "dvxplorer_lite_320x240.aedat4": (320, 240),
    "dvs128_alex_walking_again.aedat": (128, 128),
}


def _read(folder: Path, name: str) -> Events:
    # rows without names: the data set's own order has to be said
    said = {"columns": "txyp"} if name.startswith("POKERDVS") else {}
    return read(folder / name, **said)


def _facts(events: Events) -> dict[str, Any]:
    ends = [[int(column[i]) for column in (events.t, events.x, events.y, events.p)] for i in (0, -1)]
    return {
        "events": len(events),
        "first": ends[0],
        "last": ends[1],
        "duration_us": events.duration_us,
        "on_events": int(events.p.sum()),
        "sha256": events.sha256,
    }


@pytest.mark.parametrize("part", ["recordings", "dvs128_gesture", "POKERDVS", "NMNIST"])
def test_every_file_holds_what_other_readers_found(data_folder: Path, part: str) -> None:
    names = [name for name in FACTS if name.startswith(f"{part}/")]
    assert names
    for name in names:
        wanted, events = FACTS[name], _read(data_folder, name)
        found = _facts(events)
        assert found.pop("sha256").startswith(wanted["sha256"]), name
        assert {key: found[key] for key in wanted if key != "sha256"} == {
            key: value for key, value in wanted.items() if key != "sha256"
        }, name
        assert not events.dropped or set(events.dropped) <= {
            "before the first time",
            "other events",
            "other packets",
        }, name


def test_the_facts_of_a_file_are_those_of_its_events(data_folder: Path) -> None:
    for name in [name for name in FACTS if name.startswith(("recordings/", "dvs128_gesture/"))]:
        found = describe(data_folder / name).to_json()
        assert {key: found[key] for key in FACTS[name]} == FACTS[name], name


def test_content_alone_tells_the_columns_of_every_poker_card(data_folder: Path) -> None:
    for name in [name for name in FACTS if name.startswith("POKERDVS/")]:
        assert read(data_folder / name).sha256.startswith(FACTS[name]["sha256"]), name


@pytest.mark.parametrize("name", SENSORS)
def test_the_sensor_is_what_the_file_says(data_folder: Path, name: str) -> None:
    events = read(data_folder / "recordings" / name)
    assert (events.width, events.height) == SENSORS[name]


def test_no_real_file_is_forgotten(data_folder: Path) -> None:
    suffixes = {".raw", ".dat", ".aedat", ".aedat4", ".bin", ".npy"}
    folders = ("recordings", "dvs128_gesture", "POKERDVS", "NMNIST")
    files = [f for part in folders for f in (data_folder / part).rglob("*") if f.suffix in suffixes]
    assert {str(f.relative_to(data_folder)) for f in files} == set(FACTS)


def test_the_events_shipped_with_the_evt3_file_count_its_clock_otherwise(data_folder: Path) -> None:
    # made with expelliarmus, which takes each fall of the low time word for a turn of the clock; the high words, one
    # every 16 us, say that there was none, as do OpenEB and evlib. Pixels, polarities and order are the same.
    events = read(data_folder / "recordings" / "evt3_sample.raw")
    with np.load(data_folder / "recordings" / "evt3_sample_events.npz") as shipped:
        for name in ("x", "y", "p"):
            assert np.array_equal(getattr(events, name), shipped[name]), name
        turns, rest = np.divmod(shipped["t"] - events.t, 4096)
    assert not rest.any() and (np.diff(turns) >= 0).all() and turns[-1] == 11
