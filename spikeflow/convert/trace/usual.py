"""Torch as it begins: autocast or a default device around a call must not change what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from spikeflow.errors import ConversionError

P = ParamSpec("P")
T = TypeVar("T")


def as_usual(function: Callable[P, T]) -> Callable[P, T]:
    """The function with torch as it begins: made on the CPU, without autocast."""

    @wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> T:
        # casts that are kept within an outer block would go from one trace into the next
        with torch.device("cpu"), torch.autocast("cpu", enabled=False, cache_enabled=False):
            return function(*args, **options)

    return called


def expect_values(module: nn.Module) -> None:
    """Raise ConversionError for a parameter that has no numbers yet: of a lazy layer, or on the meta device.

    Tracing a lazy layer would make it, on a device without memory, and leave the user's module so.
    """
    named = (*module.named_parameters(), *module.named_buffers())
    for name, tensor in named:
        if is_lazy(tensor):
            hint = "the module on a sample, once: its layer is lazy"
            raise ConversionError(name, "has no shape yet", hint)
        if tensor.is_meta:
            hint = "module.to_empty(device='cpu'), then load_state_dict"
            raise ConversionError(name, "lies on the device meta, which holds no values", hint)
