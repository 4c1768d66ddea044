"""Law: a network that 2 to 4 ranks have among them gives, on each, the bits of one process: outputs, records, states, counts.

Networks of populations as `test_sharing` draws them (1 to 3 populations of 1 to 1,700 neurons, rules, constant and normal
delays of 1 to 20 steps, float32 and codes, spikes that enter, random drive, currents that stay or change, 1 or 2 samples),
listed synapses in floats and integers, and random graphs of every kind, which are refused by name or equal; 1 or 2 threads a rank.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from spikeflow.errors import DataError, GraphError, SimulationError
from spikeflow.events import Spikes
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Population, Procedural, Sparse
from spikeflow.ir.ops import Recorder
from spikeflow.ir.plastic import Plastic
from spikeflow.ir.projections import FixedInDegree, FixedTotal, Normal, OneToOne
from spikeflow.neurons import IF, LIF, LeakyIntegrator
from spikeflow.neurons.stdp import PairSTDP
from spikeflow.populations import Populations
from spikeflow.sim import prepare, reference, run
from spikeflow.sim.inputs import Constant
from spikeflow.sim.ranks.engine import RankEngine
from spikeflow.sim.ranks.exchange import Exchange
from spikeflow.sim.records import Probe
from spikeflow.sim.remembered import drawn_reach
from spikeflow.sim.result import Result
from tests.sim.test_cut import (
    FIXED,
    RARELY,
    SEEDS,
    assert_equal,
    drawn,
    everything,
    from_states,
    joined,
    stretch,
)
from tests.sim.test_sharing import a_network, entering
from tests.sim.threads_as_ranks import on_each, that_end_well


@pytest.mark.parametrize("bits", [0, 8, 16])
@pytest.mark.parametrize("seed", range(8))
def test_networks_of_populations(seed: int, bits: int) -> None:
    rng = np.random.default_rng([seed, bits, 7])
    graph, steps, samples = a_network(rng, bits), 45, int(rng.integers(1, 3))
    inputs = entering(rng, graph, steps, samples)
    at = [0, *sorted({int(c) for c in rng.integers(1, steps, 2)}), steps]
    record = [[], ["a"], everything(graph)][rng.integers(3)]
    ranks, threads = int(rng.integers(2, 5)), int(rng.integers(1, 3))
    slow = reference.prepare(graph)
    wanted = slow(inputs, steps, record)

    def work(exchange: Exchange) -> tuple[Any, ...]:
        here = RankEngine(graph, exchange, threads)
        whole = here(inputs, steps, record)
        turn = iter([here, slow, here])  # a state goes from ranks to the reference and back
        live = here.begin(samples)
        pieces = [
            live.advance(stretch(inputs, a, b), b - a, record) for a, b in zip(at, at[1:], strict=False)
        ]
        return whole, from_states(lambda: next(turn), inputs, at, record), joined(pieces), live.state()

    for whole, pieces, live, state in that_end_well(ranks, work):
        for got in (whole, pieces, live):
            assert_equal(got, wanted, record)
        assert whole.state == pieces.state == state == wanted.state


@FIXED
@given(seed=SEEDS)
@RARELY
def test_random_graphs_are_equal_or_refused(fixed: bool, seed: int) -> None:
    rng, graph, inputs, _, at = drawn(seed, fixed)
    record = everything(graph) if rng.random() < 0.5 else []
    wanted = reference.prepare(graph)(inputs, at[-1], record)

    def work(exchange: Exchange) -> Any:
        return RankEngine(graph, exchange, 1)(inputs, at[-1], record)

    found = on_each(int(rng.integers(2, 4)), work)
    if any(isinstance(one, BaseException) for one in found):
        assert len({str(one) for one in found}) == 1 and all(isinstance(one, GraphError) for one in found), (
            found
        )
        return
    for got in found:
        assert_equal(got, wanted, record)
        assert got.state == wanted.state


def _run_on(graph: Graph, inputs: Any, steps: int, exchange: Exchange) -> Result:
    return RankEngine(graph, exchange, 1)(inputs, steps)


def test_random_graphs_are_met_in_both_ways() -> None:
    met = Counter[bool]()
    for seed in range(40):
        _, graph, inputs, _, at = drawn(seed, bool(seed % 2))
        found = on_each(2, partial(_run_on, graph, inputs, at[-1]))
        met[isinstance(found[0], GraphError)] += 1
    assert met[True] >= 5 and met[False] >= 5, met


def listed(rng: np.random.Generator, fixed: bool) -> Graph:
    """Recurrent populations of 1,300 neurons, listed synapses with delays of their own, in floats or integers."""
    n, count = 1300, 9000
    target = rng.integers(0, n, count)
    indptr = np.sort(rng.integers(0, count + 1, n - 1))
    indptr = np.concatenate([[0], indptr, [count]])
    weights = rng.integers(-3, 6, count)
    weight: Any = (weights * rng.uniform(0.1, 0.3, count)).astype(np.float32)
    first: Any = weight[:n]
    if fixed:
        weight, first = Quantised(weights, Fixed(32)), Quantised(weights[:n], Fixed(32))
    nodes: dict[str, Any] = {
        "x": Input((n,), "spikes", Fixed(8) if fixed else None),
        "in": Sparse(np.arange(n + 1), rng.permutation(n), first, (n,), (n,)),
        "w": Sparse(
            indptr, target, weight, (n,), (n,), delays=rng.integers(0, 6, count), delay_scope="synapse"
        ),
        "a": _integers(n) if fixed else IF(1.0).node((n,)),
        "out": Output(),
    }
    edges = (Edge("x", "in"), Edge("in", "a"), Edge("w", "a"), Edge("a", "w", "in", 2), Edge("a", "out"))
    return Graph(nodes, edges)


def _integers(n: int) -> Population:
    recorder = Recorder(("in",), ("v",), ("threshold",))
    ops, p, s = recorder.ops, recorder.p, recorder.s
    v = ops.narrow(s.v + recorder.x[0], 8, "saturate", "v")
    out = ops.spike(v - p.threshold)
    program = recorder.program(out, [v - out * p.threshold])
    return Population("t", program, {"threshold": np.array(5, np.int32)}, (n,), 0, {}, {"v": Fixed(8)})


@FIXED
def test_listed_synapses(fixed: bool) -> None:
    rng = np.random.default_rng(3)
    graph, steps = listed(rng, fixed), 30
    dense = (rng.random((steps, 2, 1300)) < 0.1).astype(np.int64 if fixed else np.float32)
    inputs, record = Spikes.from_dense(dense), everything(graph)
    wanted = reference.prepare(graph)(inputs, steps, record)
    assert wanted.counts["a"].spikes > 1000
    for got in that_end_well(3, lambda exchange: RankEngine(graph, exchange, 2)(inputs, steps, record)):
        assert_equal(got, wanted, record)
        assert got.state == wanted.state


def balanced(*, readout: bool = False) -> Graph:
    """E and I of 1,600 and 400 neurons, driven, every kind of rule that depends on all targets among them."""
    net = Populations(1e-3, 5)
    for name, size in (("E", 1600), ("I", 400)):
        net.add(
            name, LIF(0.9, 1.0, "value", refractory=2), size, {"v": np.linspace(0, 1, size, dtype=np.float32)}
        )
        net.drive(f"{name} noise", name, 400.0, 0.3)
    net.enter("b", 300, 30.0)  # draws its own spikes, which are listed as well as summed
    net.project("E", "E", FixedInDegree(10), Normal(0.2, 0.05), Normal(4e-3, 2e-3, 2e-3, 9e-3))
    net.project("E", "I", FixedTotal(3000), 0.2, 3e-3)
    net.project("I", "E", FixedTotal(5000), -0.4, 2e-3)
    net.project("b", "E", FixedInDegree(3), 0.3, 2e-3)
    net.project("I", "I", OneToOne(), -0.2, 5e-3)
    graph = net.graph(record=["E", "I"])
    if not readout:
        return graph
    weight = np.random.default_rng(0).normal(0, 1, (4, 400)).astype(np.float32)
    more: dict[str, Any] = {"dense": Linear(weight), "slow": LeakyIntegrator(0.9).node((4,)), "y": Output()}
    edges = (Edge("I", "dense"), Edge("dense", "slow"), Edge("slow", "y"))
    return Graph({**graph.nodes, **more}, (*graph.edges, *edges), graph.dt)


def test_neurons_and_their_synapses_lie_on_one_rank_each() -> None:
    """The ranks' operations add up to those of one process, and each made only its own: no rank more than 0.6 of them."""
    graph, steps = balanced(), 60
    whole = prepare(graph, threads=1)({}, steps).counts["E.in"].accumulates

    def work(exchange: Exchange) -> tuple[int, tuple[int, int]]:
        here, said = RankEngine(graph, exchange, 1), dict[str, bytes]()
        gather = exchange.gather

        def heard(what: str, own: bytes) -> list[bytes]:
            said[what] = own
            return gather(what, own)

        exchange.gather = heard
        here({}, steps)
        lowered = here.engine.lowered(1, steps)
        accumulates = json.loads(said["counts"])[lowered.index["E.in"]][1]
        return accumulates, lowered.network.held(lowered.index["E"], exchange.rank, exchange.rank + 1)

    (first, held), (second, others) = that_end_well(2, work)
    assert first + second == whole > 1000 and max(first, second) < 0.7 * whole
    assert (held, others) == ((0, 1024), (1024, 1600))


