"""Opening any file that the commands write: a network, or a mapping rebuilt from its tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikeflow.cli import pictures, recordings
from spikeflow.errors import FileError
from spikeflow.ir import file, store
from spikeflow.ir.preprocessing import FIRST
from spikeflow.ir.record import Network
from spikeflow.samples import Samples
from spikeflow.sim.joined import taken

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
    """The chip of a mapping: one of ours, or the module that the user names; never one that the file
    names.
    """
    from spikeflow.report.network.hardware import chip_of

    return chip_of(mapping, name)


def network(path: str) -> Network:
    """The network in a file; that of a mapping is rebuilt from its tables alone."""
    return mapping(path).as_network() if kind_of(path) == "mapping" else file.read(path)


def samples(network: Network, path: str) -> Samples:
    """The samples in a file or folder, prepared as the network's record says; recordings where it begins
    with such: see `cli.recordings`; pictures of an idx file.

    Raises
    ------
    FileError, DataError
        Where there are none, or they do not fit.
    """
    if pictures.is_idx(Path(path)):
        return taken(network, pictures.read(Path(path)))
    steps = network.inputs[0].preprocessing if len(network.inputs) == 1 else ()
    if not (steps and isinstance(steps[0], FIRST)) or recordings.holds_arrays(Path(path)):
        return taken(network, path)
    return taken(network, recordings.read(network, steps[0], Path(path)))
