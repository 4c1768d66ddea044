"""A reader of pickles that builds inert records: it imports nothing, calls nothing, makes nothing of torch.

A pickle is a program for a small stack machine. The machine here knows the few instructions that `torch.save`
writes; the names a pickle mentions stay text. What comes out are numbers, strings, lists, dictionaries and
the records below, which other files then check field by field.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from spikeflow.errors import FileError, UnsafeFile

MAX_OPCODES = 4_000_000
MAX_BITS = 128  # the longest whole number torch writes is its 80-bit magic number
MAX_DIMENSIONS = 16
MAX_ELEMENTS = 2**48

# storage class -> (type of its values, bytes each)
STORAGES = {
    "torch.FloatStorage": ("float32", 4),
    "torch.DoubleStorage": ("float64", 8),
    "torch.HalfStorage": ("float16", 2),
    "torch.BFloat16Storage": ("bfloat16", 2),
    "torch.LongStorage": ("int64", 8),
    "torch.IntStorage": ("int32", 4),
    "torch.ShortStorage": ("int16", 2),
    "torch.CharStorage": ("int8", 1),
    "torch.ByteStorage": ("uint8", 1),
    "torch.BoolStorage": ("bool", 1),
}

_OWN_CLASS = (
    "save the network with torch.export.save(torch.export.export(model, (example,)), 'net.pt2'), "
    "or save model.state_dict() and name the function that builds it with --arch package.module:function"
)


@dataclass(frozen=True, eq=False)
class Named:
    """A class or function that the pickle mentions: its name, nothing else."""

    name: str


@dataclass(eq=False)
class Instance:
    """A layer that the pickle holds: the name of its class and, once read, its fields."""

    kind: str
    fields: dict[Any, Any] | None = None


class Ordered(dict[Any, Any]):
    """Stands for an OrderedDict; attributes that the pickle hangs onto it are dropped."""


@dataclass(frozen=True, eq=False)
class Storage:
    """Values kept outside the pickle under `key`: their type and how many."""

    key: str
    dtype: str
    width: int
    count: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage whose every element lies in it."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool = False


@dataclass
class Pickle:
    """What one pickle holds, and the storages it mentions by key."""

    root: object
    storages: dict[str, Storage] = field(default_factory=dict)


def misplaced(count: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> str:
    """Why a strided view does not fit a storage of `count` elements; empty when it does."""
    if len(size) != len(stride) or len(size) > MAX_DIMENSIONS:
        return "a tensor's sizes and strides do not match"
    if any(type(n) is not int or n < 0 for n in (offset, *size, *stride)):
        return "a tensor has a size, stride or offset that is not a whole number from 0 up"
    elements = math.prod(size)
    if elements == 0:
        # A size beside a zero is multiplied into torch's own arithmetic, so it is bounded too.
        return "" if math.prod(max(n, 1) for n in size) <= MAX_ELEMENTS else "an empty tensor claims too much"
    if elements > count:
        return f"a tensor claims {elements} elements and only {count} are stored"
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    return "" if last < count else f"a tensor reaches element {last} of {count}"


def read_pickle(stream: io.BytesIO, path: str, layers: Collection[str]) -> Pickle:
    """Read the one pickle at the stream's position and leave the stream behind it.

    Parameters
    ----------
    layers
        Full names of the classes that may appear as objects.

    Raises
    ------
    UnsafeFile
        The pickle names, calls or builds anything that is not on the lists.
    FileError
        It is damaged.
    """
    machine = _Machine(path, layers)
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if opcode.name == "STOP":
                return Pickle(machine.stack.pop(), machine.storages)
            if number > MAX_OPCODES:
                raise FileError(path, "its pickle is too long")
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError):
        raise FileError(path, "the pickle in it is damaged", "copy or download it again") from None
    raise FileError(path, "the pickle in it ends early", "copy or download it again")


class _Machine:
    """The stack, the marks set on it and the memo; one method for each kind of instruction."""

    def __init__(self, path: str, layers: Collection[str]) -> None:
        self.path, self.layers = path, layers
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}
        self.copied = 0

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _VALUES:
            self._value(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        else:
            raise UnsafeFile(self.path, f"its pickle has the instruction {opcode}, which torch never writes")

    def refuse(self, what: str, hint: str = "") -> UnsafeFile:
        return UnsafeFile(self.path, f"opening it would run code: {what}", hint)

    def copying(self, count: int) -> None:
        """Count items that a call copies: one list in the memo can be named again in a few bytes."""
        self.copied += count
        if self.copied > MAX_OPCODES:
            raise FileError(self.path, "its pickle is too long")

    def _value(self, value: Any) -> None:
        if type(value) is int and value.bit_length() > MAX_BITS:
            raise FileError(self.path, "its pickle has a number that torch never writes")
        self.stack.append(value)

    def _above_mark(self) -> list[Any]:
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def empty(self, kind: type) -> None:
        self.stack.append(kind())

    def put(self, slot: Any) -> None:
        self.memo[len(self.memo) if slot is None else slot] = self.stack[-1]

    def get(self, slot: Any) -> None:
        self.stack.append(self.memo[slot])

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(items)

    def tuple_above_mark(self, _: Any) -> None:
        items = tuple(self._above_mark())
        self.stack.append(items)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise self.refuse(f"values are appended to {_kind(target)}")
        target.extend(items)

    def add(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set or any(type(item) is not str for item in items):
            raise self.refuse("a set holds more than strings")
        target.update(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, Ordered) or len(items) % 2:
            raise self.refuse(f"items are set on {_kind(target)}")
        # Keys of other types could take for ever to hash (tuples of the same tuples).
        if any(type(key) not in (str, int, float, bool, type(None)) for key in items[::2]):
            raise FileError(self.path, "its pickle has a dictionary key that is neither text nor number")
        target.update(zip(items[::2], items[1::2], strict=True))

    def pairs(self, count: int | None) -> None:
        items = self._above_mark() if count is None else [self.stack.pop(-2), self.stack.pop()]
        self.set_items(items)

    def named(self, text: str) -> None:
        module, _, name = text.partition(" ")
        self._mention(module, name)

    def named_on_stack(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise ValueError
        self._mention(module, name)

    def _mention(self, module: str, name: str) -> None:
        full = "builtins.set" if (module, name) == ("__builtin__", "set") else f"{module}.{name}"
        if full not in _CALLS and full not in STORAGES and full not in self.layers:
            if full.startswith("torch.nn."):
                raise UnsafeFile(
                    self.path, f"it holds {full[:100]!r}, a layer that is not on the list", _OWN_CLASS
                )
            raise self.refuse(f"it names {full[:100]!r}, which is not a listed torch layer", _OWN_CLASS)
        self.stack.append(Named(full))

    def new(self, _: Any) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(kind, Named) or kind.name not in self.layers or arguments != ():
            raise self.refuse(f"an object of {_kind(kind)} is made with arguments or of no listed layer")
        self.stack.append(Instance(kind.name))

    def call(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Named) or function.name not in _CALLS or type(arguments) is not tuple:
            raise self.refuse(f"{_kind(function)} is called")
        self.stack.append(_CALLS[function.name](self, arguments))

    def build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(state) is not dict:
            raise self.refuse(f"{_kind(target)} is set up from {_kind(state)}")
        if isinstance(target, Instance) and target.fields is None:
            target.fields = state
        elif not isinstance(target, Ordered):
            raise self.refuse(f"{_kind(target)} is set up")

    def persistent(self, _: Any) -> None:
        reference = self.stack.pop()
        if type(reference) is not tuple or not reference:
            raise ValueError
        if reference[0] == "module" and len(reference) == 4 and isinstance(reference[1], Named):
            self.stack.append(reference[1])  # the older format: a class beside its source text
            return
        self.stack.append(self._storage(reference))

    def _storage(self, reference: tuple[Any, ...]) -> Storage:
        if reference[0] != "storage" or len(reference) not in (5, 6) or reference[5:] not in ((), (None,)):
            raise FileError(
                self.path, "it refers to stored values in a way that is not read", "save it again"
            )
        _, kind, key, _, count = reference[:5]
        if not isinstance(kind, Named) or kind.name not in STORAGES:
            raise FileError(self.path, f"it stores values of {_kind(kind)}, which are not read")
        if type(key) is not str or type(count) is not int or not 0 <= count <= MAX_ELEMENTS:
            raise ValueError
        dtype, width = STORAGES[kind.name]
        known = self.storages.setdefault(key, Storage(key, dtype, width, count))
        if (known.dtype, known.count) != (dtype, count):
            raise FileError(self.path, f"it describes the stored values {key[:40]!r} in two ways")
        return known


def _kind(value: object) -> str:
    """Short words for anything on the stack; never its contents, which may be endless."""
    if isinstance(value, Named):
        return repr(value.name[:100])
    return f"a layer {value.kind}" if isinstance(value, Instance) else f"a {type(value).__name__.lower()}"


def _ordered(machine: _Machine, arguments: tuple[Any, ...]) -> Ordered:
    result = Ordered()
    if arguments:  # Python 2 wrote the items as a list of pairs
        (items,) = arguments
        machine.copying(len(items))
        if type(items) is not list or any(
            type(item) not in (list, tuple) or len(item) != 2 for item in items
        ):
            raise machine.refuse("OrderedDict is called with unusual arguments")
        machine.stack.append(result)
        machine.set_items([part for item in items for part in item])
        machine.stack.pop()
    return result


def _set(machine: _Machine, arguments: tuple[Any, ...]) -> set[str]:
    if len(arguments) != 1 or type(arguments[0]) is not list:
        raise machine.refuse("set is called with something other than one list")
    machine.copying(len(arguments[0]))
    if any(type(item) is not str for item in arguments[0]):
        raise machine.refuse("set is called with more than a list of strings")
    return set(arguments[0])


def _size(machine: _Machine, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) != 1 or type(arguments[0]) not in (list, tuple):
        raise machine.refuse("torch.Size is called with unusual arguments")
    return tuple(arguments[0])


def _device(machine: _Machine, arguments: tuple[Any, ...]) -> str:
    if not arguments or type(arguments[0]) is not str:
        raise machine.refuse("torch.device is called with unusual arguments")
    return arguments[0]


def _tensor(machine: _Machine, arguments: tuple[Any, ...]) -> Tensor:
    storage, offset, size, stride = arguments[:4]
    if not isinstance(storage, Storage) or type(size) is not tuple or type(stride) is not tuple:
        raise machine.refuse("a tensor is rebuilt from unusual arguments")
    if reason := misplaced(storage.count, offset, size, stride):
        raise FileError(machine.path, reason, "copy or download it again, if you trust where it came from")
    return Tensor(storage, offset, size, stride)


def _plain_tensor(machine: _Machine, arguments: tuple[Any, ...]) -> Tensor:
    if len(arguments) != 4:
        raise machine.refuse("a tensor is rebuilt from unusual arguments")
    return _tensor(machine, arguments)


def _tensor_v2(machine: _Machine, arguments: tuple[Any, ...]) -> Tensor:
    if len(arguments) not in (6, 7):
        raise machine.refuse("a tensor is rebuilt from unusual arguments")
    _no_hooks(machine, arguments[5])
    if len(arguments) == 7 and (type(arguments[6]) is not dict or arguments[6]):
        raise FileError(machine.path, "a tensor carries attributes (conjugate, negative), which are not read")
    return _with_grad(_tensor(machine, arguments), arguments[4])


def _parameter(machine: _Machine, arguments: tuple[Any, ...]) -> Tensor:
    if len(arguments) != 3 or not isinstance(arguments[0], Tensor):
        raise machine.refuse("a parameter is rebuilt from unusual arguments")
    _no_hooks(machine, arguments[2])
    return _with_grad(arguments[0], arguments[1])


def _with_grad(tensor: Tensor, wanted: object) -> Tensor:
    return Tensor(tensor.storage, tensor.offset, tensor.size, tensor.stride, wanted is True)


def _no_hooks(machine: _Machine, hooks: object) -> None:
    if hooks is not None and (not isinstance(hooks, dict) or hooks):
        raise machine.refuse("a tensor carries hooks", "remove the hooks and save again")


_Call = Callable[[_Machine, tuple[Any, ...]], Any]
_CALLS: dict[str, _Call] = {
    "collections.OrderedDict": _ordered,
    "builtins.set": _set,
    "torch.Size": _size,
    "torch.device": _device,
    "torch._utils._rebuild_tensor": _plain_tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_parameter": _parameter,
}

_VALUE_OPCODES = (
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8"
)
_VALUES = frozenset(_VALUE_OPCODES.split())
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}

_Step = Callable[[_Machine, Any], None]
_STEPS: dict[str, _Step] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": _Machine.mark,
    "EMPTY_LIST": lambda machine, _: machine.empty(list),
    "EMPTY_DICT": lambda machine, _: machine.empty(dict),
    "EMPTY_SET": lambda machine, _: machine.empty(set),
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "TUPLE": _Machine.tuple_above_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine._above_mark()),
    "ADDITEMS": lambda machine, _: machine.add(machine._above_mark()),
    "SETITEM": lambda machine, _: machine.pairs(2),
    "SETITEMS": lambda machine, _: machine.pairs(None),
    "GLOBAL": _Machine.named,
    "STACK_GLOBAL": _Machine.named_on_stack,
    "NEWOBJ": _Machine.new,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