@pytest.mark.parametrize("bits", [0, 8])
def test_a_rule_is_drawn_for_the_targets_of_a_rank_alone(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net, asked = Populations(1e-3, bits=bits, scale=0.01), list[tuple[int, int, int]]()
    net.add("n", LIF(0.9, 1.0, refractory=2), 1200)
    net.drive("noise", "n", 900.0, 0.4)
    net.project("n", "n", FixedInDegree(50), Normal(0.0, 0.02), Normal(3e-3, 1e-3, 2e-3, 9e-3))
    graph = net.graph(record=["n"])

    def drawn_here(node: Procedural, first: int, last: int) -> Any:
        asked.append((first, last, node.rows))
        return drawn_reach(node, first, last)

    monkeypatch.setattr("spikeflow.sim.remembered.drawn_reach", drawn_here)
    monkeypatch.setattr("spikeflow.sim.ranks.part.drawn_reach", drawn_here)
    results = that_end_well(2, lambda exchange: RankEngine(graph, exchange, 1)({}, 20))
    assert sorted(asked) == [(0, 600, 1200), (600, 1200, 1200)]
    assert_equal(results[0], prepare(graph, threads=1)({}, 20), [])


def test_a_readout_is_computed_by_each_rank() -> None:
    graph, steps = balanced(readout=True), 50
    wanted = prepare(graph, threads=1)({}, steps)
    for got in that_end_well(2, lambda exchange: RankEngine(graph, exchange, 1)({}, steps)):
        assert_equal(got, wanted, [])
        assert got.outputs["y"].any()


def test_what_was_exchanged_is_told() -> None:
    """Every spike goes to the other rank once, in words of 4 bytes, with a count for each population and step."""
    graph, steps = balanced(), 60
    results = that_end_well(2, lambda exchange: RankEngine(graph, exchange, 1)({}, steps))
    spikes = sum(results[0].counts[name].spikes for name in ("E", "I"))
    told = results[0].exchanged
    assert told is not None and told.ranks == 2
    assert told.exchanges == steps / 2, "the shortest delay is 2 steps"
    assert told.messages == 2 * told.exchanges
    assert told.bytes == 4 * spikes + 2 * (4 * 2 * steps + 4 * told.exchanges)
    assert told.biology_s == pytest.approx(0.06)
    assert "2 ranks: 30 exchanges, 60 messages" in str(
        results[0]
    ) and "a second of biology 1000 messages" in str(told)
    assert results[0].followed_by(results[1]).exchanged.exchanges == 60  # type: ignore[union-attr]


def test_probes() -> None:
    """Some neurons, of one rank or of all, now and then; what is refused is named."""
    graph, steps = balanced(), 50
    probes = [
        Probe("E.v", [3, 1000, 1023, 1024, 1599], 7),
        Probe("I.v", [0], label="one"),
        Probe("E", [5, 1500], label="spikes"),
        Probe("E.v", every=9, label="all"),
    ]
    wanted = prepare(graph, threads=1)({}, steps, probes)
    names = [probe.key for probe in probes]
    for got in that_end_well(3, lambda exchange: RankEngine(graph, exchange, 1)({}, steps, probes)):
        assert_equal(got, wanted, names)
    found = on_each(2, lambda exchange: RankEngine(graph, exchange, 1)({}, steps, [Probe("E.in", [3])]))
    assert all(
        isinstance(one, SimulationError) and "E.in: is recorded of some neurons" in str(one) for one in found
    ), found


def test_a_chain_without_delay_is_exchanged_in_every_step() -> None:
    """Spikes that arrive in the step in which they are made."""
    rng = np.random.default_rng(1)
    n = 1100
    weight = rng.uniform(0.2, 0.9, n).astype(np.float32)

    def one_to_one() -> Sparse:
        return Sparse(np.arange(n + 1), rng.permutation(n), weight, (n,), (n,))

    nodes = {
        "x": Input((n,), "spikes"),
        "w": one_to_one(),
        "a": LIF(0.9).node((n,)),
        "u": one_to_one(),
        "b": LIF(0.9).node((n,)),
        "out": Output(),
    }
    names = list(nodes)
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False)))
    x = Spikes.from_dense((rng.random((20, 1, n)) < 0.6).astype(np.float32))
    wanted = reference.prepare(graph)(x, 20, ["a"])
    assert wanted.counts["b"].spikes > 100
    for got in that_end_well(3, lambda exchange: RankEngine(graph, exchange, 1)(x, 20, ["a"])):
        assert_equal(got, wanted, ["a"])
        assert got.exchanged.exchanges == 40


