"""Followers: which neuron stands for an activation, by its function and by the alphabet asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from spikeflow.errors import ConversionError
from spikeflow.ir.activations import RELU, takes_signs
from spikeflow.ir.alphabet import BINARY, SIGNED, Alphabet, alphabet
from spikeflow.ir.nodes import Activation, Population, Shape
from spikeflow.neurons.burst_if import BurstIF
from spikeflow.neurons.differential_if import DifferentialIF
from spikeflow.neurons.following import Following, FollowingIF
from spikeflow.neurons.iaf import IF
from spikeflow.neurons.multi_threshold_if import MultiThresholdIF
from spikeflow.neurons.signed_if import SignedIF
from spikeflow.typing import Array

_Made = Callable[..., Following]
# by the name of the alphabet: the model with the number behind the colon
_MODELS: Mapping[str, Callable[[int], _Made]] = {
    BINARY: lambda n: FollowingIF,
    SIGNED: lambda n: SignedIF,
    "burst": lambda n: partial(BurstIF, most=n),
    "multi-threshold": lambda n: partial(MultiThresholdIF, levels=n),
}


def _model(letters: Alphabet) -> _Made:
    if letters.differential:
        return partial(DifferentialIF, most=letters.high, decay=letters.decay)
    kind, _, number = letters.name.partition(":")
    return _MODELS[kind](int(number or 0))


def alphabet_of(node: Activation, asked: str) -> Alphabet:
    """The alphabet of a layer: the one asked for, or `signed` where its function has values below 0 and the
    other has none.
    """
    found = alphabet(asked)
    signed = found.signed or not takes_signs(node.kind, node.parameters)
    return found if signed else alphabet(SIGNED)


def follower(
    name: str, node: Activation, theta: Array, shape: Shape, asked: str, reset: str, initial: Array | None
) -> Population:
    """The neurons of one activation.

    Parameters
    ----------
    name : for errors.
    theta : what a value of 1 stands for; it broadcasts to `shape`.
    asked : the alphabet, as the options have it.
    initial : the potential that neurons start with; half of theta where nothing was chosen.

    Raises
    ------
    ConversionError
        For reset to zero of anything but a rectifier in spikes of 0 and 1.
    """
    half = theta * np.float32(0.5)
    letters = alphabet_of(node, asked)
    if (node.kind == RELU or node.levels) and letters.name == BINARY:
        # between 0 and T spikes are those of a clip in levels, without a function of its own
        return IF(threshold=theta, reset=reset).node(shape, {"v": half if initial is None else initial})
    if reset != "subtract":
        reason = f"{node.kind} in the alphabet {letters.name} counts what it has handed on"
        raise ConversionError(name, f"{reason}, so it cannot reset to zero", "--reset subtract")
    made = _model(letters)(threshold=theta, function=node.kind, **node.parameters)
    return made.node(shape, {} if initial is None else {"s": initial - half})
