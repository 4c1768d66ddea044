"""The compiled decoders as an extension: its stub is current, its core knows nothing of Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import _decode

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_stub_is_current(tmp_path: Path) -> None:
    pytest.importorskip("nanobind.stubgen")
    out = tmp_path / "_decode.pyi"
    command = [
        sys.executable,
        "-m",
        "nanobind.stubgen",
        "-q",
        "-m",
        "spikeflow.datasets._decode",
        "-o",
        str(out),
    ]
    subprocess.run(command, check=True)
    committed = ROOT / "datasets" / "_decode.pyi"
    assert out.read_text() == committed.read_text(), "run: " + " ".join(command[:-1]) + f" {committed}"


def test_the_decoders_know_no_python() -> None:
    sources = sorted((ROOT / "src" / "events").iterdir())
    assert sources
    for source in sources:
        text = source.read_text()
        assert "Python.h" not in text and "nanobind" not in text, source.name


def test_every_decoder_is_made_the_same_way() -> None:
    makers = [
        n
        for n in dir(_decode)
        if "-> spikeflow.datasets._decode.Decoder" in (getattr(_decode, n).__doc__ or "")
    ]
    assert {"evt2", "evt21", "evt21_legacy", "evt3", "dat", "dat1", "bin5"} <= set(makers)
    for name in makers:
        decoder = getattr(_decode, name)(width=10, height=10, strict=False)
        assert (decoder.position, decoder.pending, decoder.last) == (0, 0, None)
        assert not any(decoder.counts.values())


def test_columns_are_their_owner_alone() -> None:
    decoder = _decode.bin5()
    decoder.feed(np.frombuffer(bytes([1, 2, 0, 0, 3]), np.uint8))
    first = decoder.take()
    assert [column.tolist() for column in first] == [[3], [1], [2], [0]]
    assert [column.dtype.str for column in first] == ["<i8", "<u2", "<u2", "|u1"]
    del decoder
    assert all(column.flags.writeable for column in first) and first[0][0] == 3


def test_the_caller_s_bytes_are_not_kept() -> None:
    decoder, piece = _decode.bin5(), np.array([1, 2, 0, 0], np.uint8)
    decoder.feed(piece)
    piece[:] = 99
    decoder.feed(np.array([3], np.uint8))
    assert [column.tolist() for column in decoder.take()] == [[3], [1], [2], [0]]
