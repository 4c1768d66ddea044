"""MATLAB's ``.mat``, versions 4 to 7: columns of events as variables (ASL-DVS), as fields of one (``TD``), or spike trains.

A matrix of spike trains (ST-MNIST) has a row for each taxel with -1, 0, 1, and a last row with the time in seconds; x is
the number of the taxel, in the order of the file, and y is 0. Version 7.3 is HDF5, and read as such. Files are read whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from spikeflow.datasets.columns import Layout, named
from spikeflow.datasets.format import Format, Head
from spikeflow.datasets.formats import npy
from spikeflow.datasets.formats.npz import of_columns
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

Array = npt.NDArray[Any]
MAGIC = b"MATLAB 5.0 MAT-file"
MAX_BYTES = 1 << 30  # of a file; what it unpacks to is at most a thousand times more
TRAINS = "spiketrain"


def recognise(head: Head) -> bool:
    """By the text that version 5 and later begin with."""
    return head.start.startswith(MAGIC) and b"\x89HDF" not in head.start[:520]


def open_recording(path: Path, options: Options) -> Recording:
    """The recording.

    Raises
    ------
    FileError
        Where the file is damaged or too large.
    DataError
        Where it holds no events, or several and `key` names none.
    """
    held = _variables(path)
    if options.key is not None and options.key not in held:
        raise DataError(
            f"{path}: variables", f"no {options.key!r}, but {', '.join(held)}", "--key of one of them"
        )
    chosen = {options.key: held[options.key]} if options.key else held
    layout = named(str(path), list(chosen))
    if layout is not None:
        columns = _columns(path, chosen, layout)
        return of_columns(path, Header("mat"), columns, (options, layout.unit_us))
    if len(chosen) != 1:
        raise DataError(f"{path}: variables", ", ".join(chosen) or "none", "t, x, y, p", "--key NAME")
    name, value = next(iter(chosen.items()))
    return _of_one(path, name, value, options)


def _of_one(path: Path, name: str, value: Array, options: Options) -> Recording:
    if value.dtype.names:
        fields = value.reshape(-1)[0] if value.size == 1 else None
        layout = named(str(path), value.dtype.names)
        if fields is None or layout is None:
            raise DataError(
                f"{path}: {name}", f"a struct of {', '.join(value.dtype.names)}", "one of t, x, y, p"
            )
        columns = _columns(path, fields, layout)
        return of_columns(path, Header("mat"), columns, (options, layout.unit_us))
    value = _numbers(path, name, value)
    if name == TRAINS and value.ndim == 2 and len(value) > 1:
        header = Header("mat", width=len(value) - 1, height=1)
        return of_columns(path, header, _trains(path, value), (options, 1e6))
    return npy.of_array(path, "mat", value, options)


def _columns(path: Path, held: Any, layout: Layout) -> dict[str, Array]:
    columns = {letter: _numbers(path, name, held[name]) for letter, name in layout.at.items()}
    p = columns.get("p")
    # MATLAB counts from 1, and so does the reader that came with N-MNIST: 1 is off, 2 is on; x and y stay as they are
    if p is not None and p.dtype.kind != "b" and p.size and p.min() == 1 and p.max() == 2:
        columns["p"] = p - 1
    return columns


def _trains(path: Path, value: Array) -> Mapping[str, Array]:
    spikes, times = value[:-1], value[-1]
    if not np.isin(spikes, (-1, 0, 1)).all():
        raise DataError(
            f"{path}: {TRAINS}", "values other than -1, 0, 1", "spikes, and times in the last row"
        )
    step, taxel = np.nonzero(spikes.T)
    return {"t": times[step], "x": taxel, "p": spikes[taxel, step]}


def _numbers(path: Path, name: str, value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "iufb":
        raise DataError(f"{path}: {name}", f"type {array.dtype}", "numbers")
    return array


def _variables(path: Path) -> dict[str, Array]:
    from scipy.io import loadmat

    if path.stat().st_size > MAX_BYTES:
        raise FileError(
            path, f"larger than {MAX_BYTES} bytes", "MATLAB's version 7.3, which is HDF5 and streams"
        )
    try:
        held = loadmat(path)
    # a damaged file ends in whatever scipy's parser met first
    except Exception as error:
        raise FileError(path, f"a damaged .mat file ({error})") from None
    return {name: value for name, value in held.items() if not name.startswith("__")}


def write(file: BinaryIO, events: Events) -> None:
    """Write the variables ts, x, y, pol, as ASL-DVS has them; the layout has no place for the sensor's size."""
    from scipy.io import savemat

    columns = {"ts": events.t, "x": events.x, "y": events.y, "pol": events.p}
    savemat(file, {name: column[:, None] for name, column in columns.items()}, do_compression=True)


FORMAT = Format("mat", "MATLAB variables", (".mat",), recognise, open_recording, write)
