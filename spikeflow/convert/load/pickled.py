"""A reader of pickles that builds inert records: it imports nothing, calls nothing, makes nothing of torch.

The dialect of `torch.save` for the machine of `files.pickles`: the names a pickle mentions stay text. What
comes out are numbers, strings, lists, dictionaries and the records below, which other files then check field
by field.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from spikeflow.errors import FileError, UnsafeFile
from spikeflow.files.pickles import Machine

RECORD = 400  # bytes of an inert record, or of what a listed function gives
MODULE = 8_000  # bytes of the torch layer that an instance becomes
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
        It is damaged, or asks for more than its size explains.
    """
    machine = _Machine(path, stream, layers)
    return Pickle(machine.run(stream), machine.storages)


class _Machine(Machine):
    """The dialect of `torch.save`: storages, tensors, and layers as inert records."""

    def __init__(self, path: str, stream: io.BytesIO, layers: Collection[str]) -> None:
        super().__init__(path, len(stream.getbuffer()) - stream.tell())
        self.layers = layers
        self.storages: dict[str, Storage] = {}

    def refuse(self, what: str, hint: str = "") -> UnsafeFile:
        return UnsafeFile(self.path, f"opening it would run code: {what}", hint)

    def mention(self, name: str) -> Named:
        full = "builtins.set" if name == "__builtin__.set" else name
        if full not in _CALLS and full not in STORAGES and full not in self.layers:
            if full.startswith("torch.nn."):
                raise UnsafeFile(
                    self.path, f"it holds {full[:100]!r}, a layer that is not on the list", _OWN_CLASS
                )
            raise self.refuse(f"it names {full[:100]!r}, which is not a listed torch layer", _OWN_CLASS)
        self.budget.spend(RECORD)
        return Named(full)

    def made(self, kind: Any, arguments: Any) -> Instance:
        if not isinstance(kind, Named) or kind.name not in self.layers or arguments != ():
            raise self.refuse(f"an object of {_kind(kind)} is made with arguments or of no listed layer")
        self.budget.spend(MODULE)
        return Instance(kind.name)

    def called(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Named) or function.name not in _CALLS or type(arguments) is not tuple:
            raise self.refuse(f"{_kind(function)} is called")
        self.budget.spend(RECORD)
        return _CALLS[function.name](self, arguments)

    def set_up(self, target: Any, state: Any) -> None:
        if type(state) is not dict:
            raise self.refuse(f"{_kind(target)} is set up from {_kind(state)}")
        if isinstance(target, Instance) and target.fields is None:
            target.fields = state
        elif not isinstance(target, Ordered):
            raise self.refuse(f"{_kind(target)} is set up")

    def referred(self, reference: Any) -> Any:
        if type(reference) is not tuple or not reference:
            raise ValueError
        if reference[0] == "module" and len(reference) == 4 and isinstance(reference[1], Named):
            return reference[1]  # the older format: a class beside its source text
        return self._storage(reference)

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
        self.budget.spend(RECORD)
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
        if type(items) is not list or any(
            type(item) not in (list, tuple) or len(item) != 2 for item in items
        ):
            raise machine.refuse("OrderedDict is called with unusual arguments")
        machine.budget.spend(16 * len(items))
        machine.stack.append(result)
        machine.set_items([part for item in items for part in item])
        machine.stack.pop()
    return result


def _set(machine: _Machine, arguments: tuple[Any, ...]) -> set[str]:
    if len(arguments) != 1 or type(arguments[0]) is not list:
        raise machine.refuse("set is called with something other than one list")
    machine.budget.spend(72 * len(arguments[0]))
    if any(type(item) is not str for item in arguments[0]):
        raise machine.refuse("set is called with more than a list of strings")
    return set(arguments[0])


def _size(machine: _Machine, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) != 1 or type(arguments[0]) not in (list, tuple):
        raise machine.refuse("torch.Size is called with unusual arguments")
    if len(arguments[0]) > MAX_DIMENSIONS:
        raise FileError(machine.path, f"a size of more than {MAX_DIMENSIONS} dimensions")
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


def _parameter_with_state(machine: _Machine, arguments: tuple[Any, ...]) -> Tensor:
    """A parameter that has attributes (marks of whoever trained it), which nothing computes with."""
    state = arguments[3] if len(arguments) == 4 else None
    marks = state[0] if isinstance(state, tuple) and len(state) == 2 else state
    if not isinstance(marks, dict):
        raise machine.refuse("a parameter is rebuilt from unusual arguments")
    return _parameter(machine, arguments[:3])


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
    "torch._utils._rebuild_parameter_with_state": _parameter_with_state,
}
