"""Exact numbers of text: the fast parser gives what the slow one gives, and the slow one what the digits say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.formats.text_numbers import ONE, Numbers, Rows, parse, parse_slowly

DELIMITERS = st.sampled_from([None, ",", ";", "\t"])


def _assert_same(fast: Rows, slow: Rows) -> None:
    assert (fast.bad, fast.first_bad) == (slow.bad, slow.first_bad)
    for ours, theirs in zip(fast.columns, slow.columns, strict=True):
        for name in ("sign", "whole", "decimals"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


@given(st.text("0123456789.-+, \t;e\n#", max_size=60), DELIMITERS, st.integers(1, 4))
def test_any_text_is_read_as_the_slow_parser_reads_it(text: str, delimiter: str | None, columns: int) -> None:
    _assert_same(parse(text.encode(), delimiter, columns), parse_slowly(text.encode(), delimiter, columns))


PLAIN = st.decimals(-(10**9), 10**9, allow_nan=False, places=9) | st.integers(-(10**17), 10**17)


@given(st.lists(st.tuples(PLAIN, PLAIN, PLAIN), min_size=1, max_size=8), DELIMITERS)
def test_plain_rows_have_their_exact_values(rows: list[tuple[object, ...]], delimiter: str | None) -> None:
    apart = delimiter or " "
    text = "\n".join(
        apart.join(f"{value:f}" if hasattr(value, "as_tuple") else str(value) for value in row)
        for row in rows
    )
    found = parse(text.encode(), delimiter, 3)
    _assert_same(found, parse_slowly(text.encode(), delimiter, 3))
    for column, numbers in enumerate(found.columns):
        parts = zip(numbers.sign.tolist(), numbers.whole.tolist(), numbers.decimals.tolist(), strict=True)
        exact = [sign * (whole + Fraction(decimals, ONE)) for sign, whole, decimals in parts]
        assert exact == [Fraction(str(row[column])) for row in rows]


@given(st.integers(0, 2 * 10**9), st.integers(0, 10**9 - 1), st.sampled_from([6, 3, 0, -3]))
def test_microseconds_are_rounded_exactly(whole: int, nanos: int, power: int) -> None:
    value = Fraction(whole) + Fraction(nanos, 10**9)
    numbers = Numbers(np.array([1]), np.array([whole]), np.array([nanos * 10**9]))
    assert numbers.microseconds(power).tolist() == [round(value * Fraction(10) ** power)]


def test_times_of_a_clock_in_nanoseconds_lose_nothing() -> None:
    # as float64 such a time has steps of 0.24 us, and every eighth comes out one microsecond off
    text = b"".join(b"1468939993.%09d 1 2 1\n" % nanos for nanos in range(0, 10**9, 999_983))
    wanted = [round(Fraction(1468939993 * 10**9 + nanos, 1000)) for nanos in range(0, 10**9, 999_983)]
    assert parse(text, None, 4).columns[0].microseconds(6).tolist() == wanted


def test_a_time_too_large_is_not_wrapped() -> None:
    numbers = parse(b"999999999999999999\n", None, 1).columns[0]
    assert numbers.microseconds(6).dtype == np.float64 and numbers.microseconds(0).tolist() == [10**18 - 1]


@pytest.mark.parametrize(
    "line",
    [
        b"1,2",
        b"1,2,3,4",
        b"1,,3",
        b"1 2,3",
        b"a,2,3",
        b"nan,2,3",
        b"1.2.3,2,3",
        b"--1,2,3",
        b"1-,2,3",
        b"1,2,3,",
        b"9999999999999999999,2,3",
    ],
)
def test_lines_that_are_no_rows_are_counted(line: bytes) -> None:
    rows = parse(b"1,2,3\n# comment\n\n" + line + b"\n4,5,6", ",", 3)
    assert (len(rows), rows.bad, rows.first_bad) == (2, 1, 3)


def test_only_plain_lines_need_no_slow_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Rows:
        raise AssertionError

    monkeypatch.setattr("spikeflow.datasets.formats.text_numbers.parse_slowly", never)
    rows = parse(b"0.000001\t-3\t4.5\n1.5\t0\t-.5\r\n", "\t", 3)
    assert rows.matrix().tolist() == [[1e-6, -3, 4.5], [1.5, 0, -0.5]]
