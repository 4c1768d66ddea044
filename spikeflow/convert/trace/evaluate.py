"""evaluate: a traced network run operation by operation, and what of it depends on stored tensors alone.

Each operation is a function of torch, found by name in a list and called with arguments of the types that its
signature names; nothing of the file is run. Sizes are found first, on tensors without values, so that no
graph makes more than it may.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from spikeflow.convert.trace.atengraph import (
    GETITEM,
    AtenGraph,
    AtenNode,
    Ref,
    Size,
    SizeFloat,
    base_name,
    read_by,
    words,
)
from spikeflow.convert.trace.normal import SIZE, is_listed
from spikeflow.convert.trace.operations import CONSTANT
from spikeflow.errors import ConversionError

MOST_VALUES = 2**28  # of one operation on samples
_CONSTANTS_EACH = 16  # computed values for each stored one
_CONSTANTS_MORE = 2**24
_HALF_OR_DOUBLE = ("float16", "bfloat16", "float64")
_LARGEST_SIZE, _LARGEST_POWER = 2**62, 64
_REASON = 160

Value = Any  # a tensor, or a tuple of tensors


class Unknown(Exception):
    """An operation that is not evaluated; the text says why."""


@dataclass
class Allowance:
    """How many values may still be made."""

    left: int

    def spend(self, count: int) -> None:
        """Take so many, or say that there are too many."""
        self.left -= count
        if self.left < 0:
            raise Unknown("its values are more than the stored ones allow")


def tensors_of(graph: AtenGraph) -> dict[str, torch.Tensor]:
    """The stored tensors in the types that they have to torch."""
    found = {name: torch.from_numpy(array) for name, array in graph.tensors.items()}
    return {n: t.to(torch.bfloat16) if n in graph.bfloat16 else t for n, t in found.items()}


def dependent(graph: AtenGraph, names: Iterable[str]) -> frozenset[str]:
    """The values that depend on those named, these included; sizes left open do not count."""
    found = set(names)
    for node in graph.nodes:
        if found & read_by(node):
            found.add(node.name)
    return frozenset(found)


def constants(graph: AtenGraph) -> tuple[dict[str, Value], dict[str, str]]:
    """Everything that depends on stored tensors alone, and for each operation that is not evaluated, why.

    Computed in the types that torch has for it: casts cut and wrap as torch's do.
    """
    known: dict[str, Value] = dict(tensors_of(graph))
    stored = sum(tensor.numel() for tensor in known.values())
    allowance = Allowance(_CONSTANTS_EACH * stored + _CONSTANTS_MORE)
    varying, failed = dependent(graph, graph.inputs), dict[str, str]()
    for node in graph.nodes:
        if node.name in varying or not is_listed(node):
            continue
        try:
            _check_constant(node)
            known[node.name] = operation(node, lambda argument: _value(argument, known), allowance)
        except Unknown as reason:
            failed[node.name] = str(reason)
    return known, failed


def _check_constant(node: AtenNode) -> None:
    if node.op != GETITEM and base_name(node.op) not in CONSTANT:
        raise Unknown("it is not computed here")


def _value(argument: Any, known: Mapping[str, Value]) -> Any:
    """An argument with its values in place of their names."""
    if isinstance(argument, Ref):
        if argument.name not in known:
            raise Unknown("it reads what could not be computed")
        return known[argument.name]
    if isinstance(argument, tuple):
        return [_value(item, known) for item in argument]
    return argument


def operation(node: AtenNode, value: Callable[[Any], Any], allowance: Allowance) -> Value:
    """The result of one operation; `value` gives the values of its arguments.

    Raises
    ------
    Unknown
        Where torch has no such operation, refuses its arguments, or it would make too much.
    """
    args, kwargs = [value(a) for a in node.args], {k: value(v) for k, v in node.kwargs.items()}
    try:
        if node.op == GETITEM:
            return args[0][args[1]]
        if base_name(node.op) == "_weight_norm":
            return weight_norm(*args, **kwargs)
        function = _overload(node.op)
        given = _typed(function, args, kwargs)
        _foresee(function, given, allowance)
        result = function(*given[0], **given[1])
    except Unknown:
        raise
    except Exception as error:  # torch raises errors of many kinds for arguments that do not fit
        text = str(error).strip() or type(error).__name__
        raise Unknown(text.splitlines()[0][:_REASON]) from None
    return tuple(result) if isinstance(result, list) else result


def _overload(op: str) -> Any:
    word, form = words(op)
    packet = getattr(torch.ops.aten, word, None) if word else None
    function = (
        getattr(packet, form, None) if form in (packet.overloads() if packet is not None else ()) else None
    )
    if function is None or function._schema.is_mutable:
        raise Unknown("torch has no such operation")
    return function


def _typed(function: Any, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments as the operation's signature wants them: words become types, layouts, formats."""
    named = function._schema.arguments
    if len(args) > len(named) or not kwargs.keys() <= {a.name for a in named}:
        raise Unknown("its arguments are not those of torch")
    placed = [_word(a.name, given) for a, given in zip(named, args, strict=False)]
    return placed, {name: _word(name, given) for name, given in kwargs.items()}


