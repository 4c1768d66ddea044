"""A stretch of time through a layer whose outputs come back through a matrix, in one call of the C++ core.

Forward a step's currents take the rows of the active sources (``src/sweep/recurrent``), so outputs and states
are those of the reference bit for bit. Backward the core goes through the steps once to find what comes back
through the feedback to each output; with that and the currents, the gradients are those of a sweep without
feedback (`neurons.sweep`), and that of the matrix is a product of spikes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from spikeflow.neurons import sweep, sweep_ops
from spikeflow.neurons.compiled import Compiled, Extent, Fed
from spikeflow.neurons.lost import tell_lost
from spikeflow.neurons.parts import Cotangents, Parts, values, whole
from spikeflow.neurons.spike_linear import weight_gradient
from spikeflow.neurons.tensors import Slopes

Tensor = torch.Tensor


class Feedback(NamedTuple):
    """``weight (N, N)``, ``bias (N,)`` or None; outputs before the first step ``(B, N)``; number of the
    port.
    """

    weight: Tensor
    bias: Tensor | None
    last: Tensor
    port: int

    def plain(self) -> Feedback:
        """Of tensors in C order."""
        bias = None if self.bias is None else whole(self.bias)
        return Feedback(whole(self.weight), bias, whole(self.last), self.port)

    def fed(self) -> Fed:
        """By address."""
        bias = 0 if self.bias is None else self.bias.data_ptr()
        return self.weight.data_ptr(), bias, self.last.data_ptr(), self.port


def recurrently_swept(
    compiled: Compiled, parts: Parts, feedback: Feedback, budget: int | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A stretch ``(T, B, N)`` of float32: outputs, and the states after it."""
    parts, feedback = parts.plain(), feedback.plain()
    extent = sweep_ops.extent_of(parts.ports[0], len(parts.state), budget)
    tensors = (*feedback[:3], *chain(*parts))
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        counts = len(parts.ports), len(parts.ports) + len(parts.params)
        given = (compiled, extent, counts, feedback.port)
        z, *after = RecurrentSweep.apply(*given, *tensors)
    else:
        z, *after, _, _ = _onward(compiled, extent, parts, feedback)
    return z, tuple(after)


def _onward(compiled: Compiled, extent: Extent, parts: Parts, feedback: Feedback) -> tuple[Tensor, ...]:
    """Outputs, states after the last step, states kept, currents that arrived in all at the fed port."""
    like = parts.ports[0]
    kept = like.new_empty((extent.moments, len(parts.state), *extent.shape[1:]))
    out, currents = (like.new_empty(like.shape) for _ in range(2))
    after = [torch.empty_like(s) for s in parts.state]
    into = out.data_ptr(), kept.data_ptr() if kept.numel() else 0, currents.data_ptr()
    compiled.recurrent(extent, parts.given(), feedback.fed(), into, [s.data_ptr() for s in after])
    return (out, *after, kept, currents)


class RecurrentSweep(torch.autograd.Function):
    """``RecurrentSweep.apply(compiled, extent, counts, port, weight, bias, last, *tensors)``; see `Sweep`."""

    @staticmethod
    def forward(
        ctx: Any,
        compiled: Compiled,
        extent: Extent,
        counts: tuple[int, int],
        port: int,
        weight: Tensor,
        bias: Tensor | None,
        last: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        parts, feedback = sweep.split(tensors, counts), Feedback(weight, bias, last, port)
        z, *after, kept, currents = _onward(compiled, extent, parts, feedback)
        ctx.save_for_backward(weight, bias, last, *tensors, z, kept, currents)
        ctx.compiled, ctx.extent, ctx.counts, ctx.port = compiled, extent, counts, port
        ctx.set_materialize_grads(False)
        return (z, *after)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        weight, bias, last, *tensors, z, kept, currents = ctx.saved_tensors
        parts, feedback = sweep.split(tensors, ctx.counts), Feedback(weight, bias, last, ctx.port)
        wanted = ctx.needs_input_grad[4:]
        if torch.is_grad_enabled():
            found = _differentiable(ctx.compiled, parts, feedback, gradients, wanted)
        else:
            ports = tuple(currents if i == ctx.port else p for i, p in enumerate(parts.ports))
            given = Cotangents(kept, gradients[0], gradients[1:])
            found = _backward(
                ctx.compiled, ctx.extent, (parts._replace(ports=ports), feedback, z), given, wanted
            )
            tell_lost(found[3 + ctx.counts[1] :], wanted[3 + ctx.counts[1] :])
        return (None, None, None, None, *found)


def _backward(
    compiled: Compiled,
    extent: Extent,
    ran: tuple[Parts, Feedback, Tensor],
    given: Cotangents,
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of weight, bias and last outputs, then of ports, parameters and states.

    Parameters
    ----------
    ran : what entered, with the currents at the fed port; the feedback; the outputs.
    """
    parts, feedback, z = ran
    total, kept = torch.empty_like(z), given.kept
    dense, address = given.dense(z), kept.data_ptr() if kept.numel() else 0
    cotangents = [values(x) for x in dense]
    compiled.recurrent_back(extent, parts.given(), feedback.fed(), address, cotangents, total.data_ptr())
    asked = [wants or i == feedback.port for i, wants in enumerate(wanted[3:])]
    found = sweep.backward(compiled, extent, parts, Cotangents(kept, total, given.after), asked)
    current = found[feedback.port]
    assert current is not None
    before = torch.cat([feedback.last[None], z[:-1]]).flatten(0, 1) if wanted[0] else z
    return [
        weight_gradient(before, current.flatten(0, 1)) if wanted[0] else None,
        current.sum((0, 1)) if wanted[1] else None,
        current[0] @ feedback.weight if wanted[2] else None,
        *found,
    ]


def _differentiable(
    compiled: Compiled, parts: Parts, feedback: Feedback, gradients: Sequence[Any], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of the evaluated program, which torch can differentiate once more."""
    tensors = (*feedback[:3], *chain(*parts))
    asked = [t for t, wants in zip(tensors, wanted, strict=True) if wants and t is not None]
    with torch.enable_grad():
        ends = _evaluated(compiled, parts, feedback)
        pairs = [(x, g) for x, g in zip(ends, gradients, strict=True) if g is not None and x.requires_grad]
        made = torch.autograd.grad(
            [x for x, _ in pairs], asked, [g for _, g in pairs], create_graph=True, allow_unused=True
        )
    found = iter(made)
    return [next(found) if wants else None for wants in wanted]


def _evaluated(compiled: Compiled, parts: Parts, feedback: Feedback) -> tuple[Tensor, ...]:
    """Outputs and states after them, step by step."""
    slots = {slot: Slopes(slope) for slot, slope in compiled.slots.items()}
    z, state, out = feedback.last, parts.state, []
    for moment in zip(*(port.unbind(0) for port in parts.ports), strict=True):
        arrived = list(moment)
        arrived[feedback.port] = arrived[feedback.port] + F.linear(z, feedback.weight, feedback.bias)
        given = Parts(tuple(arrived), parts.params, state)
        z, state = sweep.evaluated_step(compiled.program, slots, given, settles=True)
        out.append(z)
    return (torch.stack(out), *state)
