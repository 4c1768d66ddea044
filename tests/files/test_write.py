"""Files are whole or not there, replace nothing they should not, and a killed writer leaves nothing for long."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from spikeflow.cli import COMMANDS, console
from spikeflow.cli import cli as group
from spikeflow.cli.data import command as data_group
from spikeflow.datasets import read, write
from spikeflow.datasets.formats import FORMATS
from spikeflow.errors import FileError
from spikeflow.events import Events
from spikeflow.files import write as files

WRITABLE = [known.name for known in FORMATS if known.write]
FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from spikeflow.datasets import write
from spikeflow.errors import FileError
from spikeflow.events import Events
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, name, *limits = sys.argv[1:]
count = np.arange(3000)
events = Events(count, count % 120, count % 100, count % 2, 128, 128)
for limit in map(int, limits):
    before = Path(path).read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write(path, events, name)
        print('whole')
    except FileError as error:
        assert 'cannot be written' in str(error), error
        assert Path(path).read_bytes() == before
        print('refused')
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert [p.name for p in Path(path).parent.iterdir()] == [Path(path).name]
"""
SLOW = """
import sys, time
from pathlib import Path
from spikeflow.files import write as files
with files.drafted(sys.argv[1], named=sys.argv[2] == 'named') as draft:
    draft.file.write(b'half of it')
    draft.file.flush()
    print('begun', flush=True)
    time.sleep(60)
"""


def _events(count: int = 3000) -> Events:
    t = np.arange(count)
    return Events(t, t % 120, t % 100, t % 2, 128, 128)


