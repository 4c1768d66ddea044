"""Sources of a conversion: a torch module, a file, or a traced graph; traced, and compared with its graph."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from spikeflow.convert.aten import AtenGraph, from_module
from spikeflow.convert.builder import Captured
from spikeflow.convert.capture import ERASED_SOFTMAX
from spikeflow.convert.forecast import expect_room_to_try
from spikeflow.convert.forward import forward
from spikeflow.convert.load import load
from spikeflow.errors import ConversionError, DataError, UnsupportedLayer
from spikeflow.ir.nodes import Shape

Array = npt.NDArray[Any]
Source = nn.Module | AtenGraph | str | os.PathLike[str]
TOLERANCE = 1e-4  # of the largest answer: torch may fuse and reorder what the graph does one by one
_COMPARED = 8


def opened(source: Source, arch: str | None) -> nn.Module | AtenGraph:
    """A module or a traced graph; files are opened without running code from them."""
    if isinstance(source, nn.Module | AtenGraph):
        if arch is not None:
            raise ConversionError("--arch", "is for files that hold tensors only", "leave it out")
        return source
    return load(source, arch)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; afterwards each part is as it was."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


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
    _check_statistics(network)
    with evaluating(network):
        if x is not None:
            expect_room_to_try(network, example)
            _try(network, example)
        return from_module(network, example)


def _check_statistics(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and part.running_mean is None:
            raise UnsupportedLayer(
                name or type(part).__name__,
                "batch norm with track_running_stats=False",
                "track_running_stats=True while training, so that its statistics become constants",
            )


def _example(module: nn.Module, x: Array | None, input_shape: Shape | None) -> torch.Tensor:
    if x is None and input_shape is None:
        raise ConversionError(
            type(module).__name__,
            "the shape of its input is not known",
            "--data with calibration samples, or --input-shape",
        )
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
    except Exception as error:  # the user's own code: whatever it raises is told as its own
        words = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise DataError(
            "calibration data",
            f"samples of shape {tuple(example.shape[1:])}",
            f"a shape that the network takes ({words})",
        ) from error


def compare(module: nn.Module, captured: Captured, x: Array) -> float:
    """The largest difference of a module and its graph on some samples, relative to the largest answer.

    Raises
    ------
    ConversionError
        Where it exceeds TOLERANCE: then the capture is wrong, and nothing after it could be right.
    """
    samples = x[:_COMPARED]
    with evaluating(module), torch.no_grad():
        answer = module(like(module, samples))
    wanted = answer.double().cpu().numpy()
    got = _last(captured, forward(captured.graph, samples).astype(np.float64))
    if got.shape != wanted.shape:
        raise ConversionError(
            type(module).__name__, f"its graph answers {got.shape}, the module {wanted.shape}", "report this"
        )
    difference = float(np.abs(got - wanted).max() / max(float(np.abs(wanted).max()), 1e-6))
    if not difference <= TOLERANCE:
        raise ConversionError(
            type(module).__name__,
            f"its graph differs from the module by {difference:.1e} of the "
            f"largest answer (allowed {TOLERANCE:.0e})",
            "a forward() that does not depend on values",
        )
    return difference


def _last(captured: Captured, logits: Array) -> Array:
    """The graph's logits through the softmax that capture erased, if it did."""
    last = captured.verdicts[-1] if captured.verdicts else None
    if last is None or last.verdict != ERASED_SOFTMAX:
        return logits
    values = torch.from_numpy(logits)
    chosen = torch.log_softmax(values, 1) if "log" in last.operation else torch.softmax(values, 1)
    return np.asarray(chosen.numpy())
