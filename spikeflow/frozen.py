"""Frozen: an immutable record that pickles and copies through its constructor.

So what comes back was checked like any other, its arrays are read-only again, and nothing derived travels
along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

# a field that a class gained after its first files; see spikeflow.ir.codec
ADDED: Mapping[str, Any] = MappingProxyType({"added": 2})


def added(version: int) -> Mapping[str, Any]:
    """What marks a field that its class gained with a version above 2 (`ADDED`); see
    ``spikeflow.ir.versions``.
    """
    return MappingProxyType({"added": version})


class Frozen:
    """Base of frozen dataclasses, read-only mappings among their fields included, for pickle and deepcopy."""

    def __reduce__(self) -> tuple[Any, ...]:
        held = {f.name: getattr(self, f.name) for f in fields(self) if f.init}  # type: ignore[arg-type]
        mappings = tuple(name for name, value in held.items() if isinstance(value, MappingProxyType))
        return _made, (type(self), {**held, **{name: dict(held[name]) for name in mappings}}, mappings)


def _made(cls: type, held: dict[str, Any], mappings: tuple[str, ...]) -> Any:
    return cls(**{**held, **{name: MappingProxyType(held[name]) for name in mappings}})
