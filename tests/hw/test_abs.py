"""abs has an integer form of operations that chips have: exact where every sum is."""

from __future__ import annotations

import numpy as np

from spikeflow.hw.chips import chip
from spikeflow.hw.integer.translate import Port, translate
from spikeflow.ir.nodes import Population
from spikeflow.ir.ops import Recorder
from spikeflow.sim.interpreter import Step


def test_neurons_that_spike_at_either_sign_are_the_same_in_integers() -> None:
    """Inputs are whole multiples of 1 / 64, from -100 to 100 of them, for 300 steps; nothing decays."""
    r = Recorder(("in",), ("v",), ())
    v = r.s.v + r.x[0]
    z = r.ops.spike(r.ops.abs(v) - 1.0)
    node = Population("two-sided", r.program(z, [r.ops.where(z, 0.0, v)]), {}, (5,))
    loihi2 = chip.load("loihi2")
    made = translate("cells", node, {"in": Port(np.asarray(64.0))}, loihi2.formats.arithmetic)
    assert made.program.operations() - {"const", "param", "state", "input", "narrow"} <= loihi2.operations
    floats, integers = Step(node.program, node.params, False), Step(made.program, made.params, True)
    a, b = [np.zeros((1, 5), np.float32)], [np.zeros((1, 5), np.int64)]
    draw, spikes = np.random.default_rng(0), 0
    for _ in range(300):
        x = draw.integers(-100, 101, (1, 5))
        wanted, a = floats(a, [(x / 64).astype(np.float32)])
        got, b = integers(b, [x])
        np.testing.assert_array_equal(got, wanted)
        spikes += int(got.sum())
    assert spikes > 300
    assert not any(integers.narrowed_low.values()) and not any(integers.narrowed_high.values())
