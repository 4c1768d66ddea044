"""PNG pictures against a decoder written byte by byte, and against Pillow where it can."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.datasets.stored import png as png_module
from spikeflow.datasets.stored.png import CHANNELS, read_png, unfiltered
from spikeflow.errors import FileError
from tests.datasets import made_files as made

Bytes = npt.NDArray[np.uint8]


def _slowly(lines: Bytes, step: int) -> Bytes:
    """Section 9.2 of the specification, one byte after the other."""
    height, width = lines.shape[0], lines.shape[1] - 1
    out = np.zeros((height, width), int)
    for r in range(height):
        for i in range(width):
            a = out[r, i - step] if i >= step else 0
            b = out[r - 1, i] if r else 0
            c = out[r - 1, i - step] if r and i >= step else 0
            near = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            out[r, i] = (int(lines[r, 1 + i]) + (0, a, b, (a + b) // 2, near)[lines[r, 0]]) % 256
    return out.astype(np.uint8)


@settings(max_examples=60)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 3, 6]), st.integers(0, 2**32 - 1))
def test_filters(height: int, width: int, step: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = rng.integers(0, 256, (height, 1 + width * step), np.uint8)
    lines[:, 0] = rng.integers(0, 5, height)
    fast = unfiltered(Path("x"), lines, step)
    assert (fast.reshape(height, -1) == _slowly(lines, step)).all()


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", CHANNELS)
def test_read(tmp_path: Path, depth: int, colour: int) -> None:
    rng = np.random.default_rng(colour)
    step = CHANNELS[colour] * depth // 8
    lines = rng.integers(0, 256, (7, 1 + 5 * step), np.uint8)
    lines[:, 0] = [0, 1, 2, 3, 4, 4, 1]
    (tmp_path / "a.png").write_bytes(made.png_lines(lines, 5, depth, colour))
    picture = read_png(tmp_path / "a.png")
    expected = _slowly(lines, step).reshape(7, 5, CHANNELS[colour], -1).astype(np.uint16)
    words = expected[..., 0] if depth == 8 else expected[..., 0] * 256 + expected[..., 1]
    assert picture.dtype == (np.uint8 if depth == 8 else np.uint16) and (picture == words).all()


def test_equal_to_pillow(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    smooth = (np.add.outer(np.arange(50), np.arange(40)) * 2 % 256).astype(np.uint8)
    picture = np.stack([smooth, smooth[::-1], 255 - smooth], 2)
    image.fromarray(picture).save(tmp_path / "a.png")
    assert (read_png(tmp_path / "a.png") == picture).all()
    grey = (smooth.astype(np.uint16) << 7) + 3
    image.fromarray(grey).save(tmp_path / "b.png")
    assert (read_png(tmp_path / "b.png")[..., 0] == grey).all()


def test_damage(tmp_path: Path) -> None:
    whole = made.png(tmp_path / "a.png", np.arange(60, dtype=np.uint16).reshape(4, 5, 3)).read_bytes()
    assert read_png(tmp_path / "a.png")[3, 4, 2] == 59
    for cut in range(len(whole)):
        (tmp_path / "a.png").write_bytes(whole[:cut])
        with pytest.raises(FileError, match=r"a\.png"):
            read_png(tmp_path / "a.png")
    for at in range(8, len(whole)):
        (tmp_path / "a.png").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(FileError):
            read_png(tmp_path / "a.png")


@pytest.mark.parametrize(
    "lines, width, depth, colour, word",
    [
        (np.zeros((4, 6), np.uint8), 5, 8, 3, "colour type 3"),
        (np.zeros((4, 6), np.uint8), 5, 4, 0, "4 bits"),
        (np.zeros((4, 6), np.uint8), 6, 8, 0, "24 bytes of pixels, its header declares"),
        (np.zeros((4, 6), np.uint8), 4, 8, 0, "21 bytes of pixels, its header declares 20"),
        (np.full((4, 6), 5, np.uint8), 5, 8, 0, "line filter 5"),
        (np.zeros((4, 6), np.uint8), 1 << 30, 8, 0, "the limit is"),
        (np.zeros((4, 6), np.uint8), 0, 8, 0, "the limit is"),
    ],
)
def test_refused(tmp_path: Path, lines: Bytes, width: int, depth: int, colour: int, word: str) -> None:
    (tmp_path / "a.png").write_bytes(made.png_lines(lines, width, depth, colour))
    with pytest.raises(FileError, match=word):
        read_png(tmp_path / "a.png")


def test_not_a_png(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_png(tmp_path / "none.png")
    (tmp_path / "a.png").write_bytes(b"GIF89a")
    with pytest.raises(FileError, match="no PNG"):
        read_png(tmp_path / "a.png")
    end = png_module.SIGNATURE + made._chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(end)
    with pytest.raises(FileError, match="no PNG header"):
        read_png(tmp_path / "a.png")
    assert zlib.crc32(b"") == 0
