"""Preprocessing is plain data, and does what torch and torchvision do.

Drawn: 1 to 4 pictures of 1 to 4 channels, sides 1 to 40, resized to sides 1 to 40.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.datasets.transforms import Frames as FramesOfEvents
from spikeflow.datasets.transforms import SpatialJitter
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.ir.preprocessing import CentreCrop, Frames, Normalise, Resize, applied, of_text, plain


@pytest.mark.parametrize("seed", range(40))
def test_resize_is_that_of_torch(seed: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    n, channels, height, width = rng.integers(1, 5), rng.integers(1, 5), *rng.integers(1, 41, 2)
    x = rng.normal(size=(n, channels, height, width)).astype(np.float32)
    new = tuple(int(k) for k in rng.integers(1, 41, 2))
    found = Resize(*new)(x, 1)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(x), new, mode="bilinear", align_corners=False
    ).numpy()
    # positions are of float32 there: 40 pixels have an error of 40 * 2^-24 of a pixel, times the largest difference
    np.testing.assert_allclose(found, theirs, atol=40 * 2**-23 * 2 * abs(x).max())
    nearest = Resize(*new, "nearest")(x, 1)
    rows, columns = np.arange(new[0]) * height // new[0], np.arange(new[1]) * width // new[1]
    np.testing.assert_array_equal(nearest, x[..., rows[:, None], columns])


def test_resize_to_its_own_size_changes_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 5)).astype(np.float32)
    np.testing.assert_array_equal(Resize(7, 5)(x, 1), x)


@pytest.mark.parametrize("seed", range(10))
def test_normalise_is_that_of_torchvision(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean, std = rng.random(3), rng.random(3) + 0.1
    for lead, shape in ((1, (2, 3, 4, 5)), (2, (2, 6, 3, 4, 5)), (1, (4, 3))):
        x = rng.normal(size=shape).astype(np.float32)
        behind = (1,) * (x.ndim - lead - 1)
        wanted = (x - mean.astype(np.float32).reshape(-1, *behind)) / std.astype(np.float32).reshape(
            -1, *behind
        )
        np.testing.assert_array_equal(Normalise(tuple(mean), tuple(std))(x, lead), wanted)
    x = rng.integers(0, 256, (3, 2, 4)).astype(np.uint8)
    np.testing.assert_array_equal(Normalise(std=(255,))(x, 1), x.astype(np.float32) / np.float32(255))


def test_crop_takes_the_middle() -> None:
    x = np.arange(2 * 7 * 6, dtype=np.float32).reshape(2, 7, 6)
    np.testing.assert_array_equal(CentreCrop(3, 2)(x, 1), x[:, 2:5, 2:4])
    np.testing.assert_array_equal(CentreCrop(7, 6)(x, 1), x)
    with pytest.raises(DataError):
        CentreCrop(8, 2)(x, 1)


def test_steps_in_words() -> None:
    words = ["divide=255", "resize=8x6", "crop=4x5", "normalise=0.5,0.25/1,2", "resize=3x3,nearest"]
    steps = of_text(words)
    assert steps == (
        Normalise(std=(255,)), Resize(6, 8), CentreCrop(5, 4), Normalise((0.5, 0.25), (1, 2)), Resize(3, 3, "nearest")
    )  # fmt: skip
    assert of_text([str(step) for step in steps]) == steps
    x = np.random.default_rng(1).integers(0, 256, (3, 2, 20, 30)).astype(np.uint8)
    assert applied(steps, x, 1).shape == (3, 2, 3, 3)


@pytest.mark.parametrize(
    "word", ["", "blur=3", "resize", "resize=8", "resize=0x3", "resize=axb", "divide=0", "divide=nan", "crop=3",
             "normalise=1", "normalise=1,2/1,2,3", "normalise=1/0", "resize=3x3,cubic", "divide=1e-60"],
)  # fmt: skip
def test_words_that_say_nothing_are_refused(word: str) -> None:
    with pytest.raises(DataError):
        of_text([word])


def test_transforms_of_data_sets_become_plain_steps() -> None:
    (step,) = plain([FramesOfEvents(dt_us=10, steps=4)])
    assert type(step) is Frames and step == Frames(dt_us=10, steps=4)
    events = Events(np.arange(30), np.arange(30) % 5, np.arange(30) % 3, np.arange(30) % 2, 5, 3)
    np.testing.assert_array_equal(step(events), FramesOfEvents(dt_us=10, steps=4)(events))
    wrong: tuple[tuple[Any, ...], ...] = ((SpatialJitter(1.0),), (Normalise(), Frames(steps=2)), ("resize",))
    for steps in wrong:
        with pytest.raises(DataError):
            plain(steps)
