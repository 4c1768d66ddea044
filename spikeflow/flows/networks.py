"""The network of a recipe."""

from __future__ import annotations

import difflib
from math import prod
from typing import Any

from torch import nn

from spikeflow.errors import DataError
from spikeflow.flows.recipe_file import Layers
from spikeflow.ir.nodes import Shape
from spikeflow.neurons import MODELS, Integrator, Neuron, Recurrent, Sequential, surrogate
from spikeflow.train.norm import td_batch_norm


def network(layers: Layers, shape: Shape, classes: int) -> Sequential:
    """Layers for moments of a shape, and a read-out for so many classes.

    Raises
    ------
    DataError
        For models, parameters and surrogates that there are not, and shapes that convolutions cannot take.
    """
    parts: list[nn.Module] = []
    size = prod(shape)
    if layers.kind == "conv":
        size = _convolutions(parts, layers, shape)
    parts.append(nn.Flatten())
    for width in layers.hidden:
        _dense(parts, layers, size, width)
        size = width
    read_out = (Neuron(Integrator()),) if layers.read_out else ()
    return Sequential(*parts, nn.Linear(size, classes), *read_out)


def _convolutions(parts: list[nn.Module], layers: Layers, shape: Shape) -> int:
    if len(shape) != 3:
        raise DataError("recipe: network.kind", "conv", "dense or recurrent: moments are no pictures")
    channels, height, width = shape
    for more in layers.channels:
        parts.append(nn.Conv2d(channels, more, layers.kernel, padding=layers.kernel // 2))
        _neurons(parts, layers, more, 2)
        height, width = (n + 2 * (layers.kernel // 2) - layers.kernel + 1 for n in (height, width))
        height, width, channels = height // layers.pool, width // layers.pool, more
        if layers.pool > 1:
            parts.append(nn.AvgPool2d(layers.pool))
        if min(height, width) < 1:
            raise DataError(
                "recipe: network.channels", f"{len(layers.channels)} layers", "fewer, or no pooling"
            )
    return channels * height * width


def _dense(parts: list[nn.Module], layers: Layers, size: int, width: int) -> None:
    parts.append(nn.Linear(size, width))
    back = nn.Linear(width, width, bias=False) if layers.kind == "recurrent" else None
    if back is not None:
        nn.init.orthogonal_(back.weight, 0.5)
    _neurons(parts, layers, width, 1, back)


def _neurons(
    parts: list[nn.Module], layers: Layers, size: int, dims: int, back: nn.Module | None = None
) -> None:
    if layers.batch_norm:
        parts.append(td_batch_norm(size, dims))
    cells = neuron(layers)
    parts.append(cells if back is None else Recurrent(cells, back))
    if layers.dropout:
        parts.append(nn.Dropout(layers.dropout))


def neuron(layers: Layers) -> Neuron:
    """The layer of neurons of a recipe."""
    models: dict[str, Any] = {model.__name__: model for model in MODELS}
    if layers.neuron not in models:
        near = difflib.get_close_matches(layers.neuron, models, 1)
        raise DataError("recipe: network.neuron", layers.neuron, f"one of {', '.join(models)}", *near)
    made = getattr(surrogate, layers.surrogate, None)
    if not isinstance(made, surrogate.Surrogate):
        known = [n for n, value in vars(surrogate).items() if isinstance(value, surrogate.Surrogate)]
        near = difflib.get_close_matches(layers.surrogate, known, 1)
        raise DataError("recipe: network.surrogate", layers.surrogate, f"one of {', '.join(known)}", *near)
    try:
        return Neuron(models[layers.neuron](**layers.parameters), layers.learn, made)
    except TypeError as error:
        known = ", ".join(models[layers.neuron]().params() | models[layers.neuron]().choices())
        raise DataError("recipe: network.parameters", f"{dict(layers.parameters)}", known) from error
