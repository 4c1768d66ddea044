"""A network of rules, the same in every call, whose lowered form is kept in a file."""

from __future__ import annotations

from spikeflow.ir.graph import Graph
from spikeflow.ir.projections import FixedInDegree, Normal
from spikeflow.neurons import LIF
from spikeflow.populations import Populations, ms


def rule_network(size: int = 60, rate_hz: float = 300.0, bits: int = 8, seed: int = 1) -> Graph:
    """Random sources onto neurons that are joined at random; delays of 1 to 5 steps."""
    net = Populations(1e-3, seed, bits, 0.01 if bits else 1.0)
    net.enter("x", 20, rate_hz)
    net.add("n", LIF(0.9, 1.0), size)
    net.project("x", "n", FixedInDegree(4), Normal(0.4, 0.1), Normal(ms(2), ms(1), ms(1), ms(5)))
    net.project("n", "n", FixedInDegree(3), Normal(0.2, 0.1), ms(2))
    return net.graph(record=["n"])
