"""Changed bytes anywhere in a file of another's network end in our own error, or in a network."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from spikeflow.errors import SpikeflowError
from tests.files.mutations import changed_bytes
from tests.files.readers import READERS
from tests.readers import test_neuroml, test_sonata


@pytest.mark.parametrize("kind", ["neuroml", "sonata"])
def test_changed_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    if kind == "neuroml":
        table = test_neuroml.rows((0, 1, 2.0, 1.5))
        path = test_neuroml.written(tmp_path / "n.nml.h5", table, test_neuroml.xml())
    else:
        path = test_sonata.circuit(tmp_path / "c").parent / "edges.h5"
    good, refused = path.read_bytes(), 0
    READERS[kind](path)
    for seed in (*range(60), 104, 318, 367):  # the last three are what h5py says in exceptions of its own
        (tmp_path / "x.h5").write_bytes(changed_bytes(good, random.Random(seed)))
        try:
            READERS[kind](tmp_path / "x.h5")
        except SpikeflowError:
            refused += 1
    assert refused > 20
