"""Which samples set numbers and which test them: by their values alone, never by their order or their file."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.calibration import digest, split


@pytest.mark.parametrize("seed", range(20))
def test_order_and_company_change_nothing(seed: int) -> None:
    """Drawn: 1 to 200 samples of 1 to 3 axes of length 1 to 6; the same samples in another order, and among others."""
    draw = np.random.default_rng(seed)
    shape = tuple(draw.integers(1, 7, draw.integers(1, 4)))
    x = draw.normal(size=(draw.integers(1, 201), *shape)).astype(np.float32)
    order = draw.permutation(len(x))
    one, other = split(x), split(x[order])
    assert np.array_equal(x[one.setting], x[order][other.setting]) and one.digests == other.digests
    assert np.array_equal(x[one.held_back], x[order][other.held_back])
    assert sorted([*one.setting, *one.held_back]) == list(range(len(x)))
    more = split(np.concatenate([x, draw.normal(size=(50, *shape)).astype(np.float32)]))
    if len(one.held_back):
        assert {digest(x[i]) for i in one.held_back}.isdisjoint(more.digests)


def test_a_quarter_is_held_back() -> None:
    parts = split(np.random.default_rng(0).normal(size=(4000, 3)).astype(np.float32))
    assert 900 < len(parts.held_back) < 1100


def test_what_a_command_before_has_seen_is_not_held_back() -> None:
    x = np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32)
    seen = [digest(sample) for sample in x]
    assert len(split(x, seen).held_back) == 0
    half = split(x, seen[:50])
    assert len(half.held_back) and not set(half.held_back) & set(range(50))


def test_there_is_always_a_sample_to_set_from() -> None:
    for value in range(40):
        parts = split(np.full((7, 2), value, np.float32))
        assert (len(parts.setting), len(parts.held_back)) == (7, 0)
        assert len(split(np.full((1, 2), value, np.float32)).setting) == 1


def test_the_digest_is_of_values() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert (
        digest(x) == digest(x.astype(np.float64)) == digest(np.asfortranarray(x)) == digest(x.astype(np.int8))
    )
    assert digest(x) != digest(x.T) and digest(x) != digest(x.ravel())
    assert digest(-np.zeros(3)) == digest(np.zeros(3))


def test_copies_are_held_back_once() -> None:
    """15 copies of 40 samples measure no more than 40 samples do; an interval over copies would be too narrow."""
    x = np.random.default_rng(2).normal(size=(40, 5)).astype(np.float32)
    one, many = split(x), split(np.tile(x, (15, 1)))
    assert len(one.held_back) and np.array_equal(one.held_back, many.held_back)
    assert len(many.setting) == 15 * len(one.setting) and one.digests == many.digests
