"""Sources of a conversion: a torch module, a file, or a traced graph; opened and traced."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from math import prod

import numpy as np
import torch
from torch import nn

from spikeflow.convert.load.foreign import refuse_spiking
from spikeflow.convert.load.network_file import Opened, read
from spikeflow.convert.load.several import SideBySide, plain_names
from spikeflow.convert.load.tree import FileNetwork
from spikeflow.convert.trace.aten import AtenGraph, from_module
from spikeflow.convert.trace.forecast import HINT, expect_room_to_try
from spikeflow.convert.trace.usual import expect_values
from spikeflow.errors import ConversionError, DataError, ModelError
from spikeflow.files import memory
from spikeflow.ir.nodes import Shape
from spikeflow.ir.record import Network
from spikeflow.typing import Array

FLOAT32 = 4  # bytes

Source = nn.Module | AtenGraph | str | os.PathLike[str]


def opened(source: Source, arch: str | None, shape: Shape | None = None) -> nn.Module | AtenGraph:
    """A module or a traced graph; files are opened without running code from them."""
    return opened_with_warnings(source, arch, shape)[0]


def opened_with_warnings(
    source: Source, arch: str | None, shape: Shape | None = None
) -> tuple[nn.Module | AtenGraph, tuple[str, ...]]:
    """As `opened`, with what is to be told of how a file was read.

    Parameters
    ----------
    shape : of the samples that it will get, where known: a file may lay them out in another way.

    Raises
    ------
    UnsupportedLayer
        Where the network spikes already.
    """
    if isinstance(source, nn.Module | AtenGraph):
        if arch is not None:
            raise ConversionError("--arch", "is for files that hold tensors only", "leave it out")
        found = Opened(unwrapped(source) if isinstance(source, nn.Module) else source)
    elif isinstance(source, str | os.PathLike):
        found = read(source, arch)
    else:
        raise _no_source(source)
    if isinstance(found.network, nn.Module):
        refuse_spiking(found.network)
        expect_values(found.network)
    if isinstance(found.network, FileNetwork) and shape is not None:
        return found.network, (*found.warnings, *found.network.enter(tuple(shape)))
    return found.network, found.warnings


def _no_source(value: object) -> ConversionError:
    """For what is no module and no path, with what makes one of it."""
    hint = "the module itself, or the path of its file"
    if isinstance(value, torch.export.ExportedProgram):
        hint = (
            "torch.export.save(program, 'net.pt2'), and the path of that file; or the module that was "
            "exported"
        )
    elif isinstance(value, Network):
        hint = "spikeflow.hw.map_network and spikeflow.sim.classify take it: it spikes already"
    elif callable(value):
        hint = "a torch.nn.Module whose forward() calls it"
    return ConversionError("the network", f"is a {type(value).__name__}, no torch module and no path", hint)


_WRAPPERS = {
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch.optim.swa_utils.AveragedModel": "module",
}


def unwrapped(module: nn.Module) -> nn.Module:
    """The network within torch.compile, DataParallel, DistributedDataParallel or AveragedModel."""
    while True:
        kind = type(module)
        inner = getattr(module, _WRAPPERS.get(f"{kind.__module__}.{kind.__qualname__}", ""), None)
        if not isinstance(inner, nn.Module):
            return module
        module = inner


@contextmanager
def evaluating(module: nn.Module) -> Generator[None, None, None]:
    """The module in evaluation mode; afterwards each part is as it was."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


@contextmanager
def _same_buffers(module: nn.Module) -> Generator[None, None, None]:
    """Put back what a forward() puts another tensor in the place of: traced, it is one without values."""
    before = [(part, dict(part.named_buffers(recurse=False))) for part in module.modules()]
    try:
        yield
    finally:
        for part, buffers in before:
            for name, buffer in buffers.items():
                if getattr(part, name, None) is not buffer:
                    setattr(part, name, buffer)


def traced(network: nn.Module | AtenGraph, x: Array | None, input_shape: Shape | None) -> AtenGraph:
    """The traced graph.

    Raises
    ------
    ConversionError
        Where nothing says the shape of a sample.
    DataError
        Where the network cannot take samples of the data's shape.
    """
    if x is not None and input_shape is not None and x.shape[1:] != tuple(input_shape):
        raise DataError("calibration data", f"samples of shape {x.shape[1:]}", f"{tuple(input_shape)}")
    if isinstance(network, AtenGraph):
        return network
    example = _example(network, x, input_shape)
    with evaluating(network):
        if x is not None:
            with _same_buffers(network):
                expect_room_to_try(network, example)
            with _same_buffers(network):
                _try(network, example)
        with _same_buffers(network):
            found = from_module(network, example)
    return plain_names(found) if isinstance(network, SideBySide) else found


def _example(module: nn.Module, x: Array | None, input_shape: Shape | None) -> torch.Tensor:
    if input_shape is None and isinstance(module, FileNetwork):
        input_shape = module.sample
    if x is None and input_shape is None:
        raise ConversionError(
            type(module).__name__,
            "the shape of its input is not known",
            "calibration samples (--data, x=), or the shape of one (--input-shape, input_shape=)",
        )
    if x is None:
        memory.expect("a sample of the network", 2 * FLOAT32 * prod(input_shape or ()), HINT)
    values = x[:2] if x is not None else np.zeros((2, *(input_shape or ())), np.float32)
    return like(module, values)


def like(module: nn.Module, x: Array) -> torch.Tensor:
    """Samples as the module's own floating type, on its device."""
    first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    return torch.from_numpy(np.array(x, np.float32)).to(first.device, first.dtype)


def _try(module: nn.Module, example: torch.Tensor) -> None:
    try:
        with torch.no_grad():
            module(example)
    except (ModelError, ConversionError):
        raise
    except Exception as error:  # the user's own code: whatever it raises is told as its own
        words = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise DataError(
            "calibration data",
            f"samples of shape {tuple(example.shape[1:])}",
            f"a shape that the network takes ({words})",
        ) from error
