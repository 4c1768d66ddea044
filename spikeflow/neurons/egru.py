"""EGRU: the event-based gated recurrent unit, whose events carry a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from spikeflow.ir.ops import Ops
from spikeflow.neurons.model import RESETS, NeuronModel, Value, choice, param, reset


@dataclass(frozen=True, eq=False)
class EGRU(NeuronModel):
    """Event-based gated recurrent unit: silent until its cell reaches a threshold, then it hands on the cell.

    k = sigmoid(update);  r = sigmoid(reset);  h = tanh(candidate + r recurrent);
    c <- k h + (1 - k) c;  e = c >= threshold;  y = c e is the output;  c is reset by the threshold
    (subtract), to 0 (zero), or not (none).

    Ports: `update`, `reset` and `candidate` take weights of the input, of the events y of the step before and
    biases; `recurrent` the weights of y that the reset gate gates. What it hands on are graded events, which
    chips refuse between neurons.

    Source: A. Subramoney and others, ICLR 2023. There the gate multiplies y before its weights, here after
    them, as in cuDNN's GRU, so that the unit is one neuron; and there y is taken off the cell one step later.
    """

    threshold: Value = param(0.3, low=0)
    reset: str = choice("subtract", *RESETS, "none")
    inputs: ClassVar[tuple[str, ...]] = ("update", "reset", "candidate", "recurrent")

    def states(self) -> tuple[str, ...]:
        return ("c",)

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        update, gate, candidate, recurrent = x
        k = ops.sigmoid(update)
        h = ops.tanh(candidate + ops.sigmoid(gate) * recurrent)
        c = k * h + (1.0 - k) * s.c
        event = ops.spike(c - p.threshold)
        after = c if self.reset == "none" else reset(c, event, p.threshold, self.reset, ops)
        return c * event, (after,)
