"""Writing files: whole or not at all, and nothing left behind by a process that was killed.

A file is written beside its target and moved into place when its last byte is on the disk. Meanwhile it has
no name where the system can do that (Linux: ``O_TMPFILE``), so that nothing is left of a killed process.
Where a name is needed it lies in a folder that has a name of a form of its own and is locked; such a folder
without a lock was left behind by a process that was killed, and the next that needs one deletes it. Rights
are those of a new file, or of the one replaced.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spikeflow.errors import FileError
from spikeflow.files.opened import PathLike

try:
    import fcntl
except ImportError:  # no locks on this system: nothing is taken for left behind
    fcntl = None

DRAFT = re.compile(r"\.spikeflow-[0-9a-f]{16}\.tmp")
NAMELESS: int = getattr(os, "O_TMPFILE", 0)


@dataclass(frozen=True)
class Draft:
    """A file on its way to its place.

    Parameters
    ----------
    file : to be written.
    path : under which it can be opened meanwhile, to look at it.
    """

    file: BinaryIO
    path: Path


def check_output(path: PathLike, inputs: Iterable[PathLike] = ()) -> Path:
    """Where a file of this name is written: its own place, or that at which a link points.

    To be asked before the work; `drafted` asks it again.

    Parameters
    ----------
    inputs : files that the work reads, which may not be replaced by it.

    Raises
    ------
    FileError
        Where there is no such folder, it or the file may not be written, there is something that is no plain
        file (a folder, a pipe, a device), or the file is one of `inputs`.
    """
    try:
        target = Path(os.path.realpath(path))
        # asked twice, as another process may remove the file in between (a cache that is cleared)
        there = target.exists()
        if there and not target.is_file() and target.exists():
            raise FileError(path, "cannot be written: it is not a plain file, so it is not replaced")
        if any(there and os.path.exists(other) and os.path.samefile(target, other) for other in inputs):
            raise FileError(path, "would overwrite what it is made from", "another name for the output")
        if not target.parent.is_dir():
            raise FileError(path, f"cannot be written: there is no folder {target.parent}")
        barred = there and not os.access(target, os.W_OK) and target.exists()
        if barred or not os.access(target.parent, os.W_OK | os.X_OK):
            raise FileError(path, "cannot be written: you have no right to")
    except (OSError, ValueError) as error:
        raise _cannot(path, error) from None
    return target


def check_folder(path: PathLike) -> Path:
    """Where a folder of this name is, or can be made; to be asked before the work that fills it.

    Raises
    ------
    FileError
        Where something else has its name, or it may not be made or written to.
    """
    folder = nearest = Path(path)
    try:
        while not _there(nearest) and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir():
            raise FileError(path, f"cannot be written: {nearest} is not a folder")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise FileError(path, f"cannot be written: you have no right to write to {nearest}")
    except (OSError, ValueError) as error:
        raise _cannot(path, error) from None
    return folder


@contextlib.contextmanager
def alone_in(folder: Path) -> Generator[None, None, None]:
    """The folder, made where it is not there, for one process at a time; nothing of that is left in it.

    Raises
    ------
    FileError
        Where it cannot be made, or another process has it.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY) if fcntl else -1
    except OSError as error:
        raise _cannot(folder, error) from None
    try:
        if fcntl and not _locked(descriptor, wait=False):
            raise FileError(folder, "another process writes there at this moment", "another folder")
        yield
    finally:
        if fcntl:
            os.close(descriptor)


def _there(path: Path) -> bool:
    try:
        path.lstat()  # a link to nothing is there: no folder can be made in its place
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def replace_file(path: PathLike, parts: Iterable[bytes]) -> None:
    """Write a file of these bytes, whole or not at all; FileError leaves behind what was there before."""
    with drafted(path) as draft:
        draft.file.writelines(parts)


@contextlib.contextmanager
def drafted(path: PathLike, durable: bool = True, named: bool = False) -> Generator[Draft, None, None]:
    """A file to be written, which takes the place of `path` when the block ends well, and vanishes when it
    does not.

    Parameters
    ----------
    durable : whether it must have reached the disk before it takes its place (it survives a loss of power).
    named : whether it must have a name meanwhile, with the suffix of `path`, since HDF5 opens nothing else.

    Raises
    ------
    FileError
        As `check_output`, and where the disk is full.
    """
    try:
        target = check_output(path)
        with _opened(target, named) as draft:
            yield draft
            draft.file.flush()
            if durable:
                os.fsync(draft.file.fileno())
            _place(draft, target)
        if durable:
            _flush_folder(target.parent)
    except OSError as error:
        raise _cannot(path, error) from error


