"""Neurons of the peers, set to  v <- decay v + x;  z = v >= 1;  v <- v - z.

A peer's own step and own multi-step function are called, nothing is re-implemented. `gain` is what the peer's form
of the equation wants its currents multiplied by; the network folds it into the weights beforehand.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch


class Cells:
    """One layer of neurons in plain torch, and what a peer's layer must offer.

    Parameters
    ----------
    decay : 1 for integrate-and-fire.
    """

    package = "torch"
    form = "v = decay * v + x; z = (v >= 1); v = v - z"

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.gain = 1.0

    def begin(self, v: torch.Tensor) -> Any:
        """The state that stands for the membrane potential v."""
        return v

    def step(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        """Spikes and the next state."""
        v = self.decay * state + x
        z = (v >= 1.0).to(x.dtype)
        return z, v - z

    def multi(self, x: torch.Tensor, state: Any) -> torch.Tensor:
        """Spikes of a whole sequence ``(T, B, *shape)``."""
        out = []
        for current in x.unbind(0):
            z, state = self.step(current, state)
            out.append(z)
        return torch.stack(out)

    @classmethod
    def described(cls) -> dict[str, str]:
        """The package, its version, and the form in which it computes our equation."""
        return {"package": cls.package, "version": version(cls.package), "form": cls.form}


class NorseCells(Cells):
    """norse's LIFBox. It moves v by dt / tau of (x - v), so its currents are 1 / (1 - decay) times ours.

    Without leak the same form is taken to its limit: 2^-40 for dt / tau leaks less than float32 can hold, and
    currents times 2^40 are exact. norse's own integrate-and-fire neuron can only be reset to a value.
    """

    package = "norse"
    form = (
        "LIFBox, reset_subtract: v = v + k * (x / k - v), k = dt * tau_mem_inv = 1 - decay (2^-40 for decay 1); "
        "z = v > 1, so v = 1 exactly differs"
    )

    def __init__(self, decay: float) -> None:
        from norse.torch.functional.lif_box import (
            LIFBoxFeedForwardState,
            LIFBoxParameters,
            lif_box_feed_forward_step,
        )
        from norse.torch.functional.lift import lift
        from norse.torch.functional.reset import reset_subtract

        super().__init__(decay)
        k = 1.0 - decay if decay < 1 else 2.0**-40
        self.gain = 1.0 / k
        self.parameters = LIFBoxParameters(
            tau_mem_inv=torch.as_tensor(k), method="heaviside", reset_method=reset_subtract
        )
        self.state, self.one = LIFBoxFeedForwardState, lif_box_feed_forward_step
        self.lifted = lift(self._one)

    def begin(self, v: torch.Tensor) -> Any:
        return self.state(v=v)

    def _one(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        return self.one(x, state, self.parameters, 1.0)

    def step(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        return self._one(x, state)

    def multi(self, x: torch.Tensor, state: Any) -> torch.Tensor:
        return self.lifted(x, state=state)[0]


class SinabsCells(Cells):
    """sinabs's LIF, one spike a step, reset by subtraction, its input not normed; it keeps its own state."""

    package = "sinabs"
    form = "LIF(tau_mem=-1 / ln(decay), norm_input=False, spike_fn=SingleSpike, reset_fn=MembraneSubtract())"

    def __init__(self, decay: float) -> None:
        import math

        import sinabs.layers
        from sinabs.activation import MembraneSubtract, SingleSpike

        super().__init__(decay)
        given = {"spike_fn": SingleSpike, "reset_fn": MembraneSubtract()}
        if decay < 1:
            self.layer = sinabs.layers.LIF(tau_mem=-1 / math.log(decay), norm_input=False, **given)
        else:
            self.layer = sinabs.layers.IAF(**given)

    def begin(self, v: torch.Tensor) -> Any:
        self.layer.reset_states()
        self.layer.init_state_with_shape(tuple(v.shape))
        self.layer.v_mem = v.clone()
        return None

    def step(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        return self.layer(x.unsqueeze(1)).squeeze(1), None

    def multi(self, x: torch.Tensor, state: Any) -> torch.Tensor:
        return self.layer(x.movedim(0, 1)).movedim(1, 0)


class SnntorchCells(Cells):
    """snntorch's Leaky without reset, and the subtraction between its steps.

    Its own reset by subtraction is one of two others: with `reset_delay` it subtracts the threshold after the
    decay, v = decay v + x - z_before; without, it subtracts in time, but once more in the next step, before the
    threshold is looked at, where v is still above it (v >= 2 before the reset). With `mem` passed in and out, what
    happens between steps is the caller's, and there the equation is exact. It has no multi-step form with a reset.
    """

    package = "snntorch"
    form = "Leaky(reset_mechanism='none'): v = beta * v + x; z = v > 1, so v = 1 exactly differs; the caller: v = v - z"

    def __init__(self, decay: float) -> None:
        import snntorch

        super().__init__(decay)
        self.leaky = snntorch.Leaky(beta=decay, threshold=1.0, reset_mechanism="none")

    def step(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        z, v = self.leaky(x, state)
        return z, v - z


class SnntorchOwnReset(SnntorchCells):
    """snntorch's Leaky with its own reset, `reset_delay=False`: for the record of where it differs."""

    form = (
        "Leaky(reset_mechanism='subtract', reset_delay=False): subtracts twice where v >= 2 before the reset"
    )

    def __init__(self, decay: float) -> None:
        import snntorch

        super().__init__(decay)
        self.leaky = snntorch.Leaky(beta=decay, threshold=1.0, reset_mechanism="subtract", reset_delay=False)

    def step(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        return self.leaky(x, state)


class SpikingJellyCells(Cells):
    """SpikingJelly's LIF and IF, soft reset (`v_reset=None`), the input not decayed; spikes at v >= 1, as ours."""

    package = "spikingjelly"
    form = "lif_step(tau=1 / (1 - decay), decay_input=False, v_reset=None): v = v - v / tau + x; z = v >= 1; v = v - z"

    def __init__(self, decay: float) -> None:
        from spikingjelly.activation_based import functional, surrogate

        super().__init__(decay)
        self.functional, self.surrogate = functional, surrogate.Sigmoid()
        # 1 / (1 - 0.9) is 10.000000000000002 in float64
        self.tau = round(1 / (1 - decay), 9) if decay < 1 else None

    def step(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        if self.tau is None:
            return self.functional.if_step(x, state, 1.0, None, self.surrogate)
        return self.functional.lif_step(x, state, self.tau, False, 1.0, None, self.surrogate)

    def multi(self, x: torch.Tensor, state: Any) -> torch.Tensor:
        if self.tau is None:
            return self.functional.if_multi_step(x, state, 1.0, None, self.surrogate)[0]
        return self.functional.lif_multi_step(x, state, self.tau, False, 1.0, None, self.surrogate)[0]


CELLS: dict[str, type[Cells]] = {
    "torch": Cells,
    "norse": NorseCells,
    "sinabs": SinabsCells,
    "snntorch": SnntorchCells,
    "snntorch-own-reset": SnntorchOwnReset,
    "spikingjelly": SpikingJellyCells,
}
