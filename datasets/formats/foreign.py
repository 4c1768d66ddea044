"""Files that are no event files of a known format, called by what they are, with one thing to try."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spikeflow.errors import FileError

BAG = "its package's own tools, or rosbags (pip install rosbags), to write the events as .npz or .raw"
UNPACK = "to unpack it first"
LFS = "git lfs pull, which fetches the file itself"


@dataclass(frozen=True)
class Foreign:
    """One kind of file.

    Parameters
    ----------
    begins : its first bytes.
    what, hint : what it is, and what to do with it.
    at : the byte at which it begins so.
    """

    begins: bytes
    what: str
    hint: str
    at: int = 0


KINDS = (
    Foreign(b"version https://git-lfs.github.com/spec/", "a Git LFS pointer in the place of the file", LFS),
    Foreign(b"#ROSBAG", "a ROS 1 bag (rosbag)", BAG),
    Foreign(b"\x89MCAP0\r\n", "an MCAP file, as ROS 2 records", BAG),
    Foreign(b"SQLite format 3\0", "an SQLite database, such as a ROS 2 bag (.db3)", BAG),
    Foreign(
        b"MATLAB 7.3 MAT-file", "a MATLAB 7.3 file that is damaged, since no HDF5 follows", "a fresh copy"
    ),
    Foreign(b"ustar", "a tar archive", UNPACK, 257),
    Foreign(b"\x1f\x8b", "a gzip file", UNPACK),
    Foreign(b"BZh", "a bzip2 file", UNPACK),
    Foreign(b"\xfd7zXZ\0", "an xz file", UNPACK),
    Foreign(b"\x28\xb5\x2f\xfd", "a Zstandard file", UNPACK),
    Foreign(b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    Foreign(b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    Foreign(b"PK\x03\x04", "a zip archive that does not begin with a NumPy array", UNPACK),
    Foreign(b"PAR1", "a Parquet table", "pandas, to write it as .csv"),
    Foreign(b"ARROW1", "an Arrow table", "pandas, to write it as .csv"),
    Foreign(b"\x89PNG\r\n", "a PNG picture", "a recording of events"),
    Foreign(b"\xff\xd8\xff", "a JPEG picture", "a recording of events"),
    Foreign(b"GIF8", "a GIF picture", "a recording of events"),
    Foreign(b"ftyp", "a film (MP4)", "a recording of events", 4),
    Foreign(b"RIFF", "a RIFF file (film or sound)", "a recording of events"),
    Foreign(b"%PDF-", "a PDF document", "a recording of events"),
)
PAGE = re.compile(rb"\s*(<!doctype\s+html|<html)", re.IGNORECASE)
AEDAT = re.compile(rb"#!AER-DAT(\d{1,3}(?:\.\d{1,3}){0,2})")
CERTAIN = 6  # bytes of a magic word that no stream of events begins with by chance


def refuse(path: Path, start: bytes, certain: bool = False) -> None:
    """FileError where these first bytes are of a file that holds no events we read.

    Parameters
    ----------
    certain : only where chance is excluded: the user has said another format.
    """
    for kind in KINDS:
        if start.startswith(kind.begins, kind.at) and (len(kind.begins) >= CERTAIN or not certain):
            raise FileError(path, f"is {kind.what}", kind.hint)
    if PAGE.match(start):
        raise FileError(path, "is a web page, not the file it should lead to", "to fetch it by hand")
    if not certain and (version := AEDAT.match(start)):
        told = "known are 1.0, 2.0, 2.1, 3.0, 3.1 and 4.0"
        raise FileError(
            path, f"is AEDAT {version[1].decode()}, which is not known; {told}", "--format of one of these"
        )
