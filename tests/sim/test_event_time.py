"""Event time: crossings against 40 digits of mpmath, whole networks against an independent simulation in mpmath, ties,
refractory periods, delays, and the run in steps that comes nearer as dt falls.

Membranes: v from -1 to 0.99, w from -3 to 3, q from -0.3 to 0.3 (0 in a third), time constants of 2 to 40 steps, equal, twice,
half, and infinite. Times are in steps; a crossing is right to 1e-12 of a step where the membrane's slope there is 1e-3 or more.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import DataError, SimulationError, SpikeflowWarning
from spikeflow.events import Spikes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Concat, Conv2d, Input, Linear, MaxPool, Output, Poisson, Slice, Sparse
from spikeflow.ir.plastic import Plastic
from spikeflow.neurons import ALIF, IF, LIF, AdEx, CubaLIF, LeakyIntegrator, ParametricLIF
from spikeflow.neurons.stdp import PairSTDP
from spikeflow.sim import event_time, run, run_events
from spikeflow.sim.event_time.crossing import Membrane

mpmath = pytest.importorskip("mpmath", reason="mpmath comes with torch")
DT = 1e-3
KINDS = ("any", "equal", "twice", "half", "no leak", "no current", "line")


def a_membrane(rng: np.random.Generator, kind: str) -> Membrane:
    m = 1 / rng.uniform(2, 40)
    s = {"equal": m, "twice": 2 * m, "half": m / 2, "no current": 0.0, "line": 0.0}.get(
        kind, 1 / rng.uniform(2, 40)
    )
    m = 0.0 if kind in ("no leak", "line") else m
    w = 0.0 if kind in ("no current", "line") else rng.uniform(-3, 3) * rng.choice([0.1, 1.0])
    q = 0.0 if rng.random() < 1 / 3 and kind != "line" else rng.uniform(-0.3, 0.3)
    return Membrane(float(rng.uniform(-1, 0.99)), float(w), float(q), float(m), float(s))


def exactly(x: Membrane, t: Any) -> Any:
    """v after t, in mpmath."""
    v, w, q, m, s = (mpmath.mpf(n) for n in (x.v, x.w, x.q, x.leak, x.fall))
    slow, fast = mpmath.exp(-m * t), mpmath.exp(-s * t)
    reach = t * slow if m == s else (slow - fast) / (s - m)
    flown = t if m == 0 else (1 - slow) / m
    return v * slow + w * reach + q * flown


def _above(x: Membrane, t: Any) -> Any:
    return exactly(x, t) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_crossings(kind: str) -> None:
    """The first time, right to 1e-12; before it, and where there is none, v lies below."""
    rng, crossed, never = np.random.default_rng(KINDS.index(kind)), 0, 0
    with mpmath.workdps(40):
        for _ in range(120):
            one = a_membrane(rng, kind)
            t = one.crossing(1.0)
            until = min(t, 400.0)
            before = np.linspace(0, until, 400)[:-1]
            assert max(one.after(float(x)) for x in before) < 1.0 + 1e-12, one
            if t > 1e6:
                never += 1
                continue
            crossed += 1
            slope = abs(one.slope(t))
            root = mpmath.findroot(partial(_above, one), (t, t + 1e-9))
            assert abs(root - t) <= 1e-12 * max(1, 1e-3 / slope) * max(1, t / 100), (one, t)
    assert crossed >= 15 and (never >= 15 or kind == "line"), (crossed, never)


def test_a_membrane_that_touches_its_threshold() -> None:
    """At its peak, which is a tie: v >= threshold is a spike."""
    one = Membrane(0.0, 1.0, 0.0, 0.5, 1.0)  # peak at log 2 / 0.5: w (1/2 - 1/4) / 0.5 = 1 / 2
    assert one.after(one.turn()) == pytest.approx(0.5, abs=1e-15)
    assert one.crossing(one.after(one.turn())) == pytest.approx(one.turn(), abs=1e-7)
    assert one.crossing(0.5 + 1e-12) == np.inf


class Precise:
    """The same network in mpmath: neurons a of one population, weights (N, N) with a delay, input weights (N, sources).

    It knows no crossing formula: it looks at v every 1/64 step, then finds the root.
    """

    def __init__(self, form: dict[str, Any], into: Any, between: Any, delay: int) -> None:
        self.form, self.into, self.between, self.delay = form, into, between, delay

    def membrane(self, state: dict[str, Any], t: Any) -> Any:
        f, since = self.form, t - max(state["now"], state["awake"])
        if since <= 0:
            return state["v"]
        u = state["u"] * mpmath.exp(-f["s"] * (max(state["now"], state["awake"]) - state["now"]))
        reach = (
            since * mpmath.exp(-f["m"] * since)
            if f["m"] == f["s"]
            else (mpmath.exp(-f["m"] * since) - mpmath.exp(-f["s"] * since)) / (f["s"] - f["m"])
        )
        return state["v"] * mpmath.exp(-f["m"] * since) + f["k"] * u * reach

    def pass_to(self, state: dict[str, Any], t: Any) -> None:
        state["v"], state["u"] = (
            self.membrane(state, t),
            state["u"] * mpmath.exp(-self.form["s"] * (t - state["now"])),
        )
        state["now"] = t

    def run(self, times: Any, sources: Any, end: float) -> list[tuple[float, int]]:
        n = len(self.into)
        states: list[dict[str, Any]] = [
            {"v": mpmath.mpf(0), "u": mpmath.mpf(0), "now": mpmath.mpf(0), "awake": mpmath.mpf(-1)}
            for _ in range(n)
        ]
        events = [(mpmath.mpf(float(t)), self.into[:, s]) for t, s in zip(times, sources, strict=True)]
        spikes, now = list[tuple[float, int]](), mpmath.mpf(0)
        while now < end:
            events.sort(key=lambda e: e[0])
            limit = min([events[0][0]] if events else [mpmath.mpf(end)], default=end)
            limit = min(limit, mpmath.mpf(end))
            first = self.first_crossing(states, now, limit)
            if first is not None:
                now, i = first
                spikes.append((float(now), i))
                self.pass_to(states[i], now)
                states[i]["v"], states[i]["awake"] = (
                    mpmath.mpf(self.form["to"]),
                    now + self.form["refractory"],
                )
                events.append((now + self.delay, self.between[:, i]))
                continue
            now = limit
            while events and events[0][0] == now:
                _, weights = events.pop(0)
                for state, weight in zip(states, weights, strict=True):
                    self.pass_to(state, now)
                    state["u"] += mpmath.mpf(float(weight))
        return spikes

    def root(self, state: Any, low: Any, high: Any) -> Any:
        for _ in range(110):
            middle = (low + high) / 2
            low, high = (low, middle) if self.membrane(state, middle) >= 1 else (middle, high)
        return high

    def first_crossing(self, states: Any, now: Any, limit: Any) -> tuple[Any, int] | None:
        found = []
        for i, state in enumerate(states):
            t = max(now, state["awake"])
            while t < limit:
                later = min(t + mpmath.mpf(1) / 64, limit)
                if self.membrane(state, later) >= 1:
                    found.append((self.root(state, t, later), i))
                    break
                t = later
        return min(found) if found else None


@pytest.mark.parametrize("refractory", [0, 3])
@pytest.mark.parametrize("decays", [(0.8, 0.9), (0.9, 0.9), (0.9, 0.81)], ids=["any", "equal", "twice"])
def test_a_network_against_mpmath(decays: tuple[float, float], refractory: int) -> None:
    """Recurrent, with delays: every spike, its time to 1e-11 of a step after a chain of others."""
    rng = np.random.default_rng(refractory)
    n, sources, end, delay = 3, 4, 40.0, 2
    into = rng.uniform(0.05, 0.3, (n, sources)).astype(np.float32)
    between = rng.uniform(-0.15, 0.15, (n, n)).astype(np.float32)
    times, who = np.sort(rng.uniform(0, 30, 14)), rng.integers(0, sources, 14)
    model = CubaLIF(*decays, reset="value", reset_value=-0.25, refractory=refractory)
    nodes = {
        "x": Input((sources,), "spikes"),
        "w": Linear(into),
        "r": Linear(between),
        "a": model.node((n,)),
        "o": Output(),
    }
    edges = (Edge("x", "w"), Edge("w", "a"), Edge("a", "r", "in", delay), Edge("r", "a"), Edge("a", "o"))
    found = run_events(Graph(nodes, edges, DT), {"x": (times * DT, who)}, end * DT)
    with mpmath.workdps(40):
        d, a = (mpmath.mpf(float(np.float32(x))) for x in decays)
        s, m = -mpmath.log(d), -mpmath.log(a)
        gain = 1 / a if a == d else (s - m) / (a - d)
        form = {"s": s, "m": m, "k": gain, "to": -0.25, "refractory": refractory}
        wanted = Precise(form, into, between, delay).run((times * DT) / DT, who, end)
    assert len(wanted) >= 5
    exact = found.spikes["a"]
    assert exact.neuron.tolist() == [i for _, i in wanted]
    np.testing.assert_allclose(exact.steps, [t for t, _ in wanted], rtol=0, atol=1e-11)


def simple(model: Any, weights: Any = (1.0,), delay: int = 0) -> Graph:
    """Input neurons with these weights onto one neuron."""
    weight = np.array([weights], np.float32)
    nodes = {"x": Input((weight.size,), "spikes"), "w": Linear(weight), "a": model.node((1,)), "o": Output()}
    return Graph(nodes, (Edge("x", "w"), Edge("w", "a", "in", delay), Edge("a", "o")), DT)


def times(graph: Graph, steps: Any, who: Any, end: float = 50.0) -> list[float]:
    found = run_events(graph, {"x": (np.array(steps, float) * DT, np.array(who, int))}, end * DT)
    return found.spikes["a"].steps.tolist()


def test_ties() -> None:
    """What arrives at one moment is added up before the threshold is looked at."""
    graph = simple(LIF(0.9), (0.6, 0.6, -0.9))
    assert times(graph, [5, 5], [0, 1]) == [5.0]
    assert times(graph, [5, 5, 5], [0, 1, 2]) == []
    assert times(graph, [5, 5, 5 + 1e-9], [0, 1, 2]) == [5.0]
    assert times(simple(LIF(0.9), (1.0,)), [7], [0]) == [7.0], "equality is a spike"
    assert times(simple(IF(0.5), (1.5,)), [7], [0]) == [7.0, 7.0, 7.0], "by subtraction, as often as it takes"


def test_several_neurons_at_one_moment() -> None:
    """They fire together, and what they send arrives together: two halves are one spike of the next layer, at once."""
    nodes = {
        "x": Input((1,), "spikes"),
        "w": Linear(np.ones((2, 1), np.float32)),
        "a": LIF(0.9).node((2,)),
        "v": Linear(np.full((1, 2), 0.5, np.float32)),
        "b": LIF(0.9).node((1,)),
        "o": Output(),
    }
    edges = (Edge("x", "w"), Edge("w", "a"), Edge("a", "v"), Edge("v", "b"), Edge("b", "o"))
    found = run_events(Graph(nodes, edges, DT), {"x": ([0.0035], [0])}, 0.01)
    assert found.spikes["a"].steps.tolist() == [3.5, 3.5] and found.spikes["a"].neuron.tolist() == [0, 1]
    assert found.spikes["b"].steps.tolist() == [3.5]
    assert found.times_s("b", 0).tolist() == [3.5 * DT]


def test_refractory_periods_and_delays() -> None:
    graph = simple(LIF(0.9, refractory=4), (1.5,), 3)
    assert times(graph, [0, 4, 4.5, 20], [0] * 4) == [3.0, 7.5, 23.0], "at its end what arrives is still lost"
    held = simple(CubaLIF(0.98, 0.9, refractory=30), (0.2,))
    first, second, *_ = times(held, [0, 1, 2], [0] * 3, 80)
    assert 30 < second - first < 40, "the current goes on"


def test_currents() -> None:
    """A constant current: closed form of both kinds of membrane."""
    a, x = (np.float64(np.float32(number)) for number in (0.9, 0.3))
    for model, wanted in (
        (LIF(0.9), np.log(x / (1 - a) / (x / (1 - a) - 1)) / -np.log(a)),
        (IF(1.0, "zero"), 1 / x),
    ):
        nodes = {"x": Input((1,), "current"), "a": model.node((1,)), "o": Output()}
        graph = Graph(nodes, (Edge("x", "a"), Edge("a", "o")), DT)
        found = run_events(graph, {}, 0.1, {"x": np.array([x])})
        intervals = np.diff(np.concatenate([[0.0], found.spikes["a"].steps]))
        np.testing.assert_allclose(intervals, wanted, rtol=1e-14, atol=1e-13)
        assert np.ptp(intervals) < 1e-12 and len(intervals) > 8
    assert found.differences()["a"].matched > 0


@pytest.mark.parametrize("reset", ["zero", "subtract", "value"])
@pytest.mark.parametrize("refractory", [0, 2])
def test_membranes_without_a_current_are_those_of_steps(reset: str, refractory: int) -> None:
    """Inputs and delays in whole steps: jumps happen at steps alone, so both runs are one and the same."""
    rng = np.random.default_rng(refractory)
    n = 30
    count = rng.integers(0, 9, n)
    r = Sparse(
        np.concatenate([[0], np.cumsum(count)]),
        rng.integers(0, n, count.sum()),
        rng.uniform(-0.3, 0.4, count.sum()).astype(np.float32),
        (n,),
        (n,),
        delays=rng.integers(0, 5, count.sum()),
        delay_scope="synapse",
    )
    w = rng.uniform(0, 0.7, (n, 10)).astype(np.float32)
    model = partial(LIF, 0.85, 1.0, reset, refractory=refractory)
    neurons = model(reset_value=-0.1) if reset == "value" else model()
    nodes = {"x": Input((10,), "spikes"), "w": Linear(w), "r": r, "a": neurons.node((n,)), "o": Output()}
    edges = (Edge("x", "w"), Edge("w", "a"), Edge("a", "r", "in", 1), Edge("r", "a"), Edge("a", "o"))
    steps, who = np.nonzero(rng.random((60, 10)) < 0.15)
    found = run_events(Graph(nodes, edges, DT), {"x": (steps * DT, who)}, 0.06)
    told = found.difference(0.0)
    # the engine runs a step less far: a spike at the very end is in none of its steps
    assert found.spikes["a"].count > 60
    if reset != "subtract":  # where one step of a run gives one spike, a moment may give two
        at_end = int((found.spikes["a"].steps == 60).sum())
        assert (told.missing, told.extra, told.largest_s) == (at_end, 0, 0.0), told


def network(dt: float, seed: int) -> Graph:
    """Two layers of current-based neurons, the same in seconds at every dt, and a recurrent layer of delay 2 ms."""
    rng, n = np.random.default_rng(seed), 12
    scale = dt / DT

    def weights(shape: tuple[int, int], low: float, high: float) -> Linear:
        return Linear((rng.uniform(low, high, shape) * scale).astype(np.float32))

    cells = CubaLIF.from_tau(5e-3, 20e-3, dt)
    nodes = {
        "x": Input((8,), "spikes"),
        "w": weights((n, 8), 0.02, 0.16),
        "r": weights((n, n), -0.04, 0.03),
        "a": replace(cells, refractory=round(4e-3 / dt)).node((n,)),
        "v": weights((n, n), 0.0, 0.07),
        "b": replace(cells, refractory=round(4e-3 / dt)).node((n,)),
        "o": Output(),
    }
    edges = (
        Edge("x", "w"),
        Edge("w", "a"),
        Edge("a", "r", "in", round(2e-3 / dt)),
        Edge("r", "a"),
        Edge("a", "v"),
        Edge("v", "b"),
        Edge("b", "o"),
    )
    return Graph(nodes, edges, dt)


def test_steps_come_nearer_as_they_become_shorter() -> None:
    """The largest difference falls with dt; what is missing or extra is gone in the end."""
    rng = np.random.default_rng(5)
    entering = (np.sort(rng.uniform(0, 0.08, 90)), rng.integers(0, 8, 90))
    largest, lost = [], []
    for k in (0, 2, 4, 6):
        dt = DT / 2**k
        found = run_events(network(dt, 2), {"x": entering}, 0.1)
        parts = found.differences(within_s=2e-3)
        assert min(found.spikes[name].count for name in "ab") > 20
        largest.append(max(part.largest_s for part in parts.values()))
        lost.append(sum(part.missing + part.extra for part in parts.values()))
    assert lost[0] > lost[1] > lost[2] > lost[3] == 0 and largest[3] < largest[0] / 2, (largest, lost)
    assert "spikes matched within 3.125e-05 s" in str(found.difference())


@pytest.mark.parametrize("decays", [(0.8, 0.9), (0.9, 0.9), (0.7, 1.0)])
def test_first_spikes_lie_in_the_steps_that_find_them(decays: tuple[float, float]) -> None:
    """Inputs in whole steps: until its first spike a membrane is that of the steps, so they see it in the same step."""
    rng = np.random.default_rng(int(10 * decays[0]))
    n = 200
    weight = rng.uniform(-0.05, 0.12, (n, 20)).astype(np.float32)
    nodes = {
        "x": Input((20,), "spikes"),
        "w": Linear(weight),
        "a": CubaLIF(*decays).node((n,)),
        "o": Output(),
    }
    graph = Graph(nodes, (Edge("x", "w"), Edge("w", "a"), Edge("a", "o")), DT)
    steps, who = np.nonzero(rng.random((40, 20)) < 0.06)
    exact = run_events(graph, {"x": (steps * DT, who)}, 0.06).spikes["a"]
    dense = np.zeros((60, 1, 20), np.float32)
    dense[steps, 0, who] = 1
    stepped = run(graph, Spikes.from_dense(dense), 60, record=("a",)).recorded["a"]
    fired = np.unique(exact.neuron)
    assert len(fired) > 50 and np.array_equal(fired, np.unique(stepped.neuron))
    for i in fired:
        first = exact.steps[exact.neuron == i][0]
        assert stepped.step[stepped.neuron == i][0] == np.ceil(first) - 1


def test_nodes_between_are_linear() -> None:
    """Convolutions, moves and biases lead as in steps."""
    rng = np.random.default_rng(0)
    weight = rng.uniform(0, 0.4, (2, 1, 3)).astype(np.float32)
    bias = np.array([0.02, 0.03], np.float32)
    nodes: dict[str, Any] = {
        "x": Input((1, 8), "spikes"),
        "c": Conv2d(weight, bias, (1,), ((1, 1),), (1,)),
        "a": LIF(0.9).node((2, 8)),
        "s": Slice((0, 2), (1, 6), (1, 1)),
        "u": Slice((1, 0), (2, 4), (1, 1)),
        "j": Concat(0, 2),
        "b": LIF(0.8, 0.9).node((2, 4)),
        "o": Output(),
    }
    edges = (
        Edge("x", "c"),
        Edge("c", "a"),
        Edge("a", "s"),
        Edge("a", "u"),
        Edge("s", "j", "in0", 1),
        Edge("u", "j", "in1"),
        Edge("j", "b"),
        Edge("b", "o"),
    )
    steps, who = np.nonzero(rng.random((40, 8)) < 0.3)
    found = run_events(Graph(nodes, edges, DT), {"x": (steps * DT, who)}, 0.04)
    told = found.differences(DT)["b"]
    assert found.spikes["b"].count > 5 and told.matched > 0.7 * found.spikes["b"].count


def test_what_has_no_closed_form_is_refused_by_name() -> None:
    for model in (ALIF(), LIF(0.9, reset="none"), LeakyIntegrator(0.9)):
        with pytest.raises(SimulationError, match="^a: has no closed form in event time"):
            times(simple(model), [1], [0])
    adex = simple(LIF(0.9))
    with pytest.raises(SimulationError, match="^a: has no closed form"):
        times(adex.with_nodes({"a": AdEx().node((1,))}), [1], [0])
    with pytest.raises(SimulationError, match="wakes later"):
        times(adex.with_nodes({"a": replace(adex.nodes["a"], start=3)}), [1], [0])
    renamed = simple(CubaLIF()).with_nodes({"a": replace(CubaLIF().node((1,)), model="mine")})
    assert times(renamed, [1, 1, 2, 2], [0] * 4), "the program decides, not the name"
    learned = simple(ParametricLIF(), (3.0,))
    assert times(learned, [1, 1.5], [0] * 2), "a function of a parameter is a number"
    pooled = {
        "x": Input((1, 4), "spikes"),
        "p": MaxPool((2,), (2,), ((0, 0),), (1,)),
        "a": LIF(0.9).node((1, 2)),
        "o": Output(),
    }
    with pytest.raises(SimulationError, match="^p: is a MaxPool"):
        run_events(Graph(pooled, (Edge("x", "p"), Edge("p", "a"), Edge("a", "o")), DT), {"x": ([], [])}, 0.01)
    driven = {"x": Poisson((1,), np.array(0.1), 0, 0, 1.0), "a": LIF(0.9).node((1,)), "o": Output()}
    with pytest.raises(SimulationError, match="^x: draws events in steps"):
        run_events(Graph(driven, (Edge("x", "a"), Edge("a", "o")), DT), {}, 0.01)
    rule = Plastic(PairSTDP(0.05, 0.06).plasticity(), "a")
    learning = simple(LIF(0.9)).with_nodes({"w": Linear(np.ones((1, 1), np.float32), plastic=rule)})
    with pytest.raises(SimulationError, match="^w: learns"):
        times(learning, [1], [0])
    read = simple(LIF(0.9))
    summed = Graph({**read.nodes, "y": Output()}, (*read.edges, Edge("w", "y")), DT)
    with pytest.raises(SimulationError, match="^y: reads w"):
        times(summed, [1], [0])


def test_wrong_inputs() -> None:
    graph = simple(LIF(0.9), (1.0, 1.0))
    for given in (
        {},
        {"x": ([0.1], [2])},
        {"x": ([-0.1], [0])},
        {"x": ([np.nan], [0])},
        {"x": ([0.1, 0.2], [0])},
        {"x": ([0.1], [0.5])},
        {"x": (["soon"], [0])},
        {"x": ([0.1j], [0])},
        {"x": ([[0.1], [0.2, 0.3]], [0])},
        {"x": ([0.1], [0], [0])},
        {"x": 3},
        {"x": ([], []), "y": ([], [])},
    ):
        with pytest.raises(DataError):
            run_events(graph, given, 1.0)
    for end in (0, -1.0, np.inf, True):
        with pytest.raises(DataError, match="end_s"):
            run_events(graph, {"x": ([], [])}, end)
    with pytest.raises(DataError, match="currents"):
        run_events(graph, {"x": ([], [])}, 1.0, {"x": np.zeros(2)})
    with pytest.raises(SimulationError, match="a: more than 2 spikes"):
        event_time.run_events(graph, {"x": ([0.1, 0.2, 0.3], [0, 0, 0])}, 1.0, most_spikes=2)


def test_spikes_behind_the_end_are_told() -> None:
    """Milliseconds taken for seconds left the network silent, without a word."""
    graph = simple(LIF(0.9), (1.0, 1.0))
    with pytest.warns(SpikeflowWarning, match="x: 2 of 3 spikes come after the end, 0.5 s. Try: times in seconds"):
        found = run_events(graph, {"x": ([0.1, 12.0, 15.0], [0, 0, 1])}, 0.5)
    assert found.difference().extra == 0
