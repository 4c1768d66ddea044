"""Law: threads that share the neurons of one sample change no bit of outputs, records, states and counts.

On random graphs of every kind (as `test_cut` draws them), and on networks of populations: 1 to 3 populations of 1 to 1,700
neurons, 1 to 5 projections of constant or normal delays of 1 to 20 steps, weights in float32 or in codes of 8 or 16 bits,
spikes that enter, random drive, currents that stay or change, 1 or 2 samples, 2 to 4 shares, any cut. Small networks are shared here as
large ones are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from spikeflow.errors import SimulationError
from spikeflow.events import Spikes
from spikeflow.ir.arrays import Codes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Input, Linear, Output, Procedural, Sparse
from spikeflow.ir.projections import FixedInDegree, Normal, Probability
from spikeflow.neurons import LIF, CubaLIF
from spikeflow.populations import Populations
from spikeflow.sim import engine, process, reference, sharing
from spikeflow.sim.inputs import Constant, Dense
from spikeflow.sim.lower import lower
from tests.sim.test_codes import integer_inputs, with_codes
from tests.sim.test_cut import (
    FIXED,
    RARELY,
    SEEDS,
    Inputs,
    assert_equal,
    drawn,
    everything,
    from_states,
    joined,
    stretch,
)


@pytest.fixture(autouse=True, scope="module")
def _share_what_is_small() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "shares_of", lambda graph, threads: threads)
        yield


@FIXED
@given(seed=SEEDS)
@RARELY
def test_random_graphs(fixed: bool, seed: int) -> None:
    rng, graph, inputs, samples, at = drawn(seed, fixed)
    if not fixed and rng.random() < 0.5:
        inputs, graph = integer_inputs(rng, graph, at[-1], samples), with_codes(graph, rng)
    record = everything(graph) if rng.random() < 0.5 else []
    slow = reference.prepare(graph)
    fast = engine.prepare(graph, threads=int(rng.integers(2, 6)), isa=int(rng.integers(0, 3)))
    wanted = slow(inputs, at[-1], record)
    got = from_states(lambda: (slow, fast, fast)[rng.integers(3)], inputs, at, record)
    assert_equal(got, wanted, record)
    assert got.state == wanted.state


def a_delay(rng: np.random.Generator, dt_s: float, same: bool) -> float | Normal:
    if same:
        return 7 * dt_s
    if rng.random() < 0.5:
        return int(rng.integers(1, 20)) * dt_s
    low = int(rng.integers(1, 10))
    return Normal(8 * dt_s, 4 * dt_s, low * dt_s, (low + int(rng.integers(0, 11))) * dt_s)


def a_network(rng: np.random.Generator, bits: int) -> Graph:
    """Populations of excitatory and inhibitory projections, an Input of spikes among the sources of some."""
    dt_s, same = 1e-3, bool(rng.random() < 0.5)
    net = Populations(dt_s, int(rng.integers(0, 9)), bits, 2.0**-6 if bits else 1.0)
    net.enter("x", 40)
    names = ["a", "b", "c"][: rng.integers(1, 4)]
    for name in names:
        size = int(rng.choice([1, 300, 512, 1100, 1700]))
        model = (
            LIF(0.9, 1.0, "value", refractory=int(rng.integers(0, 4))) if rng.random() < 0.6 else CubaLIF()
        )
        state = "v" if isinstance(model, LIF) else model.states()[0]
        net.add(name, model, size, {state: rng.uniform(0, 1, size).astype(np.float32)})
        if rng.random() < 0.6:
            net.feed(f"{name} drive", name)
        if rng.random() < 0.4:
            net.drive(f"{name} noise", name, float(rng.choice([20.0, 400.0])), float(rng.choice([0.3, -0.2])))
    for _ in range(rng.integers(1, 6)):
        pre, post = (["x", *names][rng.integers(len(names) + 1)], names[rng.integers(len(names))])
        mean = float(rng.choice([0.4, -0.3]))
        weight = mean if rng.random() < 0.5 else Normal(mean, 0.1)
        rule = FixedInDegree(int(rng.integers(0, 9))) if rng.random() < 0.7 else Probability(0.01)
        net.project(pre, post, rule, weight, a_delay(rng, dt_s, same))
    return net.graph(record=names if rng.random() < 0.7 else names[:1])


def entering(rng: np.random.Generator, graph: Graph, steps: int, samples: int) -> Inputs:
    """Spikes and currents; all currents stay, or each may change."""
    stay, found = bool(rng.random() < 0.5), dict[str, Any]()
    for name in graph.inputs:
        shape = graph.shapes[name]
        if name == "x":
            found[name] = Spikes.from_dense((rng.random((steps, samples, *shape)) < 0.1).astype(np.float32))
        elif stay or rng.random() < 0.5:
            found[name] = Constant(rng.uniform(0, 0.3, (samples, *shape)).astype(np.float32))
        else:
            found[name] = Dense(rng.uniform(0, 0.3, (steps, samples, *shape)).astype(np.float32))
    return found


@pytest.mark.parametrize("bits", [0, 8, 16])
@pytest.mark.parametrize("seed", range(12))
def test_networks_of_populations(seed: int, bits: int) -> None:
    rng = np.random.default_rng([seed, bits])
    graph, steps, samples = a_network(rng, bits), 45, int(rng.integers(1, 3))
    inputs = entering(rng, graph, steps, samples)
    cuts = sorted({int(c) for c in rng.integers(1, steps, rng.integers(1, 4))})
    at = [0, *cuts, steps]
    record = [[], ["a"], everything(graph)][rng.integers(3)]
    slow = reference.prepare(graph)
    fast = engine.prepare(graph, threads=int(rng.integers(samples + 1, 5)), isa=int(rng.integers(0, 3)))
    wanted = slow(inputs, steps, record)
    for choose in (lambda: fast, lambda: (slow, fast)[rng.integers(2)]):
        got = from_states(choose, inputs, at, record)
        assert_equal(got, wanted, record)
        assert got.state == wanted.state
    live = fast.begin(samples)
    pairs = list(zip(at, at[1:], strict=False))
    got = joined([live.advance(stretch(inputs, a, b), b - a, record) for a, b in pairs])
    assert_equal(got, wanted, record)
    assert live.state() == wanted.state


def test_the_drawn_networks_meet_once_a_period_and_at_every_step() -> None:
    """Both ways of sharing are met above, and neurons fire in most networks."""
    periods, busy = [], 0
    for bits in (0, 8, 16):
        for seed in range(12):
            rng = np.random.default_rng([seed, bits])
            graph = a_network(rng, bits)
            periods.append(lower(graph, cut=sharing.Cut(3)).network.period)
            inputs = entering(rng, graph, 20, 1)
            busy += engine.simulate(graph, inputs, 20).counts["a"].spikes > 0
    assert sum(p > 1 for p in periods) > 8 and sum(p == 1 for p in periods) > 4 and busy > 20, periods


@pytest.mark.parametrize("seed", range(6))
def test_more_targets_than_16_bits_tell_apart(seed: int) -> None:
    """70,000 and 140,000 targets, alone and shared, in floats and codes, with delays and without."""
    rng = np.random.default_rng(seed)
    targets, sources, count = int(rng.choice([70_000, 140_000])), 30, 6000
    indptr = np.concatenate([[0], np.sort(rng.integers(0, count + 1, sources - 1)), [count]])
    codes = rng.integers(-127, 128, count)
    weight: Any = Codes(codes, 0.0137) if seed % 2 else (codes * 0.0137).astype(np.float32)
    delays = rng.integers(0, 5, count) if seed % 3 else None
    bias = rng.normal(0, 1, targets).astype(np.float32) if seed > 3 else None
    node = Sparse(indptr, rng.integers(0, targets, count), weight, (sources,), (targets,), bias, delays)
    edges = (Edge("x", "w"), Edge("w", "n"), Edge("w", "sums"), Edge("n", "out"))
    nodes = {
        "x": Input((sources,)),
        "w": node,
        "n": LIF().node((targets,)),
        "sums": Output(),
        "out": Output(),
    }
    graph = Graph(nodes, edges)
    x = Dense((rng.random((8, 1, sources)) < 0.4).astype(np.float32))
    wanted = reference.simulate(graph, x, 8)
    for threads in (1, 3):
        assert_equal(engine.prepare(graph, threads)(x, 8), wanted, ())


def shared_loop(record: tuple[str, ...] = ("n",), size: int = 3000) -> Graph:
    net = Populations(1e-3, bits=8, scale=0.01)
    net.enter("x", 5)
    net.add("n", LIF(0.9, 1.0), size)
    net.project("x", "n", FixedInDegree(2), 0.5, 2e-3)
    net.project("n", "n", FixedInDegree(10), 0.1, 3e-3)
    return net.graph(record)


def test_an_error_of_one_thread_is_raised() -> None:
    graph = shared_loop()
    half = Dense(np.full((20, 1, 5), 0.5, np.float32))
    with pytest.raises(SimulationError, match="no integer"):
        engine.prepare(graph, threads=3)(half, 20)


def test_a_shared_run_ends_where_progress_says_so() -> None:
    def stop(done: int, samples: int) -> None:
        raise KeyboardInterrupt

    graph, steps = shared_loop(()), 2_000_000  # many seconds
    x = Spikes.from_dense(np.ones((1, 1, 5), np.float32))
    with pytest.raises(KeyboardInterrupt):
        engine.prepare(graph, threads=2)(
            Spikes(x.sample, x.step, x.neuron, x.value, 1, steps, (5,)),
            steps,
            progress=stop,
            keep_state=False,
        )


def test_which_networks_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones whose synapses all name their targets, among no more threads than there are neurons for."""
    graph = shared_loop()
    assert sharing.shares_of(graph, 4) == 1
    monkeypatch.setattr(sharing, "LEAST_SYNAPSES", 1000)
    assert [sharing.shares_of(graph, t) for t in (1, 2, 64)] == [1, 2, 2]
    dense = Graph(
        {
            "x": Input((4,)),
            "w": Linear(np.ones((4000, 4), np.float32)),
            "n": LIF().node((4000,)),
            "y": Output(),
        },
        (Edge("x", "w"), Edge("w", "n"), Edge("n", "y")),
    )
    assert sharing.shares_of(dense, 4) == 1
    assert graph.of_kind(Procedural, Concat)
