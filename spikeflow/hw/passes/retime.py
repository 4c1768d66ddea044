"""Pass: every connection gets a delay that the chip can carry, and every neuron wakes that much later.

Levels solve ``delay + level(target) - level(source) >= minimum of the chip``, and ``<= maximum``; a
connection takes that sum as its delay, a population its level as `start`. Every spike train is then the
original, shifted by its level. The levels are the smallest there are (longest paths), so a run grows by as
little as possible.

Source: Leiserson and Saxe, Retiming synchronous circuitry, Algorithmica 1991.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikeflow.errors import GraphError, HardwareError, Violation
from spikeflow.hw.chips.chip import Chip
from spikeflow.hw.passes.compose import is_composed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Node, Output, Population

MOST_ADDED = 16  # populations that an advice would add to one connection


@dataclass(frozen=True)
class Link:
    """A connection between two populations, or from an Input, or to an Output."""

    edge: Edge  # the edge that carries the spikes
    target: str
    low: int  # smallest delay of the edge that the chip can carry
    high: int | None
    own: int = 0  # longest delay within the node of synapses


@dataclass(frozen=True)
class _Bound:
    """level(later) >= level(earlier) + steps, because of `link`."""

    earlier: str
    later: str
    steps: int
    link: Link


def retime(graph: Graph, chip: Chip) -> Graph:
    """The composed graph with delays that the chip can carry; the same spikes, each population's `start`
    later.

    Raises
    ------
    HardwareError
        Where a loop is too short for the chip, or a delay too long; names the nodes.
    """
    if not is_composed(graph):
        raise GraphError(
            "graph", "is not composed, so its delays cannot be moved", "spikeflow.hw.passes.compose.compose"
        )
    links = _links(graph, chip)
    level = _levels(graph, links, chip)
    moved = {
        id(k.edge): replace(k.edge, delay=k.edge.delay + level[k.target] - level[k.edge.src]) for k in links
    }
    nodes: dict[str, Node] = {
        n: replace(node, start=node.start + level[n]) if isinstance(node, Population) else node
        for n, node in graph.nodes.items()
    }
    return replace(graph, nodes=nodes, edges=tuple(moved.get(id(e), e) for e in graph.edges))


def output_level(graph: Graph, name: str) -> int:
    """The step at which an Output of a retimed graph shows the first value: how much longer a run must be."""
    sources = [(e, graph.nodes[e.src]) for e in graph.inputs_of(name)]
    return min((e.delay + n.start for e, n in sources if isinstance(n, Population)), default=0)


def _links(graph: Graph, chip: Chip) -> list[Link]:
    ends = (Input, Population)
    return [_link(graph, chip, edge) for edge in graph.edges if isinstance(graph.nodes[edge.src], ends)]


def _link(graph: Graph, chip: Chip, edge: Edge) -> Link:
    node = graph.nodes[edge.dst]
    if isinstance(node, Output):
        return Link(edge, edge.dst, 0, None)
    (out,) = graph.outputs_of(edge.dst)
    own = np.asarray(delays if (delays := getattr(node, "delays", None)) is not None else 0, np.int64)
    from_input = isinstance(graph.nodes[edge.src], Input)
    low = chip.delays.from_input if from_input else chip.delays.minimum
    return Link(
        edge,
        out.dst,
        max(0, int(low.value) - int(own.min(initial=2**20))),
        int(chip.delays.maximum.value) - int(own.max(initial=0)),
        int(own.max(initial=0)),
    )


def _levels(graph: Graph, links: Sequence[Link], chip: Chip) -> Mapping[str, int]:
    lower, upper = _bounds(links)
    refused: list[Violation] = []
    while (found := _longest(graph, lower, graph.inputs))[1]:
        link = max((b.link for b in found[1]), key=lambda k: k.edge.delay)
        refused.append(_short_loop(found[1], link, chip, (graph, links)))
        lower = [b for b in lower if b.link is not link]
    if refused:
        raise HardwareError(chip.name, refused)
    while (found := _longest(graph, [*lower, *upper], graph.inputs))[1]:
        # one connection is at fault, the longest; others may carry only what that one pushes onto them
        link = max((b.link for b in found[1] if b in upper), key=lambda k: k.edge.delay + k.own)
        refused.append(_too_long(link, found[0], chip, (graph, links)))
        upper = [b for b in upper if b.link is not link]
    if refused:
        raise HardwareError(chip.name, refused)
    return found[0]


def _bounds(links: Sequence[Link]) -> tuple[list[_Bound], list[_Bound]]:
    """What the smallest and the largest delay of each connection say of the levels."""
    lower = [_Bound(k.edge.src, k.target, k.low - k.edge.delay, k) for k in links]
    upper = [_Bound(k.target, k.edge.src, k.edge.delay - k.high, k) for k in links if k.high is not None]
    return lower, upper


def _longest(
    graph: Graph, bounds: Sequence[_Bound], fixed: Sequence[str]
) -> tuple[dict[str, int], list[_Bound]]:
    """The smallest levels >= 0 within all bounds; or the bounds that cannot hold together (Bellman-Ford)."""
    level = dict.fromkeys(graph.nodes, 0)
    cause: dict[str, _Bound] = {}
    raised = ""
    for _ in range(len(graph.nodes) + 1):
        raised = ""
        for bound in bounds:
            wanted = level[bound.earlier] + bound.steps
            if wanted > level[bound.later]:
                level[bound.later], cause[bound.later], raised = wanted, bound, bound.later
                if raised in fixed:
                    return level, _chain(cause, raised)
        if not raised:
            return level, []
    return level, _chain(cause, raised)


def _chain(cause: Mapping[str, _Bound], name: str) -> list[_Bound]:
    """The bounds that lead to `name`, back to a node seen before or without a cause: the cycle itself if
    any.
    """
    seen: list[str] = []
    while name in cause and name not in seen:
        seen.append(name)
        name = cause[name].earlier
    on_cycle = seen[seen.index(name) :] if name in seen else seen
    return [cause[n] for n in reversed(on_cycle)]


def _short_loop(
    loop: Sequence[_Bound], link: Link, chip: Chip, case: tuple[Graph, Sequence[Link]]
) -> Violation:
    names = [b.later for b in loop]
    need, have = sum(b.link.low for b in loop), sum(b.link.edge.delay for b in loop)
    delay = link.edge.delay + need - have
    return Violation(
        names[0],
        f"a loop through {', '.join(names)} of {have} step(s) in all",
        f"at least {need} steps, {int(chip.delays.minimum.value)} for each connection",
        _where_it_helps(f"a delay of {delay} steps from {link.edge.src} to {link.target}", link, delay, case),
    )


def _too_long(
    link: Link, level: Mapping[str, int], chip: Chip, case: tuple[Graph, Sequence[Link]]
) -> Violation:
    most, alone = int(chip.delays.maximum.value), link.edge.delay + link.own
    delay = alone + max(0, level[link.target] - level[link.edge.src])
    if alone > most:
        need, shorter = f"a delay of {alone} step(s) from {link.edge.src} to {link.target}", most - link.own
        text = f"a delay of {shorter} step(s) at most there" if shorter >= 0 else ""
        hint = _where_it_helps(text, link, shorter, case)
    else:
        need = (
            f"a delay of {max(delay, most + 1)} step(s) or more from {link.edge.src} to {link.target}, "
            "its own and those that let paths of different length meet"
        )
        hint = _more_populations(link, case, most)
    return Violation(link.edge.dst, need, f"{most} steps on {chip.title}", hint)


def _where_it_helps(text: str, link: Link, delay: int, case: tuple[Graph, Sequence[Link]]) -> str:
    """The advice, if the levels can be solved (for this connection) with another delay of its edge; else
    none.
    """
    graph, links = case
    if not text or delay < 0:
        return ""
    changed = replace(link, edge=replace(link.edge, delay=delay))
    return text if _solves(graph, links, link, changed) else ""


def _more_populations(link: Link, case: tuple[Graph, Sequence[Link]], most: int) -> str:
    """How many populations more on the way of a connection would let it meet the longer paths."""
    graph, links = case
    for count in range(1, MOST_ADDED + 1):
        high = None if link.high is None else link.high + count * most
        if _solves(graph, links, link, replace(link, high=high)):
            return f"{count} population(s) more between {link.edge.src} and {link.target}"
    return ""


def _solves(graph: Graph, links: Sequence[Link], link: Link, changed: Link) -> bool:
    """Whether a connection, changed, is no longer at fault; the levels may be solved or fail at another."""
    new = [changed if k is link else k for k in links]
    lower, upper = _bounds(new)
    while True:
        _, loop = _longest(graph, [*lower, *upper], graph.inputs)
        if not loop:
            return True
        if any(b.link is changed for b in loop):
            return False
        if any(b in upper for b in loop):
            upper = [b for b in upper if b not in loop]
        else:
            lower = [b for b in lower if b not in loop]
