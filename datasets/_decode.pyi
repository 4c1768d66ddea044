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

    def expect(self, bytes: int) -> None:
        """About this many bytes will follow, before `take`: a hint."""

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
    def ready(self) -> int:
        """Events that `take` would give."""

    @property
    def last(self) -> int | None:
        """Time of the last event kept, or None."""

    @property
    def counts(self) -> dict:
        """For each fault, how often it occurred."""

def bin5(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """40-bit events of N-MNIST and its like."""

def evt2(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """Prophesee EVT 2.0."""

def evt21(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """Prophesee EVT 2.1."""

def evt21_legacy(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """Prophesee EVT 2.1, the halves of each word swapped."""

def evt3(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """Prophesee EVT 3.0."""

def dat(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """Prophesee DAT, version 2."""

def dat1(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """Prophesee DAT, before version 2."""

def aedat1_dvs128(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """AEDAT 1.0 of a DVS128."""

def aedat2_dvs128(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """AEDAT 2.0 of a DVS128."""

def aedat2_davis(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """AEDAT 2.0 of a DAVIS."""

def aedat3(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True, source: int = -1) -> Decoder:
    """AEDAT 3.0 and 3.1; of one source, or of any."""

def aedat4(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """The packets of events of AEDAT 4, without compression."""

def es_dvs(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """Event Stream 2, type DVS."""

def es_atis(width: int = 0, height: int = 0, strict: bool = True, ordered: bool = True) -> Decoder:
    """Event Stream 2, type ATIS."""

def background_activity(t: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], x: Annotated[NDArray[numpy.uint16], dict(shape=(None,), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.uint16], dict(shape=(None,), order='C', device='cpu', writable=False)], p: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], memory: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], window: int, itself: bool) -> Annotated[NDArray[numpy.uint8], dict(shape=(None,))]:
    """Which events have a neighbour in time and space."""

def refractory(t: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], x: Annotated[NDArray[numpy.uint16], dict(shape=(None,), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.uint16], dict(shape=(None,), order='C', device='cpu', writable=False)], p: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], memory: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], period: int) -> Annotated[NDArray[numpy.uint8], dict(shape=(None,))]:
    """Which events come at least a period after the pixel's last kept one."""

def integrate(t: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], x: Annotated[NDArray[numpy.uint16], dict(shape=(None,), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.uint16], dict(shape=(None,), order='C', device='cpu', writable=False)], p: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], memory: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], threshold: int) -> Annotated[NDArray[numpy.uint8], dict(shape=(None,))]:
    """At which events a pixel's sum of on and off reaches the threshold."""
