"""Mapping: a network on chips, core by core, as a device would load it; the truth about a mapped run."""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from spikeflow.hw.tables.check import check_mapping
from spikeflow.hw.tables.rebuild import Rebuilt, rebuild
from spikeflow.hw.tables.records import MappingTables
from spikeflow.ir.graph import Graph
from spikeflow.ir.record import Network


@dataclass(frozen=True, eq=False)
class Mapping(MappingTables):
    """Everything that chips and host load, and nothing else: a mapped run is rebuilt from this alone.

    Raises
    ------
    GraphError
        Where the tables contradict each other: an axon that nothing reaches, a route that leads nowhere, a
        weight outside its format, a neuron that is missing or there twice.
    """

    def __post_init__(self) -> None:
        check_mapping(self)

    def __repr__(self) -> str:
        used = f"{len(self.cores)} cores on {self.chips} chips"
        return f"Mapping({self.chip!r}, {used}, {self.neurons} neurons)"

    def as_graph(self) -> Graph:
        """The fixed graph that these tables compute, outputs in their original order; see
        ``hw.tables.rebuild``.
        """
        return self._rebuilt.graph

    @property
    def core_of(self) -> abc.Mapping[str, int]:
        """The core of each population and each set of synapses of the rebuilt graph."""
        return self._rebuilt.core_of

    @property
    def part_of(self) -> abc.Mapping[str, str]:
        """The population or projection of the network that each node of the rebuilt graph is a part of."""
        return self._rebuilt.part_of

    @cached_property
    def _rebuilt(self) -> Rebuilt:
        return rebuild(self)

    def as_network(self) -> Network:
        """The rebuilt graph with the run record, which names the first slice of a read-out that was cut."""
        slices = self._rebuilt.slices.get(self.record.readout)
        return Network(self.as_graph(), replace(self.record, readout=slices[0]) if slices else self.record)

    @property
    def level(self) -> int:
        """The steps by which a run is longer than what is read of it: until the last read-out wakes."""
        ends = [np.cumsum([len(s.neurons) for s in core.slices]) for core in self.cores]
        starts = [np.array([s.start for s in core.slices]) for core in self.cores]
        found = 0
        for table in self.outputs:
            for core in np.unique(table.core):
                slot = np.searchsorted(ends[core], table.neuron[table.core == core], side="right")
                found = max(found, int(starts[core][slot].max()))
        return found

    @property
    def cores_used(self) -> int:
        """Number of cores that hold neurons."""
        return len(self.cores)

    @property
    def chips(self) -> int:
        """Number of chips that hold a core."""
        return len({core.chip for core in self.cores})

    @property
    def neurons(self) -> int:
        """Number of neurons on all cores."""
        return sum(core.neurons for core in self.cores)

    @property
    def synapses(self) -> int:
        """Number of synapse words on all cores."""
        return sum(len(core.axons.weight) for core in self.cores)
