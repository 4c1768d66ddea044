"""DHLIF: a LIF whose dendrite has branches, each with a time constant of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import GraphError
from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import Value, choice, decay_from_tau, param, whole
from spikeflow.neurons.spiking import POINT_RESETS, Spiking

MOST = 8  # branches


@dataclass(frozen=True, eq=False)
class DHLIF(Spiking):
    """Leaky integrate-and-fire with dendritic heterogeneity (DH-LIF): K branches, K ports, K decays.

    i_k <- decay_k i_k + (1 - decay_k) x_k for each branch k = 1 to K;
    v <- decay v + (1 - decay) (i_1 + ... + i_K);  z = v >= threshold;  v is reset as `Spiking` says.

    The ports are ``branch1`` to ``branchK``. Each branch sees a part of the inputs: `branch_masks` draws the
    parts. States: v, and the branches i1 to iK.

    Source: H. Zheng and others, Nature Communications 15, 2024 (code eva1801/DH-SNN). Decays there are
    logistic functions of what is learned, started within 0.88 and 0.998 (branches) and 0.5 and 0.98 (soma),
    and the threshold is taken off in the next step, after the decay; some layers reset to 0 or not at all.
    """

    branches: int = whole(4, 1, MOST)
    decay: Value = param(0.88, low=0, high=1)
    threshold: Value = param(1.0, low=0)
    reset: str = choice("subtract", *POINT_RESETS)
    decay_1: Value = param(0.88, low=0, high=1, when=("branches", (1, 2, 3, 4, 5, 6, 7, 8)))
    decay_2: Value = param(0.95, low=0, high=1, when=("branches", (2, 3, 4, 5, 6, 7, 8)))
    decay_3: Value = param(0.98, low=0, high=1, when=("branches", (3, 4, 5, 6, 7, 8)))
    decay_4: Value = param(0.99, low=0, high=1, when=("branches", (4, 5, 6, 7, 8)))
    decay_5: Value = param(0.992, low=0, high=1, when=("branches", (5, 6, 7, 8)))
    decay_6: Value = param(0.994, low=0, high=1, when=("branches", (6, 7, 8)))
    decay_7: Value = param(0.996, low=0, high=1, when=("branches", (7, 8)))
    decay_8: Value = param(0.998, low=0, high=1, when=("branches", (8,)))

    @staticmethod
    def from_tau(tau_s: Value, tau_branches_s: Sequence[Value], dt: float, threshold: Value = 1.0) -> DHLIF:
        """A DHLIF of these time constants in seconds, one for each branch, at steps of `dt` seconds."""
        decays: dict[str, Any] = {
            f"decay_{k}": decay_from_tau(tau, dt) for k, tau in enumerate(tau_branches_s, 1)
        }
        if len(decays) > MOST:
            raise GraphError("DHLIF", f"{len(decays)} branches", f"1 to {MOST}")
        return DHLIF(len(decays), decay_from_tau(tau_s, dt), threshold, **decays)

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The ports, one for each branch."""
        return tuple(f"branch{k}" for k in self._numbers())

    def _numbers(self) -> range:
        return range(1, self.branches + 1)

    def states(self) -> tuple[str, ...]:
        return ("v", *(f"i{k}" for k in self._numbers()), *self.resting())

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        currents = []
        for k, arriving in zip(self._numbers(), x, strict=True):
            decay = getattr(p, f"decay_{k}")
            currents.append(decay * getattr(s, f"i{k}") + (1.0 - decay) * arriving)
        total = currents[0]
        for current in currents[1:]:
            total = total + current
        z, v, rest = self.fire(p, s, p.decay * s.v + (1.0 - p.decay) * total, ops)
        return z, (v, *currents, *rest)


def branch_masks(inputs: int, neurons: int, branches: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Which inputs each branch of each neuron sees, ``(branches, neurons, inputs)``.

    Every input goes to one branch of a neuron, drawn at random for each neuron, and the branches of a neuron
    see equally many inputs, give or take one. Multiply the weights of port k's connection with the k-th mask,
    again after each step of an optimiser.

    Raises
    ------
    GraphError
        For fewer inputs than branches, or numbers below 1.
    """
    if branches < 1 or neurons < 1 or inputs < branches:
        got = f"{inputs} inputs on {branches} branches of {neurons} neurons"
        raise GraphError("branch_masks", got, "an input or more for each branch")
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(inputs), (neurons, 1)), axis=1)
    return np.stack([order % branches == k for k in range(branches)])