def refused(graph: Graph) -> str:
    found = on_each(2, lambda exchange: RankEngine(graph, exchange, 1))
    assert all(isinstance(one, GraphError) for one in found) and len({str(one) for one in found}) == 1, found
    return str(found[0])


def test_what_cannot_be_cut_is_refused_by_name() -> None:
    graph = balanced()
    summed = Graph({**graph.nodes, "y": Output()}, (*graph.edges, Edge("E.in", "y")), graph.dt)
    assert "y: reads sums of E.in" in refused(summed)
    dense = {"x": Input((4,), "current"), "w": Linear(np.eye(4, dtype=np.float32)), "out": Output()}
    assert "network: is no population" in refused(Graph(dense, (Edge("x", "w"), Edge("w", "out"))))
    image = {"x": Input((2, 3), "current"), "a": LIF(0.9).node((2, 3)), "out": Output()}
    assert "a: is no population" in refused(Graph(image, (Edge("x", "a"), Edge("a", "out"))))
    learning = Linear(
        np.full((4, 4), 0.5, np.float32), plastic=Plastic(PairSTDP(0.05, 0.06).plasticity(), "a")
    )
    nodes = {"x": Input((4,), "spikes"), "w": learning, "a": LIF(0.9).node((4,)), "out": Output()}
    assert "w: learns" in refused(Graph(nodes, (Edge("x", "w"), Edge("w", "a"), Edge("a", "out"))))


