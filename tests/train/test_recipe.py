"""Recipes from tables: whole, unknown keys with the nearest known, wrong types, values out of range."""

from __future__ import annotations

from typing import Any

import pytest

from spikeflow.errors import DataError
from spikeflow.train.recipe import Loss, Recipe, Weights, of_table, plain


def test_there_and_back() -> None:
    recipe = Recipe(7, 3, 2, Loss("tet", "mean", level=2.0), weights=Weights(0.9, 8, 1.0, True))
    assert of_table(Recipe, plain(recipe)) == recipe
    assert of_table(Recipe, {}) == Recipe()
    assert of_table(Recipe, {"optimiser": {"rate": 1}}).optimiser.rate == 1.0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"epoch": 3}, r"recipe: epoch: got an unknown key.*Try: epochs"),
    "unknown within": ({"optimiser": {"rat": 3}}, r"recipe: optimiser\.rat: got an unknown key.*Try: rate"),
    "text for a number": ({"epochs": "3"}, r"recipe: epochs: got '3' \(str\), expected a whole number"),
    "real for a whole": ({"epochs": 3.5}, r"recipe: epochs: got 3\.5 \(float\)"),
    "true for a number": ({"seed": True}, r"recipe: seed: got True \(bool\)"),
    "number for a switch": ({"weights": {"fire": 1}}, r"recipe: weights\.fire: got 1 \(int\), expected true or false"),
    "no table": ({"loss": "tet"}, r"recipe: loss: got 'tet' \(str\), expected a table \[loss\]"),
    "a word": ({"loss": {"kind": "cross-entropy"}}, r"recipe: loss\.kind.*Try: cross_entropy"),
    "infinite": ({"optimiser": {"rate": float("inf")}}, r"optimiser\.rate: got inf .float., expected a finite number"),
    "negative": ({"optimiser": {"rate": -1.0}}, r"recipe: optimiser\.rate: got -1\.0, expected 0 or more"),
    "a rule": ({"rule": {"kind": "e-prop"}}, r"rule\.kind.*Try: eprop"),
    "a rule with penalties": ({"rule": {"kind": "ottt"}, "regularise": {"rate_weight": 1.0}}, "none with rule ottt"),
    "none": ({"epochs": 0}, r"recipe: epochs: got 0, expected 1 or more"),
    "bounds": ({"regularise": {"rate_low": 0.5, "rate_high": 0.1}}, r"recipe: regularise\.rate_high: got 0\.1"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tables_by_key(name: str) -> None:
    table, match = WRONG[name]
    with pytest.raises(DataError, match=match):
        of_table(Recipe, table)
