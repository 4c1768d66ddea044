"""The machine that reads pickles: it imports nothing, calls nothing, and takes memory in proportion to the
pickle.

A pickle is a program for a small stack machine, and a few bytes of it may ask for anything: to copy a list
named a thousand times, to hash tuples of tuples of tuples, to fill a dictionary with keys that all collide.
The machine here knows the instructions that build numbers, text, tuples, lists, sets and dictionaries; each
is paid for from a budget before it is carried out. What a pickle names, calls and sets up is left to a
subclass: the dialect of one writer.

Source: `pickletools` of CPython, which describes every instruction.
"""

from __future__ import annotations

import io
import pickletools
import sys
from collections.abc import Callable
from typing import Any

from spikeflow.errors import FileError
from spikeflow.files.limits import HINT, Budget

SLACK = 24 << 20  # bytes of objects that any pickle may make
PER_BYTE = 24  # bytes of objects beyond, for each byte of the pickle
MAX_BITS = 128  # the longest whole number torch writes is its 80-bit magic number
# Numbers hash to themselves, so a stranger can choose keys that collide: then a dictionary takes the square
# of its length. Text hashes with a secret of the process.
MAX_NUMBER_KEYS = 4096
KEYS = (str, bytes, int, float, bool, type(None))

# what CPython takes for an empty object, its header for the garbage collector and its first items included
_LIST, _DICT, _SET, _TUPLE, _ITEM, _PAIR = 120, 264, 240, 64, 16, 120


class Stack:
    """The stack, the marks set on it and the memo, each item paid for.

    Parameters
    ----------
    path : of the file, for errors.
    length : bytes of the pickle, from which the budget follows.
    """

    def __init__(self, path: object, length: int) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []
        self.budget = Budget(
            path, SLACK + PER_BYTE * length, "its pickle asks for more than its size explains"
        )

    def value(self, value: Any) -> None:
        """Push a number or text."""
        if type(value) is int and value.bit_length() > MAX_BITS:
            raise FileError(self.path, "its pickle has a number of more than 128 bits")
        self.budget.spend(8 + sys.getsizeof(value))
        self.stack.append(value)

    def empty(self, kind: type, cost: int) -> None:
        """Push an empty container."""
        self.budget.spend(cost)
        self.stack.append(kind())

    def mark(self, _: Any) -> None:
        """Remember how high the stack is."""
        self.marks.append(len(self.stack))

    def above_mark(self) -> list[Any]:
        """Take everything that was pushed since the last mark."""
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def put(self, slot: int | None) -> None:
        """Keep what is on top under a number; writers count from 0 or 1, and leave few out."""
        slot = len(self.memo) if slot is None else slot
        if slot >= len(self.memo):
            self.budget.spend(8 * (slot + 1 - len(self.memo)))
            self.memo.extend([None] * (slot + 1 - len(self.memo)))
        self.memo[slot] = self.stack[-1]

    def get(self, slot: int) -> None:
        """Push what was kept under a number."""
        self.stack.append(self.memo[slot])

    def tuple_of(self, count: int) -> None:
        """Put the uppermost values into a tuple."""
        if len(self.stack) < count:
            raise IndexError
        items = self.stack[-count:]
        del self.stack[-count:]
        self.copied(tuple, items)

    def copied(self, kind: type, items: Any) -> None:
        """Push a container of these items, which are paid for: a list can be copied in a few bytes."""
        self.budget.spend(_TUPLE + _ITEM * len(items))
        self.stack.append(kind(items))

    def append(self, items: list[Any]) -> None:
        """Add items to the list on top."""
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError("items for what is no list")
        self.budget.spend(_ITEM * len(items))
        target.extend(items)

    def add(self, items: list[Any]) -> None:
        """Add text to the set on top."""
        target = self.stack[-1]
        if type(target) is not set or any(type(item) is not str for item in items):
            raise self.refuse("a set holds more than text")
        self.budget.spend(_PAIR * len(items))
        target.update(items)

    def set_items(self, items: list[Any]) -> None:
        """Set pairs of keys and values on the dictionary on top; keys are text or numbers."""
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("pairs for what is no dictionary")
        keys = items[::2]
        # keys of other types could take for ever to hash: tuples of the same tuples
        if any(type(key) not in KEYS for key in keys):
            raise FileError(self.path, "its pickle has a dictionary key that is neither text nor number")
        self.budget.spend(_PAIR * len(keys))
        self.expect_few_numbers(target, keys)
        target.update(zip(keys, items[1::2], strict=True))

    def expect_few_numbers(self, target: dict[Any, Any], keys: list[Any]) -> None:
        """Refuse a dictionary whose keys could have been chosen to collide."""
        numbers = [key for key in keys if type(key) in (int, float)]
        if any(type(key) is int and abs(key) >= 1 << 63 for key in numbers):
            raise FileError(self.path, "its pickle has a dictionary key beyond 64 bits")
        if numbers and len(target) + len(numbers) > MAX_NUMBER_KEYS:
            raise FileError(self.path, f"its pickle has a dictionary of more than {MAX_NUMBER_KEYS} numbers")

    def pairs(self, above: bool) -> None:
        """Set the pairs above the mark, or the two uppermost values."""
        self.set_items(self.above_mark() if above else [self.stack.pop(-2), self.stack.pop()])

    def refuse(self, what: str) -> FileError:
        """The error for what could only be done by running code."""
        raise NotImplementedError


