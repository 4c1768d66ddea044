"""A stretch of time through a Linear of spikes and the neurons behind it, in one call of the C++ core.

The currents between the two are summed for a tile of time and neurons, swept and dropped
(``src/sweep/driven``); backward they are summed once more, and their cotangents go to the weights at once. So
two of the four arrays of a layer are never held. Outputs and states are the bits of the product
(`active_rows`) and the sweep (`neurons.sweep`) one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from spikeflow.neurons import sweep, sweep_ops
from spikeflow.neurons.compiled import Compiled, Driving, Extent
from spikeflow.neurons.lost import tell_lost
from spikeflow.neurons.parts import Cotangents, Parts, values, whole
from spikeflow.neurons.tensors import Slopes

Tensor = torch.Tensor


class Drive(NamedTuple):
    """``x (T, B, inputs)``, ``weight (N, inputs)``, ``bias (N,)`` or None; number of the port."""

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    port: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the currents."""
        return (*self.x.shape[:2], len(self.weight))  # type: ignore[return-value]

    def plain(self) -> Drive:
        """Of tensors in C order."""
        bias = None if self.bias is None else whole(self.bias)
        return Drive(whole(self.x), whole(self.weight), bias, self.port)

    def given(self) -> Driving:
        """By address."""
        bias = 0 if self.bias is None else self.bias.data_ptr()
        return self.x.data_ptr(), self.weight.data_ptr(), bias, self.x.shape[2], self.port


def silent(shape: tuple[int, ...], count: int) -> tuple[Tensor, ...]:
    """Ports that get nothing beside the currents: one number, expanded."""
    return (torch.zeros(()).expand(shape),) * count


def extent_of(drive: Drive, states: int, budget: int | None, parallel: bool | None) -> Extent:
    """As of a sweep; with a chunk where that would run chunks of time side by side."""
    return sweep_ops.extent_of(silent(drive.shape, 1)[0], states, budget, parallel)


def driven_swept(
    compiled: Compiled, parts: Parts, drive: Drive, extent: Extent
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs ``(T, B, N)`` of float32, and the states after them; the ports of `parts` are silent."""
    parts, drive = parts.plain(), drive.plain()
    tensors = (*drive[:3], *parts.params, *parts.state)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        given = (compiled, extent, (len(parts.ports), len(parts.params)), drive.port)
        z, *after = DrivenSweep.apply(*given, *tensors)
    else:
        z, *after, _ = _onward(compiled, extent, parts, drive, keeps=False)
    return z, tuple(after)


def _onward(
    compiled: Compiled, extent: Extent, parts: Parts, drive: Drive, keeps: bool
) -> tuple[Tensor, ...]:
    """Outputs, states after the last step, and the states kept, those before the first step among them."""
    out, after = torch.empty(extent.shape), [torch.empty_like(s) for s in parts.state]
    moments = extent.moments + 1 if keeps else 0
    kept = torch.empty((moments, len(parts.state), *extent.shape[1:]))
    into = out.data_ptr(), [s.data_ptr() for s in after], kept.data_ptr() if kept.numel() else 0
    compiled.driven(extent, parts.given(), drive.given(), into)
    return (out, *after, kept)


class DrivenSweep(torch.autograd.Function):
    """``DrivenSweep.apply(compiled, extent, counts, port, x, weight, bias, *tensors)``; counts: of ports and
    of parameters; the tensors are parameters and states.
    """

    @staticmethod
    def forward(
        ctx: Any, compiled: Compiled, extent: Extent, counts: tuple[int, int], port: int, *tensors: Any
    ) -> tuple[Tensor, ...]:
        drive, parts = _split(extent, counts, port, tensors)
        z, *after, kept = _onward(compiled, extent, parts, drive, keeps=True)
        ctx.save_for_backward(*tensors, kept)
        ctx.given = compiled, extent, counts, port
        ctx.set_materialize_grads(False)
        return (z, *after)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        *tensors, kept = ctx.saved_tensors
        compiled, extent, counts, port = ctx.given
        drive, parts = _split(extent, counts, port, tensors)
        wanted = ctx.needs_input_grad[4:]
        if torch.is_grad_enabled():
            found = _differentiable(compiled, parts, drive, gradients, wanted)
        else:
            given = Cotangents(kept, gradients[0], gradients[1:])
            found = _backward(compiled, extent, (parts, drive), given, wanted)
            tell_lost(found[3 + counts[1] :], wanted[3 + counts[1] :])
        return (None, None, None, None, *found)


def _split(extent: Extent, counts: tuple[int, int], port: int, tensors: Sequence[Any]) -> tuple[Drive, Parts]:
    x, weight, bias, *others = tensors
    ports, params = counts
    parts = Parts(silent(extent.shape, ports), tuple(others[:params]), tuple(others[params:]))
    return Drive(x, weight, bias, port), parts


def _backward(
    compiled: Compiled, extent: Extent, ran: tuple[Parts, Drive], given: Cotangents, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of x, weight and bias, then of parameters and states."""
    parts, drive = ran
    dense = given.dense(drive.x)
    weight = torch.empty_like(drive.weight) if wanted[1] else None
    bias = torch.empty_like(drive.bias) if drive.bias is not None and wanted[2] else None
    currents = torch.empty(extent.shape) if wanted[0] else None
    params = [
        torch.empty_like(p) if wants else None for p, wants in zip(parts.params, wanted[3:], strict=False)
    ]
    state = [torch.empty_like(s) for s in parts.state]
    names = compiled.program.params
    compiled.driven_back(
        extent,
        (parts.given(), drive.given(), given.kept.data_ptr() if given.kept.numel() else 0),
        [values(x) for x in dense],
        (_address(weight), _address(bias), _address(currents)),
        (
            {n: p.data_ptr() for n, p in zip(names, params, strict=True) if p is not None},
            [s.data_ptr() for s in state],
        ),
    )
    x = None if currents is None else currents @ drive.weight
    return [x, weight, bias, *params, *state]


def _address(x: Tensor | None) -> int:
    return 0 if x is None else x.data_ptr()


def _differentiable(
    compiled: Compiled, parts: Parts, drive: Drive, gradients: Sequence[Any], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of the evaluated program, which torch can differentiate once more."""
    tensors = (*drive[:3], *parts.params, *parts.state)
    asked = [t for t, wants in zip(tensors, wanted, strict=True) if wants and t is not None]
    slots = {slot: Slopes(slope) for slot, slope in compiled.slots.items()}
    with torch.enable_grad():
        currents = F.linear(drive.x, drive.weight, drive.bias)
        ports = tuple(currents if i == drive.port else p for i, p in enumerate(parts.ports))
        z, after = sweep.evaluated(compiled.program, slots, parts._replace(ports=ports), settles=True)
        ends = zip((z, *after), gradients, strict=True)
        pairs = [(x, g) for x, g in ends if g is not None and x.requires_grad]
        made = torch.autograd.grad(
            [x for x, _ in pairs], asked, [g for _, g in pairs], create_graph=True, allow_unused=True
        )
    found = iter(made)
    return [next(found) if wants else None for wants in wanted]
