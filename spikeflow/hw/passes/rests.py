"""Pass: neurons that follow a rectifier or a clip from 0 keep what they have not handed on yet.

They are declared with two sums over all steps, s of what arrived and a of what was handed on
(`neurons.following`), which outgrow the registers of a chip, or leave their weights few bits. With v = s - a,
and n = a / threshold, a whole number,

    max(s, 0) - a = max(v, -threshold n),

and v stays as small as the membrane of a neuron that resets by subtraction. Where nothing is ever taken back
n is not needed. Equal in real numbers; floats round otherwise, so a mapping is compared with the network as
it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spikeflow.hw.chips.chip import Chip
from spikeflow.ir.activations import RELU
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Node, Population
from spikeflow.ir.ops import Recorder
from spikeflow.ir.program import Program
from spikeflow.neurons.burst_if import BurstIF
from spikeflow.neurons.following import Following, FollowingIF
from spikeflow.neurons.multi_threshold_if import MultiThresholdIF
from spikeflow.neurons.signed_if import SignedIF

CLIP = "clamp"
# by the name of the model: the model with the number of its alphabet
_MODELS: Mapping[str, Callable[[int, str], Following]] = {
    "FollowingIF": lambda n, function: FollowingIF(function=function),
    "SignedIF": lambda n, function: SignedIF(function=function),
    "BurstIF": lambda n, function: BurstIF(function=function, most=n),
    "MultiThresholdIF": lambda n, function: MultiThresholdIF(function=function, levels=n),
}


def with_rests(graph: Graph, chip: Chip, steps: int) -> Graph:
    """The composed graph with what is left in place of two sums, where n of so many steps fits the chip."""
    if not chip.operations:
        return graph
    changed: dict[str, Node] = {}
    for name in graph.of_kind(Population):
        node = graph.nodes[name]
        assert isinstance(node, Population)
        model = _followed(node)
        if model is not None and _fits(node, chip, steps):
            changed[name] = _with_rest(node, model)
    return graph.with_nodes(changed)


def _followed(node: Population) -> Following | None:
    """The model that the population is declared with, of those that are changed; None for any other."""
    make, number = _MODELS.get(node.model), int(node.alphabet.partition(":")[2] or 1)
    if make is None:
        return None
    for function in (RELU, CLIP):
        model = make(number, function)
        if model.program() == node.program and not np.any(node.initial.get("a", 0)):
            # below a clip that does not begin at 0 values are handed on, too
            return model if function == RELU or not np.any(node.params["low"]) else None
    return None


def _fits(node: Population, chip: Chip, steps: int) -> bool:
    """Whether the register of a state holds n, which a chip counts in fractions of a decay."""
    values, a = node.values, chip.formats.arithmetic
    return values is not None and steps * values.high < 2.0 ** (a.state.bits - 1 - a.decay_bits)


def _with_rest(node: Population, model: Following) -> Population:
    counts = model.function == CLIP or (node.values is not None and node.values.signed)
    program = _program(model, counts)
    params = {name: values for name, values in node.params.items() if name in program.params}
    initial = {"v" if name == "s" else name: v for name, v in node.initial.items() if name != "a"}
    return replace(node, program=program, params=params, initial=initial)


def _program(model: Following, counts: bool) -> Program:
    """The step; `counts` where it needs n."""
    clips = model.function == CLIP
    states = ("v", *("n",)[:counts], *("t",)[:clips])
    recorder = Recorder(model.inputs, states, ("threshold", *("high",)[:clips]))
    p, s, ops = recorder.p, recorder.s, recorder.ops
    v: Any = s.v + recorder.x[0]
    rest, t = v, s.t + 1.0 if clips else None
    if counts:
        handed_on = s.n * p.threshold
        rest = ops.maximum(v, s.n * (p.threshold * -1.0))
        if clips:
            rest = ops.minimum(rest + handed_on, p.high * t) - handed_on
    z = model.nearest(rest, p, ops)
    kept = ops.stop_gradient(z)
    following = [v - kept * p.threshold]
    following += [s.n + kept] if counts else []
    following += [t] if clips else []
    return recorder.program(z, following)
