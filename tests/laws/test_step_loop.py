"""A sweep's step as a compiled loop: the bits of the operations one after the other, for any program, both ways.

Drawn: the programs of `test_loop` (1 to 30 operations, copies of states, states that end as a port or a parameter), and wide
ones of 23 to 60 values that all live at once, more than there are registers, a part of them of parameters alone; 1 to 1,300
neurons of 1 to 3 samples; values of 0, -0, below 2**-100, infinite and no numbers. `isa` 0 and 1 have no loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.ir.ops import Recorder
from spikeflow.neurons import surrogate
from tests.laws.sweeps import Swept, same, with_slots
from tests.laws.test_loop import program

SIZES = (1, 15, 16, 17, 95, 511, 513, 1300)
ODD = np.array([0.0, -0.0, 1e-31, -1e-38, np.inf, -np.inf, np.nan, 3e38], np.float32)


def wide(rng: np.random.Generator, ports: int, states: int) -> Any:
    """Values that are all made before any of them is read."""
    names = tuple(f"s{i}" for i in range(states))
    r = Recorder(tuple(f"in{i}" for i in range(ports)), names, ("a", "b", "c"))
    leaves = [*(getattr(r.s, n) for n in names), *r.x, r.p.a, r.p.b, r.p.c]
    made = [r.ops.abs(leaves[i % len(leaves)] * float(1 + i)) for i in range(int(rng.integers(23, 61)))]
    fixed = [r.p.a * r.p.b, r.p.b - r.p.c]
    total = made[0]
    for value in (*made[1:], *fixed):
        total = r.ops.where(r.ops.spike(value - 2.0), total * 0.5 - value, r.ops.maximum(total, value))
    ends = [made[int(i)] * 0.1 + total * 0.01 for i in rng.integers(0, len(made), states)]
    if rng.random() < 0.5:
        ends[0] = r.x[0]
    last = leaves[0] if rng.random() < 0.3 else total
    return r.program(last if rng.random() < 0.5 else r.ops.spike(last - r.p.a), ends)


def values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    x = rng.normal(0, 2, shape).astype(np.float32)
    return np.where(rng.random(shape) < 0.1, rng.choice(ODD, shape), x).astype(np.float32)


@pytest.mark.parametrize("seed", range(80))
def test_loops_change_no_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ports, states = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    made = (wide if seed % 2 else program)(rng, ports, states)
    shape = (7, int(rng.integers(1, 4)), int(rng.choice(SIZES)))
    params = {p: values(rng, shape[2] if rng.random() < 0.5 else 1) for p in "abc"}
    x, state = ({n: values(rng, *size) for n in names} for names, size in ((made.inputs, shape), (made.states, shape[1:])))
    compiled = with_slots(made, surrogate.atan.program())
    out = values(rng, *shape)
    last = {n: values(rng, *shape[1:]) for n in made.states}
    with np.errstate(all="ignore"):
        loops = Swept(compiled, params, x, state, interval=1 + seed % 4)
        wanted = loops.back(out, last)
        assert len({str(v.tobytes()) for v in loops.after.values()} | {str(loops.output.tobytes())}) > 1
        for isa in (0, 1):
            other = Swept(compiled, params, x, state, interval=1 + seed % 4, isa=isa)
            np.testing.assert_array_equal(loops.output, other.output)
            for name, found in other.after.items():
                np.testing.assert_array_equal(loops.after[name], found, name)
            same(other.back(out, last), wanted)
