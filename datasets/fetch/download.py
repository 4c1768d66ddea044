"""Fetch one file over HTTP: goes on where it was cut, is held against its checksum, is there whole or not at
all.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from spikeflow.datasets.sets.metadata import Archive
from spikeflow.errors import FileError
from spikeflow.files.opened import read_text, reading

Progress = Callable[[str, int, int | None], None]  # what, bytes done, bytes in all where known
PIECE = 1 << 20  # bytes between two words of progress
ATTEMPTS = 5  # in a row that bring nothing new
TIMEOUT_S = 30.0
PAUSE_S = 1.0


@dataclass(frozen=True)
class _Part:
    """What is there of a file, and the server's word (ETag or date) for the version it is of."""

    path: Path

    @property
    def tag_path(self) -> Path:
        return self.path.with_name(self.path.name + ".tag")

    def tag(self) -> str:
        return read_text(self.tag_path) if self.tag_path.is_file() else ""

    def have(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self.tag_path.unlink(missing_ok=True)


def download(
    archive: Archive, folder: Path, progress: Progress | None = None, pause_s: float = PAUSE_S
) -> Path:
    """Fetch an archive into a folder, unless it is there and right; what an earlier try left is used.

    Raises
    ------
    FileError
        Where there is no network, the server refuses or sends a page for people, the file is cut again and
        again, or is not the one whose size or checksum the metadata states.
    """
    whole = folder / archive.name
    if whole.is_file():
        verify(whole, archive)
        return whole
    if urllib.parse.urlsplit(archive.url).scheme not in ("http", "https"):
        raise FileError(archive.url, "neither http nor https")
    folder.mkdir(parents=True, exist_ok=True)
    part = _Part(folder / f".{archive.name}.part")
    _fetch(archive, part, progress or _silent, pause_s)
    try:
        verify(part.path, archive)
    except FileError as error:
        part.forget()
        raise FileError(archive.url, error.reason, "again later; what was fetched is deleted") from None
    os.replace(part.path, whole)
    part.forget()
    return whole


def _silent(what: str, done: int, of: int | None) -> None:
    """Progress that nobody watches."""


def verify(path: Path, archive: Archive) -> None:
    """Hold a file against the size and checksums of its metadata.

    Raises
    ------
    FileError
        Where one differs; says found and expected.
    """
    size = path.stat().st_size
    if archive.size is not None and size != archive.size:
        raise FileError(path, f"{size} bytes, expected {archive.size}", "fetch it again")
    for name, expected in (("md5", archive.md5), ("sha256", archive.sha256)):
        if expected and (found := _digest(path, name)) != expected.lower():
            raise FileError(path, f"{name} {found}, expected {expected}", "fetch it again")


def _digest(path: Path, name: str) -> str:
    digest = hashlib.new(name, usedforsecurity=False)
    with reading(path) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _fetch(archive: Archive, part: _Part, progress: Progress, pause_s: float) -> None:
    """Ask again until all is there; give up where `ATTEMPTS` in a row bring nothing."""
    idle, reason = 0, ""
    while idle < ATTEMPTS:
        before = part.have()
        try:
            if _attempt(archive, part, progress):
                return
            reason = "the connection was cut"
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(error, FileError):
                raise
            if (
                isinstance(error, urllib.error.HTTPError)
                and error.code < 500
                and error.code not in (408, 416, 429)
            ):
                raise FileError(archive.url, f"the server answers {error.code} {error.reason}") from None
            reason = str(getattr(error, "reason", error))
        idle = 0 if part.have() > before else idle + 1
        time.sleep(pause_s * min(idle, 4))
    raise FileError(archive.url, f"cannot be fetched: {reason}", f"again later; {part.have()} bytes are kept")


def _attempt(archive: Archive, part: _Part, progress: Progress) -> bool:
    """One request, from where the last one ended; whether the file is whole."""
    have, tag = part.have(), part.tag()
    headers = {"User-Agent": "spikeflow", "Accept-Encoding": "identity"}
    if have and (tag or archive.md5 or archive.sha256):
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": tag} if tag else {})
    else:
        have = 0
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(archive.url, headers=headers), timeout=TIMEOUT_S
        )
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing after what we have: it is whole, or of another file
            if have == _total(error.headers.get("Content-Range", "")):
                return True
            part.forget()
        raise
    with answer:
        have = (
            have if answer.status == 206 and _begins(answer.headers.get("Content-Range", "")) == have else 0
        )
        if answer.status == 206 and not have and "Range" in headers:
            part.forget()  # a piece that was not asked for
            return False
        return _store(archive, part, answer, have, progress)


def _store(
    archive: Archive, part: _Part, answer: http.client.HTTPResponse, have: int, progress: Progress
) -> bool:
    if answer.headers.get_content_type() == "text/html":
        raise FileError(archive.url, "the server sends a page for people, not the file", "fetch it by hand")
    length = answer.headers.get("Content-Length")
    of = have + int(length) if length and length.isdigit() else archive.size
    if of is not None and of - have > shutil.disk_usage(part.path.parent).free:
        raise FileError(part.path.parent, f"no room for {of} bytes", "another folder (--to)")
    part.tag_path.write_text(_strong_tag(answer), "utf-8")
    with open(part.path, "r+b" if have else "wb") as file:
        file.seek(have)
        file.truncate()
        done = _copy(archive, answer, file, have, of, progress)
    return done == of if of is not None else True


def _copy(
    archive: Archive,
    answer: IO[bytes] | http.client.HTTPResponse,
    file: IO[bytes],
    have: int,
    of: int | None,
    *progress: Progress,
) -> int:
    limit = archive.size if archive.size is not None else of
    while piece := answer.read(PIECE):
        have += len(piece)
        if limit is not None and have > limit:
            raise FileError(archive.url, f"sends more than the {limit} bytes it should have")
        file.write(piece)
        for report in progress:
            report(archive.name, have, of)
    return have


def _strong_tag(answer: http.client.HTTPResponse) -> str:
    tag = answer.headers.get("ETag", "")
    return answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag


def _begins(content_range: str) -> int | None:
    """100 of ``bytes 100-199/200``."""
    first = content_range.removeprefix("bytes ").split("-")[0]
    return int(first) if first.isdigit() else None


def _total(content_range: str) -> int | None:
    """200 of ``bytes */200``."""
    last = content_range.rsplit("/", 1)[-1]
    return int(last) if last.isdigit() else None
