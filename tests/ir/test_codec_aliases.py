"""A type written by an alias is the type itself: what is stored and read is the same, whatever numpy calls an array.

numpy 2.5 made `NDArray` a type alias. Drawn: classes of 1 to 4 fields whose types nest up to 3 deep from int, float,
str, bool, arrays, classes, unions with None, tuples of fixed and free length and mappings; each type is put behind an
alias with probability one half; arrays and unions with None are aliases that take an argument.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, make_dataclass
from typing import Any, TypeVar, Union

import numpy as np
import pytest

from spikeflow.ir.codec import decode_record, encode_record

if sys.version_info >= (3, 12):
    from typing import TypeAliasType
else:
    TypeAliasType = pytest.importorskip("typing_extensions").TypeAliasType

T = TypeVar("T")
Scalar = TypeVar("Scalar", bound=np.generic)
Alias = Callable[[Any], Any]
NDArray: Any = TypeAliasType("NDArray", np.ndarray[Any, np.dtype[Scalar]], type_params=(Scalar,))
Maybe: Any = TypeAliasType("Maybe", Union[T, None], type_params=(T,))  # noqa: UP007


@dataclass(frozen=True)
class Point:
    """A class inside another."""

    x: float = 0.0


def _value(draw: np.random.Generator, depth: int, alias: Alias) -> tuple[Any, Any, Any]:
    """A type, the same type with aliases, and a value of it."""
    kind = draw.integers(0, 9 if depth else 6)
    if kind == 8:
        members = [_value(draw, depth - 1, alias) for _ in range(draw.integers(1, 4))]
        plain, named = (tuple(m[k] for m in members) for k in (0, 1))
        return tuple[plain], alias(tuple[named]), tuple(m[2] for m in members)
    if kind >= 6:
        plain, named, value = _value(draw, depth - 1, alias)
        if kind == 6:
            return Union[plain, None], alias(Maybe[named]), value if draw.random() < 0.5 else None  # noqa: UP007
        count = int(draw.integers(0, 3))
        if draw.random() < 0.5:
            return tuple[plain, ...], alias(tuple[named, ...]), (value,) * count
        return Mapping[str, plain], alias(Mapping[str, named]), {f"k{i}": value for i in range(count)}
    leaves: list[tuple[Any, Any]] = [
        (int, int(draw.integers(-9, 9))),
        (float, float(draw.normal())),
        (str, "word"),
        (bool, True),
        (Point, Point(float(draw.normal()))),
        (np.ndarray[Any, np.dtype[Any]], draw.normal(size=3)),
    ]
    plain, value = leaves[kind]
    return plain, alias(NDArray[Any] if kind == 5 else plain), value


def _classes(seed: int) -> tuple[Any, Any, dict[str, Any]]:
    """A class, the same class written with aliases, and values of its fields."""
    draw = np.random.default_rng(seed)

    def alias(kind: Any) -> Any:
        return kind if draw.random() < 0.5 else TypeAliasType("Named", kind)

    fields = {f"f{i}": _value(draw, 3, alias) for i in range(draw.integers(1, 5))}
    plain = make_dataclass("Drawn", [(n, k[0], field()) for n, k in fields.items()], frozen=True, eq=False)
    named = make_dataclass("Drawn", [(n, k[1], field()) for n, k in fields.items()], frozen=True, eq=False)
    return plain, named, {n: k[2] for n, k in fields.items()}


@pytest.mark.parametrize("seed", range(200))
def test_an_alias_changes_neither_what_is_stored_nor_what_is_read(seed: int) -> None:
    plain, named, values = _classes(seed)
    arrays: list[Any] = []
    aliased: list[Any] = []
    stored = encode_record(plain(**values), arrays)
    assert encode_record(named(**values), aliased) == stored
    assert [a.tobytes() for a in arrays] == [a.tobytes() for a in aliased]
    read = decode_record(named, stored, arrays)
    again: list[Any] = []
    assert encode_record(read, again) == stored


def test_numpys_own_alias_is_an_array() -> None:
    kept = make_dataclass(
        "Kept", [("x", np.typing.NDArray[Any]), ("y", np.typing.NDArray[Any] | None)], frozen=True
    )
    arrays: list[Any] = []
    stored = encode_record(kept(np.arange(3.0), np.arange(4)), arrays)
    assert decode_record(kept, stored, arrays).y.tolist() == [0, 1, 2, 3]
