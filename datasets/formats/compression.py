"""What AEDAT 4 compresses its packets with; a packet never grows beyond a limit when unpacked."""

from __future__ import annotations

from enum import IntEnum

import lz4.frame
import zstandard

MOST = 1 << 28  # bytes of one packet, unpacked: 16 million events


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


def _lz4(data: bytes) -> bytes:
    unpacker = lz4.frame.LZ4FrameDecompressor()
    out = unpacker.decompress(data, max_length=min(MOST, _lz4_bound(data)))
    if not unpacker.eof:
        raise Damaged("an LZ4 frame that is cut or too large")
    return out


def _lz4_bound(data: bytes) -> int:
    """No more than this comes out of an LZ4 frame: every byte of a match's length adds at most 255."""
    return 255 * len(data) + 64


def _zstd(data: bytes) -> bytes:
    size = zstandard.frame_content_size(data)
    if size > MOST:
        raise Damaged(f"a frame of {size} bytes; the limit is {MOST}")
    reader = zstandard.ZstdDecompressor(max_window_size=MOST).stream_reader(data)
    parts: list[bytes] = []
    left = MOST + 1
    while left and (part := reader.read(min(left, size if size > 0 else 1 << 20))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise Damaged(f"a frame of more than {MOST} bytes")
    return b"".join(parts)
