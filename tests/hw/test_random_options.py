"""Integers of every model with options drawn at random: a mapping that runs the same in both engines, or a refusal by name.

Drawn, seeds 0 to 2 for each model: every choice (reset, convention, mode, law and the like), every whole number of
its range (refractory periods, orders, branches, levels up to 8), switches; parameters at their defaults or spread
over neurons within a fifth of them. Sixteen cells that feed back two steps later, behind a Linear for each port.
"""

from __future__ import annotations

import warnings
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import DataError, GraphError, HardwareError, SpikeflowWarning
from spikeflow.hw import map_network
from spikeflow.ir.activations import FUNCTIONS
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Node, Output
from spikeflow.neurons import Integrator, NeuronModel
from spikeflow.neurons.differences import DifferenceDecoder, DifferenceEncoder
from spikeflow.neurons.differential_if import DifferentialIF
from spikeflow.neurons.following import Following
from spikeflow.neurons.models import MODELS
from spikeflow.sim.classify import RunOptions, classify
from tests.hw import nets

CELLS, T = 16, 24
# models whose thresholds or scales ask for more current than the others
FOLLOWERS = [kind for kind in MODELS if issubclass(kind, Following)]
# what is drawn for each goes by its place, so what came later stands last
LATER = [DifferentialIF, DifferenceEncoder, DifferenceDecoder]
ORDER = sorted(MODELS, key=lambda kind: (kind in LATER, kind in FOLLOWERS))
STRONGER = {"AdLIF": 8, "SiLIF": 6, "Izhikevich": 12}


def drawn(kind: type[NeuronModel], draw: np.random.Generator) -> NeuronModel:
    """A model with options of its own; options that exclude each other are drawn anew."""
    for _ in range(200):
        options: dict[str, Any] = {}
        for f in fields(kind):
            if "allowed" in f.metadata:
                options[f.name] = str(draw.choice(f.metadata["allowed"]))
            elif "whole" in f.metadata:
                low, high = f.metadata["whole"]
                options[f.name] = int(draw.integers(low, min(high, 8) + 1))
            elif isinstance(f.default, bool):
                options[f.name] = bool(draw.random() < 0.4)
            elif "param" in f.metadata and draw.random() < 0.3:
                spread = np.asarray(f.default) * draw.uniform(0.8, 1.0, CELLS)
                options[f.name] = np.clip(spread, f.metadata["low"], f.metadata["high"])
        try:
            return kind(**options)
        except GraphError:
            continue
    raise AssertionError(f"no options for {kind.__name__}")


def network(model: NeuronModel, seed: int) -> Graph:
    """The cells between twelve inputs and a read-out; their own outputs reach their last port two steps later."""
    nodes: dict[str, Node] = {"x": Input((12,), "spikes"), "cells": model.node((CELLS,)), "out": Output()}
    edges = [Edge("cells", "back", delay=2), Edge("back", "cells", model.inputs[-1])]
    for index, port in enumerate(model.inputs):
        weight = (nets.normal(seed + index, CELLS, 12) * 0.3 + 0.15) * STRONGER.get(model.name, 1)
        nodes[f"w {port}"] = Linear(weight)
        edges += [Edge("x", f"w {port}"), Edge(f"w {port}", "cells", port)]
    nodes |= {"back": Linear(nets.normal(seed + 9, CELLS, CELLS) * 0.05), "v": Linear(nets.normal(seed + 8, 3, CELLS))}
    nodes["readout"] = Integrator().node((3,))
    return Graph(nodes, (*edges, Edge("cells", "v"), Edge("v", "readout"), Edge("readout", "out")))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("chip", ["loihi1", "loihi2", "spinnaker2"])
@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_options_are_mapped_or_refused_by_name(kind: type[NeuronModel], chip: str, seed: int) -> None:
    draw = np.random.default_rng([seed, ORDER.index(kind)])
    model = drawn(kind, draw)
    found = nets.network(network(model, seed), T, "spikes")
    x = (draw.random((12, T, 12)) < 0.3) * 1.0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SpikeflowWarning)  # of few samples
            mapping = map_network(found, chip, x, accept_loss=True).as_network()
    except (HardwareError, DataError) as error:
        assert "cells" in str(error), error
        # between two substeps a quadratic potential may go beyond every float, and no integer has room for it
        beyond = model.name == "Izhikevich" and isinstance(error, DataError) and "NaN or infinite" in str(error)
        assert beyond or not wanted_on(model, chip), error
        return
    assert wanted_on(model, chip)
    fixed, again = (classify(mapping, x, RunOptions(engine=e)).logits for e in ("cpp", "reference"))
    np.testing.assert_array_equal(fixed, again)
    floats = classify(found, x).logits
    # spikes that come back make more of a difference; found 0.987 to 1
    assert floats.std() > 0.1 and np.corrcoef(floats.ravel(), fixed.ravel())[0, 1] > 0.97


def wanted_on(model: NeuronModel, chip: str) -> bool:
    """Whether a chip takes the model in a hidden layer: what hands on spikes or few whole numbers by operations it has."""
    if chip == "loihi1":
        plain = model.name in ("LIF", "CubaLIF") and getattr(model, "refractory", 1) == 0
        return plain and model.choices()["reset"] == "zero" and model.choices()["convention"] == "raw"
    if isinstance(model, DifferentialIF):  # what it hands on is worth another share in every step
        return False
    if isinstance(model, Following):  # of smooth functions no chip has the division
        return FUNCTIONS[model.function].lines
    if model.name == "ILIF":  # the levels drawn here, up to 8, have an alphabet
        return model.alphabet != ""
    return model.program().spikes() and model.name != "AdEx"
