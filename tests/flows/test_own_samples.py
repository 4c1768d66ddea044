"""Samples of a user's own train by a recipe: tables, pictures, series and spikes; what cannot be is refused by name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import DataError, FileError, SpikeflowError, SpikeflowWarning
from spikeflow.flows import recipe_file
from spikeflow.flows.data import load
from spikeflow.flows.recipe_file import Data
from spikeflow.flows.train import Trained, train
from spikeflow.ir import file
from spikeflow.sim.classify import classify

RNG = np.random.default_rng(0)
Y = RNG.permutation(np.repeat([0, 1, 2], 40))
PICTURES = np.clip(RNG.normal(40, 30, (120, 2, 6, 5)) + 60.0 * Y[:, None, None, None], 0, 255).astype(np.uint8)
SERIES = RNG.normal(0, 0.3, (120, 6, 4)) + np.eye(4)[Y + 1][:, None]
SPIKES = (SERIES > 0.6).astype(np.uint8)


def table() -> Any:
    """Four features on scales that differ by 1e9; the last says nothing."""
    x = RNG.normal(0, 0.2, (120, 4))
    x[:, 0] += Y == 1
    x[:, 1] += Y == 2
    return x * [1e6, 1e-3, 5, 0] + [3e6, -4e-3, 0, 7]


def stored(folder: Path, name: str = "own.npz", **arrays: Any) -> str:
    np.savez(folder / name, **arrays)
    return str(folder / name)


def trained(folder: Path, data: str, network: str = "hidden = [24]") -> Trained:
    text = f'[data]\nset = "samples"\nbatch_size = 16\n{data}\n[network]\n{network}\n'
    (folder / "r.toml").write_text(text + "[training]\nepochs = 12\noptimiser = {rate = 2e-2}\n")
    return train(recipe_file.read(str(folder / "r.toml")), folder / "out")


KINDS = {
    "table": (table(), "steps = 4", "hidden = [24]"),
    "pictures": (PICTURES, "steps = 4", 'kind = "conv"\nchannels = [4]\nhidden = [16]'),
    "pictures as spikes": (PICTURES, 'steps = 8\ncoding = "rate"', "hidden = [24]"),
    "series": (SERIES, 'steps = 6\ncoding = "steps"', 'kind = "recurrent"\nhidden = [24]'),
    "spikes": (SPIKES, 'steps = 6\ncoding = "steps"', "hidden = [24]"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_trains_and_the_network_takes_samples_as_they_are(kind: str, tmp_path: Path) -> None:
    x, data, network = KINDS[kind]
    path, test = stored(tmp_path, x=x[:90], y=Y[:90]), stored(tmp_path, "test.npz", x=x[90:], y=Y[90:])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*bytes.*")
        done = trained(tmp_path, f"{data}\nfolder = '{path}'\ntest = '{test}'", network)
    assert done.fitted.test is not None and done.fitted.test.samples == 30
    assert done.fitted.test.accuracy > 0.8, "three classes that lie apart"
    found = classify(file.read(done.path), test)
    if kind != "pictures as spikes":  # those are drawn anew
        assert (found.predictions() == Y[90:]).mean() == pytest.approx(done.fitted.test.accuracy)


def test_without_a_test_file_a_fifth_is_drawn_and_never_trained(tmp_path: Path) -> None:
    path = stored(tmp_path, x=table(), y=Y.astype(np.float64))
    once, again, other = (load(Data("samples", path, steps=3), seed).splits for seed in (1, 1, 2))
    assert [len(part.labels) for part in (once.train, once.valid, once.test)] == [87, 9, 24]  # type: ignore[union-attr]
    assert once.train.shared(once.test) == once.train.shared(once.valid) == 0  # type: ignore[union-attr,arg-type]
    assert once.train.digest == again.train.digest != other.train.digest  # type: ignore[union-attr]
    brought = once.train.x  # type: ignore[union-attr]
    assert np.abs(brought[:, :3].std(0) - 1).max() < 0.2 and (brought[:, 3] == 0).all()


REFUSED = {
    "no file": ({}, {}, "a .npz file with x and y"),
    "no labels": ({"x": PICTURES}, {}, "no labels in"),
    "columns": ({"x": PICTURES, "y": np.eye(3)[Y]}, {}, r"y.argmax\(1\)"),
    "halves": ({"x": PICTURES, "y": Y + 0.5}, {}, "return_inverse"),
    "below 0": ({"x": PICTURES, "y": Y - 1}, {}, "whole numbers from 0 on"),
    "values for rates": ({"x": SERIES, "y": Y}, {"coding": "rate"}, 'coding = "direct"'),
    "other steps": ({"x": SERIES, "y": Y}, {"coding": "steps", "steps": 9}, "data.steps: got 9, expected 6"),
    "one channel": ({"x": SERIES[:, :, 0], "y": Y}, {"coding": "steps", "steps": 6}, r"x\[:, :, None\]"),
    "not finite": ({"x": np.where(SERIES > 1, np.nan, SERIES), "y": Y}, {}, "NaN"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_train_is_refused_by_name(what: str, tmp_path: Path) -> None:
    arrays, settings, said = REFUSED[what]
    path = stored(tmp_path, **arrays) if arrays else ""
    with pytest.raises(SpikeflowError, match=said):
        load(Data("samples", path, **settings), 0)


def test_a_test_of_another_shape_is_refused(tmp_path: Path) -> None:
    path, test = stored(tmp_path, x=SERIES, y=Y), stored(tmp_path, "t.npz", x=SERIES[:, 1:], y=Y)
    with pytest.raises(DataError, match=r"data.test: got samples of \(5, 4\), expected \(6, 4\)"):
        load(Data("samples", path, test=test), 0)
    with pytest.raises(FileError, match="no such file"):
        load(Data("samples", path, test=test + "x"), 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"set": "digits", "test": "t.npz"},
        {"set": "digits", "coding": "steps"},
        {"set": "samples", "coding": "frames"},
        {"set": "samples", "workers": 1},
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="recipe: data"):
        Data(**settings)


@pytest.mark.parametrize(("coding", "factor"), [("direct", 1 / 16), ("direct", 255.0), ("rate", 1 / 255)])
def test_a_test_in_another_unit_is_told(coding: str, factor: float, tmp_path: Path) -> None:
    """A network that trained on 0 to 16 and was tested on 0 to 1 was right in a tenth, without a word."""
    path = stored(tmp_path, x=PICTURES[:90], y=Y[:90])
    same = stored(tmp_path, "same.npz", x=PICTURES[90:], y=Y[90:])
    other = stored(tmp_path, "other.npz", x=PICTURES[90:] * factor, y=Y[90:])
    with pytest.warns(SpikeflowWarning, match="may be in another unit"):
        load(Data("samples", path, steps=3, coding=coding, test=other), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SpikeflowWarning)
        load(Data("samples", path, steps=3, coding=coding, test=same), 0)


def test_rates_in_another_unit_are_refused_and_small_bytes_told(tmp_path: Path) -> None:
    path = stored(tmp_path, x=PICTURES[:90] / 255, y=Y[:90])
    test = stored(tmp_path, "test.npz", x=PICTURES[90:], y=Y[90:])
    with pytest.raises(DataError, match="in the unit of those that train"):
        load(Data("samples", path, steps=3, coding="rate", test=test), 0)
    small = stored(tmp_path, "small.npz", x=PICTURES // 16, y=Y)
    with pytest.warns(SpikeflowWarning, match="values up to 15 are taken as bytes.*x / 15"):
        load(Data("samples", small, steps=3, coding="rate"), 0)


def test_a_limit_is_spread_over_a_file_in_the_order_of_its_classes(tmp_path: Path) -> None:
    order = np.argsort(Y, kind="stable")
    path = stored(tmp_path, x=table()[order], y=Y[order])
    found = load(Data("samples", path, steps=3, limit=9), 0).splits
    assert all(set(part.labels) == {0, 1, 2} for part in (found.train, found.test))  # type: ignore[union-attr]


def test_a_label_beyond_all_samples_is_refused_at_once(tmp_path: Path) -> None:
    path = stored(tmp_path, x=table(), y=np.where(Y == 2, 10**9, Y))
    with pytest.raises(DataError, match="data.folder.*up to 1000000000, of 120 samples"):
        load(Data("samples", path, steps=3), 0)
    few = stored(tmp_path, "few.npz", x=table()[:2], y=[2, 2])  # a test need not hold every class
    load(Data("samples", stored(tmp_path, "all.npz", x=table(), y=Y), steps=3, test=few), 0)
    far = stored(tmp_path, "far.npz", x=table(), y=np.where(Y == 2, 10**9, Y))
    with pytest.raises(DataError, match="data.test.*up to 1000000000, of 120 samples"):
        load(Data("samples", stored(tmp_path, "all.npz", x=table(), y=Y), steps=3, test=far), 0)


def test_pictures_without_channels_are_told_apart(tmp_path: Path) -> None:
    path = stored(tmp_path, x=PICTURES[:, 0], y=Y)
    with pytest.raises(DataError, match=r"pictures \(channels, height, width\): moments have shape \(6, 5\)"):
        trained(tmp_path, f"steps = 2\nfolder = '{path}'", 'kind = "conv"\nchannels = [4]')
