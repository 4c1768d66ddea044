"""HDF5 of events: columns t, x, y, p in a group (DSEC, RPG), or one data set of records (Prophesee:
``CD/events``).

Times are whole microseconds, or seconds where they have fractions. DSEC stores times from the start of a
drive and the start apart, as ``t_offset``: t is as stored, the offset is told in the header. A file of many
recordings (SHD, SSC) needs `key`, the number of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from spikeflow.datasets.formats import hdf5_file
from spikeflow.datasets.formats.format import NAMED_TABLE, Format, Head
from spikeflow.datasets.formats.hdf5_spikes import SpikeFile, is_spikes
from spikeflow.datasets.formats.npz import Said, of_columns
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.datasets.table.columns import Layout, named
from spikeflow.datasets.table.tabular import (
    ArrayTable,
    TableRecording,
    check_numbers,
    matrix_layout,
    no_order,
    split,
    table_scale,
    unit_said,
)
from spikeflow.datasets.table.units import unit_of
from spikeflow.datasets.table.validate import Raw
from spikeflow.errors import DataError, FileError
from spikeflow.events import COLUMNS, Events
from spikeflow.files.hdf5_open import open_hdf5


@dataclass(frozen=True, eq=False)
class Found:
    """Where a file holds events: a group of columns, or one data set of records or rows."""

    name: str
    where: Any
    layout: Layout | None  # None: rows without names


def recognise(head: Head) -> bool:
    """By the magic word, at the beginning or behind a block of the user's, as in MATLAB 7.3 files."""
    return any(head.start[at : at + 8] == hdf5_file.MAGIC for at in (0, 512, 1024, 2048))


def open_recording(path: Path, options: Options) -> Recording:
    """The recording.

    Raises
    ------
    FileError
        Where the file is damaged, or packed with a filter that is not installed.
    DataError
        Where it holds no events, or several recordings and `key` names none.
    """
    file = open_hdf5(path)
    try:
        with hdf5_file.damage(path):
            if is_spikes(file):
                return _spikes(path, file, options)
            return _recording(path, file, _chosen(path, file, options.key), options)
    except BaseException:
        file.close()
        raise


def _spikes(path: Path, file: h5py.File, options: Options) -> Recording:
    file.close()
    with closing(SpikeFile(path)) as spikes:
        if options.key is None or not re.fullmatch("[0-9]{1,9}", options.key):
            raise DataError(f"{path}: key", options.key, f"a sample of 0 to {len(spikes) - 1}", "--key 0")
        events = spikes[int(options.key)]
        label = {"label": str(int(spikes.labels[int(options.key)]))}
    columns = {name: getattr(events, name) for name, _ in COLUMNS}
    return of_columns(path, Header("hdf5", events.width, events.height, label), columns, Said(options, 1.0))


def _chosen(path: Path, file: h5py.File, key: str | None) -> Found:
    """The one place of the file that holds events, or the one that the user names."""
    if key is not None:
        found = _found(path, key.strip("/"), hdf5_file.member(file, key))
        if found is None:
            raise DataError(f"{path}: key", key, "a group of t, x, y, p, or a data set of such records")
        return found
    every = [found for name, here in hdf5_file.objects(file) if (found := _found(path, name, here))]
    # rows without names count only where nothing has names; a group's columns are no recordings of their own
    best = [found for found in every if found.layout] or every
    if len(best) != 1:
        names = ", ".join(found.name or "/" for found in best[:20]) or "no group or data set of t, x, y, p"
        raise DataError(f"{path}: recordings", names, "one", "--key NAME")
    return best[0]


def _found(path: Path, name: str, here: Any) -> Found | None:
    if isinstance(here, h5py.Group):
        columns = [n for n in hdf5_file.names(here) if hdf5_file.is_column(hdf5_file.member(here, n))]
        layout = named(f"{path}: {name}", columns)
        return Found(name, here, layout) if layout else None
    if not isinstance(here, h5py.Dataset):
        return None
    if here.dtype.names and here.ndim == 1:
        layout = named(f"{path}: {name}", here.dtype.names)
        return Found(name, here, layout) if layout else None
    if here.ndim == 2 and here.shape[1] == 4 and here.dtype.kind in "iuf":
        return Found(name, here, None)
    return None


