"""Text: one event a line, columns apart by commas, semicolons, tabs or blanks; a first line may name them.

Lines that begin with ``#`` or ``%`` are comments; one right before the rows may name the columns, too. A
first line of two whole numbers, before rows of more, is the width and height (the layout of the RPG data
sets: ``t x y p``, seconds). Names may hold the sensor's size (``t,x@640,y@480,on``, as faery writes). Words
true and false are 1 and 0. Numbers are read exactly, and times then rounded to the nearest microsecond, half
to even. Constant memory; about 3 million events a second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from spikeflow.datasets.formats.format import HEAD, TABLE, Format, Head
from spikeflow.datasets.formats.text_numbers import COMMENTS, NUMBER, ONE, Numbers, Rows, parse
from spikeflow.datasets.recording import Header, Options, Recording
from spikeflow.datasets.table.columns import Known, Layout, inferred, named, ordered
from spikeflow.datasets.table.tabular import Table, TableRecording, unit_said
from spikeflow.datasets.table.units import UNITS_US, scale_of
from spikeflow.datasets.table.validate import Raw
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.opened import reading
from spikeflow.typing import Array

BLOCK = 1 << 18  # bytes at a time: what they become still lies in the cache
LONGEST = 1 << 16  # bytes of a line
LINES = 1 << 16  # written at a time
MARK = b"\xef\xbb\xbf"  # with which some editors begin a file
SENSOR = re.compile(r"[#%].*?\bsensor\s+(\d{1,5})\s*x\s*(\d{1,5})\b", re.IGNORECASE)
UNREADABLE = "lines that are no rows"
TRUTH = re.compile(rb"\b(?:(true)|false)\b", re.IGNORECASE)


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
    sized : whether a first line of two numbers says so, as in the RPG data sets, whose times are seconds.
    """

    begin: int
    lines: int
    delimiter: str | None
    columns: int
    names: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    sized: bool = False


def recognise(head: Head) -> bool:
    """Text of which the first lines are rows of numbers, all of one length, or names that tell t and x and
    then such rows.
    """
    shape = shape_of(head.start)
    if shape is None or (shape.names and named(str(head.path), shape.names) is None):
        return False
    last = len(head.start) if head.size <= len(head.start) else head.start.rfind(b"\n") + 1
    rows = parse(_numbers(head.start[shape.begin : last]), shape.delimiter, shape.columns)
    return len(rows) > rows.bad or bool(shape.names and not rows.bad)


def why_not(head: Head) -> str:
    """A table whose names are not those of events."""
    shape = shape_of(head.start)
    if shape is None or not shape.names or named(str(head.path), shape.names) is not None:
        return ""
    return f"a table with the columns {', '.join(shape.names[:12])}, of which none says t or x"


def shape_of(start: bytes) -> Shape | None:
    """The shape of a text that begins so, or None where it is none."""
    if b"\0" in start:
        return None
    at = len(MARK) if start.startswith(MARK) else 0
    names, size, comment, sized = (), (None, None), (), False
    lines = start[at:].splitlines(keepends=True)
    for number, line in enumerate(lines):
        text = _numbers(line).decode("latin1").strip()
        if not text or text[0] in COMMENTS:
            found = SENSOR.match(text)
            size = (int(found[1]), int(found[2])) if found else size
            comment = tuple(_fields(text.lstrip(COMMENTS + " "))[1]) if text else comment
        else:
            delimiter, fields = _fields(text)
            if not all(NUMBER.fullmatch(field) for field in fields):
                if names or len(fields) < 2 or not text.isascii():
                    return None
                names = tuple(field.strip("\"'") for field in fields)
            elif _is_size(fields, lines[number + 1 : number + 2]) and not names:
                size, sized = (int(fields[0]), int(fields[1])), True
            elif len(fields) < 2 or (names and len(names) != len(fields)):
                return None
            else:
                names = names or _names(comment, len(fields))
                return Shape(at, number, delimiter, len(fields), names, *size, sized)
        at += len(line)
    return Shape(at, len(lines), ",", len(names), names, *size) if names else None


def _names(comment: tuple[str, ...], columns: int) -> tuple[str, ...]:
    """The names of the columns that a comment right before the rows tells, if it does (numpy's savetxt writes
    such).
    """
    names = tuple(field.strip("\"'") for field in comment)
    tells = len(names) == columns and all(names) and len(set(names)) == columns
    return names if tells and named("", names) is not None else ()


def _numbers(block: bytes) -> bytes:
    """Lines whose words true and false are numbers."""
    if b"e" not in block and b"E" not in block:
        return block
    return TRUTH.sub(lambda found: b"1" if found[1] else b"0", block)


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
    with reading(path) as file:
        shape = shape_of(file.read(HEAD))
    if shape is None:
        raise FileError(
            path, "no text of rows of numbers", "rows such as 1200,31,17,1, with a first line t,x,y,p"
        )
    layout = _layout(path, shape, options)
    sizes = (shape.width, shape.height) if shape.width is not None else (layout.width, layout.height)
    header = Header("text", *sizes)
    return TableRecording(path, header, options, TextTable(path, shape, layout, options))


def _layout(path: Path, shape: Shape, options: Options) -> Layout:
    if options.columns:
        return ordered(str(path), options.columns, shape.columns)
    layout = named(str(path), shape.names) if shape.names else None
    if layout is not None:
        at = {letter: shape.names.index(name) for letter, name in layout.at.items()}
        return replace(layout, at=at)
    rows = (rows.matrix() for rows in blocks(path, shape, options.strict))
    known = Known(options.width or shape.width, options.height or shape.height, not options.sort)
    found = inferred(str(path), rows, known)
    standard = shape.sized and "".join(sorted(found.at, key=lambda letter: found.at[letter])) == "txyp"
    return replace(found, warnings=()) if standard else found


class TextTable(Table):
    """Rows of a text file."""

    reason = UNREADABLE

    def __init__(self, path: Path, shape: Shape, layout: Layout, options: Options) -> None:
        self._path, self._shape, self._layout, self._strict = path, shape, layout, options.strict
        times = self._some_times()
        of_layout = UNITS_US["s"] if shape.sized and times.dtype.kind == "f" else None
        unit_us, differs = unit_said(path, options, layout.unit_us or of_layout)
        # scaled here, where decimals are exact
        self._told = scale_of(path, times, unit_us)
        self.scale = replace(self._told, us=1.0)
        self.warnings = (*layout.warnings, *differs)

    def _some_times(self) -> Array:
        """Times of the first rows and of the last; what lies between is checked as it is read."""
        shape, column = self._shape, self._layout.at["t"]
        first = next(blocks(self._path, shape, strict=False), None)
        last = parse(_numbers(_tail(self._path, shape.begin)), shape.delimiter, shape.columns)
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
    with reading(path) as file:
        file.seek(shape.begin)
        line = shape.lines + 1
        for block in _whole_lines(path, file):
            rows = parse(_numbers(block), shape.delimiter, shape.columns)
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
    with reading(path) as file:
        size = file.seek(0, 2)
        at = max(begin, size - LONGEST)
        file.seek(at)
        data = file.read()
    return data[data.find(b"\n") + 1 :] if at > begin else data


def write(file: BinaryIO, events: Events) -> None:
    """Write ``t,x,y,p`` in microseconds, one event a line, and the sensor's size as a comment where it is
    known.

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


FORMAT = Format(
    "text",
    "text, one event a line",
    (".csv", ".txt", ".tsv"),
    recognise,
    open_recording,
    write,
    TABLE,
    why_not=why_not,
)
