"""The network with what was learned."""

from __future__ import annotations

from dataclasses import replace

from spikeflow.errors import DataError
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Node
from spikeflow.ir.plastic import plastic_nodes
from spikeflow.sim.plastic import with_learnt
from spikeflow.sim.state import State


def with_weights(graph: Graph, state: State, row: int | None = None, *, learns: bool = True) -> Graph:
    """The network with the weights that it has learned so far.

    Parameters
    ----------
    state : behind a run of this graph, `Result.state`.
    row : whose weights, where the state has several rows, each of which learned for itself.
    learns : whether it goes on learning; False leaves the rules out, as for a chip.

    Raises
    ------
    DataError
        For a state of another graph, and where no row is said of several.
    """
    state.check(graph)
    if row is None and state.rows != 1:
        raise DataError("with_weights", f"a state of {state.rows} rows", "the row whose weights are meant")
    at = 0 if row is None else row
    if not -state.rows <= at < state.rows:
        raise DataError("with_weights: row", at, f"0 to {state.rows - 1}")
    changed: dict[str, Node] = {}
    for name, node, _ in plastic_nodes(graph):
        made = with_learnt(node, state.weights[name][at])
        changed[name] = made if learns else replace(made, plastic=None)
    return graph.with_nodes(changed)
