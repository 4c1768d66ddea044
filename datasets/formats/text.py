"""Text: one event a line, columns apart by commas, semicolons, tabs or blanks; a first line may name them.

Lines that begin with ``#`` or ``%`` are comments. A first line of two whole numbers, before rows of more, is the width and
height (the layout of the RPG data sets: ``t x y p``, seconds). Numbers are read as float64, exact for times below 2^53
ticks, and decimal seconds are rounded to the nearest microsecond. Read line by line, in constant memory.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.datasets.columns import Layout, inferred, named, ordered, scale_of
from spikeflow.datasets.format import Format, Head
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.datasets.screen import Raw
from spikeflow.datasets.tabular import Table, TableRecording, split
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

Array = npt.NDArray[Any]
LINES = 1 << 16  # of a piece
LONGEST = 1 << 12  # bytes of a line
EXACT = 2.0**53
SENSOR = re.compile(r"[#%].*?\bsensor\s+(\d{1,5})\s*x\s*(\d{1,5})\b", re.IGNORECASE)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


@dataclass(frozen=True)
class Shape:
    """What the first lines of a text say.

    Parameters
    ----------
    begin : bytes before the first event.
    delimiter : between columns; None is any blanks.
    columns : how many there are.
    names : of the columns, or none.
    width, height : of the sensor, or None.
    """

    begin: int
    delimiter: str | None
    columns: int
    names: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None


def recognise(head: Head) -> bool:
    """Text whose first lines are rows of numbers, all of one length, or names and then such rows."""
    try:
        return _shape(head.path, head.start) is not None
    except FileError:
        return False


def _shape(path: Path, start: bytes) -> Shape | None:
    """The shape of a text that begins so, or None where it is none; looks at the first rows only."""
    if b"\0" in start or not start.isascii():
        return None
    at, names, width, height = 0, (), None, None
    for line in start.splitlines(keepends=True):
        text = line.decode("ascii").strip()
        if not text or text[0] in "#%":
            if found := SENSOR.match(text):
                width, height = int(found[1]), int(found[2])
            at += len(line)
            continue
        delimiter = next((d for d in (",", ";", "\t") if d in text), None)
        fields = [field.strip() for field in text.split(delimiter)]
        numbers = all(NUMBER.match(field) for field in fields)
        if (
            numbers
            and len(fields) == 2
            and not names
            and width is None
            and _more_follow(start[at + len(line) :])
        ):
            width, height = (int(field) for field in fields)
        elif numbers and len(fields) > 1:
            return Shape(at, delimiter, len(fields), names, width, height)
        elif not numbers and not names and named(str(path), fields):
            names = tuple(fields)
        else:
            return None
        at += len(line)
    return Shape(at, ",", len(names), names, width, height) if names else None


def _more_follow(rest: bytes) -> bool:
    """Whether the next row has more than two columns."""
    line = next((one for one in rest.splitlines() if one.strip() and one[:1] not in b"#%"), b"")
    return len(re.split(rb"[,;\s]+", line.strip())) > 2


def open_recording(path: Path, options: Options) -> Recording:
    """The recording.

    Raises
    ------
    FileError
        Where the file is no text of numbers.
    DataError
        Where its columns, or the unit of its times, cannot be told.
    """
    with open(path, "rb") as file:
        shape = _shape(path, file.read(1 << 16))
    if shape is None:
        raise FileError(
            path, "no text of rows of numbers", "rows such as 1200,31,17,1, with a first line t,x,y,p"
        )
    layout = _layout(path, shape, options)
    table = TextTable(path, shape, layout, options)
    return TableRecording(path, Header("text", shape.width, shape.height), options, table)


def _layout(path: Path, shape: Shape, options: Options) -> Layout:
    if options.columns:
        return ordered(str(path), options.columns, shape.columns)
    layout = named(str(path), shape.names) if shape.names else None
    if layout is not None:
        at = {letter: shape.names.index(name) for letter, name in layout.at.items()}
        return Layout(at, layout.unit_us)
    rows = (matrix for _, matrix in _matrices(path, shape, strict=True))
    return inferred(str(path), rows, options.width or shape.width, options.height or shape.height)


class TextTable(Table):
    """Rows of a text file."""

    def __init__(self, path: Path, shape: Shape, layout: Layout, options: Options) -> None:
        self._path, self._shape, self._layout, self._strict = path, shape, layout, options.strict
        self.scale = scale_of(path, self._some_times(), options.unit_us or layout.unit_us)

    def _some_times(self) -> Array:
        """Times of the first rows and of the last; what lies between is checked as it is read."""
        column = self._layout.at["t"]
        _, first = next(
            _matrices(self._path, self._shape, strict=False), (0, np.empty((0, self._shape.columns)))
        )
        last = _parsed(_tail(self._path, self._shape.begin), self._shape)[0]
        return np.concatenate([first[:, column], last[-1:, column]])

    def pieces(self, start: int) -> Iterator[Raw]:
        """The rows, in pieces."""
        self.missing = 0
        for bad, matrix in _matrices(self._path, self._shape, self._strict):
            self.missing += bad
            raw = split(matrix, self._layout)
            if len(raw.t) and np.abs(raw.t).max() >= EXACT:
                raise FileError(
                    self._path, "a time of 2^53 ticks or more, which float64 does not hold exactly"
                )
            yield raw


def _matrices(path: Path, shape: Shape, strict: bool) -> Iterator[tuple[int, Array]]:
    """How many lines were no rows, and the others as a matrix, for each piece of the file."""
    row = 0
    with open(path, "rb") as file:
        file.seek(shape.begin)
        while lines := list(islice(iter(lambda: file.readline(LONGEST + 1), b""), LINES)):
            matrix, bad = _parsed(lines, shape)
            if bad and strict:
                at = next(i for i, line in enumerate(lines) if _parsed([line], shape)[1])
                raise FileError(
                    path,
                    f"line {row + at} after the first event is no row of {shape.columns} numbers",
                    "--lenient",
                )
            row += len(lines)
            yield bad, matrix


def _parsed(lines: list[bytes], shape: Shape) -> tuple[Array, int]:
    """The rows of some lines, and how many lines were none."""
    try:
        return _loaded(b"".join(lines), shape), 0
    except (ValueError, UnicodeDecodeError):
        pass
    good, bad = [], 0
    for line in lines:
        try:
            good.append(_loaded(line, shape))
        except (ValueError, UnicodeDecodeError):
            bad += 1
    return np.concatenate([np.empty((0, shape.columns)), *good]), bad


def _loaded(text: bytes, shape: Shape) -> Array:
    if not text.strip():
        return np.empty((0, shape.columns))
    wrapped = io.StringIO(text.decode("ascii"))
    matrix = np.loadtxt(wrapped, np.float64, comments=["#", "%"], delimiter=shape.delimiter, ndmin=2)
    if matrix.size and matrix.shape[1] != shape.columns:
        raise ValueError(f"{matrix.shape[1]} columns")
    return matrix.reshape(-1, shape.columns)


def _tail(path: Path, begin: int) -> list[bytes]:
    """The last whole lines of a file."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        at = max(begin, size - LONGEST)
        file.seek(at)
        lines = file.read().splitlines(keepends=True)
    return lines[1:] if at > begin else lines


def write(path: Path, events: Events) -> None:
    """Write ``t,x,y,p`` in microseconds, one event a line, and the sensor's size as a comment where it is known.

    Raises
    ------
    DataError
        Where a time is too large for our own reader.
    """
    if len(events) and max(abs(int(events.t[0])), abs(int(events.t[-1]))) >= EXACT:
        raise DataError("text: t", int(events.t[-1]), "less than 2^53", "--to-format npy")
    with open(path, "w", encoding="ascii", newline="\n") as file:
        if events.width is not None and events.height is not None:
            file.write(f"# sensor {events.width}x{events.height}\n")
        file.write("t,x,y,p\n")
        for at in range(0, len(events), LINES):
            part = events[at : at + LINES]
            columns = (column.tolist() for column in (part.t, part.x, part.y, part.p))
            file.writelines(f"{t},{x},{y},{p}\n" for t, x, y, p in zip(*columns, strict=True))


FORMAT = Format("text", "text, one event a line", (".csv", ".txt", ".tsv"), recognise, open_recording, write)
