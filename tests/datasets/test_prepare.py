"""``prepare``: adopting, linking, unpacking, downloading, and saying what to fetch."""

from __future__ import annotations

import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from spikeflow.datasets.base import Archive
from spikeflow.datasets.fetch import prepare as prepare_module
from spikeflow.datasets.fetch.prepare import instructions, prepare
from spikeflow.datasets.sets import catalog
from spikeflow.datasets.sets.nmnist import NMNIST
from spikeflow.errors import DataError, FileError
from tests.datasets import made_files as made


@pytest.fixture(autouse=True)
def small_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """N-MNIST of three and one samples, and a data folder that is nobody's."""
    monkeypatch.setattr(NMNIST, "metadata", replace(NMNIST.metadata, counts={"train": 3, "test": 1}))
    monkeypatch.setenv("SPIKEFLOW_DATA", str(tmp_path / "home"))


def _copy(folder: Path) -> Path:
    for place in ("Train/1/00001.bin", "Train/1/00002.bin", "Train/8/00003.bin", "Test/0/00001.bin"):
        made.bin5(folder / place)
    return folder


def _zips(folder: Path, source: Path) -> list[Archive]:
    """train.zip and test.zip as the makers pack them, and their cards."""
    folder.mkdir(parents=True, exist_ok=True)
    archives = []
    for split in ("train", "test"):
        with zipfile.ZipFile(folder / f"{split}.zip", "w") as file:
            for path in sorted((source / split.capitalize()).rglob("*.bin")):
                file.write(path, path.relative_to(source))
        data = (folder / f"{split}.zip").read_bytes()
        archives.append(
            Archive(f"{split}.zip", f"http://127.0.0.1:9/{split}.zip", len(data), md5(data).hexdigest())
        )
    return archives


def _expect(monkeypatch: pytest.MonkeyPatch, archives: list[Archive]) -> None:
    monkeypatch.setattr(NMNIST, "metadata", replace(NMNIST.metadata, archives=tuple(archives)))


def test_adopts_in_place(tmp_path: Path) -> None:
    source = _copy(tmp_path / "mine" / "NMNIST")
    before = sorted(p for p in tmp_path.rglob("*"))
    prepared = prepare("nmnist", tmp_path / "mine")
    assert prepared.complete and prepared.folder == tmp_path / "mine" and not prepared.done
    assert {s: (c.found, c.expected) for s, c in prepared.splits.items()} == {"train": (3, 3), "test": (1, 1)}
    assert (
        "nmnist, train: found 3 of 3, original layout" in prepared.to_text()
        and str(source) in prepared.to_text()
    )
    assert json.loads(json.dumps(prepared.to_json()))["splits"]["test"]["found"] == 1
    assert sorted(p for p in tmp_path.rglob("*")) == before


def test_adopts_into_a_folder_by_links(tmp_path: Path) -> None:
    source = _copy(tmp_path / "mine" / "NMNIST")
    (source / "holiday.jpg").write_bytes(b"not part of it")
    prepared = prepare("nmnist", tmp_path / "mine", tmp_path / "sets")
    assert prepared.folder == tmp_path / "sets" / "nmnist" and "4 files" in prepared.done[0]
    linked = sorted(p for p in prepared.folder.rglob("*") if p.is_file())
    assert len(linked) == 4 and all(p.stat().st_nlink == 2 for p in linked)
    assert len(catalog.load("nmnist", tmp_path / "sets")[0][0]) == 3
    assert len(catalog.load("nmnist", prepared.folder, "test")) == 1
    with pytest.raises(FileError, match="is there already"):
        prepare("nmnist", tmp_path / "mine", tmp_path / "sets")


def test_adopts_by_copies_where_links_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("another disk")

    monkeypatch.setattr(prepare_module.os, "link", refuse)
    prepared = prepare("nmnist", _copy(tmp_path / "mine"), tmp_path / "sets")
    shutil.rmtree(tmp_path / "mine")
    assert len(catalog.load("nmnist", prepared.folder)[2][0]) == 3


def test_a_failed_adoption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space")

    monkeypatch.setattr(prepare_module.os, "link", full)
    monkeypatch.setattr(prepare_module.shutil, "copyfile", full)
    with pytest.raises(OSError, match="no space"):
        prepare("nmnist", _copy(tmp_path / "mine"), tmp_path / "sets")
    assert list((tmp_path / "sets").iterdir()) == []


