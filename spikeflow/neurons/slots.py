"""Slots: the places of a program where a surrogate stands for a derivative, and what a torch layer puts
there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from spikeflow.errors import GraphError, SpikeflowWarning
from spikeflow.ir.program import Program
from spikeflow.neurons import sweep_driven
from spikeflow.neurons.autograd import Derivative, Watching
from spikeflow.neurons.compiled import Compiled
from spikeflow.neurons.model import NeuronModel
from spikeflow.neurons.parts import Parts
from spikeflow.neurons.surrogate import Surrogate, atan, straight_through
from spikeflow.neurons.sweep_driven import Drive
from spikeflow.neurons.sweep_recurrent import Feedback, recurrently_swept
from spikeflow.neurons.sweeping import eager_because
from spikeflow.neurons.tensors import Slopes

Parameters = dict[str, torch.Tensor]
# one for every spike, or by slot
Given = Derivative | Mapping[int, Derivative]


def filled(name: str, program: Program, given: Given) -> dict[int, Derivative]:
    """For each slot of a program, what the gradient is multiplied by there.

    Parameters
    ----------
    name : of the model, for messages.
    given : a `Surrogate` or a function of a tensor, for the slots of all spikes; or a dict of such by slot. A
        slot that it leaves open gets `surrogate.atan` where it belongs to a spike, else
        `surrogate.straight_through`.

    Raises
    ------
    GraphError
        For what is no function, a slot that the program has not, a module in a dict, which torch would not
        see.
    """
    spikes = {int(i.value) for i in program.code if i.op == "spike"}
    others = {int(i.value) for i in program.code if i.op in ("floor", "round") and i.value} - spikes
    chosen: dict[int, Any] = {**dict.fromkeys(spikes, atan), **dict.fromkeys(others, straight_through)}
    listed = isinstance(given, Mapping)
    for derivative in given.values() if listed else (given,):
        if not callable(derivative) or isinstance(derivative, type):
            hint = f"{derivative.__name__}()" if isinstance(derivative, type) else "surrogate.atan"
            raise GraphError(name, f"derivative {derivative!r} is no function", hint)
        if listed and isinstance(derivative, nn.Module):
            hint = "the module itself, for all spikes, or a function"
            raise GraphError(name, "a module in a dict of derivatives is no part of the layer", hint)
    if isinstance(given, Watching) and len(spikes) > 1:
        reason = f"{type(given).__name__} follows one spike, and there are {len(spikes)}"
        raise GraphError(name, reason, "surrogate.atan")
    by_slot = dict(given) if listed else dict.fromkeys(spikes, given)
    if unknown := set(by_slot) - set(chosen):
        raise GraphError(name, f"there is no slot {unknown.pop()!r}", f"one of {sorted(chosen)}")
    chosen |= by_slot
    return {slot: Slopes(d.program()) if isinstance(d, Surrogate) else d for slot, d in chosen.items()}


class Slotted(nn.Module):
    """A module whose program has slots; what stands there is `derivative`, and may be set anew at any
    time.
    """

    model: NeuronModel
    derivative: Given
    _program: Program
    _slots: dict[int, Derivative]
    _compiled: Compiled
    _because: str = ""  # why the last run was eager; empty where it was not
    parallel_in_time: bool | None = None

    @property
    def declared(self) -> bool:
        """Whether every slot holds a surrogate that is a program, not a function of tensors."""
        return not self._function

    @property
    def kernel(self) -> str:
        """What computes the layer and its gradient.

        ``compiled forward and backward``: the C++ core (`neurons.compiled`), from the program and its
        adjoint. ``..., in chunks of time``: chunks of the last sequence ran side by side; ``up to step N``
        where these did not meet from there on, and the rest went step by step. ``eager: REASON``: the
        program evaluated by torch's operations, where a function of tensors stands for a derivative, or where
        the last run was on another device, in forward mode or within a transform.
        """
        reason = self._function or self._because
        return f"eager: {reason}" if reason else f"compiled forward and backward{self._in_chunks}"

    @property
    def _in_chunks(self) -> str:
        settled, wanted = self._compiled.settled
        if not wanted:
            return ""
        return ", in chunks of time" + (f" up to step {settled}" if settled < wanted else "")

    def entering(
        self, values: Parameters, ports: tuple[torch.Tensor, ...], state: tuple[torch.Tensor, ...]
    ) -> Parts:
        """What enters the core: inputs in the order of the ports, parameters in that of the program."""
        return Parts(ports, tuple(values[name] for name in self._program.params), tuple(state))

    def eager_because(self, parts: Parts) -> str:
        """Why the core does not run them, as `kernel` will say; empty where it does."""
        reason = self._function or eager_because(self._compiled, parts)
        if reason != self._because:
            self._because = reason
        return reason

    def fed_back(
        self, parts: Parts, feedback: Feedback, budget: int | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]] | None:
        """All steps of a stretch ``(T, B, N)``, its outputs coming back; None where the core does not run
        it.
        """
        if self.eager_because(parts):
            return None
        return recurrently_swept(self._compiled, parts, feedback, budget)

    def driven(
        self, parts: Parts, drive: Drive, budget: int | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]] | None:
        """A stretch ``(T, B, N)`` with the product that drives it; None where the core does not run both at
        once.
        """
        if self.eager_because(parts):
            return None
        extent = sweep_driven.extent_of(drive, len(parts.state), budget, self.parallel_in_time)
        return None if extent.chunk else sweep_driven.driven_swept(self._compiled, parts, drive, extent)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "parallel_in_time" and str(value) not in ("None", "True", "False"):
            reason = f"parallel_in_time={value!r} is no choice"
            raise GraphError(self.model.name, reason, "True, False, or None for where it is faster")
        if name == "derivative":
            self._fill(value, 3)
        else:
            super().__setattr__(name, value)

    def _put(self, slots: dict[int, Derivative]) -> None:
        self._slots = slots
        programs = {slot: d.program for slot, d in slots.items() if isinstance(d, Slopes)}
        function = next((slot for slot in slots if slot not in programs), None)
        told = f"a function of tensors is the derivative of slot {function}"
        self._function = "" if function is None else told
        self._compiled = Compiled(self._program, programs)

    def _begin(self) -> None:
        """A sequence starts: what watches the spikes' arguments starts anew."""
        for derivative in self._slots.values():
            if isinstance(derivative, Watching):
                derivative.begin()

    def _fill(self, derivative: Given, level: int) -> None:
        """Put surrogates into the slots; what is told of them names the line so many calls above."""
        self._put(filled(self.model.name, self._program, derivative))
        # torch lets nothing but a module take the place of one
        self._modules.pop("derivative", None)
        super().__setattr__("derivative", derivative)  # type: ignore[arg-type]
        if isinstance(derivative, nn.Module) and any(p.requires_grad for p in derivative.parameters()):
            warnings.warn(
                f"{self.model.name}: the parameters of its derivative, {type(derivative).__name__}, shape "
                "gradients and get none from an ordinary backward pass.",
                SpikeflowWarning,
                stacklevel=level,
            )
