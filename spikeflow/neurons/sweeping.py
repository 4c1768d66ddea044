"""Which way a layer of neurons runs: swept by the C++ core or a GPU's kernels, or evaluated; and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import torch
from torch.autograd import forward_ad

from spikeflow.neurons import sweep_gpu, sweep_ops
from spikeflow.neurons.compiled import Compiled
from spikeflow.neurons.parts import Parts
from spikeflow.neurons.sweep import Sweep, onward

PLAIN = (torch.Tensor, torch.nn.Parameter)


def eager_because(compiled: Compiled, parts: Parts) -> str:
    """Why the core does not run these tensors; empty where it does."""
    device = parts.ports[0].device
    if device.type not in ("cpu", "cuda"):
        return f"tensors on {device.type}"
    if compiled.refused:
        return compiled.refused
    if torch.compiler.is_compiling():
        return "" if device.type == "cpu" else "torch.compile on a GPU"
    if device.type == "cuda" and (missing := sweep_gpu.missing(compiled)):
        return missing
    return untouchable(chain(*parts))


def untouchable(tensors: Iterable[torch.Tensor]) -> str:
    """Why these tensors are not simply arrays of numbers; empty where they are."""
    if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return "torch.jit"
    if torch._C._are_functorch_transforms_active():  # pyright: ignore[reportPrivateUsage]
        return "a transform of torch.func"
    if forward_ad._current_level >= 0:  # pyright: ignore[reportPrivateUsage]
        return "differentiated in forward mode"
    for t in tensors:
        if type(t) not in PLAIN:
            return f"tensors of type {type(t).__name__}"
        if t.layout is not torch.strided:
            return f"tensors of layout {t.layout}"
    return ""


@dataclass(frozen=True)
class Way:
    """How: a stretch of time, or a moment; `budget` and whether `parallel` in time as a `Neuron` has them."""

    timed: bool
    budget: int | None = None
    parallel: bool | None = None


def swept(compiled: Compiled, parts: Parts, way: Way) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """A stretch ``(T, B, *shape)``, or a moment ``(B, *shape)``, through the core."""
    if torch.compiler.is_compiling():
        return _in_a_graph(compiled, parts, way.timed, way.budget)
    parts = parts.plain()
    like = parts.ports[0]
    moments = like if way.timed else like[None]
    extent = sweep_ops.extent_of(moments, len(parts.state), way.budget, way.parallel)
    if torch.is_grad_enabled() and any(t.requires_grad for t in chain(*parts)):
        counts = len(parts.ports), len(parts.ports) + len(parts.params)
        z, *after = Sweep.apply(compiled, extent, counts, *chain(*parts))
    else:
        z, *after, _ = onward(compiled, extent, parts, keeps=False)
    return z, tuple(after)


def _in_a_graph(
    compiled: Compiled, parts: Parts, timed: bool, budget: int | None
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    ports = parts.ports if timed else tuple(p[None] for p in parts.ports)
    given = list(ports), list(parts.params), list(parts.state)
    z, *after, _ = sweep_ops.sweep(compiled.text, -1 if budget is None else budget, *given)
    return z if timed else z[0], tuple(after)
