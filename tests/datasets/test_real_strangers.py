"""Recordings of other makers, against what other readers found in them (the README beside them names the readers)."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from spikeflow.datasets import read
from spikeflow.errors import FileError, SpikeflowWarning
from spikeflow.events import Events

Event = tuple[int, int, int, int]
FACTS: dict[str, tuple[int, Event, Event, str]] = {  # events, first, last, and what is told of them
    "jaer_tmpdiff128_2007.dat": (121270, (679877510, 83, 58, 1), (701768090, 59, 63, 1), "DVS128 is assumed"),
    "jaer_grasp2007.dat": (48100, (150978470, 70, 89, 0), (151454560, 68, 83, 1), "DVS128 is assumed"),
    "jaer_movingdarkbox.aedat": (
        489834,
        (946459683, 12, 19, 1),
        (986269729, 73, 113, 0),
        "DVS128 is assumed",
    ),
    "evl_sample.aedat4": (6676, (1589163147368868, 215, 164, 1), (1589163147538809, 96, 229, 1), ""),
    "ncaltech_faces_easy_0001.bin": (67445, (6, 131, 2, 1), (299364, 40, 15, 1), ""),
    "loris_ncars_obj_004397_td.dat": (4407, (0, 6, 18, 1), (99937, 48, 47, 1), ""),
    "evl_event.hdf5": (17, (0, 134, 30, 0), (5748, 74, 181, 0), "taken as seconds"),
}
REFUSED = {"jaer_vowelsounds.aedat": "silicon cochlea", "ecpy_test_events_1.bag": "ROS 1 bag"}


def _event(events: Events, at: int) -> Event:
    return int(events.t[at]), int(events.x[at]), int(events.y[at]), int(events.p[at])


@pytest.mark.parametrize("name", FACTS)
def test_events_are_those_that_others_found(data_folder: Path, name: str) -> None:
    count, first, last, told = FACTS[name]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", SpikeflowWarning)
        events = read(data_folder / "recordings2" / name)
    assert bool(heard) == bool(told) and all(told in str(one.message) for one in heard)
    assert (len(events), _event(events, 0), _event(events, -1)) == (count, first, last)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_recording_of_a_camera_is_called_by_name(data_folder: Path, name: str) -> None:
    with pytest.raises(FileError, match=REFUSED[name]):
        read(data_folder / "recordings2" / name)
