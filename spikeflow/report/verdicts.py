"""What a conversion said of itself, as tables: facts in one, every list of records in a table of its own.

The note comes from a file and may hold any JSON; nothing here expects more than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_ROWS = 2000
MAX_COLUMNS = 16
MAX_TEXT = 300
FRACTIONS = frozenset({"ann_accuracy", "clipped", "zeros"})  # of the conversion's own report
TITLES = {"verdicts": "What became of every operation", "layers": "Spiking layers and their thresholds"}


@dataclass(frozen=True)
class Table:
    """Rows of text under a title; the columns in `numbers` are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()


def tables(conversion: Mapping[str, Any]) -> tuple[Table, ...]:
    """The lists of records first (the verdicts, layer by layer), then everything else as one table."""
    lists = tuple(_records(name, value) for name, value in conversion.items() if _is_records(value))
    rest = [
        (_words(name), _cell(value, name)) for name, value in conversion.items() if not _is_records(value)
    ]
    if not rest:
        return lists
    return (*lists, Table("The conversion as a whole", ("fact", "value"), tuple(rest[:MAX_ROWS])))


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _records(name: str, rows: list[dict[str, Any]]) -> Table:
    columns = list(dict.fromkeys(key for row in rows[:MAX_ROWS] for key in row))[:MAX_COLUMNS]
    cells = tuple(tuple(_cell(row.get(column), column) for column in columns) for row in rows[:MAX_ROWS])
    numbers = frozenset(
        i for i, c in enumerate(columns) if all(_is_number(row.get(c)) for row in rows[:MAX_ROWS])
    )
    return Table(TITLES.get(name, _words(name)), tuple(_words(c) for c in columns), cells, numbers)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: object, name: str = "") -> str:
    if name in FRACTIONS and isinstance(value, float):
        return f"{100 * value:.2f} %"
    return _clip(", ".join(_parts(value)))


def _parts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{_words(str(k))} {_cell(v)}" for k, v in value.items() if v not in (None, "", [], {}))
    elif isinstance(value, list):
        yield from (_cell(v) for v in value)
    elif isinstance(value, bool):
        yield "yes" if value else "no"
    elif isinstance(value, float):
        yield f"{value:.4g}"
    elif isinstance(value, int):
        yield f"{value:,}"
    else:
        yield "" if value is None else str(value)


def _words(name: str) -> str:
    return _clip(name.replace("_", " "))


def _clip(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
