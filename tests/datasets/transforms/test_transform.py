"""Names of transforms, and transforms in a row."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets import transforms
from spikeflow.datasets.transforms import (
    Compose,
    DropEvents,
    Flip,
    Frames,
    FromTonic,
    FromZero,
    Sometimes,
    SpatialDownsample,
    TimeScale,
    ToSpikes,
    transform_key,
)
from spikeflow.errors import DataError
from tests.datasets.transforms.recordings import made, rows


@dataclass(frozen=True)
class Mine:
    """A user's own transform."""

    value: Any = None

    def __call__(self, events: Any, draw: int = 0) -> Any:
        return events


@dataclass
class NotFrozen:
    values: list[int] = field(default_factory=list)


def test_key_is_name_and_fields() -> None:
    assert transform_key(Flip("y")) == 'spikeflow.datasets.transforms.geometry.Flip(axis="y")'
    nested = Compose((FromZero(), Sometimes(Flip("x"), 0.25, 3)))
    assert nested.key() == (
        "spikeflow.datasets.transforms.transform.Compose(parts=(spikeflow.datasets.transforms.jitter.FromZero(),"
        "spikeflow.datasets.transforms.sometimes.Sometimes(transform=spikeflow.datasets.transforms.geometry."
        'Flip(axis="x"),p=0.25,seed=3)))'
    )


def test_key_is_the_same_in_another_process() -> None:
    code = "from spikeflow.datasets.transforms import *; print(Compose((Flip('p'), Frames(dt_us=1000, steps=7))).key())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == Compose((Flip("p"), Frames(dt_us=1000, steps=7))).key()


def test_different_transforms_have_different_keys() -> None:
    different = [
        Frames(dt_us=10),
        Frames(dt_us=11),
        Frames(steps=10),
        Frames(events_per_frame=10),
        Frames(dt_us=10, clip=True),
        ToSpikes(dt_us=10),
        Compose((Flip("x"), Flip("y"))),
        Compose((Flip("y"), Flip("x"))),
        Compose((Compose((Flip("x"),)), Flip("y"))),
        Mine("a,b"),
        Mine(("a", "b")),
        Mine('a","b'),
        Mine(None),
        Mine("none"),
        Mine(0.1),
        Mine(float("inf")),
        Mine(()),
    ]
    assert len({transform_key(t) for t in different}) == len(different)
    assert len(set(different)) == len(different)


@pytest.mark.parametrize("a, b", [(1, 1.0), (True, 1), (0.5, np.float64(0.5)), (7, np.int32(7)), (-0.0, 0)])
def test_equal_transforms_have_equal_keys(a: object, b: object) -> None:
    assert Mine(a) == Mine(b) and transform_key(Mine(a)) == transform_key(Mine(b))


@dataclass(frozen=True)
class _Own:
    pass


_Own.__module__ = "__main__"


@pytest.mark.parametrize(
    "nameless, word",
    [
        (lambda x: x, "lambda"),
        (np.flip, "function flip"),
        (Compose((Flip(), lambda x, draw: x)), "lambda"),
        (FromTonic(lambda x: x), "lambda"),
        (Mine([1]), "list"),
        (Mine({"a": 1}), "dict"),
        (Mine(float("nan")), "not a number"),
        (NotFrozen(), "not frozen"),
        (Mine, "Mine"),
        (_Own(), "script"),
        (dataclass(frozen=True)(type("Here", (), {"__qualname__": "f.<locals>.Here"}))(), "function"),
    ],
)
def test_what_cannot_be_named_is_refused(nameless: object, word: str) -> None:
    with pytest.raises(DataError, match=word):
        transform_key(nameless)


def test_compose() -> None:
    events = made([5, 9, 9], [0, 1, 3], [2, 2, 0])
    both = Compose((FromZero(), Flip("x"), SpatialDownsample(2, 2)))
    assert rows(both(events)) == [(0, 1, 1, 1), (4, 1, 1, 1), (4, 0, 0, 1)]
    assert Compose(())(events) is events
    assert Compose((Flip("x"), Frames(steps=1)))(events)[0, 1].tolist() == [
        [1, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 1, 1],
    ]
    assert Compose([Flip("x")]).parts == (Flip("x"),)  # type: ignore[arg-type]


def test_compose_passes_the_draw_on() -> None:
    events = made(list(range(100)))
    drop = DropEvents(0.5)
    assert rows(Compose((drop,))(events, 7)) == rows(drop(events, 7)) != rows(drop(events, 8))


def test_compose_dense() -> None:
    frames = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)
    both = Compose((Flip("x"), Flip("p")))
    np.testing.assert_array_equal(both.dense(frames), frames[:, ::-1, :, ::-1])
    with pytest.raises(DataError, match="TimeScale, without a dense form"):
        Compose((Flip("x"), TimeScale(2))).dense(frames)
    with pytest.raises(DataError, match="int"):
        Compose((3,))  # type: ignore[arg-type]


def test_everything_listed_is_there_and_sorted() -> None:
    assert all(hasattr(transforms, name) for name in transforms.__all__)
    assert sorted(transforms.__all__) == list(transforms.__all__)


def test_nothing_loads_torch_or_tonic() -> None:
    code = "import sys, spikeflow.datasets.transforms; sys.exit('torch' in sys.modules or 'tonic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
