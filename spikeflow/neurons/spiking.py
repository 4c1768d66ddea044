"""Spiking: what point neurons with a threshold share: the kinds of reset and the refractory period."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import RESETS, NeuronModel, Value, param, reset, whole

POINT_RESETS = (*RESETS, "value", "none")
MOST_STEPS = 1000  # of a refractory period: the registers of every chip count as far


@dataclass(frozen=True, eq=False)
class Spiking(NeuronModel):
    """A neuron whose membrane v is compared with a threshold.

    After a spike v is reset: to 0 (`zero`), by the threshold (`subtract`), to `reset_value` (`value`), or not
    at all (`none`). No gradient flows through the spike of a reset.

    With `refractory` = R the neuron cannot spike in the R steps after a spike: its membrane stays where the
    reset put it and takes no input. The state r counts the steps that are left; other states, such as a
    synaptic current, go on.

    Parameters
    ----------
    reset_value : in units of the membrane; only with ``reset="value"``.
    refractory : whole steps, from 0 to 1000.
    """

    _: KW_ONLY
    reset_value: Value = param(0.0, when=("reset", ("value",)))
    refractory: int = whole(0, 0, MOST_STEPS)

    def resting(self) -> tuple[str, ...]:
        """The states of the refractory period, which come last."""
        return ("r",) if self.refractory else ()

    def held(self, s: Any, v: Any, ops: Ops) -> Any:
        """The membrane v before reset, or the one of the step before where the neuron may not spike."""
        return ops.where(s.r, s.v, v) if self.refractory else v

    def fire(self, p: Any, s: Any, v: Any, ops: Ops, raised: Any = None) -> tuple[Any, Any, tuple[Any, ...]]:
        """The spike, the membrane after reset, and the states of the refractory period.

        Parameters
        ----------
        v : the membrane before reset; its state is ``s.v``.
        raised : by how much the threshold stands above ``p.threshold``; None for nothing.
        """
        v = self.held(s, v, ops)
        reached = v if raised is None else v - raised
        if self.refractory:
            # less than any threshold, all of which are 0 or more
            reached = ops.where(s.r, -1.0, reached)
        above = reached - p.threshold
        z = ops.spike(above)
        kind = self.choices()["reset"]
        if kind == "none":
            after = v
        elif kind == "value":
            after = ops.where(ops.stop_gradient(z), p.reset_value, v)
        elif kind == "subtract" and raised is not None:
            after = ops.where(ops.stop_gradient(z), above, v)
        else:
            after = reset(v, z, p.threshold, kind, ops)
        return z, after, self._rest(s, z, ops)

    def _rest(self, s: Any, z: Any, ops: Ops) -> tuple[Any, ...]:
        if not self.refractory:
            return ()
        left = ops.maximum(s.r - 1.0, 0.0)
        return (ops.where(ops.stop_gradient(z), float(self.refractory), left),)
