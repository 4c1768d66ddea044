"""A stretch of time through a layer of neurons on a GPU: the texts of `printed`, compiled by Triton.

What `neurons.sweep` asks of the C++ core, for tensors on a GPU: outputs and states bit for bit those of the
reference, gradients to the rounding of their sums. The states before every step are kept; under a budget only
those before every `interval`-th, and those between are computed again.
"""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch

from spikeflow.errors import MissingPackage, OperationRefused
from spikeflow.neurons import printed
from spikeflow.neurons.compiled import Compiled, Extent
from spikeflow.neurons.parts import Cotangents, Parts

Tensor = torch.Tensor
BLOCK = 128  # neurons of one program of the grid


@lru_cache(256)
def missing(compiled: Compiled) -> str:
    """Why a layer has no kernel on a GPU here; empty where it has."""
    try:
        import_module("triton")
    except ImportError:
        return "triton is not installed"
    try:
        _onward(compiled, "float32")
        _back(compiled, _names(compiled), "float32")
    except OperationRefused as error:
        return str(error)
    return ""


def onward(compiled: Compiled, extent: Extent, parts: Parts, keeps: bool) -> tuple[Tensor, ...]:
    """Outputs, states after the last step, and, where wanted, those before every `interval`-th step.

    Those kept are ``(moments, states, B, *shape)``, with the first.
    """
    shape, parts = parts.ports[0].shape, _timed(parts, extent)
    like, steps = parts.ports[0], extent.shape[0]
    every = extent.interval if keeps else steps  # where none is wanted: the first alone
    kept = like.new_empty((-(-steps // every), len(parts.state), *like.shape[1:]))
    out, after = like.new_empty(like.shape), [torch.empty_like(s) for s in parts.state]
    kernel = _kernel(_onward(compiled, _real(like)))
    ends = [out, kept, *after, steps, every]
    _launch(kernel, like, [*_arriving(parts.ports), *parts.state, *_shared(parts.params, like), *ends])
    return (out.reshape(shape), *after, kept if keeps else kept[:0])


def backward(
    compiled: Compiled, extent: Extent, parts: Parts, cotangents: Cotangents, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of ports, parameters and states, in this order; None where not wanted."""
    shape, names = parts.ports[0].shape, _names(compiled)
    asked = tuple(name for name, wants in zip(names, wanted, strict=False) if wants)
    parts, (given, *after) = _timed(parts, extent), cotangents.dense(parts.ports[0])
    like, interval = parts.ports[0], extent.interval
    # a kernel goes on from what it finds here: cotangents of states from piece to piece, sums of parameters
    carried = [x.expand(like.shape[1:]).clone(memory_format=torch.contiguous_format) for x in after]
    made = {name: like.new_zeros(like.shape[name.startswith("param.") :]) for name in asked}
    kernel = _kernel(_back(compiled, asked, _real(like)))
    length = len(like) if interval == 1 else interval
    for begin in reversed(range(0, len(like), length)):
        at = slice(begin, begin + length)
        piece = parts._replace(ports=tuple(port[at] for port in parts.ports))
        kept = cotangents.kept
        states = kept if interval == 1 else _again(compiled, piece, kept[begin // interval])
        cotangent = given.reshape(extent.shape)[at] if given.ndim else given
        ends = [made[name][at] if name.startswith("input.") else made[name] for name in asked]
        arguments = [*_arriving(piece.ports), states, *_shared(parts.params, like), *_strided(cotangent)]
        _launch(kernel, piece.ports[0], [*arguments, *carried, *ends, len(piece.ports[0])])
    others = [_owned(made[name], shape, i, parts) if name in made else None for i, name in enumerate(names)]
    return [*others, *carried]


def _names(compiled: Compiled) -> tuple[str, ...]:
    """Of the ports and the parameters, in this order."""
    program = compiled.program
    return (*(f"input.{name}" for name in program.inputs), *(f"param.{name}" for name in program.params))


@lru_cache(256)
def _onward(compiled: Compiled, real: str) -> str:
    return printed.forward(compiled.program, real)


@lru_cache(256)
def _back(compiled: Compiled, asked: tuple[str, ...], real: str) -> str:
    return printed.backward(compiled.program, compiled.slots, asked, real)


def _timed(parts: Parts, extent: Extent) -> Parts:
    """With the axis of time, which a stretch of one step may lack."""
    return parts._replace(
        ports=tuple(port if port.shape == extent.shape else port[None] for port in parts.ports)
    )


def _again(compiled: Compiled, piece: Parts, states: Tensor) -> Tensor:
    """The states before every step of a piece of the stretch, from those before its first."""
    extent = Extent(tuple(piece.ports[0].shape), interval=1)
    return onward(compiled, extent, piece._replace(state=tuple(states.unbind(0))), keeps=True)[-1]


def _owned(value: Tensor, shape: torch.Size, index: int, parts: Parts) -> Tensor:
    """A port's gradient in its shape; a parameter's, summed over all that share a number."""
    number = index - len(parts.ports)
    return value.reshape(shape) if number < 0 else value.sum_to_size(parts.params[number].shape)


def _real(like: Tensor) -> str:
    return "float64" if like.dtype is torch.float64 else "float32"


def _strided(x: Tensor) -> tuple[Tensor, int, int]:
    """Values over time in C order, or one number for all, with their strides of time and of neurons."""
    if not any(x.stride()):
        return x, 0, 0
    return x, x[0].numel(), 1


def _arriving(ports: Sequence[Tensor]) -> list[Any]:
    return [item for column in zip(*map(_strided, ports), strict=True) for item in column]


def _shared(params: Sequence[Tensor], like: Tensor) -> list[Any]:
    """The parameters as one for each neuron, or one that all share, and the stride of each."""
    one = [value.numel() == 1 for value in params]
    held = [
        v if single else v.expand(like.shape[2:]).contiguous() for v, single in zip(params, one, strict=True)
    ]
    return [*held, *(0 if single else 1 for single in one)]


def _launch(kernel: Any, like: Tensor, arguments: Sequence[Any]) -> None:
    neurons = like[0].numel()
    if neurons:
        sizes = neurons, max(like.shape[2:].numel(), 1)
        # without contraction of a product and a sum, which would round once where numpy rounds twice
        with torch.cuda.device_of(like):  # Triton launches on the current device, whatever its arguments' is
            kernel[(-(-neurons // BLOCK),)](*arguments, *sizes, BLOCK=BLOCK, enable_fp_fusion=False)


@lru_cache(256)
def _kernel(text: str) -> Any:
    """The kernel of a text; Triton compiles it at its first launch and keeps it on disk by its text."""
    try:
        triton, tl = import_module("triton"), import_module("triton.language")
    except ImportError as error:
        raise MissingPackage("triton", "a layer's kernel on a GPU", error) from error
    name = f"<spikeflow kernel {hashlib.sha256(text.encode()).hexdigest()[:16]}>"
    # Triton reads a kernel's text by its file's name, here from the cache of lines: no file is written
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    made: dict[str, Any] = {"triton": triton, "tl": tl}
    exec(compile(text, name, "exec"), made)
    return made["backward" if "def backward(" in text else "forward"]
