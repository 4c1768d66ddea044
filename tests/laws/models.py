"""Every neuron model with parameters worth testing; a model missing here fails `test_models.test_all_covered`."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output
from spikeflow.neurons import IF, LIF, CubaLIF, Integrator, NeuronModel, TwoPointLIF

SIZE = 7


def _spread(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, SIZE, dtype=np.float32)


CASES: tuple[NeuronModel, ...] = (
    IF(),
    IF(reset="zero"),
    IF(threshold=_spread(0.3, 1.2)),
    LIF(),
    LIF(decay=_spread(0, 1), reset="subtract"),
    LIF.from_tau(0.01, 1e-3),
    CubaLIF(),
    CubaLIF(decay_current=_spread(0.1, 0.9), reset="subtract"),
    CubaLIF.from_tau(5e-3, 1e-2, 1e-3),
    TwoPointLIF(),
    TwoPointLIF(gain=3.0, reset="subtract"),
    TwoPointLIF(bap=0.4, back_propagation=True),
    TwoPointLIF.from_tau(0.01, 0.02, 1e-3, gain=0.0),
    Integrator(),
)


def label(model: NeuronModel) -> str:
    """A test's name for a case."""
    return f"{model.name}-{getattr(model, 'reset', 'none')}-{CASES.index(model)}"


def read_by(model: NeuronModel) -> list[str]:
    """The parameters that the model's step reads; `bap` only with back-propagation."""
    return [n for n in model.params() if n != "bap" or getattr(model, "back_propagation", False)]


def ranges(model: type[NeuronModel]) -> dict[str, tuple[float, float]]:
    """The declared range of each parameter."""
    return {f.name: (f.metadata["low"], f.metadata["high"]) for f in fields(model) if "param" in f.metadata}


def lone_graph(model: NeuronModel) -> Graph:
    """One current Input for each port, the population, an Output."""
    nodes = {port: Input((SIZE,), "current") for port in model.inputs}
    edges = [Edge(port, "cells", port) for port in model.inputs]
    return Graph({**nodes, "cells": model.node((SIZE,)), "out": Output()}, (*edges, Edge("cells", "out")))


def currents(model: NeuronModel, steps: int, samples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random currents ``(T, B, N)`` for each port, silent for a while in the middle."""
    draw = np.random.default_rng(seed)
    found = {port: draw.normal(0.2, 0.6, (steps, samples, SIZE)).astype(np.float32) for port in model.inputs}
    for x in found.values():
        x[steps // 3 : steps // 2] = 0
    return found
