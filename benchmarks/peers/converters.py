"""Converters of SpikingJelly and sinabs, each as its documentation uses it, on a torch module.

Each function gives the outputs of every step, ``(T, N, classes)``, and what the conversion took.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

BATCH = 100
RELUS = (F.relu, torch.relu)


@dataclass(frozen=True)
class Task:
    """A network in evaluation mode, unlabelled images to calibrate on, images to answer, and the steps."""

    module: nn.Module
    calibration: np.ndarray
    x: np.ndarray
    steps: int


@dataclass(frozen=True)
class Answered:
    """Outputs of each step ``(T, N, classes)``; the step from which the recipe reads for so many steps; seconds
    of processor time.
    """

    outputs: np.ndarray
    read_from: Callable[[int], int]
    convert_cpu_s: float
    run_cpu_s: float

    def predictions(self, steps: int) -> np.ndarray:
        """The answers after so many steps."""
        return self.outputs[self.read_from(steps) : steps].sum(0).argmax(1)


def of_modules(module: nn.Module) -> nn.Module:
    """The same network with a module at each call of a rectifier, a pool or a shortcut: both converters replace
    modules alone, and SpikingJelly refuses most functions.
    """
    traced = fx.symbolic_trace(copy.deepcopy(module))
    for number, node in enumerate(list(traced.graph.nodes)):
        made = _as_module(node) if node.op == "call_function" else None
        if made is not None:
            traced.add_submodule(f"called_{number}", made)
            source = node.args[0].args[0] if node.target is F.pad else node.args[0]
            with traced.graph.inserting_after(node):
                called = traced.graph.call_module(f"called_{number}", (source,))
            node.replace_all_uses_with(called)
            traced.graph.erase_node(node)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced.eval()


def _as_module(node: fx.Node) -> nn.Module | None:
    if node.target in RELUS:
        return nn.ReLU()
    if node.target is F.avg_pool2d:
        return nn.AvgPool2d(*node.args[1:])
    return _shortcut(node.args[1][-1]) if node.target is F.pad else None


def _shortcut(missing: int) -> nn.Conv2d:
    """Every second pixel, `missing` channels of zeros before and behind those that are there, as a convolution."""
    channels = 2 * missing
    made = nn.Conv2d(channels, 2 * channels, 1, stride=2, bias=False)
    with torch.no_grad():
        made.weight.zero_()
        made.weight[missing : missing + channels, :, 0, 0] = torch.eye(channels)
    return made


def spikingjelly(task: Task, recipe: str) -> Answered:
    """``ltb``: local threshold balancing with its delayed read-out; ``max``, ``99.9%``: rate coding; ``channels``:
    rate coding at 99.9 % a channel with half a threshold to begin with.
    """
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based.ann2snn import FXConverter, recipes
    from spikingjelly.activation_based.ann2snn.delay import estimate_delay_start

    begun = time.process_time()
    # balancing moves its thresholds up by a step a batch: many small ones, several times over
    size, passes = (8, 10) if recipe == "ltb" else (50, 1)
    loader = [torch.from_numpy(b) for b in _batches(task.calibration, size)] * passes
    made: Any
    if recipe == "ltb":
        made = recipes.LocalThresholdBalancingRecipe(dataloader=loader)
    elif recipe == "channels":
        made = recipes.RateCodingRecipe(loader, mode="99.9%", channel_wise=True, half_threshold=True)
    else:
        made = recipes.RateCodingRecipe(loader, mode=recipe)
    snn = FXConverter(made).convert(of_modules(task.module))
    converted = time.process_time()
    outputs = _stepped(snn, task, lambda: functional.reset_net(snn))
    ran = time.process_time() - converted
    delay = {}
    if recipe == "ltb":
        delay = {t: estimate_delay_start(snn, loader, "cpu", t) for t in range(1, task.steps + 1)}
    return Answered(outputs, lambda t: delay.get(t, 0), converted - begun, ran)


def sinabs(task: Task, spikes: str) -> Answered:
    """``from_model`` with its default, any number of spikes a step (``many``), or at most one (``one``)."""
    from sinabs.activation import MultiSpike, SingleSpike
    from sinabs.from_torch import from_model
    from sinabs.layers import IAF

    begun = time.process_time()
    function = MultiSpike if spikes == "many" else SingleSpike
    # a layer that takes (N, T, ...) steps is given one step at a time below
    snn = from_model(
        of_modules(task.module), spike_fn=function, batch_size=1, spike_layer_class=_stepping(IAF)
    ).spiking_model
    converted = time.process_time()

    def reset() -> None:
        for layer in snn.modules():
            if isinstance(layer, IAF):
                layer.reset_states()

    outputs = _stepped(snn, task, reset)
    return Answered(outputs, lambda t: 0, converted - begun, time.process_time() - converted)


def _stepping(layer: type[nn.Module]) -> type[nn.Module]:
    class Stepping(layer):  # type: ignore[misc,valid-type]
        """The layer for one step: an axis of one step is put in and taken out."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.unsqueeze(1)).squeeze(1)

    return Stepping


def _batches(x: np.ndarray, size: int) -> list[np.ndarray]:
    return [x[first : first + size] for first in range(0, len(x), size)]


def _stepped(snn: nn.Module, task: Task, reset: Callable[[], None]) -> np.ndarray:
    """What the network hands on in each step for a constant input."""
    found = []
    with torch.no_grad():
        for batch in _batches(task.x, BATCH):
            x = torch.from_numpy(batch)
            reset()
            found.append(torch.stack([snn(x).reshape(len(x), -1) for _ in range(task.steps)]).numpy())
    return np.concatenate(found, 1)


RECIPES: dict[str, tuple[Callable[[Task, str], Answered], str]] = {
    "SpikingJelly, local threshold balancing": (spikingjelly, "ltb"),
    "SpikingJelly, rate coding, maximum": (spikingjelly, "max"),
    "SpikingJelly, rate coding, 99.9 %": (spikingjelly, "99.9%"),
    "SpikingJelly, rate coding, 99.9 % a channel": (spikingjelly, "channels"),
    "sinabs, one spike a step": (sinabs, "one"),
    "sinabs, any number of spikes a step": (sinabs, "many"),
}
