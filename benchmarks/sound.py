"""Recipes on sound: candidates chosen on validation for each fold, then trained as the split says, each tested once.

python benchmarks/sound.py spoken_digits keywords --data DIR --out FOLDER --processes 7 --seconds 440

Spoken digits: the test speaker is out; of the other four the one who follows in the alphabet chooses the candidate, then
all four train it (its last epoch is kept). The candidate of the best mean over folds is trained on the official training
recordings of all speakers, too. Keywords: five folds by position; the selected epoch is tested.
Trainings are folders FOLDER/SET/CANDIDATE_fold_F[_whole]; what was cut off goes on when the command is given again.
FOLDER/SET/summed.json counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jobs import Crew

from spikeflow.files.write import replace_file

ROOT = Path(__file__).resolve().parent.parent
DONE, MEASURED = "trained.json", 100
FOLDS = range(5)
VARIED: dict[str, dict[str, dict[str, Any]]] = {
    "spoken_digits": {
        "base": {},
        "plain": {"data.hearing.variants": 1},
        "coarse": {"data.hearing.variants": 1, "data.hearing.ear": {"threshold": 0.5}},
        "wide": {"network.hidden": [256], "network.dropout": 0.4},
    },
    "keywords": {
        "base": {},
        "wide": {"network.hidden": [256]},
        "recurrent": {
            "network.kind": "recurrent",
            "network.neuron": "LIF",
            "network.parameters": {"decay": 0.82},
            "network.learn": ["decay"],
            "network.bounds": {"decay": [0.0, 0.995]},
        },
    },
}
RECIPES = {"spoken_digits": "spoken_digits_two_point", "keywords": "keywords"}
WHOLE = ("spoken_digits",)  # once chosen, the samples that selected train, too


@dataclass(frozen=True)
class Job:
    """One training."""

    study: str
    candidate: str
    fold: int
    seed: int = 0
    whole: bool = False

    def folder(self, out: Path) -> Path:
        """Where it is written."""
        words = f"{self.candidate}_fold_{self.fold}_seed_{self.seed}" + ("_whole" if self.whole else "")
        return out / self.study / words

    def found(self, out: Path) -> dict[str, Any] | None:
        """What came of it, where it has ended."""
        path = self.folder(out) / DONE
        return json.loads(path.read_text()) if path.is_file() else None

    def task(self, data: str) -> Any:
        """The recipe with the candidate's keys in place."""
        from spikeflow.flows.recipe_file import Task
        from spikeflow.train.recipe import of_table

        table = tomllib.loads((ROOT / "examples/recipes" / f"{RECIPES[self.study]}.toml").read_text())
        more = {"data.fold": self.fold, "data.folder": data, "training.seed": self.seed}
        whole = {"data.whole": True} if self.whole else {}
        for key, value in {**VARIED[self.study][self.candidate], **more, **whole}.items():
            inside, *names = table, *key.split(".")
            for name in names[:-1]:
                inside = inside.setdefault(name, {})
            inside[names[-1]] = value
        return of_table(Task, table)


def train_one(job: Job, out: Path, data: str) -> None:
    """Train, or go on; write what came of it."""
    import torch

    from spikeflow.flows.data import load
    from spikeflow.flows.train import train
    from spikeflow.train.metric import work

    torch.set_num_threads(1)
    task, folder, begin = job.task(data), job.folder(out), time.perf_counter()
    tests = job.whole or job.study not in WHOLE
    trained = train(task, folder, True, lambda row: print(row.to_text(), flush=True), tests)
    few = replace(task.data, limit=MEASURED, hearing=replace(task.data.hearing, variants=1))
    splits = load(few, job.seed).splits
    batch = next(iter((splits.valid or splits.test or splits.train).epoch(0)))
    done = work(trained.fitted.net, batch.x[:, :MEASURED])
    found = {
        **trained.to_json(),
        "seconds of the last sitting": round(time.perf_counter() - begin, 1),
        "steps": task.data.steps,
        "spikes": done.spikes,
        "accumulates": done.accumulates,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, 1 thread",
    }
    replace_file(folder / DONE, (json.dumps(found, indent=1).encode(),))


def _grid(study: str, out: Path) -> dict[str, list[float | None]]:
    """The validation accuracy of each candidate in each fold; None where it has not ended."""
    found: dict[str, list[float | None]] = {}
    for candidate in VARIED[study]:
        ended = [Job(study, candidate, fold).found(out) for fold in FOLDS]
        found[candidate] = [None if e is None else float(e["selection"]["accuracy"]) for e in ended]
    return found


def _chosen(grid: dict[str, list[float | None]]) -> tuple[dict[int, str], str]:
    """For each fold the best candidate of those that ended in all folds, the first of equals; and over all."""
    whole = {name: [s for s in scores if s is not None] for name, scores in grid.items()}
    whole = {name: scores for name, scores in whole.items() if len(scores) == len(FOLDS)}
    if not whole:
        return {}, ""
    each = {fold: max(whole, key=lambda c: whole[c][fold]) for fold in FOLDS}
    return each, max(whole, key=lambda c: float(np.mean(whole[c])))


def study(name: str, args: argparse.Namespace, begin: float) -> None:
    """All trainings of a study that time allows, counted."""
    until = begin + args.seconds
    part = begin + args.seconds * 0.6 if name in WHOLE else until
    crew = Crew(__file__, args.out, ("--data", args.data), args.processes, threads=1)
    crew.run([Job(name, c, fold) for c in VARIED[name] for fold in FOLDS], part)
    grid = _grid(name, args.out)
    chosen, best = _chosen(grid)
    finals = [Job(name, c, fold, seed, name in WHOLE) for seed in args.seeds for fold, c in chosen.items()]
    official = [Job(name, best, -1, 0, True)] if best and name in WHOLE else []
    crew.run([*finals[:5], *official, *finals[5:]], until)
    ended = [(job, job.found(args.out)) for job in [*finals, *official]]
    tested = [{**vars(job), **held} for job, held in ended if held]
    shares = {
        seed: [t["test"]["accuracy"] for t in tested if t["seed"] == seed and t["fold"] >= 0]
        for seed in args.seeds
    }
    summed = {
        "set": name,
        "candidates": VARIED[name],
        "validation by fold": grid,
        "chosen": chosen,
        "chosen over all folds": best,
        "test by fold": shares,
        "mean of folds": {seed: float(np.mean(s)) for seed, s in shares.items() if len(s) == len(FOLDS)},
        "trainings": tested,
    }
    (args.out / name).mkdir(parents=True, exist_ok=True)
    replace_file(args.out / name / "summed.json", (f"{json.dumps(summed, indent=1)}\n".encode(),))
    print(json.dumps({k: v for k, v in summed.items() if k not in ("trainings", "candidates")}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", choices=[*VARIED, []], help="data sets")
    parser.add_argument(
        "--data", default=os.environ.get("SPIKEFLOW_DATA", ""), help="folder of the data sets"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the trainings that are tested")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="what has not ended then is left")
    parser.add_argument("--job", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        train_one(Job(**json.loads(args.job)), args.out, args.data)
        return
    begin = time.monotonic()
    for name in args.studies:
        study(name, args, begin)


if __name__ == "__main__":
    main()
