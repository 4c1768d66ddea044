"""What only a process of its own shows: what is imported, where output goes, and a disk that is full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Call

CALL = "import sys; from spikeflow.cli import main; main()"
LOADED = """
import sys
from spikeflow.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([m for m in ('torch', 'matplotlib', 'scipy', 'sklearn') if m in sys.modules], file=sys.stderr)
"""
FULL = """
import resource, signal, sys
from spikeflow.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("convert", "--help"),
        ("report", "--help"),
        ("show", "net.h5"),
        ("run", "net.h5", "--data", "data.npz", "--engine", "reference"),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded_before_it_is_needed(
    apart: Call, files: Path, arguments: tuple[str, ...]
) -> None:
    placed = [files / a if "." in a else a for a in arguments]
    ended = apart(LOADED, *placed)
    assert ended.code == 0, ended
    assert ended.err.strip() == "[]"


def test_report_and_map_load_no_torch(apart: Call, files: Path, tmp_path: Path) -> None:
    data = ("--data", files / "data.npz")
    for arguments in (
        ("report", files / "net.h5", *data, "--engine", "reference", "--out", tmp_path / "r.html"),
        ("map", files / "net.h5", *data, "--chip", "loihi2", "--out", tmp_path / "m.h5"),
    ):
        ended = apart(LOADED, *arguments)
        assert ended.code == 0 and "torch" not in ended.err, ended


@pytest.mark.parametrize("name", ["convert", "map", "report"])
def test_a_full_disk_leaves_nothing_behind(apart: Call, files: Path, tmp_path: Path, name: str) -> None:
    source = files / ("ann.pt" if name == "convert" else "net.h5")
    more = {"convert": (), "map": ("--chip", "loihi2"), "report": ("--engine", "reference")}[name]
    before = tmp_path / "out"
    before.write_text("what was there before")
    ended = apart(FULL, name, source, "--data", files / "data.npz", *more, "--out", before)
    assert "out" in ended.error and "too large" in ended.error.lower()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert before.read_text() == "what was there before"


def test_a_terminal_shows_progress_on_stderr_only(files: Path) -> None:
    # a pseudo-terminal as stderr, a pipe as stdout
    import json
    import pty
    import subprocess
    import sys

    import spikeflow

    reader, writer = pty.openpty()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            CALL,
            "run",
            files / "net.h5",
            "--data",
            files / "data.npz",
            "--engine",
            "reference",
            "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=writer,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(spikeflow.__file__).parents[1]), "TERM": "xterm"},
    )
    os.close(writer)
    assert json.loads(done.stdout)["samples"] == 12
    assert b"running" in os.read(reader, 65536)
    os.close(reader)


def test_a_reader_that_has_seen_enough_ends_it_quietly(files: Path) -> None:
    import subprocess
    import sys

    import spikeflow

    code = f"import os; os.close(1); os.dup2({{}}, 1)\n{CALL}"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code.format(writer), "show", files / "net.h5"],
        pass_fds=[writer],
        stderr=subprocess.PIPE,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(spikeflow.__file__).parents[1])},
    )
    os.close(writer)
    assert done.stderr == b"" and done.returncode == 1
