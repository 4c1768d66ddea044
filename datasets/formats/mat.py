"""MATLAB's ``.mat``, versions 4 to 7: columns of events as variables (ASL-DVS), as fields of one (``TD``), or
spike trains.

A matrix of spike trains (ST-MNIST) has a row for each taxel with -1, 0, 1, and a last row with the time in
seconds; x is the number of the taxel, in the order of the file, and y is 0. Version 7.3 is HDF5, and read as
such. Files are read whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spikeflow.datasets.formats import npy
from spikeflow.datasets.formats.format import NAMED_TABLE, Format, Head
from spikeflow.datasets.formats.npz import Said, of_columns
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.datasets.table.columns import Layout, named
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.files import mat
from spikeflow.typing import Array

MAGIC = b"MATLAB 5.0 MAT-file"
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
    held = mat.read(path)
    if options.key is not None and options.key not in held:
        raise DataError(
            f"{path}: variables",
            f"no {options.key!r}, but {', '.join(list(held)[:20])}",
            "--key of one of them",
        )
    chosen = {options.key: held[options.key]} if options.key else held
    layout = named(str(path), list(chosen))
    if layout is not None:
        return _of_layout(path, chosen, layout, options)
    if len(chosen) != 1:
        raise DataError(
            f"{path}: variables", ", ".join(list(chosen)[:20]) or "none", "t, x, y, p", "--key NAME"
        )
    name, value = next(iter(chosen.items()))
    return _of_one(path, name, value, options)


def _of_one(path: Path, name: str, value: mat.Variable, options: Options) -> Recording:
    if isinstance(value, mat.Struct):
        layout = named(str(path), list(value.fields))
        if layout is None:
            raise DataError(
                f"{path}: {name}", f"a struct of {', '.join(list(value.fields)[:20])}", "one of t, x, y, p"
            )
        return _of_layout(path, value.fields, layout, options)
    array = _numbers(path, name, value)
    if name == TRAINS and array.ndim == 2 and len(array) > 1:
        header = Header("mat", width=len(array) - 1, height=1)
        return of_columns(path, header, _trains(path, array), Said(options, 1e6))
    return npy.of_array(path, "mat", array, options)


def _of_layout(path: Path, held: Any, layout: Layout, options: Options) -> Recording:
    columns = {letter: _numbers(path, name, held[name]) for letter, name in layout.at.items()}
    p, told = columns.get("p"), list(layout.warnings)
    # MATLAB counts from 1, and so does the reader that came with N-MNIST: 1 is off, 2 is on; x and y stay as
    # they are
    if p is not None and p.dtype.kind != "b" and p.size and p.min() == 1 and p.max() == 2:
        columns["p"] = p - 1
        told.append(f"{path}: polarities are 1 and 2: taken as off and on")
    return of_columns(path, Header("mat"), columns, Said(options, layout.unit_us, tuple(told)))


def _trains(path: Path, value: Array) -> Mapping[str, Array]:
    spikes, times = value[:-1], value[-1]
    if spikes.size and not ((spikes >= -1) & (spikes <= 1) & (spikes == np.rint(spikes))).all():
        raise DataError(
            f"{path}: {TRAINS}", "values other than -1, 0, 1", "spikes, and times in the last row"
        )
    step, taxel = np.nonzero(spikes.T)
    return {"t": times[step], "x": taxel.astype(np.uint16), "p": spikes[taxel, step]}


def _numbers(path: Path, name: str, value: mat.Variable) -> Array:
    if isinstance(value, np.ndarray):
        return value
    what = value.what if isinstance(value, mat.Other) else "a struct"
    raise DataError(f"{path}: {name}", what, "numbers")


def write(file: BinaryIO, events: Events) -> None:
    """Write the variables ts, x, y, pol, as ASL-DVS has them; the layout has no place for the sensor's
    size.
    """
    from scipy.io import savemat

    columns = {"ts": events.t, "x": events.x, "y": events.y, "pol": events.p}
    savemat(file, {name: column[:, None] for name, column in columns.items()}, do_compression=True)


FORMAT = Format(
    "mat", "MATLAB variables", (".mat",), recognise, open_recording, write, NAMED_TABLE, sensor=False
)
