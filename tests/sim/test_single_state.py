"""Law: populations of one port and one state, whose step the engine runs in fewer loops, equal the reference.

A leaky or perfect integrator that fires at a threshold and subtracts it is one loop; programs that differ from it in
one place are not, and have to be told apart. Bit for bit: outputs, states, spikes and idle neurons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Population
from spikeflow.ir.ops import Recorder
from spikeflow.sim import Dense, engine, reference

# of a recorder, the symbols v, x, d (decay) and t (threshold): output, next state
FORMS: dict[str, Callable[[Recorder, Any, Any, Any, Any], tuple[Any, Any]]] = {
    "leaky": lambda r, v, x, d, t: _fired(r, v * d + x, t),
    "leaky, turned round": lambda r, v, x, d, t: _fired(r, x + d * v, t),
    "perfect": lambda r, v, x, d, t: _fired(r, v + x, t),
    "perfect, turned round": lambda r, v, x, d, t: _fired(r, x + v, t),
    "the input decays": lambda r, v, x, d, t: _fired(r, x * d + v, t),
    "the input multiplies": lambda r, v, x, d, t: _fired(r, v * x + d, t),
    "a square": lambda r, v, x, d, t: _fired(r, v * v + x, t),
    "the threshold is the state": lambda r, v, x, d, t: _fired(r, v * d + x, v),
    "the threshold is the input": lambda r, v, x, d, t: _fired(r, v + x, x),
    "subtracts another value": lambda r, v, x, d, t: (
        z := r.ops.spike(v * d + x - t),
        v * d + x - d * z,
    ),
    "adds the threshold": lambda r, v, x, d, t: (z := r.ops.spike(v + x - t), v + x + t * z),
    "product less the sum": lambda r, v, x, d, t: (z := r.ops.spike(v + x - t), t * z - (v + x)),
    "resets to 0": lambda r, v, x, d, t: (
        z := r.ops.spike((s := v * d + x) - t),
        r.ops.where(z, 0.0, s),
    ),
    "hands on the sum": lambda r, v, x, d, t: ((s := v * d + x), s - t * r.ops.spike(s - t)),
    "hands on the old state": lambda r, v, x, d, t: (v, (s := v * d + x) - t * r.ops.spike(s - t)),
    "hands on what is left": lambda r, v, x, d, t: ((w := (s := v + x) - t * r.ops.spike(s - t)), w),
    "keeps its state": lambda r, v, x, d, t: (r.ops.spike(v * d + x - t), v),
    "forgets": lambda r, v, x, d, t: (r.ops.spike(x - t), x),
}


def _fired(r: Recorder, total: Any, t: Any) -> tuple[Any, Any]:
    z = r.ops.spike(total - t)
    return z, total - t * z


def _param(rng: np.random.Generator, size: int, values: list[float]) -> np.ndarray:
    return rng.choice(np.array(values, np.float32), size if rng.random() < 0.5 else ())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("form", FORMS)
def test_equal_to_the_reference(form: str, seed: int) -> None:
    """1 to 1,300 neurons, 1 to 3 samples, 25 steps; thresholds met exactly, states that overflow, vanish or are -0."""
    rng = np.random.default_rng([seed, *form.encode()])
    size, samples, steps = int(rng.integers(1, 1301)), int(rng.integers(1, 4)), 25
    r = Recorder(("in",), ("v",), ("d", "t"))
    output, after = FORMS[form](r, r.s.v, r.x[0], r.p.d, r.p.t)
    program = r.program(output, [after])
    params = {
        "d": _param(rng, size, [0.5, 0.9, 1.0, 0.0, -0.5, 3e5]),
        "t": _param(rng, size, [1.0, 0.25, 0.0, -1.0, 3e38]),
    }
    initial = {"v": _param(rng, size, [0.0, -0.0, 0.75, 1e-30, -1e-38, 3e38])}
    cells = Population("t", program, params, (size,), int(rng.integers(0, 3)), initial)
    graph = Graph(
        {"x": Input((size,), "current"), "p": cells, "y": Output()}, (Edge("x", "p"), Edge("p", "y"))
    )
    drawn = np.array([0, 0, 0, 0, -0.0, 0.25, 1, -1, 0.1, 1e-31, -1e-40, 3e38], np.float32)
    x = rng.choice(drawn, (steps, samples, size))
    x[:, :, rng.random(size) < 0.5] = 0
    if rng.random() < 0.3:
        x[8:] = 0  # blocks fall asleep
    wanted = reference.prepare(graph)(Dense(x), steps)
    for isa in range(3):
        found = engine.prepare(graph, 1, isa)(Dense(x), steps)
        np.testing.assert_array_equal(found.output, wanted.output)
        assert found.state == wanted.state
        assert found.counts["p"].semantic() == wanted.counts["p"].semantic()
