"""Stateless layers between layers of neurons: they see steps times samples as one batch.

So a layer that holds neurons, carries a state, or relates the rows of a batch would mix samples and steps.
Such layers are refused by name, when a network is built where that can be seen there, else when it runs.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.dropout import _DropoutNd  # pyright: ignore[reportPrivateUsage]

from spikeflow.errors import ShapeError, UnsupportedLayer
from spikeflow.neurons.dropout import OneMask
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.spike_linear import called

_LISTS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
_REMEMBERING = (nn.RNNBase, nn.RNNCellBase)
_ALONG = (nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.GLU)


def neurons_in(module: nn.Module) -> str:
    """Path and model of the first layer of neurons within a module; "" where there is none."""
    for path, part in module.named_modules():
        if isinstance(part, Neuron):
            return f"{path}: {part.model.name}" if path else part.model.name
    return ""


def check_stateless(name: str, layer: object) -> None:
    """Raise UnsupportedLayer unless a layer may see steps times samples as one batch."""
    kind = type(layer).__name__
    if not isinstance(layer, nn.Module):
        hint = (
            "Sequential(*layers)"
            if isinstance(layer, list | tuple | dict)
            else "a torch module, an object of it"
        )
        raise UnsupportedLayer(
            name, kind if not isinstance(layer, type) else f"the class {layer.__name__}", hint
        )
    if isinstance(layer, _LISTS):
        raise UnsupportedLayer(
            name, kind, "its modules one by one, Sequential(*modules): torch calls no such list"
        )
    if found := neurons_in(layer):
        hint = f"the layers it holds ({found}) one by one in the Sequential, which alone carries their state"
        raise UnsupportedLayer(name, kind, hint)
    for path, part in layer.named_modules():
        if reason := _relating(part):
            raise UnsupportedLayer(f"{name}.{path}".rstrip("."), type(part).__name__, reason)


def _relating(part: nn.Module) -> str:
    """What to do instead, where a torch layer relates the rows of its batch or keeps a state; else ""."""
    if isinstance(part, _REMEMBERING):
        return "Recurrent(Neuron(...), feedback): its own memory would run through the samples of the batch"
    if isinstance(part, nn.MultiheadAttention) and not part.batch_first:
        return "batch_first=True: the first axis here is steps times samples"
    if isinstance(part, _ALONG) and part.dim == 0:
        return "another dim than 0, which is steps times samples"
    first = (
        part.start_dim if isinstance(part, nn.Flatten) else part.dim if isinstance(part, nn.Unflatten) else 1
    )
    return "dim 1 to begin with: dim 0 is steps times samples" if first == 0 else ""


def through(name: str, layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """``(T, B, *shape)`` through a stateless layer, all steps and samples as one batch."""
    steps, batch = x.shape[:2]
    flat = in_its_type(layer, x.flatten(0, 1))
    _check_axes(name, layer, flat)
    with OneMask(name, steps, batch) if may_draw(layer) else nullcontext():
        y = called(layer, flat)
    if not isinstance(y, torch.Tensor) or y.shape[:1] != flat.shape[:1]:
        got = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        raise ShapeError(name, f"an answer {got}", f"a tensor with {len(flat)} (steps x samples) first")
    return y.unflatten(0, (steps, batch))


def through_moment(name: str, layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """One step ``(B, *shape)`` through a stateless layer that draws nothing."""
    flat = in_its_type(layer, x)
    _check_axes(name, layer, flat)
    y = called(layer, flat)
    if not isinstance(y, torch.Tensor) or y.shape[:1] != x.shape[:1]:
        got = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        raise ShapeError(name, f"an answer {got}", f"a tensor with {len(x)} samples first")
    return y


def in_its_type(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Spikes given as integers, and states of a half-precision network, in the type of the layer's
    weights.
    """
    weight = next((p for p in layer.parameters(recurse=False) if p.is_floating_point()), None)
    if weight is None or isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return x
    narrow = x.dtype is torch.float32 and weight.dtype in (torch.float16, torch.bfloat16)
    if not x.is_floating_point() or (narrow and not torch.is_autocast_enabled(x.device.type)):
        return x.to(weight.dtype)
    return x


def check_settled(name: str, layer: nn.Module) -> None:
    """Raise UnsupportedLayer where a layer that runs step by step would take statistics anew in every
    step.
    """
    for path, part in layer.named_modules():
        if part.training and isinstance(part, _BatchNorm):
            kind, hint = type(part).__name__, "eval() on it, or batch norm outside the cycle"
            raise UnsupportedLayer(f"{name}.{path}".rstrip("."), f"{kind} while training", hint)


def may_draw(layer: nn.Module) -> bool:
    """Whether a layer may draw dropout or take statistics now; not so for most of torch's own single
    layers.
    """
    single = type(layer).__module__.startswith("torch.nn.modules.") and not any(
        True for _ in layer.children()
    )
    if single and not isinstance(layer, _DropoutNd | _BatchNorm):
        return False
    return any(part.training for part in layer.modules())


_AXES: tuple[tuple[tuple[type, ...], int], ...] = (
    ((nn.Conv1d, nn.ConvTranspose1d), 3),
    ((nn.Conv2d, nn.ConvTranspose2d, nn.Softmax2d), 4),
    ((nn.Conv3d, nn.ConvTranspose3d), 5),
    ((nn.TransformerEncoderLayer, nn.TransformerEncoder, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), 3),
    ((nn.Linear,), 2),
)


def _check_axes(name: str, layer: nn.Module, flat: torch.Tensor) -> None:
    """Torch's layers take an axis less for a single sample: then steps times samples would be its
    channels.
    """
    least = next((count for kinds, count in _AXES if isinstance(layer, kinds)), 1)
    if flat.ndim < least:
        got = f"moments of shape {tuple(flat.shape[1:])}"
        raise ShapeError(name, got, f"at least {least - 1} axes for {type(layer).__name__}")
    if isinstance(layer, _ALONG):
        # torch's own rule where no dim is given
        dim = layer.dim if layer.dim is not None else 0 if flat.ndim in (1, 3) else 1
        if dim % flat.ndim == 0:
            got = f"dim {layer.dim} for moments of {flat.ndim - 1} axes"
            raise ShapeError(name, got, "a dim that is not steps times samples")


class FoldedOfVectors(nn.Identity):
    """Where a batch norm stood that is part of the Linear before it now.

    That is right for vectors, whose values are its channels; of moments with more axes its channels are the
    first and the Linear's outputs the last, and as many of both would pass without a word.

    Raises
    ------
    ShapeError
        For moments with more axes.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.ndim > 2:
            got = f"moments of shape {tuple(input.shape[1:])}, of which the batch norm's channels come first"
            hint = "convert.capture_trained(net) of the network in evaluation mode, without deployed()"
            raise ShapeError(self.path, got, "vectors, as the Linear before it was folded for", hint)
        return input
