"""Downloads against a server that cuts, forgets, lies or refuses; archives that lie."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from spikeflow.datasets.fetch import unpack as unpack_module
from spikeflow.datasets.fetch.download import download, verify
from spikeflow.datasets.fetch.unpack import drafted, unpack
from spikeflow.datasets.sets.metadata import Archive
from spikeflow.errors import FileError, UnsafeFile

BODY = random.Random(7).randbytes(3 << 20)
MD5 = hashlib.md5(BODY).hexdigest()


@dataclass
class Manners:
    """How the server behaves, and what it was asked."""

    body: bytes = BODY
    cut_after: int | None = None  # bytes of an answer, then the connection ends
    ranges: bool = True
    etag: str = '"one"'
    status: int = 200
    kind: str = "application/octet-stream"
    length: bool = True
    wrong_range: bool = False
    asked: list[str | None] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        manners: Manners = self.server.manners  # type: ignore[attr-defined]
        asked = self.headers.get("Range")
        manners.asked.append(asked)
        if manners.status != 200:
            self.send_error(manners.status)
            return
        begin = self._begin(manners, asked)
        if begin >= len(manners.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(manners.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._answer(manners, begin)

    def _begin(self, manners: Manners, asked: str | None) -> int:
        stale = self.headers.get("If-Range") not in (None, manners.etag)
        if not asked or not manners.ranges or stale:
            return 0
        return int(asked.removeprefix("bytes=").split("-")[0])

    def _answer(self, manners: Manners, begin: int) -> None:
        rest = manners.body[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            told = begin + 5 if manners.wrong_range else begin
            self.send_header("Content-Range", f"bytes {told}-{len(manners.body) - 1}/{len(manners.body)}")
        if manners.etag:
            self.send_header("ETag", manners.etag)
        if manners.length:
            self.send_header("Content-Length", str(len(rest)))
        self.send_header("Content-Type", manners.kind)
        self.end_headers()
        self.wfile.write(rest[: manners.cut_after])


@pytest.fixture
def server() -> Iterator[tuple[Manners, str]]:
    manners = Manners()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.manners = manners  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield manners, f"http://127.0.0.1:{http.server_address[1]}/data.zip"
    http.shutdown()
    thread.join()
    http.server_close()


def _get(archive: Archive, folder: Path, **rest: Any) -> Path:
    return download(archive, folder, pause_s=0.0, **rest)


def _only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_whole(server: tuple[Manners, str], tmp_path: Path) -> None:
    manners, url = server
    seen: list[tuple[str, int, int | None]] = []
    archive = Archive("data.zip", url, len(BODY), MD5, hashlib.sha256(BODY).hexdigest())
    path = _get(archive, tmp_path, progress=lambda *report: seen.append(report))
    assert path.read_bytes() == BODY and _only(tmp_path) == ["data.zip"]
    assert seen[-1] == ("data.zip", len(BODY), len(BODY)) and len(seen) >= 3
    assert _get(archive, tmp_path) == path and len(manners.asked) == 1  # there and right: not asked again


@pytest.mark.parametrize("ranges", [True, False])
def test_cut_again_and_again(server: tuple[Manners, str], tmp_path: Path, ranges: bool) -> None:
    manners, url = server
    manners.cut_after, manners.ranges = 1 << 20, ranges
    archive = Archive("data.zip", url, md5=MD5)
    if ranges:
        assert _get(archive, tmp_path).read_bytes() == BODY
        assert manners.asked == [None, f"bytes={1 << 20}-", f"bytes={2 << 20}-"]
        return
    with pytest.raises(
        FileError, match="cut.*1048576 bytes are kept"
    ):  # it begins anew each time, and never ends
        _get(archive, tmp_path)
    manners.cut_after = None
    assert _get(archive, tmp_path).read_bytes() == BODY


def test_goes_on_in_a_later_session(server: tuple[Manners, str], tmp_path: Path) -> None:
    manners, url = server
    (tmp_path / ".data.zip.part").write_bytes(BODY[:1000])
    (tmp_path / ".data.zip.part.tag").write_text(manners.etag)
    assert _get(Archive("data.zip", url), tmp_path).read_bytes() == BODY
    assert manners.asked == ["bytes=1000-"] and _only(tmp_path) == ["data.zip"]


def test_another_version_is_not_glued_on(server: tuple[Manners, str], tmp_path: Path) -> None:
    (tmp_path / ".data.zip.part").write_bytes(b"old" * 100)
    (tmp_path / ".data.zip.part.tag").write_text('"zero"')
    assert _get(Archive("data.zip", server[1]), tmp_path).read_bytes() == BODY
    (tmp_path / "data.zip").unlink()
    (tmp_path / ".data.zip.part").write_bytes(b"no word whose")  # neither tag nor checksum: from the start
    assert _get(Archive("data.zip", server[1]), tmp_path).read_bytes() == BODY
    assert server[0].asked[-1] is None


def test_all_was_there_already(server: tuple[Manners, str], tmp_path: Path) -> None:
    (tmp_path / ".data.zip.part").write_bytes(BODY)
    assert _get(Archive("data.zip", server[1], md5=MD5), tmp_path).read_bytes() == BODY
    (tmp_path / "data.zip").unlink()
    (tmp_path / ".data.zip.part").write_bytes(BODY + b"more than there is")
    assert _get(Archive("data.zip", server[1], md5=MD5), tmp_path).read_bytes() == BODY


def test_a_piece_that_was_not_asked_for(server: tuple[Manners, str], tmp_path: Path) -> None:
    server[0].wrong_range = True
    (tmp_path / ".data.zip.part").write_bytes(BODY[:1000])
    assert _get(Archive("data.zip", server[1], md5=MD5), tmp_path).read_bytes() == BODY


def test_without_a_length(server: tuple[Manners, str], tmp_path: Path) -> None:
    server[0].length = False
    assert _get(Archive("data.zip", server[1], md5=MD5), tmp_path).read_bytes() == BODY


def test_wrong_checksum(server: tuple[Manners, str], tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"md5 {MD5}, expected 0000"):
        _get(Archive("data.zip", server[1], md5="0" * 32), tmp_path)
    assert not _only(tmp_path)
    (tmp_path / "data.zip").write_bytes(b"the user's own")
    with pytest.raises(FileError, match="expected"):
        _get(Archive("data.zip", server[1], md5=MD5), tmp_path)
    assert (tmp_path / "data.zip").read_bytes() == b"the user's own"


def test_more_than_it_should_be(server: tuple[Manners, str], tmp_path: Path) -> None:
    with pytest.raises(FileError, match="more than the 1000 bytes"):
        _get(Archive("data.zip", server[1], size=1000), tmp_path)
    assert "data.zip" not in _only(tmp_path)


@pytest.mark.parametrize("status, tries", [(404, 1), (403, 1), (503, 5)])
def test_refused(server: tuple[Manners, str], tmp_path: Path, status: int, tries: int) -> None:
    server[0].status = status
    with pytest.raises(FileError, match="answers 40|cannot be fetched"):
        _get(Archive("data.zip", server[1]), tmp_path)
    assert len(server[0].asked) == tries


def test_a_page_for_people(server: tuple[Manners, str], tmp_path: Path) -> None:
    server[0].kind = "text/html; charset=utf-8"
    with pytest.raises(FileError, match="page for people"):
        _get(Archive("data.zip", server[1]), tmp_path)


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be fetched.*refused"):
        _get(Archive("data.zip", "http://127.0.0.1:9/data.zip"), tmp_path)
    (tmp_path / "secret").write_text("x")
    with pytest.raises(FileError, match="neither http nor https"):
        _get(Archive("data.zip", f"file://{tmp_path}/secret"), tmp_path)


def test_verify(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    verify(tmp_path / "a", Archive("a", "http://x", len(BODY), MD5.upper()))
    with pytest.raises(FileError, match="3145728 bytes, expected 5"):
        verify(tmp_path / "a", Archive("a", "http://x", 5))


def _zip(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def _tar(path: Path, entries: dict[str, bytes], extra: tarfile.TarInfo | None = None) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if extra:
            archive.addfile(extra)
    return path


ENTRIES = {"Train/0/1.bin": b"abc", "Train/1/2.bin": b"", "note.txt": b"x" * 5000}


def _all(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz"])
def test_unpack(tmp_path: Path, name: str) -> None:
    path = (_zip if name == "a.zip" else _tar)(tmp_path / name, ENTRIES)
    (tmp_path / "out" / "Train" / "7").mkdir(parents=True)
    (tmp_path / "out" / "Train" / "7" / "kept").write_bytes(b"k")
    seen: list[int] = []
    unpack(path, tmp_path / "out", lambda _, done, __: seen.append(done))
    assert _all(tmp_path / "out") == {**ENTRIES, "Train/7/kept": b"k"} and seen[-1] == 5003


def test_unpack_one_file(tmp_path: Path) -> None:
    (tmp_path / "shd_train.h5.gz").write_bytes(gzip.compress(b"spikes"))
    unpack(tmp_path / "shd_train.h5.gz", tmp_path / "out")
    assert _all(tmp_path / "out") == {"shd_train.h5": b"spikes"}


def test_unpack_archives_in_archives(tmp_path: Path) -> None:
    inner = _zip(tmp_path / "inner.zip", {"a/1.mat": b"m"}).read_bytes()
    middle = _zip(tmp_path / "middle.zip", {"below/inner.zip": inner, "b.txt": b"b"}).read_bytes()
    unpack(_zip(tmp_path / "outer.zip", {"middle.zip": middle}), tmp_path / "out")
    assert _all(tmp_path / "out") == {"below/a/1.mat": b"m", "b.txt": b"b"}
    deep = inner
    for _ in range(5):
        deep = _zip(tmp_path / "deep.zip", {"deep.zip": deep}).read_bytes()
    with pytest.raises(UnsafeFile, match="deeper than 3"):
        unpack(tmp_path / "deep.zip", tmp_path / "out2")
    assert not _all(tmp_path / "out2")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "C:/evil", "a\\..\\evil"])
@pytest.mark.parametrize("make", [_zip, _tar])
def test_names_that_lead_out(tmp_path: Path, name: str, make: Any) -> None:
    path = make(tmp_path / ("a.zip" if make is _zip else "a.tar"), {"good": b"g", name: b"evil"})
    with pytest.raises(UnsafeFile, match="leads out"):
        unpack(path, tmp_path / "out")
    assert not _all(tmp_path / "out") and not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(UnsafeFile, match="link or a device"):
        unpack(_tar(tmp_path / "a.tar", ENTRIES, info), tmp_path / "out")
    assert not _all(tmp_path / "out")


def test_links_in_a_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UnsafeFile, match="link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _zip(tmp_path / "bomb.zip", {"zeros": bytes(1 << 25)})
    with pytest.raises(UnsafeFile, match="too much"):
        unpack(path, tmp_path / "out")
    monkeypatch.setattr(unpack_module, "MAX_FILES", 3)
    with pytest.raises(UnsafeFile, match="more than 3 files"):
        unpack(_zip(tmp_path / "many.zip", {f"{i}": b"" for i in range(4)}), tmp_path / "out")
    assert not _all(tmp_path / "out")


def test_a_name_twice(tmp_path: Path) -> None:
    info = tarfile.TarInfo("note.txt")
    with pytest.raises(UnsafeFile, match="twice"):
        unpack(_tar(tmp_path / "a.tar", ENTRIES, info), tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_cut_archives_leave_nothing(tmp_path: Path, name: str) -> None:
    entries = {f"{i}": random.Random(i).randbytes(700) for i in range(6)}
    whole = (_zip if name == "a.zip" else _tar)(tmp_path / name, entries).read_bytes()
    end = len(whole) if name != "a.tar" else 6 * 1536 + 512  # after it a tar is padded with zeros
    for cut in range(0, end, 211):
        (tmp_path / name).write_bytes(whole[:cut])
        with pytest.raises(FileError):
            unpack(tmp_path / name, tmp_path / "out")
        assert not _only(tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_flipped_byte_is_found(tmp_path: Path, name: str) -> None:
    entries = {"a": random.Random(1).randbytes(3000)}
    whole = bytearray((_zip if name == "a.zip" else _tar)(tmp_path / name, entries).read_bytes())
    whole[1500] ^= 0x10
    (tmp_path / name).write_bytes(whole)
    with pytest.raises(FileError, match="damaged|no archive"):
        unpack(tmp_path / name, tmp_path / "out")


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        unpack(tmp_path / "a.zip", tmp_path)
    (tmp_path / "a.zip").write_bytes(b"<html>")
    with pytest.raises(FileError, match="no archive of a known kind"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_drafted_folder(tmp_path: Path) -> None:
    with drafted(tmp_path / "new") as draft:
        (draft / "a").touch()
        assert not (tmp_path / "new").exists()
    assert _only(tmp_path / "new") == ["a"]
    with pytest.raises(ZeroDivisionError), drafted(tmp_path / "other") as draft:
        (draft / "a").write_text(str(1 / 0))
    assert _only(tmp_path) == ["new"]
    with pytest.raises(FileError, match="is there already"), drafted(tmp_path / "new"):
        pass
