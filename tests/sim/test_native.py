"""The compiled module itself: hostile arrays, interruption, sleeping, caching, its stub, and what it includes."""

from __future__ import annotations

import _thread
import re
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import GraphError, SimulationError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Population
from spikeflow.ir.ops import Recorder
from spikeflow.sim import _engine, engine, reference
from spikeflow.sim.inputs import Constant, Dense
from spikeflow.sim.lower import lower

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "src" / "engine"
I32, I64, F32, F64 = np.int32, np.int64, np.float32, np.float64
ALL = np.zeros(0, I32)  # neurons to record


def leaky(n: int = 6, cut: bool = True) -> Graph:
    """Input -> Linear -> leaky neurons that forget small values -> Output."""
    r = Recorder(("in",), ("v",), ())
    v = r.s.v * 0.5 + r.x[0]
    v = r.ops.where(r.ops.spike(v - 0.01), v, 0.0) if cut else v
    z = r.ops.spike(v - 1.0)
    cells = Population("t", r.program(z, [v - z]), {}, (n,))
    weight = np.random.default_rng(0).normal(0.3, 0.5, (n, 5)).astype(F32)
    return Graph(
        {"x": Input((5,)), "w": Linear(weight), "p": cells, "y": Output()},
        (Edge("x", "w"), Edge("w", "p", "in"), Edge("p", "y")),
    )


def test_the_engine_includes_no_python_and_no_torch() -> None:
    sources = sorted(ENGINE.glob("*"))
    assert len(sources) > 20
    for path in sources:
        assert not re.search(r"#include\s*[<\"](Python|nanobind|torch|ATen|numpy)", path.read_text()), (
            path.name
        )


