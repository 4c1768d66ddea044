"""NumPy's ``.npz``: the columns t, x, y, p as arrays of a zip file, or one array as in ``.npy``.

Each column is unpacked whole, since a packed one cannot be read from its middle; use ``.npy`` or HDF5 where
memory is short. Files that we write hold the sensor's size as ``width`` and ``height``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spikeflow.datasets.formats import npy
from spikeflow.datasets.formats.format import NAMED_TABLE, Format, Head
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.datasets.table.columns import named
from spikeflow.datasets.table.tabular import (
    ArrayTable,
    TableRecording,
    check_numbers,
    no_order,
    table_scale,
    unit_said,
)
from spikeflow.datasets.table.validate import Raw
from spikeflow.errors import DataError
from spikeflow.events import COLUMNS, Events
from spikeflow.files import npz
from spikeflow.typing import Array

AS_EVENTS = 8  # bytes that a value becomes, as part of an event


def recognise(head: Head) -> bool:
    """A zip file whose first entry is a NumPy array."""
    return head.start.startswith(b"PK\x03\x04") and b".npy" in head.start[:286]


def open_recording(path: Path, options: Options) -> Recording:
    """The recording.

    Raises
    ------
    FileError
        Where the archive is damaged or an array is of Python objects.
    DataError
        Where it holds several arrays that are no columns, and `key` names none.
    """
    names = npz.names(path)
    layout = None if options.key else named(str(path), names)
    if layout is None:
        name = _only(path, names, options.key)
        return npy.of_array(path, "npz", npz.read(path, npz.Wanted([name], width=AS_EVENTS))[name], options)
    arrays = npz.read(path, npz.Wanted([*layout.at.values(), "width", "height"], width=AS_EVENTS))
    columns = {letter: arrays[name] for letter, name in layout.at.items()}
    header = Header("npz", _size(path, arrays, "width"), _size(path, arrays, "height"))
    return of_columns(path, header, columns, Said(options, layout.unit_us, layout.warnings))


@dataclass(frozen=True)
class Said:
    """What is said of columns in memory.

    Parameters
    ----------
    options : by the user.
    unit_us : by the file: microseconds of one tick, or None.
    warnings : what was guessed in finding them.
    """

    options: Options
    unit_us: float | None = None
    warnings: tuple[str, ...] = ()


def of_columns(path: Path, header: Header, columns: Mapping[str, Array], said: Said) -> Recording:
    """The recording of columns in memory, by the letters t, x, y, p."""
    options = said.options
    no_order(path, options)
    flat = {letter: np.atleast_1d(column.squeeze()) for letter, column in columns.items()}
    raw = check_numbers(path, Raw(flat["t"], flat["x"], flat.get("y"), flat.get("p")))

    def read(start: int, stop: int) -> Raw:
        part = {letter: column[start:stop] for letter, column in flat.items()}
        return Raw(part["t"], part["x"], part.get("y"), part.get("p"))

    unit_us, differs = unit_said(path, options, said.unit_us)
    table = ArrayTable(len(raw.t), read, table_scale(path, len(raw.t), read, unit_us))
    table.warnings = (*said.warnings, *differs)
    return TableRecording(path, header, options, table)


def _only(path: Path, names: Sequence[str], key: str | None) -> str:
    if key in names:
        return str(key)
    if key is None and len(names) == 1:
        return names[0]
    held = ", ".join(names[:20]) or "nothing"
    raise DataError(
        f"{path}: arrays", held if key is None else f"no {key!r}, but {held}", "t, x, y, p", "--key NAME"
    )


def _size(path: Path, arrays: Mapping[str, Array], name: str) -> int | None:
    if name not in arrays:
        return None
    value = arrays[name]
    if value.size != 1 or value.dtype.kind not in "iu" or not 0 < int(value.reshape(-1)[0]) <= 1 << 16:
        raise DataError(
            f"{path}: {name}", f"{value.dtype} of shape {value.shape}", "one number of 1 to 65536"
        )
    return int(value.reshape(-1)[0])


def write(file: BinaryIO, events: Events) -> None:
    """Write the four columns, packed, and the sensor's size where it is known."""
    arrays = {name: getattr(events, name) for name, _ in COLUMNS}
    sizes = {n: np.int64(v) for n, v in (("width", events.width), ("height", events.height)) if v is not None}
    np.savez_compressed(file, allow_pickle=False, **arrays, **sizes)


FORMAT = Format("npz", "NumPy arrays", (".npz",), recognise, open_recording, write, NAMED_TABLE)
