"""Opening any file that the commands write: a network, or a mapping rebuilt from its tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spikeflow.errors import FileError
from spikeflow.ir import file, store
from spikeflow.ir.preprocessing import Frames
from spikeflow.ir.record import Network
from spikeflow.samples import Samples
from spikeflow.sim.joined import taken

if TYPE_CHECKING:
    from spikeflow.events import Events
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
    """The samples in a file or folder, prepared as the network's record says; event recordings where it
    makes frames.

    A recording is one sample, each of a folder, in the order of their names, another.

    Raises
    ------
    FileError, DataError
        Where there are none, or they do not fit.
    """
    steps = network.inputs[0].preprocessing if len(network.inputs) == 1 else ()
    if not (steps and isinstance(steps[0], Frames)) or _holds_arrays(Path(path)):
        return taken(network, path)
    given = Path(path)
    found = sorted(p for p in given.iterdir() if p.is_file()) if given.is_dir() else [given]
    if not found:
        raise FileError(path, "holds no recordings", "a folder of event files")
    return taken(network, [_recording(network, each) for each in found])


def _holds_arrays(path: Path) -> bool:
    return path.suffix in (".npz", ".npy") or (path.is_dir() and any(path.glob("*.npy")))


def _recording(network: Network, path: Path) -> Events:
    """Events of a file; the sensor that a format has no place for is the one that the network looks at."""
    from spikeflow.datasets import read

    events = read(path)
    shape = network.record.input_shape or network.graph.shapes[network.graph.inputs[0]]
    if events.width is None and len(shape) == 3:
        return replace(events, width=shape[2], height=shape[1])
    return events
