"""Data sets that their makers pickled: numbers, words, lists, dictionaries and numpy arrays, read without
running anything.

The dialect of numpy for the machine of `files.pickles`: of the names a pickle mentions it knows only those by
which numpy writes an array, and makes such arrays of their bytes itself.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from spikeflow.errors import FileError, UnsafeFile
from spikeflow.files.pickles import Machine
from spikeflow.typing import Array

MAX_DEPTH = 32
MAX_DIMENSIONS = 16
RECORD = 600  # bytes of an array beside its values
HINT = "the form of this data set without pickles, or numpy.savez in an environment that you trust"

_NUMPY = tuple(f"numpy{core}.multiarray" for core in (".core", "._core"))
_NAMES = {
    **{f"{module}.{name}": name for module in _NUMPY for name in ("_reconstruct", "scalar")},
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "_codecs.encode": "encode",  # how Python 3 writes bytes for Python 2
}
_NUMBERS = re.compile(r"[<>=|]?[buif][1248]")


@dataclass(frozen=True)
class _Name:
    name: str


@dataclass
class _Type:
    dtype: np.dtype[Any]


@dataclass
class _Pending:
    """An array of which the values are still to come."""

    value: Array | None = None


def load_pickled(raw: bytes, path: object) -> Any:
    """What a pickle holds; strings of Python 2 become `bytes`.

    Raises
    ------
    UnsafeFile
        Where it mentions anything else than numpy's arrays: to load that would run code.
    FileError
        Where it is damaged, asks for more than its size explains, or an array's bytes do not fit its shape.
    """
    machine = _Machine(path, len(raw))
    held = machine.run(io.BytesIO(raw))
    try:
        return _finished(held, machine, {})
    except RecursionError:
        raise FileError(path, "a damaged pickle") from None


class _Machine(Machine):
    """The dialect: arrays, their types and their scalars."""

    def refuse(self, what: str) -> UnsafeFile:
        return UnsafeFile(self.path, f"a pickle that would have to run code: {what}", HINT)

    def old_text(self, text: str) -> bytes:
        return text.encode("latin1")

    def mention(self, name: str) -> _Name:
        if name not in _NAMES:
            raise self.refuse(f"it wants {name[:100]}")
        return _Name(_NAMES[name])

    def called(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise ValueError("a call of what is no name")
        self.budget.spend(RECORD)
        if function.name == "_reconstruct":
            return _Pending()
        if function.name == "dtype":
            return _Type(_number_type(arguments[0]))
        if function.name == "scalar":
            return np.frombuffer(arguments[1], arguments[0].dtype)[0].item()
        if function.name == "encode" and arguments[1:] == ("latin1",):
            self.budget.spend(len(arguments[0]))
            return arguments[0].encode("latin1")
        raise self.refuse(f"it calls {function.name}")

    def set_up(self, target: Any, state: Any) -> None:
        if isinstance(target, _Type):
            order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
            target.dtype = target.dtype.newbyteorder(order if order in ("<", ">") else "=")
        elif isinstance(target, _Pending):
            target.value = _array(state)
        else:
            raise self.refuse("it gives a state to something else than an array")


def _number_type(word: Any) -> np.dtype[Any]:
    text = word.decode("ascii") if isinstance(word, bytes) else word
    if not _NUMBERS.fullmatch(text):
        raise ValueError("values that are no numbers")
    return np.dtype(text)


def _array(state: Any) -> Array:
    _, shape, kind, fortran, data = state
    if len(shape) > MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("an array of no shape")
    if not isinstance(data, bytes) or len(data) != prod(shape) * kind.dtype.itemsize:
        raise ValueError("an array whose bytes do not fit its shape")
    return np.frombuffer(data, kind.dtype).reshape(shape, order="F" if fortran else "C")


def _finished(value: Any, machine: Machine, done: dict[int, Any], depth: int = 0) -> Any:
    """The value with arrays in place of pending ones, at any depth; names and types never get out.

    `done` keeps what was finished, so that a value that many others hold is gone through once.
    """
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if depth > MAX_DEPTH:
        raise FileError(machine.path, f"a pickle nested more than {MAX_DEPTH} deep")
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, dict | list | tuple):
        machine.budget.spend(RECORD // 2 + 40 * len(value))
    if isinstance(value, dict):
        out: Any = {k: _finished(v, machine, done, depth + 1) for k, v in value.items()}
    elif isinstance(value, list | tuple):
        out = type(value)([_finished(v, machine, done, depth + 1) for v in value])
    elif isinstance(value, _Pending) and value.value is not None:
        out = value.value
    else:
        raise FileError(machine.path, "a pickle that leaves something unfinished")
    done[id(value)] = out
    return out
