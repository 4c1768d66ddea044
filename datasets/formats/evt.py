"""What Prophesee's files have in common: the header in text, and words that tell the time's upper bits.

A header is lines of ``% keyword value``, up to ``% end`` where there is one, else up to the first line that
is none.

Source: docs.prophesee.ai, "RAW File Format", "DAT File Format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spikeflow.datasets.formats.format import HEAD
from spikeflow.datasets.recording import Header
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.opened import reading
from spikeflow.typing import Array

PIECE = 1 << 20  # events that are encoded at a time
SIDE = 2048  # the largest sensor of the EVT formats: 11 bits for a row or column
LINE = re.compile(rb"% ([!-~]+)([ \t][^\x00-\x08\x0a-\x1f\x7f]*)?\r?\n")
ENCODINGS = {"2.0": "EVT2", "2.1": "EVT21", "3.0": "EVT3"}
MOST_TIME_WORDS = 1 << 20  # that a writer adds to cross spans without events


@dataclass(frozen=True)
class TextHeader:
    """The header's fields, the last of each name, and the byte behind it."""

    fields: Mapping[str, str] = field(default_factory=dict)
    size: int = 0

    @property
    def encoding(self) -> str | None:
        """``EVT2``, ``EVT21``, ``EVT3`` or another that the header names; None where it names none."""
        name = self.options.get("") if self.fields else None
        return name if name is not None else ENCODINGS.get(self.fields.get("evt", ""))

    @property
    def options(self) -> dict[str, str]:
        """Of the line ``format NAME;option=value;...``; the name is that of the option without one."""
        first, *rest = self.fields.get("format", "").split(";")
        pairs = (part.partition("=")[::2] for part in rest)
        return {**{name.strip(): value.strip() for name, value in pairs}, **({"": first} if first else {})}


def text_header(start: bytes) -> TextHeader:
    """The header at the beginning of a file; binary data that begins with % is none."""
    fields: dict[str, str] = {}
    at = 0
    while match := LINE.match(start, at):
        at = match.end()
        name, value = match[1].decode(), (match[2] or b"").decode("latin-1").strip()
        if name == "end" and not value:
            break
        fields[name] = value
    return TextHeader(fields, at)


def read_start(path: Path) -> bytes:
    """What a format may look at.

    Raises
    ------
    FileError
        Where the file cannot be read.
    """
    try:
        with reading(path, 0) as file:
            return file.read(HEAD)
    except FileError:
        raise
    except OSError as error:
        raise FileError(path, str(error.strerror)) from None


def raw_header(path: Path, format: str) -> tuple[Header, TextHeader]:
    """The header of a RAW file that is said to be of this format.

    Raises
    ------
    FileError
        Where the header names another encoding, or a sensor that the format cannot have.
    """
    text = text_header(read_start(path))
    if text.encoding not in (None, format.upper()):
        raise FileError(path, f"its header says {text.encoding}, not {format.upper()}")
    endianness = text.options.get("endianness", text.fields.get("endianness", "little"))
    if endianness not in ("little", "legacy") or (endianness == "legacy" and format != "evt21"):
        raise FileError(path, f"words of endianness {endianness}", "a conversion with the maker's tools")
    width, height = (_side(path, text, name) for name in ("width", "height"))
    return Header(format, width, height, text.fields), text


def _side(path: Path, text: TextHeader, name: str) -> int | None:
    """Columns or rows of the sensor, as the lines ``format`` and ``geometry`` say."""
    found = {value for value in (text.options.get(name), _geometry(text).get(name)) if value is not None}
    if len(found) > 1:
        raise FileError(path, f"its header says the {name}s {' and '.join(sorted(found))}")
    return side(path, name, found.pop(), SIDE) if found else None


def _geometry(text: TextHeader) -> dict[str, str]:
    match = re.fullmatch(r"(\d+)x(\d+)", text.fields.get("geometry", ""))
    return {"width": match[1], "height": match[2]} if match else {}


def side(path: Path, name: str, value: str, most: int) -> int:
    """A number of columns or rows out of a header.

    Raises
    ------
    FileError
        Where it is no number from 1 to `most`.
    """
    if not re.fullmatch(r"\d{1,9}", value) or not 1 <= int(value) <= most:
        raise FileError(path, f"its header says the {name} {value!r}; the format has 1 to {most}")
    return int(value)


def header_text(format: str, events: Events) -> bytes:
    """The header that a writer begins with."""
    version = {name: number for number, name in ENCODINGS.items()}[format.upper()]
    lines = [f"evt {version}", f"format {format.upper()}"]
    if events.width is not None and events.height is not None:
        lines[1] += f";height={events.height};width={events.width}"
        lines.append(f"geometry {events.width}x{events.height}")
    return "".join(f"% {line}\n" for line in (*lines, "end")).encode()


def check_limits(format: str, events: Events, side: int) -> None:
    """What a writer refuses.

    Raises
    ------
    DataError
        Where a time is negative, a pixel or the sensor too large for the format.
    """
    if len(events) and int(events.t[0]) < 0:
        raise DataError(f"{format}: t", int(events.t[0]), "times from 0", "times shifted to begin at 0")
    for name, size, column in (("x", events.width, events.x), ("y", events.height, events.y)):
        if (size or 0) > side or (len(events) and int(column.max()) >= side):
            raise DataError(
                f"{format}: {name}",
                f"up to {max(int(column.max(initial=0)), (size or 1) - 1)}",
                f"0 to {side - 1}",
            )


@dataclass(frozen=True)
class TimeWords:
    """The words of the time's upper bits that go before some items.

    Parameters
    ----------
    counts : for each item, how many of them.
    values : of all of them, in order.
    """

    counts: Array
    values: Array


def time_words(format: str, high: Array, before: int | None, bits: int) -> TimeWords:
    """A word wherever the upper bits of the time change; several across a span that a reader could not
    unwrap.

    A counter of `bits` bits is unwrapped by taking the nearest of its possible meanings, so that no step may
    be longer than half a turn; these are a quarter at most. `before` is the last item's `high`, None at the
    file's beginning.

    Raises
    ------
    DataError
        Where that would take more than `MOST_TIME_WORDS`.
    """
    turn, quarter = 1 << bits, 1 << (bits - 2)
    step = np.diff(high, prepend=before or 0)
    counts = -(-step // quarter)
    if before is None and len(high):
        # the first word of all may say any time of the first turn
        counts[0] = 1 if high[0] < turn else counts[0]
    if (total := int(counts.sum())) > MOST_TIME_WORDS + np.count_nonzero(step):
        raise DataError(
            f"{format}: t", f"a span that needs {total} words", "shorter ones", "times shifted to begin at 0"
        )
    back = np.repeat(np.cumsum(counts), counts) - np.arange(
        1, total + 1
    )  # how many words follow for this item
    return TimeWords(counts, (np.repeat(high, counts) - back * quarter) % turn)


def pieces(events: Events) -> Iterator[Events]:
    """The events in pieces that are encoded at a time."""
    for at in range(0, len(events), PIECE):
        yield events[at : at + PIECE]


def place(words: Array, at: Array, counts: Array, values: Array) -> Array:
    """Put runs of `counts` values each into `words` at places `at`; the places behind them."""
    starts = np.repeat(at - np.cumsum(counts) + counts, counts)
    words[starts + np.arange(len(values))] = values
    return at + counts


def save(file: BinaryIO, words: Array) -> None:
    """Little-endian words to a file."""
    file.write(words.astype(words.dtype.newbyteorder("<"), copy=False).data)
