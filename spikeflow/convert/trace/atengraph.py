"""A traced network as plain data: one record for networks traced here and for archives of torch.export."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

GETITEM = "getitem"
_WORD = re.compile(r"aten\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)")


@dataclass(frozen=True)
class Ref:
    """Stands in an argument for the value of that name."""

    name: str


class Size(int):
    """A size that torch left open: the example's number, and the name under which it is computed."""

    name: str

    def __new__(cls, value: int, name: str) -> Size:
        """The number, with the name beside it."""
        made = super().__new__(cls, value)
        made.name = name
        return made


class SizeFloat(float):
    """A number that is computed from sizes which torch left open, such as the root of one; as `Size`."""

    name: str

    def __new__(cls, value: float, name: str) -> SizeFloat:
        """The number, with the name beside it."""
        made = super().__new__(cls, value)
        made.name = name
        return made


def sized(value: bool | int | float, name: str) -> bool | int | float:
    """A number under the name by which it is computed; a truth value, which decides what was traced, as it
    is.
    """
    if isinstance(value, bool):
        return value
    return Size(value, name) if isinstance(value, int) else SizeFloat(value, name)


@dataclass(frozen=True)
class AtenNode:
    """One operation: `op` as torch names it ("aten.conv2d.default"; "getitem" picks one of several results).

    `args` and `kwargs` hold `Ref`, numbers, `Size`, bools, None, strings, and tuples of these; number types,
    layouts and memory formats are strings. `module` is the user's module ("layer1.0.conv1", "" where
    unknown) and `layer` its class. `shape` is that of the result, batch included; () for several results.
    """

    name: str
    op: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""
    shape: tuple[int, ...] = ()
    layer: str = ""


@dataclass(frozen=True)
class AtenGraph:
    """Operations in order, with the tensors they read.

    Parameters
    ----------
    inputs, input_shapes : the user's inputs, and their shapes with the example's batch.
    outputs, output_names : what it returns, and the way to each within a container; empty for a tensor alone.
    tensors : parameters, buffers and constants by graph name; `parameter_names` has the user's name of each.
    dynamic_batch : whether torch traced the first input for any batch.
    sizes : the operations that compute the sizes left open, by name.
    bfloat16 : the tensors that are bfloat16 to torch; numpy has no such type and holds them as float32.
    autocast : the type that `torch.autocast` within forward() computes in; empty where there is none.
    """

    nodes: tuple[AtenNode, ...]
    inputs: tuple[str, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    outputs: tuple[Ref, ...]
    tensors: Mapping[str, npt.NDArray[Any]]
    parameter_names: Mapping[str, str]
    dynamic_batch: bool = False
    sizes: Mapping[str, AtenNode] = field(default_factory=dict)
    bfloat16: frozenset[str] = frozenset()
    autocast: str = ""
    output_names: tuple[str, ...] = ()


def refs(value: Any) -> Iterator[Ref]:
    """Every `Ref` within an argument."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from refs(item)


def read_by(node: AtenNode) -> set[str]:
    """Names of the values that an operation reads."""
    return {ref.name for ref in refs((node.args, tuple(node.kwargs.values())))}


def words(op: str) -> tuple[str, str]:
    """Name and overload of an operation of torch: `conv2d`, `default` of `aten.conv2d.default`; else ("",
    "").
    """
    match = _WORD.fullmatch(op)
    return (match.group(1), match.group(2)) if match else ("", "")


def base_name(op: str) -> str:
    """`conv2d` of `aten.conv2d.default`, without the underscore of an operation in place."""
    word = words(op)[0] or op
    return word[:-1] if word.endswith("_") and not word.endswith("__") else word


def module_path(path: str) -> str:
    """The user's module path of what torch notes down, or "" where it is none."""
    path = re.sub(r"@\d+", "", path)  # torch marks repeated calls with @1, @2
    plain = path.isprintable() and len(path) < 1000 and not path.startswith("_empty_nn_module")
    return path if plain else ""


def class_name(full: str) -> str:
    """`Linear` of `torch.nn.modules.linear.Linear`; "" where it is no name."""
    last = full.rpartition(".")[2]
    plain = last.isidentifier() and len(last) < 200 and not last.startswith("_empty_nn_module")
    return last if plain else ""


def as_array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Contiguous numpy copy; bfloat16, which numpy lacks, becomes float32."""
    plain = tensor.detach().to("cpu")
    plain = plain.to(torch.float32) if plain.dtype is torch.bfloat16 else plain
    return np.array(plain.numpy(), order="C", copy=True)
