"""Numbers of a text, exactly: sign, whole part and up to 18 decimals, as integers; no number becomes a float
on its way.

`parse_slowly` says what a row is, line by line, with Python's decimals. `parse` gives the same, by arithmetic
on whole columns of digits, where every line is plain (digits, one point, a minus sign); else it asks
`parse_slowly`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np

from spikeflow.typing import Array

DIGITS = 18  # decimals that are kept
ONE = 10**DIGITS
WHOLE_DIGITS, LARGEST = 19, 2**63 - 1  # of a whole part: what an int64 holds, nanoseconds since 1970 among it
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
COMMENTS = "#%"  # what a line begins with that is none of the rows
_EXACT = Context(prec=2000)  # an exponent has three digits
_DIGIT, _POINT, _MINUS, _APART, _END, _OTHER = range(6)
_KINDS = np.full(256, _OTHER, np.uint8)
_KINDS[np.frombuffer(b"0123456789", np.uint8)] = _DIGIT
for _kind, _marks in ((_POINT, b"."), (_MINUS, b"-"), (_APART, b" \t\r"), (_END, b"\n")):
    _KINDS[np.frombuffer(_marks, np.uint8)] = _kind


@dataclass(frozen=True, eq=False)
class Numbers:
    """One column: each value is ``sign * (whole + decimals / 10^18)``.

    Parameters
    ----------
    sign : int64, -1 or 1.
    whole : int64, from 0 to ``2^63 - 1``.
    decimals : int64, from 0 to ``10^18 - 1``.
    """

    sign: Array
    whole: Array
    decimals: Array

    def as_array(self) -> Array:
        """int64 where every value is whole, else the nearest float64."""
        if not self.decimals.any():
            return self.sign * self.whole
        return self.sign * (self.whole + self.decimals / ONE)

    def microseconds(self, power: int) -> Array:
        """The values times ``10^power`` as int64, rounded to the nearest, half to even; float64 where one is
        too large.

        Parameters
        ----------
        power : -3 to 6; what one tick is: 6 for seconds.
        """
        if len(self.whole) and int(self.whole.max()) >= 2**62 // 10 ** max(power, 0):
            return self.as_array() * 10.0**power
        if power >= 0:
            below, rest = np.divmod(self.decimals, 10 ** (DIGITS - power))
            below += self.whole * 10**power
            half, sticky = 10 ** (DIGITS - power) // 2, False
        else:
            below, rest = np.divmod(self.whole, 10**-power)
            half, sticky = 10**-power // 2, self.decimals > 0
        up = (rest > half) | ((rest == half) & (sticky | (below % 2 == 1)))
        return self.sign * (below + up)


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of some lines.

    Parameters
    ----------
    columns : of equal length.
    bad : how many lines were neither rows, comments nor empty.
    first_bad : which line was the first such one, from 0; None where there is none.
    """

    columns: tuple[Numbers, ...]
    bad: int = 0
    first_bad: int | None = None

    def __len__(self) -> int:
        return len(self.columns[0].whole)

    def matrix(self) -> Array:
        """float64 ``(rows, columns)``."""
        return np.stack([numbers.as_array().astype(np.float64) for numbers in self.columns], axis=1)


def parse_slowly(block: bytes, delimiter: str | None, columns: int) -> Rows:
    """The rows of whole lines.

    Parameters
    ----------
    delimiter : between columns; None is any blanks.
    columns : of every row; a line with another number is bad.
    """
    rows: list[list[tuple[int, int, int]]] = []
    bad: list[int] = []
    for at, line in enumerate(block.split(b"\n")):
        text = line.decode("latin1").strip()
        if not text or text[0] in COMMENTS:
            continue
        values = [_number(field.strip()) for field in text.split(delimiter)]
        good = [value for value in values if value is not None]
        if len(values) == len(good) == columns:
            rows.append(good)
        else:
            bad.append(at)
    table = np.array(rows, np.int64).reshape(-1, columns, 3)
    found = tuple(Numbers(*(np.ascontiguousarray(table[:, c, i]) for i in range(3))) for c in range(columns))
    return Rows(found, len(bad), bad[0] if bad else None)


