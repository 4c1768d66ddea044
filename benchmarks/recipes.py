"""Recipes on real data: candidates chosen on validation, all folds and seeds, each tested once.

python benchmarks/recipes.py fashion_mnist --data DIR --out FOLDER --device cuda
python benchmarks/recipes.py nmnist ecg_qtdb braille --data DIR --out FOLDER --processes 14 --seconds 440

For each fold the candidate of the best validation accuracy, at the first seed, is trained at the other seeds too,
and only then looks at the test split. Trainings are folders FOLDER/SET/CANDIDATE/fold_F_seed_S; one that was cut
off, or whose time ran out, goes on where it stopped when the command is given again. FOLDER/SET/summed.json counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jobs import Crew
from studies import STUDIES, Study

from spikeflow.files.write import replace_file

ROOT = Path(__file__).resolve().parent.parent
TRAINED, MEASURED = "trained.json", 100


@dataclass(frozen=True)
class Job:
    """One training of a study."""

    study: str
    candidate: str
    fold: int
    seed: int
    test: bool = False

    def folder(self, out: Path) -> Path:
        """Where it is written."""
        return out / self.study / self.candidate / f"fold_{self.fold}_seed_{self.seed}"

    def found(self, out: Path) -> dict[str, Any] | None:
        """What came of it; None where it has not ended, or has not been tested and is to be."""
        path = self.folder(out) / TRAINED
        held = json.loads(path.read_text()) if path.is_file() else None
        return held if held and (held["test"] is not None or not self.test) else None


def task_of(job: Job, data: str, device: str) -> Any:
    """The recipe with the candidate's keys, fold, seed and device in place."""
    from spikeflow.flows.recipe_file import Task
    from spikeflow.train.recipe import of_table

    study = STUDIES[job.study]
    table = tomllib.loads((ROOT / "examples/recipes" / f"{study.recipe}.toml").read_text())
    changes = {**study.candidates[job.candidate], "data.fold": job.fold, "data.folder": data}
    for key, value in {**changes, "training.seed": job.seed, "training.device": device}.items():
        inside, *names = table, *key.split(".")
        for name in names[:-1]:
            inside = inside.setdefault(name, {})
        inside[names[-1]] = value
    return of_table(Task, table)


def train_one(job: Job, out: Path, data: str, device: str) -> None:
    """Train, or go on; write what came of it."""
    import torch

    from spikeflow.flows.data import load
    from spikeflow.flows.train import train
    from spikeflow.ir import file
    from spikeflow.train.metric import work

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    task, folder, begin = task_of(job, data, device), job.folder(out), time.perf_counter()
    trained = train(task, folder, True, lambda row: print(row.to_text(), flush=True), job.test)
    batch = next(iter(load(task.data, job.seed).splits.valid.epoch(0)))  # type: ignore[union-attr]
    done = work(trained.fitted.net, batch.x[:, :MEASURED])
    found = {
        **trained.to_json(),
        "seconds_of_last_sitting": round(time.perf_counter() - begin, 1),
        "steps": task.data.steps,
        "spikes": done.spikes,
        "accumulates": done.accumulates,
        "multiply_accumulates": done.multiply_accumulates,
        "bytes": trained.path.stat().st_size,
        "digest": file.read(trained.path).graph.digest,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {device}",
    }
    replace_file(folder / TRAINED, (json.dumps(found, indent=1).encode(),))


def _chosen(name: str, study: Study, out: Path) -> dict[int, str]:
    """For each fold the candidate that validation likes best, the first of equals, where all have ended."""
    found: dict[int, str] = {}
    for fold in study.folds:
        scores = {
            candidate: Job(name, candidate, fold, study.seeds[0]).found(out) for candidate in study.candidates
        }
        if all(scores.values()):
            found[fold] = max(scores, key=lambda c: scores[c]["selection"]["accuracy"])  # type: ignore[index]
    return found


def _summed(name: str, study: Study, out: Path) -> dict[str, Any]:
    """All that has ended, counted."""
    chosen, grid = _chosen(name, study, out), {}
    for fold in study.folds:
        for candidate in study.candidates:
            held = Job(name, candidate, fold, study.seeds[0]).found(out)
            grid[f"{candidate}, fold {fold}"] = held and held["selection"]
    tested = list(_tested(name, study, chosen, out))
    seeds = {seed: _share([t for t in tested if t["seed"] == seed], study) for seed in study.seeds}
    whole = [value for value in seeds.values() if value is not None]
    return {
        "set": name,
        "recipe": study.recipe,
        "candidates": {name: dict(keys) for name, keys in study.candidates.items()},
        "validation at the first seed": grid,
        "chosen on validation": chosen,
        "test by seed, folds together": seeds,
        "test, mean and deviation over seeds": [float(np.mean(whole)), float(np.std(whole))]
        if whole
        else None,
        "trainings": tested,
    }


def _tested(name: str, study: Study, chosen: dict[int, str], out: Path) -> Iterator[dict[str, Any]]:
    for fold, candidate in chosen.items():
        for seed in study.seeds:
            if held := Job(name, candidate, fold, seed, True).found(out):
                yield {"fold": fold, "seed": seed, "candidate": candidate, **held}


def _share(tested: list[dict[str, Any]], study: Study) -> float | None:
    """Right of all that the folds test; None where a fold is missing. Fold -1 beside others is the network that is
    handed on, tested on its own.
    """
    counted = [fold for fold in study.folds if fold >= 0] or list(study.folds)
    parts = [t["test"] for t in tested if t["fold"] in counted]
    if len(parts) < len(counted):
        return None
    return sum(p["accuracy"] * p["samples"] for p in parts) / sum(p["samples"] for p in parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", choices=[*STUDIES, []], help="data sets")
    parser.add_argument(
        "--data", default=os.environ.get("SPIKEFLOW_DATA", ""), help="folder of the data sets"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="what has not ended then is left")
    parser.add_argument("--job", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        train_one(Job(**json.loads(args.job)), args.out, args.data, args.device)
        return
    until = time.monotonic() + args.seconds
    crew = Crew(__file__, args.out, ("--data", args.data, "--device", args.device), args.processes)
    for name in args.studies:
        study = STUDIES[name]
        crew.run(
            [Job(name, c, fold, study.seeds[0]) for fold in study.folds for c in study.candidates], until
        )
        chosen = _chosen(name, study, args.out)
        crew.run([Job(name, chosen[f], f, seed, True) for seed in study.seeds for f in chosen], until)
        text = json.dumps(_summed(name, study, args.out), indent=1)
        (args.out / name).mkdir(parents=True, exist_ok=True)
        replace_file(args.out / name / "summed.json", (f"{text}\n".encode(),))
        print(text)


if __name__ == "__main__":
    main()
