"""WAV files: samples between -1 and 1 and their rate, read without trusting what the file declares.

Source: IBM and Microsoft 1991, "Multimedia Programming Interface and Data Specifications 1.0", chapter
"Waveform Audio File Format"; format tags of Microsoft's ``mmreg.h``.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeflow.errors import DataError, FileError, SpikeflowWarning
from spikeflow.files.opened import read_regular
from spikeflow.files.write import replace_file
from spikeflow.sound import Sound
from spikeflow.typing import Array

__all__ = ["Sound", "read_wave", "write_wave"]
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
MAX_BYTES = 1 << 30
MAX_RATE_HZ = 10_000_000


@dataclass(frozen=True)
class _Layout:
    tag: int
    channels: int
    rate_hz: int
    block: int
    bits: int


def read_wave(path: str | Path) -> Sound:
    """The mean over the channels of a WAV file of whole numbers (8, 16, 24, 32 bit) or floats (32, 64 bit).

    Raises
    ------
    FileError
        Where the file is missing, no WAV file, cut short, of another coding, or larger than 1 GiB.
    """
    raw = _bytes(Path(path))
    layout: _Layout | None = None
    for name, at, size in _chunks(path, raw):
        if name == b"fmt ":
            layout = _layout(path, raw[at : at + size])
        elif name == b"data":
            if layout is None:
                raise FileError(path, "its data come before its format")
            if size % layout.block:
                raise FileError(path, f"{size} bytes of data are not whole blocks of {layout.block}")
            samples = _samples(raw[at : at + size], layout)
            if not np.isfinite(samples).all():
                raise FileError(path, "samples that are NaN or infinite")
            return Sound(
                _within(path, samples).reshape(-1, layout.channels).mean(1).astype(np.float32), layout.rate_hz
            )
    raise FileError(path, "a WAV file without data")


def write_wave(path: str | Path, sound: Sound) -> None:
    """Write samples as 16-bit mono, each as ``min(round(32768 x), 32767)``.

    The file is whole or not there.

    Raises
    ------
    DataError
        Where samples are not one row of numbers between -1 and 1.
    """
    samples = np.asarray(sound.samples)
    if samples.ndim != 1 or not np.isfinite(samples).all() or (samples.size and np.abs(samples).max() > 1):
        raise DataError("wave", f"samples of shape {samples.shape}", "one row of numbers between -1 and 1")
    data = np.minimum(np.rint(samples * 32768.0), 32767).astype("<i2").tobytes()
    rate = sound.rate_hz
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, PCM, 1, rate, 2 * rate, 2, 16
    )
    replace_file(path, (head, struct.pack("<4sI", b"data", len(data)), data))


def _bytes(path: Path) -> bytes:
    raw = read_regular(path, MAX_BYTES)
    if len(raw) < 12 or raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        raise FileError(path, "not a WAV file")
    return raw


def _chunks(path: str | Path, raw: bytes) -> list[tuple[bytes, int, int]]:
    """Name, first byte and size of each chunk; chunks begin at even bytes."""
    chunks, at = [], 12
    while at + 8 <= len(raw):
        name, size = struct.unpack_from("<4sI", raw, at)
        if at + 8 + size > len(raw):
            raise FileError(
                path, f"declares {size} bytes of {name.decode('latin1')!r}; {len(raw) - at - 8} are there"
            )
        chunks.append((name, at + 8, size))
        at += 8 + size + size % 2
    return chunks


def _layout(path: str | Path, chunk: bytes) -> _Layout:
    if len(chunk) < 16:
        raise FileError(path, f"a format chunk of {len(chunk)} bytes; 16 are needed")
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE and len(chunk) >= 26:  # the true coding is the first word of a GUID
        (tag,) = struct.unpack_from("<H", chunk, 24)
    if (tag, bits) not in ((PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)):
        raise FileError(
            path, f"coding {tag} with {bits} bits a sample", "16-bit PCM, such as sox or ffmpeg write"
        )
    if not channels or block != channels * bits // 8 or not 0 < rate <= MAX_RATE_HZ:
        raise FileError(path, f"{channels} channels, {block} bytes a block, {rate} Hz do not fit together")
    return _Layout(tag, channels, rate, block, bits)


def _samples(data: bytes, layout: _Layout) -> Array:
    if layout.tag == FLOAT:
        values = np.frombuffer(data, f"<f{layout.bits // 8}").astype(np.float64)
    elif layout.bits == 8:  # the one width without a sign
        values = (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    elif layout.bits == 24:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        values = wide.view("<i4").ravel() / 2.0**31
    else:
        values = np.frombuffer(data, f"<i{layout.bits // 8}") / 2.0 ** (layout.bits - 1)
    return values


def _within(path: str | Path, values: Array) -> Array:
    """What floats hold beyond -1 and 1 is cut off, and told."""
    if beyond := int((np.abs(values) > 1).sum()):
        text = (
            f"{path}: {beyond} of {len(values)} samples lie beyond -1 to 1, up to {np.abs(values).max():g}, "
        )
        text += "and are cut off there. Try: samples divided by the largest"
        warnings.warn(text, SpikeflowWarning, stacklevel=4)
    return np.clip(values, -1, 1)