def _number(field: str) -> tuple[int, int, int] | None:
    if not NUMBER.fullmatch(field) or not field.isascii():
        return None
    value = Decimal(field)
    if abs(value) > LARGEST:
        return None
    ticks = int(_EXACT.multiply(abs(value), Decimal(ONE)).to_integral_value(ROUND_HALF_EVEN, _EXACT))
    whole, decimals = divmod(ticks, ONE)
    return (-1 if value < 0 else 1, whole, decimals) if whole <= LARGEST else None


def parse(block: bytes, delimiter: str | None, columns: int) -> Rows:
    """As `parse_slowly`, some hundred times faster for plain lines."""
    if not block.endswith(b"\n"):
        block += b"\n"
    found = _parse_plain(np.frombuffer(block, np.uint8), delimiter, columns)
    return parse_slowly(block, delimiter, columns) if found is None else Rows(found)


def _parse_plain(text: Array, delimiter: str | None, columns: int) -> tuple[Numbers, ...] | None:
    kinds = _KINDS[text]
    if delimiter:
        kinds[text == ord(delimiter)] = _APART
    if kinds.max(initial=0) == _OTHER:
        return None
    inside = kinds <= _MINUS
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if inside[0]:
        edges = np.concatenate(([0], edges))
    if len(edges) % (2 * columns) or (delimiter and not len(edges)):
        return None
    begin, end = (edges[i::2].reshape(-1, columns) for i in (0, 1))
    if not _one_row_a_line(kinds, begin) or not (
        delimiter is None or _all_apart(text == ord(delimiter), begin, end)
    ):
        return None
    points = np.flatnonzero(kinds == _POINT)
    found = [_column(text, points, begin[:, c], end[:, c]) for c in range(columns)]
    good = tuple(column[0] for column in found if column)
    # a mark more than one to a value is one that no value took
    marks = sum(column[1] for column in found if column)
    return good if len(good) == columns and marks == len(points) + int((kinds == _MINUS).sum()) else None


def _one_row_a_line(kinds: Array, begin: Array) -> bool:
    ends = np.flatnonzero(kinds == _END)
    first, last = np.searchsorted(ends, begin[:, 0]), np.searchsorted(ends, begin[:, -1])
    return bool((first == last).all() and (first[1:] > first[:-1]).all())


def _all_apart(delimiters: Array, begin: Array, end: Array) -> bool:
    """Whether exactly one delimiter lies between two values of a row, and none elsewhere."""
    at = np.flatnonzero(delimiters)
    if len(at) != begin.size - len(begin):
        return False
    at = at.reshape(len(begin), -1)
    return bool(((at >= end[:, :-1]) & (at < begin[:, 1:])).all())


def _column(text: Array, points: Array, begin: Array, end: Array) -> tuple[Numbers, int] | None:
    """The values between these places, and how many points and minus signs they have; None where one is not
    plain.
    """
    negative = text[begin] == ord("-")
    begin = begin + negative
    point, after, marks = end, end, int(negative.sum())
    if len(points):
        nearest = points[np.minimum(np.searchsorted(points, begin), len(points) - 1)]
        inside = (nearest >= begin) & (nearest < end)
        point, after = np.where(inside, nearest, end), np.where(inside, nearest + 1, end)
        marks += int(inside.sum())
    lengths = (point - begin, end - after)
    if ((lengths[0] + lengths[1]) == 0).any() or lengths[1].max(initial=0) > DIGITS:
        return None
    most = int(lengths[0].max(initial=0))
    if most > WHOLE_DIGITS or (most == WHOLE_DIGITS and (text[begin[lengths[0] == most]] == ord("9")).any()):
        return None  # may be more than an int64 holds
    whole, decimals = _digits(text, begin, point), _digits(text, after, end)
    decimals *= np.take(10 ** np.arange(DIGITS + 1, dtype=np.int64)[::-1], lengths[1])
    sign = np.where(negative & ((whole > 0) | (decimals > 0)), -1, 1)
    return Numbers(sign, whole, decimals), marks


def _digits(text: Array, begin: Array, end: Array) -> Array:
    """The number that the digits from `begin` to before `end` make."""
    out = np.zeros(len(begin), np.int64)
    lengths = end - begin
    if not lengths.any():
        return out
    same = bool((lengths == lengths[0]).all())
    for place in range(int(lengths.max())):
        at = end - 1 - place
        digit = text[at].astype(np.int64) - ord("0")
        out += (digit if same else np.where(at >= begin, digit, 0)) * 10**place
    return out
