"""A network as rules see it: layers up to the current of its read-out, and the read-out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.dropout import _DropoutNd  # pyright: ignore[reportPrivateUsage]

from spikeflow.errors import UnsupportedLayer
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.members import bare, has_state
from spikeflow.neurons.sequential import Sequential
from spikeflow.train.inside import is_read_out

LossOf = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Block:
    """Layers without a state, and the neurons that they drive; None where outputs follow."""

    path: str
    layers: tuple[nn.Module, ...]
    cells: nn.Module | None

    def current(self, x: torch.Tensor) -> torch.Tensor:
        """What the layers make of a moment ``(B, *shape)``, or of steps and samples as one batch."""
        for layer in self.layers:
            x = layer(x)
        return x


@dataclass(frozen=True)
class Parts:
    """Blocks in order, the last without neurons; and the read-out, None where outputs are its current."""

    blocks: tuple[Block, ...]
    read_out: Neuron | None

    def signal(
        self, current: torch.Tensor, loss_of: LossOf
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Outputs, loss, and the loss's gradient by the read-out's current ``(T, B, C)``, exact in time."""
        held, outputs = self._read(current)
        value = loss_of(outputs)
        value.backward()
        assert held.grad is not None
        return outputs.detach(), value.detach(), held.grad

    def slope(self, current: torch.Tensor, loss_of: LossOf) -> torch.Tensor:
        """The same gradient of another current, by which nothing learns but what made that."""
        held, outputs = self._read(current)
        return torch.autograd.grad(loss_of(outputs), held)[0]

    def _read(self, current: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        held = current.detach().requires_grad_()
        return held, held if self.read_out is None else self.read_out(held)[0]


def parts_of(rule: str, net: nn.Module) -> Parts:
    """The parts of a `Sequential`.

    Raises
    ------
    UnsupportedLayer
        For another network, batch norm and dropout that train, and neurons at the end that spike.
    """
    inner = bare(net)
    if type(inner) is not Sequential:
        raise UnsupportedLayer(
            f"the rule {rule}", type(inner).__name__, "a spikeflow Sequential, or rule bptt"
        )
    for path, layer in inner.named_modules():
        if layer.training and isinstance(layer, _BatchNorm | _DropoutNd):
            hint = "eval() on it, or rule bptt: it would see each step or piece by itself"
            raise UnsupportedLayer(f"{path}, rule {rule}", f"{type(layer).__name__} while training", hint)
    layers = list(inner.layers)
    read_out = layers.pop() if layers and is_read_out(layers[-1]) else None
    blocks, waiting = list[Block](), list[nn.Module]()
    for index, layer in enumerate(layers):
        if has_state(layer):
            blocks.append(Block(f"layers.{index}", tuple(waiting), layer))
            waiting = []
        else:
            waiting.append(layer)
    if not waiting or not blocks:
        hint = "neurons, then a Linear and a read-out such as Neuron(Integrator())"
        raise UnsupportedLayer(f"the rule {rule}", "a network without neurons or that ends in spikes", hint)
    return Parts((*blocks, Block(f"layers.{len(layers)}", tuple(waiting), None)), read_out)  # type: ignore[arg-type]


def joined(pieces: Iterable[torch.Tensor], steps: int) -> torch.Tensor:
    """Pieces ``(n, B, C)`` of so many steps in all, each copied into one array as it comes: a list of small
    tensors that stay between large ones that go would hold the heap open.
    """
    found, begin = torch.empty(0), 0
    for piece in pieces:
        if begin == 0:
            found = piece.new_empty((steps, *piece.shape[1:]))
        found[begin : begin + len(piece)] = piece
        begin += len(piece)
    return found


def detached(state: Any) -> Any:
    """A state, however nested, without its history."""
    if isinstance(state, torch.Tensor):
        return state.detach()
    if isinstance(state, dict):
        return {key: detached(value) for key, value in state.items()}
    if isinstance(state, tuple):
        made = [detached(value) for value in state]
        return type(state)(*made) if hasattr(state, "_fields") else tuple(made)
    return state
