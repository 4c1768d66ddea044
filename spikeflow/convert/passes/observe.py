"""Observe: run a graph of stage ann on calibration data and note what its activations do.

Two passes: the first finds each channel's maximum, the second counts its values in equal bins up to there.
Counts and maxima do not depend on how samples are cut into batches, and neither do the thresholds from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from spikeflow.convert.passes.forward import forward, outputs_of
from spikeflow.errors import DataError
from spikeflow.frozen import Frozen
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation
from spikeflow.samples import fitting, samples_of
from spikeflow.typing import Array, Progress

BINS = 4096  # a threshold is exact to 1 / 4096 of its channel's maximum
RARE = 20  # values above 0, below which a channel's largest is its threshold
_BATCH_VALUES = 2**23  # values of all activations that one batch may make


@dataclass(frozen=True, eq=False)
class ActivationStats(Frozen):
    """What one activation did, per channel (axis 0 of its shape); values below 0 by their magnitude.

    Parameters
    ----------
    values : number of values seen for each channel.
    maximum, mean : ``(channels,)``; the mean is that of the values with their signs.
    zeros : ``(channels,)``, how many values were 0.
    histogram : ``(channels, BINS)``, the values that are not 0 in equal bins from 0 to the channel's maximum.
    """

    values: int
    maximum: Array
    mean: Array
    zeros: Array
    histogram: Array

    def percentile(self, q: float, *, zeros: bool = False, by_layer: bool = False) -> Array:
        """The q-th percentile of each channel's values above 0, ``(channels,)``; linear within a bin.

        With `zeros` of all its values; a channel for which that is 0 gives that of its values above 0. With
        `by_layer` one number for all channels, of all their values together.

        Zeros do not count: a channel that is rarely active would else be silenced. Of fewer than RARE values
        above 0 (over all positions of all samples) the largest is taken; a channel without any gives 0.
        """
        if by_layer:
            return np.full(len(self.maximum), self._together().percentile(q, zeros=zeros)[0])
        active = self.values - self.zeros
        of_all = q / 100.0 * self.values - self.zeros
        rank = np.where(of_all > 0, of_all, q / 100.0 * active) if zeros else q / 100.0 * active
        cumulative = np.cumsum(self.histogram, axis=1)
        at = np.minimum((cumulative < rank[:, None]).sum(axis=1), BINS - 1)
        row = np.arange(len(at))
        inside = self.histogram[row, at]
        below = cumulative[row, at] - inside
        part = np.clip((rank - below) / np.maximum(inside, 1), 0.0, 1.0)
        return np.where(active < RARE, self.maximum, (at + part) / BINS * self.maximum)

    def _together(self) -> ActivationStats:
        """The same as if all channels were one; a value counts at the upper end of its bin."""
        highest = self.maximum.max(initial=0.0)
        edges = np.arange(1, BINS + 1) / BINS * self.maximum[:, None]
        at = np.ceil(edges / max(highest, 1e-30) * BINS * (1 - 1e-12)).astype(np.int64).clip(1, BINS) - 1
        counts = np.bincount(at.ravel(), self.histogram.ravel(), BINS).astype(self.histogram.dtype)
        return ActivationStats(
            self.values * len(self.maximum),
            np.array([highest]),
            np.array([self.mean.mean()]),
            np.array([self.zeros.sum()]),
            counts[None, :],
        )

    def fraction_above(self, threshold: Array) -> Array:
        """The fraction of values in the bins above a threshold per channel, ``(channels,)``."""
        # a threshold may be rounded to just below the edge of its bin
        cut = np.ceil(threshold / np.maximum(self.maximum, 1e-30) * BINS * (1 - 1e-6))
        above = np.arange(BINS)[None, :] >= cut[:, None]
        return np.where(self.maximum > threshold, (self.histogram * above).sum(axis=1) / self.values, 0.0)


@dataclass(frozen=True, eq=False)
class Stats(Frozen):
    """Everything seen on calibration data.

    Parameters
    ----------
    samples : how many.
    activations : by the name of the Activation node.
    outputs : the network's answers, ``(samples, ...)``, by the name of the Output node.
    low, high : smallest and largest value of the data.
    """

    samples: int
    activations: Mapping[str, ActivationStats]
    outputs: Mapping[str, Array]
    low: float
    high: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "activations", MappingProxyType(dict(self.activations)))
        object.__setattr__(self, "outputs", MappingProxyType(dict(self.outputs)))

    @property
    def logits(self) -> Array:
        """The answers of the first output."""
        return next(iter(self.outputs.values()))


def check_data(graph: Graph, x: object) -> Array:
    """The samples as float32; DataError where they are empty, not finite or not of the input's shape."""
    if not graph.inputs:
        raise DataError("calibration data", "samples", "none, as the graph has no Input")
    array = fitting(samples_of(x), graph.shapes[graph.inputs[0]], "calibration data")
    return np.ascontiguousarray(array)


