"""WAV files: bytes assembled by hand, every coding, and what must be refused."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.stored.wave import Sound, read_wave, write_wave
from spikeflow.errors import DataError, FileError, SpikeflowError, SpikeflowWarning


def riff(fmt: bytes, data: bytes, before: bytes = b"") -> bytes:
    chunks = (
        b"fmt " + struct.pack("<I", len(fmt)) + fmt + before + b"data" + struct.pack("<I", len(data)) + data
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def form(tag: int, channels: int, rate: int, bits: int) -> bytes:
    block = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)


def put(folder: Path, raw: bytes) -> Path:
    path = folder / "sound.wav"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    "fmt, data, expected",
    [
        (form(1, 1, 8000, 8), bytes([128, 0, 192]), [0, -1, 0.5]),
        (form(1, 1, 8000, 16), struct.pack("<3h", 0, -32768, 16384), [0, -1, 0.5]),
        (form(1, 1, 8000, 24), bytes([0, 0, 0, 0, 0, 0x80, 0, 0, 0x40]), [0, -1, 0.5]),
        (form(1, 1, 8000, 32), struct.pack("<3i", 0, -(2**31), 2**30), [0, -1, 0.5]),
        (form(3, 1, 8000, 32), struct.pack("<3f", 0, -1, 0.5), [0, -1, 0.5]),
        (form(3, 1, 8000, 64), struct.pack("<3d", 0, -1, 1), [0, -1, 1]),
        (form(1, 2, 8000, 16), struct.pack("<4h", 16384, 0, -16384, -16384), [0.25, -0.5]),
        (
            form(0xFFFE, 1, 8000, 16) + struct.pack("<HHIH14s", 22, 16, 4, 1, bytes(14)),
            struct.pack("<h", 8192),
            [0.25],
        ),
    ],
)
def test_every_coding_by_hand(tmp_path: Path, fmt: bytes, data: bytes, expected: list[float]) -> None:
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # a chunk of odd length is followed by a byte
    sound = read_wave(put(tmp_path, riff(fmt, data, odd)))
    assert sound.rate_hz == 8000 and sound.samples.dtype == np.float32
    np.testing.assert_array_equal(sound.samples, np.float32(expected))


def test_agrees_with_the_standard_library_both_ways(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-(2**15), 2**15, 1000).astype("<i2")
    with wave.open(str(tmp_path / "theirs.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(values.tobytes())
    sound = read_wave(tmp_path / "theirs.wav")
    np.testing.assert_array_equal(sound.samples * 32768, values)
    write_wave(tmp_path / "ours.wav", sound)
    with wave.open(str(tmp_path / "ours.wav")) as file:
        assert (file.getframerate(), file.getnchannels()) == (16000, 1)
        assert file.readframes(1000) == values.tobytes()


@pytest.mark.parametrize(
    "raw, word",
    [
        (b"", "not a WAV"),
        (b"RIFX\0\0\0\0WAVE", "not a WAV"),
        (b"RIFF\0\0\0\0WAVE", "without data"),
        (riff(form(1, 1, 8000, 16), b"\0\0")[:-1], "declares 2 bytes"),
        (riff(form(1, 1, 8000, 16), b"\0\0\0"), "whole blocks"),
        (riff(form(7, 1, 8000, 8), b"\0"), "coding 7"),
        (riff(form(1, 1, 0, 16), b"\0\0"), "0 Hz"),
        (riff(form(1, 1, 8000, 16)[:10], b"\0\0"), "16 are needed"),
        (riff(form(3, 1, 8000, 32), struct.pack("<f", np.nan)), "NaN"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "before its format"),
        (b"RIFF\0\0\0\0WAVEdata\xff\xff\xff\xff", "declares 4294967295"),
    ],
)
def test_refused(tmp_path: Path, raw: bytes, word: str) -> None:
    with pytest.raises(FileError, match=word):
        read_wave(put(tmp_path, raw))


def test_floats_beyond_the_range_are_cut_off_and_told(tmp_path: Path) -> None:
    data = struct.pack("<4d", 0, -1, 2.5, 0.5)
    with pytest.warns(SpikeflowWarning, match=r"1 of 4 samples lie beyond -1 to 1, up to 2.5"):
        sound = read_wave(put(tmp_path, riff(form(3, 2, 8000, 64), data)))
    np.testing.assert_array_equal(sound.samples, np.float32([-0.5, 0.75]))


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_wave(tmp_path / "none.wav")
    with pytest.raises(FileError, match="folder"):
        read_wave(tmp_path)


def test_only_sound_is_written(tmp_path: Path) -> None:
    for samples in (np.array([1.5]), np.zeros((2, 2)), np.array([np.nan])):
        with pytest.raises(DataError, match="between -1 and 1"):
            write_wave(tmp_path / "x.wav", Sound(samples, 8000))
    assert not (tmp_path / "x.wav").exists()


_BUFFER = io.BytesIO()
with wave.open(_BUFFER, "wb") as _file:
    _file.setparams((1, 2, 8000, 0, "NONE", ""))
    _file.writeframes(bytes(20))


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 255)), max_size=6), st.integers(0, 64))
def test_damage_is_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, hits: list, cut: int
) -> None:
    raw = bytearray(_BUFFER.getvalue())
    for at, value in hits:
        raw[at] = value
    with contextlib.suppress(SpikeflowError), warnings.catch_warnings():
        warnings.simplefilter("ignore", SpikeflowWarning)  # damage may make floats of any size
        samples = read_wave(put(tmp_path_factory.mktemp("w"), bytes(raw[:cut]))).samples
        assert np.abs(samples).max(initial=0) <= 1
