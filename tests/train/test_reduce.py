"""Fewer steps, one at a time: what is carried over, who sees the test, resumed bit for bit, wrong numbers by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spikeflow.errors import DataError, FileError
from spikeflow.flows import recipe_file
from spikeflow.flows.train import train
from spikeflow.ir import file
from spikeflow.train.batches import Arrays, Coding, Splits
from spikeflow.train.loop import Session, fit
from spikeflow.train.recipe import Optimiser, Recipe, Weights
from spikeflow.train.reduce import fit_reduced
from tests.train.digits import network, splits


def at(steps: int) -> Splits:
    """Digits in so many steps."""
    parts = splits(100)
    held = [getattr(parts, name) for name in ("train", "valid", "test")]
    return Splits(*(Arrays(p.x, p.y, Coding("direct", steps), p.batch_size, p.seed, p.shuffle) for p in held))


def test_each_stage_starts_with_the_weights_that_the_last_one_selected() -> None:
    """As three trainings one after the other, of one network; the epochs are shared out."""
    seen: list[int] = []

    def counted(steps: int) -> Splits:
        seen.append(steps)
        return at(steps)

    recipe = Recipe(epochs=7, optimiser=Optimiser(rate=1e-2))
    stages = fit_reduced(network(), counted, recipe, (3, 2, 1))
    assert seen == [3, 2, 1] and [(s.steps, s.epochs, len(s.fitted.history)) for s in stages] == [
        (3, 3, 3), (2, 2, 2), (1, 2, 2)
    ]  # fmt: skip
    net = network()
    for steps, epochs in ((3, 3), (2, 2), (1, 2)):
        last = fit(net, at(steps), replace(recipe, epochs=epochs))
    for name, value in last.net.state_dict().items():
        assert torch.equal(value, stages[-1].fitted.net.state_dict()[name]), name
    assert [s.fitted.test is None for s in stages[:-1]] == [True, True] and last.test == stages[-1].fitted.test


def test_a_broken_one_goes_on_and_the_test_is_for_the_last_stage(tmp_path: Path) -> None:
    """Broken in the first, the second and the last stage; ended as without a break, bit for bit."""
    recipe = Recipe(epochs=6, optimiser=Optimiser(rate=1e-2))
    whole = fit_reduced(network(), at, recipe, (3, 2, 1), Session(tmp_path / "whole"))
    assert [s.fitted.test is None for s in whole] == [True, True, False]
    for after in (1, 2, 2):
        told: list[object] = []

        def broken(epoch: object, told: list[object] = told, after: int = after) -> None:
            told.append(epoch)
            if len(told) == after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit_reduced(network(), at, recipe, (3, 2, 1), Session(tmp_path / "broken", resume=True, tell=broken))
    fit_reduced(network(), at, recipe, (3, 2, 1), Session(tmp_path / "broken", resume=True))
    for name in ("last.checkpoint", "record.json", "steps_3/best.checkpoint", "steps_2/last.checkpoint"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    record = json.loads((tmp_path / "whole/record.json").read_text())
    assert record["steps"] == 1 and [r["steps"] for r in record["reduced_from"]] == [3, 2]
    with pytest.raises(FileError, match=r"another training .data, reduced_from: \[3\] in the file, \[\] here"):
        fit_reduced(network(), at, replace(recipe, epochs=4), (2, 1), Session(tmp_path / "whole", resume=True))


def test_wrong_numbers_by_name() -> None:
    for steps in ((), (1, 2), (2, 2), (2, 0)):
        with pytest.raises(DataError, match="numbers that fall"):
            fit_reduced(network(), at, Recipe(), steps)
    with pytest.raises(DataError, match="one at least for each of 3 stages"):
        fit_reduced(network(), at, Recipe(epochs=2), (3, 2, 1))
    with pytest.raises(DataError, match="where steps are reduced"):
        fit_reduced(network(), at, Recipe(weights=Weights(quantise_bits=4)), (2, 1))


def test_by_a_recipe(tmp_path: Path) -> None:
    text = (
        '[data]\nset = "digits"\nsteps = 1\nlimit = 200\n[network]\nhidden = [24]\nlearn = ["decay", "threshold"]\n'
        "[reduce]\nfirst = {first}\n[training]\nepochs = 3\noptimiser = {{rate = 1e-2}}\n"
    )
    (path := tmp_path / "a.toml").write_text(text.format(first=3))
    trained = train(recipe_file.read(path), tmp_path / "out")
    assert file.read(trained.path).record.steps == 1 and trained.same == 1.0
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert [(r["steps"], r["epochs"]) for r in record["reduced_from"]] == [(3, 1), (2, 1)]
    assert json.loads((tmp_path / "out/steps_3/record.json").read_text())["test"] is None
    path.write_text(text.format(first=2))
    with pytest.raises(FileError, match="another training"):
        train(recipe_file.read(path), tmp_path / "out", resume=True)
    for wrong, said in (("first = 1", "more than the 1 of data.steps"), ("first = -2", "reduce.first: got -2")):
        path.write_text(text.replace("first = {first}", wrong).replace("{{", "{").replace("}}", "}"))
        with pytest.raises(DataError, match=said):
            recipe_file.read(path)