def _word(name: str, given: Any) -> Any:
    if not isinstance(given, str):
        return given
    if name == "device":
        return torch.device("cpu")
    kind = {"dtype": torch.dtype, "layout": torch.layout, "memory_format": torch.memory_format}.get(name)
    found = getattr(torch, given, None) if kind is not None else given
    if kind is not None and not isinstance(found, kind):
        raise Unknown(f"{given[:40]!r} is no {name}")
    return found


def _foresee(function: Any, given: tuple[list[Any], dict[str, Any]], allowance: Allowance) -> None:
    """Spend what the result will hold, found on tensors without values."""
    if base_name(str(function)).startswith("fake_quantize"):
        allowance.spend(given[0][0].numel())  # torch cannot run these without values
        return
    args, kwargs = _without_values(given[0]), _without_values(given[1])
    if "device" in {a.name for a in function._schema.arguments[len(args) :]}:
        kwargs["device"] = torch.device("meta")
    if base_name(str(function)) == "einsum" and len(args[1]) > 2:
        raise Unknown("einsum of more than two, whose order decides what lies between")
    result = function(*args, **kwargs)
    several = result if isinstance(result, tuple | list) else (result,)
    allowance.spend(sum(t.numel() for t in several if isinstance(t, torch.Tensor)))


def _without_values(given: Any) -> Any:
    if isinstance(given, torch.Tensor):
        return given.to("meta")
    if isinstance(given, torch.device):
        return torch.device("meta")
    if isinstance(given, dict):
        return {key: _without_values(item) for key, item in given.items()}
    return [_without_values(item) for item in given] if isinstance(given, list) else given


