"""How much memory a conversion will take, from the shapes of the traced network, before a value of it is
computed.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from math import prod
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from spikeflow.convert.trace.aten import AtenGraph, silent
from spikeflow.files import memory

VALUE = 4
PLACE = 24  # bytes for each value of a layer that moves values: where it comes from and goes to
COMPARED = 8  # samples on which graph and module are compared
HINT = "a smaller --input-shape, or layers of smaller outputs"


def expect_room(graph: AtenGraph) -> None:
    """Refuse a traced network that there is no room to capture and to run on a few samples.

    Raises
    ------
    NotEnoughMemory
        With the figure.
    """
    batch = max((shape[0] for shape in graph.input_shapes if shape), default=1)
    values = sum(prod(node.shape) // max(batch, 1) for node in graph.nodes)
    memory.expect("the conversion", _needed(values), HINT)


def _needed(values: int) -> int:
    """Bytes for so many values of one sample: those of the samples compared, and where each lies."""
    return values * (VALUE * COMPARED + PLACE)


class _Sizes(TorchDispatchMode):
    """Counts the values that operations give."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        self.values += sum(leaf.numel() for leaf in tree_leaves(found) if isinstance(leaf, torch.Tensor))
        return found


@contextmanager
def _without_values() -> Generator[FakeTensorMode, None, None]:
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        yield fake


def expect_room_to_try(module: nn.Module, example: torch.Tensor) -> None:
    """Refuse a module whose values on an example there is no room for: it is run on shapes alone first.

    A module that cannot be run on shapes alone is not refused here.

    Raises
    ------
    NotEnoughMemory
        With the figure.
    """
    sizes = _Sizes()
    # whatever the user's own code raises is told when it is run on values
    with silent(), suppress(Exception), torch.no_grad(), _without_values() as fake, sizes:
        module(fake.from_tensor(example))
    memory.expect("the conversion", _needed(sizes.values // max(len(example), 1)), HINT)