def test_the_stub_is_current(tmp_path: Path) -> None:
    pytest.importorskip("nanobind")
    made = tmp_path / "_engine.pyi"
    subprocess.run(
        [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "spikeflow.sim._engine", "-o", str(made)],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    assert made.read_text() == (ROOT / "spikeflow/sim/_engine.pyi").read_text(), (
        "run: python -m nanobind.stubgen -m spikeflow.sim._engine -o spikeflow/sim/_engine.pyi"
    )


def row(op: int, *rest: int) -> list[int]:
    return [op, *rest, *[0] * (6 - len(rest))]


def population(net: Any, code: list[list[int]], **changed: Any) -> int:
    given: dict[str, Any] = {
        "name": "p",
        "shape": [4],
        "code": np.asarray(code, I64).reshape(-1, 7),
        "constants": np.zeros(len(code)),
        "counts": [1, 1, 1, 0],
        "next_states": np.zeros(1, I64),
        "tables": [],
        "params": [np.ones(1, F32)],
        "initial": [np.zeros(1, F32)],
        "start": 0,
    }
    return net.population(**(given | changed))


FINE = [row(2), row(3), row(4, 0, 1)]
HOSTILE_PROGRAMS: list[tuple[list[list[int]], dict[str, Any]]] = [
    ([], {}),
    ([row(99)], {}),
    ([row(-1)], {}),
    ([row(4, 0, 0)], {}),
    ([row(2), row(4, 0, 1)], {}),
    ([row(2), row(4, -1, 0)], {}),
    ([row(1, 0, 0, 0, 1)], {}),
    ([row(2, 0, 0, 0, -1)], {}),
    ([row(3, 0, 0, 0, 2**40)], {}),
    ([row(2), row(16, 0)], {}),
    ([row(2), row(18, 0)], {}),
    ([row(2), row(6, 0, 0, 0, 0, 0, 3)], {}),
    (FINE, {"counts": [1, 1, 1, 3]}),
    (FINE, {"counts": [-1, 1, 1, 0]}),
    (FINE, {"counts": [2**40, 1, 1, 0]}),
    (FINE, {"next_states": np.asarray([7])}),
    (FINE, {"next_states": np.zeros(2, I64)}),
    (FINE, {"constants": np.zeros(2)}),
    (FINE, {"params": []}),
    (FINE, {"params": [np.ones(3, F32)]}),
    (FINE, {"initial": [np.ones(0, F32)]}),
    (FINE, {"start": -1}),
    (FINE, {"shape": [0]}),
    (FINE, {"shape": [2**16, 2**16]}),
]


@pytest.mark.parametrize(("code", "changed"), HOSTILE_PROGRAMS)
def test_hostile_programs_raise(code: list[list[int]], changed: dict[str, Any]) -> None:
    with pytest.raises(GraphError):
        population(_engine.FloatNetwork(), code, **changed)


def test_hostile_integer_programs_raise() -> None:
    for bad in (
        row(16, 0, 0, 0, 0, 0, 63),
        row(17, 0, 0, 0, 0, 4, 8),
        row(17, 0, 0, 0, 0, 0, 63),
        row(18, 0, 0, 0, 1),
        row(7, 0, 0),
        row(6, 0, 0, 0, 0, 3, 2),
    ):
        with pytest.raises(GraphError):
            population(
                _engine.Int32Network(),
                [row(2), bad],
                params=[np.ones(1, I32)],
                initial=[np.zeros(1, I32)],
                tables=[np.zeros(3, I64)],
            )
    with pytest.raises(GraphError):
        population(
            _engine.Int32Network(),
            [row(2)],
            params=[np.ones(1, I32)],
            initial=[np.zeros(1, I32)],
            tables=[np.zeros(0, I64)],
        )


def sparse(indptr: list[int], targets: list[int], weights: int = 3, delays: list[int] | None = None) -> None:
    _engine.FloatNetwork().sparse(
        "s",
        [2],
        [4],
        np.asarray(indptr, I64),
        np.asarray(targets, I32),
        np.ones(weights, F32),
        None,
        None if delays is None else np.asarray(delays, I32),
        0,
        [0 if weights == 1 else 2, 1 if delays and len(delays) == 2 else 2],
    )


@pytest.mark.parametrize(
    ("scopes", "holds"), [([0, 2], 1), ([1, 2], 2), ([2, 2], 3), ([3, 2], 3), ([-1, 2], 1)]
)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_scope_says_how_many_weights_there_are(scopes: list[int], holds: int, count: int) -> None:
    arrays = np.asarray([0, 1, 3], np.uint8), np.asarray([0, 1, 2], np.uint16), np.ones(count, F32)
    make = partial(_engine.FloatNetwork().sparse, "s", [2], [4], *arrays, None, None, 0)
    if count == holds and scopes[0] in (0, 1, 2):
        make(scopes)
        return
    with pytest.raises(GraphError):
        make(scopes)


@pytest.mark.parametrize(
    "bad",
    [
        ([], [0, 1, 3], [0]),
        ([1, 2, 3], [0], [0]),
        ([1, 2, 3], [1, 3], [0]),
        ([1, 2, 3], [0, 10**6, 3], [0]),
        ([1, 2, 3], [0, -5, 3], [0]),
        ([3, 2, 1], [0, 3], [0]),
        ([1, 2, 3], [0, 1, 3], []),
        ([1, 2, 3], [0, 1, 3], [2]),
        ([1, 2, 3], [0, 1, 3], [-1]),
        ([1, 2, 3], [0, 1, 3], [0, 1]),
    ],
)
def test_hostile_drive_raises(bad: tuple[list[int], list[int], list[int]]) -> None:
    def poisson(thresholds: list[int], starts: list[int], table: list[int]) -> None:
        arrays = np.asarray(thresholds, np.uint32), np.asarray(starts, I32), np.asarray(table, I32)
        _engine.FloatNetwork().poisson("d", [3], *arrays, 0, 0, 1.0, False)

    poisson([1, 2, 3], [0, 1, 3], [0, 1, 0])
    with pytest.raises(GraphError):
        poisson(*bad)


@pytest.mark.parametrize(
    "bad",
    [
        ([0, 1], [0, 1, 2]),
        ([0, 1, 2, 3], [0, 1, 2]),
        ([1, 2, 3], [0, 1, 2]),
        ([0, 4, 3], [0, 1, 2]),
        ([0, -5, 3], [0, 1, 2]),
        ([0, 1, 2**40], [0, 1, 2]),
        ([0, 1, 3], [0, 1, 4]),
        ([0, 1, 3], [0, -1, 2]),
        ([0, 1, 3], [0, 1, 2], 2),
        ([0, 1, 3], [0, 1, 2], 3, [0, -1, 0]),
        ([0, 1, 3], [0, 1, 2], 3, [0, 2**30, 0]),
        ([0, 1, 3], [0, 1, 2], 3, [1]),
    ],
)
def test_hostile_rows_raise(bad: tuple[Any, ...]) -> None:
    sparse([0, 1, 3], [0, 1, 2])
    with pytest.raises(GraphError):
        sparse(*bad)


CONV: dict[str, Any] = {
    "name": "c",
    "inputs": [2, 5, 5],
    "out": [4, 3, 3],
    "weights": np.ones((4, 2, 3, 3), F32),
    "bias": None,
    "kernel": [3, 3],
    "stride": [1, 1],
    "padding": [0, 0, 0, 0],
    "dilation": [1, 1],
    "groups": 1,
    "exponent": 0,
}


@pytest.mark.parametrize(
    "changed",
    [
        {"out": [4, 4, 3]},
        {"out": [4, 9]},
        {"inputs": [2, 2, 2]},
        {"weights": np.ones(71, F32)},
        {"kernel": [0, 3]},
        {"kernel": [9, 3]},
        {"stride": [0, 1]},
        {"dilation": [-1, 1]},
        {"dilation": [2**31 - 1, 1]},
        {"padding": [-1, 1, 0, 0]},
        {"groups": 0},
        {"groups": 3},
        {"bias": np.ones(3, F32)},
        {"exponent": 63},
    ],
)
def test_hostile_convolutions_raise(changed: dict[str, Any]) -> None:
    _engine.FloatNetwork().conv(**CONV)
    with pytest.raises(GraphError):
        _engine.FloatNetwork().conv(**(CONV | changed))


def test_hostile_moves_pools_and_scales_raise() -> None:
    net = _engine.FloatNetwork()
    for make in (
        lambda: net.move("m", [[3]], [2], np.asarray([0, 3], I32)),
        lambda: net.move("m", [[3]], [2], np.asarray([0, -2], I32)),
        lambda: net.move("m", [], [2], np.zeros(2, I32)),
        lambda: net.move("m", [[3]], [2], np.zeros(3, I32)),
        lambda: net.move("m", [[2**16, 2**14], [2**16, 2**15]], [2], np.zeros(2, I32)),
        lambda: net.pool("m", [1, 4, 4], [1, 3, 2], [2, 2], [2, 2]),
        lambda: net.pool("m", [1, 4, 4], [1, 2, 2], [0, 2], [2, 2]),
        lambda: net.pool("m", [4], [2], [2, 2], [2, 2]),
        lambda: net.scale("m", [3], np.ones(2, F32), 0),
        lambda: net.linear("m", 3, [2], np.ones(5, F32), None, None, 0),
        lambda: net.linear("m", 0, [2], np.ones(0, F32), None, None, 0),
        lambda: net.linear("m", 3, [2], np.ones(6, F32), None, np.ones(4, I32), 0),
    ):
        with pytest.raises(GraphError):
            make()


def small_network() -> Any:
    net = _engine.FloatNetwork()
    net.input("x", [3], False)
    net.linear("w", 3, [2], np.ones((2, 3), F32), None, None, 0)
    net.output("y", [2])
    return net


@pytest.mark.parametrize(
    "edge",
    [
        (0, 1, 1, 0),
        (0, 1, -1, 0),
        (0, 1, 0, -1),
        (0, 1, 0, 2**20),
        (1, 1, 0, 0),
        (0, 5, 0, 0),
        (-1, 1, 0, 0),
        (2, 1, 0, 1),
        (0, 2, 0, 0),
    ],
)
def test_hostile_edges_raise(edge: tuple[int, int, int, int]) -> None:
    with pytest.raises(GraphError):
        small_network().connect(*edge)


def run_native(net: Any, steps: int, feeds: list[Any], recorded: list[int], **more: Any) -> Any:
    """A run of one sample on one thread, from its initial state unless told otherwise."""
    rest = {
        "traces": [],
        "begun": np.zeros(0, np.int64),
        "numbers": np.zeros(0, np.int64),
        "start": [],
        "end": [],
        **more,
    }
    return net.run(steps, 1, feeds, [(n, ALL) for n in recorded], threads=1, progress=None, **rest)


def test_an_unfinished_network_does_not_run() -> None:
    net = small_network()
    with pytest.raises(GraphError, match="port without edges"):
        net.seal()
    with pytest.raises(SimulationError, match="not finished"):
        run_native(net, 1, [], [])


@pytest.mark.parametrize(
    "feed",
    [
        ("dense", np.ones(5, F32), [], [], []),
        ("constant", np.ones(4, F32), [], [], []),
        ("spikes", np.ones(2, F32), [0, 2], [0, 0], [0, 3]),
        ("spikes", np.ones(2, F32), [0, 2], [0, 0], [1, 1]),
        ("spikes", np.ones(2, F32), [0, 2], [1, 0], [0, 0]),
        ("spikes", np.ones(2, F32), [0, 2], [-1, 0], [0, 0]),
        ("spikes", np.ones(2, F32), [0, 3], [0, 1], [0, 0]),
        ("spikes", np.ones(2, F32), [-1, 2], [0, 1], [0, 0]),
        ("spikes", np.ones(1, F32), [0, 2], [0, 1], [0, 0]),
        ("spikes", np.ones(2, F32), [0], [0, 1], [0, 0]),
    ],
)
def test_hostile_inputs_raise(feed: tuple[Any, ...]) -> None:
    net = small_network()
    net.connect(0, 1, 0, 0)
    net.connect(1, 2, 0, 0)
    net.seal()
    kind, values, *places = feed
    arrays = [np.asarray(a, t) for a, t in zip(places, (I64, I32, I32), strict=True)]
    with pytest.raises(SimulationError):
        run_native(net, 2, [(kind, values, *arrays)], [])
    good = ("dense", np.ones(6, F32), np.zeros(0, I64), np.zeros(0, I32), np.zeros(0, I32))
    for recorded in ([3], [-1]):
        with pytest.raises(SimulationError):
            run_native(net, 2, [good], recorded)
    for neurons in ([-1], [2], [1, 0]):  # outside, or out of order
        some, none = [(2, np.array(neurons, I32))], np.zeros(0, I64)
        with pytest.raises(SimulationError):
            net.run(2, 1, [good], some, [], threads=1, progress=None, begun=none, numbers=none, start=[], end=[])
    outputs, _, _ = run_native(net, 2, [good], [])
    np.testing.assert_array_equal(outputs[0], np.full((2, 1, 2), 3.0))


def population_network() -> Any:
    """x (2) -> p (2), whose value an edge of delay 2 brings to the output; p keeps one state."""
    r = Recorder(("in",), ("v",), ())
    program = r.program(r.ops.spike(r.s.v - 1.0), [r.s.v + r.x[0]])
    graph = Graph(
        {"x": Input((2,)), "p": Population("t", program, {}, (2,)), "y": Output()},
        (Edge("x", "p"), Edge("p", "y", delay=2)),
    )
    return lower(graph).network


ONE = np.ones((1, 1), F32)


@pytest.mark.parametrize("seed", range(60))
def test_one_wrong_spike_among_many_is_found(seed: int) -> None:
    """0 to 200 spikes of 3 neurons, half of the runs with one number replaced: refused, or every spike arrives."""
    drawn = np.random.default_rng(seed)
    places = np.sort(drawn.choice(300, drawn.integers(0, 200), replace=False))
    step, neuron = (places // 3).astype(I32), (places % 3).astype(I32)
    value = drawn.choice([0, 1, 1, 2], len(places)).astype(F32) ** drawn.integers(0, 2)
    if seed % 2 and len(places):
        wrong = (step, neuron)[drawn.integers(2)]
        wrong[drawn.integers(len(places))] = drawn.choice([-(2**31), -1, 0, 1, 2, 3, 50, 2**31 - 1])
    pairs = list(zip(step.tolist(), neuron.tolist(), strict=True))
    sound = pairs == sorted(set(pairs)) and all(t >= 0 and 0 <= n < 3 for t, n in pairs)
    net = _engine.FloatNetwork()
    net.input("x", [3], False)
    net.output("y", [3])
    net.connect(0, 1, 0, 0)
    net.seal()
    feed = ("spikes", value, np.asarray([0, len(places)]), step, neuron)
    if not sound:
        with pytest.raises(SimulationError):
            run_native(net, 100, [feed], [])
        return
    (output,), counters, _ = run_native(net, 100, [feed], [])
    wanted = np.zeros((100, 1, 3), F32)
    on = step < 100
    wanted[step[on], 0, neuron[on]] = value[on]
    np.testing.assert_array_equal(output, wanted)
    assert counters[0].spikes == np.count_nonzero(wanted)


@pytest.mark.parametrize(
    "more",
    [
        {"traces": [(9, -1, 0, ALL, 1, np.zeros(4, F32))]},
        {"traces": [(1, -1, 1, ALL, 1, np.zeros(4, F32))]},
        {"traces": [(1, 1, -1, ALL, 1, np.zeros(4, F32))]},
        {"traces": [(1, -1, -1, ALL, 1, np.zeros(4, F32))]},
        {"traces": [(0, -1, 0, ALL, 1, np.zeros(4, F32))]},
        {"traces": [(1, -1, 0, ALL, 1, np.zeros(3, F32))]},
        {"traces": [(1, -1, 0, ALL, 0, np.zeros(4, F32))]},
        {"traces": [(1, -1, 0, ALL, -1, np.zeros(4, F32))]},
        {"traces": [(1, -1, 0, np.array([2], I32), 1, np.zeros(2, F32))]},
        {"traces": [(1, -1, 0, np.array([-1], I32), 1, np.zeros(2, F32))]},
        {"traces": [(1, -1, 0, np.array([1], I32), 1, np.zeros(1, F32))]},
        {"begun": np.array([-1])},
        {"begun": np.array([1, 1])},
        {"begun": np.array([1]), "numbers": np.array([1, 1])},
        {"start": [(1, None, [np.zeros((1, 2), F32)])]},  # without the steps that lie behind
        {"begun": np.array([3]), "start": [(7, None, [])]},
        {"begun": np.array([3]), "start": [(-1, None, [])]},
        {"begun": np.array([3]), "start": [(1, np.zeros((1, 3, 2), F32), [])]},  # the ring holds two
        {"begun": np.array([3]), "start": [(1, np.zeros((1, 3), F32), [])]},
        {"begun": np.array([3]), "start": [(0, np.zeros((1, 1, 2), F32), [])]},  # nobody reads it later
        {"begun": np.array([3]), "start": [(0, None, [np.zeros((1, 2), F32)])]},
        {"begun": np.array([3]), "start": [(1, None, [np.zeros((1, 3), F32)])]},
        {"begun": np.array([3]), "start": [(1, None, [np.zeros((1, 2), F32)] * 2)]},
        {"end": [(1, None, [np.zeros((1, 5), F32)])]},
        {"end": [(1, None, [np.zeros((1, 2), F32)] * 2)]},
        {"end": [(2, None, [np.zeros((1, 2), F32)])]},
    ],
)
def test_hostile_states_and_records_raise(more: dict[str, Any]) -> None:
    good = ("dense", np.ones(4, F32), np.zeros(0, I64), np.zeros(0, I32), np.zeros(0, I32))
    with pytest.raises(SimulationError):
        run_native(population_network(), 2, [good], [], **more)
    begun, start = more.get("begun", np.zeros(0, I64)), more.get("start", [])
    if "start" in more or "begun" in more:
        with pytest.raises(SimulationError):
            population_network().live(1, begun, more.get("numbers", np.zeros(0, I64)), start)
    if "end" in more:
        with pytest.raises(SimulationError):
            population_network().live(1, np.zeros(0, I64), np.zeros(0, I64), []).save(more["end"])


def long_run() -> tuple[engine.Engine, Dense]:
    rng = np.random.default_rng(0)
    return engine.prepare(leaky(2000, cut=False), threads=2), Dense(
        (rng.random((20_000, 4, 5)) < 0.5).astype(F32)
    )


def test_progress_is_told_and_can_stop_the_run() -> None:
    run, x = long_run()
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run(x, 20_000, progress=stop)
    assert told and told[0][1] == 4
    short = Dense(x.values[:50])
    wanted = reference.simulate(run.graph, short, 50)  # the workers that were stopped start afresh
    np.testing.assert_array_equal(
        run(short, 50, progress=lambda *done: told.append(done)).output, wanted.output
    )
    assert told[-1] == (4, 4)


def test_control_c_stops_the_run() -> None:
    run, x = long_run()
    # started in the background of a shell, Python would leave the signal ignored, and the run would never end
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.2, _thread.interrupt_main).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            for _ in range(1000):
                run(x, 20_000)
    finally:
        signal.signal(signal.SIGINT, before)


def test_quiet_blocks_sleep_and_nobody_can_tell() -> None:
    rng = np.random.default_rng(1)
    values = (rng.random((60, 2, 5)) < 0.5).astype(F32)
    values[10:50] = 0
    graph = leaky(1500)
    got, wanted = (
        engine.prepare(graph)(Dense(values), 60, ["p"]),
        reference.simulate(graph, Dense(values), 60, ["p"]),
    )
    np.testing.assert_array_equal(got.output, wanted.output)
    assert got.counts["p"].semantic() == wanted.counts["p"].semantic()
    assert got.counts["p"].updates_skipped > 2 * 1500 * 30


def test_a_constant_is_computed_once() -> None:
    graph, values = leaky(), np.random.default_rng(2).random((3, 5)).astype(F32)
    got, wanted = engine.prepare(graph)(Constant(values), 40), reference.simulate(graph, Constant(values), 40)
    np.testing.assert_array_equal(got.output, wanted.output)
    counts = got.counts["w"]
    assert counts.semantic() == wanted.counts["w"].semantic()
    assert counts.cached_operations == counts.synaptic_operations * 39 // 40


def test_unknown_nodes_to_record_are_named() -> None:
    with pytest.raises(SimulationError, match="nobody"):
        engine.prepare(leaky())(Dense(np.zeros((1, 1, 5), F32)), 1, ["nobody"])


def test_any_number_of_threads_is_taken() -> None:
    from spikeflow.sim.engine import MOST_THREADS, prepare
    from tests.cli.conftest import small_network

    assert prepare(small_network().graph, 2**70).threads == MOST_THREADS
