"""State as a value: rows, equality, files that are refused, states of the wrong graph refused by name, and memory."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import DataError, FileError, SimulationError
from spikeflow.files import memory
from spikeflow.ir import store
from spikeflow.ir.arrays import Codes, Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Population
from spikeflow.ir.ops import Recorder
from spikeflow.neurons import LIF, CubaLIF
from spikeflow.sim import Constant, Dense, prepare, run
from spikeflow.sim.state import State
from tests.files.measured import measure
from tests.sim.test_cut import drawn, stretch

F32 = np.float32
ENGINES = pytest.mark.parametrize("engine", ["cpp", "reference"])


def network(weight: float = 0.5) -> Graph:
    """x -> linear (delays inside) -> cuba -> (an edge of delay 3) -> out."""
    nodes = {
        "x": Input((3,), "current"),
        "w": Linear(np.full((4, 3), weight, F32), delays=np.array([0, 1, 2])),
        "p": CubaLIF(decay_current=0.5, decay=0.9).node((4,)),
        "out": Output(),
    }
    return Graph(nodes, (Edge("x", "w"), Edge("w", "p", "in"), Edge("p", "out", delay=3)))


def ran(samples: int = 3, steps: int = 5) -> tuple[Graph, State]:
    graph = network()
    x = np.random.default_rng(1).normal(0, 1, (steps, samples, 3)).astype(F32)
    return graph, run(graph, Dense(x), steps).state


@ENGINES
def test_integers_without_neurons_go_on_from_a_state(engine: str) -> None:
    """What is still to arrive is held as integers, whatever nodes make the stage fixed."""
    weight, delays = Quantised(np.array([[5, -7], [3, 2**24 + 1]]), Fixed(32)), np.array([2, 3])
    nodes = {"x": Input((2,), "spikes"), "w": Linear(weight, delays=delays), "out": Output()}
    runner = prepare(Graph(nodes, (Edge("x", "w"), Edge("w", "out", delay=1))), engine)
    x = np.array([[1, 0], [0, 2**24 + 1], [2, 1], [-3, 0], [0, 1], [1, 1], [0, 0], [0, 0]])[:, None]
    whole = runner(Dense(x), 8)
    assert whole.output[5, 0, 0] == -7 * (2**24 + 1) + 2 * 5  # beyond what float32 holds
    with pytest.raises(DataError, match="fractions"):
        runner(Dense(x / 2), 8)
    for cut in range(1, 8):
        first = runner(Dense(x[:cut]), cut)
        assert first.state.arrived["w"].dtype == np.int64
        rest = runner(Dense(x[cut:]), 8 - cut, state=first.state)
        assert rest.output.dtype == np.int64
        np.testing.assert_array_equal(rest.output, whole.output[cut:])
        assert rest.state == whole.state


def test_its_parts() -> None:
    graph, state = ran()
    assert state.rows == 3 and state.steps.tolist() == [5, 5, 5] and state.sample.tolist() == [0, 1, 2]
    assert {n: set(held) for n, held in state.memory.items()} == {"p": {"u", "v"}}
    assert state.emitted["p"].shape == (3, 3, 4) and state.arrived["w"].shape == (3, 2, 3)
    assert (state.arrived["w"][:, 1, 1] == 0).all()  # read no more: its delay is 1
    assert (state.arrived["w"][:, 0, :2] == 0).any(axis=None) and state.arrived["w"][:, :, 2].all()
    assert state.graph == graph.digest and not state.memory["p"]["v"].flags.writeable


def test_equality_is_of_bits() -> None:
    _, state = ran()
    assert state == copy.deepcopy(state) == pickle.loads(pickle.dumps(state))
    with pytest.raises(TypeError):
        hash(state)
    v = state.memory["p"]["v"].copy()
    v[0, 0] = np.nextafter(v[0, 0], F32(9))
    assert state != changed(state, memory={"p": {**state.memory["p"], "v": v}})
    assert state != changed(state, steps=state.steps + 1) and state != changed(state, sample=state.sample + 1)
    assert state != changed(state, graph="0" * 64) and state != 3


def changed(state: State, **parts: Any) -> State:
    names = ("graph", "steps", "sample", "memory", "emitted", "arrived")
    return State(**{name: parts.get(name, getattr(state, name)) for name in names})


def test_rows_are_taken_and_joined() -> None:
    graph, state = ran()
    both = State.joined([state[2], State.initial(graph, 1), state[[0, 1]]])
    assert both.steps.tolist() == [5, 0, 5, 5] and both.emitted["p"].shape == (4, 3, 4)
    assert both[0] == state[2] and both[2:] == state[:2] and both[1] == State.initial(graph, 1)
    assert both[1].emitted["p"].shape == (1, 0, 4)  # nothing lies behind it
    for rows in ([], slice(0, 0)):
        with pytest.raises(DataError, match="rows of a state"):
            state[rows]
    with pytest.raises(IndexError):
        state[7]
    with pytest.raises(DataError, match="none"):
        State.joined([])
    with pytest.raises(DataError, match="different graphs"):
        State.joined([state, State.initial(network(0.25), 1)])


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("memory", lambda s: {"p": {"u": s.memory["p"]["u"]}}, "p.v"),
        ("memory", lambda s: {**s.memory, "q": s.memory["p"]}, "q.u"),
        ("memory", lambda s: {"p": {**s.memory["p"], "v": np.zeros((3, 5), F32)}}, "p.v"),
        ("emitted", lambda s: {}, r"p \(emitted\)"),
        ("emitted", lambda s: {"p": s.emitted["p"][:, :2]}, r"p \(emitted\)"),
        ("arrived", lambda s: {"w": s.arrived["w"][:, :, :2]}, r"w \(arrived\)"),
        ("graph", lambda s: "ab" * 32, "abab"),
    ],
)
@ENGINES
def test_what_does_not_fit_the_graph_is_refused_by_name(
    engine: str, part: str, value: Callable[[State], Any], words: str
) -> None:
    graph, state = ran()
    wrong = changed(state, **{part: value(state)})
    x = Constant(np.ones((3, 3), F32))
    with pytest.raises(DataError, match=words):
        wrong.check(graph)
    for go in (lambda r: r(x, 2, state=wrong), lambda r: r.begin(wrong)):
        with pytest.raises(DataError, match=words):
            go(prepare(graph, engine))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"steps": np.array([5.0, 5, 5])}, "steps"),
        ({"steps": np.array([5, 5])}, "one for each row"),
        ({"steps": np.array([5, -1, 5])}, "negative"),
        ({"steps": np.array([2, 2, 2])}, r"p"),  # a longer past than the run
        ({"steps": np.array([5, 1, 5])}, "before step 0"),
        ({"arrived": {"w": np.zeros((3, 2, 3))}}, "float64"),
        ({"arrived": {"w": np.zeros((3, 2, 3), np.int64)}}, "int64"),
        ({"arrived": {"w": np.zeros((2, 2, 3), F32)}}, "3 rows"),
        ({"arrived": {"w": [1.0]}}, "list"),
    ],
)
def test_what_can_be_no_state(parts: dict[str, Any], words: str) -> None:
    _, state = ran()
    with pytest.raises(DataError, match=words):
        changed(state, **parts)


@ENGINES
def test_numbers_of_samples_must_agree(engine: str) -> None:
    graph, state = ran()
    runner = prepare(graph, engine)
    with pytest.raises(DataError, match="2 samples, expected 3"):
        runner(Constant(np.ones((2, 3), F32)), 2, state=state)
    with pytest.raises(DataError, match="1 samples, expected 3"):
        runner.begin(state).advance(Constant(np.ones((1, 3), F32)), 2)
    with pytest.raises(DataError, match="0 samples"):
        runner.begin(0)
    with pytest.raises(SimulationError, match="0 steps"):
        runner.begin(3).advance(Constant(np.ones((3, 3), F32)), 0)


@ENGINES
def test_an_edge_that_reads_a_state(engine: str) -> None:
    """Late, so that the values of the state are part of the past; a state from the graph itself begins the run."""
    edges = tuple(replace(e, src_port="v") if e.dst == "out" else e for e in network().edges)
    graph = replace(network(), edges=edges)
    x = np.random.default_rng(5).normal(0, 1, (9, 2, 3)).astype(F32)
    wanted = run(graph, Dense(x), 9)
    state = State.initial(graph, 2)
    for first, last in ((0, 4), (4, 9)):
        state.check(graph)
        part = run(graph, Dense(x[first:last]), last - first, state=state, engine=engine)
        np.testing.assert_array_equal(part.output, wanted.output[first:last])
        state = part.state
    assert state == wanted.state
    with pytest.raises(DataError, match="graph"):
        state.check(network())


@ENGINES
def test_what_is_no_state_says_what_is(engine: str) -> None:
    graph, _ = ran()
    runner = prepare(graph, engine)
    result = runner(Constant(np.ones((1, 3), F32)), 2)
    for wrong in (result, "s.h5", {}):
        with pytest.raises(DataError, match="result.state"):
            runner(Constant(np.ones((1, 3), F32)), 2, state=wrong)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="result.state"):
            runner.begin(wrong)  # type: ignore[arg-type]
    assert result.state[np.int64(0)] == result.state


@ENGINES
def test_floats_for_integers_are_refused(engine: str) -> None:
    graph = integers()
    state = run(graph, Constant(np.ones((1, 1), np.int64)), 3, engine=engine).state
    floats = {"p": {"v": state.memory["p"]["v"].astype(F32)}}
    with pytest.raises(DataError, match=r"p\.v.*float32.*int64"):
        prepare(graph, engine)(Constant(np.ones((1, 1), np.int64)), 1, state=changed(state, memory=floats))


def integers(bits: int = 60) -> Graph:
    """v <- v + x, which is handed on: it leaves 32 bits when x is large."""
    r = Recorder(("in",), ("v",), ())
    v = r.ops.narrow(r.s.v + r.x[0], bits, "saturate", "v")
    node = Population("t", r.program(v, [v]), {}, (2,), 0, {}, {"v": Fixed(bits)})
    weight = Linear(Quantised(np.ones((2, 1), np.int32), Fixed(8)))
    return Graph(
        {"x": Input((1,)), "w": weight, "p": node, "y": Output()},
        (Edge("x", "w"), Edge("w", "p", "in"), Edge("p", "y")),
    )


@pytest.mark.parametrize("live", [False, True])
def test_integers_stay_exact_behind_larger_ones(live: bool) -> None:
    """A state of 2^40 cannot go on in 32 bits, however small the inputs that follow; all 64 bits are recorded."""
    r = Recorder(("in",), ("v",), ())
    v = r.ops.narrow(r.s.v + r.x[0], 24, "wrap", "v")
    node = Population("t", r.program(r.ops.spike(v - 5), [v]), {}, (2,), 0, {}, {"v": Fixed(24)})
    weight = Linear(Quantised(np.ones((2, 1), np.int32), Fixed(8)))
    small = Graph(
        {"x": Input((1,)), "w": weight, "p": node, "y": Output()},
        (Edge("x", "w", delay=1), Edge("w", "p", "in"), Edge("p", "y")),
    )
    for graph in (integers(), small):
        pieces = [np.full((2, 1, 1), x) for x in (1, 2**40 + 1, 3, -(2**41), 5)]
        record = ("p", "p.v", "p.in", "w")
        wanted = run(graph, Dense(np.concatenate(pieces)), 10, engine="reference", record=record)
        runner, state, found = prepare(graph), None, []
        going = runner.begin()
        for piece in pieces:
            one = (
                going.advance(Dense(piece), 2, record)
                if live
                else runner(Dense(piece), 2, record, state=state)
            )
            state = None if live else one.state
            found.append(one)
        for name in ("p.v", "p.in"):
            got = np.concatenate([one.recorded[name] for one in found])
            assert got.dtype == np.int64
            np.testing.assert_array_equal(got, wanted.recorded[name])
        for name in ("p", "w"):
            got = np.concatenate([one.recorded[name].dense() for one in found])
            assert got.dtype == np.int64
            np.testing.assert_array_equal(got, wanted.recorded[name].dense())
    assert abs(wanted.recorded["w"].value).max() == 2**41


@pytest.mark.parametrize("live", [False, True])
def test_sums_of_codes_hold_what_is_still_to_arrive(live: bool) -> None:
    """Graded spikes of 5000 that wait behind a delay meet small ones: the sums are wide enough for both."""
    nodes = {
        "x": Input((1,)),
        "w": Linear(Codes([[300], [-3]], 0.5), delays=np.array([[3], [1]])),
        "out": Output(),
    }
    graph = Graph(nodes, (Edge("x", "w", delay=2), Edge("w", "out")))
    pieces = [np.full((2, 1, 1), x, F32) for x in (1, 5000, 1, 3, 0, 0)]
    wanted = run(graph, Dense(np.concatenate(pieces)), 12, engine="reference")
    runner, state, found = prepare(graph), None, []
    going = runner.begin()
    for piece in pieces:
        one = going.advance(Dense(piece), 2) if live else prepare(graph)(Dense(piece), 2, state=state)
        state = None if live else one.state
        found.append(one.output)
    np.testing.assert_array_equal(np.concatenate(found), wanted.output)


# --- files ---


def test_a_file_holds_every_bit(tmp_path: Path) -> None:
    graph, state = ran()
    v = np.array([[np.inf, -np.inf, np.nan, 1e-40]] * 3, F32)
    odd = changed(state, memory={"p": {**state.memory["p"], "v": v}})
    for one in (state, odd, State.initial(graph, 2)):
        one.save(tmp_path / "s.h5")
        assert State.load(tmp_path / "s.h5") == one
    assert store.kind_of(tmp_path / "s.h5") == "state"


@pytest.mark.parametrize("seed", range(6))
def test_drawn_states_go_through_files(seed: int, tmp_path: Path) -> None:
    _, graph, given, _, at = drawn(seed, bool(seed % 2))
    state = run(graph, stretch(given, 0, at[1]), at[1]).state
    state.save(tmp_path / "s.h5")
    assert State.load(tmp_path / "s.h5") == state


def test_another_process_goes_on(tmp_path: Path) -> None:
    """It loads the state and the network's inputs, runs the rest, and saves: the same state as one whole run's."""
    graph = network()
    x = np.random.default_rng(3).normal(0, 1, (20, 2, 3)).astype(F32)
    whole = run(graph, Dense(x), 20, record=("p.v",))
    run(graph, Dense(x[:8]), 8).state.save(tmp_path / "a.h5")
    np.save(tmp_path / "x.npy", x[8:])
    code = (
        "import sys, numpy as np; from tests.sim.test_state import network; from spikeflow.sim import Dense, State, run;"
        "r = run(network(), Dense(np.load('x.npy')), 12, state=State.load('a.h5'), record=('p.v',));"
        "r.state.save('b.h5'); np.savez('b.npz', out=r.output, v=r.recorded['p.v'])"
    )
    root = str(Path(__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, env={"PYTHONPATH": root, "PATH": ""}
    )
    assert State.load(tmp_path / "b.h5") == whole.state
    rest = np.load(tmp_path / "b.npz")
    np.testing.assert_array_equal(rest["out"], whole.output[8:])
    np.testing.assert_array_equal(rest["v"], whole.recorded["p.v"][8:])


def refile(path: Path, change: Callable[[Any, list[Any]], None]) -> None:
    manifest, arrays = store.read(path, "state")
    arrays = list(arrays)
    change(manifest, arrays)
    store.write_whole(path, "state", manifest, arrays)


@pytest.mark.parametrize(
    "change",
    [
        lambda m, a: m.update(version=2),
        lambda m, a: m.update(more=1),
        lambda m, a: m.pop("graph"),
        lambda m, a: m.update(graph=3),
        lambda m, a: m.update(dtype="float64"),
        lambda m, a: m.update(arrays=[]),
        lambda m, a: m.update(arrays=m["arrays"][::-1]),
        lambda m, a: m["arrays"].__setitem__(2, ["memory", "p"]),
        lambda m, a: m["arrays"].__setitem__(2, ["other", "p", "u"]),
        lambda m, a: m["arrays"].__setitem__(2, m["arrays"][3]),
        lambda m, a: m["arrays"].__setitem__(2, ["memory", "p\x1b[0m", "u"]),
        lambda m, a: m["arrays"].__setitem__(2, 7),
        lambda m, a: a.__setitem__(0, a[0] - 9),
        lambda m, a: a.__setitem__(0, a[0].astype(np.float32)),
        lambda m, a: a.__setitem__(2, a[2][:1]),
        lambda m, a: a.__setitem__(2, a[2].astype(np.uint8)),
    ],
)
def test_files_that_are_no_states(tmp_path: Path, change: Callable[[Any, list[Any]], None]) -> None:
    _, state = ran()
    state.save(tmp_path / "s.h5")
    refile(tmp_path / "s.h5", change)
    with pytest.raises(FileError, match=r"s\.h5"):
        State.load(tmp_path / "s.h5")


def test_cut_off_and_foreign_files(tmp_path: Path) -> None:
    _, state = ran()
    path = tmp_path / "s.h5"
    state.save(path)
    data = path.read_bytes()
    for bad in (data[:-1], data[:100], b"", json.dumps({}).encode(), data[:900] + b"\1" + data[901:]):
        path.write_bytes(bad)
        with pytest.raises(FileError):
            State.load(path)
    with pytest.raises(FileError):
        State.load(tmp_path / "none.h5")


# --- live runs ---


@ENGINES
def test_an_unknown_record_lists_what_there_is(engine: str) -> None:
    graph, state = ran()
    for name in ("nobody", "p.w", "x.in", "p."):
        with pytest.raises(SimulationError, match=r"x, w, p, out"):
            run(graph, Constant(np.ones((1, 3), F32)), 1, engine=engine, record=(name,))


@ENGINES
def test_a_result_of_a_piece_holds_no_state(engine: str) -> None:
    graph, _ = ran()
    live = prepare(graph, engine).begin()
    piece = live.advance(Constant(np.ones((1, 3), F32)), 2)
    with pytest.raises(SimulationError, match=r"live\.state"):
        piece.state  # noqa: B018
    assert live.state().steps.tolist() == [2]
    runner = prepare(graph, engine)
    with pytest.raises(SimulationError, match="keep_state"):
        runner(Constant(np.ones((1, 3), F32)), 2, keep_state=False).state  # noqa: B018


def test_a_live_run_that_was_stopped_says_so() -> None:
    """Some rows have gone further than others: nothing true can follow."""
    graph = Graph(
        {"x": Input((2000,)), "p": LIF().node((2000,)), "y": Output()}, (Edge("x", "p"), Edge("p", "y"))
    )
    live = prepare(graph, threads=1).begin(4)

    def stop(done: int, samples: int) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError):
        live.advance(Constant(np.ones((4, 2000), F32)), 20000, progress=stop)
    for go in (live.state, lambda: live.advance(Constant(np.ones((4, 2000), F32)), 1)):
        with pytest.raises(SimulationError, match="amid a stretch"):
            go()


def test_states_that_there_is_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3,000 samples of a state of 100,000 values are 1.2 GB; without the state the run fits."""
    monkeypatch.setenv(memory.VARIABLE, "1G")
    nodes = {
        "x": Input((1,)),
        "w": Linear(np.ones((50_000, 1), F32)),
        "p": CubaLIF().node((50_000,)),
        "o": Linear(np.ones((1, 50_000), F32)),
        "y": Output(),
    }
    graph = Graph(nodes, (Edge("x", "w"), Edge("w", "p", "in"), Edge("p", "o"), Edge("o", "y")))
    x = Constant(np.zeros((3000, 1), F32))
    outcome = measure(lambda _: run(graph, x, 1, threads=1), tmp_path)
    assert outcome.ended == "refused" and "keep_state=False" in outcome.said and outcome.peak < 256 << 20


def test_a_long_delay_in_a_live_run() -> None:
    """The engine keeps no more of a delay than the run is long, and makes more room as it goes on."""
    graph = Graph({"x": Input((1,), "current"), "y": Output()}, (Edge("x", "y", delay=700),))
    x = np.arange(1, 1501, dtype=F32).reshape(1500, 1, 1)
    live = prepare(graph).begin()
    got = np.concatenate([live.advance(Dense(x[i : i + 50]), 50).output for i in range(0, 1500, 50)])
    np.testing.assert_array_equal(got.ravel(), np.concatenate([np.zeros(700), x.ravel()[:800]]))
    assert live.state() == run(graph, Dense(x), 1500, engine="reference").state
