"""A recording in pieces and in stretches, and what a user may say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets import open_recording, write
from spikeflow.datasets.recording import Columns, Header, Options, Recording
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

T = np.array([0, 2, 2, 2, 5, 5, 9])
EVENTS = Events(T, T, T, T % 2)


class Cut(Recording):
    """A recording whose format gives pieces of these sizes."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__(Path("a"), Header("cut", 20), Options(height=30))
        self._cuts = np.cumsum([0, *sizes, len(EVENTS)]).clip(max=len(EVENTS))

    @property
    def dropped(self) -> Mapping[str, int]:
        return {}

    def columns(self, start_us: int | None = None) -> Iterator[Columns]:
        for start, stop in zip(self._cuts, self._cuts[1:], strict=False):
            yield tuple(getattr(EVENTS, name)[start:stop] for name in "txyp")  # pyright: ignore[reportReturnType]


@given(st.lists(st.integers(0, 4), max_size=5), st.integers(1, 9))
def test_pieces(sizes: list[int], events: int) -> None:
    pieces = list(Cut(sizes).pieces(events))
    assert [len(piece) for piece in pieces] == [
        min(events, len(EVENTS) - at) for at in range(0, len(EVENTS), events)
    ]
    assert np.concatenate([piece.structured() for piece in pieces]).tolist() == EVENTS.structured().tolist()
    assert {(piece.width, piece.height) for piece in pieces} == {(20, 30)}


@given(st.lists(st.integers(0, 4), max_size=5), st.integers(-1, 11), st.integers(-1, 11))
def test_between_is_half_open_also_where_times_are_equal(sizes: list[int], start: int, stop: int) -> None:
    wanted = [row for row in EVENTS.structured().tolist() if start <= row[0] < stop]
    assert Cut(sizes).between(start, stop).structured().tolist() == wanted


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.mat", "a.csv", "a.aedat4", "a.raw", "a.es"])
@pytest.mark.parametrize("at", [(2, 5), (3, 5), (0, 1), (9, 10), (10, 20)])
def test_between_of_files(tmp_path: Path, name: str, at: tuple[int, int]) -> None:
    write(path := tmp_path / name, Events(*(EVENTS.t, EVENTS.x, EVENTS.y, EVENTS.p), width=20, height=30))
    with open_recording(path) as recording:
        assert recording.between(*at).sha256 == EVENTS.between(*at).sha256
        assert recording.read().sha256 == EVENTS.sha256


@pytest.mark.parametrize("events", [0, -1])
def test_pieces_of_nothing(events: int) -> None:
    with pytest.raises(DataError, match="at least one event"):
        list(Cut([]).pieces(events))


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"height": -3}, {"width": 65537}, {"unit_us": 0}, {"unit_us": float("nan")}]
)
def test_what_no_user_can_mean(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        Options(**wrong)


def test_file_and_user_must_agree_on_the_sensor(tmp_path: Path) -> None:
    write(path := tmp_path / "a.npz", Events(EVENTS.t, EVENTS.x, EVENTS.y, EVENTS.p, 20, 30))
    with pytest.raises(DataError, match="width: got 21 from the user, expected 20"):
        open_recording(path, width=21)
    assert open_recording(path, width=20).read().width == 20


@pytest.mark.parametrize("size", ["0x0", "99999x5", "5x0"])
def test_a_sensor_that_none_can_be(tmp_path: Path, size: str) -> None:
    (path := tmp_path / "a.csv").write_text(f"# sensor {size}\nt,x,y,p\n1,2,3,1\n")
    with pytest.raises(FileError, match="not 1 to 65536"):
        open_recording(path)
