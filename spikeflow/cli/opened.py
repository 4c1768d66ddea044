"""Opening any file that the commands write: a network, or a mapping rebuilt from its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikeflow.errors import FileError
from spikeflow.ir import file, store
from spikeflow.ir.record import Network

if TYPE_CHECKING:
    from spikeflow.hw.chips.chip import Chip
    from spikeflow.hw.tables.mapping import Mapping

HINT = "a file written by spikeflow convert or spikeflow map"


def kind_of(path: str) -> str:
    """``network`` or ``mapping``."""
    kind = store.kind_of(path)
    if kind not in ("network", "mapping"):
        raise FileError(path, f"holds a {kind}" if kind else "is not a file that spikeflow wrote", HINT)
    return kind


def mapping(path: str) -> Mapping:
    """The mapping in a file."""
    from spikeflow.hw.tables.file import read_mapping

    return read_mapping(path)


def chip(mapping: Mapping, name: str | None) -> Chip:
    """The chip of a mapping: one of ours, or the module that the user names; never one that the file names."""
    from spikeflow.report.network.hardware import chip_of

    return chip_of(mapping, name)


def network(path: str) -> Network:
    """The network in a file; that of a mapping is rebuilt from its tables alone."""
    return mapping(path).as_network() if kind_of(path) == "mapping" else file.read(path)
