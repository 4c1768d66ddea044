"""Data to input of a spiking network: rate spikes, on/off rate spikes, latency spikes, delta spikes.

Random numbers come from a counter: the draw for (seed, sample, step, index) is one hash of these four, so it
does not depend on the batch, on threads, or on what was drawn before.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikeflow import counters, intake
from spikeflow.errors import DataError
from spikeflow.events import Spikes
from spikeflow.typing import Array

BLOCK = 1 << 16  # numbers drawn at once: few enough to stay in a cache


def _whole(what: str, *numbers: object) -> None:
    """Raise DataError for what is no whole number: a seed of 0.5 would draw as 0, 2.5 steps end in a half."""
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise DataError(f"encoding: {what}", repr(number), "a whole number")


def _bits(seed: int, sample: npt.ArrayLike, step: npt.ArrayLike, index: Array) -> Array:
    """53 random bits, uint64, ``(rows, indices)``; sample and step are ``(rows,)`` or one number for all
    rows.
    """
    return counters.bits53(counters.keys(seed, sample, step)[:, None], index)


def uniform(seed: int, sample: npt.ArrayLike, step: int, size: int) -> Array:
    """Uniform numbers in [0, 1) of shape ``(samples, size)``, each a function of (seed, sample, step,
    index).
    """
    return _bits(seed, sample, step, np.arange(size)) * counters.UNIT


def rate(x: npt.ArrayLike, steps: int, scale: float, seed: int = 0, first_sample: int = 0) -> Spikes:
    """One spike with probability min(x / scale, 1) in every step, from ``(B, *shape)``.

    A value spikes in a step where its `uniform` number of (seed, sample, step, index) is below its
    probability.

    Raises
    ------
    DataError
        Where x is negative (use `onoff`) or not finite.
    """
    array = _checked(x)
    _require_steps(steps, scale)
    _whole("seed, first_sample", seed, first_sample)
    _require_rates(array)
    flat = array.reshape(array.shape[0], -1) / scale
    each = [rate_of_one(p, steps, seed, first_sample + b) for b, p in enumerate(flat)]
    step, neuron = (np.concatenate(parts) for parts in zip(*each, strict=True))
    sample = np.repeat(np.arange(len(each)), [len(part) for part, _ in each])
    value = np.ones(sample.size, np.float32)
    return Spikes(sample, step, neuron, value, len(each), steps, tuple(array.shape[1:]))


def rate_of_one(p: Array, steps: int, seed: int, sample: int) -> tuple[Array, Array]:
    """Steps and neurons, sorted, of the spikes of one sample with probabilities ``(neurons,)``, as `rate`
    draws them.

    Numbers are drawn only where p is above 0.

    Raises
    ------
    DataError
        Where a probability is negative or not a number.
    """
    _require_rates(p)
    neuron = np.flatnonzero(p)
    limit = np.ceil(np.minimum(p[neuron], 1) * 2.0**53).astype(np.uint64)  # u < p, in whole numbers
    some = max(1, BLOCK // max(1, neuron.size))
    hits = [np.empty(0, np.int64)]
    for first in range(0, steps, some):
        bits = _bits(seed, sample, np.arange(first, min(first + some, steps)), neuron)
        hits.append(np.flatnonzero(bits < limit) + first * neuron.size)
    step, at = np.divmod(np.concatenate(hits), max(1, neuron.size))
    return step, neuron[at]


def _require_rates(x: Array) -> None:
    if x.size and not x.min() >= 0:
        raise DataError("rate coding", f"a value of {x.min():g}", "values >= 0", "--input onoff")


def split_signs(x: npt.ArrayLike) -> Array:
    """max(x, 0) and max(-x, 0), one after the other along the first axis of each sample."""
    array = _checked(x)
    return np.concatenate([np.maximum(array, 0), np.maximum(-array, 0)], axis=1)


def onoff(x: npt.ArrayLike, steps: int, scale: float, seed: int = 0, first_sample: int = 0) -> Spikes:
    """Two rate channels for max(x, 0) and max(-x, 0): ``(B, C, ...)`` becomes spikes of ``(2 C, ...)``."""
    return rate(split_signs(x), steps, scale, seed, first_sample)


def latency(x: npt.ArrayLike, steps: int, scale: float, threshold: float = 0.0) -> Spikes:
    """At most one spike a value, the earlier the larger it is, from ``(B, *shape)``.

    ``step = round((1 - min(x / scale, 1)) (steps - 1))`` where ``x > threshold``, else no spike. Nothing is
    drawn.

    Raises
    ------
    DataError
        Where x is negative (use `split_signs`) or not finite.
    """
    array = _checked(x)
    _require_steps(steps, scale)
    if array.size and array.min() < 0:
        raise DataError("latency coding", f"a value of {array.min():g}", "values >= 0", "split_signs(x)")
    if not np.isfinite(threshold):
        raise DataError("latency coding: threshold", threshold, "a finite number")
    flat = array.reshape(array.shape[0], -1)
    when = np.rint((1 - np.minimum(flat / scale, 1)) * (steps - 1)).astype(np.int64)
    sample, neuron = np.nonzero(flat > threshold)
    step = when[sample, neuron]
    order = np.lexsort((neuron, step, sample))
    value = np.ones(order.size, np.float32)
    shape = tuple(array.shape[1:])
    return Spikes(sample[order], step[order], neuron[order], value, len(flat), steps, shape)


def delta(x: npt.ArrayLike, threshold: float) -> Spikes:
    """Delta modulation of signals ``(T, B, C, ...)``: spikes of ``(2 C, ...)``, first where a signal
    rises, then where it falls.

    A level starts at ``x[0]``. In every step where the signal lies at least one threshold above (below) the
    level, the on (off) channel spikes once and the level moves by one threshold; so ``x[0] + threshold (sum
    of on - sum of off)`` follows the signal to within a threshold as long as it moves by no more than that in
    a step.

    Raises
    ------
    DataError
        Where the threshold is not positive, or x has no channels or is not finite.
    """
    array = _checked(x)
    if not 0 < threshold < np.inf:
        raise DataError("delta coding: threshold", threshold, "a finite number above 0")
    if array.ndim < 3:
        raise DataError("delta coding", f"shape {array.shape}", "(T, B, C, ...)", "x[:, :, None]")
    level, fired = array[0].copy(), np.zeros((*array.shape[:2], 2, *array.shape[2:]), bool)
    for step, now in enumerate(array):
        fired[step, :, 0] = now - level >= threshold
        fired[step, :, 1] = level - now >= threshold
        level += threshold * (fired[step, :, 0].astype(np.float64) - fired[step, :, 1])
    return Spikes.from_dense(
        fired.reshape((*array.shape[:2], 2 * array.shape[2], *array.shape[3:])).astype(np.float32)
    )


def _require_steps(steps: int, scale: float) -> None:
    _whole("steps", steps)
    if steps < 1 or not scale > 0:
        raise DataError("encoding", f"{steps} steps, scale {scale}", "at least one step and a scale above 0")


def _checked(x: npt.ArrayLike) -> Array:
    array = intake.array_of("input data", x).astype(np.float64, copy=False)
    if array.ndim < 2 or array.shape[0] == 0:
        raise DataError("input data", f"shape {array.shape}", "(samples, ...) with at least one sample")
    if not np.isfinite(array).all():
        raise DataError("input data", "NaN or infinite values", "finite values")
    return array
