"""Samples of a data set as one `.npz`, x ``(N, T, *shape)`` and y: what convert, run and map take."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.datasets.base import Dataset
from spikeflow.datasets.loading.batch import collate
from spikeflow.errors import DataError
from spikeflow.files.write import replace_file
from spikeflow.ir.binning import Binning
from spikeflow.samples import Samples
from spikeflow.typing import Progress


def to_samples(
    dataset: Dataset[Any], binning: Binning, count: int | None = None, progress: Progress | None = None
) -> Samples:
    """The first `count` samples, all where None, as frames of counts; shorter ones end in zeros.

    Raises
    ------
    DataError
        Where there are no samples, or as `collate` does.
    """
    wanted = len(dataset) if count is None else min(count, len(dataset))
    chosen = []
    for i in range(wanted):
        chosen.append(dataset[i])
        if progress:
            progress(i + 1, wanted)
    batch = collate(chosen, binning)
    if not batch.x.size:
        raise DataError("frames", f"shape {batch.x.shape}", "at least one step", "--steps")
    return Samples(np.ascontiguousarray(batch.x.swapaxes(0, 1)), batch.labels)


def write_samples(path: str | Path, samples: Samples) -> None:
    """Write x and y, packed; the file is whole or not there.

    Raises
    ------
    FileError
        Where the file cannot be written.
    """
    packed = io.BytesIO()
    arrays = {"x": samples.x} if samples.y is None else {"x": samples.x, "y": samples.y}
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    replace_file(path, (packed.getvalue(),))