@pytest.fixture(params=["nameless", "named"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With files that have no name, and on a system that has none."""
    if request.param == "named":
        monkeypatch.setattr(files, "NAMELESS", 0)
    return str(request.param)


@pytest.mark.parametrize("name", WRITABLE)
def test_a_full_disk_is_an_error_and_keeps_what_was_there(tmp_path: Path, name: str) -> None:
    """Limits of 1 byte to more than the file needs, six drawn at random and the last byte, for every format."""
    write(path := tmp_path / "a.bin", _events(), name)
    size = path.stat().st_size
    draw = random.Random(f"full disk {name}")
    limits = [*(draw.randrange(1, size) for _ in range(6)), size - 1, size]
    path.write_bytes(b"before")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), name, *map(str, limits)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused"] * 7 + ["whole"]
    assert read(path, name, width=None, height=None).t.size == 3000


def test_nothing_is_written_by_a_call_that_overlooks_a_full_disk() -> None:
    # numpy's tofile does not notice that closing failed
    root = Path(__file__).parents[2]
    for path in [*(root / "datasets").rglob("*.py"), *(root / "spikeflow").rglob("*.py")]:
        assert ".tofile(" not in path.read_text(), path


def test_links_stay_and_their_target_is_replaced(tmp_path: Path, system: str) -> None:
    (tmp_path / "there").mkdir()
    (real := tmp_path / "there" / "real").write_bytes(b"old")
    for name, target in (
        ("link", real),
        ("dangling", tmp_path / "there" / "new"),
        ("twice", tmp_path / "link"),
    ):
        (link := tmp_path / name).symlink_to(target)
        files.replace_file(link, (name.encode(),))
        assert link.is_symlink() and link.read_bytes() == name.encode()
    assert real.read_bytes() == b"twice" and not real.is_symlink()


def test_pipes_devices_and_folders_are_not_replaced(tmp_path: Path, system: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (
        tmp_path / "pipe",
        tmp_path / "folder",
        tmp_path / "null",
        Path("/dev/null"),
        Path("/dev/full"),
    ):
        kind = stat.S_IFMT(path.stat().st_mode)
        with pytest.raises(FileError, match="not a plain file"):
            files.replace_file(path, (b"x",))
        with pytest.raises(FileError, match="not a plain file"):
            write(path, _events(), "npy")
        assert stat.S_IFMT(path.stat().st_mode) == kind
    assert len(list(tmp_path.iterdir())) == 3


def test_rights_are_those_of_a_new_file_or_of_the_one_replaced(
    tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def toggled(mask: int) -> int:
        raise AssertionError("the mask of the whole process was changed")

    draw = random.Random("rights")
    for i in range(20):
        mask, mode = (
            draw.choice([0o022, 0o077, 0o002, 0o027]),
            draw.choice([0o600, 0o644, 0o640, 0o664, 0o755]),
        )
        before = os.umask(mask)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(os, "umask", toggled)
                write(new := tmp_path / f"{i}.npz", _events(5))
                assert stat.S_IMODE(new.stat().st_mode) == 0o666 & ~mask
                new.chmod(mode)
                write(new, _events(9))
                assert stat.S_IMODE(new.stat().st_mode) == mode and len(read(new)) == 9
        finally:
            os.umask(before)


@pytest.mark.parametrize("named", ["named", "nameless"])
@pytest.mark.parametrize("old", [True, False], ids=["replacing", "new"])
def test_what_a_killed_writer_leaves_is_cleared_by_the_next(tmp_path: Path, named: str, old: bool) -> None:
    target = tmp_path / "a.npz"
    if old:
        target.write_bytes(b"before")
    for _ in range(2):
        writer = subprocess.Popen([sys.executable, "-c", SLOW, str(target), named], stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline() == b"begun\n"
        with files.drafted_folder(tmp_path):  # another writer meanwhile takes nothing away from it
            pass
        held = [p.name for p in tmp_path.iterdir() if p != target]
        assert len(held) == (named == "named") and all(files.DRAFT.fullmatch(name) for name in held)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    assert target.exists() == old and (not old or target.read_bytes() == b"before")
    with files.drafted(target, named=True) as draft:
        draft.file.write(b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"] and target.read_bytes() == b"new"


def test_clearing_touches_nothing_else(tmp_path: Path) -> None:
    kept = [".spikeflow-notes.tmp", ".spikeflow-0123456789abcdef", "0123456789abcdef.tmp", ".draft-a.npz"]
    for name in kept:
        (tmp_path / name).write_text("mine")
    (outside := tmp_path / kept[0]).write_text("mine")
    (tmp_path / f".spikeflow-{'1' * 16}.tmp").symlink_to(outside)
    (tmp_path / f".spikeflow-{'2' * 16}.tmp").write_text("left by an earlier version")
    assert files.clear(tmp_path) == 1 and files.clear(tmp_path / "none") == 0
    assert outside.read_text() == "mine" and len(list(tmp_path.iterdir())) == len(kept) + 1


def test_places_that_cannot_be_written_are_told_before_the_work(tmp_path: Path) -> None:
    (made := tmp_path / "in.npz").write_bytes(b"x")
    os.link(made, tmp_path / "twin")
    (tmp_path / "link").symlink_to(made)
    for name in ("in.npz", "twin", "link", "./in.npz", "../" + tmp_path.name + "/in.npz"):
        with pytest.raises(FileError, match="made from"):
            files.check_output(tmp_path / name, [tmp_path / "other", made])
    with pytest.raises(FileError, match="no folder"):
        files.check_output(tmp_path / "none" / "a")
    with pytest.raises(FileError):
        files.check_output("a\0b")
    assert files.check_output(tmp_path / "new", [made]) == tmp_path / "new"


def _commands() -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found = [(name, group.get_command(context, name)) for name in COMMANDS]
    found += [(f"data {n}", data_group.get_command(context, n)) for n in data_group.list_commands(context)]
    return [(name, one) for name, one in found if one is not None]


def test_every_command_that_writes_a_file_asks_first() -> None:
    writing = [name for name, one in _commands() if isinstance(one, console.Writing)]
    assert {"convert", "map", "report", "data convert", "data show", "data frames"} <= set(writing)
    for name, one in _commands():
        outputs = [p.name for p in one.params if isinstance(p.type, console.OutputPath)]
        folders = [p for p in one.params if isinstance(p.type, click.Path) and not p.type.file_okay]
        named = [p.name for p in one.params if p.name in ("out", "save") or p.human_readable_name == "OUT"]
        named = [n for n in named if n not in {p.name for p in folders}]  # these are checked by what fills them
        assert set(named) <= set(outputs), f"{name}: {named} should be of the type console.OutputPath"
        assert bool(outputs) == isinstance(one, console.Writing), name


@pytest.mark.parametrize("out", ["a file/folder", "a file/within/it"])
def test_a_folder_that_cannot_be_made_is_told_before_the_training(tmp_path: Path, out: str) -> None:
    (tmp_path / "a file").touch()
    (recipe := tmp_path / "recipe.toml").write_text(
        'title = "none"\n[data]\nset = "digits"\nfolder = "missing"\n[network]\nkind = "dense"\nhidden = [4]\n'
    )
    assert str(tmp_path / out) in _refused(["train", recipe, "--out", tmp_path / out], tmp_path)


def _refused(arguments: list[Any], folder: Path) -> str:
    from click.testing import CliRunner

    done = CliRunner().invoke(group, [str(a) for a in arguments])
    assert isinstance(done.exception, FileError), (arguments, done.output, done.exception)
    return str(done.exception)


def test_no_command_replaces_its_input(tmp_path: Path) -> None:
    write(path := tmp_path / "a.npz", _events())
    before = path.read_bytes()
    (link := tmp_path / "b.npz").symlink_to(path)
    for out in (path, link):
        calls: list[list[Any]] = [
            ["data", "convert", path, out],
            ["convert", path, "--out", out],
            ["convert", "a.pt", "--data", path, "--out", out],
            ["map", path, "--chip", "loihi2", "--data", tmp_path / "c.npz", "--out", out],
            ["map", tmp_path / "n.h5", "--chip", "loihi2", "--data", path, "--out", out],
            ["report", path, "--data", path, "--out", out],
        ]
        for call in calls:
            assert "made from" in _refused(call, tmp_path)
    assert path.read_bytes() == before
