"""Which chip integers were made for, and which network a mapping came from: another one is refused by
digest.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

from spikeflow.errors import DataError, HardwareError, SpikeflowWarning, Violation
from spikeflow.hw.chips.chip import Chip
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir.graph import Graph
from spikeflow.ir.input_record import coded
from spikeflow.ir.integers import Integers
from spikeflow.ir.record import Network, RunRecord

UNKNOWN = "origin unknown"
SHOWN = 16  # characters of a digest that people see


def origin_of(graph: Graph) -> str:
    """Digest of the float graph that a graph is or was made from; empty where that is not known."""
    return graph.digest if graph.integers is None else graph.integers.origin


def for_chip(network: Network, chip: Chip, origin: str) -> Network:
    """The integer network, which from now on knows its chip and the network that it was made from."""
    integers = Integers(chip.name, chip.semantics, origin)
    return replace(network, graph=replace(network.graph, integers=integers))


def check_chip(graph: Graph, chip: Chip) -> None:
    """Raise HardwareError where the integers of a graph at stage fixed were made for another chip.

    Integers that do not say for which chip they were made are taken with a warning.
    """
    made = graph.integers
    if made is None:
        text = f"these integers do not say for which chip they were made; they are taken as {chip.name}'s"
        warnings.warn(text, SpikeflowWarning, stacklevel=4)
        return
    if made.chip == chip.name and made.semantics in ("", chip.semantics):
        return
    table = "" if made.chip != chip.name else " as it computed then"
    need, limit = (
        f"the arithmetic of {made.chip}{table}, for which its integers were made",
        f"that of {chip.name}",
    )
    hint = f"the float network that they were made from, with --chip {chip.name}"
    raise HardwareError(chip.name, [Violation("the network", need, limit, hint)])


def check_origin(network: Network, mapping: Mapping) -> None:
    """Raise DataError where a mapping was not made from this network; a mapping that does not say is told of.

    The graphs are compared by digest, and of the run record what gives a sample its meaning: coding, scale,
    readout.
    """
    if not mapping.origin:
        text = f"the mapping does not say from which network it was made ({UNKNOWN}): it may be another's"
        warnings.warn(text, SpikeflowWarning, stacklevel=3)
    elif mapping.origin not in (network.graph.digest, origin_of(network.graph)):
        raise DataError(
            "the mapping",
            f"one of the network {mapping.origin[:SHOWN]}",
            f"one of this network, {network.graph.digest[:SHOWN]}",
            "spikeflow map of this network",
        )
    ours, its = _meaning(network.record), _meaning(mapping.record)
    if ours != its:
        raise DataError("the mapping", f"one that is run with {its}", ours, "spikeflow map of this network")


def _meaning(record: RunRecord) -> str:
    """How samples enter, as text; what calibration saw is no part of it."""
    said = [coded(record.coding, record.scale)]
    for described in record.inputs:
        own = [coded(described.coding or record.coding, described.scale or record.scale)]
        own += [str(step) for step in described.preprocessing]
        if own != said[:1]:
            said.append(f"{described.node}: {', '.join(own)}")
    return "; ".join(said)