def test_ranks_that_are_asked_different_things_hear_of_it() -> None:
    graph = balanced()
    found = on_each(2, lambda exchange: RankEngine(graph, exchange, 1)({}, 20 + exchange.rank))
    assert all(isinstance(one, SimulationError) and "has another run" in str(one) for one in found), found
    other = Populations(1e-3)
    other.add("E", LIF(0.9), 600)
    found = on_each(2, lambda exchange: RankEngine(other.graph() if exchange.rank else graph, exchange, 1))
    assert all(isinstance(one, SimulationError) and "has another graph" in str(one) for one in found), found


def test_long_probes_that_differ_in_the_middle_alone_are_told_apart() -> None:
    many = Populations(1e-3)
    many.add("E", LIF(0.9), 4000)
    graph = many.graph()

    def work(exchange: Exchange) -> None:
        left_out = 1500 + exchange.rank
        neurons = [n for n in range(3000) if n != left_out]
        RankEngine(graph, exchange, 1)({}, 5, record=(Probe("E.v", neurons),))

    found = on_each(2, work)
    assert all(isinstance(one, SimulationError) and "has another run" in str(one) for one in found), found


def test_an_error_of_one_rank_ends_all() -> None:
    graph = balanced()

    def work(exchange: Exchange) -> None:
        here = RankEngine(graph, exchange, 1)
        here({}, 10)
        if exchange.rank == 1:
            with exchange.together():
                raise MemoryError("no more room")
        here({}, 10)

    first, second, third = on_each(3, work)
    assert isinstance(second, MemoryError)
    for one in (first, third):
        assert isinstance(
            one, SimulationError
        ) and "rank 1: ended with an error: MemoryError: no more room" in str(one)


