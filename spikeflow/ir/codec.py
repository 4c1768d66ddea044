"""Frozen dataclasses to JSON and a list of arrays, and back, driven by their annotated fields.

What a file says is decoded as the class declares it and in no other way: unknown or missing names, a bool
for an int, a number beyond 64 bits, or an array of another type than the class keeps is a GraphError.

A class may use int, float, str, Literal words, bool, None, Array, tuple, Mapping[str, ...], unions of these,
and other such classes. A field that a class gained after its first files is marked ``metadata=ADDED``: it is
left out where it holds its default, so that old files open and the text, and with it every digest, of an
unchanged value stays what it was. An array of a field marked `stored` is written in that type, however narrow
it is held, for the same reason. Among several members of a union a class is written as ``{"ClassName":
{...}}``; an array is always ``{"array": index}``. Mappings are written in the order of their names, so that
equal values have equal text; one of a field marked `ordered`, such as the nodes of a graph, keeps its order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from spikeflow.errors import GraphError, SpikeflowError
from spikeflow.ir.arrays import Array, frozen

Json = Any
T = TypeVar("T")

MAX_ITEMS = 2**20
MAX_TEXT = 2**16
ARRAY_TYPES = frozenset(
    np.dtype(t) for t in ("i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")
)
# tab and newline are text; other control characters would reach the terminal of whoever shows the file
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def encoded(record: object) -> tuple[Json, list[Array]]:
    """Any frozen dataclass as JSON and arrays; equal records give equal results."""
    arrays: list[Array] = []
    return encode_record(record, arrays), arrays


def encode_record(record: object, arrays: list[Array]) -> Json:
    """Any frozen dataclass as JSON; its arrays are appended to `arrays`."""
    return encode_value(type(record), record, arrays, type(record).__name__)


def decode_record(cls: type[T], manifest: Json, arrays: Sequence[Array]) -> T:
    """The `cls` that `encode_record` wrote into `manifest` and `arrays`.

    Written again it must give the same text and arrays: so an array that the class would have converted,
    one that is used twice and one that nothing uses are refused.
    """
    record: T = decode_value(cls, manifest, arrays, cls.__name__)
    again: list[Array] = []
    same = encode_record(record, again) == manifest and len(again) == len(arrays)
    if not same or any(a.dtype != b.dtype or a.shape != b.shape for a, b in zip(again, arrays, strict=True)):
        raise GraphError(cls.__name__, "is not written as spikeflow writes it")
    return record


def encode_value(kind: Any, value: Any, arrays: list[Array], where: str = "value") -> Json:
    """One value of an annotated type as JSON."""
    if isinstance(kind, _Ordered):
        return [[_text(n, n), encode_value(kind.item, item, arrays, n)] for n, item in value.items()]
    if is_dataclass(kind):
        return _encode_fields(kind, value, arrays, where)
    if _is_union(kind):
        return _encode_union(kind, value, arrays, where)
    origin = get_origin(kind)
    if origin is np.ndarray:
        arrays.append(_checked_array(value, where))
        return {"array": len(arrays) - 1}
    if origin is tuple and isinstance(value, tuple):
        items = zip(_item_types(kind, len(value), where), value, strict=True)
        return [encode_value(k, v, arrays, f"{where}[{i}]") for i, (k, v) in enumerate(items)]
    if origin is Mapping and isinstance(value, Mapping):
        item = get_args(kind)[1]
        _check_length(len(value), where)
        names = sorted(_text(name, where) for name in value)
        return {name: encode_value(item, value[name], arrays, f"{where}.{name}") for name in names}
    return _scalar(kind, _plain(kind, value), where)


def decode_value(kind: Any, data: Json, arrays: Sequence[Array], where: str = "value") -> Any:
    """One value of an annotated type from JSON."""
    if isinstance(kind, _Ordered):
        return _decode_ordered(kind, data, arrays, where)
    if is_dataclass(kind):
        return _decode_fields(kind, data, arrays, where)
    if _is_union(kind):
        return _decode_union(kind, data, arrays, where)
    origin = get_origin(kind)
    if origin is np.ndarray:
        return _decode_array(data, arrays, where)
    if origin is tuple:
        items = zip(_item_types(kind, len(_expect(list, data, where)), where), data, strict=True)
        return tuple(decode_value(k, v, arrays, f"{where}[{i}]") for i, (k, v) in enumerate(items))
    if origin is Mapping:
        item = get_args(kind)[1]
        _check_length(len(_expect(dict, data, where)), where)
        names = [_text(name, where) for name in data]
        return MappingProxyType({n: decode_value(item, data[n], arrays, f"{where}.{n}") for n in names})
    return _scalar(kind, data, where)


# --- classes ---


@dataclass(frozen=True)
class _Ordered:
    """The type of a mapping that keeps its order: written as a list of names and values."""

    item: Any


@cache
def field_types(cls: Any) -> Mapping[str, Any]:
    """The type of each field that is written, in the order in which it is."""
    hints = get_type_hints(cls)
    kinds = {f.name: _without_aliases(hints[f.name]) for f in fields(cls) if f.init}
    ordered = {f.name: _Ordered(get_args(kinds[f.name])[1]) for f in fields(cls) if f.metadata.get("ordered")}
    # a class may be written in another order than that of its arguments
    order = getattr(cls, "WRITTEN", tuple(kinds))
    return MappingProxyType({name: ordered.get(name, kinds[name]) for name in order})


def _without_aliases(kind: Any) -> Any:
    """The type that an alias stands for, inside unions, tuples and mappings too.

    ``type`` statements, and numpy's `NDArray` since numpy 2.5, are objects of their own: `get_origin` answers
    None for one, and the alias itself for one with arguments.
    """
    origin: Any = get_origin(kind)
    arguments = get_args(kind)
    alias = kind if origin is None else origin
    if hasattr(alias, "__value__"):  # typing's TypeAliasType, or that of typing_extensions before Python 3.12
        return _without_aliases(alias.__value__[arguments] if arguments else alias.__value__)
    if origin in (Union, UnionType):
        return Union[tuple(_without_aliases(member) for member in arguments)]  # noqa: UP007
    if origin in (tuple, Mapping):
        members = tuple(a if a is Ellipsis else _without_aliases(a) for a in arguments)
        return _subscripted(origin, members)
    return kind


def _subscripted(generic: Any, members: tuple[Any, ...]) -> Any:
    return generic[members]


@cache
def added_fields(cls: Any) -> Mapping[str, Field[Any]]:
    """The fields that files of the first version do not have."""
    return MappingProxyType({f.name: f for f in fields(cls) if f.init and f.metadata.get("added")})


@cache
def _stored(cls: Any) -> Mapping[str, Any]:
    """The fields whose arrays have one type in files, by that type."""
    return MappingProxyType({f.name: f.metadata["stored"] for f in fields(cls) if "stored" in f.metadata})


def _widened(value: Any, dtype: Any) -> Any:
    return value if dtype is None or not isinstance(value, np.ndarray) else frozen(value, dtype)


def is_default(field: Field[Any], value: object) -> bool:
    """Whether a field holds what it has where nothing is said."""
    default = field.default if field.default_factory is MISSING else field.default_factory()
    plain = isinstance(value, bool | int | float | str | tuple | Mapping)
    return value is default or (plain and bool(value == default))


def _encode_fields(cls: Any, value: object, arrays: list[Array], where: str) -> Json:
    if type(value) is not cls:
        raise GraphError(where, f"is a {type(value).__name__}, not a {cls.__name__}")
    added, wide = added_fields(cls), _stored(cls)
    kept = {
        n: (k, _widened(getattr(value, n), wide.get(n)))
        for n, k in field_types(cls).items()
        if n not in added or not is_default(added[n], getattr(value, n))
    }
    return {n: encode_value(k, v, arrays, f"{where}.{n}") for n, (k, v) in kept.items()}


def _decode_fields(cls: Any, data: Json, arrays: Sequence[Array], where: str) -> Any:
    kinds = field_types(cls)
    given = _expect(dict, data, where).keys()
    if given - kinds.keys() or kinds.keys() - added_fields(cls).keys() - given:
        raise GraphError(where, f"a {cls.__name__} has the fields {', '.join(kinds)}, no more and no fewer")
    values = {n: decode_value(k, data[n], arrays, f"{where}.{n}") for n, k in kinds.items() if n in data}
    try:
        return cls(**values)
    except SpikeflowError:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        reason = f"holds values that a {cls.__name__} cannot have ({type(error).__name__})"
        raise GraphError(where, reason) from error


def _decode_ordered(kind: _Ordered, data: Json, arrays: Sequence[Array], where: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    _check_length(len(_expect(list, data, where)), where)
    for item in data:
        if len(_expect(list, item, where)) != 2:
            raise GraphError(where, "an item is a name and a value")
        name = _text(item[0], where)
        if name in found:
            raise GraphError(name, "two have this name")
        found[name] = decode_value(kind.item, item[1], arrays, name)
    return found


# --- unions ---


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _several(kind: Any) -> bool:
    return sum(member is not NoneType for member in get_args(kind)) > 1


def _class_name(member: Any) -> str:
    return str(member.__name__)


def _holds(member: Any, value: object) -> bool:
    origin = get_origin(member) or member
    if origin is float:
        return isinstance(value, float | np.floating)
    if origin is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    return type(value) is origin if is_dataclass(origin) else isinstance(value, origin)


def _encode_union(kind: Any, value: Any, arrays: list[Array], where: str) -> Json:
    for member in get_args(kind):
        if _holds(member, value):
            data = encode_value(member, value, arrays, where)
            return {_class_name(member): data} if is_dataclass(member) and _several(kind) else data
    raise GraphError(where, f"a {type(value).__name__} is none of the types that belong here")


_JSON_TYPES: Mapping[Any, type] = MappingProxyType(
    {NoneType: NoneType, int: int, float: float, str: str, bool: bool, tuple: list}
)  # all others: dict


def _could_be(member: Any, data: Json) -> bool:
    return type(data) is _JSON_TYPES.get(get_origin(member) or member, dict)


def _decode_union(kind: Any, data: Json, arrays: Sequence[Array], where: str) -> Any:
    named = type(data) is dict and len(data) == 1
    for member in get_args(kind):
        if is_dataclass(member) and _several(kind):
            if named and _class_name(member) in data:
                return decode_value(member, data[_class_name(member)], arrays, where)
        # beside a class, which is {"Name": ...}, an array is only {"array": ...}
        elif _could_be(member, data) and (get_origin(member) is not np.ndarray or "array" in data):
            return decode_value(member, data, arrays, where)
    if named and (name := next(iter(data))) != "array":
        raise GraphError(where, f"is a {name[:40]!r}, a kind that this spikeflow does not know")
    raise GraphError(where, "is none of the kinds that belong here")


# --- leaves ---


def _expect(kind: type[T], data: Json, where: str) -> T:
    if type(data) is not kind:
        raise GraphError(where, f"holds a {type(data).__name__} where a {kind.__name__} belongs")
    return data


def _check_length(length: int, where: str) -> None:
    if length > MAX_ITEMS:
        raise GraphError(where, f"{length} items; at most {MAX_ITEMS} are allowed")


def _text(value: Json, where: str) -> str:
    text = _expect(str, value, where)
    if len(text) > MAX_TEXT or _CONTROL.search(text):
        raise GraphError(repr(where), f"text of more than {MAX_TEXT} characters or with control characters")
    return text


def _plain(kind: Any, value: Any) -> Any:
    # our own code may hold numpy's numbers, and whole numbers for real ones; a file has no such excuse
    if kind is float and isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, np.integer):
        return int(value)
    return value


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is str:
        return _text(value, where)
    if get_origin(kind) is Literal:
        if _text(value, where) not in get_args(kind):
            raise GraphError(where, f"holds {value!r} where one of {', '.join(get_args(kind))} belongs")
        return value
    if kind not in (int, float, bool, NoneType):
        raise GraphError(where, f"holds a {type(value).__name__} where {kind} belongs")
    _expect(kind, value, where)
    if (kind is int and not -(2**63) <= value < 2**63) or (kind is float and not math.isfinite(value)):
        raise GraphError(where, "a number that is not finite or beyond 64 bits")
    return value


def _item_types(kind: Any, length: int, where: str) -> tuple[Any, ...]:
    _check_length(length, where)
    items = get_args(kind)
    if len(items) == 2 and items[1] is Ellipsis:
        return (items[0],) * length
    if items and len(items) != length:
        raise GraphError(where, f"{length} items where {len(items)} belong")
    return items


def _checked_array(value: Any, where: str) -> Array:
    known = type(value) is np.ndarray and value.dtype.newbyteorder("<") in ARRAY_TYPES
    if not known or value.ndim > 8:
        raise GraphError(where, "is not an array of plain numbers of at most 8 dimensions")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise GraphError(where, "holds NaN or infinite values")
    return frozen(value, value.dtype.newbyteorder("<"))


def _decode_array(data: Json, arrays: Sequence[Array], where: str) -> Array:
    if _expect(dict, data, where).keys() != {"array"}:
        raise GraphError(where, "is not an array")
    index = _expect(int, data["array"], where)
    if not 0 <= index < len(arrays):
        raise GraphError(where, f"array {index} does not exist; there are {len(arrays)}")
    return _checked_array(arrays[index], where)
