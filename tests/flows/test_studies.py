"""`benchmarks/recipes.py`: every candidate is a whole recipe; choice by validation alone, folds and seeds counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import recipes  # noqa: E402
from studies import STUDIES, Study  # noqa: E402

from spikeflow.flows.networks import network  # noqa: E402

SHAPES = {
    "digits": (1, 8, 8),
    "fashion_mnist": (1, 28, 28),
    "nmnist": (2, 34, 34),
    "ecg_qtdb": (4,),
    "braille": (2, 1, 12),
}
CASES = [(name, candidate) for name, study in STUDIES.items() for candidate in study.candidates]


@pytest.mark.parametrize(("name", "candidate"), CASES)
def test_every_candidate_is_a_whole_recipe(name: str, candidate: str) -> None:
    task = recipes.task_of(recipes.Job(name, candidate, STUDIES[name].folds[0], 3), "folder", "cpu")
    assert task.training.seed == 3 and task.data.folder == "folder" and task.data.set == name
    net = network(task.network, SHAPES[name], 10)
    assert 4 * sum(p.numel() for p in net.parameters()) < 1.5e6


def _ended(out: Path, job: recipes.Job, valid: float, test: float | None, samples: int = 100) -> None:
    folder = job.folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    tested = None if test is None else {"accuracy": test, "samples": samples}
    held = {"selection": {"epoch": 1, "accuracy": valid}, "test": tested}
    (folder / "trained.json").write_text(json.dumps(held))


def test_validation_chooses_for_each_fold_and_the_test_is_counted_by_samples(tmp_path: Path) -> None:
    study = Study("none", folds=(0, 1, -1), seeds=(4, 5), candidates={"a": {}, "b": {}})
    for fold, (a, b) in enumerate(((0.9, 0.8), (0.7, 0.75))):
        _ended(tmp_path, recipes.Job("s", "a", fold, 4), a, None)
        _ended(tmp_path, recipes.Job("s", "b", fold, 4), b, None)
    # the best on the test part was not chosen, and is not counted
    _ended(tmp_path, recipes.Job("s", "b", 0, 4), 0.8, 1.0)
    assert recipes._chosen("s", study, tmp_path) == {0: "a", 1: "b"}
    found = recipes._summed("s", study, tmp_path)
    assert found["test by seed, folds together"] == {4: None, 5: None}
    _ended(tmp_path, recipes.Job("s", "a", 0, 4), 0.9, 0.5, 300)
    _ended(tmp_path, recipes.Job("s", "b", 1, 4), 0.75, 0.9, 100)
    found = recipes._summed("s", study, tmp_path)
    assert found["test by seed, folds together"] == {4: pytest.approx(0.6), 5: None}
    assert found["chosen on validation"] == {0: "a", 1: "b"} and len(found["trainings"]) == 2


def test_a_run_out_of_time_goes_on_when_it_is_given_again(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "recipes.py"), "digits", "--out", str(tmp_path)]
    subprocess.run([*command, "--seconds", "1"], check=True, capture_output=True)
    cut = json.loads((tmp_path / "digits/summed.json").read_text())
    assert cut["trainings"] == [] and cut["chosen on validation"] == {}
    # as the command would go on, one training of two epochs
    study = Study("digits_lif", seeds=(0,), candidates={"recipe": {"training.epochs": 2, "data.limit": 200}})
    monkey = pytest.MonkeyPatch()
    monkey.setitem(STUDIES, "digits", study)
    job = recipes.Job("digits", "recipe", -1, 0)
    recipes.train_one(job, tmp_path, "", "cpu")
    assert job.found(tmp_path) and job.found(tmp_path)["test"] is None  # type: ignore[index]
    recipes.train_one(recipes.Job("digits", "recipe", -1, 0, True), tmp_path, "", "cpu")
    found = recipes._summed("digits", study, tmp_path)
    monkey.undo()
    assert found["test by seed, folds together"][0] == found["trainings"][0]["test"]["accuracy"]
    assert found["trainings"][0]["spikes"] > 0