def test_incomplete(tmp_path: Path) -> None:
    (_copy(tmp_path / "mine") / "Train/8/00003.bin").unlink()
    for target in (None, tmp_path / "sets"):
        with pytest.raises(DataError, match="train: 2 of 3.*partial"):
            prepare("nmnist", tmp_path / "mine", target)
    assert not (tmp_path / "sets").exists()
    prepared = prepare("nmnist", tmp_path / "mine", partial=True)
    assert not prepared.complete and prepared.splits["train"].found == 2
    shutil.rmtree(tmp_path / "mine" / "Train")
    assert prepare("nmnist", tmp_path / "mine", partial=True).splits["train"].found == 0


def test_unpacks_archives_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _expect(monkeypatch, _zips(tmp_path / "mine", _copy(tmp_path / "made")))
    seen: list[str] = []
    prepared = prepare("nmnist", tmp_path / "mine", progress=lambda what, *_: seen.append(what))
    assert prepared.complete and prepared.folder == tmp_path / "home" / "nmnist" and len(prepared.done) == 2
    assert set(seen) == {"train.zip", "test.zip"} and (tmp_path / "mine" / "train.zip").is_file()
    assert len(catalog.load("nmnist")) == 3  # from the data folder
    assert prepare("nmnist").folder == tmp_path / "home" / "nmnist"  # nothing to do
    by_name = prepare("nmnist", tmp_path / "mine" / "train.zip", tmp_path / "sets")
    assert by_name.complete and by_name.folder == tmp_path / "sets" / "nmnist"
    (tmp_path / "mine" / "other.zip").touch()
    with pytest.raises(FileError, match=r"other\.zip: no archive of N-MNIST.*train\.zip, test\.zip"):
        prepare("nmnist", tmp_path / "mine" / "other.zip")


def test_a_damaged_archive_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _expect(monkeypatch, _zips(tmp_path / "mine", _copy(tmp_path / "made")))
    path = tmp_path / "mine" / "train.zip"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(FileError, match=r"train\.zip: md5"):
        prepare("nmnist", tmp_path / "mine")
    assert not (tmp_path / "home").exists()


def test_nothing_there_says_what_to_fetch(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError) as caught:
        prepare("nmnist", tmp_path / "empty")
    text = str(caught.value)
    for archive in NMNIST.metadata.archives:
        assert (
            archive.url in text and archive.md5 is not None and archive.md5 in text and archive.name in text
        )
    assert f"put these into {tmp_path / 'empty'}" in text
    with pytest.raises(FileError, match="no such file or folder"):
        prepare("nmnist", tmp_path / "none")


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archives = [Archive("train.zip", "http://127.0.0.1:9/train.zip", 5, "0" * 32)]
    _expect(monkeypatch, archives)
    monkeypatch.setattr(prepare_module, "download", partial(prepare_module.download, pause_s=0.0))
    with pytest.raises(FileError) as caught:
        prepare("nmnist", target=tmp_path / "sets")
    text = str(caught.value)
    assert "cannot be fetched" in text and "5 bytes, md5 0000" in text and "CC BY-SA 4.0" in text
    assert str(tmp_path / "sets" / "nmnist") in text


def test_by_hand(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="must be fetched by hand") as caught:
        prepare("dvs_gesture", target=tmp_path)
    assert "8a5c71fb11e24e5ca5b11866ca6c00a1" in str(caught.value) and "Box" in str(caught.value)
    assert "no checksum published" in instructions(catalog.metadata("asl_dvs"), tmp_path)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    thread.join()
    http.server_close()


def test_downloads(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archives = _zips(tmp_path / "served", _copy(tmp_path / "made"))
    _expect(monkeypatch, [replace(a, url=f"{address}/{a.name}") for a in archives])
    prepared = prepare("nmnist", target=tmp_path / "sets")
    assert prepared.complete and sorted(p.name for p in prepared.folder.iterdir()) == ["Test", "Train"]
    assert len(catalog.load("nmnist", prepared.folder)[1][0]) == 3


def test_downloads_files_that_are_not_unpacked(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = _zips(tmp_path / "served", _copy(tmp_path / "made"))
    (tmp_path / "served" / "readme.gz").write_bytes(b"as it is")
    extra = Archive("readme.gz", f"{address}/readme.gz", unpack=False, into="docs")
    _expect(monkeypatch, [*(replace(a, url=f"{address}/{a.name}") for a in archives), extra])
    prepared = prepare("nmnist", target=tmp_path / "sets")
    assert (prepared.folder / "docs" / "readme.gz").read_bytes() == b"as it is"
