"""The sweep as operations of torch, for what holds graphs of operations: torch.compile, torch.export, vmap.

``torch.ops.spikeflow.sweep(program, budget, ports, params, state)`` gives the outputs, the states after the
last step, and those kept for the way back; ``sweep_back`` the gradients. `program` is the text of a
`Compiled`; a negative budget is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from spikeflow.neurons.compiled import Extent, chunk, interval, of_text
from spikeflow.neurons.parts import Cotangents, Parts
from spikeflow.neurons.sweep import backward, onward

Tensor = torch.Tensor
Tensors = Sequence[Tensor]


def extent_of(like: Tensor, states: int, budget: int | None, parallel: bool | None = False) -> Extent:
    """Of a stretch ``(T, B, *shape)``, with as many threads as torch has; `parallel` as in `chunk`."""
    shape, each = tuple(like.shape), like.element_size()
    # on a GPU to compute states again costs more than to keep them, unless memory is short
    every = 1 if like.is_cuda and budget is None else interval(shape, states, each, budget)
    in_chunks = not like.is_cuda and budget is None
    length = chunk(shape, states, parallel) if in_chunks else 0
    return Extent(shape, each, every, torch.get_num_threads(), chunk=length)


def _extent(like: Tensor, state: Tensors, budget: int) -> Extent:
    return extent_of(like, len(state), None if budget < 0 else budget)


@torch.library.custom_op("spikeflow::sweep", mutates_args=(), device_types="cpu")
def sweep(
    program: str, budget: int, ports: Sequence[Tensor], params: Sequence[Tensor], state: Sequence[Tensor]
) -> list[Tensor]:
    """A stretch of time: output, states after it, states kept."""
    parts = Parts(tuple(ports), tuple(params), tuple(state)).plain()
    return list(onward(of_text(program), _extent(ports[0], state, budget), parts, keeps=True))


@sweep.register_fake
def _(program: str, budget: int, ports: Tensors, params: Tensors, state: Tensors) -> list[Tensor]:
    like = ports[0]
    kept = (_extent(like, state, budget).moments, len(state), *like.shape[1:])
    return [like.new_empty(like.shape), *(s.new_empty(s.shape) for s in state), like.new_empty(kept)]


@torch.library.custom_op("spikeflow::sweep_back", mutates_args=(), device_types="cpu")
def sweep_back(
    program: str,
    budget: int,
    wanted: Sequence[bool],
    ports: Sequence[Tensor],
    params: Sequence[Tensor],
    state: Sequence[Tensor],
    kept: Tensor,
    cotangents: Sequence[Tensor],
) -> list[Tensor]:
    """The gradients of ports and parameters that are wanted, then of the states."""
    parts = Parts(tuple(ports), tuple(params), tuple(state)).plain()
    given = Cotangents(kept, cotangents[0], cotangents[1:])
    found = backward(of_text(program), _extent(ports[0], state, budget), parts, given, wanted)
    return [x for x in found if x is not None]


@sweep_back.register_fake
def _(
    program: str,
    budget: int,
    wanted: Sequence[bool],
    ports: Tensors,
    params: Tensors,
    state: Tensors,
    kept: Tensor,
    cotangents: Tensors,
) -> list[Tensor]:
    others = [x for x, wants in zip((*ports, *params), wanted, strict=True) if wants]
    return [x.new_empty(x.shape) for x in (*others, *state)]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.program, ctx.budget, ports, params, state = inputs
    ctx.counts = len(ports), len(ports) + len(params)
    ctx.save_for_backward(*ports, *params, *state, output[-1])


def _back(ctx: Any, gradients: Sequence[Tensor | None]) -> tuple[Any, ...]:
    *tensors, kept = ctx.saved_tensors
    ports, params = ctx.counts
    parts = tensors[:ports], tensors[ports:params], tensors[params:]
    wanted = [*ctx.needs_input_grad[2], *ctx.needs_input_grad[3]]
    none = tensors[0].new_zeros(())
    ends = (tensors[0], *parts[2])
    given = [none.expand(x.shape) if g is None else g for x, g in zip(ends, gradients, strict=False)]
    found = iter(sweep_back(ctx.program, ctx.budget, wanted, *parts, kept, given))
    others = [next(found) if wants else None for wants in wanted]
    return None, None, others[:ports], others[ports:], list(found)


sweep.register_autograd(_back, setup_context=_remember)


@sweep.register_vmap
def _(
    info: Any, dims: Any, program: str, budget: int, ports: Tensors, params: Tensors, state: Tensors
) -> tuple[list[Tensor], list[int]]:
    """Samples of samples are a batch; parameters that differ between them are swept one after the other."""

    def each(values: Tensors, places: Sequence[int | None]) -> list[Tensor]:
        pairs = zip(values, places, strict=True)
        return [x.expand(info.batch_size, *x.shape) if d is None else x.movedim(d, 0) for x, d in pairs]

    given = [each(values, places) for values, places in zip((ports, params, state), dims[2:], strict=True)]
    runs = [sweep(program, budget, *([x[i] for x in part] for part in given)) for i in range(info.batch_size)]
    return [torch.stack(values) for values in zip(*runs, strict=True)], [0] * len(runs[0])
