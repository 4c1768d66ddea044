"""Does context at the apical point help? Apical-gate recurrence against five controls, each tuned with the same grid.

    python benchmarks/two_point_claim.py --data FOLDER [--task digits braille] [--seeds 5] [--speakers NAME ...] [--jobs 2]

`claim/arms.py` has the networks: the gate, a recurrent LIF, the same low-passed recurrence added to the soma, added within
bounds, the gate at gain 0, the gate with another sample's spikes as context. For each test speaker and arm all cells of
the grid are trained without the speaker who follows in the alphabet, and the cell is chosen by him; then the arm is trained
with him too, once for each seed, and measured once on the test speaker, after the last epoch. Braille has one split:
repetitions 0-24 train, 25-27 select, 28-34 test.

Every finished training is one file in `--runs`, written whole; what is there is not done again, so a killed benchmark goes
on, and the files of several machines may be put together. `--jobs` processes run side by side, one thread each. At the end
`--out` holds all of it: accuracies, spikes, the grid with what was chosen, paired differences and their intervals.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from claim.arms import ARMS
from claim.paired import paired
from claim.runs import GRID, Place, Run, chosen, grid, made
from claim.tasks import TASKS, Task, prepared
from record import commit, machine

from spikeflow.files.write import replace_file

Found = dict[str, dict[str, Any]]
Map = Callable[[Callable[[Run], Any], Iterable[Run]], Iterable[Any]]
WANTED = {"recurrent": 0.05, "filtered": 0.03}  # by how much the gate is claimed to be better


def one_thread() -> None:
    """Of a process: results do not depend on how many run side by side."""
    torch.set_num_threads(1)


def complete(runs: list[Run], place: Place, mapped: Map) -> Found:
    """What all runs found; those that are missing are made."""
    missing = [run for run in runs if place.held(run) is None]
    for run, told in zip(missing, mapped(partial(made, place=place), missing), strict=True):
        print(
            f"{run.name}: {told['accuracy']:.3f}, {told['spikes']:.0f} spikes, {told['seconds']:.0f} s",
            flush=True,
        )
    found = {run.name: place.held(run) for run in runs}
    return {name: told for name, told in found.items() if told is not None}


def measured(task: Task, folds: tuple[str, ...], seeds: int, place: Place, mapped: Map) -> dict[str, Any]:
    """All runs of a task, first the grid, then seed by seed; and what they come to."""
    pairs = [(fold, arm) for fold in folds for arm in ARMS]
    tuned = complete([run for fold, arm in pairs for run in grid(task.name, fold, arm)], place, mapped)
    cells = {pair: chosen(task.name, *pair, tuned) for pair in pairs}
    runs = {
        (fold, arm, seed): Run(task.name, fold, arm, "test", cells[fold, arm], seed)
        for seed in range(1, seeds + 1)
        for fold, arm in pairs
    }
    tested = complete(list(runs.values()), place, mapped)
    table = {
        arm: [[tested[runs[fold, arm, seed].name] for seed in range(1, seeds + 1)] for fold in folds]
        for arm in ARMS
    }
    return {
        "data": {"digest": task.digest, "shape": list(task.x.shape), "classes": task.classes},
        "splits": {fold: {split: len(rows) for split, rows in task.rows(fold).items()} for fold in folds},
        "arms": {arm: summary(rows) for arm, rows in table.items()},
        "gate against": {
            arm: against(table["gate"], rows, arm) for arm, rows in table.items() if arm != "gate"
        },
        "grid": {
            fold: {arm: tuning(task.name, fold, arm, tuned, cells[fold, arm]) for arm in ARMS}
            for fold in folds
        },
        "made by": makers([*tuned.values(), *tested.values()]),
    }


def values(rows: list[list[dict[str, Any]]], key: str) -> np.ndarray:
    """One number of every run, ``(folds, seeds)``."""
    return np.array([[told[key] for told in row] for row in rows], float)


def summary(rows: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """An arm's results by fold and seed."""
    accuracy, spikes = values(rows, "accuracy"), values(rows, "spikes")
    return {
        "accuracy": float(accuracy.mean()),
        "spikes_a_sample": float(spikes.mean()),
        "parameters": rows[0][0]["parameters"],
        "kernel": rows[0][0]["kernel"],
        "accuracy_by_fold_and_seed": accuracy.tolist(),
        "train_accuracy": float(values(rows, "train_accuracy").mean()),
        "largest_gradient_norm": float(values(rows, "gradient_norm").max()),
        "seconds": float(values(rows, "seconds").mean()),
    }


def against(gate: list[list[dict[str, Any]]], other: list[list[dict[str, Any]]], arm: str) -> dict[str, Any]:
    """The gate against another arm; `holds` says whether what was claimed is so."""
    found = paired(values(gate, "accuracy"), values(other, "accuracy"))
    found["spikes_over_theirs"] = float(values(gate, "spikes").mean() / values(other, "spikes").mean())
    if arm in WANTED:
        found["claimed"] = WANTED[arm]
        found["holds"] = found["mean"] >= WANTED[arm] and found["spikes_over_theirs"] <= 1
    return found


def tuning(task: str, fold: str, arm: str, tuned: Found, cell: int) -> dict[str, Any]:
    """Accuracy of each cell on the samples that select, in the order of the grid, and the chosen one."""
    return {
        "chosen": asdict(GRID[cell]),
        "accuracies": [tuned[run.name]["accuracy"] for run in grid(task, fold, arm)],
    }


def makers(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which machine and commit made how many of the runs."""
    seen = [(told["machine"], told["commit"]) for told in found]
    return [{"machine": m, "commit": c, "runs": seen.count((m, c))} for m, c in sorted(set(seen))]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder that holds fsdd and braille")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--speakers", nargs="+", default=[], help="test speakers; all where none is named")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--runs", default="long/two_point_claim", help="folder of the finished trainings")
    parser.add_argument("--out", default=str(Path(__file__).parent / "records" / "two_point_claim.json"))
    parser.add_argument("--commit", default="", help="of the code, where there is no git")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    os.environ["OMP_NUM_THREADS"] = "1"
    here, code = machine(), given.commit or commit()
    place = Place(Path(given.data), Path(given.runs), f"{here['processor']}, torch {torch.__version__}", code)
    settings = {
        "kind": "two_point_claim",
        "grid": [asdict(cell) for cell in GRID],
        "seeds": given.seeds,
        "claimed": WANTED,
    }
    head = {"commit": code, "machine": here, "settings": settings}
    parts: dict[str, Any] = {}
    one_thread()
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn"), one_thread) as pool:
        for name in given.task:
            task = prepared(name, place.data, place.runs, pool.map)
            folds = tuple(given.speakers) if name == "digits" and given.speakers else task.folds
            parts[name] = measured(task, folds, given.seeds, place, pool.map)
            replace_file(given.out, ((json.dumps({**head, "parts": parts}, indent=1) + "\n").encode(),))
            print(json.dumps(parts[name]["gate against"], indent=1), flush=True)


if __name__ == "__main__":
    main()
