"""One training of the two-point claim: what it is called, what it does, and the file that it leaves.

A run is told by its name alone, and gives the same result whenever it is repeated on machines of one kind.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from claim.arms import ARMS, HIDDEN, Size, network, parameters
from claim.tasks import Shifted, Task, prepared

from spikeflow.errors import SpikeflowWarning
from spikeflow.files.write import replace_file
from spikeflow.neurons import surrogate
from spikeflow.train.batches import Splits
from spikeflow.train.inside import neurons
from spikeflow.train.loop import fit
from spikeflow.train.recipe import Loss, Optimiser, Recipe, Schedule

VERSION = 1  # of all that a run does; files of another one are made again
GRID_SEED = 1000


@dataclass(frozen=True)
class Cell:
    """A cell of the grid: step size of Adam, gain of what comes back, surrogate."""

    rate: float
    gain: float
    surrogate: str


# the arc tangent lets gradients of recurrence that is added explode; a low triangle (Bellec et al. 2018) does not
SURROGATES = {"triangle 0.3": surrogate.Triangle(height=0.3)}
# In a first grid, on the speaker who selects for george, the arc tangent did worse than the triangle in each of seven
# pairs of cells (by 2 to 21 points), and a step size of 3e-3 worse than 1e-2 in each of six (4 to 14), for the gate and
# for recurrence that is added alike.
GRID = tuple(Cell(*cell) for cell in product((1e-2, 3e-2), (1.0, 3.0), SURROGATES))


@dataclass(frozen=True)
class Run:
    """A training.

    Parameters
    ----------
    fold : test speaker, or ``test`` where the task has one split.
    kind : ``grid``: trained without the speaker who selects, measured on him; ``test``: trained with him, in
        the cell that did best there, measured once on the test speaker.
    cell : of the grid.
    seed : of weights and batches; that of a grid's run is `GRID_SEED` and its cell.
    """

    task: str
    fold: str
    arm: str
    kind: str
    cell: int
    seed: int

    @property
    def name(self) -> str:
        """Of the run, and of its file."""
        number = self.cell if self.kind == "grid" else self.seed
        return f"{self.task}-{self.fold}-{self.arm.replace(' ', '_')}-{self.kind}{number}"


@dataclass(frozen=True)
class Place:
    """Where data come from, and where runs are kept; `machine` and `commit` stand in every run."""

    data: Path
    runs: Path
    machine: str
    commit: str

    def path(self, run: Run) -> Path:
        return self.runs / f"{run.name}.json"

    def task(self, name: str) -> Task:
        """The task, encoded once for all processes."""
        return _task(name, self.data, self.runs)

    def held(self, run: Run) -> dict[str, Any] | None:
        """What a finished run found; None where it has to be made, also for other data, version or cell."""
        path = self.path(run)
        found = json.loads(path.read_text()) if path.exists() else None
        return found if found and found["made"] == self.made(run) else None

    def made(self, run: Run) -> dict[str, Any]:
        """All that a result depends on."""
        task = self.task(run.task)
        training = {name: getattr(task, name) for name in ("epochs", "batch_size", "shift")}
        return {
            "run": asdict(run),
            **asdict(GRID[run.cell]),
            **training,
            "data": task.digest,
            "version": VERSION,
        }


@cache
def _task(name: str, data: Path, runs: Path) -> Task:
    return prepared(name, data, runs)


def made(run: Run, place: Place) -> dict[str, Any]:
    """Train, measure, write the run's file whole; what it holds."""
    began, task = time.perf_counter(), place.task(run.task)
    told = {"made": place.made(run), **measured(run, task, GRID[run.cell])}
    told |= {
        "seconds": round(time.perf_counter() - began, 2),
        "machine": place.machine,
        "commit": place.commit,
    }
    replace_file(place.path(run), (json.dumps(told).encode(),))
    return told


def measured(run: Run, task: Task, cell: Cell) -> dict[str, Any]:
    """Accuracy and spikes of the last epoch's network on the samples that select, or on those of the test."""
    rows = task.rows(run.fold)
    learn = rows["train"] if run.kind == "grid" else np.concatenate([rows["train"], rows["valid"]])
    seen = Shifted(task, learn, run.seed, train=True)
    unseen = Shifted(task, rows["valid" if run.kind == "grid" else "test"], run.seed, train=False)
    net = network(run.arm, Size(task.inputs, task.classes), cell.gain, SURROGATES[cell.surrogate], run.seed)
    with warnings.catch_warnings():
        if ARMS[run.arm].isolated:
            warnings.filterwarnings("ignore", ".*no gradient reached", SpikeflowWarning)
        found = fit(net, Splits(seen, None, unseen), recipe(task, cell, run.seed))
    assert found.test is not None
    return {
        "accuracy": found.test.accuracy,
        "loss": found.test.loss,
        "samples": found.test.samples,
        "train_accuracy": found.history[-1].train_accuracy,
        "gradient_norm": max(row.gradient_norm for row in found.history),
        "spikes": spikes(found.net, unseen),
        "parameters": parameters(net),
        "kernel": neurons(net)[HIDDEN].kernel,
    }


def recipe(task: Task, cell: Cell, seed: int) -> Recipe:
    """Adam, one cycle, cross-entropy on the mean of the read-out; gradients are clipped at norm 1 in all arms."""
    return Recipe(
        epochs=task.epochs,
        seed=seed,
        loss=Loss(reading="mean"),
        optimiser=Optimiser(rate=cell.rate, clip=1.0),
        schedule=Schedule("one_cycle"),
    )


@torch.no_grad()
def spikes(net: Any, batches: Shifted) -> float:
    """Spikes of the hidden layer in a sample, on average."""
    total = 0.0
    for batch in batches.epoch(0):
        total += float(net(batch.x, record=(HIDDEN,))[0][HIDDEN].sum())
    return total / len(batches.labels)


def chosen(task: str, fold: str, arm: str, found: Mapping[str, Mapping[str, Any]]) -> int:
    """The cell of most right answers on the samples that select, among equal ones that of the lowest loss."""
    runs = [found[run.name] for run in grid(task, fold, arm)]
    return max(range(len(GRID)), key=lambda cell: (runs[cell]["accuracy"], -runs[cell]["loss"]))


def grid(task: str, fold: str, arm: str) -> list[Run]:
    """All cells."""
    return [Run(task, fold, arm, "grid", cell, GRID_SEED + cell) for cell in range(len(GRID))]
