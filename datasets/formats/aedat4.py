"""AEDAT 4, as DV and dv-processing write it: packets of several streams, each a FlatBuffer, compressed or
not.

One stream of events is read; where there are several, ``key`` names one by its number or name. Packets of
other streams are left out and counted. A stretch of time is found by the table of packets at the end of the
file; where that is missing or damaged, by what an earlier pass saw. Times are microseconds, usually since
1970.

Source: docs.inivation.com, "AEDAT 4.0".
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

import spikeflow.datasets._decode as _decode
from spikeflow.datasets.formats import aedat4_write, compression
from spikeflow.datasets.formats.aedat4_header import (
    EVENTS,
    MAGIC,
    PACKET_HEADER,
    Layout,
    Packet,
    Stream,
    read_layout,
    read_table,
)
from spikeflow.datasets.formats.decoded import APART, READ, SIDE, Checkpoint
from spikeflow.datasets.formats.format import KEY, Format, Head
from spikeflow.datasets.recording import Columns, Header, Options, Recording
from spikeflow.datasets.table.faults import hint_of
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.opened import reading

AT_ONCE = 1 << 16  # least events in a piece of a stream, but for the last
MOST_GROWTH = 8  # times that packets are expected to grow when unpacked; two is usual
NUMBER_AND_SIZE = struct.Struct("<ii")  # of a packet: its stream, and the bytes that follow
UNKNOWN, TRUNCATED, OTHER = "unknown words", "truncated", "other packets"


class Aedat4Recording(Recording):
    """One stream of events of an AEDAT 4 file."""

    def __init__(self, path: Path, layout: Layout, stream: Stream, options: Options) -> None:
        fields = {"stream": f"{stream.number} ({stream.name})", "source": stream.source}
        fields["compression"] = layout.compression.name
        super().__init__(path, Header("aedat4", stream.width, stream.height, fields), options)
        for name, size in (("width", self.width), ("height", self.height)):
            if size is not None and not 1 <= size <= SIDE:
                raise DataError(f"{path}: {name}", size, f"1 to {SIDE}")
        self._layout, self._stream = layout, stream
        self._table: list[Packet] | None = None
        self._seen: list[Checkpoint] = []
        self._dropped: Mapping[str, int] = {}

    @property
    def dropped(self) -> Mapping[str, int]:
        """For each reason, how many events, or packets of other streams, the last pass left out."""
        return self._dropped

    def read(self) -> Events:
        """All events; decoded into one array, so that nothing is copied."""
        (columns,) = self._pass(self._fresh(self._layout.begin), whole=True)
        return Events.of_decoder(columns, self.width, self.height, self.dropped)

    def columns(self, start_us: int | None = None) -> Iterator[Columns]:
        """All events in order, from the last packet that begins before `start_us`."""
        return self._pass(self._start(start_us), whole=False)

    def _fresh(self, position: int) -> Checkpoint:
        decoder = _decode.aedat4(
            self.width or 0, self.height or 0, self.options.strict, not self.options.sort
        )
        return Checkpoint(0, position, decoder)

    def _start(self, start_us: int | None) -> Checkpoint:
        if start_us is None:
            return self._fresh(self._layout.begin)
        if self._table is None:
            packets = read_table(self.path, self._layout)
            self._table = [packet for packet in packets if packet.stream == self._stream.number]
        at = bisect_left(self._table, start_us, key=lambda packet: packet.first) - 1
        if at >= 0 and self._holds(self._table[at]):
            return self._fresh(self._table[at].at - PACKET_HEADER)
        at = bisect_left(self._seen, start_us, key=lambda seen: seen.time) - 1
        if at >= 0:
            return Checkpoint(self._seen[at].time, self._seen[at].position, self._seen[at].decoder.clone())
        return self._fresh(self._layout.begin)

    def _holds(self, packet: Packet) -> bool:
        """Whether there is such a packet where the table says so, and its first event has that time."""
        decoder = _decode.aedat4(strict=False)
        with self._opened() as file:
            file.seek(packet.at - PACKET_HEADER)
            header = file.read(PACKET_HEADER)
            if header != packet.stream.to_bytes(4, "little") + packet.size.to_bytes(4, "little"):
                return False
            try:
                decoder.feed(_content(file.read(packet.size), self._layout.compression))
            except compression.Damaged:
                return False
        t = decoder.take()[0]
        return bool(t.size) and int(t[0]) == packet.first

    def _opened(self) -> BinaryIO:
        try:
            return reading(self.path, READ)
        except FileError:
            raise
        except OSError as error:
            raise FileError(self.path, str(error.strerror)) from None

    def _pass(self, start: Checkpoint, whole: bool) -> Iterator[Columns]:
        decoder, left_out, given = start.decoder, Counter[str](), 0
        with self._opened() as file:
            file.seek(start.position)
            for position, packet in self._packets(file, left_out):
                try:
                    content = _content(packet, self._layout.compression)
                    decoder.feed(content)
                    if whole and decoder.position == len(content):  # the first one
                        decoder.expect(self._left(len(content), file.tell()))
                except compression.Damaged:
                    self._fault(UNKNOWN, position, left_out)
                except _decode.DecodeError as error:
                    raise self._error(error.args[0], position) from None
                self._checkpoint(decoder, file.tell())
                if not whole and decoder.ready >= AT_ONCE:
                    given += decoder.ready
                    yield decoder.take()
        counts = left_out + Counter(decoder.counts)
        self._dropped = {reason: n for reason, n in counts.items() if n}
        if start.position == self._layout.begin:
            self.ended(given + decoder.ready, self._dropped)
        yield decoder.take()

    def _left(self, unpacked: int, position: int) -> int:
        """About how many bytes the rest will be unpacked, if it is like the first packet; a hint."""
        growth = min(unpacked / (position - self._layout.begin), MOST_GROWTH)
        return int(growth * (self._layout.end - position))

    def _packets(self, file: BinaryIO, left_out: Counter[str]) -> Iterator[tuple[int, bytes]]:
        """Position and content of each packet of the stream, from where the file is."""
        position, end = file.tell(), self._layout.end
        while position < end:
            header = file.read(min(PACKET_HEADER, end - position))
            number, size = NUMBER_AND_SIZE.unpack(
                header.ljust(PACKET_HEADER, b"\xff")
            )  # where cut: of size -1
            after = position + PACKET_HEADER + size
            if not 0 <= size <= end - position - PACKET_HEADER:
                self._fault(TRUNCATED, position, left_out)
                return
            if number == self._stream.number:
                yield position, file.read(size)
            else:
                if number in self._layout.streams:
                    left_out[OTHER] += 1
                else:
                    self._fault(UNKNOWN, position, left_out)
                file.seek(after)
            position = after

    def _checkpoint(self, decoder: _decode.Decoder, position: int) -> None:
        last = self._seen[-1].position if self._seen else self._layout.begin
        if position >= last + APART and decoder.last is not None:
            self._seen.append(Checkpoint(decoder.last, position, decoder.clone()))

    def _fault(self, fault: str, position: int, left_out: Counter[str]) -> None:
        if self.options.strict:
            raise self._error(fault, position)
        left_out[fault] += 1

    def _error(self, fault: str, position: int) -> FileError:
        return FileError(
            self.path,
            f"{fault} in the packet at byte {position}",
            hint_of(fault),
        )


def _content(packet: bytes, packing: compression.Compression) -> npt.NDArray[np.uint8]:
    """A packet, unpacked: one FlatBuffer behind its size, which must be its size: the decoder goes by it."""
    content = compression.unpack(packet, packing)
    if len(content) != 4 + int.from_bytes(content[:4], "little"):
        raise compression.Damaged("its size is not the one it names")
    return np.frombuffer(content, np.uint8)


def recognise(head: Head) -> bool:
    """By the first line."""
    return head.start.startswith(MAGIC)


def open_recording(path: Path, options: Options) -> Recording:
    """The recording of one stream of events.

    Raises
    ------
    FileError
        Where the header is damaged or names no stream of events.
    DataError
        Where there are several streams of events and `key` does not name one.
    """
    layout = read_layout(path)
    streams = [stream for stream in layout.streams.values() if stream.kind == EVENTS]
    if not streams:
        kinds = ", ".join(stream.kind for stream in layout.streams.values())
        raise FileError(path, f"no stream of events ({EVENTS}), only {kinds or 'an empty header'}")
    return Aedat4Recording(path, layout, _chosen(path, streams, options.key), options)


def _chosen(path: Path, streams: list[Stream], key: str | None) -> Stream:
    found = [s for s in streams if key in (None, str(s.number), s.name)]
    if len(found) != 1:
        told = ", ".join(f"{s.number} ({s.name}, {s.source})" for s in streams)
        raise DataError(f"{path}: stream of events", key or "no word which", f"one of {told}", "key= (--key)")
    return found[0]


FORMAT = Format("aedat4", "AEDAT 4 (DV)", (".aedat4",), recognise, open_recording, aedat4_write.write, KEY)
