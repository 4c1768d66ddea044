"""Versions of what files hold: each node kind and record has its own, and a file says which ones it needs.

A class begins at version 1. A field that it gains later is marked ``metadata=added(version)`` (`ADDED` for
version 2) and has a default, so that files of all earlier versions open. A file lists the versions that its
content needs, not those of the spikeflow that wrote it: where every field is at its default, an older
spikeflow reads it. What is too new is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, get_args

from spikeflow.ir.codec import added_fields, field_types, is_default


def version_of(cls: Any) -> int:
    """The version of a class: that of its youngest field."""
    return max((_since(field) for field in fields(cls)), default=1)


def _since(field: Any) -> int:
    return int(field.metadata.get("added", 1))


@cache
def known(cls: Any) -> Mapping[str, int]:
    """The version of every class that a file of `cls` may hold, by its name."""
    found: dict[str, int] = {}
    todo: list[Any] = [cls]
    while todo:
        kind = todo.pop()
        if is_dataclass(kind) and isinstance(kind, type) and kind.__name__ not in found:
            found[kind.__name__] = version_of(kind)
            todo += field_types(kind).values()
        elif not isinstance(kind, type):
            todo += (*get_args(kind), *filter(None, [getattr(kind, "item", None)]))
    return MappingProxyType(found)


def needed(record: Any) -> dict[str, int]:
    """The versions that a reader of this record has to know, by the names of the classes in it."""
    found: dict[str, int] = {}
    for value in _records(record):
        cls = type(value)
        added = added_fields(cls)
        used = (_since(f) for n, f in added.items() if not is_default(f, getattr(value, n)))
        found[cls.__name__] = max(found.get(cls.__name__, 1), max(used, default=1))
    return dict(sorted(found.items()))


def _records(value: Any) -> Iterator[Any]:
    if is_dataclass(value):
        yield value
        for name in field_types(type(value)):
            yield from _records(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _records(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _records(item)


def too_new(said: Mapping[str, int], cls: Any) -> str:
    """Why a file that needs these versions cannot be read as a `cls`; empty where it can."""
    for name, version in said.items():
        ours = known(cls).get(name)
        if ours is None:
            return f"a {name}, a kind that this spikeflow does not know"
        if version > ours:
            return f"a {name} of version {version}; this spikeflow knows version {ours}"
    return ""
