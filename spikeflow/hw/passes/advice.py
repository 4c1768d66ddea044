"""Advice: what a user can try against a violation, given only where it was tried here and the violation was
gone.

A rule yields a `Finding`: a violation with `Way`s out of it, each a text and the change that it means.
`broken` makes each change, asks the rule again, and keeps the texts of those that help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from spikeflow.errors import SpikeflowError, Violation
from spikeflow.hw.chips.chip import NAMES, Chip, load
from spikeflow.hw.passes.adapt import VARIANTS, adapt, reset_of
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Node, Population, Synaptic
from spikeflow.neurons.cuba_lif import CubaLIF
from spikeflow.neurons.iaf import IF
from spikeflow.neurons.integrator import Integrator
from spikeflow.neurons.model import NeuronModel

Rule = Callable[[Graph, Chip], Iterable[Violation]]


@dataclass(frozen=True)
class Way:
    """One thing to try: what to tell the user, and the graph after it."""

    text: str
    change: Callable[[Graph], Graph]


@dataclass(frozen=True)
class Finding(Violation):
    """A violation with what might help, the likeliest first."""

    ways: tuple[Way, ...] = ()


def broken(rules: Sequence[Rule], graph: Graph, chip: Chip) -> list[Violation]:
    """Every violation of the rules, with the advice that holds: changes of the network, or another chip of
    ours.
    """
    found = [(rule, v) for rule in (*rules, *chip.rules) for v in rule(graph, chip)]
    others = _other_chips(rules, graph, chip) if any(isinstance(v, Finding) for _, v in found) else ""
    return [_advised(v, rule, graph, chip, others) for rule, v in found]


def _advised(found: Violation, rule: Rule, graph: Graph, chip: Chip, others: str) -> Violation:
    if not isinstance(found, Finding):
        return found
    held = [way.text for way in found.ways if _helps(way, found.node, rule, graph, chip)]
    return Violation(found.node, found.need, found.limit, "; ".join((*held, *([others] if others else []))))


def _helps(way: Way, node: str, rule: Rule, graph: Graph, chip: Chip) -> bool:
    try:
        return all(v.node != node for v in rule(way.change(graph), chip))
    except SpikeflowError:
        return False


def _other_chips(rules: Sequence[Rule], graph: Graph, chip: Chip) -> str:
    """The chips of ours against which no rule speaks, as options of the command line; empty where there are
    none.
    """
    able = [name for name in NAMES if name != chip.name and _takes(rules, graph, load(name))]
    return " or ".join(f"--chip {name}" for name in able)


def _takes(rules: Sequence[Rule], graph: Graph, chip: Chip) -> bool:
    try:
        adapted = adapt(graph, chip)
        return not any(True for rule in (*rules, *chip.rules) for _ in rule(adapted, chip))
    except SpikeflowError:
        return False


# --- changes ---


def spikes_in(name: str) -> Callable[[Graph], Graph]:
    """The Input takes spikes instead of a current, as ``--input rate`` and ``--input onoff`` make it."""

    def change(graph: Graph) -> Graph:
        node = graph.nodes[name]
        assert isinstance(node, Input)
        return graph.with_nodes({name: replace(node, kind="spikes")})

    return change


def reset_to_zero(name: str) -> Callable[[Graph], Graph]:
    """The population's model with reset to zero."""

    def change(graph: Graph) -> Graph:
        node = graph.nodes[name]
        if not isinstance(node, Population) or reset_of(node) is None:
            return graph
        return graph.with_nodes({name: replace(node, program=VARIANTS[node.model]["zero"].program())})

    return change


def spiking_instead(name: str) -> Callable[[Graph], Graph]:
    """A spiking population in place of one that hands on its state."""
    return _in_place(name, IF())


def plain_instead(name: str) -> Callable[[Graph], Graph]:
    """A leaky neuron that every chip has in place of any other."""
    return _in_place(name, CubaLIF(0.0))


def _in_place(name: str, model: NeuronModel) -> Callable[[Graph], Graph]:
    """Another model in a population's place, whose one port takes what all ports took."""

    def change(graph: Graph) -> Graph:
        edges = tuple(replace(e, port="in") if e.dst == name else e for e in graph.edges)
        nodes: dict[str, Node] = {**graph.nodes, name: model.node(graph.shapes[name])}
        return replace(graph, nodes=nodes, edges=edges)

    return change


def read_by_integrators(name: str) -> Callable[[Graph], Graph]:
    """An Integrator before an Output, for everything that it reads and that is no population."""

    def change(graph: Graph) -> Graph:
        nodes: dict[str, Node] = dict(graph.nodes)
        edges: list[Edge] = []
        for edge in graph.edges:
            if edge.dst != name or isinstance(graph.nodes[edge.src], Population):
                edges.append(edge)
                continue
            new = _free(nodes)
            nodes[new] = Integrator().node(graph.shapes[edge.src])
            edges += [replace(edge, dst=new, port="in"), Edge(new, name, edge.port)]
        return replace(graph, nodes=nodes, edges=tuple(edges))

    return change


def _free(nodes: dict[str, Node]) -> str:
    return next(name for i in range(len(nodes) + 1) if (name := f"readout {i}") not in nodes)


def without_bias(name: str) -> Callable[[Graph], Graph]:
    """No bias in the synapses that reach a population."""

    def change(graph: Graph) -> Graph:
        into = {e.src: graph.nodes[e.src] for e in graph.inputs_of(name)}
        return graph.with_nodes(
            {n: replace(node, bias=None) for n, node in into.items() if isinstance(node, Synaptic)}
        )

    return change