def _recording(path: Path, file: h5py.File, found: Found, options: Options) -> Recording:
    header = _header(path, file, found)
    if found.layout:
        no_order(path, options)
    if isinstance(found.where, h5py.Group) and found.layout:
        layout = found.layout
        count, read = _grouped(path, found)
    else:
        dataset = hdf5_file.checked(found.where, path)
        count = len(dataset)
        layout = found.layout or matrix_layout(
            path, count, lambda start, stop: hdf5_file.rows(dataset, start, stop, path), options
        )

        def read(start: int, stop: int) -> Raw:
            return check_numbers(path, split(hdf5_file.rows(dataset, start, stop, path), layout))

    said, differs = unit_said(path, options, _unit(found))
    table = ArrayTable(count, read, table_scale(path, count, read, said), close=file.close)
    table.warnings = (*layout.warnings, *differs)
    return TableRecording(path, header, options, table)


def _unit(found: Found) -> float | None:
    """Microseconds of a tick, as the column's name or an attribute ``unit`` of it says."""
    if found.layout is None or found.layout.unit_us is not None or not isinstance(found.where, h5py.Group):
        return found.layout.unit_us if found.layout else None
    said = hdf5_file.attributes(found.where[found.layout.at["t"]])
    words = [value for name, value in said.items() if name.lower() in ("unit", "units")]
    return unit_of(words[0]) if words else None


def _grouped(path: Path, found: Found) -> tuple[int, Any]:
    at: Mapping[str, str] = found.layout.at if found.layout else {}
    held = {letter: hdf5_file.checked(found.where[name], path) for letter, name in at.items()}
    counts = {letter: prod(dataset.shape) for letter, dataset in held.items()}
    if len(set(counts.values())) != 1:
        raise FileError(path, f"columns of {found.name or '/'} have {counts} values", "a whole file")

    def read(start: int, stop: int) -> Raw:
        part = {letter: hdf5_file.column(dataset, start, stop, path) for letter, dataset in held.items()}
        return check_numbers(path, Raw(part["t"], part["x"], part.get("y"), part.get("p")))

    return counts["t"], read


def _header(path: Path, file: h5py.File, found: Found) -> Header:
    of_file, of_events = hdf5_file.attributes(file), hdf5_file.attributes(found.where)
    for name in ("width", "height", "geometry"):
        if name in of_file and of_events.get(name, of_file[name]) != of_file[name]:
            raise FileError(path, f"says the {name} {of_file[name]} and, of its events, {of_events[name]}")
    fields = {**of_file, **of_events}
    offset = hdf5_file.member(file, "t_offset")
    if isinstance(offset, h5py.Dataset) and offset.shape == () and offset.dtype.kind in "iu":
        fields["t_offset"] = str(int(hdf5_file.checked(offset, path)[()]))
    width, height = fields.get("width", ""), fields.get("height", "")
    if geometry := re.fullmatch(r"(\d{1,5})\s*x\s*(\d{1,5})", fields.get("geometry", "")):
        width, height = geometry.groups()
    sizes = (int(size) if size.isdecimal() and 0 < int(size) <= 1 << 16 else None for size in (width, height))
    return Header("hdf5", *sizes, fields=fields)


def write(target: BinaryIO, events: Events) -> None:
    """Write the group ``events`` with t, x, y, p, packed with gzip, and its sensor's size as attributes."""
    # made in memory: the HDF5 library does not survive a full disk, plain writing does
    with h5py.File("image", "w", driver="core", backing_store=False, block_size=1 << 22) as file:
        group = file.create_group("events")
        for name, _ in COLUMNS:
            column = getattr(events, name)
            packed: dict[str, Any] = (
                {"chunks": (1 << 16,), "compression": "gzip", "shuffle": True} if len(column) else {}
            )
            group.create_dataset(name, data=column, maxshape=(None,) if len(column) else None, **packed)
        for name in ("width", "height"):
            if getattr(events, name) is not None:
                group.attrs[name] = np.int64(getattr(events, name))
        file.flush()
        target.write(file.id.get_file_image())


FORMAT = Format("hdf5", "HDF5 of events", (".h5", ".hdf5"), recognise, open_recording, write, NAMED_TABLE)
