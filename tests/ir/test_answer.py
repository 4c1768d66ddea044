"""Answers and scores, against plain loops over drawn outputs.

Drawn: 1 to 12 samples; shapes of rank 1 to 3 with sizes 1 to 5; outputs as small whole numbers (-2 to 2), so that ties
are common, or as normal numbers; float32 or int64; labels in every whole type that numpy has.
"""

from __future__ import annotations

from itertools import product
from math import sqrt

import numpy as np
import pytest

from spikeflow.errors import DataError
from spikeflow.ir.answer import CLASS, MAP, SIGN, VALUE, class_count, kind_of, place_shape, predictions, tied
from spikeflow.ir.score import checked_labels, doubts, score

SEEDS = range(60)
WHOLE = (np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)


def drawn(seed: int) -> np.ndarray:
    """Outputs ``(N, *shape)``."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, rng.integers(1, 4)))
    size = (int(rng.integers(1, 13)), *shape)
    return rng.integers(-2, 3, size) if seed % 2 else rng.normal(size=size).astype(np.float32)


def by_hand(values: list[float]) -> tuple[int, bool]:
    """Class and tie of the numbers of one place."""
    if len(values) == 1:
        return int(values[0] > 0), values[0] == 0
    best = max(values)
    return values.index(best), values.count(best) > 1


def places(outputs: np.ndarray, kind: str) -> list[tuple[tuple[int, ...], list[float]]]:
    """For every answer its index and the numbers that decide it."""
    shape = place_shape(outputs.shape[1:], kind)
    found = []
    for index in product(range(len(outputs)), *map(range, shape)):
        at = outputs[index[0]]
        found.append((index, at.ravel().tolist() if kind != MAP else [float(c[index[1:]]) for c in at]))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_largest_and_the_sign_by_hand(seed: int) -> None:
    outputs = drawn(seed)
    kind = kind_of(outputs.shape[1:])
    got, ties = predictions(outputs, kind), tied(outputs, kind)
    assert got.shape == ties.shape == (len(outputs), *place_shape(outputs.shape[1:], kind))
    for index, values in places(outputs, kind):
        assert (got[index], ties[index]) == by_hand(values)


@pytest.mark.parametrize("seed", SEEDS)
def test_accuracy_by_hand_whatever_the_type_and_the_axes_of_one(seed: int) -> None:
    rng, outputs = np.random.default_rng(seed), drawn(seed)
    shape = outputs.shape[1:]
    kind = kind_of(shape)
    y = rng.integers(0, class_count(shape, kind), (len(outputs), *place_shape(shape, kind)))
    right = [by_hand(values)[0] == y[index] for index, values in places(outputs, kind)]
    for dtype in WHOLE:
        if dtype is np.bool_ and class_count(shape, kind) > 2:  # refused: true is no name of one of many
            with pytest.raises(DataError, match="true and false alone"):
                score(outputs, y > 0, kind)
            continue
        same = y.astype(dtype)
        for labels in (same, same.reshape(len(y), 1, *y.shape[1:]), same.reshape(*y.shape, 1)):
            assert score(outputs, labels, kind).accuracy == sum(right) / len(right)


@pytest.mark.parametrize("seed", SEEDS)
def test_error_and_r2_by_hand(seed: int) -> None:
    rng, outputs = np.random.default_rng(seed), drawn(seed)
    y = rng.normal(size=outputs.shape) * 10.0 ** rng.integers(-3, 4)
    found = score(outputs, y.astype(np.float64), kind_of(outputs.shape[1:], y=y))
    pairs = list(zip(outputs.ravel().tolist(), y.ravel().tolist(), strict=True))
    mean = y.reshape(len(y), -1).mean(axis=0)
    squared = sum((a - b) ** 2 for a, b in pairs)
    spread = sum((v - m) ** 2 for row in y.reshape(len(y), -1) for v, m in zip(row, mean, strict=True))
    assert found.kind == VALUE and found.accuracy is None
    assert found.rmse == pytest.approx(sqrt(squared / len(pairs)))
    assert found.r2 == (pytest.approx(1 - squared / spread) if spread else None)


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_of_any_other_shape_are_refused(seed: int) -> None:
    """Also those that numpy would broadcast."""
    rng, outputs = np.random.default_rng(seed), drawn(seed)
    kind = kind_of(outputs.shape[1:])
    right = [len(outputs), *place_shape(outputs.shape[1:], kind)]
    wrong = (*right[:1], *(right[1:] if rng.random() < 0.5 else ()), int(rng.integers(2, 5)))
    if sorted(n for n in wrong[1:] if n > 1) == sorted(n for n in right[1:] if n > 1):
        wrong = (*wrong, 3)
    for shape in (wrong, (len(outputs) + 1, *right[1:]), ()):
        with pytest.raises(DataError, match="labels: got shape"):
            score(outputs, np.zeros(shape, int), kind)


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_outside_the_classes_are_refused(seed: int) -> None:
    rng, outputs = np.random.default_rng(seed), drawn(seed)
    kind = kind_of(outputs.shape[1:])
    classes = class_count(outputs.shape[1:], kind)
    y = np.zeros((len(outputs), *place_shape(outputs.shape[1:], kind)), np.int64)
    at = tuple(rng.integers(0, n) for n in y.shape)
    for bad in (-1, classes, classes + 10, 2**62):
        y[at] = bad
        with pytest.raises(DataError, match=f"0 to {classes - 1}"):
            checked_labels(y, len(outputs), outputs.shape[1:], kind)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((1,), SIGN),
        ((1, 1, 1), SIGN),
        ((7,), CLASS),
        ((7, 1, 1), CLASS),
        ((7, 2, 3), MAP),
        ((1, 4), MAP),
        ((3, 4), MAP),
    ],
)
def test_the_kind_follows_from_the_shape(shape: tuple[int, ...], kind: str) -> None:
    whole, real = np.zeros(5, int), np.zeros(5)
    assert kind_of(shape) == kind_of(shape, y=whole) == kind_of(shape, "class", real) == kind
    assert kind_of(shape, y=real) == kind_of(shape, "value") == kind_of(shape, "value", whole) == VALUE


def test_what_is_no_label_is_refused() -> None:
    outputs = np.zeros((3, 4))
    for y in (["a", "b", "c"], [1j, 0, 0], np.array([0, 1, None]), [0.5, 1.0, 2.0]):
        with pytest.raises(DataError):
            score(outputs, y, CLASS)
    with pytest.raises(DataError, match="finite"):
        score(np.zeros((3, 1)), [0.0, np.nan, 1.0], VALUE)
    with pytest.raises(DataError, match="argmax"):
        score(outputs, np.eye(4, dtype=int)[:3], CLASS)
    with pytest.raises(DataError, match="regression"):
        predictions(outputs, VALUE)
    with pytest.raises(DataError):
        kind_of((3,), "sgin")


def test_real_labels_of_0_and_1_are_told_of() -> None:
    assert doubts(np.array([0.0, 1.0]))
    assert (
        not doubts(np.array([0, 1]))
        and not doubts(np.array([0.0, 0.5]))
        and not doubts(np.array([0.0]), "value")
    )
