"""NumPy's ``.npy``: one array of events, structured with the names t, x, y, p, or rows of four columns.

Source: NEP 1, "A simple file format for NumPy arrays". Read through a memory map, so that a large file
streams.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from spikeflow.datasets.formats.format import TABLE, Format, Head
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
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.npy import read_header
from spikeflow.files.opened import reading
from spikeflow.typing import Array

MAGIC = b"\x93NUMPY"
MAX_ROW = 1 << 30  # bytes
HINT = "an array of fields t, x, y, p, or of rows of four columns"


@dataclass(frozen=True, eq=False)
class Stored:
    """What the header of an array says: its rows, mapped, as many as are there, and how many it declares."""

    rows: Array
    declared: int


def recognise(head: Head) -> bool:
    """By the magic word."""
    return head.start.startswith(MAGIC)


def open_recording(path: Path, options: Options) -> Recording:
    """The recording; a file of whole microseconds unless ``unit_us`` says otherwise."""
    stored = mapped(path)
    each = prod(stored.rows.shape[1:]) if stored.rows.dtype.names else 1
    missing = (stored.declared - len(stored.rows)) * each
    return of_array(path, "npy", stored.rows, options, missing)


def of_array(path: Path, format: str, array: Array, options: Options, missing: int = 0) -> Recording:
    """The recording of one array, whichever file it came from."""
    rows = array.reshape(-1) if array.dtype.names else array
    layout = layout_of(path, rows, options)

    def read(start: int, stop: int) -> Any:
        # a copy: events must not change, or fault, when the file does
        return check_numbers(path, split(np.array(rows[start:stop]), layout))

    said, differs = unit_said(path, options, layout.unit_us)
    table = ArrayTable(len(rows), read, table_scale(path, len(rows), read, said))
    table.missing, table.warnings = missing, (*layout.warnings, *differs)
    return TableRecording(path, Header(format), options, table)


def layout_of(path: Path, rows: Array, options: Options) -> Layout:
    """Which columns are t, x, y, p: by the fields' names, by the user's word, or by content.

    Raises
    ------
    DataError
        Where the array has neither the names nor four columns.
    """
    if rows.dtype.names:
        no_order(path, options)
        layout = named(str(path), rows.dtype.names)
        if layout is None:
            raise DataError(f"{path}: fields", ", ".join(rows.dtype.names), "t, x, y, p")
        return layout
    if rows.ndim != 2:
        raise DataError(f"{path}: array", f"shape {rows.shape}", "rows of four columns", HINT)
    if rows.dtype.kind not in "iufb":
        raise DataError(f"{path}: array", f"type {rows.dtype}", "whole or decimal numbers")
    return matrix_layout(path, len(rows), lambda start, stop: rows[start:stop], options)


def mapped(path: Path) -> Stored:
    """The array of a file, mapped; of a truncated one the whole rows that are there.

    Raises
    ------
    FileError
        Where the header is damaged, declares no rows, or the array is of Python objects.
    """
    with reading(path) as file:
        header = read_header(path, file)
        shape, by_columns, dtype = header.shape, header.by_columns, header.dtype
        begin, size = file.tell(), file.seek(0, 2)
    declared, row = (shape[0], shape[1:]) if shape else (-1, ())
    each = dtype.itemsize * prod(row)
    if declared < 0 or min(row, default=0) < 0 or not 0 < each <= MAX_ROW:
        raise FileError(path, f"an array of shape {shape} and type {dtype}, which holds no events", HINT)
    there = min((size - begin) // each, declared)
    if by_columns and row and there < declared:
        raise FileError(path, f"declares {declared} rows column by column and ends before the last column")
    if not there:
        return Stored(np.empty((0, *row), dtype), declared)
    order: Literal["F", "C"] = "F" if by_columns else "C"
    with reading(path) as file:
        return Stored(np.memmap(file, dtype, "r", begin, (there, *row), order), declared)


def write(file: BinaryIO, events: Events) -> None:
    """Write one structured array; the layout has no place for the sensor's size."""
    array = events.structured()
    # not write_array, which hands a real file to tofile: that one does not notice a full disk
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.view(np.uint8).data)


FORMAT = Format("npy", "NumPy array", (".npy",), recognise, open_recording, write, TABLE, sensor=False)
