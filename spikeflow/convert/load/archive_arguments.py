"""The arguments of an archive's operations: values made before, sizes, numbers and words of torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from spikeflow.convert.load.archive_fields import Fields
from spikeflow.convert.load.archive_tensors import STRIDED, TYPES
from spikeflow.convert.load.zipped import StoredZip
from spikeflow.convert.trace.atengraph import Ref, sized
from spikeflow.errors import UnsupportedLayer

_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
_NAMED_FLOATS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


class Arguments(Fields):
    """Reads arguments; `known` and `symbols` are the values and sizes that have been made so far."""

    def __init__(self, archive: StoredZip) -> None:
        super().__init__(archive)
        self.symbols: dict[str, int | float | bool] = {}
        self.known: set[str] = set()

    def arguments(self, inputs: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and named arguments of an operation."""
        args, kwargs = [], {}
        for item in inputs:
            value = self.argument(self.member(item, "arg", dict))
            if item.get("kind") == 2:
                kwargs[self.name(item)] = value
            else:
                args.append(value)
        return tuple(args), kwargs

    def argument(self, argument: Any) -> Any:
        """One argument, of any kind that is plain data."""
        kind, value = self.one(argument)
        if kind in _SINGLE:
            return _SINGLE[kind](self, value)
        if kind == "as_graph":
            return "a graph"  # never read: capture refuses the operations that take one, by name
        if kind not in _SEVERAL:
            raise UnsupportedLayer(
                "the archive", f"an argument of kind {kind[:40]!r}", "plain operations of torch"
            )
        if type(value) is not list:
            self.bad(f"{kind!r} is no list")
        return tuple(_SEVERAL[kind](self, item) for item in value)

    def ref(self, value: Any) -> Ref:
        """A value that was made before."""
        name = self.name(value)
        return (
            Ref(name)
            if name in self.known
            else self.bad(f"the value {name[:60]!r} is used before it is made")
        )

    def choice(self, value: Any) -> Any:
        """One of several written as a record: a tensor or none, a named size or a number."""
        kind, found = self.one(value)
        if kind == "as_name":
            if type(found) is not str or found not in self.symbols:
                self.bad("an unknown size is named")
            return sized(self.symbols[found], found)
        if kind not in ("as_tensor", "as_none", "as_int", "as_float", "as_bool"):
            self.bad(f"{kind[:40]!r} stands where a value should")
        return self.argument(value)

    def exactly(self, kind: type) -> Callable[[Any], Any]:
        """A reader of values of exactly this type."""
        return lambda value: value if type(value) is kind else self.bad(f"an argument is no {kind.__name__}")

    def whole(self, value: Any) -> int:
        """A whole number of 64 bits."""
        fits = type(value) is int and -(2**63) <= value < 2**63
        return value if fits else self.bad("an argument is no whole number of 64 bits")

    def number(self, value: Any) -> float:
        """A number; those that JSON lacks are written as words."""
        if type(value) is str and value in _NAMED_FLOATS:
            return _NAMED_FLOATS[value]
        return float(value) if type(value) in (int, float) else self.bad("an argument is no number")

    def word(self, value: Any, table: dict[int, str]) -> str:
        """What a number of torch stands for."""
        return (
            table[value] if type(value) is int and value in table else self.bad("an unknown type or layout")
        )


_Read = Callable[[Arguments, Any], Any]
_SINGLE: dict[str, _Read] = {
    "as_none": lambda reader, value: None,
    "as_tensor": Arguments.ref,
    "as_int": Arguments.whole,
    "as_float": Arguments.number,
    "as_bool": lambda reader, value: reader.exactly(bool)(value),
    "as_string": lambda reader, value: reader.exactly(str)(value),
    "as_sym_int": Arguments.choice,
    "as_sym_float": Arguments.choice,
    "as_sym_bool": Arguments.choice,
    "as_optional_tensor": Arguments.choice,
    "as_scalar_type": lambda reader, value: reader.word(
        value, {key: name for key, (name, _) in TYPES.items()}
    ),
    "as_memory_format": lambda reader, value: reader.word(value, _FORMATS),
    "as_layout": lambda reader, value: reader.word(value, {STRIDED: "strided"}),
    "as_device": lambda reader, value: reader.member(value, "type", str),
}
_SEVERAL: dict[str, _Read] = {
    "as_tensors": Arguments.ref,
    "as_ints": _SINGLE["as_int"],
    "as_floats": _SINGLE["as_float"],
    "as_bools": _SINGLE["as_bool"],
    "as_strings": _SINGLE["as_string"],
    "as_sym_ints": Arguments.choice,
    "as_sym_floats": Arguments.choice,
    "as_sym_bools": Arguments.choice,
    "as_optional_tensors": Arguments.choice,
}
