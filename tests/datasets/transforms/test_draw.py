"""Random numbers of transforms: of the transform, the draw and the index, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.datasets.transforms import DropEvents, RandomFlip
from spikeflow.datasets.transforms.draw import below, numbers
from spikeflow.errors import DataError


def test_numbers_are_fixed_for_ever() -> None:
    # a change here changes every augmented data set
    found = numbers(DropEvents(0.5, seed=3), 12, 3)
    np.testing.assert_allclose(found, FIXED, rtol=0, atol=1e-15)


FIXED = [0.9058398487718752, 0.40064916290181884, 0.8618731199092204]


def test_numbers_are_uniform() -> None:
    u = numbers(DropEvents(0.5), 0, 100_000)
    assert u.min() >= 0 and u.max() < 1
    assert abs(u.mean() - 0.5) < 0.005 and abs(np.mean(u < 0.1) - 0.1) < 0.005


def test_a_longer_row_begins_with_the_shorter() -> None:
    np.testing.assert_array_equal(numbers(DropEvents(0.5), 4, 5), numbers(DropEvents(0.5), 4, 50)[:5])


@pytest.mark.parametrize("other", [DropEvents(0.5, seed=1), DropEvents(0.25), RandomFlip("x")])
def test_transforms_draw_independently(other: DropEvents | RandomFlip) -> None:
    first, second = numbers(DropEvents(0.5), 0, 20_000), numbers(other, 0, 20_000)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_flips_of_both_axes_with_one_seed_are_independent() -> None:
    x = [numbers(RandomFlip("x"), draw, 1)[0] < 0.5 for draw in range(2000)]
    y = [numbers(RandomFlip("y"), draw, 1)[0] < 0.5 for draw in range(2000)]
    assert abs(np.mean(np.array(x) == np.array(y)) - 0.5) < 0.05


def test_draws_are_independent_and_of_any_size() -> None:
    u = np.array([numbers(DropEvents(0.5), draw, 1)[0] for draw in range(5000)])
    assert abs(u.mean() - 0.5) < 0.02 and abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.05
    assert numbers(DropEvents(0.5), 2**63, 1)[0] != numbers(DropEvents(0.5), 0, 1)[0]


def test_no_numbers_and_negative_draws() -> None:
    assert numbers(DropEvents(0.5), 0, 0).shape == (0,)
    with pytest.raises(DataError, match="draw"):
        numbers(DropEvents(0.5), -1, 1)


def test_below() -> None:
    assert [below(u, 3) for u in (0.0, 0.34, 0.99, 1 - 2**-53)] == [0, 1, 2, 2]
