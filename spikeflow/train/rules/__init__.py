"""Learning rules, by one switch: what stands in `.grad` after a batch.

bptt : the exact gradient of the network with its surrogates.
truncated : the same within pieces of so many steps; memory that does not grow with the steps.
sltt, ottt : gradients through the layers of each step alone; without, and with, traces of what came before.
eprop : eligibility traces forward in time, times a learning signal from the outputs.
eventprop : by when spikes come, without a surrogate; layers of CubaLIF.
local : each layer by a loss of its own; no gradient crosses layers.

All but `bptt` take a `Sequential`. Where its last layer is a read-out without spikes, its gradient through
time is exact in every rule: it is cheap, and without it a loss on the last step would teach that step alone.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from spikeflow.errors import DataError
from spikeflow.train.rules import eprop, eventprop, local, online, pieces
from spikeflow.train.rules.parts import LossOf

Given = tuple[torch.Tensor, torch.Tensor]  # outputs and loss, both detached
RULES = ("bptt", "truncated", "sltt", "ottt", "eprop", "eventprop", "local")
FEEDBACK = ("symmetric", "random")


@dataclass(frozen=True)
class Rule:
    """Which rule, and its numbers.

    Parameters
    ----------
    kind : one of `RULES`.
    steps : of a piece of `truncated`.
    feedback : of `eprop`: learning signals through the transposed output weights (symmetric), or through
        fixed random ones.
    seed : of random feedback, and of the read-outs of `local`.
    """

    kind: str = "bptt"
    steps: int = 10
    feedback: str = "symmetric"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, words in (("kind", self.kind, RULES), ("feedback", self.feedback, FEEDBACK)):
            if value not in words:
                near = difflib.get_close_matches(value, words, 1)
                raise DataError(f"rule.{name}", repr(value), f"one of {', '.join(words)}", *near)
        if self.steps < 1:
            raise DataError("rule.steps", self.steps, "at least 1")


def backward(rule: Rule, net: nn.Module, x: Any, loss_of: LossOf) -> Given:
    """Add a batch's gradients to `.grad` of a network's parameters, as a rule has them.

    Parameters
    ----------
    x : a batch ``(T, B, *shape)``.
    loss_of : of the outputs ``(T, B, C)``; called once, by `local` for every layer of neurons once more.

    Returns
    -------
    The outputs and the loss.

    Raises
    ------
    UnsupportedLayer
        For a network or layer that the rule does not cover, by path.
    """
    if rule.kind == "bptt":
        outputs, _ = net(x)
        value = loss_of(outputs)
        value.backward()
        return outputs.detach(), value.detach()
    if rule.kind in ("truncated", "sltt"):
        return pieces.backward(net, x, loss_of, rule.steps if rule.kind == "truncated" else 1)
    if rule.kind == "ottt":
        return online.backward(net, x, loss_of)
    if rule.kind == "eprop":
        return eprop.backward(net, x, loss_of, rule.seed if rule.feedback == "random" else None)
    if rule.kind == "eventprop":
        return eventprop.backward(net, x, loss_of)
    return local.backward(net, x, loss_of, rule.seed)
