"""In which step a state became infinite or no number: known only by running its sample once more.

A run looks at states when it ends. Where it finds such values, and only there, the sample is run again alone,
its state recorded, until they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from math import prod
from typing import Protocol

import numpy as np

from spikeflow.errors import NotEnoughMemory
from spikeflow.ir.graph import Graph
from spikeflow.sim.inputs import RunInput, between, one_sample
from spikeflow.sim.records import recordable
from spikeflow.sim.remembered import Remembered
from spikeflow.sim.result import Result
from spikeflow.sim.state import State, initial

RECORDED = 1 << 18  # values that are recorded at once


class _Live(Protocol):
    def advance(self, inputs: Mapping[str, RunInput], steps: int, record: tuple[str, ...] = ()) -> Result: ...


class Runner(Protocol):
    """What an engine has to offer: its graph, and runs that begin from a state."""

    graph: Graph
    layout: Remembered

    def begin(self, state: State) -> _Live: ...


def with_first_steps(
    runner: Runner, result: Result, inputs: Mapping[str, RunInput], state: State | None, alone: bool = True
) -> Result:
    """The result of a run of these inputs from this state, its `unbounded` with the steps.

    What memory has no room for is not looked for; but where other processes look for it too, they would wait
    for this one: then it raises NotEnoughMemory.
    """
    if not result.unbounded:
        return result
    steps: dict[str, int] = {}
    for sample in {u.sample for u in result.unbounded}:
        start = initial(runner.graph, runner.layout, 1) if state is None else state[sample : sample + 1]
        if state is None:
            start = replace(start, sample=np.array([sample]))
        names = [u.name for u in result.unbounded if u.sample == sample]
        of_one = {name: one_sample(x, sample) for name, x in inputs.items()}
        try:
            for name, step in _steps(runner, of_one, result.steps, start, names):
                steps[name] = step
        except NotEnoughMemory:
            if not alone:
                raise
    found = (replace(u, step=steps.get(u.name, u.step)) for u in result.unbounded)
    return replace(result, unbounded=tuple(found))


def _steps(
    runner: Runner, inputs: Mapping[str, RunInput], steps: int, start: State, names: Iterable[str]
) -> Iterator[tuple[str, int]]:
    """For each state the first step that is looked for."""
    known = recordable(runner.graph)
    missing = [name for name in names if known.get(name) is not None]  # a node may bear a state's name
    size = sum(prod(runner.graph.shapes[known[name].node]) for name in missing)  # type: ignore[union-attr]
    piece = max(1, min(steps, RECORDED // max(size, 1)))
    live = runner.begin(start)
    for first in count(0, piece):
        last = min(first + piece, steps)
        if not missing or first == last:
            break
        now = {name: between(x, first, last) for name, x in inputs.items()}
        recorded = live.advance(now, last - first, tuple(missing)).recorded
        for name in tuple(missing):
            bad = ~np.isfinite(recorded[name].reshape(last - first, -1)).all(axis=1)
            if bad.any():
                missing.remove(name)
                yield name, first + int(bad.argmax())
