"""Every reader of strangers' files by name, each as one call on a path."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from spikeflow.convert.load.network_file import load
from spikeflow.datasets import read
from spikeflow.datasets.fetch.unpack import unpack
from spikeflow.datasets.stored import idx, png, wave
from spikeflow.datasets.stored.pickled_arrays import load_pickled
from spikeflow.flows import recipe_file
from spikeflow.hw.tables.file import read_mapping
from spikeflow.ir import file
from spikeflow.readers import read_neuroml, read_sonata
from spikeflow.samples import read_npz
from spikeflow.sim import prepare
from spikeflow.sim.checkpoint import Checkpoint
from spikeflow.sim.record_file import read_records
from spikeflow.sim.state import State
from tests.files.rule_network import rule_network
from tests.readers.test_sonata import circuit


def pickled(path: Path) -> Any:
    """A data set that its makers pickled."""
    return load_pickled(path.read_bytes(), path)


def unpacked(path: Path) -> None:
    """An archive of a data set."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, Path(folder))


def lowered(path: Path) -> Any:
    """A lowered network, as far as the engine takes it, and a few steps of a run."""
    return prepare(rule_network(), threads=1, lowered=path)({}, 5)


def neuroml(path: Path) -> Any:
    """A network in NeuroML's HDF5."""
    return read_neuroml(path, 1e-4).graph()


def sonata(path: Path) -> Any:
    """A SONATA circuit whose edges are a stranger's."""
    with tempfile.TemporaryDirectory() as folder:
        config = circuit(Path(folder) / "c")
        shutil.copy(path, config.parent / "edges.h5")
        return read_sonata(config, 1e-4).graph()


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
    "lowered": lowered,
    "neuroml": neuroml,
    "sonata": sonata,
    "idx": idx.read_idx,
    "wave": wave.read_wave,
    "picture": png.read_png,
    "archive": unpacked,
    "recipe": recipe_file.read,
}
