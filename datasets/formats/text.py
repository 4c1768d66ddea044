"""Text: one event a line, columns apart by commas, semicolons, tabs or blanks; a first line may name them.

Lines that begin with ``#`` or ``%`` are comments. A first line of two whole numbers, before rows of more, is the width and
height (the layout of the RPG data sets: ``t x y p``, seconds). Numbers are read exactly, and times then rounded to the
nearest microsecond, half to even. Constant memory; about 3 million events a second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from spikeflow.datasets.columns import Layout, Scale, inferred, named, ordered, scale_of
from spikeflow.datasets.format import HEAD, Format, Head
from spikeflow.datasets.formats.text_numbers import COMMENTS, NUMBER, ONE, Numbers, Rows, parse
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.datasets.screen import Raw
from spikeflow.datasets.tabular import Table, TableRecording
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events

Array = npt.NDArray[Any]
BLOCK = 1 << 18  # bytes at a time: what they become still lies in the cache
LONGEST = 1 << 16  # bytes of a line
LINES = 1 << 16  # written at a time
MARK = b"\xef\xbb\xbf"  # with which some editors begin a file
SENSOR = re.compile(r"[#%].*?\bsensor\s+(\d{1,5})\s*x\s*(\d{1,5})\b", re.IGNORECASE)
UNREADABLE = "lines that are no rows"


@dataclass(frozen=True)
class Shape:
    """What the first lines of a text say.

    Parameters
    ----------
    begin, lines : bytes and lines before the first event.
    delimiter : between columns; None is any blanks.
    columns : how many there are.
    names : of the columns, or none.
    width, height : of the sensor, or None.
    """

    begin: int
    lines: int
    delimiter: str | None
    columns: int
    names: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None


def recognise(head: Head) -> bool:
    """Text of which the first lines are rows of numbers, all of one length, or names that tell t and x and then such rows."""
    shape = shape_of(head.start)
    if shape is None or (shape.names and named(str(head.path), shape.names) is None):
        return False
    last = len(head.start) if head.size <= len(head.start) else head.start.rfind(b"\n") + 1
    rows = parse(head.start[shape.begin : last], shape.delimiter, shape.columns)
    return len(rows) > rows.bad or bool(shape.names and not rows.bad)


def shape_of(start: bytes) -> Shape | None:
    """The shape of a text that begins so, or None where it is none."""
    if b"\0" in start:
        return None
    at = len(MARK) if start.startswith(MARK) else 0
    names, size = (), (None, None)
    lines = start[at:].splitlines(keepends=True)
    for number, line in enumerate(lines):
        text = line.decode("latin1").strip()
        if not text or text[0] in COMMENTS:
            found = SENSOR.match(text)
            size = (int(found[1]), int(found[2])) if found else size
        else:
            delimiter, fields = _fields(text)
            if not all(NUMBER.fullmatch(field) for field in fields):
                if names or len(fields) < 2 or not text.isascii():
                    return None
                names = tuple(field.strip("\"'") for field in fields)
            elif _is_size(fields, lines[number + 1 : number + 2]) and not names:
                size = (int(fields[0]), int(fields[1]))
            elif len(fields) < 2 or (names and len(names) != len(fields)):
                return None
            else:
                return Shape(at, number, delimiter, len(fields), names, *size)
        at += len(line)
    return Shape(at, len(lines), ",", len(names), names, *size) if names else None


def _fields(text: str) -> tuple[str | None, list[str]]:
    delimiter = next((mark for mark in ",;\t" if mark in text), None)
    return delimiter, [field.strip() for field in text.split(delimiter)]


def _is_size(fields: list[str], following: list[bytes]) -> bool:
    """Whether a line is width and height: two whole numbers, and more than two in the line that follows."""
    whole = len(fields) == 2 and all(field.isdecimal() and len(field) <= 5 for field in fields)
    return whole and any(len(_fields(line.decode("latin1").strip())[1]) > 2 for line in following)


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
        shape = shape_of(file.read(HEAD))
    if shape is None:
        raise FileError(
            path, "no text of rows of numbers", "rows such as 1200,31,17,1, with a first line t,x,y,p"
        )
    layout = _layout(path, shape, options)
    header = Header("text", shape.width, shape.height)
    return TableRecording(path, header, options, TextTable(path, shape, layout, options))


def _layout(path: Path, shape: Shape, options: Options) -> Layout:
    if options.columns:
        return ordered(str(path), options.columns, shape.columns)
    layout = named(str(path), shape.names) if shape.names else None
    if layout is not None:
        at = {letter: shape.names.index(name) for letter, name in layout.at.items()}
        return Layout(at, layout.unit_us)
    rows = (rows.matrix() for rows in blocks(path, shape, options.strict))
    return inferred(str(path), rows, options.width or shape.width, options.height or shape.height)


class TextTable(Table):
    """Rows of a text file."""

    reason = UNREADABLE

    def __init__(self, path: Path, shape: Shape, layout: Layout, options: Options) -> None:
        self._path, self._shape, self._layout, self._strict = path, shape, layout, options.strict
        # scaled here, where decimals are exact
        self._told = scale_of(path, self._some_times(), options.unit_us or layout.unit_us)
        self.scale = Scale(1.0, whole=self._told.whole)

    def _some_times(self) -> Array:
        """Times of the first rows and of the last; what lies between is checked as it is read."""
        shape, column = self._shape, self._layout.at["t"]
        first = next(blocks(self._path, shape, strict=False), None)
        last = parse(_tail(self._path, shape.begin), shape.delimiter, shape.columns)
        parts = [rows.columns[column].as_array() for rows in (first, last) if rows is not None]
        return np.concatenate([parts[0], *(part[-1:] for part in parts[1:])])

    def pieces(self, start: int) -> Iterator[Raw]:
        """The rows, in pieces."""
        self.missing = 0
        for rows in blocks(self._path, self._shape, self._strict):
            self.missing += rows.bad
            part = {letter: rows.columns[at] for letter, at in self._layout.at.items()}
            x, y, p = (part[name].as_array() if name in part else None for name in "xyp")
            if x is not None:  # a layout always has x
                yield Raw(self._microseconds(part["t"]), x, y, p)

    def _microseconds(self, numbers: Numbers) -> Array:
        power = round(math.log10(self._told.us))
        if self._told.whole or not -3 <= power <= 6 or self._told.us != float(f"1e{power}"):
            return numbers.as_array() * self._told.us if self._told.us != 1 else numbers.as_array()
        return numbers.microseconds(power)


def blocks(path: Path, shape: Shape, strict: bool) -> Iterator[Rows]:
    """The rows of a file, some lines at a time.

    Raises
    ------
    FileError
        Where a line is endless, or, if strict, no row.
    """
    with open(path, "rb") as file:
        file.seek(shape.begin)
        line = shape.lines + 1
        for block in _whole_lines(path, file):
            rows = parse(block, shape.delimiter, shape.columns)
            if strict and rows.first_bad is not None:
                where = f"line {line + rows.first_bad} is no row of {shape.columns} numbers"
                raise FileError(path, where, "strict=False (--lenient) leaves out such lines")
            line += block.count(b"\n")
            yield rows


def _whole_lines(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while data := file.read(BLOCK):
        rest += data
        cut = rest.rfind(b"\n") + 1
        if len(rest) - cut > LONGEST:
            raise FileError(path, f"a line of more than {LONGEST} bytes")
        if cut:
            yield rest[:cut]
        rest = rest[cut:]
    if rest:
        yield rest


def _tail(path: Path, begin: int) -> bytes:
    """The last whole lines of a file."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        at = max(begin, size - LONGEST)
        file.seek(at)
        data = file.read()
    return data[data.find(b"\n") + 1 :] if at > begin else data


def write(file: BinaryIO, events: Events) -> None:
    """Write ``t,x,y,p`` in microseconds, one event a line, and the sensor's size as a comment where it is known.

    Raises
    ------
    DataError
        Where a time has more digits than our own reader takes.
    """
    if len(events) and max(abs(int(events.t[0])), abs(int(events.t[-1]))) >= ONE:
        raise DataError("text: t", int(events.t[-1]), "less than 10^18", "--format npy")
    if events.width is not None and events.height is not None:
        file.write(f"# sensor {events.width}x{events.height}\n".encode())
    file.write(b"t,x,y,p\n")
    for at in range(0, len(events), LINES):
        part = events[at : at + LINES]
        columns = (column.tolist() for column in (part.t, part.x, part.y, part.p))
        rows = (f"{t},{x},{y},{p}\n" for t, x, y, p in zip(*columns, strict=True))
        file.write("".join(rows).encode())


FORMAT = Format("text", "text, one event a line", (".csv", ".txt", ".tsv"), recognise, open_recording, write)
