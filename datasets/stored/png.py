"""PNG pictures of 8 or 16 bits a channel, as whole numbers: what flow, disparity and masks are stored in.

Pillow and matplotlib read no colours of 16 bits. Only what such files use is read: greys, RGB, RGBA, not
interlaced.

Source: PNG specification, ISO/IEC 15948 (W3C Recommendation, third edition).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spikeflow.errors import FileError
from spikeflow.files.opened import read_regular
from spikeflow.typing import Array

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # colour type: grey, RGB, grey and alpha, RGBA
MAX_BYTES = 1 << 30
MAX_PIXELS = 1 << 26


def read_png(path: Path) -> Array:
    """The picture as uint8 or uint16 of shape ``(height, width, channels)``.

    Raises
    ------
    FileError
        Where the file is missing, damaged (checksums are held), larger than `MAX_PIXELS`, or of a kind not
        read here.
    """
    data = read_regular(path, MAX_BYTES)
    chunks = _chunks(path, data)
    kind, header = next(chunks, (b"", b""))
    if kind != b"IHDR" or len(header) != 13:
        raise FileError(path, "no PNG header")
    width, height = (int.from_bytes(header[at : at + 4], "big") for at in (0, 4))
    depth, colour, interlaced = header[8], header[9], header[12]
    if depth not in (8, 16) or colour not in CHANNELS or interlaced or header[10] or header[11]:
        raise FileError(
            path, f"PNG of {depth} bits, colour type {colour}, interlace {interlaced}, not read here"
        )
    if not 0 < width * height <= MAX_PIXELS:
        raise FileError(path, f"declares {width} x {height} pixels, the limit is {MAX_PIXELS}")
    step = CHANNELS[colour] * depth // 8  # bytes of a pixel
    lines = _inflated(path, b"".join(c for k, c in chunks if k == b"IDAT"), height * (1 + width * step))
    pixels = unfiltered(path, lines.reshape(height, 1 + width * step), step)
    if depth == 16:
        return pixels.reshape(height, width, -1, 2).view(">u2")[..., 0].astype(np.uint16)
    return pixels


def _chunks(path: Path, data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each chunk up to the end mark, its checksum held."""
    if not data.startswith(SIGNATURE):
        raise FileError(path, "no PNG file")
    at, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        size = int.from_bytes(data[at : at + 4], "big")
        body, check = data[at + 4 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        if len(check) != 4:
            raise FileError(path, f"cut at byte {len(data)}")
        if zlib.crc32(body) != int.from_bytes(check, "big"):
            raise FileError(path, f"damaged at byte {at}: a checksum differs")
        kind, at = body[:4], at + 12 + size
        yield kind, body[4:]


def _inflated(path: Path, packed: bytes, size: int) -> Array:
    try:
        lines = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error as error:
        raise FileError(path, f"damaged pixels ({error})") from None
    if len(lines) != size:
        raise FileError(path, f"{len(lines)} bytes of pixels, its header declares {size}")
    return np.frombuffer(lines, np.uint8)


def unfiltered(path: Path, lines: Array, step: int) -> Array:
    """Undo the filter of each line: uint8 of shape ``(height, width, step)``, step the bytes of a pixel.

    A pixel needs those to its left, above, and above left; pixels on one falling diagonal (row + column the
    same) need none of each other, so each diagonal is one array operation, and a flat picture has it at a
    fixed stride.
    """
    height, width = lines.shape[0], (lines.shape[1] - 1) // step
    kinds = lines[:, 0]
    if kinds.max() > 4:
        raise FileError(path, f"an unknown line filter {kinds.max()}")
    wide = width + 1  # a column of zeros on the left, a row above
    flat = np.zeros(((height + 1) * wide, step), np.int16)
    source = lines[:, 1:].reshape(height, width, step)
    rows = np.arange(height)
    for diagonal in range(height + width - 1):
        top, stop = max(0, diagonal - width + 1), min(height, diagonal + 1)
        first = (top + 1) * wide + diagonal - top + 1
        own = slice(first, first + (stop - top - 1) * width + 1, width)
        row = rows[top:stop]
        left, above, corner = (
            flat[own.start - back : own.stop - back : width] for back in (1, wide, wide + 1)
        )
        filters = kinds[top:stop, None]
        flat[own] = (source[row, diagonal - row] + _predicted(filters, left, above, corner)) & 0xFF
    return flat.reshape(height + 1, wide, step)[1:, 1:].astype(np.uint8)


def _predicted(filters: Array, left: Array, above: Array, corner: Array) -> Array:
    """What each filter (none, left, above, mean, Paeth) foretells; section 9 of the specification."""
    to_left, to_above = np.abs(above - corner), np.abs(left - corner)
    to_corner = np.abs(left + above - 2 * corner)
    nearer = np.where(to_above <= to_corner, above, corner)
    paeth = np.where((to_left <= to_above) & (to_left <= to_corner), left, nearer)
    mean = (left + above) >> 1
    return np.choose(filters, [np.zeros_like(left), left, above, mean, paeth])
