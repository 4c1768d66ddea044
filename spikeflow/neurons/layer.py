"""Neuron: a torch layer of one model. State goes in and state comes out.

Tensors are ``(T, B, *shape)``. Currents are added and multiplied as separate operations, so on the same
currents a layer and the reference agree bit for bit.
"""

from __future__ import annotations

import warnings
from collections import namedtuple
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeflow.errors import GraphError, SpikeflowWarning
from spikeflow.neurons import surrogate
from spikeflow.neurons.bounds import limited
from spikeflow.neurons.learned import Learn, Learned, learned
from spikeflow.neurons.model import NeuronModel
from spikeflow.neurons.settling import SEEN, compared
from spikeflow.neurons.slots import Given, Parameters, Slotted, filled
from spikeflow.neurons.stretch import Stretch, arriving, check_parameter, check_state, state_dtype
from spikeflow.neurons.sweep import evaluated, evaluated_step
from spikeflow.neurons.sweeping import Way, swept

State = tuple[torch.Tensor, ...]


class Neuron(Slotted):
    """A layer of neurons of one model: ``(out, state) = Neuron(LIF(0.9))(x, state=None)``.

    The state is float32 (float64 for inputs in double precision), also under autocast and after `half()`.
    Spikes have the type of the input; what does not spike, such as an `Integrator`, has the type of its
    state.

    A learned parameter that an optimiser takes out of its legal range acts at the limit, and its gradient
    still leads back in. A threshold that starts above 2^-76 stays above it.

    Parameters
    ----------
    model : the declaration; its parameters become buffers, or trained parameters where named in `learn`.
    learn : names of parameters to train, or one name; or by name who has a value of its own ("shared",
        "channel", "neuron"), or a `Learned`, which also keeps the parameter within bounds of its own.
    derivative : the surrogate gradient, a `surrogate.Surrogate` or a function of tensors, of (v - threshold);
        or a dict of such by slot. A module is registered; it shapes gradients and gets none itself from an
        ordinary backward pass. It may be set anew at any time: parameters and state stay what they are.
    shape : of the population, where a parameter is learned for each channel or neuron.
    budget : bytes that the states of a stretch may take until its backward pass; those that are not kept are
        computed again. None: those of every 16th step are kept. Gradients are the same.

    Attributes
    ----------
    parallel_in_time : whether the C++ core runs chunks of a long sequence side by side, which brings speed
        where neurons and samples are few. Outputs and states are the same bits, gradients the same to
        rounding. None, the default: where it is faster. True: wherever it is possible, False: nowhere. A
        layer with a budget, and one under torch.compile, goes step by step. `kernel` says what the last run
        did.

    Raises
    ------
    GraphError
        For what is no model, for names that the model lacks, a scope that needs the shape. A name that its
        program never reads is told.
    """

    def __init__(
        self,
        model: NeuronModel,
        learn: Learn = (),
        derivative: Given = surrogate.atan,
        shape: tuple[int, ...] | None = None,
        budget: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(model, NeuronModel):
            raise GraphError("Neuron", f"{model!r} is no neuron model", "an instance, such as LIF(0.9)")
        self._ways = learned(model, learn)
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 0):
            raise GraphError(model.name, f"budget={budget!r} is no number of bytes", "budget=2**20, or None")
        self.model, self.budget = model, budget
        self._prepare()
        self._fill(derivative, 3)
        for name, value in model.params().items():
            if name not in self._ways:
                self.register_buffer(name, torch.tensor(value, dtype=torch.float32))
                continue
            way = self._ways[name]
            start = torch.tensor(way.start(f"{model.name}, {name}", value, shape), dtype=torch.float32)
            self.register_parameter(f"{name}_raw" if way.bounded else name, nn.Parameter(start))

    def _prepare(self) -> None:
        """What follows from the model alone."""
        program = self.model.program()
        names = compared(program)
        start = self.model.params()
        seen = names is not None and all(np.min(start[n]) >= SEEN for n in names)
        self._program, self._names = program, program.states
        self._settles, self._spiking = not seen, program.spikes()
        self._limits = {
            n: (max(low, SEEN) if seen and n in (names or ()) else low, high)
            for n, (low, high) in self.model.ranges().items()
            if n in start
        }
        self.state_type = state_type(program.states)

    def __getstate__(self) -> dict[str, Any]:
        # the state's class is made, not imported, so that pickle could not find it
        # and what is compiled is compiled anew
        return {k: v for k, v in self.__dict__.items() if k not in ("state_type", "_compiled")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("_ways", dict.fromkeys(self._parameters, Learned()))
        self.__dict__.setdefault("budget", None)
        self._prepare()
        self._put(filled(self.model.name, self._program, self.derivative))

    def extra_repr(self) -> str:
        """The model with the parameters as they are now."""
        shown = [f"{n}={_shown(v)}" for n, v in self.values().items()]
        shown += [f"{n}={v!r}" for n, v in self.model.choices().items()]
        if isinstance(self.derivative, surrogate.Surrogate) and self.derivative != surrogate.atan:
            shown.append(f"derivative={self.derivative}")
        names = [n for n in self.model.params() if n in self._ways]
        return f"{self.model.name}({', '.join(shown)})" + (f", learn={names}" if names else "")

    def _apply(self, fn: Any, recurse: bool = True) -> Neuron:
        """Moves as any module's; but `half()` and `bfloat16()` leave the neurons' own numbers as they are."""
        return super()._apply(wide(fn), recurse)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        state_dict, prefix = args[:2]
        for name, (low, high) in self._limits.items():
            value = state_dict.get(prefix + name)
            if isinstance(value, torch.Tensor) and not value.is_meta:
                computed = value.float()
                outside = int((~((computed >= low) & (computed <= high))).sum())
                if outside:
                    warnings.warn(
                        f"{prefix}{name}: {outside} of {value.numel()} loaded values lie outside "
                        f"[{low:g}, {high:g}]; the layer computes with the limit.",
                        SpikeflowWarning,
                        stacklevel=2,
                    )

    def values(self, dtype: torch.dtype = torch.float32) -> Parameters:
        """The parameters that the layer computes with, in this type, each within its legal range."""
        found: Parameters = {}
        for name, (low, high) in self._limits.items():
            value = self.held(name)
            trained = name in self._parameters or value.requires_grad
            bounded = limited(value, low, high) if trained else value.clamp(low, high)
            found[name] = bounded.to(dtype)
        return found

    def held(self, name: str) -> torch.Tensor:
        """A parameter as training left it; the layer computes with it within its legal range (`values`)."""
        way = self._ways.get(name)
        found: torch.Tensor
        found = way.value(getattr(self, f"{name}_raw")) if way and way.bounded else getattr(self, name)
        return found

    def initial(self, like: torch.Tensor) -> State:
        """The state at rest for inputs of the shape of `like`, ``(B, *shape)``."""
        self._begin()
        return self.state_type(*(torch.zeros_like(like, dtype=state_dtype(like.dtype)) for _ in self._names))

    def step(self, x: Stretch, state: State) -> tuple[torch.Tensor, State]:
        """One moment: inputs ``(B, *shape)``, one tensor or a dict by port, to output and next state."""
        moment = arriving(self.model.name, x, self.model.inputs, timed=False)
        self.check(moment[0], state)
        z, state = self.advance(self.values(moment[0].dtype), moment, state)
        return self.handed_on(z, x), state

    def check(self, like: torch.Tensor, state: State) -> None:
        """Raise unless parameters and state fit a moment ``(B, *shape)``."""
        for name in self._limits:
            check_parameter(f"{self.model.name}, {name}", self.held(name), like)
        check_state(self.model.name, state, self._names, like)

    def advance(
        self, values: Parameters, moment: tuple[torch.Tensor, ...], state: State
    ) -> tuple[torch.Tensor, State]:
        """One moment of what was checked: inputs in the order of the ports, in the type of the state."""
        z, after = self._run(values, moment, state, timed=False)
        return z, after

    def _run(
        self, values: Parameters, ports: tuple[torch.Tensor, ...], state: State, timed: bool
    ) -> tuple[torch.Tensor, State]:
        """A stretch ``(T, B, *shape)``, or a moment ``(B, *shape)``, by what can run it."""
        parts = self.entering(values, ports, state)
        if not self.eager_because(parts):
            z, after = swept(self._compiled, parts, Way(timed, self.budget, self.parallel_in_time))
        elif timed:
            z, after = evaluated(self._program, self._slots, parts, self._settles)
        else:
            z, after = evaluated_step(self._program, self._slots, parts, self._settles)
        return z, self.state_type(*after)

    def handed_on(self, z: torch.Tensor, x: Stretch) -> torch.Tensor:
        """Spikes in the type of what came in; a spike is 0 or 1 in any."""
        first = x if isinstance(x, torch.Tensor) else next(iter(x.values()))
        return z.to(first.dtype) if self._spiking and first.is_floating_point() else z

    def forward(self, x: Stretch, state: State | None = None) -> tuple[torch.Tensor, State]:
        """A stretch of time ``(T, B, *shape)`` to outputs of the same shape, and the state after it.

        Raises
        ------
        ShapeError, DataError
            For no step at all; a state that is not of the input's samples, shape, type and device; parameters
            that do not broadcast to the neurons; inputs of several shapes.
        """
        inputs = arriving(self.model.name, x, self.model.inputs, timed=True)
        like = inputs[0][0]
        state = self.initial(like) if state is None else state
        self.check(like, state)
        z, state = self._run(self.values(like.dtype), inputs, state, timed=True)
        return self.handed_on(z, x), state


def wide(fn: Any) -> Any:
    """How a module's tensors are moved: as `fn` does, but to half precision."""

    def kept(tensor: torch.Tensor) -> torch.Tensor:
        moved: torch.Tensor = fn(tensor)
        narrow = moved.is_floating_point() and moved.dtype not in (torch.float32, torch.float64)
        return tensor.to(moved.device) if narrow else moved

    return kept


def _shown(value: torch.Tensor) -> str:
    if value.is_meta or value.numel() != 1:
        return f"{tuple(value.shape)}" + ("" if value.is_meta or not value.numel() else _spread(value))
    return f"{value.item():.6g}"


def _spread(value: torch.Tensor) -> str:
    return f" from {value.min().item():.6g} to {value.max().item():.6g}"


@lru_cache
def state_type(names: tuple[str, ...]) -> Any:
    """The named tuple of these states; pickle makes it anew from the names."""
    made = namedtuple("State", names)  # type: ignore[misc]
    made.__reduce__ = lambda self: (_state, (names, tuple(self)))
    return made


def _state(names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return state_type(names)(*values)
