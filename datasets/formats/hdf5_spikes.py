"""The HDF5 of the Heidelberg sets: many samples in one file, each with times in seconds and the units that
fired.

Source: https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/. Data sets ``spikes/times`` and
``spikes/units`` of rows of any length, ``labels``, and where known ``extra/speaker`` and ``extra/keys``
(names of the labels).
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from spikeflow.datasets.formats import hdf5_file
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.hdf5_open import open_hdf5
from spikeflow.typing import Array

CHANNELS = 700
LATEST_S = 1e6  # a sample's spikes lie within seconds


def is_spikes(file: h5py.File) -> bool:
    """Whether the file has this layout."""
    parts = (hdf5_file.member(file, f"spikes/{name}") for name in ("times", "units"))
    return all(isinstance(part, h5py.Dataset) for part in parts)


class SpikeFile:
    """Samples of one file, opened; ``[i]`` gives `Events` of 700 channels: x the unit, y 0, p 1.

    Times are rounded to the nearest microsecond (the file's float16 or float32 seconds are coarser for long
    samples). Spikes of a sample are put in order of time where they are not; those of one time keep their
    order.

    Parameters
    ----------
    path : of the file.

    Attributes
    ----------
    labels : int64, ``(samples,)``.
    speakers : int64, ``(samples,)``, or None where the file does not say.
    keys : names of the labels, or none.

    Raises
    ------
    FileError
        Where the file is damaged or has another layout.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        try:
            with hdf5_file.damage(self.path):
                self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        if not is_spikes(self._file):
            raise FileError(self.path, "no spikes/times and spikes/units", "the files of SHD or SSC")
        self._times = hdf5_file.checked(hdf5_file.member(self._file, "spikes/times"), self.path)
        self._units = hdf5_file.checked(hdf5_file.member(self._file, "spikes/units"), self.path)
        count = len(self._times)
        labels = self._column("labels", count)
        if labels is None or len(self._units) != count:
            raise FileError(
                self.path, f"{count} rows of times, {len(self._units)} of units, and not as many labels"
            )
        self.labels: Array = labels
        self.speakers: Array | None = self._column("extra/speaker", count)
        self.keys: tuple[str, ...] = self._names()

    def __len__(self) -> int:
        return len(self._times)

    def __getitem__(self, i: int) -> Events:
        if not 0 <= i < len(self):
            raise DataError(f"{self.path}: sample", i, f"0 to {len(self) - 1}")
        with hdf5_file.damage(self.path):  # rows may be of anything
            t = np.asarray(hdf5_file.rows(self._times, i, i + 1, self.path)[0], np.float64)
            x = np.asarray(hdf5_file.rows(self._units, i, i + 1, self.path)[0])
        if t.shape != x.shape or x.dtype.kind not in "iu":
            raise FileError(self.path, f"sample {i} has {t.size} times and {x.size} units of type {x.dtype}")
        if t.size and not (np.abs(t) < LATEST_S).all():
            raise FileError(self.path, f"sample {i} has a time that is none")
        if x.size and not (int(x.min()) >= 0 and int(x.max()) < CHANNELS):
            raise FileError(self.path, f"sample {i} has units of {x.min()} to {x.max()}, of {CHANNELS}")
        flat = np.zeros(t.size, np.uint16)
        return Events.sorted(np.rint(t * 1e6).astype(np.int64), x, flat, flat + 1, width=CHANNELS, height=1)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _column(self, name: str, count: int) -> Array | None:
        dataset = hdf5_file.member(self._file, name)
        if dataset is None:
            return None
        if dataset.shape != (count,) or dataset.dtype.kind not in "iu":
            raise FileError(
                self.path, f"{name} is {dataset.dtype} of shape {dataset.shape}, not one number a sample"
            )
        return np.asarray(
            hdf5_file.rows(hdf5_file.checked(dataset, self.path), 0, count, self.path), np.int64
        )

    def _names(self) -> tuple[str, ...]:
        dataset = hdf5_file.member(self._file, "extra/keys")
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1 or len(dataset) > 1000:
            return ()
        values = hdf5_file.rows(hdf5_file.checked(dataset, self.path), 0, len(dataset), self.path)
        return tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values)
