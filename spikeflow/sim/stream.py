"""Long records: written to an HDF5 file piece by piece while a live run goes on, so that memory stays that
of a piece.

::

    /                    attributes spikeflow ("records 1"), steps, samples
    /0, /1, ...          one group for each recorded name, which is its attribute "name"
        values           of a state or a port: (T, B, *shape), float32 or int64
        sample, step, neuron, value      of a node: its spikes, by piece; neuron is the C-order index into
        attribute "shape"

Any program that reads HDF5 reads it.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import h5py
import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError, FileError, SpikeflowWarning
from spikeflow.events import Spikes
from spikeflow.files.write import PathLike, drafted
from spikeflow.sim import Live
from spikeflow.sim.inputs import RunInputs
from spikeflow.sim.result import Counts
from spikeflow.sim.unbounded import Unbounded, in_run, later_found, merged, unbounded_warnings

Array = npt.NDArray[Any]
CHUNK = 1 << 20  # bytes that are written at once
COLUMNS = (("sample", np.int32), ("step", np.int64), ("neuron", np.int32))


def stream(
    path: PathLike, live: Live, pieces: Iterable[tuple[RunInputs, int]], record: Sequence[str]
) -> Mapping[str, Counts]:
    """Advance a live run through all pieces and write what is recorded to a file; the counts of all of them.

    Parameters
    ----------
    pieces : inputs, and for how many steps; made one after the other, they need no more memory than the
        largest.
    record : as for `spikeflow.sim.run`.

    Warns
    -----
    SpikeflowWarning
        For values beyond float32, as `spikeflow.sim.run` does.

    Raises
    ------
    FileError
        Where the file cannot be written, such as on a full disk; what was there before is then still there.
        The run stands behind the piece that could not be written.
    DataError
        Where nothing is recorded, or there are no pieces.
    """
    if not record:
        raise DataError("record", "nothing", "the names of nodes, states or ports")
    counts: dict[str, Counts] = {}
    states: tuple[Unbounded, ...] = ()
    values: list[Unbounded] = []
    done = 0
    with drafted(path) as draft, _opened(path, draft.file) as writer:
        for inputs, steps in pieces:
            found = live.advance(inputs, steps, record)
            counts = {n: c + counts[n] if n in counts else c for n, c in found.counts.items()}
            writer.append({name: found.recorded[name] for name in record}, steps, found.samples)
            states = later_found(states, found.unbounded, done)
            values += [u.later(done) for u in in_run({**found.outputs, **found.recorded})]
            done += steps
        if not counts:
            raise DataError("pieces", "none", "at least one")
    for text in unbounded_warnings((*states, *merged(values))):
        warnings.warn(text, SpikeflowWarning, stacklevel=2)
    return counts


class _Careful(io.RawIOBase):
    """A file as the HDF5 library may have it: the library does not survive an error, so it never sees one."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        if self.failure is None:
            try:
                self.file.write(data)
                self.file.flush()
            except OSError as error:
                self.failure = error
        return len(data)

    def readinto(self, buffer: Any) -> int:
        held = self.file.read(len(buffer)) if self.failure is None else b""
        # behind a failure there is nothing to be read, and nothing that is read is used
        buffer[: len(buffer)] = held.ljust(len(buffer), b"\0")
        return len(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def truncate(self, size: int | None = None) -> int:
        if self.failure is None:
            try:
                return self.file.truncate(size)
            except OSError as error:
                self.failure = error
        return size or 0

    def flush(self) -> None:
        pass


@contextlib.contextmanager
def _opened(path: PathLike, file: BinaryIO) -> Generator[_Writer, None, None]:
    careful = _Careful(file)
    with h5py.File(careful, "w") as made:
        yield _Writer(path, made, careful)
    _expect_written(path, careful)


def _expect_written(path: PathLike, file: _Careful) -> None:
    if file.failure is not None:
        raise FileError(path, f"cannot be written: {file.failure.strerror or file.failure}") from file.failure


class _Writer:
    """The file while it grows."""

    def __init__(self, path: PathLike, file: h5py.File, careful: _Careful) -> None:
        self.path, self.file, self.careful = path, file, careful
        self.steps = 0
        file.attrs["spikeflow"] = "records 1"

    def append(self, recorded: Mapping[str, Any], steps: int, samples: int) -> None:
        """What was recorded in the next steps; raises FileError where the disk is full."""
        for number, (name, values) in enumerate(recorded.items()):
            group = self.file.require_group(str(number))
            group.attrs["name"] = name
            if isinstance(values, Spikes):
                group.attrs["shape"] = values.shape
                for column, dtype in COLUMNS:
                    first = self.steps if column == "step" else 0
                    _extend(group, column, getattr(values, column).astype(dtype) + first)
                _extend(group, "value", values.value)
            else:
                _extend(group, "values", values)
        self.steps += steps
        self.file.attrs["steps"], self.file.attrs["samples"] = self.steps, samples
        self.file.flush()
        _expect_written(self.path, self.careful)


def _extend(group: h5py.Group, name: str, values: Array) -> None:
    if name not in group:
        each = max(1, values[:1].nbytes or values.dtype.itemsize)
        group.create_dataset(
            name,
            shape=(0, *values.shape[1:]),
            maxshape=(None, *values.shape[1:]),
            chunks=(max(1, CHUNK // each), *values.shape[1:]),
            dtype=values.dtype,
        )
    dataset = group[name]
    assert isinstance(dataset, h5py.Dataset)
    first = len(dataset)
    dataset.resize(first + len(values), axis=0)
    dataset[first:] = values
