"""Samples of a user's own, from files as `spikeflow convert --data` takes them: ``set = "samples"``."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from spikeflow.datasets.sets.splits import held_out
from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.flows.loaded import Loaded
from spikeflow.flows.recipe_file import Data
from spikeflow.ir.preprocessing import Normalise, Step, applied
from spikeflow.samples import BYTE_LIKE, BYTES, Samples, samples_of
from spikeflow.train.batches import Arrays, Coding, Splits
from spikeflow.typing import Array

SET = "samples"
TENTH, FIFTH = 0.1, 0.2
LABELS = "whole numbers from 0 on, one for each sample"
NO_GAPS = "numpy.unique(y, return_inverse=True)[1]"
ALIKE = 5.0  # times as far as those that train may the samples spread that test, or so much less
Part = tuple[Array, Array]


def load(data: Data, seed: int) -> Loaded:
    """The splits of samples ``(N, *shape)``, or ``(N, T, *shape)`` with the coding ``steps``.

    `data.folder` names the file that trains and selects, `data.test` the one that tests; without it a fifth
    of the first is drawn from the seed. Values of ``direct`` and ``steps`` are brought to mean 0 and
    deviation 1 of those that train, one pair a feature or channel, which the network's file then does as
    well; zeros and ones of ``steps`` are spikes and stay so. Those of ``rate`` lie from 0 to 1, or are bytes.

    Raises
    ------
    DataError
        For labels that are missing or no classes, samples of two shapes, and values that a coding cannot
        take.
    FileError
        Where a file is missing or damaged.
    """
    if not data.folder:
        raise DataError("recipe: data.folder", "empty", "a .npz file with x and y, or --data FILE")
    parts = _parts(data, seed)
    x = parts["train"][0]
    in_time = data.coding == "steps"
    if in_time and x.ndim < 3:
        got = f"steps, of samples {x.shape[1:]}"
        raise DataError("recipe: data.coding", got, "(steps, ...)", "x[:, :, None]")
    if in_time and x.shape[1] != data.steps:
        wanted = f"{x.shape[1]}: samples are {x.shape[1:]}, the steps first"
        raise DataError("recipe: data.steps", data.steps, wanted)
    binary = in_time and all(np.isin(part, (0, 1)).all() for part, _ in parts.values())
    steps: tuple[Step, ...] = () if binary else _brought(data, x, 2 if in_time else 1)
    prepared = {name: (applied(steps, x, 2 if in_time else 1), y) for name, (x, y) in parts.items()}
    if not binary:
        _expect_alike(data, prepared["train"][0], prepared["test"][0])
    coding = Coding() if in_time else Coding(data.coding, data.steps)
    splits = Splits(*(_arrays(data, coding, seed, name, part) for name, part in prepared.items()))
    kind = "spikes" if binary or data.coding == "rate" else "current"
    facts: dict[str, Any] = {"dataset": "samples of one's own", **{n: len(y) for n, (_, y) in parts.items()}}
    facts["selection"] = "drawn from the seed" + ("" if data.test else ", and so is the test")
    names = tuple(str(k) for k in range(1 + max(int(y.max()) for _, y in parts.values())))
    shape = prepared["train"][0].shape[2 if in_time else 1 :]
    how = "spikes" if in_time else data.coding
    return Loaded(splits, shape, names, how, kind, data.steps, steps, {"data": facts})


def _arrays(data: Data, coding: Coding, seed: int, name: str, part: Part) -> Arrays:
    trains = name == "train"
    how = replace(coding, augment=data.augment) if trains else coding
    return Arrays(*part, how, data.batch_size, seed, shuffle=trains)


def _parts(data: Data, seed: int) -> dict[str, Part]:
    x, y = _labelled("data.folder", data.folder)
    _expect_classes("data.folder", y, len(y))
    if data.test:
        test = _labelled("data.test", data.test)
        _expect_classes("data.test", test[1], len(y))
        if test[0].shape[1:] != x.shape[1:]:
            wanted = f"{x.shape[1:]}, as those that train"
            raise DataError("recipe: data.test", f"samples of {test[0].shape[1:]}", wanted)
    else:
        apart = held_out(y, None, FIFTH, seed)
        test, x, y = (x[apart], y[apart]), x[~apart], y[~apart]
    selects = held_out(y, None, data.valid or TENTH, seed)
    found = {"train": (x[~selects], y[~selects]), "valid": (x[selects], y[selects]), "test": test}
    return {name: _limited(part, data.limit) for name, part in found.items()}


def _expect_classes(what: str, y: Array, samples: int) -> None:
    """Refuse labels of more classes than samples train: all would be made before one is found without any."""
    if y.max() >= samples:
        got = f"up to {y.max()}, of {samples} samples that train"
        raise DataError(f"recipe: {what}: labels", got, "samples of every class from 0 on", NO_GAPS)


def _limited(part: Part, limit: int) -> Part:
    """So many samples, spread over the file, whose classes may come one after the other."""
    x, y = part
    chosen = np.linspace(0, len(y) - 1, min(limit or len(y), len(y))).astype(int)
    return x[chosen], y[chosen]


def _labelled(what: str, path: str) -> Part:
    given: Samples = samples_of(path)
    for text in given.warnings:
        if not text.startswith(BYTES):  # they are brought to other values in any case
            warnings.warn(text, SpikeflowWarning, stacklevel=2)
    y = given.y
    if y is None:
        raise DataError(f"recipe: {what}", f"no labels in {path}", f"y: {LABELS}")
    whole = y.astype(np.int64)
    if y.ndim != 1 or (whole != y).any() or whole.min() < 0:
        hint = "y.argmax(1), if a column is a class" if y.ndim == 2 else NO_GAPS
        raise DataError(f"recipe: {what}: labels", f"{y.dtype} of shape {y.shape}", LABELS, hint)
    return given.x, whole


def _brought(data: Data, x: Array, lead: int) -> tuple[Step, ...]:
    """What brings the values of samples to those that the coding takes."""
    low, high = float(x.min()), float(x.max())
    if data.coding == "rate":
        if low < 0 or high > 255 or (high > 1 and (x != np.floor(x)).any()):
            got = f"rate, and values from {low:g} to {high:g}"
            raise DataError("recipe: data.coding", got, "values from 0 to 1, or bytes", 'coding = "direct"')
        if 1 < high < BYTE_LIKE:
            text = f"values up to {high:g} are taken as bytes, of which 255 is a spike in every step"
            warnings.warn(f"{text}. Try: x / {high:g}", SpikeflowWarning, stacklevel=2)
        return (Normalise(std=(255,)),) if high > 1 else ()
    shape = x.shape[lead:]
    each = len(shape) in (1, 3)  # a number for each feature, or each channel of pictures
    axes = tuple(i for i in range(x.ndim) if not (each and i == lead))
    mean, std = (np.atleast_1d(f(x, axis=axes, dtype=np.float64)) for f in (np.mean, np.std))
    std[std <= 1e-6 * np.abs(mean)] = 1.0  # what is always the same says nothing
    return (Normalise(tuple(mean.tolist()), tuple(std.tolist())),)


def _expect_alike(data: Data, train: Array, test: Array) -> None:
    """Tell of values that test in another unit than those that train; refuse what no rate can be."""
    low, high = float(test.min()), float(test.max())
    if data.coding == "rate" and not 0 <= low <= high <= 1:
        got = f"values from {low:g} to {high:g} times what is a spike in every step"
        raise DataError("recipe: data.test", got, "values in the unit of those that train")
    ratio = float(test.std()) / max(float(train.std()), 1e-9)
    if not 1 / ALIKE <= ratio <= ALIKE:
        text = f"the samples that test spread {ratio:.2g} times as far as those that train"
        text = f"{text}: they may be in another unit. Try: the same for both"
        warnings.warn(text, SpikeflowWarning, stacklevel=2)
