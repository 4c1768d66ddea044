"""Every reader of strangers' files by name, each as one call on a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikeflow.convert.load.network_file import load
from spikeflow.datasets import read
from spikeflow.datasets.stored.pickled_arrays import load_pickled
from spikeflow.hw.tables.file import read_mapping
from spikeflow.ir import file
from spikeflow.samples import read_npz


def pickled(path: Path) -> Any:
    """A data set that its makers pickled."""
    return load_pickled(path.read_bytes(), path)


READERS = {
    "samples": read_npz,
    "events": read,
    "network": file.read,
    "mapping": read_mapping,
    "torch": load,
    "pickle": pickled,
}