@contextlib.contextmanager
def drafted_folder(parent: Path) -> Generator[Path, None, None]:
    """A new folder inside `parent`, gone when the block ends unless it was moved to its place."""
    clear(parent)
    folder, lock = _claimed(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def clear(folder: Path) -> int:
    """Delete what killed processes left in a folder; how many things that were. What is still written to
    stays.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        left = [Path(entry.path) for entry in entries if DRAFT.fullmatch(entry.name)]
        return sum(_deleted(path) for path in left)
    return 0


def _deleted(path: Path) -> bool:
    with contextlib.suppress(OSError):
        lock = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            if not _locked(lock, wait=False):
                return False
            shutil.rmtree(path) if stat.S_ISDIR(os.fstat(lock).st_mode) else path.unlink()
            return True
        finally:
            os.close(lock)
    return False


def _locked(descriptor: int, wait: bool) -> bool:
    """Whether the lock was to be had; it goes with the descriptor, so also with its process."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # held by another, or a file system without locks
        return False
    return True


@contextlib.contextmanager
def _opened(target: Path, named: bool) -> Generator[Draft, None, None]:
    descriptor = None if named else _nameless(target.parent)
    if descriptor is not None:
        with os.fdopen(descriptor, "w+b") as file:
            yield Draft(file, _in_proc(descriptor))
        return
    with drafted_folder(target.parent) as folder:
        path = folder / target.name
        with open(path, "x+b") as file:
            yield Draft(file, path)


def _nameless(folder: Path) -> int | None:
    """A file that no folder lists; None where the system has none."""
    if not NAMELESS:
        return None
    try:
        descriptor = os.open(folder, NAMELESS | os.O_RDWR, 0o666)
    except (
        OSError
    ):  # a file system without such files, or one on which an ordinary file fails with the reason
        return None
    if _in_proc(descriptor).exists():
        return descriptor
    os.close(descriptor)
    return None


def _in_proc(descriptor: int) -> Path:
    return Path(f"/proc/{os.getpid()}/fd/{descriptor}")


def _claimed(parent: Path) -> tuple[Path, int | None]:
    """A new folder and its lock; another one where a writer beside this one took it for left behind."""
    while True:
        folder = parent / f".spikeflow-{secrets.token_hex(8)}.tmp"
        folder.mkdir()
        try:
            lock = os.open(folder, os.O_RDONLY) if fcntl else None
        except FileNotFoundError:
            continue
        if lock is None or not _locked(lock, wait=True) or folder.exists():
            return folder, lock
        os.close(lock)


def _place(draft: Draft, target: Path) -> None:
    there = False
    with contextlib.suppress(FileNotFoundError):  # another process may remove it at any moment
        mode = stat.S_IMODE(target.stat().st_mode)
        there = True
        os.chmod(draft.path, mode)
    if draft.path.name == target.name:
        os.replace(draft.path, target)
    elif there or not _linked(draft, target):
        with drafted_folder(target.parent) as folder:  # a nameless file can take no name that is taken
            _linked(draft, folder / target.name)
            os.replace(folder / target.name, target)


def _linked(draft: Draft, path: Path) -> bool:
    """Give a nameless file a name, unless that is taken."""
    folder = os.open(
        path.parent, os.O_RDONLY
    )  # with one Python calls linkat, which follows the link in /proc
    try:
        os.link(draft.path, path, src_dir_fd=folder, follow_symlinks=True)
    except FileExistsError:
        return False
    finally:
        os.close(folder)
    return True


def _flush_folder(folder: Path) -> None:
    # the new name reaches the disk too; some file systems cannot do it, and the file is whole either way
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _cannot(path: PathLike, error: Exception) -> FileError:
    if isinstance(error, FileError):
        return error
    return FileError(path, f"cannot be written: {getattr(error, 'strerror', None) or error}")
