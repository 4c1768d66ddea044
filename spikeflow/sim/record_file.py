"""Records of a run as a file: HDF5 that any program reads, written piece by piece; `read_records` reads it.

::

    /                    attributes spikeflow ("records 1"), steps, samples
    /0, /1, ...          one group for each recorded name, which is its attribute "name"; of a probe
                         also the attribute "every", and "neurons" where it has some: their numbers, or
                         the text of a slice, as an attribute
        values           of a state or a port: (T, B, *shape), float32 or int64
        sample, step, neuron, value      of a node: its spikes, by piece; neuron is the C-order index into
        attribute "shape"
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, BinaryIO

import h5py
import numpy as np

from spikeflow.errors import DataError, FileError
from spikeflow.events import Spikes
from spikeflow.files.hdf5_open import open_hdf5
from spikeflow.files.opened import open_regular
from spikeflow.files.write import PathLike, drafted
from spikeflow.sim.records import Asked, Probe, named
from spikeflow.typing import Array

KIND = "records 1"
CHUNK = 1 << 20  # bytes that are written at once
COLUMNS = (("sample", np.int32), ("step", np.int64), ("neuron", np.int32))
TYPES = {"values": ("float32", "int64"), "value": ("float32", "int64")}
HINT = "a file of spikeflow run --record, or of spikeflow.sim.stream"


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
def written_records(
    path: PathLike, file: BinaryIO, record: Sequence[Asked] = ()
) -> Generator[RecordWriter, None, None]:
    """A file of records that is being written: `file` is the draft of what `path` will be, `record` what is
    recorded.

    Raises
    ------
    FileError
        Where the disk is full.
    """
    careful = _Careful(file)
    with h5py.File(careful, "w") as made:
        yield RecordWriter(path, made, careful, named(record))
    _expect_written(path, careful)


def _expect_written(path: PathLike, file: _Careful) -> None:
    if file.failure is not None:
        raise FileError(path, f"cannot be written: {file.failure.strerror or file.failure}") from file.failure


@contextlib.contextmanager
def sink_of(
    path: PathLike | None,
    record: Sequence[Asked] = (),
) -> Generator[Callable[[Mapping[str, Any], int, int, int], None] | None, None, None]:
    """A `RunOptions.sink` that writes a file, whole or not at all; None without a path.

    Raises
    ------
    FileError
        Where the file cannot be written; what was there before is then still there.
    """
    if path is None:
        yield None
        return
    with drafted(path) as draft, written_records(path, draft.file, record) as writer:
        yield writer.add


class RecordWriter:
    """The file while it grows."""

    def __init__(
        self, path: PathLike, file: h5py.File, careful: _Careful, probes: Mapping[str, Probe]
    ) -> None:
        self.path, self.file, self.careful, self.probes = path, file, careful, probes
        self.steps = self.samples = 0
        self.rows: dict[tuple[str, int], int] = {}  # that were kept of a name, of the samples from here on
        file.attrs["spikeflow"] = KIND

    def add(self, recorded: Mapping[str, Any], sample: int, step: int, steps: int) -> None:
        """What was recorded of so many steps of some samples, of which these are the first.

        Raises
        ------
        FileError
            Where the disk is full.
        """
        for number, (name, values) in enumerate(recorded.items()):
            group = self.file.require_group(str(number))
            group.attrs["name"] = name
            self._describe(group, name)
            if isinstance(values, Spikes):
                group.attrs["shape"] = values.shape
                for column, dtype in COLUMNS:
                    first = {"sample": sample, "step": step}.get(column, 0)
                    _append(group, column, getattr(values, column).astype(dtype) + dtype(first))
                _append(group, "value", values.value)
                samples = values.samples
            else:
                # pieces come in order, and of a probe each has as many rows as it kept
                every = self._every(name)
                row = step if every == 1 else self.rows.get((name, sample), 0)
                _place(group, values, sample, row)
                self.rows[name, sample] = row + len(values)
                samples = values.shape[1]
            self.steps, self.samples = max(self.steps, step + steps), max(self.samples, sample + samples)
        self.file.attrs["steps"], self.file.attrs["samples"] = self.steps, self.samples
        self.file.flush()
        _expect_written(self.path, self.careful)

    def _every(self, name: str) -> int:
        return self.probes[name].every if name in self.probes else 1

    def _describe(self, group: h5py.Group, name: str) -> None:
        probe = self.probes.get(name)
        if probe is None or not probe.some or "every" in group.attrs:
            return
        group.attrs["every"] = probe.every
        if isinstance(probe.neurons, slice):
            ends = (probe.neurons.start, probe.neurons.stop, probe.neurons.step)
            group.attrs["neurons"] = ":".join("" if end is None else str(end) for end in ends)
        elif isinstance(probe.neurons, np.ndarray):
            group.create_dataset("neurons", data=probe.neurons.astype(np.int32))


def _append(group: h5py.Group, name: str, values: Array) -> None:
    """Further values of a column."""
    if name not in group:
        chunks = (CHUNK // values.dtype.itemsize,)
        group.create_dataset(name, shape=(0,), maxshape=(None,), chunks=chunks, dtype=values.dtype)
    dataset = group[name]
    assert isinstance(dataset, h5py.Dataset)
    first = len(dataset)
    dataset.resize(first + len(values), axis=0)
    dataset[first:] = values


def _place(group: h5py.Group, values: Array, sample: int, step: int) -> None:
    """Values (T, B, *shape) at their steps and samples."""
    rest = values.shape[2:]
    if "values" not in group:
        each = max(1, values[:1].nbytes or values.dtype.itemsize)
        chunks = (max(1, CHUNK // each), max(1, values.shape[1]), *(max(1, n) for n in rest))
        group.create_dataset(
            "values", shape=(0, 0, *rest), maxshape=(None, None, *rest), chunks=chunks, dtype=values.dtype
        )
    dataset = group["values"]
    assert isinstance(dataset, h5py.Dataset)
    steps, samples = step + values.shape[0], sample + values.shape[1]
    dataset.resize((max(dataset.shape[0], steps), max(dataset.shape[1], samples), *rest))
    dataset[step:steps, sample:samples] = values


def read_records(path: PathLike) -> dict[str, Any]:
    """What a file of records holds, by name: of a node its `Spikes`, of a state or a port an array
    ``(T, B, *shape)``, float32, or int64 at stage fixed.

    Raises
    ------
    FileError
        For any other file, and where it declares more than it holds.
    """
    opened, size = open_regular(path)
    opened.close()
    try:
        with open_hdf5(path) as file:
            if file.attrs.get("spikeflow") != KIND:
                raise FileError(path, "is no file of records", HINT)
            return _Reader(path, size).read(file)
    except FileError:
        raise
    # the HDF5 library reports what it dislikes as nearly every built-in exception
    except Exception as error:
        raise FileError(path, f"does not hold records as spikeflow writes them ({error})", HINT) from None


class _Reader:
    """A file of a stranger's: nothing is read that its bytes do not hold."""

    def __init__(self, path: PathLike, size: int) -> None:
        self.path, self.left = path, size

    def read(self, file: h5py.File) -> dict[str, Any]:
        about: Any = file.attrs
        steps, samples, found = int(about["steps"]), int(about["samples"]), dict[str, Any]()
        for number in range(len(file)):
            group: Any = file[str(number)]
            if not isinstance(group, h5py.Group):
                raise DataError(str(number), "no group", "one for each name")
            name = str(group.attrs["name"])
            found[name] = (
                self._array(group, "values") if "values" in group else self._spikes(group, steps, samples)
            )
        return found

    def _spikes(self, group: Any, steps: int, samples: int) -> Spikes:
        columns = [self._array(group, name) for name in ("sample", "step", "neuron", "value")]
        order = np.lexsort(columns[2::-1])
        shape = tuple(int(n) for n in group.attrs["shape"])
        sample, step, neuron, value = (column[order] for column in columns)
        return Spikes(sample, step, neuron, value, samples, steps, shape, value.dtype == np.int64)

    def _array(self, group: Any, name: str) -> Array:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise DataError(name, "a link", "values in the file itself")
        held = group[name]
        if not isinstance(held, h5py.Dataset) or held.dtype.name not in TYPES.get(name, ("int32", "int64")):
            raise DataError(name, "another kind of values", "those that spikeflow writes")
        if held.is_virtual or held.external or held.compression or held.scaleoffset is not None:
            raise DataError(name, "values that lie elsewhere, or are packed", "plain ones")
        self.left -= held.nbytes
        if self.left < 0 or held.id.get_storage_size() < held.nbytes:
            raise FileError(self.path, f"declares more values of {name} than it holds", HINT)
        return np.asarray(held[()])
