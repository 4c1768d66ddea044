"""Law: a run cut anywhere equals the whole run, bit for bit: outputs, records, the state behind it, and every count
that has meaning. On random graphs of every kind, with delays on edges and inside nodes, recurrence and starts, in float
and in integers; in engine and reference, and between them; live and from states; in rows that were taken apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population
from spikeflow.sim import Runner, engine, reference
from spikeflow.sim.inputs import Constant, Dense, RunInput
from spikeflow.sim.records import recordable
from spikeflow.sim.result import Counts, Result
from spikeflow.sim.state import State
from tests.sim import random_graphs
from tests.sim.test_codes import integer_inputs, with_codes
from tests.sim.test_engine import inner

EXAMPLES = int(os.environ.get("SPIKEFLOW_EXAMPLES", "40"))
SEEDS = st.integers(0, 2**32 - 1)
RARELY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
FIXED = pytest.mark.parametrize("fixed", [False, True], ids=["float", "integer"])
Inputs = dict[str, RunInput]


def stretch(inputs: Inputs, first: int, last: int) -> Inputs:
    """The inputs of the steps from first to last, counted from there."""
    return {name: _stretch(x, first, last) for name, x in inputs.items()}


def _stretch(x: RunInput, first: int, last: int) -> RunInput:
    if isinstance(x, Constant):
        return x
    if isinstance(x, Dense):
        return Dense(x.values[first:last])
    on = (x.step >= first) & (x.step < last)
    columns = (x.sample[on], x.step[on] - first, x.neuron[on], x.value[on])
    return Spikes(*columns, x.samples, last - first, x.shape, x.integers)


def rows_of(inputs: Inputs, rows: Sequence[int]) -> Inputs:
    """The inputs of some samples, in this order."""
    return {name: _rows(x, list(rows)) for name, x in inputs.items()}


def _rows(x: RunInput, rows: list[int]) -> RunInput:
    if isinstance(x, Constant):
        return Constant(x.values[rows])
    if isinstance(x, Dense):
        return Dense(x.values[:, rows])
    return Spikes.from_dense(x.dense()[:, rows])


def joined(parts: Sequence[Result]) -> Result:
    """Results of one stretch after the other, as one."""
    first = parts[0]
    counts: dict[str, Counts] = dict(first.counts)
    for part in parts[1:]:
        counts = {name: c + part.counts[name] for name, c in counts.items()}
    recorded = {}
    for name, one in first.recorded.items():
        if isinstance(one, Spikes):
            whole = np.concatenate([part.recorded[name].dense() for part in parts])
            recorded[name] = Spikes.from_dense(whole, one.integers)
        else:
            recorded[name] = np.concatenate([part.recorded[name] for part in parts])
    outputs = {n: np.concatenate([part.outputs[n] for part in parts]) for n in first.outputs}
    steps = sum(part.steps for part in parts)
    return Result(steps, first.samples, outputs, counts, recorded, 0.0, parts[-1].after)


def bits(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")


def assert_equal(got: Result, wanted: Result, record: Sequence[str]) -> None:
    for name, values in wanted.outputs.items():
        assert got.outputs[name].dtype == values.dtype
        np.testing.assert_array_equal(got.outputs[name], values, err_msg=name)
    assert set(got.recorded) == set(wanted.recorded) == set(record)
    for name in record:
        mine, its = got.recorded[name], wanted.recorded[name]
        if isinstance(its, Spikes):
            for field in ("sample", "step", "neuron", "value"):
                np.testing.assert_array_equal(getattr(mine, field), getattr(its, field), f"{name} {field}")
        else:
            assert mine.dtype == its.dtype and mine.shape == its.shape, name
            equal = (bits(mine) == bits(its)) | ((mine != mine) & (its != its))
            assert equal.all(), name
    for name, counts in wanted.counts.items():
        assert got.counts[name].semantic() == counts.semantic(), name


def everything(graph: Graph) -> list[str]:
    """Every node but the outputs, every state, every port."""
    names = [name for name, trace in recordable(graph).items() if trace is not None]
    return [*inner(graph), *names]


def drawn(seed: int, fixed: bool) -> tuple[np.random.Generator, Graph, Inputs, int, list[int]]:
    """A graph, inputs of 2 to 14 steps and 1 to 4 samples, and 1 to 4 places to cut at."""
    rng = np.random.default_rng(seed)
    graph = random_graphs.graph(rng, fixed)
    steps, samples = int(rng.integers(2, 15)), int(rng.integers(1, 5))
    given = random_graphs.inputs(rng, graph, steps, samples, fixed)
    cuts = sorted({int(c) for c in rng.integers(1, steps, rng.integers(1, 5))})
    return rng, graph, given, samples, [0, *cuts, steps]


def from_states(choose: Callable[[], Runner], given: Inputs, at: list[int], record: Sequence[str]) -> Result:
    """Each stretch by a runner of its own choice, from the state that the one before gave back."""
    state, parts = None, []
    for first, last in zip(at, at[1:], strict=False):
        parts.append(choose()(stretch(given, first, last), last - first, record, None, state))
        state = parts[-1].state
    return joined(parts)


@FIXED
@given(seed=SEEDS)
@RARELY
def test_cut_runs_equal_the_whole(fixed: bool, seed: int) -> None:
    """Reference, engine, each stretch by either of them, and live; threads 1 and 2."""
    rng, graph, given, samples, at = drawn(seed, fixed)
    record = everything(graph)
    slow = reference.prepare(graph)
    fast = engine.prepare(graph, threads=int(rng.integers(1, 3)), isa=int(rng.integers(0, 3)))
    wanted = slow(given, at[-1], record)
    wanted.state.check(graph)
    choices = {
        "engine, whole": lambda: from_states(lambda: fast, given, [0, at[-1]], record),
        "reference": lambda: from_states(lambda: slow, given, at, record),
        "engine": lambda: from_states(lambda: fast, given, at, record),
        "either": lambda: from_states(lambda: (slow, fast)[rng.integers(2)], given, at, record),
    }
    for name, choice in choices.items():
        got = choice()
        assert_equal(got, wanted, record)
        assert got.state == wanted.state, name
    for runner in (slow, fast):
        live = runner.begin(samples)
        pairs = list(zip(at, at[1:], strict=False))
        got = joined([live.advance(stretch(given, a, b), b - a, record) for a, b in pairs])
        assert_equal(got, wanted, record)
        assert live.state() == wanted.state


@given(seed=SEEDS)
@RARELY
def test_sums_of_codes_are_cut(seed: int) -> None:
    """Weights of the random graphs that are codes with a scale, their sums in integers of the width that inputs ask for."""
    rng, graph, _, samples, at = drawn(seed, False)
    given = integer_inputs(rng, graph, at[-1], samples)
    graph, record = with_codes(graph, rng), everything(graph)
    slow, fast = reference.prepare(graph), engine.prepare(graph, threads=2)
    wanted = slow(given, at[-1], record)
    got = from_states(lambda: (slow, fast)[rng.integers(2)], given, at, record)
    assert_equal(got, wanted, record)
    assert got.state == wanted.state
    live = fast.begin(samples)
    parts = [live.advance(stretch(given, a, b), b - a, record) for a, b in zip(at, at[1:], strict=False)]
    assert_equal(joined(parts), wanted, record)
    assert live.state() == wanted.state


@FIXED
@given(seed=SEEDS)
@RARELY
def test_rows_taken_apart_and_joined(fixed: bool, seed: int) -> None:
    """Rows go on alone, in another order, with different numbers of steps behind them in one batch."""
    rng, graph, given, samples, at = drawn(seed, fixed)
    record, steps = everything(graph), at[-1]
    slow, fast = reference.prepare(graph), engine.prepare(graph, threads=2)
    wanted = slow(given, steps, record)
    behind = [int(k) for k in rng.integers(0, steps, samples)]
    order = [int(k) for k in rng.permutation(samples)]
    started = State.initial(graph, samples)
    parts = []
    for row in order:
        part = started[row]
        if behind[row]:
            runner = (slow, fast)[rng.integers(2)]
            part = runner(rows_of(stretch(given, 0, behind[row]), [row]), behind[row], state=part).state
        parts.append(part)
    both = State.joined(parts)
    both.check(graph)
    assert all(both[i] == parts[i] for i in range(samples))
    ahead = steps - max(behind)
    later = {
        n: together([_rows(_stretch(x, behind[r], behind[r] + ahead), [r]) for r in order])
        for n, x in given.items()
    }
    got, other = (runner(later, ahead, record, None, both) for runner in (slow, fast))
    assert_equal(other, got, record)
    assert got.state == other.state
    for place, row in enumerate(order):
        first, last = behind[row], behind[row] + ahead
        for name, values in wanted.outputs.items():
            np.testing.assert_array_equal(got.outputs[name][:, place], values[first:last, row], err_msg=name)
        if last == steps:
            assert got.state[place] == wanted.state[row]
        else:
            rest = rows_of(stretch(given, last, steps), [row])
            assert fast(rest, steps - last, state=got.state[place]).state == wanted.state[row]


def together(rows: list[RunInput]) -> RunInput:
    """One sample after the other as one input."""
    if isinstance(rows[0], Constant):
        return Constant(np.concatenate([x.values for x in rows]))  # type: ignore[union-attr]
    if isinstance(rows[0], Dense):
        return Dense(np.concatenate([x.values for x in rows], axis=1))  # type: ignore[union-attr]
    return Spikes.from_dense(np.concatenate([x.dense() for x in rows], axis=1))  # type: ignore[union-attr]


def test_the_drawn_graphs_hold_what_the_law_is_about() -> None:
    """Of 60 drawn graphs many have delays on edges, delays inside nodes, states, late starts and cycles."""
    found = {"edges": 0, "inside": 0, "start": 0, "feedback": 0}
    for seed in range(60):
        _, graph, _, _, _ = drawn(seed, bool(seed % 2))
        state = State.initial(graph, 1)
        rank = {n: i for i, n in enumerate(graph.order)}
        found["edges"] += bool(state.emitted)
        found["inside"] += bool(state.arrived)
        found["start"] += any(n.start for n in graph.nodes.values() if isinstance(n, Population))
        found["feedback"] += any(e.delay and rank[e.src] >= rank[e.dst] for e in graph.edges)
    assert min(found.values()) >= 10, found
