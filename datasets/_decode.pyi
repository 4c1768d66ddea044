"""
Decoders of event files: bytes in, in pieces of any size; columns t, x, y, p out.
"""

from typing import Annotated

import numpy
from numpy.typing import NDArray


class DecodeError(ValueError):
    pass

class Decoder:
    """One file's decoder and its state."""

    def feed(self, piece: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """
        Decode the next bytes of the file, cut anywhere. Raises DecodeError(fault, byte) where strict.
        """

    def finish(self) -> None:
        """The file ended: an incomplete record at its end is a fault."""

    def take(self) -> tuple:
        """The columns t, x, y, p of the events since the last call."""

    def clone(self) -> Decoder:
        """A decoder in the same state, without the events."""

    @property
    def position(self) -> int:
        """Bytes decoded so far."""

    @property
    def pending(self) -> int:
        """Bytes fed that wait for the rest of their record."""

    @property
    def last(self) -> int | None:
        """Time of the last event kept, or None."""

    @property
    def counts(self) -> dict:
        """For each fault, how often it occurred."""

def bin5(width: int = 0, height: int = 0, strict: bool = True) -> Decoder:
    """40-bit events of N-MNIST and its like."""
