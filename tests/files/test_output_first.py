"""An output that cannot be written is found before the work, by Python functions as by commands.

Drawn: paths that cannot be written, 1 to 3 names deep, below a folder that is not there, a plain file, a link to nothing
or a name that no file system takes. The work is made impossible, so that it must not have begun.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets.fetch import prepare as preparing
from spikeflow.errors import FileError
from spikeflow.files.write import check_folder
from spikeflow.report.recording.write import write_recording

KINDS = ("missing", "file", "link", "long", "nul")


class Untouched:
    """Facts that nobody may look at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the work began: {name} was asked for")


def _bad(folder: Path, kind: str, draw: np.random.Generator) -> Path:
    (folder / "file").write_bytes(b"")
    (folder / "link").symlink_to(folder / "nowhere" / "at all")
    start = {"long": "x" * 300, "nul": "a\0b"}.get(kind, kind)
    return folder.joinpath(start, *("deep" for _ in range(draw.integers(0, 3))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".html", ".png", ".gif", ".mp4"])
def test_a_picture_is_not_drawn(tmp_path: Path, kind: str, suffix: str) -> None:
    bad = _bad(tmp_path, kind, np.random.default_rng(len(suffix)))
    with pytest.raises(FileError, match="cannot be written"):
        write_recording(bad / f"picture{suffix}", Untouched())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "missing"])
@pytest.mark.parametrize("seed", range(3))
def test_a_data_set_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, seed: int
) -> None:
    begun: Callable[..., Any] = lambda *_: pytest.fail("the work began")  # noqa: E731
    monkeypatch.setattr(preparing, "_obtain", begun)
    monkeypatch.setattr(preparing, "survey", begun)
    bad = _bad(tmp_path, kind, np.random.default_rng(seed))
    for source in (None, tmp_path):
        with pytest.raises(FileError, match="cannot be written"):
            preparing.prepare("nmnist", source, bad)


def test_a_folder_that_can_be_made_is_not_made_by_the_check(tmp_path: Path) -> None:
    assert check_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not list(tmp_path.iterdir())
