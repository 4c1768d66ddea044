"""Opening what a path names: an ordinary file, never a pipe, a device or a folder."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from spikeflow.errors import FileError

PathLike = str | os.PathLike[str]


MAX_TEXT = 16 << 20  # bytes of a list or a table that is read at once


def open_regular(path: PathLike, buffering: int = -1) -> tuple[BinaryIO, int]:
    """Open an ordinary file for reading, and its length in bytes; `buffering` as for the built-in open.

    Raises
    ------
    FileError
        Where there is none, it cannot be read, or it is a pipe, a device or a folder.
    """
    try:
        # not blocking, since opening a pipe would wait for its other end
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except (OSError, ValueError) as error:
        shown = path if isinstance(error, OSError) else ascii(path)  # a zero byte in the name
        raise FileError(shown, f"cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode):
        os.close(number)
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise FileError(path, f"not an ordinary file but {what}")
    return os.fdopen(number, "rb", buffering), found.st_size


def reading(path: PathLike, buffering: int = -1) -> BinaryIO:
    """An ordinary file, opened as `open_regular` does."""
    return open_regular(path, buffering)[0]


def read_text(path: PathLike, most: int = MAX_TEXT) -> str:
    """All text of an ordinary file in UTF-8.

    Raises
    ------
    FileError
        As `read_regular`, and where it is no such text.
    """
    try:
        return read_regular(path, most).decode()
    except UnicodeDecodeError as error:
        raise FileError(path, f"is no text in UTF-8 ({error})") from None


def read_regular(path: PathLike, most: int) -> bytes:
    """All bytes of an ordinary file.

    Raises
    ------
    FileError
        As `open_regular`, and where there are more than `most`.
    """
    file, length = open_regular(path)
    with file:
        if length > most:
            raise FileError(path, f"larger than {most} bytes")
        return file.read()
