"""docs/neurons.md lists every model as it is: states, ports, resets, the chips that take it, and its source.

A chip takes a model where the rules find nothing against a layer of it: between two layers of synapses, with spikes
at every port; one that hands on values as the read-out.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from spikeflow.hw.chips.chip import NAMES, load
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.rules import check_rules
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Node, Output
from spikeflow.neurons import MODELS, Integrator, NeuronModel

PAGE = (Path(__file__).parent.parent / "docs/neurons.md").read_text()
ROWS = {
    cells[0]: cells[1:]
    for line in PAGE.splitlines()
    if (cells := [c.strip() for c in line.strip("|").split(" | ")])[0].startswith("`") and len(cells) == 7
}


def layer(model: NeuronModel) -> Graph:
    nodes: dict[str, Node] = {"x": Input((6,), "spikes"), "cells": model.node((4,)), "out": Output()}
    edges = []
    for port in model.inputs:
        nodes[f"to {port}"] = Linear(np.full((4, 6), 0.5, np.float32))
        edges += [Edge("x", f"to {port}"), Edge(f"to {port}", "cells", port)]
    last = "cells"
    if model.program().spikes():
        nodes |= {"on": Linear(np.full((3, 4), 0.5, np.float32)), "readout": Integrator().node((3,))}
        edges += [Edge("cells", "on"), Edge("on", "readout")]
        last = "readout"
    return Graph(nodes, (*edges, Edge(last, "out")))


def takes(model: NeuronModel) -> list[str]:
    graph = compose(layer(model))
    return [n for n in NAMES if not check_rules(adapt(graph, load(n)), load(n))]


def code(words: object) -> str:
    return ", ".join(f"`{w}`" for w in words)  # type: ignore[attr-defined]


def resets(model: type[NeuronModel]) -> str:
    field = model.__dataclass_fields__.get("reset")
    kinds = () if field is None else field.metadata["allowed"]
    return "-" if field is None else code(sorted(kinds, key=lambda k: k != field.default))


def row(model: type[NeuronModel]) -> list[str]:
    """What of a row follows from the model: states, ports, resets with the default first, chips."""
    made = model()
    return [code(made.states()), code(made.inputs), resets(model), ", ".join(takes(made)) or "none"]


def test_every_model_has_one_row_in_their_order() -> None:
    assert [*ROWS] == [f"`{m.__name__}`" for m in MODELS]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_the_row_says_what_the_model_is(model: type[NeuronModel]) -> None:
    equation, *cells, source = ROWS[f"`{model.__name__}`"]
    assert cells == row(model)
    assert "<-" in equation or "=" in equation
    # the docstring names the same source, wherever its lines break
    told = " ".join((model.__doc__ or "").split())
    assert all(part in told for part in re.split(r"; ", source) if part != "-"), source


def test_the_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    names: dict[str, object] = {}
    exec(example, names)
    assert names["scores"].shape == (8, 10)  # type: ignore[attr-defined]
    assert names["spikes"].shape == (100, 8, 32)  # type: ignore[attr-defined]