def test_an_error_amid_a_run_ends_all() -> None:
    """The engine of one rank is left by an error while the others wait for its spikes."""
    graph = balanced()

    def work(exchange: Exchange) -> None:
        here, calls = RankEngine(graph, exchange, 1), iter(range(100))

        def spikes(own: Any) -> Any:
            if exchange.rank == 1 and next(calls) == 7:
                raise RuntimeError("broken")
            return exchange.spikes(own)

        here.engine.process.exchange = spikes
        here({}, 60)

    first, second = on_each(2, work)
    assert isinstance(second, RuntimeError)
    assert isinstance(first, SimulationError) and "rank 1: ended with an error: RuntimeError: broken" in str(
        first
    )


def test_an_error_of_all_ranks_alike_leaves_them_whole() -> None:
    graph = balanced()

    def work(exchange: Exchange) -> Any:
        here = RankEngine(graph, exchange, 1)
        with pytest.raises(SimulationError, match="nothing that can be recorded"):
            here({}, 10, ["nobody"])
        return here({}, 10)

    wanted = prepare(graph)({}, 10)
    for got in that_end_well(2, work):
        assert_equal(got, wanted, [])


def test_processes_of_this_machine() -> None:
    """2 and 4 ranks that are processes: runs, live runs, states, errors, and an end."""
    graph, steps = balanced(), 40
    whole = prepare(graph, threads=1)
    wanted = whole({}, steps, ["E.v", "I"])
    for ranks in (2, 4):
        runner = prepare(graph, threads=1, ranks=ranks)
        got = runner({}, steps, ["E.v", "I"])
        assert_equal(got, wanted, ["E.v", "I"])
        assert got.state == wanted.state
        with pytest.raises(SimulationError, match="0 steps"):
            runner({}, 0)
        live = runner.begin(1)
        pieces = [live.advance({}, n, ["E.v", "I"]) for n in (15, 25)]
        assert_equal(joined(pieces), wanted, ["E.v", "I"])
        assert live.state() == wanted.state
        runner.close()  # type: ignore[attr-defined]
        with pytest.raises(SimulationError, match="rank 1: is gone"):
            runner({}, 1)
    assert_equal(run(graph, {}, steps, ranks=2), whole({}, steps), [])


def test_a_process_that_is_killed_ends_the_others() -> None:
    runner: Any = prepare(balanced(), threads=1, ranks=3)
    runner._others[1].kill()
    runner._others[1].wait()
    with pytest.raises(SimulationError, match="rank 2"):
        runner({}, 20)
        runner({}, 20)
    first, _ = runner._others
    runner.close()
    assert first.poll() is not None


def test_wrong_ranks() -> None:
    graph = balanced()
    for ranks in (0, -1, 1.5, "four", True, 1000):
        if ranks is not True:
            with pytest.raises(DataError, match="ranks"):
                prepare(graph, ranks=ranks)  # type: ignore[arg-type]
    with pytest.raises(SimulationError, match="reference"):
        prepare(graph, engine="reference", ranks=2)
    for wrong in ({"nobody": Constant(np.zeros((1, 3), np.float32))}, "x", {"a": 3}):
        with pytest.raises(DataError):
            run(graph, wrong, 5, ranks=2)  # type: ignore[arg-type]
