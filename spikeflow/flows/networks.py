"""The network of a recipe."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import Any

import torch
from torch import nn

from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.flows.recipe_file import Layers
from spikeflow.ir.graph import Edge
from spikeflow.ir.nodes import Shape
from spikeflow.neurons import (
    MODELS,
    Integrator,
    LeakyIntegrator,
    Learned,
    Net,
    Neuron,
    Recurrent,
    Sequential,
    TwoPointLIF,
    surrogate,
)
from spikeflow.neurons.surrogate import Surrogate
from spikeflow.neurons.wiring import FIRST
from spikeflow.train.norm import td_batch_norm

_Pooling = Callable[..., nn.Module]
_CONVOLUTIONS: Mapping[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d}
_POOLS: Mapping[str, Mapping[int, _Pooling]] = {
    "average": {1: nn.AvgPool1d, 2: nn.AvgPool2d},
    "max": {1: nn.MaxPool1d, 2: nn.MaxPool2d},
}


def network(layers: Layers, shape: Shape, classes: int) -> Sequential:
    """Layers for moments of a shape, and a read-out for so many classes; of several members one.

    What is drawn, weights and `spread`, comes from torch's random numbers.

    Raises
    ------
    DataError
        For models, parameters and surrogates that there are not, and shapes that convolutions cannot take.
    """
    parts: list[nn.Module] = []
    size = prod(shape)
    if layers.convolves:
        size = _convolutions(parts, layers, _seen(parts, layers, shape))
    parts.append(nn.Flatten())
    for width in layers.hidden:
        _dense(parts, layers, size, width)
        size = width
    return Sequential(*parts, nn.Linear(size, classes), *_read_out(layers, classes))


def _read_out(layers: Layers, classes: int) -> tuple[Neuron, ...]:
    if not layers.read_out:
        return ()
    if layers.read_out_decay == 1:
        return (Neuron(Integrator()),)
    learn = {"decay": _learned(layers, "decay")} if "decay" in layers.learn else ()
    return (Neuron(LeakyIntegrator(layers.read_out_decay), learn, shape=(classes,)),)


def _seen(parts: list[nn.Module], layers: Layers, shape: Shape) -> Shape:
    """The shape in which convolutions see a moment."""
    seen = layers.shape
    if not seen and len(shape) != 3:
        wanted = f"dense or recurrent, or pictures (channels, height, width): moments have shape {shape}"
        hint = "network.shape, which says what their values are: [channels, length], for example"
        raise DataError("recipe: network.kind", layers.kind, wanted, hint)
    if seen and prod(seen) != prod(shape):
        raise DataError("recipe: network.shape", seen, f"{prod(shape)} values: moments have shape {shape}")
    if seen and seen != shape:
        parts += [nn.Flatten()] if len(shape) > 1 else []
        parts.append(nn.Unflatten(1, seen))
    return seen or shape


def _convolutions(parts: list[nn.Module], layers: Layers, shape: Shape) -> int:
    """Convolutions along every axis but the first; how many values they hand on."""
    channels, *sizes = shape
    axes, around = len(sizes), layers.kernel // 2
    for more, pool in zip(
        layers.channels, layers.pools or (layers.pool,) * len(layers.channels), strict=True
    ):
        made = partial(_CONVOLUTIONS[axes], channels, more, layers.kernel, padding=around)
        parts.append(_delayed(layers.delays, made))
        sizes = [size + 2 * around - layers.kernel + 1 for size in sizes]
        _neurons(parts, layers, (more, *sizes))
        sizes, channels = [size // pool for size in sizes], more
        if pool > 1:
            parts.append(_POOLS[layers.pooling][axes](pool))
        if min(sizes) < 1:
            raise DataError(
                "recipe: network.channels", f"{len(layers.channels)} layers", "fewer, or no pooling"
            )
    return channels * prod(sizes)


def _delayed(delays: tuple[int, ...], made: Callable[..., nn.Module]) -> nn.Module:
    """Synapses for each delay, whose currents add up; one of them has a bias."""
    if delays == (0,):
        return made()
    nodes: dict[str, nn.Module] = {"sum": nn.Identity()}
    edges = [Edge("sum", "output", FIRST)]
    for index, late in enumerate(delays):
        synapses = nodes[f"late_{late}"] = made(bias=index == 0)
        for weights in synapses.parameters():
            weights.data /= len(delays) ** 0.5  # drawn for the inputs of one
        edges += [Edge("input", f"late_{late}", FIRST, late), Edge(f"late_{late}", "sum", FIRST)]
    return Net(nodes, edges)


def _dense(parts: list[nn.Module], layers: Layers, size: int, width: int) -> None:
    parts.append(_delayed(layers.hidden_delays, partial(nn.Linear, size, width)))
    back = nn.Linear(width, width, bias=False) if layers.feeds_back else None
    if back is not None:
        nn.init.orthogonal_(back.weight, layers.feedback_gain)
    _neurons(parts, layers, (width,), back)


def _neurons(
    parts: list[nn.Module], layers: Layers, shape: tuple[int, ...], back: nn.Module | None = None
) -> None:
    if layers.batch_norm:
        parts.append(td_batch_norm(shape[0], max(1, len(shape) - 1), layers.batch_norm_start))
    cells = neuron(layers, shape)
    port = "apical" if layers.two_point else cells.model.inputs[0]
    parts.append(cells if back is None else Recurrent(cells, back, port))
    if layers.dropout:
        parts.append(nn.Dropout(layers.dropout))


def neuron(layers: Layers, shape: tuple[int, ...]) -> Neuron:
    """The layer of neurons of a recipe, of this population."""
    models: dict[str, Any] = {model.__name__: model for model in MODELS}
    kind = models.get(layers.neuron)
    if kind is None:
        near = difflib.get_close_matches(layers.neuron, models, 1)
        raise DataError("recipe: network.neuron", layers.neuron, f"one of {', '.join(models)}", *near)
    if layers.two_point and kind is not TwoPointLIF:
        wanted = f"TwoPointLIF in networks of kind {layers.kind}"
        raise DataError("recipe: network.neuron", layers.neuron, wanted)
    learn = {name: _learned(layers, name) for name in layers.learn}
    known = kind().params() | kind().choices()
    if unknown := [name for name in (*layers.parameters, *layers.spread) if name not in known]:
        near = difflib.get_close_matches(unknown[0], known, 1)
        raise DataError("recipe: network.parameters", unknown[0], ", ".join(known), *near)
    model = kind(**{**layers.parameters, **_drawn(layers, shape)})
    _tell_unfed(layers, model.inputs)
    return Neuron(model, learn, _surrogate(layers), shape)


def _tell_unfed(layers: Layers, ports: tuple[str, ...]) -> None:
    """Warn of ports that no layer of a recipe leads to: neurons read 0 there."""
    fed = 2 if layers.two_point and layers.hidden else 1
    if left := ports[fed:]:
        text = f"recipe: network.neuron {layers.neuron} reads 0 at {', '.join(left)}: networks of kind "
        text += f"{layers.kind} feed {ports[0]} alone"
        hint = "a Net of one's own, whose edges lead to every port"
        warnings.warn(f"{text}. Try: {hint}", SpikeflowWarning, stacklevel=2)


def _learned(layers: Layers, name: str) -> Learned:
    return Learned(layers.scope, *layers.bounds.get(name, ()))


def _drawn(layers: Layers, shape: tuple[int, ...]) -> dict[str, Any]:
    """Numbers between two ends, one a neuron, or a channel where there are several axes."""
    size = (shape[0], *(1,) * (len(shape) - 1))
    return {
        name: (low + (high - low) * torch.rand(size)).numpy() for name, (low, high) in layers.spread.items()
    }


def _surrogate(layers: Layers) -> Surrogate:
    given = getattr(surrogate, layers.surrogate, None)
    if not isinstance(given, Surrogate):
        known = [n for n, value in vars(surrogate).items() if isinstance(value, Surrogate)]
        near = difflib.get_close_matches(layers.surrogate, known, 1)
        raise DataError("recipe: network.surrogate", layers.surrogate, f"one of {', '.join(known)}", *near)
    try:
        return type(given)(**layers.surrogate_parameters)
    except TypeError as error:
        known = ", ".join(name for name in vars(given) if not name.startswith("_"))
        raise DataError(
            "recipe: network.surrogate_parameters", f"{dict(layers.surrogate_parameters)}", known
        ) from error
