"""What AEDAT 4 compresses its packets with; a packet never grows beyond a limit when unpacked."""

from __future__ import annotations

from enum import IntEnum

import lz4.frame
import zstandard

from spikeflow.files.limits import RATIO

MOST = 1 << 28  # bytes of one packet, unpacked: 16 million events
USUAL = 4  # times that a packet of events grows when unpacked, mostly less


class Compression(IntEnum):
    """Numbers as in the header of an AEDAT 4 file."""

    NONE = 0
    LZ4 = 1
    LZ4_HIGH = 2
    ZSTD = 3
    ZSTD_HIGH = 4


class Damaged(ValueError):
    """Data that cannot be unpacked, or would grow beyond the limit."""


def unpack(data: bytes, compression: Compression) -> bytes:
    """The content of one packet, which is one frame of the compression.

    Raises
    ------
    Damaged
        Where it is damaged, cut, or larger than `MOST`.
    """
    if compression == Compression.NONE:
        return data
    try:
        if compression in (Compression.LZ4, Compression.LZ4_HIGH):
            return _lz4(data)
        return _zstd(data)
    except (RuntimeError, EOFError, zstandard.ZstdError) as error:
        raise Damaged(str(error)) from None


def most(packed: int) -> int:
    """No more than this comes out of so many packed bytes.

    Every byte of an LZ4 match's length adds at most 255, so no frame of LZ4 holds more. Zstandard has no
    bound of its own; events shrink to a half, and whatever grows more than a thousand times is none.
    """
    return min(MOST, RATIO * packed + 4096)


def _lz4(data: bytes) -> bytes:
    unpacker = lz4.frame.LZ4FrameDecompressor()
    # the library takes the memory of `max_length` at once: what is usual first, and on only where there is
    # more
    out = unpacker.decompress(data, max_length=USUAL * len(data) + 4096)
    parts, left = [out], most(len(data)) - len(out)
    while not (unpacker.eof or unpacker.needs_input) and left > 0:
        parts.append(unpacker.decompress(b"", max_length=min(left, USUAL * sum(map(len, parts)) + 4096)))
        left -= len(parts[-1])
    if not unpacker.eof:
        raise Damaged("an LZ4 frame that is cut or too large")
    return out if len(parts) == 1 else b"".join(parts)


def _zstd(data: bytes) -> bytes:
    limit = most(len(data))
    size = zstandard.frame_content_size(data)
    if size > limit:
        raise Damaged(f"a frame of {size} bytes; the limit is {limit}")
    # the window is memory that a frame asks for; writers that do not know the size beforehand ask for 8 MiB
    window = max(1 << 23, 1 << limit.bit_length())
    reader = zstandard.ZstdDecompressor(max_window_size=window).stream_reader(data)
    parts: list[bytes] = []
    left = limit + 1
    while left and (part := reader.read(min(left, size if size > 0 else 1 << 20))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise Damaged(f"a frame of more than {limit} bytes")
    return b"".join(parts)
