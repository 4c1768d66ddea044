"""Exchange: what ranks say to each other, whoever carries it; and how much it was.

Everything is one word, `gather`: each rank gives some bytes and gets what all gave. A rank that ends with an
error says so instead, so that the others end as well and wait for nobody.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Protocol

import numpy as np

from spikeflow.errors import SimulationError
from spikeflow.sim.result import Exchanged
from spikeflow.typing import Array

SPIKES = "spikes"
_FAILED, _END = "failed", "end"
_HEAD = 4  # bytes that say what follows


class Transport(Protocol):
    """Carries bytes between ranks."""

    rank: int
    ranks: int

    def gather(self, own: bytes) -> list[bytes]:
        """What every rank gave, by its number; all ranks call it equally often.

        Raises SimulationError where one of them is gone.
        """
        ...

    def close(self) -> None:
        """Nothing more will be said."""
        ...


class Exchange:
    """One rank's end of it.

    Parameters
    ----------
    transport : who carries it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.rank, self.ranks = transport.rank, transport.ranks
        self.spoken = Exchanged(self.ranks)  # bytes of this rank alone
        self.broken = False  # a rank has ended: nobody may wait for another

    def gather(self, what: str, own: bytes) -> list[bytes]:
        """What all ranks gave, by their number.

        Parameters
        ----------
        what : is given; the same on all ranks, or they do not run the same program.

        Raises
        ------
        SimulationError
            Where another rank ended, with its reason, or gives something else.
        """
        said = self._carried(_word(what) + own)
        words, values = [one[:_HEAD] for one in said], [one[_HEAD:] for one in said]
        if words == [_word(what)] * self.ranks:
            return values
        self.broken = True
        for rank, word in enumerate(words):
            if word == _word(_FAILED):
                raise SimulationError(f"rank {rank}", f"ended with an error: {values[rank].decode()}")
        ended = [rank for rank, word in enumerate(words) if word == _word(_END)]
        other = ended or [rank for rank, word in enumerate(words) if word != _word(what)]
        reason = (
            f"has ended, while rank {self.rank} gives {what}" if ended else f"gives no {what}, as others do"
        )
        raise SimulationError(f"rank {other[0]}", reason, "the same calls on all ranks")

    def spikes(self, own: Array) -> list[Array]:
        """The spikes of all ranks, as the engine writes and reads them."""
        begun = time.perf_counter()
        said = self.gather(SPIKES, own.tobytes())
        spoken, others = self.spoken, self.ranks - 1
        self.spoken = replace(
            spoken,
            exchanges=spoken.exchanges + 1,
            bytes=spoken.bytes + others * (own.nbytes + _HEAD),
            seconds=spoken.seconds + time.perf_counter() - begun,
        )
        return [np.frombuffer(one, np.int32) for one in said]

    def expect_same(self, what: str, own: bytes, hint: str) -> None:
        """Raise SimulationError where ranks differ in what they give."""
        said = self.gather(what, own)
        other = next((rank for rank, one in enumerate(said) if one != own), None)
        if other is not None:
            raise SimulationError(f"rank {other}", f"has another {what} than rank {self.rank}", hint)

    def arrays(self, what: str, own: Array) -> list[Array]:
        """An array of each rank, all of one type, as rows of numbers."""
        return [
            np.frombuffer(one, own.dtype) for one in self.gather(what, np.ascontiguousarray(own).tobytes())
        ]

    @contextmanager
    def together(self) -> Generator[None]:
        """What is run in it ends on all ranks where it ends on one."""
        if self.broken:
            raise SimulationError("ranks", "have ended before", "prepare(graph, ...) anew")
        try:
            yield
        except BaseException as error:
            self._fail(error)
            raise

    def end(self) -> None:
        """Wait until all have ended, or tell those that have not."""
        if not self.broken:
            with suppress(SimulationError):
                self.gather(_END, b"")

    def close(self) -> None:
        """Nothing more will be said."""
        self.broken = True
        self._transport.close()

    def _carried(self, own: bytes) -> list[bytes]:
        if self.broken:
            raise SimulationError("ranks", "have ended before", "prepare(graph, ...) anew")
        try:
            return self._transport.gather(own)
        except BaseException:
            self.close()  # who still waits for this rank hears that it is gone
            raise

    def _fail(self, error: BaseException) -> None:
        """Tell the others, who are about to listen; where all failed at once all know of it, and go on."""
        if self.broken:
            return
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        try:
            said = self._carried(_word(_FAILED) + text.encode())
        except SimulationError:
            return
        self.broken = any(one[:_HEAD] != _word(_FAILED) for one in said)


def _word(what: str) -> bytes:
    return zlib.crc32(what.encode()).to_bytes(_HEAD, "little")