def weight_norm(v: torch.Tensor, g: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """g v / |v|, the norm over all dimensions but one; torch's own kernel trusts the size of g."""
    others = [d for d in range(v.ndim) if d != dim % max(v.ndim, 1)] if dim != -1 or v.ndim == 1 else None
    norm = v.norm() if dim == -1 else torch.linalg.vector_norm(v, dim=others, keepdim=True)
    if g.numel() not in (1, norm.numel()):
        raise Unknown("its magnitudes are not one for each row")
    return v * (g / norm)


@dataclass
class Evaluation:
    """One run of a traced network.

    Parameters
    ----------
    known : constants, and what `run` is given; values go when nothing reads them any more.
    erased : operations that hand on their argument instead.
    single : whether floating types other than float32 are taken as float32.
    """

    graph: AtenGraph
    known: dict[str, Value]
    erased: frozenset[str] = frozenset()
    single: bool = False
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    computed: dict[str, int | float] = field(default_factory=dict)

    def run(self, given: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The network's outputs, from the values given by name (the inputs, or ones further on).

        Raises
        ------
        ConversionError
            Where an operation cannot be evaluated; it names the operation.
        """
        resized = {n.name for n in self.graph.nodes if n.name in self.known and _is_sized(n)}
        varying = dependent(self.graph, given.keys() | resized)
        nodes = [n for n in self.graph.nodes if n.name in varying]
        values = dict(self.known)
        if self.single:
            values = {name: _single(value) for name, value in values.items()}
        values.update(given)
        batch = next((len(v) for v in given.values() if v.ndim), 1)
        self.computed = {}  # sizes are those of this run; what is not run again keeps its input's batch
        self.shapes = {
            n: (batch, *s[1:]) for n, s in zip(self.graph.inputs, self.graph.input_shapes, strict=True)
        }
        self.shapes |= {name: tuple(v.shape) for name, v in values.items() if isinstance(v, torch.Tensor)}
        last = {name: at for at, node in enumerate(nodes) for name in read_by(node)}
        outputs = [ref.name for ref in self.graph.outputs]
        with torch.no_grad():
            for at, node in enumerate(nodes):
                if node.name not in given:
                    values[node.name] = self._node(node, values)
                for name in read_by(node):
                    if last[name] == at and name not in outputs:
                        values.pop(name, None)
        return tuple(values[name] for name in outputs)

    def _node(self, node: AtenNode, values: Mapping[str, Value]) -> Value:
        def value(argument: Any) -> Any:
            return _value(self._sized(argument), values)

        try:
            if node.name in self.erased:
                return value(node.args[0])
            made = operation(node, value, Allowance(MOST_VALUES))
        except (Unknown, ArithmeticError, ValueError, TypeError, IndexError, RecursionError) as reason:
            title = node.module or node.name
            text = f"{base_name(node.op)} cannot be evaluated ({reason})"
            raise ConversionError(title, text, "the operations as torch.export writes them") from None
        if self.single:
            made = _single(made)
        if isinstance(made, torch.Tensor):
            self.shapes[node.name] = tuple(made.shape)
        return made

    def _sized(self, argument: Any) -> Any:
        """An argument with the sizes, and the types, of this run in place of the example's."""
        if self.single and isinstance(argument, str) and argument in _HALF_OR_DOUBLE:
            return "float32"
        if isinstance(argument, Size | SizeFloat):
            return self._size(argument)
        if isinstance(argument, tuple):
            return tuple(self._sized(item) for item in argument)
        return argument

    def _size(self, size: Size | SizeFloat) -> int | float:
        if size.name not in self.computed:
            self.computed[size.name] = self._computed(size)
        return self.computed[size.name]

    def _computed(self, size: Size | SizeFloat) -> int | float:
        node = self.graph.sizes.get(size.name)
        if node is None:
            raise Unknown("a size that nothing computes")
        if base_name(node.op) == "sym_size":
            tensor = node.args[0].name if isinstance(node.args[0], Ref) else ""
            if tensor not in self.shapes:
                raise Unknown("the size of a value that is not computed")
            return self.shapes[tensor][node.args[1]]
        word = node.op.removeprefix(SIZE)
        if word not in _ON_SIZES:
            raise Unknown(f"a size by {word[:40]!r}")
        found = _ON_SIZES[word](*(self._sized(a) for a in node.args))
        if not -_LARGEST_SIZE <= found <= _LARGEST_SIZE:
            raise Unknown("a size beyond 2^62")
        return found


def _power(base: float, exponent: float) -> float:
    if abs(exponent) > _LARGEST_POWER:
        raise Unknown("a power of a size beyond 64")
    return base**exponent


_ON_SIZES: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "truediv")},
    "pow": _power,
    "sym_max": max,
    "sym_min": min,
    "sym_int": int,
    "sym_float": float,
    "sym_not": operator.not_,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "_sym_sqrt": math.sqrt,
}


def _is_sized(node: AtenNode) -> bool:
    """Whether an operation's arguments hold a size that torch left open."""

    def within(value: Any) -> bool:
        return isinstance(value, Size | SizeFloat) or (isinstance(value, tuple) and any(map(within, value)))

    return within((node.args, tuple(node.kwargs.values())))


def _single(value: Value) -> Value:
    """Floating values as float32."""
    if isinstance(value, tuple):
        return tuple(_single(item) for item in value)
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.to(torch.float32) if floating else value
