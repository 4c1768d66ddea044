"""What `fit` is given, looked at before it trains: what cannot work is refused, what is odd is told."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from spikeflow.errors import DataError, SpikeflowWarning, TrainingError
from spikeflow.train.batches import Arrays, Batches, Splits
from spikeflow.train.norm import MembraneNormLIF
from spikeflow.train.recipe import Recipe, unused
from spikeflow.typing import Array

NAMES = ("train", "valid", "test")
SHARED = 0.1  # share of samples in two splits from which on it is told: recordings that are alike may occur


def check_given(splits: Any, recipe: Any) -> None:
    """Raise DataError unless splits and recipe are such, and fit each other."""
    if not isinstance(splits, Splits) or not hasattr(splits.train, "epoch"):
        got = "no training split" if isinstance(splits, Splits) else type(splits).__name__
        raise DataError("splits", got, "Splits(train, valid, test)")
    if not isinstance(recipe, Recipe):
        raise DataError("recipe", type(recipe).__name__, "a Recipe", "train.recipe.of_table(Recipe, table)")
    if recipe.patience and splits.valid is None:
        raise DataError("patience", recipe.patience, "0 where no validation split is given", "valid=...")
    for text in unused(recipe):
        _tell(text)
    if recipe.optimiser.rate == 0:
        _tell("optimiser.rate is 0: no weight will change")


def first_batch(batches: Batches) -> Any:
    """The first batch of a split; DataError where it has none."""
    return next(looked_at(batches, 0, "in epoch 1"))[0]


def looked_at(batches: Batches, number: int, epoch: str) -> Iterator[tuple[Any, str]]:
    """The batches of an epoch, and of each in words which it is.

    Raises
    ------
    DataError
        For no batch, more batches than the split's len, what is no batch.
    TrainingError
        For inputs that are NaN or infinite, by step: neurons stay silent on them, and a loss may be finite.
    """
    index = -1
    for index, batch in enumerate(batches.epoch(number)):
        when = f"{epoch}, batch {index + 1}"
        if index >= len(batches):
            raise DataError("a split", f"more batches {epoch} than its len, {len(batches)}", "as many")
        _check_batch(batch, when)
        if not isinstance(batches, Arrays):  # whose samples were looked at when they were made
            _check_finite(batch.x, when)
        yield batch, when
    if index < 0:
        raise DataError("a split", f"no batch in its epoch ({epoch})", "at least one")


def _check_batch(batch: Any, when: str) -> None:
    x, labels = getattr(batch, "x", None), getattr(batch, "labels", None)
    parts = [*(x.values() if isinstance(x, dict) else (x,)), labels]
    if not all(isinstance(part, torch.Tensor) for part in parts):
        wanted = "x (steps, samples, ...), labels and mask, as tensors"
        raise DataError(f"a batch, {when}", type(batch).__name__, wanted, "train.batches.Batch")


def _check_finite(x: Any, when: str) -> None:
    for values in x.values() if isinstance(x, dict) else (x,):
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            bad = (~torch.isfinite(values)).flatten(1).any(1).nonzero()
            reason = f"is NaN or infinite from step {int(bad[0])} on {when}"
            raise TrainingError("input", reason, "finite samples; padding of 0, which the mask leaves out")


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


def check_steps(splits: Splits) -> None:
    """Tell of labels of steps that look like one class for each sample."""
    y: Array = splits.train.y if isinstance(splits.train, Arrays) else np.zeros(0)
    if y.ndim == 2 and len(y) > 1 and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
        text = "labels are taken as one for each step, and of each sample exactly one is 1 "
        _tell(f"{text}({y.shape[1]} steps, {len(y)} samples): if a column is a class, give y.argmax(1)")


def check_padding(net: nn.Module, batch: Any) -> None:
    """Tell of batch norm over samples that are padded to one length: padding is in its statistics."""
    mask = getattr(batch, "mask", None)
    if mask is None or batch.labels.ndim == 2 or bool(mask.all()):
        return
    norms = [path for path, layer in net.named_modules() if isinstance(layer, _BatchNorm | MembraneNormLIF)]
    if norms:
        share = 1 - float(mask.double().mean())
        text = f"{norms[0]} takes its statistics over all steps, {share:.0%} of the first batch are padding"
        _tell(f"{text}. Try: samples of one length, or of alike lengths in a batch")


def check_apart(splits: Splits) -> None:
    """Tell of splits in memory that share samples: what selects or tests is then known from training, or
    what is tested has selected.
    """
    for first, second in (("train", "valid"), ("train", "test"), ("valid", "test")):
        a, b = getattr(splits, first), getattr(splits, second)
        if not (isinstance(a, Arrays) and isinstance(b, Arrays)):
            continue
        if (a.y.ndim, b.y.ndim) in ((1, 2), (2, 1)):
            got = f"labels of samples and of steps, in {first} and {second}"
            raise DataError("splits", got, "labels of one form in all of them")
        if (same := a.shared(b)) >= SHARED * len(b.x):
            _tell(f"{same} of the {len(b.x)} samples of {second} are in {first}, too: its figure is too good")


def _tell(text: str) -> None:
    warnings.warn(text, SpikeflowWarning, stacklevel=4)


def _labels(batches: Batches | None) -> Any:
    labels = getattr(batches, "labels", getattr(getattr(batches, "dataset", None), "labels", None))
    return None if labels is None or len(labels) == 0 else np.asarray(labels).ravel()
