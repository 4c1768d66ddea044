"""Sweep: a stretch of time through a layer of neurons by the C++ core, as torch differentiates it.

In ordinary code a layer runs `Sweep`; under torch.compile the operations ``torch.ops.spikeflow.sweep`` and
``sweep_back`` (`neurons.sweep_ops`), which a graph can hold. A derivative of the gradient is that of the
evaluated program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch

from spikeflow.ir.evaluate import evaluate
from spikeflow.ir.program import Program
from spikeflow.neurons import sweep_gpu
from spikeflow.neurons.autograd import Derivative
from spikeflow.neurons.bounds import settled
from spikeflow.neurons.compiled import Compiled, Extent
from spikeflow.neurons.lost import tell_lost
from spikeflow.neurons.parts import Cotangents, Parts, values
from spikeflow.neurons.tensors import Slopes, Tensors

Tensor = torch.Tensor


def onward(compiled: Compiled, extent: Extent, parts: Parts, keeps: bool) -> tuple[Tensor, ...]:
    """Outputs, states after the last step, and the states kept on the way where they are wanted."""
    like = parts.ports[0]
    if like.is_cuda:
        return sweep_gpu.onward(compiled, extent, parts, keeps)
    # the moments between which a stretch is computed again; the first state is at hand
    kept = like.new_empty((extent.moments if keeps else 0, len(parts.state), *extent.shape[1:]))
    out, after = like.new_empty(like.shape), [torch.empty_like(s) for s in parts.state]
    addresses = [s.data_ptr() for s in after]
    compiled.forward(extent, parts.given(), out.data_ptr(), addresses, kept.data_ptr() if kept.numel() else 0)
    return (out, *after, kept)


def backward(
    compiled: Compiled, extent: Extent, parts: Parts, cotangents: Cotangents, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of ports, parameters and states, in this order; None where not wanted."""
    program, like = compiled.program, parts.ports[0]
    if like.is_cuda:
        return sweep_gpu.backward(compiled, extent, parts, cotangents, wanted)
    given = cotangents.dense(like)
    ports, params = wanted[: len(parts.ports)], wanted[len(parts.ports) :]
    to_ports = [like.new_empty(like.shape) if wants else None for wants in ports]
    pairs = zip(parts.params, params, strict=False)
    to_params = [torch.empty_like(p) if wants else None for p, wants in pairs]
    to_state = [torch.empty_like(s) for s in parts.state]
    names = [*(f"input.{n}" for n in program.inputs), *(f"param.{n}" for n in program.params)]
    others = [*to_ports, *to_params]
    into = {n: x.data_ptr() for n, x in zip(names, others, strict=True) if x is not None}
    compiled.backward(
        extent,
        parts.given(),
        cotangents.kept.data_ptr() if cotangents.kept.numel() else 0,
        [values(x) for x in given],
        (into, [s.data_ptr() for s in to_state]),
    )
    return [*others, *to_state]


class Sweep(torch.autograd.Function):
    """``Sweep.apply(compiled, extent, counts, *tensors)``; counts: of ports, and of ports and parameters.

    The tensors are those of `Parts.plain`; a stretch of one step may come without the axis of time.
    """

    @staticmethod
    def forward(
        ctx: Any, compiled: Compiled, extent: Extent, counts: tuple[int, int], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        parts = split(tensors, counts)
        *found, kept = onward(compiled, extent, parts, keeps=True)
        ctx.save_for_backward(*parts.ports, *parts.params, *parts.state, kept)
        ctx.compiled, ctx.extent, ctx.counts = compiled, extent, counts
        ctx.set_materialize_grads(False)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        *tensors, kept = ctx.saved_tensors
        parts, wanted = split(tensors, ctx.counts), ctx.needs_input_grad[3:]
        if torch.is_grad_enabled():
            found = differentiable(ctx.compiled, ctx.extent, (parts, gradients), wanted)
        else:
            cotangents = Cotangents(kept, gradients[0], gradients[1:])
            found = backward(ctx.compiled, ctx.extent, parts, cotangents, wanted)
            tell_lost(found[ctx.counts[1] :], wanted[ctx.counts[1] :])
        return (None, None, None, *found)


def split(tensors: Sequence[Tensor], counts: tuple[int, int]) -> Parts:
    """Ports, parameters, states."""
    ports, params = counts
    return Parts(tuple(tensors[:ports]), tuple(tensors[ports:params]), tuple(tensors[params:]))


def differentiable(
    compiled: Compiled, extent: Extent, given: tuple[Parts, Sequence[Tensor | None]], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of the evaluated program, which torch can differentiate once more.

    Parameters
    ----------
    given : what entered, and the cotangents of the output and of the states after the last step.
    """
    parts, gradients = given
    asked = [t for t, wants in zip(chain(*parts), wanted, strict=True) if wants]
    slots = {slot: Slopes(slope) for slot, slope in compiled.slots.items()}
    with torch.enable_grad():
        timed = parts._replace(ports=tuple(p.reshape(extent.shape) for p in parts.ports))
        out, after = evaluated(compiled.program, slots, timed, settles=True)
        ends = (out.reshape(parts.ports[0].shape), *after)
        pairs = [(x, g) for x, g in zip(ends, gradients, strict=True) if g is not None and x.requires_grad]
        made = torch.autograd.grad(
            [x for x, _ in pairs], asked, [g for _, g in pairs], create_graph=True, allow_unused=True
        )
    found = iter(made)
    return [next(found) if wants else None for wants in wanted]


def evaluated(
    program: Program, slots: Mapping[int, Derivative], parts: Parts, settles: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A stretch of time step by step, each operation of the program one of torch's."""
    outputs: list[Tensor] = []
    state = parts.state
    for moment in zip(*(port.unbind(0) for port in parts.ports), strict=True):
        z, state = evaluated_step(program, slots, Parts(moment, parts.params, state), settles)
        outputs.append(z)
    return torch.stack(outputs), state


def evaluated_step(
    program: Program, slots: Mapping[int, Derivative], parts: Parts, settles: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One moment ``(B, *shape)``."""
    names = (program.params, program.states, program.inputs)
    given = (parts.params, parts.state, parts.ports)
    domain = Tensors(slots, parts.ports[0])
    leaves = (dict(zip(n, values, strict=True)) for n, values in zip(names, given, strict=True))
    registers = evaluate(program, domain, *leaves)
    z, *after = (domain.full(registers[i]) for i in program.ends)
    return z, tuple(settled(v) if settles else v for v in after)
