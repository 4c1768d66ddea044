"""exp by its fixed formula: the same bits in numpy, torch and the engine, and close to the true exponential.

Inputs are float32 by their bit patterns: every 9,973rd of all 2^32, all within 500 of the ends of the range, zeros,
infinities, NaNs.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Population
from spikeflow.ir.ops import Recorder
from spikeflow.neurons import autograd
from spikeflow.sim import Dense, run
from spikeflow.sim.domains import Float32, Float64

HIGHEST, LOWEST = np.float32(88.72283), np.float32(-103.97208)  # the last finite, the last above 0


def near(x: np.float32) -> np.ndarray:
    at = int(np.float32(x).view(np.int32))
    return np.arange(at - 500, at + 501).astype(np.int32).view(np.float32)


def every() -> np.ndarray:
    patterns = np.arange(0, 2**32, 9973).astype(np.uint32).view(np.float32)
    ends = [near(x) for x in (HIGHEST, LOWEST, np.float32(-87.33655), np.float32(0.34657359), np.float32(1))]
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38, -3.4e38], np.float32)
    return np.concatenate([patterns, *ends, special])


X = every()


def computed() -> np.ndarray:
    with np.errstate(all="ignore"):
        return Float32().exp(X)


def test_it_is_within_one_unit_in_the_last_place() -> None:
    with np.errstate(all="ignore"):
        got, true = computed(), np.exp(X.astype(np.float64))
        nearest = true.astype(np.float32)
    number = ~np.isnan(X)
    assert np.isnan(got[~number]).all() and (got[number] >= 0).all()
    finite = number & np.isfinite(nearest)
    np.testing.assert_array_equal(np.isinf(got[number]), np.isinf(nearest[number]))
    unit = np.spacing(np.maximum(nearest[finite], np.float32(2.0**-126))).astype(np.float64)
    assert (np.abs(got[finite].astype(np.float64) - true[finite]) <= unit).all()


def test_the_ends_are_those_of_the_true_exponential() -> None:
    of = Float32()
    with np.errstate(all="ignore"):
        made = {x: float(of.exp(np.float32(x))) for x in (0.0, np.inf, -np.inf, HIGHEST, LOWEST)}
        beyond = [
            float(of.exp(np.nextafter(x, np.float32(s) * np.inf))) for x, s in ((HIGHEST, 1), (LOWEST, -1))
        ]
    assert made[0.0] == 1 and made[np.inf] == math.inf and made[-np.inf] == 0
    assert 3.4e38 < made[HIGHEST] < math.inf and made[LOWEST] == 2.0**-149
    assert beyond == [math.inf, 0.0]


def test_it_rises() -> None:
    with np.errstate(all="ignore"):
        x = np.sort(X[np.isfinite(X)])
        made = Float32().exp(x)
    # within a unit in the last place neighbours may change places; over two units none does
    assert (made[1:] >= np.nextafter(made[:-1], np.float32(0))).all()


def test_torch_has_the_same_bits() -> None:
    got = autograd.smooth("exp", torch.from_numpy(X)).numpy()
    np.testing.assert_array_equal(got, computed())


def test_in_double_precision_torch_has_numpys_bits_and_both_a_relative_error_of_1e_7() -> None:
    x = np.concatenate([np.linspace(-740, 709, 20_001), [0.0, np.inf, -np.inf, np.nan, 800.0, -800.0]])
    with np.errstate(all="ignore"):
        got, true = Float64().exp(x), np.exp(x)
    np.testing.assert_array_equal(autograd.smooth("exp", torch.from_numpy(x)).numpy(), got)
    np.testing.assert_allclose(got, true, rtol=1e-7, atol=1e-322)


@pytest.mark.parametrize("isa", [0, 1, 2])
def test_the_engine_has_the_same_bits(isa: int) -> None:
    from spikeflow.sim import engine

    x = X[np.isfinite(X)][::3]
    x = x[: len(x) // 64 * 64].reshape(-1, 1, 64)
    r = Recorder(("in",), (), ())
    cells = Population("exp", r.program(r.ops.exp(r.x[0]), []), {}, (64,))
    graph = Graph(
        {"x": Input((64,), "current"), "p": cells, "y": Output()}, (Edge("x", "p", "in"), Edge("p", "y"))
    )
    steps = 400
    given = {"x": Dense(x[: len(x) // steps * steps].reshape(steps, -1, 64))}
    with np.errstate(all="ignore"):
        wanted = Float32().exp(given["x"].values)
    np.testing.assert_array_equal(engine.prepare(graph, isa=isa)(given, steps).outputs["y"], wanted)
    reference = run(graph, {"x": Dense(given["x"].values[:2])}, 2, engine="reference")
    np.testing.assert_array_equal(reference.outputs["y"], wanted[:2])
