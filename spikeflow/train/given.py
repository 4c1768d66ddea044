"""What `fit` is given, looked at before it trains: what cannot work is refused, what is odd is told."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.train.batches import Batches, Splits
from spikeflow.train.recipe import Recipe

NAMES = ("train", "valid", "test")


def check_given(splits: Any, recipe: Any) -> None:
    """Raise DataError unless splits and recipe are such, and fit each other."""
    if not isinstance(splits, Splits) or not hasattr(splits.train, "epoch"):
        got = "no training split" if isinstance(splits, Splits) else type(splits).__name__
        raise DataError("splits", got, "Splits(train, valid, test)")
    if not isinstance(recipe, Recipe):
        raise DataError("recipe", type(recipe).__name__, "a Recipe", "train.recipe.of_table(Recipe, table)")
    if recipe.patience and splits.valid is None:
        raise DataError("patience", recipe.patience, "0 where no validation split is given", "valid=...")


def first_batch(batches: Batches) -> Any:
    """The first batch of a split; DataError where it has none."""
    for batch in batches.epoch(0):
        return batch
    raise DataError("the train split", "no batch in its epoch", "at least one")


def described(splits: Splits) -> dict[str, Any]:
    """What tells a checkpoint from one of other data: digests of arrays, else numbers of batches."""
    parts = {name: getattr(splits, name) for name in NAMES}
    return {
        name: getattr(part, "digest", None) or {"batches": len(part)}
        for name, part in parts.items()
        if part is not None
    }


def check_classes(splits: Splits) -> None:
    """Raise DataError unless every class up to the largest label of any split has a training sample."""
    known = {name: _labels(getattr(splits, name)) for name in NAMES}
    if (train := known["train"]) is None:
        return
    most = max(int(labels.max()) for labels in known.values() if labels is not None)
    counts = np.bincount(train[train >= 0], minlength=most + 1)
    if empty := np.flatnonzero(counts == 0).tolist():
        hint = "another split, or labels numbered without gaps"
        raise DataError(f"class {empty[0]}", "no training sample", "at least one of every class", hint)
    if most == 0:
        _tell("every training sample is of class 0: there is nothing to tell apart")
    for name in NAMES[1:]:
        labels = known[name]
        if labels is not None and (left := set(range(most + 1)) - set(labels.ravel().tolist())):
            _tell(f"the {name} split holds no sample of class {min(left)}: nothing is measured of it")


def _tell(text: str) -> None:
    warnings.warn(text, SpikeflowWarning, stacklevel=4)


def _labels(batches: Batches | None) -> Any:
    labels = getattr(batches, "labels", getattr(getattr(batches, "dataset", None), "labels", None))
    return None if labels is None or len(labels) == 0 else np.asarray(labels).ravel()
