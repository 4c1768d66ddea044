"""What a run in event time found, and how far a run in steps lies from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from spikeflow.errors import DataError
from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.sim.engine import Engine
from spikeflow.sim.inputs import Constant, RunInput
from spikeflow.typing import Array

WITHIN_STEPS = 2.0


@dataclass(frozen=True, eq=False)
class Moments:
    """Spikes in continuous time, in order of time, then neuron.

    Parameters
    ----------
    steps : when, in steps of the graph, float64.
    neuron : C-order index, int64.
    """

    steps: Array
    neuron: Array

    @staticmethod
    def sorted(steps: Any, neuron: Any) -> Moments:
        """From columns in any order."""
        when, who = np.asarray(steps, np.float64), np.asarray(neuron, np.int64)
        order = np.lexsort((who, when))
        return Moments(when[order], who[order])

    @property
    def count(self) -> int:
        """How many."""
        return len(self.steps)


@dataclass(frozen=True)
class Difference:
    """A run in steps beside the exact one, of one population or of several.

    Parameters
    ----------
    matched : spikes of the exact run that have one of the same neuron in the run in steps.
    missing, extra : those that have none there, and those there that have none here.
    largest_s : the largest distance in time of two that match.
    within_s : up to which distance spikes were matched.
    """

    matched: int
    missing: int
    extra: int
    largest_s: float
    within_s: float

    def __str__(self) -> str:
        return (
            f"{self.matched} spikes matched within {self.within_s:g} s, {self.missing} missing, "
            f"{self.extra} extra; largest difference {self.largest_s:.4g} s"
        )


@dataclass(frozen=True, eq=False)
class EventRun:
    """What a run in event time gives.

    Parameters
    ----------
    graph, end_s : what was run, and until when.
    entered, currents : what came in.
    spikes : of each population.
    flowing : populations whose membrane moves between arrivals.
    """

    graph: Graph
    end_s: float
    entered: Mapping[str, Moments]
    currents: Mapping[str, Array]
    spikes: Mapping[str, Moments]
    flowing: frozenset[str]

    def times_s(self, name: str, neuron: int | None = None) -> Array:
        """When a population's spikes came, or those of one of its neurons, in seconds."""
        found = self.spikes[name]
        kept = slice(None) if neuron is None else found.neuron == neuron
        return found.steps[kept] * self.graph.dt

    def differences(self, within_s: float | None = None) -> dict[str, Difference]:
        """A run of the graph in steps beside this one, by population.

        A spike that enters at a time comes in the step in which that lies. A membrane that moves between
        arrivals stands, behind a step, for the moment at its end, another one for that at its beginning.

        Parameters
        ----------
        within_s : up to which distance spikes of a neuron are the same one; two steps where nothing is said.

        Raises
        ------
        DataError
            For a distance that is none.
        """
        within = WITHIN_STEPS if within_s is None else within_s / self.graph.dt
        if not 0 <= within < np.inf:
            raise DataError("within_s", within_s, "a number of seconds, 0 or more")
        steps = max(1, ceil(self.end_s / self.graph.dt))
        inputs: dict[str, RunInput] = {
            n: _stepped(m, self.graph.shapes[n], steps) for n, m in self.entered.items()
        }
        for name, flow in self.currents.items():
            inputs[name] = Constant(flow.reshape(1, *self.graph.shapes[name]).astype(np.float32))
        run = Engine(self.graph)(inputs, steps, tuple(self.spikes), keep_state=False)
        found = dict[str, Difference]()
        for name, exact in self.spikes.items():
            told = run.recorded[name]
            when = told.step.astype(np.float64) + (name in self.flowing)
            found[name] = _compared(exact, Moments.sorted(when, told.neuron), within, self.graph.dt)
        return found

    def difference(self, within_s: float | None = None) -> Difference:
        """The same of all populations together."""
        parts = list(self.differences(within_s).values())
        matched, missing, extra = (sum(getattr(p, n) for p in parts) for n in ("matched", "missing", "extra"))
        largest = max((part.largest_s for part in parts), default=0.0)
        return Difference(matched, missing, extra, largest, parts[0].within_s if parts else 0.0)


def _stepped(entered: Moments, shape: tuple[int, ...], steps: int) -> Spikes:
    """Spikes of the steps in which moments lie; several of a neuron in one step are one of that value."""
    step = np.floor(entered.steps).astype(np.int64)
    kept = step < steps
    places, count = np.unique(np.stack([step[kept], entered.neuron[kept]]), axis=1, return_counts=True)
    columns = (np.zeros(len(count), np.int32), places[0].astype(np.int32), places[1].astype(np.int32))
    return Spikes(*columns, count.astype(np.float32), 1, steps, shape)


def _compared(exact: Moments, stepped: Moments, within: float, dt: float) -> Difference:
    matched, largest = 0, 0.0
    for neuron in np.intersect1d(exact.neuron, stepped.neuron):
        distances = _pairs(
            exact.steps[exact.neuron == neuron], stepped.steps[stepped.neuron == neuron], within
        )
        matched += len(distances)
        largest = max(largest, max(distances, default=0.0))
    return Difference(matched, exact.count - matched, stepped.count - matched, largest * dt, within * dt)


def _pairs(a: Array, b: Array, within: float) -> list[float]:
    """The distances of two rising rows of times matched one to one in order, as long as they are near."""
    i, j, found = 0, 0, list[float]()
    while i < len(a) and j < len(b):
        distance = float(b[j] - a[i])
        if abs(distance) <= within:
            found.append(abs(distance))
            i, j = i + 1, j + 1
        elif distance > 0:
            i += 1
        else:
            j += 1
    return found
