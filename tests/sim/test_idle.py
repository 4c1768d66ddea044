"""Law: a neuron is idle where nothing arrives, nothing leaves, no bit of its state changes and nothing is narrowed.

The expected number is computed here, step by step, for a model whose step is written out in numpy; neither engine nor
reference is asked. That they agree on random graphs of every kind is part of ``test_engine.py``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Population
from spikeflow.ir.ops import Recorder
from spikeflow.sim import Dense, run

ENGINES = pytest.mark.parametrize("engine", ["cpp", "reference"])


def network(node: Population, weight: object, bias: object = None) -> Graph:
    """Input -> linear node -> the population -> Output."""
    nodes = {"x": Input((5,)), "w": Linear(weight, bias), "p": node, "y": Output()}  # type: ignore[arg-type]
    return Graph(nodes, (Edge("x", "w"), Edge("w", "p", "in"), Edge("p", "y")))


def leaky(size: int, start: int) -> Population:
    """v <- 0.5 v + x, reset to 0 at 1; what is smaller than 0.05 is forgotten, so that neurons fall asleep."""
    r = Recorder(("in",), ("v",), ())
    v = r.s.v * 0.5 + r.x[0]
    v = r.ops.where(r.ops.spike(r.ops.maximum(v, 0.0 - v) - 0.05), v, 0.0)
    z = r.ops.spike(v - 1.0)
    return Population("t", r.program(z, [r.ops.where(z, 0.0, v)]), {}, (size,), start)


def bits(x: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    return np.ascontiguousarray(x, np.float32).view(np.uint32)


@ENGINES
@pytest.mark.parametrize("seed", range(12))
def test_idle_neurons_of_a_float_model(engine: str, seed: int) -> None:
    """1 to 900 neurons, 1 to 4 samples, 30 steps, rates 0 to 0.3, weights that cancel, a bias or none, starts 0 to 9."""
    rng = np.random.default_rng(seed)
    size, samples, steps, start = (int(rng.integers(*r)) for r in ((1, 901), (1, 5), (30, 31), (0, 10)))
    weight = rng.choice(np.array([-1, -0.5, 0, 0, 0.25, 0.5, 1], np.float32), (size, 5))
    bias = None if seed % 3 else (rng.random(size) < 0.3).astype(np.float32) * np.float32(0.125)
    x = (rng.random((steps, samples, 5)) < rng.choice([0, 0.05, 0.3])).astype(np.float32)
    counts = run(network(leaky(size, start), weight, bias), Dense(x), steps, engine=engine).counts["p"]
    v, idle = np.zeros((samples, size), np.float32), 0
    for t in range(steps):
        if t < start:
            idle += samples * size
            continue
        arrives = np.zeros((samples, size), np.float32)
        for source in range(5):  # C order of the sources; every sum is exact here
            arrives += x[t, :, source, None] * weight[:, source]
        arrives = arrives if bias is None else arrives + bias
        moved = v * np.float32(0.5) + arrives
        kept = np.where(np.abs(moved) - np.float32(0.05) >= 0, moved, np.float32(0))
        z = kept >= 1
        after = np.where(z, np.float32(0), kept)
        idle += int(((arrives == 0) & (bits(after) == bits(v)) & ~z).sum())
        v = after
    assert counts.idle == idle
    assert counts.neuron_updates == samples * size * (steps - start)


@ENGINES
@pytest.mark.parametrize("seed", range(8))
def test_a_neuron_that_overflows_is_not_idle(engine: str, seed: int) -> None:
    """Its state rests at the end of its format, held there by overflow in every step; 1 to 600 neurons."""
    rng = np.random.default_rng(seed)
    size, samples, steps = int(rng.integers(1, 601)), int(rng.integers(1, 4)), 25
    r = Recorder(("in",), ("v",), ("drift",))
    v = r.ops.narrow(r.s.v + r.x[0] + r.p.drift, 8, "saturate", "v")
    drift = rng.integers(-1, 2, (size,)) * 40
    program = r.program(r.ops.spike(v - 1000), [v])
    node = Population("t", program, {"drift": drift}, (size,), 0, {}, {"v": Fixed(8)})
    weight = Quantised(np.zeros((size, 5), np.int32), Fixed(8))
    counts = run(network(node, weight), Dense(np.zeros((steps, samples, 5), np.int64)), steps, engine=engine)
    assert counts.counts["p"].idle == samples * steps * int((drift == 0).sum())
    # 40, 80, 120, then at the end: -128 after the fourth step, 127 after the fourth
    assert counts.counts["p"].narrowed_low == {"v": samples * (steps - 3) * int((drift < 0).sum())}
    assert counts.counts["p"].narrowed_high == {"v": samples * (steps - 3) * int((drift > 0).sum())}


@ENGINES
def test_ports_that_cancel_leave_a_neuron_idle(engine: str) -> None:
    """What arrives is judged by the sum of a port: +1 and -1 together are nothing."""
    r = Recorder(("in",), ("v",), ())
    node = Population("t", r.program(r.ops.spike(r.s.v - 1.0), [r.s.v + r.x[0]]), {}, (70,))
    one = Linear(np.ones((70, 5), np.float32))
    graph = Graph(
        {"x": Input((5,)), "a": one, "b": Linear(-one.weight), "p": node, "y": Output()},
        (Edge("x", "a"), Edge("x", "b"), Edge("a", "p", "in"), Edge("b", "p", "in"), Edge("p", "y")),
    )
    result = run(graph, Dense(np.ones((6, 2, 5), np.float32)), 6, engine=engine)
    assert result.counts["p"].idle == 6 * 2 * 70


@ENGINES
def test_the_sign_of_zero_is_a_bit_of_the_state(engine: str) -> None:
    """v <- -v at v = 0 turns +0 into -0 and back, which 1.6 makes +0 again: nothing changes."""
    r = Recorder(("in",), ("v",), ())
    node = Population("t", r.program(r.ops.spike(r.x[0] - 1.0), [r.s.v * -1.0]), {}, (3,))
    result = run(
        network(node, np.zeros((3, 5), np.float32)), Dense(np.ones((6, 1, 5), np.float32)), 6, engine=engine
    )
    assert result.counts["p"].idle == 18
