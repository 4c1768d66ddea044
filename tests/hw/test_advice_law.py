"""Law: whatever a refusal advises helps: applied to the network, what was refused is refused no more.

Every advice is read from the text of the refusal, as a user would read it, and applied by the code below, which shares
nothing with ``hw.advice``. An advice of a kind that is not known here fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import HardwareError, SpikeflowError, Violation
from spikeflow.hw.chips.chip import NAMES, Chip, Fact, load
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.rules import check_rules
from spikeflow.hw.pipeline import map_network
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import LINEAR_KINDS, Input, Linear, Node, Output, Population
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import IF, LIF, CubaLIF, Integrator, TwoPointLIF

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")


def drawn(seed: int) -> Graph:
    """2 to 6 layers of 2 to 30 neurons of any model and reset, delays of 0 to 80 on 30 % of the edges, skips, loops,
    biases, a current or spikes, at times a read-out that is read on or a layer without one."""
    rng = np.random.default_rng(seed)
    nodes: dict[str, Node] = {"x": Input((6,), ["spikes", "current"][rng.integers(2)])}
    edges: list[Edge] = []
    sources, depth = ["x"], int(rng.integers(2, 7))
    for k in range(depth):
        name, size, reset = f"p{k}", int(rng.integers(2, 31)), ["zero", "subtract"][rng.integers(2)]
        model: Any = [
            IF(1.0, reset),
            LIF(0.9, 1.0, reset),
            CubaLIF(0.5, 0.9, 1.0, reset),
            TwoPointLIF(),
            Integrator(),
        ][rng.choice(5, p=[0.3, 0.3, 0.25, 0.1, 0.05])]
        nodes[name] = model.node((size,))
        for source in {sources[-1], sources[rng.integers(len(sources))]}:
            _join(rng, nodes, edges, (source, name, model.inputs[0]))
        if rng.random() < 0.25:
            _join(rng, nodes, edges, (name, name, model.inputs[-1]), least=1)
        sources.append(name)
    nodes["readout"] = Integrator().node((3,))
    _join(rng, nodes, edges, (sources[-1], "readout", "in"))
    nodes["out"] = Output()
    edges.append(Edge("readout" if rng.random() < 0.9 else "readout<" + sources[-1], "out"))
    return Graph(nodes, tuple(edges))


def _join(
    rng: np.random.Generator,
    nodes: dict[str, Node],
    edges: list[Edge],
    ends: tuple[str, str, str],
    least: int = 0,
) -> None:
    source, target, port = ends
    sizes = [int(np.prod(nodes[n].shape)) for n in (target, source)]  # type: ignore[union-attr]
    bias = rng.normal(0, 0.1, sizes[0]).astype(np.float32) if rng.random() < 0.3 else None
    name = f"{target}<{source}"
    nodes[name] = Linear(rng.normal(0, 0.3, sizes).astype(np.float32), bias)
    delay = least + (int(rng.integers(0, 81)) if rng.random() < 0.15 else 0)
    edges += [Edge(source, name, delay=delay), Edge(name, target, port)]


# --- applying what a text says ---


def _reset(graph: Graph, node: str, _: re.Match[str]) -> Graph:
    cells = graph.nodes[node]
    assert isinstance(cells, Population)
    makers: dict[str, Callable[..., Any]] = {"IF": IF, "LIF": LIF, "CubaLIF": CubaLIF}
    return graph.with_nodes({node: makers[cells.model](**dict(cells.params), reset="zero").node(cells.shape)})


def _spikes(graph: Graph, node: str, _: re.Match[str]) -> Graph:
    return graph.with_nodes({node: replace(graph.nodes[node], kind="spikes")})  # type: ignore[type-var]


def _delay(graph: Graph, node: str, found: re.Match[str]) -> Graph:
    steps = int(found[1])
    return replace(graph, edges=tuple(replace(e, delay=steps) if e.dst == node else e for e in graph.edges))


def _loop(graph: Graph, node: str, found: re.Match[str]) -> Graph:
    steps, source, target = int(found[1]), found[2], found[3]
    via = f"{target}<{source}"
    return replace(graph, edges=tuple(replace(e, delay=steps) if e.dst == via else e for e in graph.edges))


def _no_bias(graph: Graph, node: str, _: re.Match[str]) -> Graph:
    into = [e.src for e in graph.inputs_of(node) if isinstance(graph.nodes[e.src], LINEAR_KINDS)]
    return graph.with_nodes({n: replace(graph.nodes[n], bias=None) for n in into})  # type: ignore[type-var]


def _spiking(graph: Graph, node: str, _: re.Match[str]) -> Graph:
    return graph.with_nodes({node: IF().node(graph.shapes[node])})


def _plain(graph: Graph, node: str, _: re.Match[str]) -> Graph:
    nodes = {**graph.nodes, node: LIF(reset="zero").node(graph.shapes[node])}
    edges = [replace(e, port="in") if e.dst == node else e for e in graph.edges]
    return replace(graph, nodes=nodes, edges=tuple(edges))


def _integrator(graph: Graph, node: str, _: re.Match[str]) -> Graph:
    (edge,) = graph.inputs_of(node)
    nodes = {**graph.nodes, "added": Integrator().node(graph.shapes[edge.src])}
    edges = [e for e in graph.edges if e is not edge]
    return replace(graph, nodes=nodes, edges=(*edges, replace(edge, dst="added"), Edge("added", node)))


def _more(graph: Graph, node: str, found: re.Match[str]) -> Graph:
    """So many spiking populations, each joined by an identity, on the way into a node of synapses."""
    (edge,) = graph.inputs_of(node)
    nodes, edges, last = dict(graph.nodes), [e for e in graph.edges if e is not edge], edge.src
    for i in range(int(found[1])):
        size = int(np.prod(graph.shapes[edge.src]))
        nodes[f"added {i}"], nodes[f"joins {i}"] = (
            LIF(1.0, 1.0, "zero").node((size,)),
            Linear(np.eye(size, dtype=np.float32)),
        )
        edges += [
            Edge(last, f"joins {i}", delay=edge.delay if i == 0 else 0),
            Edge(f"joins {i}", f"added {i}"),
        ]
        last = f"added {i}"
    return replace(graph, nodes=nodes, edges=(*edges, Edge(last, node)))


def _fewer(graph: Graph, node: str, found: re.Match[str]) -> Graph:
    """All but so many weights of every neuron become 0, over all of its synapses."""
    left, changed = np.full(int(np.prod(graph.shapes[node])), int(found[1])), {}
    for edge in graph.inputs_of(node):
        synapses = graph.nodes[edge.src]
        assert isinstance(synapses, Linear)
        weight = np.array(synapses.weight)
        kept = (weight != 0) & (np.cumsum(weight != 0, axis=1) <= left[:, None])
        left = left - kept.sum(axis=1)
        changed[edge.src] = replace(synapses, weight=(weight * kept).astype(np.float32))
    return graph.with_nodes(changed)


APPLY: dict[str, Callable[[Graph, str, re.Match[str]], Graph]] = {
    r"--reset zero": _reset,
    r"--input rate, or --input onoff.*": _spikes,
    r"a delay of (\d+) step\(s\) at most there": _delay,
    r"a delay of (\d+) steps from (\S+) to (\S+)": _loop,
    r"training without this bias": _no_bias,
    r"a spiking population in its place": _spiking,
    r"a LIF that resets to zero in its place, trained again": _plain,
    r"an Integrator as the read-out": _integrator,
    r"(\d+) population\(s\) more between .*": _more,
    r"at most (\d+) inputs for each neuron": _fewer,
}


def refusals(graph: Graph, chip: Chip, chips: int = 1) -> tuple[Violation, ...]:
    return check_rules(adapt(compose(graph), chip), chip, chips)


def check_advice(graph: Graph, chip: Chip, violation: Violation) -> int:
    """Apply each advice of a violation; returns how many there were."""
    advice = [a for a in violation.hint.split("; ") if a]
    for text in advice:
        chips = re.findall(r"--chip (\S+)", text)
        for name in chips:
            assert not refusals(graph, load(name.rstrip("."))), (text, violation)
        if chips:
            continue
        found = [(apply, m) for pattern, apply in APPLY.items() if (m := re.fullmatch(pattern, text))]
        assert len(found) == 1, f"an advice of no known kind: {text!r}"
        (apply, match), *_ = found
        after = refusals(apply(graph, violation.node, match), chip)
        gone = [v for v in after if v.node == violation.node and v.limit == violation.limit]
        assert not gone, (text, violation, gone)
    return len(advice)


@pytest.mark.parametrize("chip", NAMES)
def test_every_advice_helps(chip: str) -> None:
    """150 networks; at least a hundred pieces of advice on loihi1, which refuses most."""
    table, given, refused = load(chip), 0, 0
    for seed in range(150):
        try:
            graph = compose(drawn(seed))
        except SpikeflowError:
            continue  # a bias that would begin late, or a state that is added to spikes: no network at all
        for violation in refusals(graph, table):
            refused += 1
            given += check_advice(graph, table, violation)
    assert refused >= 40 and given >= (100 if chip == "loihi1" else 20), (refused, given)


@pytest.mark.parametrize("seed", range(12))
def test_inputs_of_one_neuron(seed: int) -> None:
    """Chips of little room: 20 to 200 axons and 2,000 to 20,000 bits a core, layers of 50 to 400 inputs."""
    rng = np.random.default_rng(seed)
    chip = load(NAMES[seed % 3])
    room = int(chip.memory.overhead.value) + int(rng.integers(2_000, 20_000))
    memory = replace(chip.memory, limit=replace(chip.memory.limit, value=room))
    chip = replace(chip, axons_in=Fact(int(rng.integers(20, 201)), "test"), memory=memory)
    size = int(rng.integers(50, 401))
    nodes = {
        "x": Input((size,)),
        "w": Linear(np.ones((3, size), np.float32)),
        "p": CubaLIF(0.0, 0.9).node((3,)),
        "out": Output(),
    }
    graph = Graph(nodes, (Edge("x", "w"), Edge("w", "p"), Edge("p", "out")))
    for violation in refusals(graph, chip):
        assert check_advice(graph, chip, violation) or "at most" not in violation.hint


@pytest.mark.parametrize("seed", range(10))
def test_the_chips_that_are_advised_are_enough(seed: int) -> None:
    """Chips of 2 to 6 tiles of 1 to 4 cores, 3 to 20 neurons, 4,000 to 30,000 bits and 40 to 4,096 axons a core;
    one layer of 30 to 300 neurons. Whatever limit binds, the number advised is taken, and one less is not."""
    rng = np.random.default_rng(seed)
    base = load(["loihi2", "spinnaker2"][seed % 2])
    room = int(base.memory.overhead.value) + int(rng.integers(4_000, 30_001))
    memory = replace(base.memory, limit=replace(base.memory.limit, value=room))
    tiles, each = int(rng.integers(2, 7)), int(rng.integers(1, 5))
    grid = replace(base.grid, columns=Fact(tiles, "t"), rows=Fact(1, "t"), cores_per_tile=Fact(each, "t"))
    chip = replace(
        base,
        grid=grid,
        memory=memory,
        neurons=Fact(int(rng.integers(3, 21)), "t"),
        axons_in=Fact(int(rng.choice([40, 100, 4096])), "t"),
        axons_out=Fact(int(rng.choice([60, 400, 4096])), "t"),
    )
    size = int(rng.integers(30, 301))
    draw = lambda *s: (rng.normal(0.1, 0.3, s) * (rng.random(s) < 0.5)).astype(np.float32)  # noqa: E731
    nodes = {
        "x": Input((20,)), "w": Linear(draw(size, 20)), "p": LIF(0.9).node((size,)), "v": Linear(draw(3, size) * (rng.random((3, size)) < 0.2)),
        "readout": Integrator().node((3,)), "out": Output(),
    }  # fmt: skip
    edges = [Edge(*e) for e in [("x", "w"), ("w", "p"), ("p", "v"), ("v", "readout"), ("readout", "out")]]
    net = Network(Graph(nodes, tuple(edges)), RunRecord(6, "spikes", readout="readout", input_shape=(20,)))
    x = (rng.random((6, 6, 20)) < 0.3).astype(np.float32)
    try:
        mapping = map_network(net, chip, x, accept_loss=True)
    except HardwareError as error:
        advised = re.search(r"--chips (\d+)", str(error))
        if advised is None:
            assert "--chips" not in str(error)
            return
        wanted = int(advised[1])
        mapping = map_network(net, chip, x, chips=wanted, accept_loss=True)
        assert mapping.layout.chips == wanted > 1
        with pytest.raises(HardwareError, match=f"--chips {wanted}"):
            map_network(net, chip, x, chips=wanted - 1, accept_loss=True)
    assert mapping.cores_used <= mapping.layout.chips * chip.grid.cores


def test_a_delay_is_blamed_on_its_own_connection() -> None:
    """A chain of 2 to 8 populations with one delay of 10 to 80 at a random place: no other connection is named."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        depth, name = int(rng.integers(2, 9)), NAMES[seed % 3]
        nodes: dict[str, Node] = {"x": Input((4,))}
        edges, at = [], int(rng.integers(depth))
        for k in range(depth):
            nodes[f"w{k}"], nodes[f"p{k}"] = Linear(np.ones((4, 4), np.float32)), CubaLIF(0.0, 0.9).node((4,))
            delay = int(rng.integers(10, 81)) if k == at else 0
            edges += [Edge(f"p{k - 1}" if k else "x", f"w{k}", delay=delay), Edge(f"w{k}", f"p{k}")]
        nodes["out"] = Output()
        graph = Graph(nodes, (*edges, Edge(f"p{depth - 1}", "out")))
        assert {v.node for v in refusals(graph, load(name))} <= {f"w{at}"}
