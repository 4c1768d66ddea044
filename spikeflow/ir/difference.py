"""The difference of two networks, or of any two of our records, field by field, for people and as data.

Nodes are matched by name, edges by what they join; of arrays it is said how many values differ, and by how
much.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, cast

import numpy as np

from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.program import Program
from spikeflow.ir.show import describe, edge_line, one_line, shape_word, show_program, value_word
from spikeflow.typing import Array

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
WHOLE = 8  # items of numbers or words that are shown as they are
_SIGNS = {ADDED: "+", REMOVED: "-", CHANGED: "~"}


@dataclass(frozen=True)
class ArrayChange:
    """How two arrays of one shape differ.

    Parameters
    ----------
    count : values that differ, of `size`.
    largest : the largest absolute difference.
    rms : root of the mean square of the differences, over all values.
    """

    count: int
    size: int
    largest: float
    rms: float

    def __str__(self) -> str:
        return (
            f"{self.count:,} of {self.size:,} values differ, by {self.largest:.4g} at most (rms "
            f"{self.rms:.4g})"
        )


@dataclass(frozen=True)
class Change:
    """One thing that is not the same.

    Parameters
    ----------
    where : the node, edge or field: ``nodes.hidden.weight``, ``record.steps``, ``edges``.
    kind : ``added``, ``removed`` or ``changed``, seen from the first to the second.
    text : what it was and what it is.
    array : of two arrays of one shape, their difference in numbers.
    """

    where: str
    kind: str
    text: str
    array: ArrayChange | None = None

    def __str__(self) -> str:
        return f"{_SIGNS[self.kind]} {one_line(self.where)}: {one_line(self.text)}"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def difference(a: Any, b: Any) -> tuple[Change, ...]:
    """All that differs between two records of one class, such as two `Network`; empty where they are
    equal.
    """
    return tuple(_changes(a, b, ""))


def _changes(a: Any, b: Any, where: str) -> Iterator[Change]:
    for kind, compare in _FORMS:
        if isinstance(a, kind) and isinstance(b, kind):
            yield from compare(a, b, where)
            return
    if is_dataclass(a) and type(a) is type(b):
        for field in fields(a):
            yield from _changes(getattr(a, field.name), getattr(b, field.name), _inside(where, field.name))
    elif a != b:
        yield Change(where, CHANGED, f"{_said(a)} -> {_said(b)}")


def _texts(a: str, b: str, where: str) -> Iterator[Change]:
    before, after = _data(a), _data(b)
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _mappings(before, after, where)
    elif a != b:
        yield Change(where, CHANGED, f"{a!r} -> {b!r}")


def _data(text: str) -> Any:
    """A note that is data, such as what a conversion told of itself; else the text."""
    try:
        return json.loads(text) if text.startswith("{") else text
    except (ValueError, RecursionError):
        return text


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _said(value: Any) -> str:
    told_whole = isinstance(value, Quantised | Fixed | Program)
    if is_dataclass(value) and not told_whole:
        return "  ".join(describe(cast(Any, value)))
    return repr(value) if isinstance(value, str) else value_word(value)


def _arrays(a: Array, b: Array, where: str) -> Iterator[Change]:
    if a.shape != b.shape:
        yield Change(where, CHANGED, f"shape {shape_word(a.shape)} -> {shape_word(b.shape)}")
        return
    differs = a != b
    if differs.any():
        # in Python's own numbers or in float64: unsigned and 64-bit integers would wrap around
        off = np.abs(a[differs].astype(np.float64) - b[differs].astype(np.float64))
        rms = float(np.sqrt((off**2).sum() / a.size))
        change = ArrayChange(int(differs.sum()), a.size, float(off.max()), rms)
        yield Change(where, CHANGED, str(change), change)
    if a.dtype != b.dtype:
        yield Change(where, CHANGED, f"type {a.dtype} -> {b.dtype}")


def _programs(a: Program, b: Program, where: str) -> Iterator[Change]:
    before, after = show_program(a).splitlines(), show_program(b).splitlines()
    for line in difflib.unified_diff(before, after, lineterm="", n=0):
        if line[:1] in "+-" and line[:3] not in ("+++", "---"):
            yield Change(where, ADDED if line[0] == "+" else REMOVED, line[1:])
    # what the text rounds or leaves out
    if before == after and a != b:
        yield Change(where, CHANGED, "its programs differ in a constant, a table or a slot")


def _graphs(a: Graph, b: Graph, where: str) -> Iterator[Change]:
    if a.digest == b.digest:
        return
    found = list(_mappings(a.nodes, b.nodes, _inside(where, "nodes")))
    found += _edges(a.edges, b.edges, _inside(where, "edges"))
    found += _changes(a.dt, b.dt, _inside(where, "dt"))
    found += _changes(a.integers, b.integers, _inside(where, "integers"))
    yield from found or [Change(_inside(where, "nodes"), CHANGED, "the same nodes in another order")]


def _edges(a: Sequence[Edge], b: Sequence[Edge], where: str) -> Iterator[Change]:
    before, after = Counter(a), Counter(b)
    yield from (Change(where, REMOVED, edge_line(edge)) for edge in (before - after).elements())
    yield from (Change(where, ADDED, edge_line(edge)) for edge in (after - before).elements())
    if before == after and tuple(a) != tuple(b):
        yield Change(where, CHANGED, "the same edges in another order: sums are added up in another one")


def _mappings(a: Mapping[str, Any], b: Mapping[str, Any], where: str) -> Iterator[Change]:
    yield from (Change(_inside(where, n), REMOVED, _said(a[n])) for n in a if n not in b)
    yield from (Change(_inside(where, n), ADDED, _said(b[n])) for n in b if n not in a)
    for name in a:
        if name in b:
            yield from _changes(a[name], b[name], _inside(where, name))


def _sequences(a: Sequence[Any], b: Sequence[Any], where: str) -> Iterator[Change]:
    """Item by item; by their names where all have one."""
    before, after = _by_name(a), _by_name(b)
    if before is not None and after is not None:
        yield from _mappings(before, after, where)
        return
    if all(isinstance(item, str | int | float) for item in (*a, *b)):
        yield from _plain(a, b, where)
        return
    for i, (one, other) in enumerate(zip(a, b, strict=False)):
        yield from _changes(one, other, f"{where}[{i}]")
    if len(a) != len(b):
        yield Change(where, CHANGED, f"{len(a)} items -> {len(b)}")


def _plain(a: Sequence[Any], b: Sequence[Any], where: str) -> Iterator[Change]:
    """Short ones as a whole; of long ones, such as the digests of samples, how many they have in common."""
    if list(a) == list(b):
        return
    if max(len(a), len(b)) <= WHOLE:
        yield Change(where, CHANGED, f"{_listed(a)} -> {_listed(b)}")
        return
    common = (Counter(a) & Counter(b)).total()
    if common == len(a) == len(b):
        yield Change(where, CHANGED, "the same items in another order")
    else:
        yield Change(where, CHANGED, f"{len(a)} items -> {len(b)}, {common} of them in both")


def _listed(items: Sequence[Any]) -> str:
    return f"({', '.join(map(_said, items))})"


def _by_name(items: Sequence[Any]) -> dict[str, Any] | None:
    found = {getattr(item, "name", None): item for item in items}
    named = {name: item for name, item in found.items() if isinstance(name, str)}
    return named if len(named) == len(items) else None


# values of these types are told apart by these functions; others by their fields, or as a whole
_FORMS: tuple[tuple[Any, Callable[[Any, Any, str], Iterator[Change]]], ...] = (
    (np.ndarray, _arrays),
    (Program, _programs),
    (Graph, _graphs),
    (Mapping, _mappings),
    ((tuple, list), _sequences),
    (str, _texts),
)