class Machine(Stack):
    """A stack and one method for each kind of instruction.

    A dialect overrides `mention`, `called`, `made`, `set_up`, `referred` and `old_text`, each of which
    refuses.

    """

    def run(self, stream: io.BytesIO) -> Any:
        """Read the one pickle at the stream's position, and leave the stream behind it.

        Raises
        ------
        UnsafeFile
            Where it asks for what is on no list.
        FileError
            Where it is damaged, or would take more memory than its length explains.
        """
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name == "STOP":
                    return self.stack.pop()
                self.step(opcode.name, argument)
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise FileError(self.path, "the pickle in it is damaged", HINT) from None
        raise FileError(self.path, "the pickle in it ends early", HINT)

    def step(self, opcode: str, argument: Any) -> None:
        """One instruction."""
        if opcode in _VALUES:
            self.value(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        else:
            raise self.refuse(f"its pickle has the instruction {opcode}")

    # --- what a dialect says ---

    def mention(self, name: str) -> Any:
        """What stands for the class or function of this full name."""
        raise self.refuse(f"it names {name[:100]!r}")

    def called(self, function: Any, arguments: Any) -> Any:
        """What a call gives."""
        raise self.refuse("it calls a function")

    def made(self, kind: Any, arguments: Any) -> Any:
        """What stands for a new object of a class."""
        raise self.refuse("it makes an object")

    def set_up(self, target: Any, state: Any) -> None:
        """Give an object its state."""
        raise self.refuse("it sets an object up")

    def referred(self, reference: Any) -> Any:
        """What lies outside the pickle under this reference."""
        raise self.refuse("it refers to something outside")

    def old_text(self, text: str) -> Any:
        """A byte string of Python 2, given as latin-1."""
        return text

    # --- what all dialects share ---

    def old_string(self, value: str) -> None:
        """Push a byte string of Python 2."""
        self.value(self.old_text(value))

    def named(self, text: str) -> None:
        """Push what stands for a name in one line."""
        self.stack.append(self.mention(text.replace(" ", ".", 1)))

    def named_on_stack(self, _: Any) -> None:
        """Push what stands for a module and a name on the stack."""
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str or len(module) + len(name) > 1000:
            raise ValueError("a name that is none")
        self.stack.append(self.mention(f"{module}.{name}"))

    def new(self, _: Any) -> None:
        """Push a new object."""
        arguments, kind = self.stack.pop(), self.stack.pop()
        self.stack.append(self.made(kind, arguments))

    def reduce(self, _: Any) -> None:
        """Push what a call gives."""
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self.called(function, arguments))

    def build(self, _: Any) -> None:
        """Give the object on top its state."""
        state = self.stack.pop()
        self.set_up(self.stack[-1], state)

    def persistent(self, _: Any) -> None:
        """Push what lies outside."""
        self.stack.append(self.referred(self.stack.pop()))


_VALUE_OPCODES = (
    "BININT BININT1 BININT2 INT LONG1 LONG4 FLOAT BINFLOAT "
    "BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8"
)
_VALUES = frozenset(_VALUE_OPCODES.split())
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_Step = Callable[[Machine, Any], None]
_STEPS: dict[str, _Step] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "BINSTRING": Machine.old_string,
    "SHORT_BINSTRING": Machine.old_string,
    "MARK": Machine.mark,
    "EMPTY_LIST": lambda machine, _: machine.empty(list, _LIST),
    "EMPTY_DICT": lambda machine, _: machine.empty(dict, _DICT),
    "EMPTY_SET": lambda machine, _: machine.empty(set, _SET),
    "BINPUT": Machine.put,
    "LONG_BINPUT": Machine.put,
    "MEMOIZE": Machine.put,
    "BINGET": Machine.get,
    "LONG_BINGET": Machine.get,
    "TUPLE": lambda machine, _: machine.copied(tuple, machine.above_mark()),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.above_mark()),
    "ADDITEMS": lambda machine, _: machine.add(machine.above_mark()),
    "SETITEM": lambda machine, _: machine.pairs(False),
    "SETITEMS": lambda machine, _: machine.pairs(True),
    "GLOBAL": Machine.named,
    "STACK_GLOBAL": Machine.named_on_stack,
    "NEWOBJ": Machine.new,
    "REDUCE": Machine.reduce,
    "BUILD": Machine.build,
    "BINPERSID": Machine.persistent,
}
