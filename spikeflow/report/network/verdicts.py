"""What a conversion said of itself, as tables: facts in one, every list of records in a table of its own.

The note comes from a file and may hold any JSON; nothing here expects more than that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spikeflow.ir.interval import of_samples, shown

MAX_ROWS = 2000
MAX_COLUMNS = 16
MAX_TEXT = 300
_PARTS = ("clipping", "rounding", "unevenness", "inherited", "error")
FRACTIONS = frozenset({"ann_accuracy", "clipped", "zeros", *_PARTS})  # of the conversion's own report
TITLES = {
    "verdicts": "What became of every operation",
    "layers": "Spiking layers and their thresholds",
    "errors": "Where each layer loses, as shares of its activations",
}


@dataclass(frozen=True)
class Table:
    """Rows of text under a title; the columns in `numbers` are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()


def read_conversion(notes: Mapping[str, str]) -> dict[str, Any]:
    """What the conversion wrote about itself into the run record; empty where that is no JSON object."""
    try:
        found = json.loads(notes.get("conversion", "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def over_steps(conversion: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Points (steps, share) of the curves that the note holds, by what they are: agreement with the ANN and
    error over the steps, and agreement over the mean steps of an early exit; without what is no such point.
    """
    fidelity, read = (_part(conversion, name) for name in ("fidelity", "read_out"))
    curve = _part(read, "exit").get("curve")
    points = [p for p in curve if isinstance(p, dict)] if isinstance(curve, list) else []
    found = {
        "agreement with the ANN": list(_part(fidelity, "over_steps").items()),
        "error of the outputs": list(_part(fidelity, "error_over_steps").items()),
        "agreement over mean steps, early exit": [(p.get("mean_steps"), p.get("agreement")) for p in points],
    }
    drawn = {title: sorted(filter(None, map(_point, pairs))) for title, pairs in found.items()}
    return {title: pairs[:MAX_ROWS] for title, pairs in drawn.items() if pairs}


def _part(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, dict) else {}


def _point(pair: tuple[Any, Any]) -> tuple[float, float] | None:
    """A step above 0 and a finite share not below 0; None for anything else."""
    try:
        steps, share = float(pair[0]), float(pair[1])
    except (TypeError, ValueError, OverflowError):
        return None
    return (steps, share) if 1 <= steps <= 2**20 and 0 <= share <= 2**20 else None


def tables(conversion: Mapping[str, Any]) -> tuple[Table, ...]:
    """The lists of records first (the verdicts, layer by layer), then everything else as one table."""
    lists = tuple(_records(name, value) for name, value in conversion.items() if _is_records(value))
    rest = [
        _fact(name, value, conversion.get("samples"))
        for name, value in conversion.items()
        if not _is_records(value)
    ]
    if not rest:
        return lists
    return (*lists, Table("The conversion as a whole", ("fact", "value"), tuple(rest[:MAX_ROWS])))


def _fact(name: str, value: object, samples: object) -> tuple[str, str]:
    """One fact in words; shares of samples with their number and interval, where the note holds what that
    takes.
    """
    if name == "ann_accuracy" and _is_share(value) and _is_count(samples):
        share = of_samples(float(value), int(samples))  # type: ignore[arg-type, call-overload]
        return "accuracy of the ANN on the calibration samples", share
    if name == "fidelity" and isinstance(value, dict):
        share, low, high, held = (value.get(k) for k in ("agreement", "low", "high", "samples"))
        if _is_share(share) and _is_share(low) and _is_share(high) and _is_count(held):
            alike = shown(float(share), (float(low), float(high)))  # type: ignore[arg-type]
            return "answers as the ANN", f"{alike} of {held:,} samples that set no threshold"
        return "answers as the ANN", "not measured"
    return _words(name), _cell(value, name)


def _is_share(value: object) -> bool:
    return _is_number(value) and value is not None and 0 <= value <= 1  # type: ignore[operator]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 2**53


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
