"""Lists of synapses as people have them: columns of sources, targets, weights and delays in seconds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeflow.errors import GraphError, SpikeflowWarning
from spikeflow.ir.arrays import Codes
from spikeflow.ir.limits import LONGEST_DELAY
from spikeflow.ir.nodes.base import Shape
from spikeflow.ir.nodes.sparse import Sparse
from spikeflow.typing import Array

TOLD = 0.01  # of a step: by less nobody means another delay


@dataclass(frozen=True, eq=False)
class Synapses:
    """Synapses one by one.

    Parameters
    ----------
    source, target : neurons in C order, one number a synapse.
    weight : in the unit of what the port takes; one for all, or one each.
    delay : seconds, rounded to whole steps, one at least; one for all, or one each.
    """

    source: npt.ArrayLike
    target: npt.ArrayLike
    weight: npt.ArrayLike
    delay: npt.ArrayLike


@dataclass(frozen=True, eq=False)
class SynapseList:
    """Checked synapses, columns of one length; delays in steps."""

    pre: str
    source: Array
    target: Array
    weight: Array
    delay: Array


def checked_list(name: str, pre: str, given: Synapses, sizes: tuple[int, int], dt_s: float) -> SynapseList:
    """The synapses from `pre`, of so many neurons, to so many; GraphError where they cannot be."""
    source, target = (_neurons(name, x, n) for x, n in zip((given.source, given.target), sizes, strict=True))
    weight, delay = (np.asarray(x, np.float64) for x in (given.weight, given.delay))
    count = source.size
    if target.size != count or any(x.shape not in ((), (1,), (count,)) for x in (weight, delay)):
        counts = f"{count} sources, {target.size} targets, {weight.size} weights, {delay.size} delays"
        raise GraphError(name, counts, "as many of each; weights and delays may be one for all")
    steps = np.rint(delay / dt_s)
    most = LONGEST_DELAY + 1  # one of these steps lies on the edge
    if not (np.abs(weight) <= np.finfo(np.float32).max).all() or not ((steps >= 1) & (steps <= most)).all():
        reason = f"a weight that is no number, or a delay outside 1 to {most} steps"
        raise GraphError(name, reason, f"steps of {dt_s:g} s")
    _tell_rounded(name, delay, steps, dt_s)
    weight, steps = (np.broadcast_to(x.reshape(-1), (count,)) for x in (weight, steps))
    return SynapseList(pre, source, target, weight, steps.astype(np.int64))


def _tell_rounded(name: str, delay_s: Array, steps: Array, dt_s: float) -> None:
    """Warn of delays between two steps."""
    moved = np.abs(delay_s / dt_s - steps)
    between = int(np.count_nonzero(moved > TOLD))
    if between:
        text = f"{name}: {between} of {delay_s.size} delays lie between steps of {dt_s:g} s and are rounded, "
        text += f"by up to {moved.max() * dt_s:g} s. Try: shorter steps"
        warnings.warn(text, SpikeflowWarning, stacklevel=4)


def _neurons(name: str, given: npt.ArrayLike, size: int) -> Array:
    x = np.asarray(given)
    if x.ndim != 1 or (x.size and (x.dtype.kind not in "iu" or x.min() < 0 or x.max() >= size)):
        raise GraphError(name, "synapses of neurons that do not exist", f"whole numbers from 0 to {size - 1}")
    return x.astype(np.int64)


def sparse_of(
    lists: Sequence[SynapseList], in_shape: Shape, out_shape: Shape, bits: int = 0, scale: float = 1.0
) -> Sparse:
    """One node of all lists, by source, then as they are listed; one step of each delay lies on its edges.

    Parameters
    ----------
    bits, scale : weights as the nearest codes of 8 or 16 bits times a scale; 0 for float32.
    """
    source, target, weight, delay = (
        np.concatenate([getattr(one, column) for one in lists])
        for column in ("source", "target", "weight", "delay")
    )
    order = np.argsort(source, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=in_shape[0]))])
    held, delays = _weights(weight[order], bits, scale), delay[order] - 1
    return Sparse(
        indptr,
        target[order],
        held,
        in_shape,
        out_shape,
        delays=delays,
        weight_scope="synapse",
        delay_scope="synapse",
    )


def _weights(weight: Array, bits: int, scale: float) -> Array | Codes:
    """Weights as they are held: float32, or the nearest codes."""
    if not bits:
        return weight.astype(np.float32)
    half = float(1 << (bits - 1))
    nearest = np.rint(weight.astype(np.float32) / np.float32(scale))
    return Codes(np.clip(nearest, -half, half - 1.0).astype(np.int16), scale)
