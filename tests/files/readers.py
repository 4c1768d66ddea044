"""Every reader of strangers' files by name, each as one call on a path."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from spikeflow.convert.load.network_file import load
from spikeflow.datasets import read
from spikeflow.datasets.fetch.unpack import unpack
from spikeflow.datasets.stored import idx, png, wave
from spikeflow.datasets.stored.pickled_arrays import load_pickled
from spikeflow.hw.tables.file import read_mapping
from spikeflow.ir import file
from spikeflow.samples import read_npz
from spikeflow.sim.checkpoint import Checkpoint
from spikeflow.sim.record_file import read_records
from spikeflow.sim.state import State


def pickled(path: Path) -> Any:
    """A data set that its makers pickled."""
    return load_pickled(path.read_bytes(), path)


def unpacked(path: Path) -> None:
    """An archive of a data set."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, Path(folder))


READERS = {
    "samples": read_npz,
    "events": read,
    "network": file.read,
    "mapping": read_mapping,
    "torch": load,
    "pickle": pickled,
    "state": State.load,
    "checkpoint": Checkpoint.load,
    "records": read_records,
    "idx": idx.read_idx,
    "wave": wave.read_wave,
    "picture": png.read_png,
    "archive": unpacked,
}
