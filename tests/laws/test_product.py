"""Products by rows of active sources are, bit for bit, sums in groups of 8 terms, of blocks of 512, whatever the threads and
the processor's vectors.

Drawn: 1 to 1,300 rows and inputs (so sums of one block and of several), 1 to 300 outputs (panels whole and cut), 0 to 40 %
active; spikes, whole numbers, normal values; weights normal. Needs no torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.neurons import _sweep

GROUP, BLOCK = 8, 512
KINDS = ("spikes", "whole", "normal")
Array = np.ndarray[Any, Any]


def drawn(seed: int, kind: str) -> tuple[Array, Array, Array, Array]:
    """Input, weight, bias, cotangent."""
    draw = np.random.default_rng(seed)
    rows, inputs, outputs = (int(draw.integers(1, most)) for most in (1300, 1300, 300))
    active = draw.random((rows, inputs)) < draw.uniform(0, 0.4)
    values = {"spikes": 1.0, "whole": draw.integers(-3, 4, inputs), "normal": draw.normal(0, 1, inputs)}[kind]
    x, weight = (active * values).astype(np.float32), draw.normal(0, 1, (outputs, inputs)).astype(np.float32)
    return (
        x,
        weight,
        draw.normal(0, 1, outputs).astype(np.float32),
        draw.normal(0, 1, (rows, outputs)).astype(np.float32),
    )


def summed(values: Array, table: Array) -> Array:
    """``sum_i values[i] table[i]`` of what is not 0, in the order of the core."""
    total = np.zeros(table.shape[1], np.float32)
    for begin in range(0, len(values), BLOCK):
        active = begin + np.flatnonzero(values[begin : begin + BLOCK])
        block = np.zeros_like(total)
        for group in range(0, len(active), GROUP):
            terms = [values[i] * table[i] for i in active[group : group + GROUP]]
            part = terms[0]
            for term in terms[1:]:
                part = part + term
            block = block + part
        total = total + block
    return total


def made(
    x: Array, weight: Array, bias: Array | None, given: Array, threads: int = 1, isa: int = 2
) -> tuple[Array, Array]:
    """The product, and the gradient of the weight."""
    sizes = (*x.shape, len(weight), threads, isa)
    y, to_weight = np.full((len(x), len(weight)), np.nan, np.float32), np.full_like(weight, np.nan)
    _sweep.product(
        sizes, x.ctypes.data, weight.ctypes.data, 0 if bias is None else bias.ctypes.data, y.ctypes.data
    )
    _sweep.product_weight(sizes, x.ctypes.data, given.ctypes.data, to_weight.ctypes.data)
    return y, to_weight


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_sums_run_in_the_order_that_is_told(seed: int, kind: str) -> None:
    x, weight, bias, given = drawn(seed, kind)
    y, to_weight = made(x, weight, bias, given)
    draw = np.random.default_rng(seed)
    for row in draw.integers(0, len(x), 20):
        np.testing.assert_array_equal(y[row], summed(x[row], weight.T) + bias)
    for source in draw.integers(0, x.shape[1], 20):
        np.testing.assert_array_equal(to_weight[:, source], summed(x[:, source], given))
    np.testing.assert_array_equal(made(x, weight, None, given)[0], made(x, weight, 0 * bias, given)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_threads_and_vectors_change_no_bit(seed: int, kind: str) -> None:
    arrays = drawn(seed, kind)
    first = made(*arrays)
    assert all(np.isfinite(found).all() for found in first)
    for threads, isa in ((3, 2), (5, 1), (1, 0)):
        for one, other in zip(first, made(*arrays, threads, isa), strict=True):
            np.testing.assert_array_equal(one, other)
    assert _sweep.active(arrays[0].ctypes.data, arrays[0].size, 3) == np.count_nonzero(arrays[0])


def test_what_is_silent_brings_nothing_and_nothing_at_all_is_a_product_too() -> None:
    x, weight = np.array([[0, 1], [-0.0, 0]], np.float32), np.array([[np.nan, 2], [np.inf, 3]], np.float32)
    assert made(x, weight, None, np.ones((2, 2), np.float32))[0].tolist() == [[2, 3], [0, 0]]
    assert np.isnan(
        made(np.array([[np.nan, 1]], np.float32), weight, None, np.ones((1, 2), np.float32))[0]
    ).all()
    for rows, inputs, outputs in ((0, 3, 2), (3, 0, 2), (3, 2, 0)):
        x, weight, given = (
            np.ones(size, np.float32) for size in ((rows, inputs), (outputs, inputs), (rows, outputs))
        )
        y, to_weight = made(x, weight, np.ones(outputs, np.float32), given)
        assert (y == 1 + inputs).all() and (to_weight == rows).all()
