"""The device that a network is trained on: named in the recipe, refused where it is not there."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from spikeflow.errors import DataError
from spikeflow.train.batches import Batch

WHERE = "recipe: training.device"


def device_of(word: str) -> torch.device:
    """The device of this machine that a recipe names.

    Raises
    ------
    DataError
        For one that is not there.
    """
    kind, _, number = word.partition(":")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cpu":
        return torch.device("cpu")
    if int(number or 0) >= count:
        there = f"cuda:0 to cuda:{count - 1}" if count else "cpu: torch sees no GPU on this machine"
        raise DataError(WHERE, word, there, "cuda" if count else "cpu")
    return torch.device("cuda", int(number or torch.cuda.current_device()))


def placed(net: nn.Module, word: str) -> torch.device:
    """Bring a network to the device of a recipe.

    Raises
    ------
    DataError
        Where the device is not there, or the network lies on a GPU and the recipe names another device.
    """
    device = device_of(word)
    held = {tensor.device for tensor in (*net.parameters(), *net.buffers())}
    if other := next((d for d in held if d.type != "cpu" and d != device), None):
        raise DataError(WHERE, word, f"{other}, where the network lies", f"device='{other}', or net.cpu()")
    net.to(device)
    return device


def moved(batch: Any, device: torch.device) -> Batch:
    """A batch on a device."""
    x: Any = batch.x
    x = {name: value.to(device) for name, value in x.items()} if isinstance(x, dict) else x.to(device)
    held: Any = getattr(batch, "mask", None)
    mask: Any = None if held is None else held.to(device)
    teacher = getattr(batch, "teacher", None)
    taught = None if teacher is None else teacher.to(device)
    layers = {name: value.to(device) for name, value in getattr(batch, "layers", {}).items()}
    return Batch(x, batch.labels.to(device), mask, taught, layers)


def exact(device: torch.device) -> AbstractContextManager[Any]:
    """On a GPU convolutions in float32 throughout, by the same algorithm each time; torch's default rounds
    what they multiply to 10 bits.
    """
    if device.type == "cpu":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)


def described(device: torch.device) -> str:
    """The device in words, for the record."""
    return f"{device}, {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)
