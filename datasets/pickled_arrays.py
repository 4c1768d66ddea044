"""Data sets that their makers pickled: numbers, words, lists, dictionaries and numpy arrays, read without running anything.

A pickle is a program for a small stack machine. This machine imports nothing and calls nothing: of the names a pickle
mentions it knows only those by which numpy writes an array, and makes such arrays of their bytes itself.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import FileError, UnsafeFile

Array = npt.NDArray[Any]
MAX_OPCODES = 4_000_000
MAX_DEPTH = 32
HINT = "the form of this data set without pickles, or numpy.savez in an environment that you trust"

_MARK = object()
_NUMPY = tuple(f"numpy{core}.multiarray" for core in (".core", "._core"))
_NAMES = {
    **{f"{module}.{name}": name for module in _NUMPY for name in ("_reconstruct", "scalar")},
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "_codecs.encode": "encode",  # how Python 3 writes bytes for Python 2
}


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
        Where it is damaged, too long, or an array's bytes do not fit its shape.
    """
    machine = _Machine(path)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(raw))):
            if count >= MAX_OPCODES:
                raise FileError(path, f"a pickle of more than {MAX_OPCODES} instructions")
            machine.step(opcode.name, argument)
        return _finished(machine.pop(), path, {})
    except FileError:
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        EOFError,
        OverflowError,
        RecursionError,
    ) as e:
        raise FileError(path, f"a damaged pickle ({e})") from None


class _Machine:
    def __init__(self, path: object) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def step(self, name: str, argument: Any) -> None:
        """One instruction."""
        if name in _IGNORED:
            return
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        else:
            raise UnsafeFile(self.path, f"a pickle with the instruction {name}", HINT)


def _put(machine: _Machine, argument: Any) -> None:
    machine.memo[argument] = machine.stack[-1]


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: _Machine, argument: Any) -> None:
    machine.stack.append(machine.memo[argument])


def _tuple(count: int) -> Callable[[_Machine, Any], None]:
    def action(machine: _Machine, _: Any) -> None:
        items = [machine.pop() for _ in range(count)][::-1]
        machine.stack.append(tuple(items))

    return action


def _tuple_since_mark(machine: _Machine, _: Any) -> None:
    machine.stack.append(tuple(machine.since_mark()))


def _append(machine: _Machine, _: Any) -> None:
    item = machine.pop()
    _list(machine).append(item)


def _appends(machine: _Machine, _: Any) -> None:
    items = machine.since_mark()
    _list(machine).extend(items)


def _list(machine: _Machine) -> list[Any]:
    if not isinstance(machine.stack[-1], list):
        raise ValueError("items for what is no list")
    return machine.stack[-1]


def _setitem(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    _set(machine, [key, value])


def _setitems(machine: _Machine, _: Any) -> None:
    _set(machine, machine.since_mark())


def _set(machine: _Machine, pairs: list[Any]) -> None:
    if not isinstance(machine.stack[-1], dict):
        raise ValueError("items for what is no dictionary")
    machine.stack[-1].update(zip(pairs[::2], pairs[1::2], strict=True))


def _global(machine: _Machine, argument: Any) -> None:
    _name(machine, argument.replace(" ", "."))


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    _name(machine, f"{module}.{name}")


def _name(machine: _Machine, name: str) -> None:
    if name not in _NAMES:
        raise UnsafeFile(machine.path, f"a pickle that wants {name}, which would have to run code", HINT)
    machine.stack.append(_Name(_NAMES[name]))


def _reduce(machine: _Machine, _: Any) -> None:
    arguments, called = machine.pop(), machine.pop()
    if not isinstance(called, _Name) or not isinstance(arguments, tuple):
        raise ValueError("a call of what is no name")
    if called.name == "_reconstruct":
        made: Any = _Pending()
    elif called.name == "dtype":
        made = _Type(_number_type(arguments[0]))
    elif called.name == "scalar":
        made = np.frombuffer(arguments[1], arguments[0].dtype)[0].item()
    elif called.name == "encode" and arguments[1:] == ("latin1",):
        made = arguments[0].encode("latin1")
    else:
        raise UnsafeFile(machine.path, f"a pickle that calls {called.name}", HINT)
    machine.stack.append(made)


def _number_type(word: Any) -> np.dtype[Any]:
    dtype = np.dtype(word.decode("ascii") if isinstance(word, bytes) else str(word))
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise ValueError(f"values of type {dtype}")
    return dtype


def _build(machine: _Machine, _: Any) -> None:
    state, target = machine.pop(), machine.stack[-1]
    if isinstance(target, _Type):
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        target.dtype = target.dtype.newbyteorder(order if order in ("<", ">") else "=")
    elif isinstance(target, _Pending):
        _, shape, kind, fortran, data = state
        if not isinstance(data, bytes) or len(data) != prod(shape) * kind.dtype.itemsize:
            raise ValueError("an array whose bytes do not fit its shape")
        target.value = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if fortran else "C")
    else:
        raise UnsafeFile(machine.path, "a pickle that gives a state to something else than an array", HINT)


def _finished(value: Any, path: object, done: dict[int, Any], depth: int = 0) -> Any:
    """The value with arrays in place of pending ones, at any depth; names and types never get out.

    `done` keeps what was finished, so that a value that many others hold is gone through once.
    """
    if depth > MAX_DEPTH:
        raise FileError(path, f"a pickle nested more than {MAX_DEPTH} deep")
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, dict):
        out: Any = {k: _finished(v, path, done, depth + 1) for k, v in value.items()}
    elif isinstance(value, list | tuple):
        out = type(value)(_finished(v, path, done, depth + 1) for v in value)
    elif isinstance(value, _Pending) and value.value is not None:
        out = value.value
    elif value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    else:
        raise FileError(path, "a pickle that leaves something unfinished")
    done[id(value)] = out
    return out


_IGNORED = {"PROTO", "FRAME", "STOP"}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG1", "FLOAT", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}


def _old_string(machine: _Machine, argument: Any) -> None:
    machine.stack.append(argument.encode("latin1"))


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), _old_string),
    "MEMOIZE": _memoize,
    "TUPLE": _tuple_since_mark,
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
}
