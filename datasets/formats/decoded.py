"""A recording whose bytes a compiled decoder turns into events, as a stream, with checkpoints for seeking."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import cast

import numpy as np

from spikeflow.datasets._decode import DecodeError, Decoder
from spikeflow.datasets.recording import Columns, Header, Options, Recording
from spikeflow.datasets.table.faults import hint_of
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.opened import reading

READ = 1 << 20  # bytes of the file at a time
APART = 1 << 23  # least bytes between two checkpoints
SIDE = 1 << 16  # the largest sensor: a pixel's column and row are 16 bits

MakeDecoder = Callable[[int, int, bool, bool], Decoder]  # width, height (0: not known), strict, ordered


@dataclass(frozen=True)
class Checkpoint:
    """A place where decoding may go on: all events from here on have ``t >= time``."""

    time: int
    position: int
    decoder: Decoder


class DecodedRecording(Recording):
    """Bytes from `begin` to the end of the file, through a decoder.

    Checkpoints are laid down while a file is read for the first time, one every `APART` bytes, so that a
    later `between` decodes only from the last checkpoint before its start.
    """

    def __init__(
        self, path: Path, header: Header, options: Options, make: MakeDecoder, begin: int = 0
    ) -> None:
        super().__init__(path, header, options)
        for name, size in (("width", self.width), ("height", self.height)):
            if size is not None and not 1 <= size <= SIDE:
                raise DataError(f"{path}: {name}", size, f"1 to {SIDE}")
        self._make, self._begin = make, begin
        self._checkpoints: list[Checkpoint] = []
        self._dropped: Mapping[str, int] = {}

    @property
    def dropped(self) -> Mapping[str, int]:
        """For each reason, how many events or words the last pass left out; complete once a pass has
        ended.
        """
        return self._dropped

    def read(self) -> Events:
        """All events; decoded into one array, so that nothing is copied."""
        (columns,) = self._pass(self._start(None), whole=True)
        return Events.of_decoder(columns, self.width, self.height, self.dropped)

    def columns(self, start_us: int | None = None) -> Iterator[Columns]:
        """All events in order, from the last checkpoint before `start_us`."""
        return self._pass(self._start(start_us), whole=False)

    def _start(self, start_us: int | None) -> Checkpoint:
        if start_us is not None:
            at = bisect_left(self._checkpoints, start_us, key=lambda c: c.time) - 1
            if at >= 0:
                found = self._checkpoints[at]
                return Checkpoint(found.time, found.position, found.decoder.clone())
        strict, ordered = self.options.strict, not self.options.sort
        return Checkpoint(0, self._begin, self._make(self.width or 0, self.height or 0, strict, ordered))

    def _pass(self, start: Checkpoint, whole: bool) -> Iterator[Columns]:
        decoder, position, given = start.decoder, start.position, 0
        try:
            with cast(FileIO, reading(self.path, 0)) as file:
                left = max(os.fstat(file.fileno()).st_size - position, 0)
                buffer = np.empty(min(READ, left + 1), np.uint8)
                file.seek(position)
                if whole:
                    decoder.expect(left)
                while count := file.readinto(buffer.data):
                    decoder.feed(buffer[:count])
                    position += count
                    self._checkpoint(decoder, position)
                    if not whole:
                        piece = decoder.take()
                        given += len(piece[0])
                        yield piece
            decoder.finish()
        except FileError:
            raise
        except OSError as error:
            raise FileError(self.path, str(error.strerror)) from None
        except DecodeError as error:
            fault, byte = error.args
            raise FileError(
                self.path,
                f"{fault} at byte {self._begin + byte}",
                hint_of(fault),
            ) from None
        self._dropped = {reason: n for reason, n in decoder.counts.items() if n}
        last = decoder.take()
        if start.position == self._begin:
            self.ended(given + len(last[0]), self._dropped)
        yield last

    def _checkpoint(self, decoder: Decoder, position: int) -> None:
        last = self._checkpoints[-1].position if self._checkpoints else self._begin
        if position >= last + APART and decoder.last is not None:
            # a clone keeps what waits for the rest of its record, so that it goes on at the byte after it
            self._checkpoints.append(Checkpoint(decoder.last, position, decoder.clone()))
