"""Spikes in continuous time, and the exact gradient by them: the reference of EventProp, in float64.

    tau_m V' = I - V,  tau_s I' = -I;  a spike of i adds w_ji to I_j;  V_n = threshold: a spike, V_n <- 0

Between events both are exponentials, so a spike's time is the root of one function, found to the last bits.
Source: Wunderlich and Pehle 2021, doi 10.1038/s41598-021-91786-z, table 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.errors import DataError, ShapeError, SpikeflowWarning
from spikeflow.typing import Array

MOST_SPIKES = 10_000
_SAMPLE, _INPUT, _SPIKE = range(3)  # events at one time in this order: a sample sees V before what arrives


@dataclass(frozen=True, eq=False)
class EventNetwork:
    """Neurons with exponential synapses.

    Parameters
    ----------
    inputs : weights ``(N, sources)`` of what comes from outside.
    weights : those ``(N, N)`` between neurons, from column to row, without delay; layers are blocks of it.
    tau_m, tau_s : time constants of membrane and synapse, in one unit of time.
    threshold : above 0.
    """

    inputs: Array
    weights: Array
    tau_m: float = 20.0
    tau_s: float = 5.0
    threshold: float = 1.0

    def __post_init__(self) -> None:
        n = len(self.inputs)
        if self.inputs.ndim != 2 or self.weights.shape != (n, n):
            raise ShapeError("event network", f"weights {self.weights.shape}", f"({n}, {n})")
        for name in ("tau_m", "tau_s", "threshold"):
            if not 0 < getattr(self, name) < np.inf:
                raise DataError(f"event network: {name}", getattr(self, name), "a finite number above 0")

    def after(self, t: float, v: Any, i: Any) -> tuple[Any, Any]:
        """V and I at a time t later, where nothing happens."""
        fast = np.exp(-t / self.tau_s)
        if self.tau_m == self.tau_s:
            return (v + i * (t / self.tau_m)) * fast, i * fast
        share = i * (self.tau_s / (self.tau_s - self.tau_m))
        return (v - share) * np.exp(-t / self.tau_m) + share * fast, i * fast

    def crossing(self, v: float, i: float) -> float:
        """How long from V = v, I = i until V reaches the threshold; inf where it does not.

        V rises once, while I is larger, and then falls for good: the crossing lies before its peak.
        """
        if i <= self.threshold:
            return np.inf
        if v >= self.threshold:
            return 0.0
        if self.tau_m == self.tau_s:
            peak = self.tau_m * (1 - v / i)
        else:
            share = i * self.tau_s / (self.tau_s - self.tau_m)
            ratio = share * self.tau_m / (self.tau_s * (share - v))
            if ratio <= 0:
                return np.inf  # from far below V rises towards 0 only
            peak = float(np.log(ratio)) / (1 / self.tau_s - 1 / self.tau_m)
        return self._root(v, i, peak) if self._above(v, i, peak)[0] > 0 else np.inf

    def _above(self, v: float, i: float, t: float) -> tuple[float, float]:
        """By how much V lies above the threshold after a time, and its slope there."""
        now, current = self.after(t, v, i)
        return float(now) - self.threshold, float(current - now) / self.tau_m

    def _root(self, v: float, i: float, high: float) -> float:
        """Newton's steps, halving the bracket where one would leave it."""
        low, t = 0.0, high / 2
        for _ in range(200):
            above, slope = self._above(v, i, t)
            low, high = (low, t) if above > 0 else (t, high)
            new = t - above / slope if slope > 0 else low
            new = new if low < new < high else (low + high) / 2
            if new == t or not low < new < high:
                break
            t = new
        return t


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What happened.

    Parameters
    ----------
    times, neurons : of the spikes ``(S,)``, in their order.
    drives : I of the neuron that spikes, at that moment, ``(S,)``.
    membranes : V at the times that were asked for, ``(K, N)``.
    events : time, kind and number of everything, in order.
    """

    times: Array
    neurons: Array
    drives: Array
    membranes: Array
    events: tuple[tuple[float, int, int], ...]
    sources: Array


def simulate(
    network: EventNetwork,
    times: Sequence[float],
    sources: Sequence[int],
    end: float,
    samples: Sequence[float] = (),
) -> Trajectory:
    """Run from rest at 0 to an end.

    Parameters
    ----------
    times, sources : of the spikes that enter, from 0 to the end.
    samples : when V is read, before what arrives at the same time.

    Raises
    ------
    DataError
        For times outside, sources that there are not, and more than 10,000 spikes.
    """
    _check(network, times, sources, end, samples)
    kinds = ((_SAMPLE, samples), (_INPUT, times))
    given = sorted((float(t), kind, k) for kind, each in kinds for k, t in enumerate(each))
    n, now = len(network.weights), 0.0
    v, i, seen = np.zeros(n), np.zeros(n), np.zeros((len(samples), n))
    spikes, events = list[tuple[float, int, float]](), list[tuple[float, int, int]]()
    while True:
        waits = [network.crossing(*pair) for pair in zip(v.tolist(), i.tolist(), strict=True)]
        first = int(np.argmin(waits))
        crossed = now + waits[first]
        if given and given[0][0] <= crossed:
            event = given.pop(0)
        elif crossed <= end:
            event = (crossed, _SPIKE, len(spikes))
        else:
            break
        (v, i), now = network.after(event[0] - now, v, i), event[0]
        if event[1] == _SAMPLE:
            seen[event[2]] = v
        elif event[1] == _INPUT:
            i = i + network.inputs[:, sources[event[2]]]
        else:
            spikes.append((now, first, float(i[first])))
            v[first] = 0.0
            i = i + network.weights[:, first]
        events.append(event)
        if len(spikes) > MOST_SPIKES:
            raise DataError("event network", f"more than {MOST_SPIKES} spikes", "fewer", "smaller weights")
    when, who, drives = (np.array([s[k] for s in spikes]) for k in range(3))
    return Trajectory(when, who.astype(np.int64), drives, seen, tuple(events), np.asarray(sources, np.int64))


def _check(
    network: EventNetwork,
    times: Sequence[float],
    sources: Sequence[int],
    end: float,
    samples: Sequence[float],
) -> None:
    every = np.array([*times, *samples], np.float64)
    if not 0 < end < np.inf or not bool(((every >= 0) & (every <= end)).all()):
        raise DataError("event network: times", f"some outside 0 to {end}", "all from 0 to a finite end")
    if len(times) != len(sources) or any(not 0 <= s < network.inputs.shape[1] for s in sources):
        raise DataError(
            "event network: sources", "other ones", f"one for each time, 0 to {network.inputs.shape[1] - 1}"
        )


@dataclass(frozen=True, eq=False)
class Gradient:
    """dL/dW of both kinds of weights, dL/dt of the spikes that entered; and the neurons that are silent: of
    the weights that lead to them a loss on spikes says nothing.
    """

    inputs: Array
    weights: Array
    times: Array
    silent: tuple[int, ...]
    warnings: tuple[str, ...]


def gradient(
    network: EventNetwork, run: Trajectory, by_times: Array, by_membranes: Array | None = None
) -> Gradient:
    """The exact gradient of a loss on times of spikes and on membranes, while no spike comes or goes.

    Parameters
    ----------
    by_times : dL/dt of each spike ``(S,)``.
    by_membranes : dL/dV ``(K, N)`` at the times that were asked for.
    """
    n, taus = len(network.weights), (network.tau_m, network.tau_s)
    into, between, moved = (
        np.zeros_like(network.inputs, np.float64),
        np.zeros((n, n)),
        np.zeros(len(run.sources)),
    )
    by_v, by_i, now = np.zeros(n), np.zeros(n), run.events[-1][0] if run.events else 0.0
    for time, kind, k in reversed(run.events):
        # V at the end is exp(-t / tau_m) V + K(t) I, I there exp(-t / tau_s) I: each reaches back as it went
        reach, fast = network.after(now - time, np.zeros(n), np.ones(n))
        by_i = by_v * reach + by_i * fast
        by_v, now = by_v * np.exp((time - now) / network.tau_m), time
        later = by_i / taus[1] - by_v / taus[0]  # what a weight that arrives later changes
        if kind == _SAMPLE:
            by_v = by_v + (0.0 if by_membranes is None else by_membranes[k])
        elif kind == _INPUT:
            into[:, run.sources[k]] += by_i
            moved[k] = network.inputs[:, run.sources[k]] @ later
        else:
            neuron, drive = run.neurons[k], run.drives[k]
            between[:, neuron] += by_i
            cost = by_times[k] + network.weights[:, neuron] @ later
            by_v[neuron] = (by_v[neuron] * drive - network.tau_m * cost) / (drive - network.threshold)
    silent = tuple(int(m) for m in np.setdiff1d(np.arange(n), run.neurons))
    text = f"neurons {', '.join(map(str, silent[:8]))}{' and more' if len(silent) > 8 else ''} are silent"
    told = (f"{text}: the loss on spikes has no gradient by the weights that lead to them",) if silent else ()
    for each in told:
        warnings.warn(each, SpikeflowWarning, stacklevel=2)
    return Gradient(into, between, moved, silent, told)
