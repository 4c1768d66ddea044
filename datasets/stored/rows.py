"""Places of samples in files that hold many."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One sample of a file: the file, below the data set's root, and the sample's number in it."""

    path: str
    row: int


def rows(path: str, count: int) -> list[Row]:
    """All samples of a file."""
    return [Row(path, row) for row in range(count)]
