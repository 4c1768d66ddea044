"""Mapping onto neuromorphic chips: ``map_network(network, "loihi2", data)`` gives a `Mapping`."""

from spikeflow.hw.chip import load
from spikeflow.hw.mapping import Mapping
from spikeflow.hw.pipeline import map_network

__all__ = ["Mapping", "load", "map_network"]