def observe(graph: Graph, x: object, progress: Progress | None = None) -> Stats:
    """Statistics of every Activation of a graph at stage ann, and its logits.

    Raises
    ------
    DataError
        Where the samples are empty, of the wrong shape or not finite.
    """
    data = check_data(graph, x)
    names = graph.of_kind(Activation)
    size = batch_size(graph, len(data))
    first = _Extremes(names)
    answers = [outputs_of(graph, data[i : i + size], first.see) for i in _starts(data, size, progress, 0)]
    outputs = {name: np.concatenate([part[name] for part in answers]) for name in graph.outputs}
    _check_finite(first.maximum, outputs)
    second = _Histograms(first.maximum)
    for i in _starts(data, size, progress, len(data)):
        forward(graph, data[i : i + size], second.see)
    found = {n: _finished(first, second, n, math.prod(graph.shapes[n][1:]) * len(data)) for n in names}
    return Stats(len(data), found, outputs, float(data.min()), float(data.max()))


def _check_finite(maximum: Mapping[str, torch.Tensor], outputs: Mapping[str, Array]) -> None:
    """Raise DataError where activations or answers left float32 on some sample."""
    beyond = [name for name, highest in maximum.items() if not bool(torch.isfinite(highest).all())]
    beyond += [name for name, values in outputs.items() if not np.isfinite(values).all()]
    if beyond:
        got = f"samples on which {beyond[0]} leaves float32"
        hint = "samples in the unit that the network was trained with"
        raise DataError("calibration data", got, "finite activations", hint)


def batch_size(graph: Graph, samples: int) -> int:
    """How many samples are observed at a time."""
    per_sample = sum(math.prod(graph.shapes[n]) for n in graph.of_kind(Activation))
    return max(1, min(samples, _BATCH_VALUES // max(per_sample, 1)))


def _starts(data: Array, size: int, progress: Progress | None, before: int) -> Any:
    for i in range(0, len(data), size):
        yield i
        if progress is not None:
            progress(before + min(i + size, len(data)), 2 * len(data))


def _channels(value: torch.Tensor) -> torch.Tensor:
    """``(channels, values)`` of a batch ``(B, channels, ...)``."""
    return value.transpose(0, 1).reshape(value.shape[1], -1)


class _Extremes:
    """The first pass: maxima, zeros, sums."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = set(names)
        self.maximum: dict[str, torch.Tensor] = {}
        self.zeros: dict[str, torch.Tensor] = {}
        self.sums: dict[str, list[Array]] = {name: [] for name in names}

    def see(self, name: str, value: torch.Tensor) -> None:
        if name not in self.names:
            return
        rows = _channels(value)
        highest, zeros = torch.maximum(rows.amax(1), -rows.amin(1)), (rows == 0).sum(1)
        self.maximum[name] = torch.maximum(self.maximum[name], highest) if name in self.maximum else highest
        self.zeros[name] = self.zeros[name] + zeros if name in self.zeros else zeros
        self.sums[name].append(rows.sum(1, dtype=torch.float64).numpy())


class _Histograms:
    """The second pass: counts in bins."""

    def __init__(self, maximum: Mapping[str, torch.Tensor]) -> None:
        self.maximum = maximum
        self.counts: dict[str, Array] = {}

    def see(self, name: str, value: torch.Tensor) -> None:
        if name not in self.maximum:
            return
        rows, top = _channels(value), self.maximum[name]
        step = torch.where(top > 0, BINS / top.clamp(min=1e-30), torch.zeros_like(top))
        # bin k holds (k, k + 1] / BINS of the maximum, so that zeros fall into none
        at = (rows * step[:, None]).abs_().ceil_().clamp_(0, BINS).to(torch.int32)
        at += torch.arange(len(rows), dtype=torch.int32)[:, None] * (BINS + 1)
        counted = np.bincount(at.numpy().ravel(), minlength=len(rows) * (BINS + 1))
        table = counted.reshape(len(rows), BINS + 1)[:, 1:]
        self.counts[name] = self.counts[name] + table if name in self.counts else table


def _finished(first: _Extremes, second: _Histograms, name: str, values: int) -> ActivationStats:
    # fsum rounds once, so the mean does not depend on the order of the batches
    mean = np.array([math.fsum(column) for column in zip(*first.sums[name], strict=True)]) / values
    maximum = first.maximum[name].numpy().astype(np.float64)
    return ActivationStats(values, maximum, mean, first.zeros[name].numpy(), second.counts[name])
