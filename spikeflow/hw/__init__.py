"""Mapping onto neuromorphic chips: ``map_network(network, "loihi2", data)`` gives a `Mapping`."""

from spikeflow.hw.chips.chip import load
from spikeflow.hw.pipeline import map_network
from spikeflow.hw.tables.mapping import Mapping

__all__ = ["Mapping", "load", "map_network"]
