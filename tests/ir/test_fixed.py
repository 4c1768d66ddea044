"""Fixed arithmetic against its definitions in Python's unbounded integers and fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor, trunc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.errors import GraphError
from spikeflow.ir.fixed import NARROWINGS, ROUNDINGS, Fixed, narrow, shift, shift_right
from spikeflow.ir.functions import tanh_table

wide = st.integers(-(2**61), 2**61)
exact = {"floor": floor, "nearest": lambda x: floor(x + Fraction(1, 2)), "zero": trunc}


@given(st.lists(wide, min_size=1, max_size=20), st.integers(0, 60), st.sampled_from(ROUNDINGS))
def test_shift_right_is_a_rounded_division(xs: list[int], count: int, mode: str) -> None:
    assert shift_right(np.array(xs), count, mode).tolist() == [exact[mode](Fraction(x, 2**count)) for x in xs]


@given(st.integers(-(2**20), 2**20), st.integers(-30, 30), st.sampled_from(ROUNDINGS))
def test_shift_multiplies_by_a_power_of_two(x: int, amount: int, mode: str) -> None:
    assert int(shift(np.array(x), amount, mode)) == exact[mode](Fraction(x) * Fraction(2) ** amount)


@given(st.lists(wide, min_size=1, max_size=20), st.integers(2, 61))
def test_saturate_symmetric_and_wrap_are_their_definitions(xs: list[int], bits: int) -> None:
    half = 2 ** (bits - 1)
    array = np.array(xs)
    assert narrow(array, bits, "saturate").tolist() == [min(max(x, -half), half - 1) for x in xs]
    assert narrow(array, bits, "symmetric").tolist() == [min(max(x, 1 - half), half - 1) for x in xs]
    assert narrow(array, bits, "wrap").tolist() == [(x + half) % (2 * half) - half for x in xs]


@given(st.integers(2, 40), st.integers(-5, 5), st.sampled_from(["low", "high", "zero"]))
def test_fold_takes_off_one_turn_at_the_ends(bits: int, offset: int, end: str) -> None:
    half = 2 ** (bits - 1)
    x = {"low": -half, "high": half, "zero": 0}[end] + offset
    expected = x - 2 * half if x > half else x + 2 * half if x <= -half else x
    assert int(narrow(np.array(x), bits, "fold")) == expected


@given(st.integers(2, 40), st.sampled_from(NARROWINGS), st.data())
def test_values_well_inside_stay(bits: int, mode: str, data: st.DataObject) -> None:
    x = data.draw(st.integers(1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1))
    assert int(narrow(np.array(x), bits, mode)) == x


@given(
    st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=20),
    st.integers(2, 32),
    st.integers(-4, 20),
    st.booleans(),
)
def test_quantise_rounds_to_nearest_and_saturates(xs: list[int], bits: int, frac: int, signed: bool) -> None:
    made = Fixed(bits, frac, signed)
    nearest = [floor(Fraction(x, 2**12) * Fraction(2) ** frac + Fraction(1, 2)) for x in xs]
    assert made.quantise(np.array(xs) / 2**12).tolist() == [min(max(q, made.low), made.high) for q in nearest]


def test_format_ends() -> None:
    assert (Fixed(8, 7).low, Fixed(8, 7).high, Fixed(8, 7).step) == (-128, 127, 2.0**-7)
    assert (Fixed(8, -1, signed=False).low, Fixed(8, -1, signed=False).high) == (0, 255)
    assert Fixed(8, -1).step == 2.0
    assert Fixed(4, 1000).quantise([1.0, -1.0, 0.0]).tolist() == [7, -8, 0]


@pytest.mark.parametrize(("bits", "frac"), [(0, 0), (65, 0), (8, 1001), (8, -1001)])
def test_impossible_formats_are_refused(bits: int, frac: int) -> None:
    with pytest.raises(GraphError):
        Fixed(bits, frac)


def test_what_float64_cannot_hold_is_not_quantised() -> None:
    with pytest.raises(GraphError):
        Fixed(54).quantise([1.0])


def test_unknown_modes_are_refused() -> None:
    with pytest.raises(GraphError):
        shift_right(np.array(4), 1, "up")
    with pytest.raises(GraphError):
        narrow(np.array(4), 8, "clamp")


def test_tanh_table_is_odd_and_zero_at_zero() -> None:
    table = tanh_table(7)
    assert len(table) == 257 and table[128] == 0 and table[256] == 128
    assert all(abs(a + b) <= 1 for a, b in zip(table, reversed(table), strict=True))
