"""Metrics: accuracy, latency to decision, and what NeuroBench counts of a network.

The definitions are those of Yik et al., The NeuroBench framework, Nature Communications 2025, doi
10.1038/s41467-025-56739-4, section Methods; where its text leaves something open this page says what is
counted here.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from spikeflow.errors import DataError, ShapeError, SpikeflowWarning
from spikeflow.ir.nodes import Scale, Synaptic
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.node_layer import NodeLayer
from spikeflow.train.inside import SYNAPSES, network, spiking
from spikeflow.train.reading import check_outputs, read, steps_of
from spikeflow.train.regularise import fan_out

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_WEIGHTLESS = (Neuron, NodeLayer, nn.LayerNorm, nn.PReLU)


def accuracy(
    outputs: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor | None = None, reading: str = "last"
) -> float:
    """The share of samples whose largest reading is that of the label; ties go to the lowest index, and a
    reading with NaN is no answer, so not right.

    Parameters
    ----------
    outputs : ``(T, B, C)``.
    labels : int64 ``(B,)``, or ``(T, B)``: then the share of steps, those that count.

    Raises
    ------
    ShapeError, DataError
        For shapes that do not fit, labels that are no classes, a sample without a step.
    """
    if labels.ndim == 2:
        check_outputs("outputs", outputs)
        inside = steps_of(outputs, mask) > 0
        found, labels = outputs[inside], labels[inside] if labels.shape == inside.shape else labels
    else:
        found = read(outputs, reading, mask)
    if labels.shape != found.shape[:1]:
        raise ShapeError("labels", tuple(labels.shape), f"({len(found)},), one a sample")
    if labels.dtype is not torch.int64 or int(labels.min()) < 0 or int(labels.max()) >= found.shape[1]:
        got = f"{labels.dtype}, {labels.min().item()} to {labels.max().item()}"
        raise DataError("labels", got, f"int64 from 0 to {found.shape[1] - 1}, the classes")
    right = (found.argmax(1) == labels) & ~found.isnan().any(1)
    return float(right.double().mean())


def decision_steps(outputs: torch.Tensor) -> torch.Tensor:
    """Latency: for each sample the first step, from 1, from which on its answer stays what it is at the end.

    Parameters
    ----------
    outputs : accumulators after every step, ``(T, B, C)``; the answer of a step is the largest of them.

    Returns
    -------
    int64 ``(B,)``, 1 to T.

    Raises
    ------
    ShapeError, DataError
        For outputs of another shape, or with NaN.
    """
    check_outputs("outputs", outputs)
    if bool(outputs.isnan().any()):
        raise DataError("outputs", "NaN", "numbers: a network that answers nothing decides nothing")
    answers = outputs.argmax(-1)
    other = (answers != answers[-1]).flip(0)  # backwards in time
    kept = (other.cumsum(0) == 0).sum(0)
    return len(outputs) - kept + 1


@dataclass(frozen=True)
class Work:
    """What a network did, a sample; NeuroBench's words in brackets.

    Parameters
    ----------
    samples : over which it was measured.
    spikes : of all layers of neurons that spike.
    activation_sparsity : share of zeros among what these layers gave, over layers, neurons, steps and samples
        (activation sparsity; 1 where nothing spiked).
    connection_sparsity : share of zeros among all weights of layers with synapses (connection sparsity).
    footprint : bytes of parameters and buffers (footprint).
    accumulates, multiply_accumulates : additions of a weight for a value of -1 or 1, and for any other value
        but 0, by value alone; weights of 0 count. They are the engine's, but that it takes all that comes
        from a current for multiply-accumulates.
    effective_accumulates, effective_multiply_accumulates : the same without weights of 0 (effective ACs and
        effective MACs).
    dense : operations of the same layers if every value and weight counted (dense synaptic operations).
    """

    samples: int
    spikes: float
    activation_sparsity: float
    connection_sparsity: float
    footprint: int
    accumulates: float
    multiply_accumulates: float
    effective_accumulates: float
    effective_multiply_accumulates: float
    dense: float

    @property
    def synaptic_operations(self) -> float:
        """Accumulates and multiply-accumulates, as the engine counts them."""
        return self.accumulates + self.multiply_accumulates


@torch.no_grad()
def work(net: nn.Module, x: Any) -> Work:
    """What a network does on a batch ``(T, B, *shape)``, several inputs by name.

    Runs in evaluation mode and leaves the network as it was. Layers with synapses are Linear, convolutions
    and transposed ones, and nodes of a graph that have some, wherever they lie in the network; other layers
    with weights are told. Averages before them are values that are no spikes here;
    a captured network has them within its weights, so that the engine counts accumulates.

    Raises
    ------
    DataError
        For a batch without steps or samples.
    """
    plain, names = network(net), tuple(spiking(net))
    first = next(iter(x.values())) if isinstance(x, Mapping) else x
    if first.ndim < 2 or 0 in first.shape:
        raise DataError("work", f"a batch of shape {tuple(first.shape)}", "at least one step and sample")
    layers = _counted(plain)
    meters = {path: _Meter(layer) for path, layer in layers.items()}
    training = {module: module.training for module in plain.modules()}
    hooks = [layer.register_forward_pre_hook(meters[path]) for path, layer in layers.items()]
    try:
        found, _ = plain.eval()(x, record=names)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    spikes = [found[name] for name in names]
    return _summed(plain, list(meters.values()), spikes, first.shape[1])


def _counted(net: nn.Module) -> dict[str, nn.Module]:
    """The layers whose operations are counted, by path; of others that weigh what comes in it is told."""
    found = dict[str, nn.Module]()
    for path, layer in net.named_modules():
        node = layer.source if isinstance(layer, NodeLayer) else None
        if isinstance(layer, (*SYNAPSES, *TRANSPOSED)) or isinstance(node, Synaptic | Scale):
            found[path] = layer
        elif _weighs(layer) and "parametrizations" not in path:
            text = f"{path}: operations of a {type(layer).__name__} are not counted"
            warnings.warn(text, SpikeflowWarning, stacklevel=3)
    return found


def _weighs(layer: nn.Module) -> bool:
    matrices = any(p.ndim > 1 for p in layer.parameters(recurse=False))
    return matrices and not isinstance(layer, _WEIGHTLESS)


class _Meter:
    """Counts of one layer with synapses, from what enters it."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.parts: dict[str, float] = dict.fromkeys(("ac", "mac", "eac", "emac", "dense"), 0.0)
        self.fans: tuple[torch.Tensor, torch.Tensor] | None = None

    def __call__(self, layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        x = arguments[0].detach()
        if isinstance(layer, NodeLayer):  # which sees time
            x = x.flatten(0, 1)
        if self.fans is None or self.fans[0].shape != x.shape[1:]:
            shape = tuple(x.shape[1:])
            self.fans = fan_out(self.layer, shape).double(), fan_out(self.layer, shape, True).double()
        one = (x.abs() == 1).double().sum(0)
        other = ((x != 0) & (x.abs() != 1)).double().sum(0)
        every, effective = self.fans
        for name, values, fans in (("ac", one, every), ("mac", other, every), ("eac", one, effective)):
            self.parts[name] += float((values * fans).sum())
        self.parts["emac"] += float((other * effective).sum())
        self.parts["dense"] += float(every.sum()) * len(x)


def _summed(net: nn.Module, meters: list[_Meter], spikes: list[torch.Tensor], samples: int) -> Work:
    parts = {
        name: sum(m.parts[name] for m in meters) / samples for name in ("ac", "mac", "eac", "emac", "dense")
    }
    ones = sum(int((s != 0).sum()) for s in spikes)
    places = sum(s.numel() for s in spikes)
    weights = [w for m in meters if isinstance(w := getattr(m.layer, "weight", None), torch.Tensor)]
    zeros = sum(int((w == 0).sum()) for w in weights)
    total = sum(w.numel() for w in weights)
    tensors = [*net.parameters(), *net.buffers()]
    return Work(
        samples=samples,
        spikes=ones / samples,
        activation_sparsity=1 - ones / places if places else 1.0,
        connection_sparsity=zeros / total if total else 0.0,
        footprint=sum(t.numel() * t.element_size() for t in tensors),
        accumulates=parts["ac"],
        multiply_accumulates=parts["mac"],
        effective_accumulates=parts["eac"],
        effective_multiply_accumulates=parts["emac"],
        dense=parts["dense"],
    )
